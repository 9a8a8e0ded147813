"""The words for what the domain of a sender says about its mail."""

from __future__ import annotations

from repermit.checks.findings import N_, Area, Verdict, Words

_OK, _WARNING, _PROBLEM, _UNKNOWN = Verdict.OK, Verdict.WARNING, Verdict.PROBLEM, Verdict.UNKNOWN

DOMAINS = {
    # --- SPF (RFC 7208).
    "spf_ok": Words(
        area=Area.SPF,
        verdict=_OK,
        found=N_("The SPF record of %(domain)s allows the servers that the mails leave by."),
    ),
    "spf_none": Words(
        area=Area.SPF,
        verdict=_PROBLEM,
        found=N_("%(domain)s has no SPF record, so many mailboxes will refuse the mails."),
        remedy=N_("Ask whoever keeps the domain for a TXT record for %(domain)s: %(record)s"),
    ),
    "spf_several": Words(
        area=Area.SPF,
        verdict=_PROBLEM,
        found=N_("%(domain)s has %(count)s SPF records; with more than one none of them counts."),
        remedy=N_(
            "Ask whoever keeps the domain to make one of them: a single v=spf1 with the parts of "
            "all, and one “all” at its end."
        ),
    ),
    "spf_broken": Words(
        area=Area.SPF,
        verdict=_PROBLEM,
        found=N_("The SPF record of %(domain)s cannot be used, because of its part “%(part)s”."),
        remedy=N_(
            "Ask whoever keeps the domain to mend or take out that part: it is misspelt, or leads "
            "to a domain that has no single SPF record."
        ),
    ),
    "spf_lookups": Words(
        area=Area.SPF,
        verdict=_PROBLEM,
        found=N_("The SPF record of %(domain)s takes more than 10 look-ups, so it does not count."),
        remedy=N_(
            "Ask whoever keeps the domain to take out the include, a and mx parts of services that "
            "do not send for it any more, or to put IP addresses in their place."
        ),
    ),
    "spf_everyone": Words(
        area=Area.SPF,
        verdict=_WARNING,
        found=N_("The SPF record of %(domain)s ends in +all: it lets everybody send in its name."),
        remedy=N_("Ask whoever keeps the domain to write ~all there."),
    ),
    "spf_lacks_provider": Words(
        area=Area.SPF,
        verdict=_PROBLEM,
        found=N_("The SPF record of %(domain)s does not allow the servers of %(preset)s."),
        remedy=N_(
            "Ask whoever keeps the domain to add include:%(include)s to its SPF record, before the "
            "part with “all”."
        ),
    ),
    "spf_lacks_server": Words(
        area=Area.SPF,
        verdict=_WARNING,
        found=N_("The SPF record of %(domain)s does not name the mail server %(server)s."),
        remedy=N_(
            "Ask your mail provider which part the SPF record needs, since mails may leave by "
            "other servers than the one you hand them to; then have whoever keeps the domain add "
            "it."
        ),
    ),
    "spf_own_server": Words(
        area=Area.SPF,
        verdict=_UNKNOWN,
        found=N_(
            "Mails leave by a server on this machine; whether the SPF record of %(domain)s allows "
            "it cannot be seen from here."
        ),
        remedy=N_(
            "Ask whoever keeps the domain whether its SPF record names the IP address that this "
            "server has on the internet, as in ip4:192.0.2.1."
        ),
    ),
    "spf_nobody": Words(
        area=Area.SPF,
        verdict=_PROBLEM,
        found=N_("The SPF record of %(domain)s lets no server at all send in its name."),
        remedy=N_(
            "Ask whoever keeps the domain to let the server send that your mails leave by, as in: "
            "%(record)s"
        ),
    ),
    "spf_macros": Words(
        area=Area.SPF,
        verdict=_UNKNOWN,
        found=N_(
            "The SPF record of %(domain)s depends on each mail (%%{…}), so that nobody can tell "
            "before."
        ),
        remedy=N_("Send yourself a preview and look in its source for spf=pass."),
    ),
    # --- DKIM (RFC 6376).
    "dkim_ok": Words(
        area=Area.DKIM,
        verdict=_OK,
        found=N_("The DKIM key %(selector)s of %(domain)s is there and can be used."),
    ),
    "dkim_unknown": Words(
        area=Area.DKIM,
        verdict=_UNKNOWN,
        found=N_("Whether mails of %(domain)s are signed (DKIM) cannot be told without a mail."),
        remedy=N_(
            "Send yourself a preview, save it as a file as it came, and give it: `repermit check "
            "--mail FILE`; or ask your mail provider for the selector, and set dkim_selector under "
            "[mail]."
        ),
    ),
    "dkim_unsigned": Words(
        area=Area.DKIM,
        verdict=_PROBLEM,
        found=N_("The test mail of %(domain)s has no DKIM signature; many mailboxes want one."),
        remedy=N_(
            "Ask your mail provider to switch on DKIM for %(domain)s; it will name a record that "
            "whoever keeps the domain has to add."
        ),
    ),
    "dkim_other_sender": Words(
        area=Area.DKIM,
        verdict=_WARNING,
        found=N_("The test mail is not from a sender of the lists, but from %(domain)s."),
        remedy=N_("Send the preview of a list: `repermit preview LIST --to ADDRESS`"),
    ),
    "dkim_no_mail": Words(
        area=Area.DKIM,
        verdict=_WARNING,
        found=N_("The file of the test mail holds no mail with a From line."),
        remedy=N_("Save the mail as it came, with all its headers (“original”, “source”, .eml)."),
    ),
    "dkim_no_key": Words(
        area=Area.DKIM,
        verdict=_PROBLEM,
        found=N_(
            "There is no DKIM key %(selector)s at %(domain)s, so no signature can be checked."
        ),
        remedy=N_(
            "Ask your mail provider for the record, and whoever keeps the domain to add it as "
            "%(selector)s._domainkey.%(domain)s"
        ),
    ),
    "dkim_revoked": Words(
        area=Area.DKIM,
        verdict=_PROBLEM,
        found=N_("The DKIM key %(selector)s of %(domain)s has been withdrawn: it is empty."),
        remedy=N_("Ask your mail provider which selector it signs with now, and for its record."),
    ),
    "dkim_broken": Words(
        area=Area.DKIM,
        verdict=_PROBLEM,
        found=N_("The DKIM key %(selector)s of %(domain)s cannot be read."),
        remedy=N_(
            "Ask whoever keeps the domain to copy the record again, in one piece: quotes, blanks "
            "or a missing end are the usual faults, and two records under one name."
        ),
    ),
    "dkim_short": Words(
        area=Area.DKIM,
        verdict=_PROBLEM,
        found=N_(
            "The DKIM key %(selector)s of %(domain)s is shorter than 1024 bits; nobody takes it."
        ),
        remedy=N_("Ask your mail provider for a key of 2048 bits (RFC 8301)."),
    ),
    "dkim_weak": Words(
        area=Area.DKIM,
        verdict=_WARNING,
        found=N_("The DKIM key %(selector)s of %(domain)s is shorter than 2048 bits."),
        remedy=N_("Ask your mail provider for a key of 2048 bits (RFC 8301)."),
    ),
    "dkim_testing": Words(
        area=Area.DKIM,
        verdict=_WARNING,
        found=N_("The DKIM key %(selector)s of %(domain)s is marked as a trial (t=y)."),
        remedy=N_("Ask whoever keeps the domain to take t=y out of the record once it works."),
    ),
    # Of the signatures that a test mail bears.
    "dkim_holds": Words(
        area=Area.DKIM,
        verdict=_OK,
        found=N_("The DKIM signature %(selector)s of %(domain)s on the test mail holds."),
    ),
    "dkim_changed": Words(
        area=Area.DKIM,
        verdict=_PROBLEM,
        found=N_(
            "The DKIM signature %(selector)s of %(domain)s on the test mail does not hold: its "
            "text was changed after it had been signed."
        ),
        remedy=N_(
            "Save the mail as it came, not forwarded or copied. If it was, ask whoever keeps the "
            "mail server what changes mails behind the program that signs, such as a disclaimer "
            "or a virus scanner: whatever signs has to come last."
        ),
    ),
    "dkim_fails": Words(
        area=Area.DKIM,
        verdict=_PROBLEM,
        found=N_(
            "The DKIM signature %(selector)s of %(domain)s on the test mail does not hold: another "
            "key made it than the one in the DNS, or a header line was changed afterwards."
        ),
        remedy=N_(
            "Save the mail as it came, with all its headers. If it was, ask your mail provider for "
            "the record of the key that it signs with now, and whoever keeps the domain to replace "
            "%(selector)s._domainkey.%(domain)s."
        ),
    ),
    "dkim_expired": Words(
        area=Area.DKIM,
        verdict=_UNKNOWN,
        found=N_(
            "The DKIM signature %(selector)s of %(domain)s on the test mail has run out, so that "
            "it tells nothing."
        ),
        remedy=N_("Send yourself a new one, and check it soon."),
    ),
    # Of the key that signs mails here.
    "dkim_own_unsigned": Words(
        area=Area.DKIM,
        verdict=_PROBLEM,
        found=N_(
            "Mails are signed here, but the test mail bears no signature %(selector)s of "
            "%(domain)s."
        ),
        remedy=N_(
            "If it was sent before the key was there, send another one. If not, ask whoever keeps "
            "the mail server what takes the header line DKIM-Signature out of mails."
        ),
    ),
    "dkim_own_ok": Words(
        area=Area.DKIM,
        verdict=_OK,
        found=N_("Mails are signed here, and the DKIM record %(selector)s of %(domain)s fits."),
    ),
    "dkim_own_missing": Words(
        area=Area.DKIM,
        verdict=_PROBLEM,
        found=N_(
            "Mails are signed here, but there is no DKIM record %(selector)s at %(domain)s, so no "
            "signature can be checked."
        ),
        remedy=N_(
            "Ask whoever keeps the domain for a TXT record for "
            "%(selector)s._domainkey.%(domain)s: %(record)s"
        ),
    ),
    "dkim_own_other": Words(
        area=Area.DKIM,
        verdict=_PROBLEM,
        found=N_(
            "Mails are signed here, but the DKIM record %(selector)s of %(domain)s is of another "
            "key, so that every signature fails."
        ),
        remedy=N_(
            "Take a selector of your own, or ask whoever keeps the domain to make the TXT record "
            "for %(selector)s._domainkey.%(domain)s this: %(record)s"
        ),
    ),
    # --- DMARC (RFC 7489).
    "dmarc_ok": Words(
        area=Area.DMARC,
        verdict=_OK,
        found=N_("%(domain)s has a DMARC policy (%(policy)s), and the mails are aligned with it."),
    ),
    "dmarc_none": Words(
        area=Area.DMARC,
        verdict=_WARNING,
        found=N_("%(domain)s has no DMARC policy; large mailbox providers want one."),
        remedy=N_(
            "Ask whoever keeps the domain for a TXT record for _dmarc.%(domain)s: v=DMARC1; p=none"
        ),
    ),
    "dmarc_several": Words(
        area=Area.DMARC,
        verdict=_WARNING,
        found=N_("%(domain)s has several DMARC records; with more than one none of them counts."),
        remedy=N_("Ask whoever keeps the domain to leave a single one at _dmarc.%(domain)s."),
    ),
    "dmarc_broken": Words(
        area=Area.DMARC,
        verdict=_WARNING,
        found=N_("The DMARC record for %(domain)s has no policy that there is: p=%(policy)s."),
        remedy=N_("Ask whoever keeps the domain to write p=none, p=quarantine or p=reject."),
    ),
    "dmarc_unaligned": Words(
        area=Area.DMARC,
        verdict=_PROBLEM,
        found=N_(
            "By its own DMARC policy (%(policy)s) mailboxes will refuse or hide mail of "
            "%(domain)s: neither the return path (%(return_domain)s) nor the signature "
            "(%(signer)s) is of it."
        ),
        remedy=N_(
            "Ask your mail provider to sign with DKIM as %(domain)s; or take a return_domain below "
            "it, or the sender's own address as the return path."
        ),
    ),
    "dmarc_unaligned_yet": Words(
        area=Area.DMARC,
        verdict=_WARNING,
        found=N_(
            "Mail of %(domain)s fails DMARC: neither the return path (%(return_domain)s) nor the "
            "signature (%(signer)s) is of it. Its policy (none) lets it pass all the same."
        ),
        remedy=N_(
            "Ask your mail provider to sign with DKIM as %(domain)s; or take a return_domain below "
            "it, or the sender's own address as the return path."
        ),
    ),
    "dmarc_hangs_on_dkim": Words(
        area=Area.DMARC,
        verdict=_UNKNOWN,
        found=N_(
            "The return path (%(return_domain)s) is not of %(domain)s, so that DMARC (%(policy)s) "
            "hangs on a DKIM signature that has not been seen."
        ),
        remedy=N_(
            "Send yourself a preview, save it as a file as it came, and give it: `repermit check "
            "--mail FILE`"
        ),
    ),
    "dmarc_hangs_on_dkim_alone": Words(
        area=Area.DMARC,
        verdict=_UNKNOWN,
        found=N_(
            "Mails of %(domain)s do not pass SPF, so that DMARC (%(policy)s) hangs on a DKIM "
            "signature that has not been seen."
        ),
        remedy=N_("Mend what is said of SPF; or send yourself a preview, and check with it."),
    ),
    "dmarc_fails": Words(
        area=Area.DMARC,
        verdict=_PROBLEM,
        found=N_(
            "By its own DMARC policy (%(policy)s) mailboxes will refuse or hide mail of "
            "%(domain)s: it passes neither SPF nor DKIM as %(domain)s."
        ),
        remedy=N_(
            "Mend what is said of SPF and DKIM; DMARC takes one of them, mailboxes want both."
        ),
    ),
    "dmarc_fails_yet": Words(
        area=Area.DMARC,
        verdict=_WARNING,
        found=N_(
            "Mail of %(domain)s fails DMARC: it passes neither SPF nor DKIM as %(domain)s. Its "
            "policy (none) lets it pass all the same."
        ),
        remedy=N_(
            "Mend what is said of SPF and DKIM; DMARC takes one of them, mailboxes want both."
        ),
    ),
    # --- MX.
    "mx_ok": Words(
        area=Area.MX, verdict=_OK, found=N_("%(domain)s takes mail, so replies arrive.")
    ),
    "mx_none": Words(
        area=Area.MX,
        verdict=_PROBLEM,
        found=N_(
            "%(domain)s takes no mail: replies are lost, and many mailboxes refuse such a sender."
        ),
        remedy=N_(
            "Look whether the sender's domain is spelt right. If it is, ask whoever keeps it for "
            "an MX record with the name of the mail server."
        ),
    ),
    "mx_address_alone": Words(
        area=Area.MX,
        verdict=_WARNING,
        found=N_("%(domain)s has no MX record; mail to it goes to its web server, if to anything."),
        remedy=N_(
            "Ask whoever keeps the domain for an MX record with the name of the mail server."
        ),
    ),
}
