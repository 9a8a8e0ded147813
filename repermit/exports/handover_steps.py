"""What to do with a tool's file, step by step, in the admin's words.

Names of menus change now and then, so each step also says what is to be reached there. A tool's
help is named where it was found; for what has none, no page was.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from repermit.db.connection import Database
from repermit.db.list_tables import HandedOver
from repermit.db.tables import Campaign
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.exports.tool_formats import Tool, What


def N_(text: str) -> str:  # noqa: N802  the name by which catalogues find a text to be translated
    """Mark a text that a page shows in its own language."""
    return text


def steps(tool: str, what: str, *, slug: str = "LIST") -> tuple[str, ...]:
    """Return what to do with a list's file for `tool`; () for what is not for a tool."""
    return tuple(
        text.command.replace("{tool}", tool).replace("{slug}", slug) for text in _texts(tool, what)
    )


def steps_on_page(tool: str, what: str) -> tuple[str, ...]:
    """Return the same as a page says it, which has buttons for what are commands elsewhere.

    They are English, and stand in the catalogues.
    """
    return tuple(text.page for text in _texts(tool, what))


class _Text(NamedTuple):
    command: str
    page: str


def _texts(tool: str, what: str) -> tuple[_Text, ...]:
    if what == What.KEEP:
        found: tuple[str | _Text, ...] = (*_KEEP[Tool(tool)], *_AFTER_KEEP, _CHECK)
    elif what == What.REMOVED:
        found = (*_REMOVED[Tool(tool)], _NOT_IN_IT, _CHECK)
    else:
        found = ()
    return tuple(one if isinstance(one, _Text) else _Text(one, one) for one in found)


_CHECK = _Text(
    "Check it: export from there the people that your next newsletter goes to, and run "
    "repermit reconcile {slug} FILE",
    N_(
        "Check it: export from there the people that your next newsletter goes to, and compare "
        "that file below with what may be mailed."
    ),
)

# They are suppressed when they come, and never become contacts.
_NOT_IN_IT = N_(
    "People your file already marked as unsubscribed when you first imported it are not in this "
    "list: leave them unsubscribed."
)

_AFTER_KEEP = (
    _Text(
        "An import adds and updates, it takes nobody off. So do this too: "
        "repermit export {slug} removed --for {tool}",
        N_(
            "An import adds and updates, it takes nobody off. So take off who was removed, too: "
            "that file and its steps stand on this page."
        ),
    ),
    N_(
        "Send to those in this file only: until their Yes, nobody else on the old list may get "
        "the newsletter."
    ),
)

# help.smaily.com 16000041863 puts it plainest: whoever is unsubscribed stays so at the next
# import, whoever was deleted is mailed again.
_NOT_DELETE = N_(
    "Unsubscribe these people, do not delete them: an address that is deleted comes back with the"
    " next import, one that is unsubscribed does not."
)

_KEEP: dict[Tool, tuple[str | _Text, ...]] = {
    Tool.MAILCHIMP: (
        N_(
            "In Mailchimp open Audience > All contacts > Add contacts > Import contacts, and "
            "upload this file."
        ),
        N_(
            "Match Email Address. Match the other columns to fields of your own: Full Name, "
            "Language, Basis and Unsubscribe URL to text fields, Opt-in Date to a date field "
            "(YYYY-MM-DD). Do not match Full Name to First Name: it would overwrite what is "
            "there."
        ),
        N_(
            "Choose the status Subscribed, let it update contacts that are there already, and "
            "give them a tag, such as the month of this campaign; send to that tag."
        ),
    ),
    # docs.laposta.nl/article/172: the four steps and the options of the second.
    Tool.LAPOSTA: (
        N_(
            "In Laposta open Relaties > your list > Toevoegen > Bestand importeren, and choose "
            "this file."
        ),
        N_("In step 2 choose that existing relations are updated and new ones are added."),
        N_(
            "In step 3 match email to the address and the other columns to fields of your own; "
            "leave out what you do not need."
        ),
    ),
    # developers.brevo.com, "Import contacts": attributes that do not exist there are ignored.
    Tool.BREVO: (
        N_(
            "In Brevo make the contact attributes that you want to have: FULLNAME, LANGUAGE, "
            "BASIS and UNSUBSCRIBE_URL as text, OPTIN_DATE as a date. Without them these columns "
            "are ignored."
        ),
        N_(
            "Open Contacts > Import contacts and upload this file; its values are divided by "
            "semicolons."
        ),
        N_(
            "Match EMAIL and the attributes, put the contacts on a list of their own, and confirm"
            " that they may be mailed: the column BASIS says who opted in and who is a customer. "
            "Send to that list."
        ),
    ),
    # mailerlite.com/help/how-to-import-subscribers.
    Tool.MAILERLITE: (
        N_(
            "In MailerLite open Subscribers > Add subscribers, choose to import a CSV or Excel "
            "file, and upload this file."
        ),
        N_(
            "Match Email. Match the other columns to fields of your own, not Full name to Name: "
            "it would overwrite what is there."
        ),
        N_("Put them in a group of their own, and send to that group."),
    ),
    Tool.OUTLOOK: (
        N_(
            "In Outlook make an empty folder for contacts, so that nothing in your own contacts "
            "is overwritten."
        ),
        N_(
            "Import this file into that folder. New Outlook and Outlook on the web: People > "
            "Manage contacts > Import contacts. Classic Outlook: File > Open & Export > "
            "Import/Export > Import from another program or file > Comma Separated Values. Look "
            "whether names with accents came well."
        ),
        N_(
            "Make a new contact group (contact list) of the contacts in that folder. A group "
            "holds a limited number: make several if it is full."
        ),
        N_("Write to the new group in Bcc, so that nobody sees the others' addresses."),
        N_("Delete the old group, which still holds everybody; the contacts themselves may stay."),
    ),
}

