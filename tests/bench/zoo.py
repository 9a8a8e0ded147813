"""What each program of the zoo does to a person, as a table: `python -m tests.bench.zoo`.

For somebody who has not answered, and somebody who said No on the page 100 seconds before: whether
they are on the list after it, and how often they then press Yes until it counts.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta

from repermit.db import migrations
from repermit.db.connection import open_database
from repermit.db.models.contacts import Contact
from repermit.rules.consent import Status
from tests.integration.test_program_zoo import EVERY, answer_yes, let_loose, say_no
from tests.support.builders import NOW, make_asked, make_campaign, make_list, make_settings
from tests.support.public_pages import Pages


def main() -> None:
    """Print the table."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_database(f"sqlite:///{folder}/bench.db") as database,
    ):
        migrations.upgrade_database(database)
        mailing_list = make_list(database)
        campaign = make_campaign(database, mailing_list)
        pages = Pages(database, make_settings())
        heads = ("no answer: on list", "presses", "said No: on list", "presses")
        print(f"{'program':<62}" + "".join(f"{head:>20}" for head in heads))
        for program in EVERY:
            row = []
            for has_said_no in (False, True):
                pages.clock.move_to(NOW)
                person = make_asked(database, mailing_list, campaign)
                if has_said_no:
                    say_no(pages, person, "page")
                    pages.clock.advance(timedelta(seconds=100))
                let_loose([program], pages, person)
                is_on = Contact.get_by_id(person.id).status == Status.CONFIRMED
                row += ["yes" if is_on else "no", answer_yes(pages, person)]
            print(f"{program.__name__:<62}" + "".join(f"{cell:>20}" for cell in row))


if __name__ == "__main__":
    main()
