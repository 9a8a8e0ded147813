"""The mail accounts that people have: what is known of each, so that they need not know it.

Imports nothing of repermit. Each says where its facts come from, and stays below the limits that
it knows: who reaches one is cut off for a day, in the middle of a campaign.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What a provider's accounts have in common; the fields are those of `[mail]`.

    An empty `server` is one that only the customer knows. Rates: 0 is none.
    """

    server: str
    port: int
    tls: str
    connections: int = 1
    return_path: str = "fixed"
    rate_per_minute: int = 0
    rate_per_hour: int = 0
    rate_per_day: int = 0

    def values(self) -> dict[str, str | int]:
        """Return what it says under `[mail]`."""
        return {key: value for key, value in asdict(self).items() if value}


# What hosts of shared web hosting allow, where they say so, begins at a hundred an hour:
# https://www.thiswebhost.com/clients/knowledgebase/608/What-are-your-mailing-limits.html
# https://power-netz.de/faq-artikel/wie-hoch-ist-das-versandlimit-ausgehender-e-mails
# https://help.brixly.uk/hc/brixly/articles/preventing-email-service-suspension-how-to-manage
_SHARED_PER_HOUR = 80


def _shared(server: str, port: int = 465, tls: str = "tls") -> Preset:
    """Return a preset for shared hosting whose own limit is not published, or differs."""
    return Preset(server=server, port=port, tls=tls, rate_per_hour=_SHARED_PER_HOUR)


PRESETS = {
    # 30 messages a minute, 10,000 recipients a day, three connections; a sender other than the
    # mailbox is refused (5.7.60).
    # https://learn.microsoft.com/en-us/exchange/troubleshoot/send-emails/smtp-submission-improvements
    "office365": Preset(
        server="smtp.office365.com",
        port=587,
        tls="starttls",
        connections=2,
        rate_per_minute=20,
        rate_per_day=8000,
    ),
    # Gmail: 500 messages a day, Workspace 2,000, its relay 10,000 once an administrator has
    # switched it on; a trial account has less.
    # https://developer.nylas.com/docs/cookbook/email/gmail-smtp-settings/
    # https://github.com/thunderbird/autoconfig: ispdb/googlemail.com.xml
    "gmail": Preset(server="smtp.gmail.com", port=465, tls="tls", rate_per_day=400),
    "google-workspace": Preset(server="smtp.gmail.com", port=465, tls="tls", rate_per_day=1600),
    "google-relay": Preset(
        server="smtp-relay.gmail.com", port=587, tls="starttls", connections=2, rate_per_day=8000
    ),
    # Servers: in configurations that are public; no limit found.
    "transip": _shared("smtp.transip.email"),
    "hostnet": _shared("smtp.hostnet.nl", 587, "starttls"),
    # Servers: https://github.com/thunderbird/autoconfig: ispdb/strato.de.xml and so on; no limit
    # found, but for Hetzner's South African sister, which had 500 an hour.
    "strato": _shared("smtp.strato.de"),
    "one.com": _shared("send.one.com"),
    "ovh": _shared("ssl0.ovh.net"),
    "hetzner": _shared("mail.your-server.de"),
    "domainfactory": _shared("sslout.df.eu"),
    "gandi": _shared("mail.gandi.net"),
    # 500 an hour, in the first week of a contract 50, in the second 100, until the 30th day 400.
    # In other countries the server's name ends in .com, .co.uk, .fr.
    # https://www.ionos.co.uk/help/index.php?id=17026
    "ionos": Preset(server="smtp.ionos.de", port=465, tls="tls", rate_per_hour=400),
    # 500 a day with one address, 1,440 with five.
    # https://www.infomaniak.com/en/support/faq/2065/understanding-the-24-hour-outgoing-email-limit
    "infomaniak": Preset(server="mail.infomaniak.com", port=465, tls="tls", rate_per_day=400),
    # 100 a day for a mailbox that comes with web hosting, 1,000 for one that is paid for.
    # https://nanopo.st/hosting/hostinger/
    "hostinger": Preset(server="smtp.hostinger.com", port=465, tls="tls", rate_per_day=80),
    # The programs with which hosts run their servers. The server is often mail. and the domain.
    "cpanel": _shared(""),
    "plesk": _shared(""),
    # It counts by the day: https://www.weboke.nl/knowledgebase/31/ has 300.
    "directadmin": Preset(server="", port=465, tls="tls", rate_per_day=250),
}
"""What is known of each provider, by the name that `[mail] preset` takes."""
