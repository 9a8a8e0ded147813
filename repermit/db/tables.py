"""The tables: lists, contacts, campaigns, mails, evidence.

Enumerations are kept as their own words.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Self

from peewee import (
    OP,
    SQL,
    AutoField,
    BigAutoField,
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    Expression,
    Field,
    ForeignKeyField,
    IntegerField,
    Model,
    ModelObjectCursorWrapper,
    ModelSelect,
    Node,
    SmallIntegerField,
    TextField,
)

from repermit.db.connection import chunks, proxy, run_sql
from repermit.db.prepared_query import PreparedQuery
from repermit.errors import NotFound

_ID_BYTES = 16


def new_id() -> str:
    """Return 128 random bits as 32 hex digits."""
    return secrets.token_hex(_ID_BYTES)


class UTCDateTimeField(Field):
    """A moment, aware UTC, to the microsecond.

    On SQLite it is text of one width, so that text order is time order; on PostgreSQL it is
    a timestamptz.
    """

    field_type = "UTCDATETIME"

    def db_value(self, value: datetime | None) -> str | None:
        """Return the moment as text; refuses a naive one."""
        return None if value is None else stored(value)

    def python_value(self, value: str | datetime | None) -> datetime | None:
        """Return the moment as an aware datetime."""
        return None if value is None else read_moment(value)


def read_moment(value: str | datetime) -> datetime:
    """Return a moment as the database gives it, aware UTC."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC)


def stored(moment: datetime) -> str:
    """Return how a moment is written in the database; raises ValueError for a naive one."""
    if moment.tzinfo is None:
        message = "a moment without a time zone cannot be stored"
        raise ValueError(message)
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment(*, index: bool = False) -> Field[datetime]:
    """Return a column for a moment."""
    return UTCDateTimeField(index=index)


def moment_or_none() -> Field[datetime | None]:
    """Return a column for a moment that may not have come."""
    return UTCDateTimeField(null=True)


