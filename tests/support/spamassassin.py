"""What SpamAssassin makes of mails, in two processes at once; Debian has it as `spamassassin`.

Nothing is asked of the network, and nothing that it has learned from other mails counts, so that
the scores are those of anybody's fresh installation. Imports no repermit.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

PROGRAM = shutil.which("spamassassin")
"""Where it is, None if it is not installed."""

# Its own library, since the command takes a second to begin for each mail.
_SCORING = r"""
use Mail::SpamAssassin;
my $judge = Mail::SpamAssassin->new({
    local_tests_only => 1, dont_copy_prefs => 1, userprefs_filename => "/dev/null",
    post_config_text => "use_bayes 0\nuse_auto_whitelist 0\nuse_learner 0\n",
});
for my $path (@ARGV) {
    open(my $file, "<:raw", $path) or die "$path: $!";
    my $mail = $judge->parse(do { local $/; <$file> });
    my $said = $judge->check($mail);
    printf "%s\t%.1f\t%s\n", $path, $said->get_score(), $said->get_names_of_tests_hit();
    $said->finish();
    $mail->finish();
}
"""

_AT_ONCE = 2

# What the reader's server puts above a mail: without it there is no telling where it came from.
_ARRIVED = b"""\
Return-Path: <post@%(domain)b>
Received: from %(helo)b (%(rdns)b [93.184.215.14])
 by mx.example.com with ESMTPS id 4XyZ for <jan.jansen@example.com>;
 Tue, 01 Dec 2026 08:30:02 +0000
""".replace(b"\n", b"\r\n")
_SENDER = re.compile(rb"^From: (?:.*\r\n )?.*@([\w.-]+)", re.MULTILINE)


@dataclass(frozen=True)
class Verdict:
    """What a mail comes to; `rules` are those that it has met."""

    score: float
    rules: tuple[str, ...]


def scores_of(
    mails: Mapping[str, bytes], folder: Path, *, relays: Mapping[str, str] | None = None
) -> dict[str, Verdict]:
    """Return the verdict on each mail; `folder` is for files.

    `relays` names the host that hands over a mail, by the mail's name, where it is not "mail" at
    the sender's domain. "unknown" has no name in the DNS, and says one of the sender's domain.
    """
    hosts = relays or {}
    paths = [folder / f"{number}.eml" for number, _ in enumerate(mails)]
    for path, (name, raw) in zip(paths, mails.items(), strict=True):
        sender = _SENDER.search(raw)
        domain = sender[1] if sender else b"example.org"
        usual = b"mail." + domain
        host = hosts[name].encode() if name in hosts else usual
        arrived = {b"domain": domain, b"rdns": host, b"helo": usual if host == b"unknown" else host}
        path.write_bytes(_ARRIVED % arrived + raw)
    with ThreadPoolExecutor() as pool:
        said = pool.map(_judged, [paths[start::_AT_ONCE] for start in range(_AT_ONCE)])
        found = dict(line for lines in said for line in lines)
    return {name: found[str(path)] for name, path in zip(mails, paths, strict=True)}


def _judged(paths: Sequence[Path]) -> list[tuple[str, Verdict]]:
    done = subprocess.run(
        ["perl", "-T", "-e", _SCORING, *map(str, paths)],
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        check=True,
        capture_output=True,
        text=True,
    )
    return [_read(line) for line in done.stdout.splitlines()]


def _read(line: str) -> tuple[str, Verdict]:
    path, score, rules = line.split("\t")
    return path, Verdict(float(score), tuple(rules.split(",")))
