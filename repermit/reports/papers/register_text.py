"""The record of processing activities in words."""

from __future__ import annotations

from collections.abc import Iterator

from repermit.reports.papers.blocks import (
    Block,
    Fields,
    Gap,
    Grid,
    Kind,
    Paper,
    Points,
    Section,
    Text,
    Value,
)
from repermit.reports.papers.data_recipients import Recipient
from repermit.reports.papers.json_document import as_document
from repermit.reports.papers.processing_record import Register
from repermit.reports.papers.register_lines import (
    bases,
    categories_of_data,
    categories_of_people,
    measure_lines,
    retention_rows,
    roles,
)
from repermit.reports.papers.report_wording import Words


def register_paper(register: Register, words: Words) -> Paper:
    """Return the record as a paper; what only the organisation knows is a gap until it is said."""
    _ = words.gettext
    sections = tuple(_sections(register, words))
    paper = Paper(
        kind=Kind.REGISTER,
        language=words.language,
        title=_("Record of processing activities"),
        subtitle=register.name,
        sections=sections,
        made_at=register.made_at,
        made_line=_("As it stood on %(moment)s.", moment=words.moment(register.made_at)),
        foot=_(
            "Made by repermit from its settings and database; it knows of this list alone. GDPR "
            "art. 30(1)."
        ),
    )
    missing = [gap.key for gap in paper.gaps]
    document = {**as_document(register), "missing": missing}
    return Paper(**{**vars(paper), "document": document})


def _sections(register: Register, words: Words) -> Iterator[Section]:
    _ = words.gettext
    yield Section(
        _("Who is responsible"), (Fields(tuple(_controller(register, words))),), "art. 30(1)(a)"
    )
    yield Section(_("What for"), tuple(_what_for(register, words)), "art. 30(1)(b)")
    yield Section(_("On what ground"), tuple(_grounds(register, words)), "art. 5(2), 6, 9")
    yield Section(
        _("Whose data, and which"),
        (
            Grid(
                titles=(_("People"), _("Number")),
                rows=tuple(categories_of_people(register.held, words)),
                numbers=frozenset({1}),
            ),
            Grid(
                titles=(_("Data"), _("Held of")),
                rows=tuple(categories_of_data(register.held, words)),
                numbers=frozenset({1}),
            ),
            Text(
                words.ngettext(
                    "Of who answers on a page also the network in part and the browser, and how "
                    "often the links of their mail were opened, for one day.",
                    "Of who answers on a page also the network in part and the browser, and how "
                    "often the links of their mail were opened, for %(count)s days.",
                    register.trace_days,
                )
            ),
            Text(
                _(
                    "Of whoever signed up elsewhere, as a file shows, also the IP address of that "
                    "sign-up if the file has it: as long as their address and name are held."
                )
            ),
            *_special(register, words),
        ),
        "art. 30(1)(c)",
    )
    yield Section(_("Who gets data"), tuple(_recipients(register, words)), "art. 30(1)(d), 28")
    yield Section(_("Third countries"), tuple(_transfers(register, words)), "art. 30(1)(e), 44–49")
    yield Section(
        _("How long data are kept"),
        (
            Grid(
                titles=(_("What"), _("How long"), _("Why")),
                rows=tuple(retention_rows(register, words)),
            ),
        ),
        "art. 30(1)(f)",
    )
    yield Section(
        _("How data are protected"), tuple(_measures(register, words)), "art. 30(1)(g), 32"
    )


def _controller(register: Register, words: Words) -> Iterator[tuple[str, Value]]:
    _, known = words.gettext, register.controller
    yield _("Controller"), known["name"] or Gap("organisation.name", _("name, in the settings"))
    yield (
        _("Postal address"),
        known["address"] or Gap("organisation.address", _("address, in the settings")),
    )
    for name, title in (
        ("email", _("E-mail address")),
        ("telephone", _("Telephone")),
        ("website", _("Website")),
    ):
        if known[name]:
            yield title, known[name]
    yield _("Data protection officer"), known["officer"] or _("none named in the settings")
    yield (
        _("Authority"),
        " ".join(filter(None, (known["authority"], known["authority_url"])))
        or Gap("organisation.authority", _("authority, in the settings")),
    )
    yield (
        _("Joint controllers"),
        register.joint_controllers
        or Gap("joint-controllers", _("who else decides on this list, or “none”")),
    )
    if register.representative:
        yield _("Representative in the Union"), register.representative