_REMOVED: dict[Tool, tuple[str | _Text, ...]] = {
    Tool.MAILCHIMP: (
        N_("In Mailchimp open Audience > All contacts > Manage contacts > Unsubscribe addresses."),
        N_(
            "Copy the addresses from this file, without the title, and paste them there, one on a"
            " line."
        ),
        N_("Press Unsubscribe."),
        _NOT_DELETE,
    ),
    # docs.laposta.nl/article/172; article/1117 has the words "uitgeschreven relatie".
    Tool.LAPOSTA: (
        N_("In Laposta give your list a text field named afmelden."),
        N_(
            "Open Relaties > your list > Toevoegen > Bestand importeren, and choose this file. In"
            " step 2 choose that only existing relations are updated; in step 3 match afmelden to"
            " the new field."
        ),
        N_(
            "Select the relations in whose field afmelden stands ja, and choose Uitschrijven, not"
            " Verwijderen."
        ),
        _NOT_DELETE,
    ),
    # help.sendinblue.com (now Brevo) 208773869; the list was called the blacklist then.
    Tool.BREVO: (
        N_("In Brevo open Contacts > Import contacts, upload this file and match EMAIL."),
        N_("Put them on a list that you never send to."),
        N_(
            "Before you confirm, switch on the option to blocklist the imported email contacts. "
            "Without it, this import would do the opposite of what you want."
        ),
        _NOT_DELETE,
    ),
    # mailerlite.com/help/everything-about-unsubscribed-recipients: select, Actions, Unsubscribe.
    Tool.MAILERLITE: (
        N_(
            "In MailerLite make a group that no automation listens to, named for instance take off."
        ),
        N_(
            "Open Subscribers > Add subscribers, upload this file, match Email, and put them in "
            "that group."
        ),
        N_(
            "At once, since until then they count as subscribed: open All subscribers, filter by "
            "that group, select all, and choose Actions > Unsubscribe."
        ),
        _NOT_DELETE,
    ),
    Tool.OUTLOOK: (
        _Text(
            "Outlook cannot unsubscribe anybody: who gets the newsletter is who stands in your "
            "contact group. It is safest to make a new group, from: "
            "repermit export {slug} keep --for outlook",
            N_(
                "Outlook cannot unsubscribe anybody: who gets the newsletter is who stands in your "
                "contact group. It is safest to make a new group, from the file of who may be "
                "mailed."
            ),
        ),
        N_(
            "If you go on with the old group, open it and remove from it every address in this "
            "file. Do not import this file into your contacts."
        ),
        N_(
            "Take these people out of the group, do not delete the contacts: a contact that is "
            "deleted comes back with the next import or synchronisation, and then nobody knows "
            "that it said No."
        ),
    ),
}


# --- Which steps of handing a campaign over are done. ---------------------------------------------


def ticks(campaign: Campaign, tool: str) -> Mapping[str, datetime]:
    """Return when each step of a tool was ticked; what is not there has still to be done."""
    rows = HandedOver.select().where(HandedOver.campaign == campaign, HandedOver.tool == tool)
    return {row.step: row.at for row in rows}


def set_tick(
    database: Database,
    campaign: Campaign,
    *,
    tool: str,
    step: str,
    is_done: bool,
    now: datetime,
    actor: str,
) -> None:
    """Tick a step, or take its tick away; what is so already stays so."""
    own = (HandedOver.campaign == campaign, HandedOver.tool == tool, HandedOver.step == step)
    with database.atomic():
        before = HandedOver.select().where(*own).exists()
        if before is is_done:
            return
        if is_done:
            HandedOver.insert(
                campaign=campaign, tool=tool, step=step, by=actor, at=now
            ).on_conflict_ignore().execute()
        else:
            HandedOver.delete().where(*own).execute()
        chain.append(
            Entry(
                event="handed_over" if is_done else "not_handed_over",
                at=now,
                actor=actor,
                list=campaign.list.slug,
                campaign=campaign.id,
                consent={"tool": tool, "step": step},
            )
        )
