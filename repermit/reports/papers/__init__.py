"""The papers that the law asks for: the record, the closing report, what to do about a breach.

May import contacts, evidence, models, messages, config, consent and the rest of this room. Facts
are collected in one module, put into words in another, and a paper looks the same whatever it is.
"""

from repermit.reports.papers.making import document_of, make_paper, note_made
from repermit.reports.papers.model import Gap, Kind, Paper
from repermit.reports.papers.notes import (
    FIELDS,
    OWN,
    TEXTS,
    Notes,
    countries,
    read_notes,
    set_notes,
)
from repermit.reports.papers.pages import body_of, page_of
from repermit.reports.papers.recipients import EEA, Recipient, recipients
from repermit.reports.papers.register_lines import roles
from repermit.reports.papers.text import as_text
from repermit.reports.papers.words import LANGUAGES, Words

__all__ = [
    "EEA",
    "FIELDS",
    "LANGUAGES",
    "OWN",
    "TEXTS",
    "Gap",
    "Kind",
    "Notes",
    "Paper",
    "Recipient",
    "Words",
    "as_text",
    "body_of",
    "countries",
    "document_of",
    "make_paper",
    "note_made",
    "page_of",
    "read_notes",
    "recipients",
    "roles",
    "set_notes",
]
