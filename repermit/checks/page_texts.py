"""What findings say on the admin's pages, where commands and config.toml are somebody else's.

What is the same in both places does not stand here.
"""

from __future__ import annotations

from collections.abc import Mapping

from repermit.checks.findings import N_, OnPage

_WITH_A_MAIL = N_(
    "Send yourself a test mail, save it as it came, and give its file to “Check everything” on the "
    "page of the settings."
)
_CA_FILE = N_(
    "Ask your mail provider under which name its server has a certificate, and fill in that name. "
    "Of an authority of your own, whoever keeps the server names the file, as ca_file in "
    "config.toml."
)
_UNALIGNED = N_(
    "Ask your mail provider to sign with DKIM as %(domain)s; or let mails come back, on the page "
    "of the mail server, to a domain below it or to the sender’s own address."
)

ON_PAGES: Mapping[str, OnPage] = {
    # --- The settings and the keys.
    "config_refused": OnPage(
        remedy=N_(
            "Ask whoever keeps the server to mend this in config.toml, and to start repermit again."
        )
    ),
    "config_organisation": OnPage(found=N_("Of the organisation something is missing: %(keys)s.")),
    "keys_weak": OnPage(
        remedy=N_(
            "Ask whoever keeps the server: before the first campaign, to take what a fresh "
            "`repermit init` in an empty folder makes (43 random characters); once people have "
            "links or have said No, to add a new last key to secret_keys instead, and to leave "
            "fingerprint_key as it is."
        )
    ),
    # --- The database and the lists.
    "database_missing": OnPage(
        remedy=N_("Ask whoever keeps the server to run `repermit init` in an empty folder.")
    ),
    "database_other_key": OnPage(
        remedy=N_(
            "Ask whoever keeps the server to put the former key back into config.toml, from their "
            "copy: with this one nobody who said No would be recognised."
        )
    ),
    "database_miscounted": OnPage(
        remedy=N_(
            "Ask whoever keeps the server to run `repermit check --recount`, which counts them "
            "anew."
        )
    ),
    "lists_none": OnPage(remedy=N_("Describe a list.")),
    "list_no_purpose": OnPage(remedy=N_("Say what people get.")),
    "list_no_frequency": OnPage(remedy=N_("Say it, such as “four times a year”.")),
    "list_no_privacy": OnPage(remedy=N_("Give its address.")),
    "list_no_sender": OnPage(remedy=N_("Name one, such as: The Practice <news@example.org>")),
    "list_privacy_gone": OnPage(
        remedy=N_("Ask whoever keeps the website, or give the right address.")
    ),
    # --- The pace and the mail server.
    "pace_none": OnPage(
        remedy=N_(
            "Ask your mail provider how many mails may leave in an hour and a day, and fill in "
            "fewer on the page of the mail server: who reaches the limit is cut off, often for a "
            "day."
        )
    ),
    "pace_above_preset": OnPage(
        found=N_(
            "By the settings %(day)s mails leave in a day, more than the %(preset_day)s that are "
            "safe with %(preset)s."
        ),
        remedy=N_(
            "Empty the numbers of mails on the page of the mail server, unless your provider has "
            "confirmed that your account may send more."
        ),
    ),
    "pace_connections": OnPage(
        remedy=N_("Empty the number of connections on the page of the mail server.")
    ),
    "smtp_plain": OnPage(
        remedy=N_(
            "Choose STARTTLS (port 587) or TLS from the start (port 465) on the page of the mail "
            "server; none is for a server on this machine or in the same room."
        )
    ),
    "smtp_half_a_login": OnPage(
        found=N_("Either the user name or the password is missing, so there is no login.")
    ),
    "smtp_no_login": OnPage(
        remedy=N_("Fill in user name and password; your mail provider says which.")
    ),
    "smtp_settings": OnPage(
        found=N_("The settings of the mail server cannot be used: %(reason)s."),
        remedy=N_("Mend this on the page of the mail server."),
    ),
    "smtp_no_server": OnPage(
        remedy=N_("Look the SMTP server up with your mail provider, and fill in its name.")
    ),
    "smtp_no_starttls": OnPage(
        remedy=N_(
            "Ask your mail provider for the port that does TLS: usually 587 with STARTTLS, or 465 "
            "with TLS from the start. If it is the right one, somebody in between takes TLS out."
        )
    ),
    "smtp_certificate": OnPage(remedy=_CA_FILE),
    "smtp_login": OnPage(
        remedy=N_(
            "Check user name and password. With two-step verification many providers want an app "
            "password; Microsoft 365 wants SMTP AUTH switched on for the mailbox."
        )
    ),
    # --- The answer pages: their address stands in config.toml alone.
    "pages_plain": OnPage(
        remedy=N_(
            "Ask whoever keeps the website for a certificate, and whoever keeps the server to "
            "write https:// in public_url. Mail programs show their unsubscribe button for https "
            "alone (RFC 8058)."
        )
    ),
    "pages_here_alone": OnPage(
        remedy=N_(
            "For a campaign a phone without your Wi-Fi must be able to open the pages; ask whoever "
            "keeps the server for such an address (public_url)."
        )
    ),
    "pages_no_name": OnPage(
        remedy=N_(
            "Ask whoever keeps the domain to add an A record (and an AAAA record, if there is "
            "IPv6) for %(host)s with the address of this server; or whoever keeps the server to "
            "mend public_url."
        )
    ),
    "pages_unreachable": OnPage(
        remedy=N_(
            "Ask whoever keeps the server whether the web server in front of `repermit serve` "
            "runs, and whether its firewall lets port %(port)s in. Try with a phone without your "
            "Wi-Fi: if that opens, it is only this machine that cannot reach itself."
        )
    ),
    "pages_redirect": OnPage(
        remedy=N_(
            "Ask whoever keeps the server to write in public_url the very address that the web "
            "server redirects to, or to redirect nothing below %(url)s (RFC 8058 §3.1)."
        )
    ),
    "pages_not_ours": OnPage(
        remedy=N_(
            "Ask whoever keeps the server to hand everything below %(url)s on to `repermit serve`, "
            "and to see that it runs with this config.toml, since with other secret_keys no link "
            "works."
        )
    ),
    "pages_out_of_order": OnPage(
        remedy=N_(
            "Ask whoever keeps the server whether `repermit serve` runs there, and what its log "
            "says."
        )
    ),
    # --- What comes back.
    "bounces_plain": OnPage(
        remedy=N_(
            "Choose TLS from the start or STARTTLS on the page of mails that come back; none is "
            "for a server on this machine or in the same room."
        )
    ),
    "bounces_settings": OnPage(
        found=N_("The settings of the mailbox cannot be used: %(reason)s."),
        remedy=N_("Mend this on the page of mails that come back."),
    ),
    "bounces_certificate": OnPage(remedy=_CA_FILE),
    "bounces_none": OnPage(
        remedy=N_(
            "Fill in the mailbox of the sender on the page of mails that come back; or ask whoever "
            "keeps the server to hand what comes back to `repermit bounce`. If that is done "
            "already, try it with a mail to an address that does not exist."
        )
    ),
    "bounces_nowhere": OnPage(
        remedy=N_(
            "Ask whoever keeps the domain for an MX record for %(domain)s, and whoever keeps the "
            "mail server to deliver every address there that begins with bounce+; or let mails "
            "come back to the sender’s own address, on the page of the mail server."
        )
    ),
    # --- The domain of the sender.
    "spf_macros": OnPage(
        remedy=N_("Send yourself a test mail and look in its source for spf=pass.")
    ),
    "dkim_unknown": OnPage(
        remedy=N_(
            "Send yourself a test mail, save it as it came, and give its file to “Check "
            "everything” on the page of the settings; or ask your mail provider for the selector, "
            "and fill it in on the page of the mail server."
        )
    ),
    "dkim_other_sender": OnPage(
        remedy=N_("Send yourself the test mail of a list, and give the file of that one.")
    ),
    "dmarc_unaligned": OnPage(remedy=_UNALIGNED),
    "dmarc_unaligned_yet": OnPage(remedy=_UNALIGNED),
    "dmarc_hangs_on_dkim": OnPage(remedy=_WITH_A_MAIL),
    "dmarc_hangs_on_dkim_alone": OnPage(
        remedy=N_("Mend what is said of SPF; or send yourself a test mail, and check with it.")
    ),
}