def _what_for(register: Register, words: Words) -> Iterator[Block]:
    """Yield the purpose, and then as it is said in each language where there are several."""
    _ = words.gettext
    yield Fields(tuple(_purpose(register, words)))
    often = (_("How often"),) if register.frequency else ()
    if register.texts:
        yield Grid(
            titles=(
                _("Language"),
                _("Purpose, as people read it"),
                *often,
                _("Privacy statement"),
            ),
            rows=tuple(
                (
                    words.tongue(one.language),
                    one.purpose,
                    *((one.frequency,) if often else ()),
                    one.privacy_url,
                )
                for one in register.texts
            ),
        )


def _purpose(register: Register, words: Words) -> Iterator[tuple[str, Value]]:
    _ = words.gettext
    yield _("List"), register.name
    yield (
        _("Purpose, as people read it"),
        register.purpose or Gap("list.purpose", _("purpose, of the list")),
    )
    if register.frequency:
        yield _("How often"), register.frequency
    yield (
        _("Privacy statement"),
        register.privacy_url or Gap("list.privacy_url", _("address, of the list")),
    )


def _grounds(register: Register, words: Words) -> Iterator[Block]:
    _, known = words.gettext, bases(words)
    yield Points(tuple(known[base] for base in register.legal_bases))
    if register.attest:
        yield Fields(((_("Attested when people were asked"), register.attest),))


def _special(register: Register, words: Words) -> Iterator[Block]:
    _ = words.gettext
    if register.sensitive:
        yield Text(
            _(
                "Being on this list says something about health, belief or another matter of GDPR "
                "art. 9: all of these data are special categories."
            ),
            "warning",
        )
    else:
        yield Text(_("No special categories (GDPR art. 9): the list is not marked as sensitive."))


def _recipients(register: Register, words: Words) -> Iterator[Block]:
    _ = words.gettext
    titles = (_("What for"), _("Who"), _("Agreement (art. 28(3))"), _("Country"))
    rows = tuple(_recipient(one, words) for one in register.recipients)
    yield Grid(titles=titles, rows=rows)
    yield Text(
        _(
            "A file that was made without the name of a tool is with whoever made it: the evidence "
            "and the closing report name each."
        )
    )


def _recipient(one: Recipient, words: Words) -> tuple[Value, ...]:
    _ = words.gettext
    name: Value = "\n".join(filter(None, (one.name, one.server if one.server != one.name else "")))
    if one.is_own:
        return (
            roles(words)[one.role],
            _("the organisation itself"),
            _("not needed"),
            _country(one, words),
        )
    if not one.name:
        name = Gap(f"{one.key}.name", _("who it is"))
    agreement: Value = one.agreement or Gap(f"{one.key}.agreement", _("day of the agreement"))
    return roles(words)[one.role], name, agreement, _country(one, words)


def _country(one: Recipient, words: Words) -> Value:
    if one.country:
        return words.country(one.country)
    if one.is_own:
        return ""
    return Gap(f"{one.key}.country", words.gettext("country"))


def _transfers(register: Register, words: Words) -> Iterator[Block]:
    _ = words.gettext
    abroad = [one for one in register.recipients if one.is_abroad]
    if abroad:
        yield Grid(
            titles=(_("Who"), _("Country"), _("What allows it")),
            rows=tuple(
                (one.name or one.key, words.country(one.country), _allowed_by(one, words))
                for one in abroad
            ),
        )
    unknown = sum(not one.country and not one.is_own for one in register.recipients)
    if unknown:
        yield Text(
            words.ngettext(
                "Of one recipient the country is not known yet.",
                "Of %(count)s recipients the country is not known yet.",
                unknown,
            )
        )
    if not abroad and not unknown:
        yield Text(_("None: everybody who gets data is in the European Economic Area."))


def _allowed_by(one: Recipient, words: Words) -> Value:
    _ = words.gettext
    if one.safeguard:
        return one.safeguard
    if one.needs_safeguard:
        return Gap(
            f"{one.key}.safeguard",
            _("standard clauses, certification or another safeguard"),
        )
    return _("an adequacy decision (art. 45); see that it still holds and covers them")


def _measures(register: Register, words: Words) -> Iterator[Block]:
    _, lines = words.gettext, measure_lines(register.measures, words)
    yield Points(tuple(line for holds, line in lines if holds))
    lacking = tuple(line for holds, line in lines if not holds)
    if lacking:
        yield Text(_("Not in force, as the settings are:"))
        yield Points(lacking)
    yield Fields(
        (
            (
                _("Other measures"),
                register.other_measures or Gap("measures", _("what you do besides, or “none”")),
            ),
        )
    )
