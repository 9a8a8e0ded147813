"""How long an archive takes, and how much memory: `python -m tests.bench.archive [PEOPLE]`.

Everybody said Yes on the page, so that each proof has the words of a mail and of a page.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from repermit.answers import link_target, record_answer
from repermit.archives import make_archive
from repermit.db import migrations
from repermit.db.connection import open_database
from repermit.rules.consent import Answer
from tests.support.builders import NOW, make_asked, make_campaign, make_list, make_settings
from tests.support.public_pages import freeze_wording


def main(people: int) -> None:
    """Make so many Yeses, archive them, and print what that took."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_database(f"sqlite:///{folder}/bench.db") as database,
    ):
        migrations.upgrade_database(database)
        mailing_list = make_list(database)
        campaign = make_campaign(database, mailing_list)
        freeze_wording(database, campaign, mailing_list, "nl")
        settings = make_settings()
        for _ in range(people):
            record_answer.record_answer(
                database,
                uid=make_asked(database, mailing_list, campaign).uid,
                answer=Answer.YES,
                arrived_at=NOW,
                settings=settings,
                method="page",
                trace={"network": "198.51.100.0/24", "browser": "Firefox"},
                page=lambda _: link_target.PageShown(
                    wording="<p>Zouden wij u mogen blijven mailen?</p>" * 100
                ),
            )
        campaign.state = "closed"
        campaign.closed_at = NOW
        with database.atomic():
            campaign.save()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        path = Path(folder) / "archive.zip"
        with path.open("wb") as out:
            made = make_archive.archive(
                mailing_list,
                database=database,
                settings=settings,
                now=NOW,
                actor="cli:bench",
                out=out,
            )
        took = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"{made.proofs:,} proofs in {took:.1f} s, {made.proofs / took:,.0f} a second")
        print(f"{path.stat().st_size / 1e6:,.1f} MB; {(after - before) / 1024:,.1f} MB more memory")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
