"""What a page says beside a setting whose value is refused, by the code of the refusal."""

from __future__ import annotations

from collections.abc import Mapping

from repermit.i18n.lazy_text import N_

SETTING_REFUSALS: Mapping[str, str] = {
    "kind": N_("Please give a whole number."),
    "negative": N_("This may not be less than 0."),
    "range": N_("This must be from %(first)s to %(last)s."),
    "choice": N_("Please choose one of these."),
    "one_line": N_("This must be plain text on one line."),
    "web_address": N_("This is no web address; one looks like https://www.example.org"),
    "timezone": N_("There is no such time zone."),
    "host_server": N_("Your host tells you this name; often it is mail. and your domain."),
    "verp_refused": N_(
        "Microsoft 365 refuses an address for each mail: take the sender’s own address."
    ),
    "needed": N_("Please fill this in: it is needed for what you have chosen."),
    "token_needed": N_(
        "Either the directory (tenant) ID and the secret of the application are needed, or else a "
        "refresh token."
    ),
    "tenant": N_("This looks like example.onmicrosoft.com, or like a GUID."),
    "authority": N_("This must be an https address, since secrets are sent there."),
    "again": N_(
        "Please give this again, or remove it: it would go to another server than the one that it "
        "was given for."
    ),
}
