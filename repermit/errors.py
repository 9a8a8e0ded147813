"""All errors that repermit raises, as one tree.

::

    RepermitError              any error of repermit's own
    ├── Refused                the request is understood and declined, with the reason
    │   ├── NotFound           there is no such list, contact or file
    │   ├── ConfigError        a setting is missing, unknown or makes no sense   .key
    │   ├── LaunchRefused      a campaign may not start                          .reasons
    │   ├── TransitionRefused  a status or state may not follow another one
    │   ├── SchemaTooNew       the database was written by a later repermit
    │   ├── SchemaTooOld       the database is older than any that this repermit upgrades
    │   ├── NotAllowed         a webhook's address is not allowed
    │   ├── ChoiceRefused      chosen settings make no sense                     .errors
    │   └── ChangedMeanwhile   what a form showed has been changed meanwhile
    ├── ListFileError          a file cannot be read         .line .column .expected
    ├── AddressError           a mail address cannot be used                     .reason
    ├── WordingError           a mail's own wording may not be used              .reasons
    │   └── MailTooLarge       a mail can grow so large that programs cut it off
    ├── LinkError              a link is forged, cut off or unknown
    ├── DatabaseBusy           the database is locked or overloaded for too long
    │   └── JournalRefused     the journal of suppressions cannot be written
    └── TransportError         a mail was not accepted       .code .status .scope .permanent
        └── OutcomeUnknown     the server may or may not have accepted the mail
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.i18n.lazy_text import LazyJoin, LazyText

if TYPE_CHECKING:
    from repermit.i18n.lazy_text import Value


class RepermitError(Exception):
    """An error of repermit's own; its text may be shown to the admin.

    - `said`: the text, given as a template with values or as a LazyText; pages translate it.
    """

    def __init__(self, said: str = "", /, *, cli: str = "", **values: Value) -> None:
        self.said = (
            said if isinstance(said, LazyText) else LazyText(said, code="", cli=cli, **values)
        )
        super().__init__(self.said)


class Refused(RepermitError):
    """The request is understood and declined; the text gives the reason."""


class NotFound(Refused):
    """There is no such list, contact, campaign or file."""


class ConfigError(Refused):
    """A setting is missing, unknown or makes no sense.

    - `key`: its dotted name, which the text may use.
    """

    def __init__(self, said: str, /, *, key: str = "", cli: str = "", **values: Value) -> None:
        super().__init__(said, cli=cli, **{"key": key, **values} if "%(" in said + cli else {})
        self.key = key


class LaunchRefused(Refused):
    """A campaign may not start; `reasons` has all reasons, in the order of the checks."""

    def __init__(self, reasons: tuple[LazyText, ...]) -> None:
        super().__init__("%(reasons)s", reasons=LazyJoin(reasons, by="\n"))
        self.reasons = reasons


class TransitionRefused(Refused):
    """A status or state may not follow another one."""


class SchemaTooNew(Refused):
    """The database was written by a later version of repermit."""


class SchemaTooOld(Refused):
    """The database is older than the oldest that this repermit upgrades."""


class NotAllowed(Refused):
    """A webhook's address is not allowed; the text says why."""


class ChoiceRefused(Refused):
    """Chosen settings make no sense; `errors` has all problems, each with a key."""

    def __init__(self, errors: tuple[ConfigError, ...]) -> None:
        texts = tuple(error.said for error in errors)
        super().__init__("%(errors)s", errors=LazyJoin(texts, by="\n"))
        self.errors = errors


class ChangedMeanwhile(Refused):
    """What a form showed has been changed since the form was opened."""


class ListFileError(RepermitError):
    """A file cannot be read.

    - `line`, `column`: where, 1-based; 0 without a place.
    - `expected`: what was expected instead.
    """

    def __init__(
        self,
        reason: str,
        /,
        *,
        cli: str = "",
        line: int = 0,
        column: int = 0,
        expected: str = "",
        **values: Value,
    ) -> None:
        super().__init__(reason, cli=cli, **values)
        self.reason = self.said
        self.line = line
        self.column = column
        self.expected = expected if isinstance(expected, LazyText) else LazyText(expected)

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
        self.reason = self.said


class WordingError(RepermitError):
    """A mail's own wording may not be used; `reasons` has everything missing or wrong."""

    def __init__(self, reasons: tuple[LazyText, ...]) -> None:
        super().__init__("%(reasons)s", reasons=LazyJoin(reasons, by="\n"))
        self.reasons = reasons


class MailTooLarge(WordingError):
    """A mail can grow so large that mail programs cut it off."""


class LinkError(RepermitError):
    """A link is forged, cut off or unknown; deliberately says no more than that."""


class DatabaseBusy(RepermitError):
    """The database is locked or overloaded for too long; nothing was written, so try later."""


class JournalRefused(DatabaseBusy):
    """The journal of suppressions cannot be written, so nothing was changed; try again later."""


class TransportError(RepermitError):
    """A mail was certainly not accepted.

    - `code`: the SMTP reply code; 0 without a reply.
    - `status`: the enhanced status code of RFC 3463 ("5.1.1"); "" without one.
    - `scope`: what the fault concerns: "recipient", "message", "server", or "policy", which may be
      about the server or about one recipient.
    - `permanent`: whether trying again cannot help.
    - `reason`: a sentence of repermit's, as the server's words quote addresses.
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
        reply = f"{code or ''} {status}".strip() or LazyText("no reply")
        said = LazyText("%(reason)s (%(reply)s)", reason=reason, reply=reply) if reason else reply
        super().__init__(said)
        self.code = code
        self.status = status
        self.scope = scope
        self.permanent = permanent


class OutcomeUnknown(TransportError):
    """The whole mail was handed over, but the reply to it was lost (RFC 5321 §4.5.3.2.6)."""
