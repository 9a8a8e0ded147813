"""What has come of a campaign, counted: for the live page and for the admin's daily mail.

May import contacts, evidence, models, messages, consent and what lies below.
"""

from repermit.reports.closed import owe_closing
from repermit.reports.daily import owe_daily
from repermit.reports.figures import Day, Figures, figures
from repermit.reports.papers.people_kept import keep_people
from repermit.reports.tallying import tally_up
from repermit.reports.turns import Turn

__all__ = [
    "Day",
    "Figures",
    "Turn",
    "figures",
    "keep_people",
    "owe_closing",
    "owe_daily",
    "tally_up",
]