class _WholeRows(ModelSelect):
    """A query for whole rows; their columns are named at once, which was half of composing it."""

    _returning: Any
    _joins: Any

    def __sql_selection__(self, ctx: Any, is_subquery: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Add the columns to the statement that is being composed."""
        meta = self.model._meta  # noqa: SLF001  peewee's own way
        if is_subquery or not self._is_whole():
            return super().__sql_selection__(ctx, is_subquery)
        alias = ctx.alias_manager[meta.table]
        columns = (f'"{alias}"."{field.column_name}"' for field in meta.sorted_fields)
        return ctx.literal(", ".join(columns))

    def _is_whole(self) -> bool:
        return tuple(self._returning) == tuple(self.model._meta.sorted_fields)  # noqa: SLF001

    def _get_model_cursor_wrapper(self, cursor: Any) -> Any:
        if self._joins or not self._is_whole():
            return super()._get_model_cursor_wrapper(cursor)  # type: ignore[misc]
        return _WholeRowsCursor(cursor, self.model, self._returning, self.model)


class _WholeRowsCursor(ModelObjectCursorWrapper):
    """Makes the rows that a query finds, and does not set their fields one by one."""

    def initialize(self) -> None:
        """Learn what the columns are."""
        self._columns = _columns_of(self.model)

    def process_row(self, row: Sequence[Any]) -> Any:
        """Return a row."""
        made = self.model.__new__(self.model)
        made.__data__ = {
            name: value if value is None or type(value) is kind else convert(value)
            for (name, kind, convert), value in zip(self._columns, row, strict=True)
        }
        made.__rel__, made._dirty = {}, set()  # noqa: SLF001
        return made


@cache
def _columns_of(table: type[Table]) -> list[tuple[str, type[Any] | None, Callable[[Any], Any]]]:
    """Return each column's field, the type whose values stay as they are, and what converts."""
    fields = table._meta.sorted_fields  # noqa: SLF001  peewee's own way
    return [(field.name, _kind_of(field), field.python_value) for field in fields]


def _kind_of(field: Field[Any]) -> type[Any] | None:
    """Return the type of the values of a field that stay as the database gives them."""
    kinds = ((CharField, str), (TextField, str), (BooleanField, bool), (IntegerField, int))
    return next((kind for field_type, kind in kinds if isinstance(field, field_type)), None)


class Table(Model):
    """What all tables share."""

    if TYPE_CHECKING:
        DoesNotExist: ClassVar[type[Exception]]
        _dirty: set[str]

    class Meta:
        """Bind to the database in use."""

        database = proxy
        legacy_table_names = False
        only_save_dirty = True

    @classmethod
    def select(cls, *fields: Any) -> Any:
        """Return a query for whole rows, or for these of their fields."""
        if fields:
            return super().select(*fields)
        return _WholeRows(cls, cls._meta.sorted_fields, is_default=True)

    @classmethod
    def get(cls, *query: Any, **filters: Any) -> Self:
        """Return the row for which these conditions hold; raises DoesNotExist if there is none."""
        if filters or not query or not all(map(_is_equality, query)):
            return super().get(*query, **filters)
        find = _find_by(cls, *(condition.lhs.name for condition in query))
        row: Self | None = find.first(*(condition.rhs for condition in query))
        if row is None:
            raise cls.DoesNotExist
        return row

    def write_changes(self) -> None:
        """Write what has changed of this row, which stands in the database; quicker than `save`."""
        meta = self._meta
        changed = [field for field in meta.sorted_fields if field.name in self._dirty]
        if not changed:
            return
        mark, key = proxy.obj.param, meta.primary_key
        set_ = ", ".join(f"{_name(field)} = {mark}" for field in changed)
        statement = f'UPDATE "{meta.table_name}" SET {set_} WHERE {_name(key)} = {mark}'  # noqa: S608
        values = [field.db_value(self.__data__[field.name]) for field in (*changed, key)]
        run_sql(proxy.obj, statement, *values)
        self._dirty.clear()

    @classmethod
    def insert_rows(
        cls,
        fields: Sequence[Any],
        rows: Iterable[Sequence[Any]],
        *,
        unique: Sequence[Any] = (),
        replace: Sequence[Any] = (),
    ) -> None:
        """Insert rows of these fields; `insert_many` makes a node of each value, which takes long.

        - `rows`: the values, as the database keeps them.
        - `unique`: by which fields a row may be there already, which takes over those of `replace`.
        """
        marks = f"({', '.join([proxy.obj.param] * len(fields))})"
        into = f'INSERT INTO "{cls._meta.table_name}" ({_names(fields)}) VALUES '  # noqa: S608
        changes = ", ".join(f"{name} = excluded.{name}" for name in map(_name, replace))
        then = f" ON CONFLICT ({_names(unique)}) DO UPDATE SET {changes}" if unique else ""
        for some in chunks(list(rows), _ROWS):
            statement = into + ", ".join([marks] * len(some)) + then
            run_sql(proxy.obj, statement, *chain.from_iterable(some))


def _is_equality(condition: Any) -> bool:
    """Say whether a condition compares a column with a value, which is not null."""
    if not isinstance(condition, Expression) or condition.op != OP.EQ:
        return False
    field, value = condition.lhs, condition.rhs
    if isinstance(value, Model):
        return isinstance(field, ForeignKeyField)
    return isinstance(field, Field) and not isinstance(value, Node)


@cache
def _find_by(table: type[Table], *names: str) -> PreparedQuery:
    """Return the query for the row of a table whose fields of these names have certain values."""
    fields = [getattr(table, name) for name in names]

    def compose(*values: Any) -> Any:
        equal = (field == value for field, value in zip(fields, values, strict=True))
        return table.select().where(*equal).limit(1)

    return PreparedQuery(compose, len(names))


_ROWS = 500
"""Of a statement: it may have so many values on every database."""


def _names(fields: Iterable[Any]) -> str:
    return ", ".join(map(_name, fields))


def _name(field: Any) -> str:
    return f'"{field.column_name}"'


class Meta(Table):
    """Facts about the database itself, such as its version."""

    key = CharField(primary_key=True)
    value = TextField()


class MailingList(Table):
    """One purpose, as the person reads it; one privacy statement; one sender.

    `lost_launch_at` is when a campaign was launched, or may have been, of which the database knows
    nothing, since it was restored from an older copy; null once it has been dealt with.
    """

    id = AutoField()
    slug = CharField(unique=True)
    name = TextField()
    purpose = TextField(default="")
    frequency = TextField(default="")
    privacy_url = TextField(default="")
    language = CharField(default="nl")
    sender = TextField(default="")
    sensitive = BooleanField(default=False)
    receipts = BooleanField(default=True)
    own_subject = TextField(default="")
    own_text = TextField(default="")
    own_html = TextField(default="")
    created_at = moment()
    lost_launch_at = moment_or_none()


class Import(Table):
    """One file taken in; until its task is done, only a part of it is."""

    if TYPE_CHECKING:
        list_id: int

    id = AutoField()
    list = ForeignKeyField(MailingList, backref="imports")
    file = TextField()
    digest = CharField(max_length=64)
    counts = TextField()
    at = moment()
    undone_at = moment_or_none()


class ImportChange(Table):
    """How a contact was that an import changed, by whose number it is put back if it is undone."""

    id = BigAutoField()
    record = ForeignKeyField(Import, index=False)
    contact = BigIntegerField()
    status = CharField()
    status_at = moment()
    basis = CharField(default="")
    basis_at = moment_or_none()

    class Meta:
        """Found a step at a time."""

        indexes = ((("record", "id"), False),)


class Contact(Table):
    """One address on one list.

    `address` and `name` are null after erasure, and `address_key` then holds the uid, so that it
    stays unique. `basis` says on what ground a confirmed or customer contact may be mailed.
    `form_version` grows with each press and answer of the person, so that the forms of a page are
    good for one press; `has_refused` says that a No was ever recorded of them, but for what a file
    says, which may be taken back. `has_predecessor` says that the record under its `subject` began
    under another address, or before an erasure.
    """

    if TYPE_CHECKING:
        list_id: int
        imported_by_id: int | None

    id = BigAutoField()
    list = ForeignKeyField(MailingList, backref="contacts", index=False)
    uid = CharField(max_length=32, unique=True)
    subject = CharField(max_length=32)
    address = TextField(null=True)
    address_key = TextField()
    name = TextField(default="")
    language = CharField(default="")
    source = TextField(default="")
    since = moment_or_none()
    status = CharField()
    status_at = moment()
    reason = CharField(default="")
    basis = CharField(default="")
    basis_at = moment_or_none()
    imported_by = ForeignKeyField(Import, null=True, index=False)
    erased_at = moment_or_none()
    form_version = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])
    has_refused = BooleanField(default=False, constraints=[SQL("DEFAULT FALSE")])
    has_predecessor = BooleanField(default=False, constraints=[SQL("DEFAULT FALSE")])

    class Meta:
        """One row for each address of a list; counts and pages by status use the second index."""

        indexes = ((("list", "address_key"), True), (("list", "status", "reason", "id"), False))


