"""The words for the mail server, the pages and what comes back."""

from __future__ import annotations

from repermit.checks.findings import N_, Area, Verdict, Words

_OK, _WARNING, _PROBLEM, _UNKNOWN = Verdict.OK, Verdict.WARNING, Verdict.PROBLEM, Verdict.UNKNOWN

SERVERS = {
    # --- The mail server.
    "smtp_ok": Words(
        area=Area.SMTP,
        verdict=_OK,
        found=N_(
            "The mail server %(server)s takes the login, over TLS with a certificate that holds."
        ),
    ),
    "smtp_open": Words(
        area=Area.SMTP,
        verdict=_OK,
        found=N_("The mail server %(server)s answers; no login is set, so none was tried."),
    ),
    "smtp_plain": Words(
        area=Area.SMTP,
        verdict=_WARNING,
        found=N_("Login and mails travel to %(server)s unprotected."),
        remedy=N_(
            'Set tls = "starttls" (port 587) or tls = "tls" (port 465) under [mail]; "none" is for '
            "a server on this machine or in the same room."
        ),
    ),
    "smtp_half_a_login": Words(
        area=Area.SMTP,
        verdict=_PROBLEM,
        found=N_("Under [mail] either username or password is missing, so there is no login."),
        remedy=N_("Fill in both, or leave both empty for a server that asks for neither."),
    ),
    "smtp_no_login": Words(
        area=Area.SMTP,
        verdict=_PROBLEM,
        found=N_("%(preset)s takes mail from nobody without a login, and none is set."),
        remedy=N_(
            "Fill in username and password under [mail]; the README has the steps per provider."
        ),
    ),
    "smtp_other_sender": Words(
        area=Area.SMTP,
        verdict=_WARNING,
        found=N_("The sender of the list %(list)s is not the mailbox that logs in."),
        remedy=N_(
            "Microsoft 365 refuses a sender that is not its mailbox (5.7.60). Take the mailbox's "
            "address as the sender, or ask the administrator to give it the right “Send as”."
        ),
    ),
    "smtp_settings": Words(
        area=Area.SMTP,
        verdict=_PROBLEM,
        found=N_("The settings under [mail] cannot be used: %(reason)s."),
        remedy=N_("Mend this in config.toml."),
    ),
    "smtp_no_server": Words(
        area=Area.SMTP,
        verdict=_PROBLEM,
        found=N_("There is no server of the name %(server)s."),
        remedy=N_("Look the SMTP server up with your mail provider, and set server under [mail]."),
    ),
    "smtp_unreachable": Words(
        area=Area.SMTP,
        verdict=_PROBLEM,
        found=N_("No mail can leave: %(reason)s."),
        remedy=N_(
            "Ask your mail provider for the right server and port. If they are right, ask whoever "
            "keeps this server whether it may reach that port: many hosts close 25, 465 and 587 "
            "until they are asked."
        ),
    ),
    "smtp_no_starttls": Words(
        area=Area.SMTP,
        verdict=_PROBLEM,
        found=N_("No mail can leave: %(reason)s."),
        remedy=N_(
            "Ask your mail provider for the port that does TLS: usually 587 with starttls, or 465 "
            'with tls = "tls". If theirs does, somebody in between takes it out.'
        ),
    ),
    "smtp_certificate": Words(
        area=Area.SMTP,
        verdict=_PROBLEM,
        found=N_("No mail can leave: %(reason)s."),
        remedy=N_(
            "Ask your mail provider under which name its server has a certificate, and set server "
            "under [mail] to it. For an authority of your own, name its file in ca_file."
        ),
    ),
    "smtp_login": Words(
        area=Area.SMTP,
        verdict=_PROBLEM,
        found=N_("No mail can leave: %(reason)s."),
        remedy=N_(
            "Check username and password under [mail]. With two-step verification many providers "
            "want an app password; Microsoft 365 wants SMTP AUTH switched on for the mailbox."
        ),
    ),
    "smtp_sign_in": Words(
        area=Area.SMTP,
        verdict=_PROBLEM,
        found=N_("No mail can leave: %(reason)s."),
        remedy=N_(
            "Ask whoever registered the application with Microsoft or Google; the README has the "
            "steps. A client secret ends on a day that was chosen when it was made."
        ),
    ),
    # --- The pages.
    "pages_ok": Words(
        area=Area.PAGES,
        verdict=_OK,
        found=N_(
            "The pages answer at %(url)s, and so does the button of mail programs (one-click)."
        ),
    ),
    "pages_plain": Words(
        area=Area.PAGES,
        verdict=_PROBLEM,
        found=N_("Answers would travel unprotected: %(url)s is not https."),
        remedy=N_(
            "Ask whoever keeps the website for a certificate, and write https:// in public_url. "
            "Mail programs show their unsubscribe button for https alone (RFC 8058)."
        ),
    ),
    "pages_here_alone": Words(
        area=Area.PAGES,
        verdict=_PROBLEM,
        found=N_("%(host)s is this machine or a private network: nobody else may reach the pages."),
        remedy=N_(
            "For a campaign public_url must be an address that a phone without your Wi-Fi can "
            "open; ask whoever keeps the domain. For a trial, launch with --accept and the reason."
        ),
    ),
    "pages_not_visited": Words(
        area=Area.PAGES,
        verdict=_UNKNOWN,
        found=N_("The pages were not looked at: %(host)s is this machine or a private network."),
        remedy=N_(
            "Look for yourself, with a phone without your Wi-Fi; or ask whoever keeps the server "
            "to set checks_to_private = true under [web] in config.toml."
        ),
    ),
    "pages_no_name": Words(
        area=Area.PAGES,
        verdict=_PROBLEM,
        found=N_("Nobody finds the pages: the DNS knows no address for %(host)s."),
        remedy=N_(
            "Ask whoever keeps the domain to add an A record (and an AAAA record, if there is "
            "IPv6) for %(host)s with the address of this server; or mend public_url."
        ),
    ),
    "pages_unreachable": Words(
        area=Area.PAGES,
        verdict=_PROBLEM,
        found=N_("Nothing answers at %(url)s."),
        remedy=N_(
            "Is `repermit serve` running, and the web server in front of it? Ask whoever keeps the "
            "server whether its firewall lets port %(port)s in. Try with a phone without your "
            "Wi-Fi: if that opens, it is only this machine that cannot reach itself."
        ),
    ),
    "pages_certificate": Words(
        area=Area.PAGES,
        verdict=_PROBLEM,
        found=N_("Browsers would warn of %(host)s: %(reason)s."),
        remedy=N_(
            "Ask whoever keeps the web server for a certificate for %(host)s that browsers know, "
            "with its whole chain, and that is renewed by itself."
        ),
    ),
    "pages_certificate_ends": Words(
        area=Area.PAGES,
        verdict=_WARNING,
        found=N_("The certificate of %(host)s ends in %(days)s days."),
        remedy=N_("Ask whoever keeps the web server whether it is renewed by itself."),
    ),
    "pages_garbled": Words(
        area=Area.PAGES,
        verdict=_PROBLEM,
        found=N_("What answers at %(url)s is no web server, or does not speak the TLS of today."),
        remedy=N_("Ask whoever keeps the web server to look at its TLS and at the port."),
    ),
    "pages_redirect": Words(
        area=Area.PAGES,
        verdict=_PROBLEM,
        found=N_(
            "%(url)s sends mail programs elsewhere (HTTP %(status)s), which they do not follow."
        ),
        remedy=N_(
            "Write in public_url the very address that the web server redirects to, or ask "
            "whoever keeps it to redirect nothing below %(url)s (RFC 8058 §3.1)."
        ),
    ),
    "pages_not_ours": Words(
        area=Area.PAGES,
        verdict=_PROBLEM,
        found=N_("What answers at %(url)s are not the pages of this installation."),
        remedy=N_(
            "Ask whoever keeps the web server to hand everything below %(url)s on to `repermit "
            "serve`; and see that it runs with this config.toml, since with other secret_keys no "
            "link works."
        ),
    ),
    "pages_refused": Words(
        area=Area.PAGES,
        verdict=_PROBLEM,
        found=N_("The web server refuses the button of mail programs (HTTP %(status)s)."),
        remedy=N_(
            "Ask whoever keeps the web server to let POST through to every address below %(url)s, "
            "without a login, a puzzle or a firewall's question: programs cannot answer these."
        ),
    ),
    "pages_out_of_order": Words(
        area=Area.PAGES,
        verdict=_PROBLEM,
        found=N_(
            "The web server at %(url)s answers, but not the pages behind it (HTTP %(status)s)."
        ),
        remedy=N_("Is `repermit serve` running? If so, its log says what fails."),
    ),
    "pages_proxies": Words(
        area=Area.PAGES,
        verdict=_WARNING,
        found=N_(
            "A request comes through more web servers (%(seen)s) than are believed (%(trusted)s): "
            "everybody seems to come from the network of one of them, which is kept as evidence, "
            "and shares its limits."
        ),
        remedy=N_(
            "Ask whoever keeps the server to set trusted_proxies = %(seen)s under [web] in "
            "config.toml, and to start repermit again."
        ),
    ),
    # --- What comes back.
    "bounces_mailbox": Words(
        area=Area.BOUNCES,
        verdict=_OK,
        found=N_("The mailbox at %(server)s takes the login; bounces are read from it."),
    ),
    "bounces_plain": Words(
        area=Area.BOUNCES,
        verdict=_WARNING,
        found=N_("The login to the mailbox travels to %(server)s unprotected."),
        remedy=N_(
            'Set tls = "tls" or "starttls" under [bounces], or choose it on the page of mails that '
            "come back; none is for a server on this machine or in the same room."
        ),
    ),
    "bounces_settings": Words(
        area=Area.BOUNCES,
        verdict=_PROBLEM,
        found=N_("The settings under [bounces] cannot be used: %(reason)s."),
        remedy=N_("Mend this in config.toml."),
    ),
    "bounces_no_server": Words(
        area=Area.BOUNCES,
        verdict=_PROBLEM,
        found=N_("There is no mailbox server of the name %(server)s."),
        remedy=N_("Look the IMAP or POP3 server up with your mail provider, and mend its name."),
    ),
    "bounces_unreachable": Words(
        area=Area.BOUNCES,
        verdict=_PROBLEM,
        found=N_("Nothing that comes back can be read: %(reason)s."),
        remedy=N_(
            "Ask your mail provider for the right server and port. If they are right, ask whoever "
            "keeps this server whether it may reach that port (IMAP: 993, POP3: 995)."
        ),
    ),
    "bounces_no_starttls": Words(
        area=Area.BOUNCES,
        verdict=_PROBLEM,
        found=N_("Nothing that comes back can be read: %(reason)s."),
        remedy=N_(
            "Take TLS from the start instead, with port 993 (IMAP) or 995 (POP3); nearly every "
            "provider has it."
        ),
    ),
    "bounces_certificate": Words(
        area=Area.BOUNCES,
        verdict=_PROBLEM,
        found=N_("Nothing that comes back can be read: %(reason)s."),
        remedy=N_(
            "Ask your mail provider under which name the mailbox server has a certificate, and "
            "take that name. For an authority of your own, name its file in ca_file."
        ),
    ),
    "bounces_login": Words(
        area=Area.BOUNCES,
        verdict=_PROBLEM,
        found=N_("Nothing that comes back can be read: %(reason)s."),
        remedy=N_(
            "Check user name and password of the mailbox. With two-step verification many "
            "providers want an app password, and some have IMAP or POP3 switched off until the "
            "mailbox’s owner switches it on."
        ),
    ),
    "bounces_sign_in": Words(
        area=Area.BOUNCES,
        verdict=_PROBLEM,
        found=N_("Nothing that comes back can be read: %(reason)s."),
        remedy=N_(
            "Ask whoever registered the application with Microsoft or Google; the README has the "
            "steps. It needs the permission for IMAP too."
        ),
    ),
    "bounces_no_folder": Words(
        area=Area.BOUNCES,
        verdict=_PROBLEM,
        found=N_("Nothing that comes back can be read: %(reason)s."),
        remedy=N_("Take INBOX, or the folder’s name as the mail program shows it."),
    ),
    "bounces_came": Words(
        area=Area.BOUNCES,
        verdict=_OK,
        found=N_("Bounces and replies have come in before, by a pipe."),
    ),
    "bounces_none": Words(
        area=Area.BOUNCES,
        verdict=_WARNING,
        found=N_(
            "Nothing reads what comes back, so who never got the question may be called silent."
        ),
        remedy=N_(
            "Fill in the mailbox of the sender, under [bounces] or on the settings page of mails "
            "that come back; or ask whoever keeps the mail "
            "server to hand what comes back to `repermit bounce`. If it does so already, try it "
            "with a mail to an address that does not exist."
        ),
    ),
    "bounces_nowhere": Words(
        area=Area.BOUNCES,
        verdict=_PROBLEM,
        found=N_("Bounces cannot come back: %(domain)s takes no mail."),
        remedy=N_(
            "Ask whoever keeps the domain for an MX record for %(domain)s, and whoever keeps the "
            "mail server to deliver every address there that begins with bounce+; or set "
            'return_path = "fixed" under [mail].'
        ),
    ),
}
