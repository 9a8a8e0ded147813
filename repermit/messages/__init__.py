"""The text of mails: drafts frozen once per campaign and language, mails made from them.

May import addresses, config, clock and errors. Pure: no network, no database, no Flask.
"""

from repermit.messages.announcing import website_notice
from repermit.messages.breaching import breach_message
from repermit.messages.catalogue import (
    correct,
    corrected_texts,
    language_name,
    languages,
    pick_language,
    translations,
)
from repermit.messages.checking import checked_correction
from repermit.messages.closings import ClosingNews, read_closing
from repermit.messages.composing import compose, greeting, reason
from repermit.messages.correcting import Text, as_typed, key_of, texts_in
from repermit.messages.dates import day_in_words, moment_in_words
from repermit.messages.draft import Draft, read_draft
from repermit.messages.drafting import (
    draft_ask,
    draft_confirm,
    draft_reminder,
    redated,
)
from repermit.messages.filling import Filler
from repermit.messages.identity import (
    list_label,
    reply_address,
    sender_address,
    sender_name,
    written_address,
)
from repermit.messages.naming import plain_words, shows
from repermit.messages.news import DayNews, read_news
from repermit.messages.noticing import (
    draft_closing,
    draft_daily,
    draft_not_the_person,
    draft_notice,
    not_the_person_topic,
    read_not_the_person,
)
from repermit.messages.receipting import draft_no_receipt, draft_receipt
from repermit.messages.requesting import draft_requested
from repermit.messages.sizing import require_size
from repermit.messages.starting import usual_wording
from repermit.messages.templating import environment
from repermit.messages.tracing import (
    ReturnPath,
    message_id,
    read_message_id,
    read_return_path,
    return_path,
    unnumbered_message_id,
)
from repermit.messages.values import (
    AskValues,
    ConfirmValues,
    ListWords,
    Mail,
    MailingListFacts,
    NoticeValues,
    OwnWording,
    ReceiptValues,
)
from repermit.messages.wire import Letter, letter_of
from repermit.messages.wording import FIELDS, SUBJECT_FIELDS, check_wording

__all__ = [
    "FIELDS",
    "SUBJECT_FIELDS",
    "AskValues",
    "ClosingNews",
    "ConfirmValues",
    "DayNews",
    "Draft",
    "Filler",
    "Letter",
    "ListWords",
    "Mail",
    "MailingListFacts",
    "NoticeValues",
    "OwnWording",
    "ReceiptValues",
    "ReturnPath",
    "Text",
    "as_typed",
    "breach_message",
    "check_wording",
    "checked_correction",
    "compose",
    "correct",
    "corrected_texts",
    "day_in_words",
    "draft_ask",
    "draft_closing",
    "draft_confirm",
    "draft_daily",
    "draft_no_receipt",
    "draft_not_the_person",
    "draft_notice",
    "draft_receipt",
    "draft_reminder",
    "draft_requested",
    "environment",
    "greeting",
    "key_of",
    "language_name",
    "languages",
    "letter_of",
    "list_label",
    "message_id",
    "moment_in_words",
    "not_the_person_topic",
    "pick_language",
    "plain_words",
    "read_closing",
    "read_draft",
    "read_message_id",
    "read_news",
    "read_not_the_person",
    "read_return_path",
    "reason",
    "redated",
    "reply_address",
    "require_size",
    "return_path",
    "sender_address",
    "sender_name",
    "shows",
    "texts_in",
    "translations",
    "unnumbered_message_id",
    "usual_wording",
    "website_notice",
    "written_address",
]