# An import's are found by it, and at once whether anything has happened to one of them since.
Contact.add_index(
    Contact.imported_by,
    Contact.status_at,
    Contact.id,
    name="contact_imported",
    where=SQL("imported_by_id IS NOT NULL"),
)
Contact.add_index(Contact.list, name="contact_erased", where=SQL("erased_at IS NOT NULL"))
# Only these are sought by their subject. Of all contacts the index would slow an import down by a
# third or more, since each random subject belongs on another page of it.
Contact.add_index(
    Contact.subject,
    name="contact_subject",
    where=SQL("has_predecessor OR erased_at IS NOT NULL"),
)
# Who is to be erased is found at once among a million, and so is whose proof may end.
Contact.add_index(
    Contact.list,
    Contact.status_at,
    Contact.id,
    name="contact_to_erase",
    where=SQL("status = 'removed' AND erased_at IS NULL"),
)
Contact.add_index(
    Contact.status_at, Contact.id, name="contact_removed", where=SQL("status = 'removed'")
)


class SignUp(Table):
    """A sign-up, or a late Yes, that its address has not confirmed yet.

    `doubted_at` is when a Yes was last asked for again, `declined_at` when somebody said since not
    to want it. `form_version` grows with each press on its page.
    """

    if TYPE_CHECKING:
        list_id: int

    id = BigAutoField()
    list = ForeignKeyField(MailingList, backref="sign_ups")
    uid = CharField(max_length=32, unique=True)
    address = TextField()
    address_key = TextField(index=True)
    name = TextField(default="")
    language = CharField(default="")
    at = moment()
    confirmed_at = moment_or_none()
    declined_at = moment_or_none()
    doubted_at = moment_or_none()
    form_version = IntegerField(default=0, constraints=[SQL("DEFAULT 0")])


# What nobody confirms is forgotten: it is found at once among the many that were confirmed.
SignUp.add_index(SignUp.at, name="sign_up_unconfirmed", where=SQL("confirmed_at IS NULL"))


