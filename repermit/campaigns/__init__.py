"""Lists and campaigns: settling what a list is, launching, pausing, extending, looking on.

May import contacts and what lies below.
"""

from repermit.campaigns.acts import Resumed, cancel, pause, resume, start_scheduled
from repermit.campaigns.attesting import attestation_lacks, is_reason
from repermit.campaigns.extending import Extended, extend
from repermit.campaigns.facts import (
    CampaignFacts,
    CampaignProgress,
    CampaignStatus,
    DoubtFacts,
    Launched,
    LaunchProblem,
    ListFacts,
    Plan,
)
from repermit.campaigns.launching import launch
from repermit.campaigns.lists import (
    ListFields,
    add_list,
    change_list,
    frozen_note,
    list_facts,
    wrong_fields,
)
from repermit.campaigns.owing import Making, finish_launches, making_of
from repermit.campaigns.pacing import LONGEST, MORNING
from repermit.campaigns.planning import description_lacks, list_lacks, plan
from repermit.campaigns.preparing import (
    Conditions,
    conditions_of,
    drop_conditions,
    keep_conditions,
)
from repermit.campaigns.previewing import note_test_mail, preview
from repermit.campaigns.reminding import owe_reminders
from repermit.campaigns.reporting import (
    count_not_the_person,
    count_still_mailed,
    doubts,
    progress,
    status,
)
from repermit.campaigns.slugs import free_slug, is_slug, suggest_slug
from repermit.campaigns.texts import (
    TEXT_FIELDS,
    TextFields,
    change_text,
    read_otherwise,
    text_in,
    texts_of,
)
from repermit.campaigns.wording import own_wording, wording_flaws

__all__ = [
    "LONGEST",
    "MORNING",
    "TEXT_FIELDS",
    "CampaignFacts",
    "CampaignProgress",
    "CampaignStatus",
    "Conditions",
    "DoubtFacts",
    "Extended",
    "LaunchProblem",
    "Launched",
    "ListFacts",
    "ListFields",
    "Making",
    "Plan",
    "Resumed",
    "TextFields",
    "add_list",
    "attestation_lacks",
    "cancel",
    "change_list",
    "change_text",
    "conditions_of",
    "count_not_the_person",
    "count_still_mailed",
    "description_lacks",
    "doubts",
    "drop_conditions",
    "extend",
    "finish_launches",
    "free_slug",
    "frozen_note",
    "is_reason",
    "is_slug",
    "keep_conditions",
    "launch",
    "list_facts",
    "list_lacks",
    "making_of",
    "note_test_mail",
    "owe_reminders",
    "own_wording",
    "pause",
    "plan",
    "preview",
    "progress",
    "read_otherwise",
    "resume",
    "start_scheduled",
    "status",
    "suggest_slug",
    "text_in",
    "texts_of",
    "wording_flaws",
    "wrong_fields",
]
