"""All tables, in an order in which they can be made."""

from repermit.db.background_tasks import BackgroundTask
from repermit.db.models.accounts import (
    Access,
    ApiToken,
    Invitation,
    RecoveryCode,
    SecurityEvent,
    Session,
    Throttle,
    User,
)
from repermit.db.models.base import Meta, Table
from repermit.db.models.campaigns import Campaign, CampaignWording, Draft, HandedOver, Wording
from repermit.db.models.contacts import Contact, Opening, SignUp, Suppression
from repermit.db.models.evidence import (
    Evidence,
    EvidenceHead,
    EvidenceNode,
    EvidencePart,
    EvidenceTimestamp,
)
from repermit.db.models.imports import Import, ImportChange, Upload
from repermit.db.models.lists import ListText, MailingList, RegisterNotes
from repermit.db.models.mails import FreshLink, Mail, Pace, Reply
from repermit.db.models.settings import Chosen, Correction
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.db.row_counts import COUNTS, Tally

ALL_TABLES: tuple[type[Table], ...] = (
    Meta,
    MailingList,
    ListText,
    Correction,
    Import,
    ImportChange,
    Contact,
    SignUp,
    Campaign,
    Wording,
    CampaignWording,
    Mail,
    Pace,
    Reply,
    Suppression,
    EvidenceHead,
    Evidence,
    EvidenceNode,
    EvidencePart,
    EvidenceTimestamp,
    User,
    RecoveryCode,
    Invitation,
    Session,
    Throttle,
    SecurityEvent,
    ApiToken,
    Access,
    Webhook,
    Delivery,
    Draft,
    Upload,
    HandedOver,
    Tally,
    Chosen,
    *COUNTS,
    BackgroundTask,
    RegisterNotes,
    FreshLink,
    Opening,
)