class Campaign(Table):
    """One asking of a list's unconfirmed contacts.

    `paused_from` is the state to go back to, and `pause_reason` a consent.PauseReason if it paused
    by itself. `minimum_days` is the setting as it was at launch. `downtime` is how many seconds in
    all the answer pages were down since its start. After `pilot` people it waits for the admin, 0
    for none. At `reminder_at` those who have not answered are reminded, never if null, and nobody
    is left to remind since `reminded_at`. The `brake_` counts are what the admin knew of when the
    campaign went on after too many bounces.
    """

    if TYPE_CHECKING:
        list_id: int

    id = AutoField()
    list = ForeignKeyField(MailingList, backref="campaigns")
    state = CharField()
    paused_from = CharField(default="")
    pause_reason = CharField(default="")
    deadline = moment()
    launched_at = moment()
    starts_at = moment()
    opened_at = moment_or_none()
    closed_at = moment_or_none()
    include_thin = BooleanField(default=False)
    minimum_days = IntegerField()
    downtime = IntegerField(default=0)
    pilot = IntegerField(default=0)
    reminder_at = moment_or_none()
    reminded_at = moment_or_none()
    brake_sent = IntegerField(default=0)
    brake_bounced = IntegerField(default=0)
    brake_complaints = IntegerField(default=0)


Campaign.add_index(
    Campaign.list,
    unique=True,
    name="campaign_one_live",
    where=SQL("state IN ('scheduled', 'sending', 'paused', 'open')"),
)


class Wording(Table):
    """The exact text of a mail or page, stored once under its SHA-256."""

    digest = CharField(max_length=64, primary_key=True)
    content = TextField()


class CampaignWording(Table):
    """Which wording a campaign uses in which language.

    A new `revision` (counting from 1) is for the mails that are made from then on, as after a
    change of the deadline.
    """

    if TYPE_CHECKING:
        campaign_id: int
        wording_id: str

    id = AutoField()
    campaign = ForeignKeyField(Campaign, backref="wordings")
    kind = CharField()
    language = CharField()
    revision = SmallIntegerField(default=1)
    wording = ForeignKeyField(Wording)

    class Meta:
        """One wording for each kind, language and revision."""

        indexes = ((("campaign", "kind", "language", "revision"), True),)


class Mail(Table):
    """One message owed.

    `message_id` is the same for every attempt. `reply_code` and `reply_status` are the server's
    codes only, since its words quote addresses. `wording` is the one that this very mail was made
    from, null before. `bounce` is a consent.BounceKind that came after a server had accepted it,
    with its status code. `topic` says what a `notice` is about.
    """

    if TYPE_CHECKING:
        list_id: int
        campaign_id: int | None
        contact_id: int | None
        sign_up_id: int | None
        wording_id: int | None

    id = BigAutoField()
    list = ForeignKeyField(MailingList, index=False)
    campaign = ForeignKeyField(Campaign, null=True, backref="mails", index=False)
    contact = ForeignKeyField(Contact, null=True, backref="mails", on_delete="CASCADE")
    sign_up = ForeignKeyField(SignUp, null=True, on_delete="CASCADE")
    kind = CharField()
    state = CharField(default="queued")
    reason = CharField(default="")
    due_at = moment()
    attempts = SmallIntegerField(default=0)
    worker = CharField(default="")
    lease_until = moment_or_none()
    started_at = moment_or_none()
    sent_at = moment_or_none()
    reply_code = SmallIntegerField(default=0)
    reply_status = CharField(default="")
    message_id = TextField()
    wording = ForeignKeyField(CampaignWording, null=True, index=False)
    bounce = CharField(default="")
    bounce_status = CharField(default="")
    bounced_at = moment_or_none()
    topic = CharField(default="")

    class Meta:
        """Counts come by campaign."""

        indexes = ((("campaign", "kind", "state"), False),)


# What is to be done is found at once among a million that are done, and a mail that is on its way
# changes few indexes: its lease stays from its claim to its outcome.
Mail.add_index(
    Mail.kind,
    Mail.campaign,
    Mail.due_at,
    Mail.id,
    name="mail_queued",
    where=SQL("state = 'queued'"),
)
# What somebody has just asked for comes before all else, in each claim.
Mail.add_index(
    Mail.kind,
    Mail.due_at,
    Mail.id,
    name="mail_personal",
    where=SQL("state = 'queued' AND kind IN ('confirm', 'receipt', 'notice')"),
)
Mail.add_index(Mail.worker, name="mail_leased", where=SQL("lease_until IS NOT NULL"))
Mail.add_index(Mail.list, Mail.id, name="mail_in_doubt", where=SQL("state = 'in_doubt'"))
Mail.add_index(Mail.campaign, name="mail_bounced", where=SQL("bounce <> ''"))
Mail.add_index(Mail.list, name="mail_put_off", where=SQL("state = 'queued' AND reply_code >= 500"))

