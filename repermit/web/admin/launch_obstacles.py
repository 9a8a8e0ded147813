"""What stands against a launch, in the page's language, each with the page where it is mended."""

from __future__ import annotations

from dataclasses import dataclass

from repermit.campaigns import draft_conditions
from repermit.campaigns.campaign_results import Plan
from repermit.i18n.lazy_text import Said
from repermit.web.admin.result_text import sentence

_CONDITIONS = "conditions.show"
_MENDED = {
    "settings.show": (
        "organisation_name", "organisation_address", "organisation_contact", "organisation_email",
        "organisation_authority", "unprotected",
    ),
    "describing.show": ("sender", "privacy_url", "purpose", "frequency", "no_sender"),
    "correcting.show": ("corrected_text",),
    _CONDITIONS: (
        "deadline_passed", "too_near", "too_slow", "too_far", "reminder_too_soon",
        "reminders_too_slow", "attest", "attest_more",
    ),
    "live.show": ("under_way",),
    "handing_in.show": ("nobody", "taken_back"),
}  # fmt: skip
_ENDPOINTS = {code: endpoint for endpoint, codes in _MENDED.items() for code in codes}
# What has no code is about the mail: the admin's own wording, or its size.
_MAIL = "writing.show"


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """One thing that stands against a launch, and the endpoint of the page where it is mended."""

    text: str
    endpoint: str


def obstacles(plan: Plan, attest: str) -> list[Obstacle]:
    """Return everything that stands against a launch, in the order of the checks."""
    lacks = draft_conditions.attestation_lacks(attest)
    return [_obstacle(reason) for reason in (*plan.refusals, *((lacks,) if lacks else ()))]


def _obstacle(reason: Said) -> Obstacle:
    return Obstacle(text=sentence(reason), endpoint=_ENDPOINTS.get(reason.code, _MAIL))
