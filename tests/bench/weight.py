"""What the pages weigh that people answer on, and in how many round trips they are there.

    .venv/bin/python tests/bench/weight.py [LANGUAGE …]

For each page in its heaviest language of those that are named, or of all: octets of the HTML, of
all that is sent plain and packed, packets, round trips after the connection is there, and seconds
on a line of 200 kbit/s.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from repermit.db import migrations
from repermit.db.connection import open_database
from repermit.i18n import catalogues
from tests.support.builders import make_settings
from tests.support.page_weight import PACKET, Scales, Weight, round_trips

_OCTETS_A_SECOND = 200_000 / 8


def main(languages: list[str]) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/repermit.db"
        with open_database(url) as database:
            migrations.upgrade_database(database)
            scales = Scales(database, make_settings(database=url))
            found = [(one, language) for language in languages for one in scales.weigh(language)]
            print(f"{'page':42} {'html':>7} {'plain':>7} {'packed':>7} packets trips seconds")
            for page in scales.paths:
                of_page = (pair for pair in found if pair[0].page == page)
                weight, language = max(of_page, key=lambda pair: pair[0].html)
                print(_line(weight, language, scales.packed(page, language)))


def _line(weight: Weight, language: str, packed: int) -> str:
    packets, seconds = -(-packed // PACKET), packed / _OCTETS_A_SECOND
    return (
        f"{weight.page + ' ' + language:42} {weight.html:7,} {weight.sent:7,} {packed:7,} "
        f"{packets:7} {round_trips(packed):5} {seconds:7.2f}"
    )


if __name__ == "__main__":
    main(sys.argv[1:] or list(catalogues.languages()))