Mail.add_index(
    Mail.campaign,
    Mail.contact,
    Mail.kind,
    unique=True,
    name="mail_asked_once",
    where=SQL("kind IN ('ask', 'reminder')"),
)


class Pace(Table):
    """When the next mail of a scope may be claimed: "" for all mails, or a domain."""

    scope = CharField(primary_key=True)
    next_at = moment()


class Reply(Table):
    """What a person wrote back, for the admin to decide: a plain Yes or No, or something else.

    `proposed` is the answer that it seems to give, "" for none; nothing of its text is kept.
    """

    if TYPE_CHECKING:
        list_id: int
        contact_id: int

    id = BigAutoField()
    list = ForeignKeyField(MailingList, index=False)
    contact = ForeignKeyField(Contact, on_delete="CASCADE")
    message_digest = CharField(max_length=64, unique=True)
    proposed = CharField(default="")
    at = moment()
    decided_at = moment_or_none()


class Suppression(Table):
    """The fingerprint of an address that is not asked again, for its list or (null) for all."""

    if TYPE_CHECKING:
        list_id: int | None
        imported_by_id: int | None

    id = BigAutoField()
    list = ForeignKeyField(MailingList, null=True, index=False)
    fingerprint = CharField(max_length=64)
    subject = CharField(max_length=32)
    reason = CharField()
    at = moment()
    imported_by = ForeignKeyField(Import, null=True, index=False)

    class Meta:
        """One for each address of a list."""

        indexes = ((("fingerprint", "list"), True),)


Suppression.add_index(
    Suppression.imported_by,
    Suppression.subject,
    name="suppression_imported",
    where=SQL("imported_by_id IS NOT NULL"),
)


class EvidenceHead(Table):
    """The newest entry; its one row is the lock under which entries are appended.

    `root` is that of the Merkle tree over all leaves; `frontier` are the hashes of the perfect
    subtrees it consists of, the largest first, in hex without anything between them.
    """

    id = IntegerField(primary_key=True)
    seq = BigIntegerField()
    hash = CharField(max_length=64)
    root = CharField(max_length=64, default="")
    frontier = TextField(default="")


class Evidence(Table):
    """One entry of the record. A part's digest is "" if the entry has no such part."""

    seq = BigIntegerField(primary_key=True)
    at = moment()
    event = CharField()
    list = CharField(default="")
    campaign = IntegerField(default=0)
    subject = CharField(max_length=32, default="", index=True)
    actor = CharField()
    consent = CharField(max_length=64, default="")
    person = CharField(max_length=64, default="")
    trace = CharField(max_length=64, default="")
    hash = CharField(max_length=64)


Evidence.add_index(Evidence.list, name="evidence_still_mailed", where=SQL("event = 'still_mailed'"))
Evidence.add_index(
    Evidence.list, name="evidence_not_the_person", where=SQL("event = 'not_the_person'")
)


class EvidenceNode(Table):
    """A perfect subtree of the Merkle tree: the 2^level leaves from place · 2^level on."""

    level = SmallIntegerField()
    place = BigIntegerField()
    hash = CharField(max_length=64)

    class Meta:
        """Found by where it stands."""

        primary_key = CompositeKey("level", "place")


class EvidencePart(Table):
    """A personal part of an entry, which may be erased by itself."""

    id = BigAutoField()
    seq = BigIntegerField()
    part = CharField()
    salt = CharField(max_length=32)
    json = TextField()

    class Meta:
        """One of each kind for an entry."""

        indexes = ((("seq", "part"), True),)


# The oldest that is still there is found at once.
EvidencePart.add_index(EvidencePart.seq, name="evidence_part_trace", where=SQL("part = 'trace'"))


def find_list(slug: str) -> MailingList:
    """Return the list of this name; raises NotFound."""
    found: MailingList | None = MailingList.get_or_none(MailingList.slug == slug)
    if found is None:
        raise NotFound(
            "there is no list %(list)s; `repermit list add %(list)s …` makes one",
            code="no_list",
            list=slug,
        )
    return found


def latest_campaign(mailing_list: MailingList) -> Campaign | None:
    """Return the list's live campaign, or else the last one, or None."""
    found: Campaign | None = (
        Campaign.select().where(Campaign.list == mailing_list).order_by(Campaign.id.desc()).first()
    )
    return found
