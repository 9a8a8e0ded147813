"""SpamAssassin's score for each kind of mail in each language, as a table.

Run it by hand: `python tests/bench/spam.py`. It needs Debian's spamassassin, and asks nothing of
the network. Five is spam; the tests want none, but for one of the closing mail in
Bulgarian, which is full of commands.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from repermit.i18n.catalogues import languages
from tests.support import spamassassin as spam
from tests.unit.emails.test_snapshots import KINDS, make_mail


def main() -> None:
    """Score and print."""
    if spam.PROGRAM is None:
        sys.exit("there is no SpamAssassin; on Debian it comes with spamassassin")
    cases = [
        f"{kind}-{language}{sensitive}"
        for language in languages()
        for kind in KINDS
        for sensitive in ("", "-sensitive")
    ]
    with tempfile.TemporaryDirectory() as folder:
        found = spam.scores_of({case: make_mail(case).raw for case in cases}, Path(folder))
    print(f"{'':4}" + "".join(f"{kind:>20}" for kind in KINDS))
    for language in languages():
        pairs = [
            [found[f"{kind}-{language}{which}"].score for which in ("", "-sensitive")]
            for kind in KINDS
        ]
        cells = [f"{usual:.1f} / {sensitive:.1f}" for usual, sensitive in pairs]
        print(f"{language:4}" + "".join(f"{cell:>20}" for cell in cells))
    rules = sorted({rule for one in found.values() for rule in one.rules})
    print(f"\n(on a list as others are / on a sensitive one)\nrules met: {', '.join(rules)}")


if __name__ == "__main__":
    main()
