"""What can go wrong, as one tree. Imports nothing.

::

    RepermitError              anything that repermit itself says no to
    ├── Refused                the request is understood and declined, with the reason
    │   ├── NotFound           there is no such list, contact or file
    │   ├── ConfigError        a setting is missing, unknown or makes no sense   .key
    │   ├── LaunchRefused      a campaign may not start                          .reasons
    │   ├── TransitionRefused  a status or state may not follow another one
    │   ├── SchemaTooNew       the database was written by a later repermit
    │   └── NotAllowed         a webhook would go where none may
    ├── ListFileError          a file cannot be read         .line .column .expected
    ├── AddressError           a mail address cannot be used                     .reason
    ├── WordingError           a mail's own wording may not be used              .reasons
    ├── LinkError              a link is forged, cut off or unknown
    ├── DatabaseBusy           somebody else holds the database for too long
    └── TransportError         a mail was not accepted       .code .status .scope .permanent
        └── OutcomeUnknown     the server may or may not have accepted the mail
"""

from __future__ import annotations


class RepermitError(Exception):
    """Anything that repermit itself says no to; its text is fit to be shown to the admin."""


class Refused(RepermitError):
    """The request is understood and declined; the text gives the reason."""


class NotFound(Refused):
    """There is no such list, contact, campaign or file."""


class ConfigError(Refused):
    """A setting is missing, unknown or makes no sense."""

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(message)
        self.key = key


class LaunchRefused(Refused):
    """A campaign may not start; `reasons` holds every reason found, in the order of the checks."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


class TransitionRefused(Refused):
    """A status or state may not follow another one."""


class SchemaTooNew(Refused):
    """The database was written by a later version of repermit."""


class NotAllowed(Refused):
    """A webhook would go where none may; the text says where that is."""


class ListFileError(RepermitError):
    """A file cannot be read: where (1-based; 0 if not tied to a place) and what was expected."""

    def __init__(self, reason: str, *, line: int = 0, column: int = 0, expected: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.column = column
        self.expected = expected

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line else ""
        if self.column:
            place += f", column {self.column}"
        text = f"{place}: {self.reason}" if place else self.reason
        return f"{text}; expected {self.expected}" if self.expected else text


class AddressError(RepermitError):
    """A mail address cannot be used; `reason` is a short sentence without the address itself."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class WordingError(RepermitError):
    """A mail's own wording may not be used; `reasons` names everything that is missing or wrong."""

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


class LinkError(RepermitError):
    """A link is forged, cut off or unknown; deliberately says no more than that."""


class DatabaseBusy(RepermitError):
    """Somebody else has held the database for so long that nothing was written; try again later."""


class TransportError(RepermitError):
    """A mail was surely not accepted.

    `code` is the SMTP reply code (0: there was no reply), `status` the enhanced status code
    of RFC 3463 ("5.1.1", or "" if none was given). `scope` says whose fault it is: "recipient",
    "message" or "server", or "policy", which may be the server's or stand against one recipient
    only. `permanent` is true if trying again cannot help.
    The server's words are not kept: they quote addresses. `reason` is a sentence of ours.
    """

    def __init__(
        self,
        code: int,
        status: str = "",
        *,
        scope: str = "server",
        permanent: bool = False,
        reason: str = "",
    ) -> None:
        said = f"{code or ''} {status}".strip() or "no reply"
        super().__init__(f"{reason} ({said})" if reason else said)
        self.code = code
        self.status = status
        self.scope = scope
        self.permanent = permanent


class OutcomeUnknown(TransportError):
    """The whole mail was handed over, but the reply to it was lost (RFC 5321 §4.5.3.2.6)."""
