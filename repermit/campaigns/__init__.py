"""Lists and campaigns: settling what a list is, launching, pausing, extending, looking on.

May import contacts and what lies below.
"""

from repermit.campaigns.acts import Resumed, cancel, pause, resume, start_scheduled
from repermit.campaigns.attesting import attestation_lacks
from repermit.campaigns.extending import Extended, extend
from repermit.campaigns.facts import (
    CampaignFacts,
    CampaignProgress,
    CampaignStatus,
    DoubtFacts,
    Launched,
    ListFacts,
    Plan,
)
from repermit.campaigns.launching import launch
from repermit.campaigns.lists import ListFields, add_list, change_list, frozen_note, list_facts
from repermit.campaigns.planning import description_lacks, list_lacks, plan
from repermit.campaigns.previewing import preview
from repermit.campaigns.reminding import owe_reminders
from repermit.campaigns.reporting import progress, status

__all__ = [
    "CampaignFacts",
    "CampaignProgress",
    "CampaignStatus",
    "DoubtFacts",
    "Extended",
    "Launched",
    "ListFacts",
    "ListFields",
    "Plan",
    "Resumed",
    "add_list",
    "attestation_lacks",
    "cancel",
    "change_list",
    "description_lacks",
    "extend",
    "frozen_note",
    "launch",
    "list_facts",
    "list_lacks",
    "owe_reminders",
    "pause",
    "plan",
    "preview",
    "progress",
    "resume",
    "start_scheduled",
    "status",
]
