"""The words for what stands in the settings, the database and the lists."""

from __future__ import annotations

from repermit.checks.findings import N_, Area, Verdict, Words

_OK, _WARNING, _PROBLEM, _UNKNOWN = Verdict.OK, Verdict.WARNING, Verdict.PROBLEM, Verdict.UNKNOWN

SETTINGS = {
    # --- The settings.
    "config_ok": Words(
        area=Area.CONFIG, verdict=_OK, found=N_("The settings can be read and make sense.")
    ),
    "config_refused": Words(
        area=Area.CONFIG,
        verdict=_PROBLEM,
        found=N_("The settings cannot be used: %(reason)s."),
        remedy=N_(
            "Mend this in config.toml and check again; config.example.toml explains every key. "
            "Nothing else could be looked at."
        ),
    ),
    "config_organisation": Words(
        area=Area.CONFIG,
        verdict=_PROBLEM,
        found=N_("The settings lack %(keys)s under [organisation]."),
        remedy=N_(
            "Fill them in: people must be told who asks, how to reach them, and the authority "
            "where they can complain (GDPR art. 13 and 14)."
        ),
    ),
    # --- The keys.
    "keys_ok": Words(
        area=Area.KEYS,
        verdict=_OK,
        found=N_("The keys are long enough, and nobody else on this machine can read them."),
    ),
    "keys_readable": Words(
        area=Area.KEYS,
        verdict=_PROBLEM,
        found=N_("Everybody on this machine can read or change %(file)s, which holds secrets."),
        remedy=N_("Ask whoever keeps the server to run: chmod o= %(file)s"),
    ),
    "keys_weak": Words(
        area=Area.KEYS,
        verdict=_WARNING,
        found=N_("%(key)s is short, or not random: somebody could guess it and forge answers."),
        remedy=N_(
            "Before the first campaign, take what a fresh `repermit init` in an empty folder makes "
            "(43 random characters). Once people have links or have said No, add a new last key to "
            "secret_keys instead, and leave fingerprint_key as it is."
        ),
    ),
    "keys_journal": Words(
        area=Area.KEYS,
        verdict=_PROBLEM,
        found=N_("The journal of suppressions %(file)s cannot be written."),
        remedy=N_(
            "Without it nobody could be taken off. Ask whoever keeps the server to let the user "
            "that repermit runs as write that file and its folder, or name another one as "
            "`journal` in config.toml."
        ),
    ),
    # --- The database.
    "database_ok": Words(
        area=Area.DATABASE,
        verdict=_OK,
        found=N_("The database opens, is of this version, and can be written."),
    ),
    "database_old": Words(
        area=Area.DATABASE,
        verdict=_OK,
        found=N_(
            "The database is of version %(version)s, and of %(newest)s from the next command on."
        ),
    ),
    "database_missing": Words(
        area=Area.DATABASE,
        verdict=_PROBLEM,
        found=N_("There is no database yet."),
        remedy=N_("Run `repermit init` in an empty folder, or any command that uses lists."),
    ),
    "database_new": Words(
        area=Area.DATABASE,
        verdict=_PROBLEM,
        found=N_(
            "The database was written by a newer repermit: version %(version)s, not %(newest)s."
        ),
        remedy=N_("Ask whoever keeps the server to install the newer repermit again."),
    ),
    "database_refused": Words(
        area=Area.DATABASE,
        verdict=_PROBLEM,
        found=N_("The database cannot be used: %(reason)s."),
        remedy=N_(
            "Ask whoever keeps the server: is it running, is `database` in config.toml right, and "
            "may the user that repermit runs as read and write it and its folder?"
        ),
    ),
    "database_other_key": Words(
        area=Area.DATABASE,
        verdict=_PROBLEM,
        found=N_("The fingerprints in the database were made with another fingerprint_key."),
        remedy=N_(
            "Put the former key back into config.toml, from your copy: with this one nobody who "
            "said No would be recognised, so that every command is refused."
        ),
    ),
    "database_readable": Words(
        area=Area.DATABASE,
        verdict=_PROBLEM,
        found=N_("Everybody on this machine can read or change the database %(file)s."),
        remedy=N_("Ask whoever keeps the server to run: chmod o= %(file)s"),
    ),
    "database_room": Words(
        area=Area.DATABASE, verdict=_OK, found=N_("There are %(free)s MB free beside the database.")
    ),
    "database_miscounted": Words(
        area=Area.DATABASE,
        verdict=_WARNING,
        found=N_(
            "Counts of contacts and mails that pages show are not what is there (%(counts)s of "
            "them): somebody has written into the database past this program."
        ),
        remedy=N_("`repermit check --recount` counts them anew."),
    ),
    "database_little_room": Words(
        area=Area.DATABASE,
        verdict=_WARNING,
        found=N_("There are only %(free)s MB free beside the database."),
        remedy=N_(
            "Ask whoever keeps the server for more room: a campaign of 100,000 takes some 500."
        ),
    ),
    "database_no_room": Words(
        area=Area.DATABASE,
        verdict=_PROBLEM,
        found=N_("The disk beside the database is full: %(free)s MB are free."),
        remedy=N_("Ask whoever keeps the server to make room, or answers could not be recorded."),
    ),
    "database_room_elsewhere": Words(
        area=Area.DATABASE,
        verdict=_UNKNOWN,
        found=N_("How much room the PostgreSQL server has cannot be seen from here."),
        remedy=N_("Ask whoever keeps it."),
    ),
    # --- The lists.
    "lists_unknown": Words(
        area=Area.LISTS,
        verdict=_UNKNOWN,
        found=N_("The lists could not be read."),
        remedy=N_("Mend the database first."),
    ),
    "lists_none": Words(
        area=Area.LISTS,
        verdict=_WARNING,
        found=N_(
            "There is no list yet, so that the organisation's own address is looked at as the "
            "sender."
        ),
        remedy=N_("Describe a list: `repermit list add --help`"),
    ),
    "list_ok": Words(
        area=Area.LISTS,
        verdict=_OK,
        found=N_("The list %(list)s says all that its readers must know."),
    ),
    "list_no_purpose": Words(
        area=Area.LISTS,
        verdict=_PROBLEM,
        found=N_("The list %(list)s has no purpose: nobody could know what they say Yes to."),
        remedy=N_("Say what people get: `repermit list set %(list)s --purpose …`"),
    ),
    "list_no_frequency": Words(
        area=Area.LISTS,
        verdict=_PROBLEM,
        found=N_("Nothing says how often the mail of the list %(list)s comes."),
        remedy=N_(
            "Say it: `repermit list set %(list)s --frequency …`, such as “four times a year”."
        ),
    ),
    "list_no_privacy": Words(
        area=Area.LISTS,
        verdict=_PROBLEM,
        found=N_("The list %(list)s has no privacy statement."),
        remedy=N_("Name its address: `repermit list set %(list)s --privacy-url …`"),
    ),
    "list_no_sender": Words(
        area=Area.LISTS,
        verdict=_PROBLEM,
        found=N_("The list %(list)s has no sender that can be used."),
        remedy=N_(
            'Name one: `repermit list set %(list)s --sender "The Practice <news@example.org>"`'
        ),
    ),
    "list_privacy_gone": Words(
        area=Area.LISTS,
        verdict=_WARNING,
        found=N_("The privacy statement of the list %(list)s cannot be opened: %(url)s"),
        remedy=N_("Ask whoever keeps the website, or give the right address with --privacy-url."),
    ),
    # --- The pace.
    "pace_ok": Words(
        area=Area.PACE, verdict=_OK, found=N_("At most %(day)s mails leave in a day, evenly.")
    ),
    "pace_free": Words(
        area=Area.PACE,
        verdict=_OK,
        found=N_("Mails leave as fast as the server on this machine takes them."),
    ),
    "pace_none": Words(
        area=Area.PACE,
        verdict=_WARNING,
        found=N_("No rate is set, so mails leave as fast as %(server)s takes them."),
        remedy=N_(
            "Ask your mail provider how many mails may leave in an hour and a day, and set "
            "rate_per_hour or rate_per_day under [mail] below it: who reaches the limit is cut "
            "off, often for a day."
        ),
    ),
    "pace_above_preset": Words(
        area=Area.PACE,
        verdict=_WARNING,
        found=N_(
            "The rates under [mail] let %(day)s mails leave in a day, more than the %(preset_day)s "
            "that are safe with %(preset)s."
        ),
        remedy=N_(
            "Take the rates under [mail] out again, unless your provider has confirmed that your "
            "account may send more."
        ),
    ),
    "pace_connections": Words(
        area=Area.PACE,
        verdict=_WARNING,
        found=N_(
            "%(connections)s connections at once are more than %(preset)s takes "
            "(%(preset_connections)s)."
        ),
        remedy=N_("Take connections under [mail] out again."),
    ),
}
