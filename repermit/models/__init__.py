"""The tables and the database they stand in.

May import addresses, config, clock and errors only.
"""

from repermit.models.database import (
    Database,
    chunks,
    connect,
    is_postgresql,
    lock_rows,
    open_database,
    run_sql,
)
from repermit.models.tables import (
    ALL_TABLES,
    Campaign,
    CampaignWording,
    Contact,
    Evidence,
    EvidenceHead,
    EvidencePart,
    Import,
    Mail,
    MailingList,
    Meta,
    SignUp,
    Suppression,
    Wording,
    find_list,
    latest_campaign,
    new_id,
    stored,
)

__all__ = [
    "ALL_TABLES",
    "Campaign",
    "CampaignWording",
    "Contact",
    "Database",
    "Evidence",
    "EvidenceHead",
    "EvidencePart",
    "Import",
    "Mail",
    "MailingList",
    "Meta",
    "SignUp",
    "Suppression",
    "Wording",
    "chunks",
    "connect",
    "find_list",
    "is_postgresql",
    "latest_campaign",
    "lock_rows",
    "new_id",
    "open_database",
    "run_sql",
    "stored",
]
