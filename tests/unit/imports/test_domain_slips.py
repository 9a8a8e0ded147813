"""Slips in the domains of addresses, by which a mail would go to a stranger or nowhere."""

from __future__ import annotations

import pytest

from repermit.imports.classify_row import suggest_address


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Anna@gmial.com", "Anna@gmail.com"),
        ("a@hotmial.com", "a@hotmail.com"),
        ("a@gmal.com", "a@gmail.com"),
        ("a@gmaill.com", "a@gmail.com"),
        ("a@gnail.com", "a@gmail.com"),
        ("a@gmail.con", "a@gmail.com"),
        ("a@gmail.co", "a@gmail.com"),
        ("a@GMIAL.COM", "a@gmail.com"),
        ("a@hotmial.nl", "a@hotmail.nl"),
        ("a@zigo.nl", "a@ziggo.nl"),
        # Endings that no domain has.
        ("a@praktijk.con", "a@praktijk.com"),
        ("a@mail.praktijk.nk", "a@mail.praktijk.nl"),
        ("a@praktijk.NLM", "a@praktijk.nl"),
        ("a@ziggo.nk", "a@ziggo.nl"),
        ("a@gmial.con", "a@gmail.com"),
        ("a@mail.con", "a@mail.com"),
        ("a@yahooo.co.uk", "a@yahoo.co.uk"),
        # A letter alone, a letter too many, an ending twice.
        ("a@planet.n", "a@planet.nl"),
        ("a@praktijk.n", "a@praktijk.nl"),
        ("a@hotmail.c", "a@hotmail.com"),
        ("a@gmail.comm", "a@gmail.com"),
        ("a@gmail.come", "a@gmail.com"),
        ("a@kpnmail.nll", "a@kpnmail.nl"),
        ("a@ziggo.nle", "a@ziggo.nl"),
        ("a@ziggo.nln", "a@ziggo.nl"),
        ("a@hotmail.c.om", "a@hotmail.com"),
        ("a@yahoo.couk", "a@yahoo.co.uk"),
        ("a@ziggo.nl.nl", "a@ziggo.nl"),
        ("a@ziggo.nlnl", "a@ziggo.nl"),
        ("a@gmial.comcom", "a@gmail.com"),
        ("a@mail.praktijk.nl.nl", "a@mail.praktijk.nl"),
        ("a@gmial.com.com", "a@gmail.com"),
        ("a@yahoo.co.uk.uk", "a@yahoo.co.uk"),
        # Of a short name, or two slips that look like one.
        ("a@hotrnail.com", "a@hotmail.com"),
        ("a@mns.com", "a@msn.com"),
        ("a@plannet.nl", "a@planet.nl"),
        ("a@lvie.nl", "a@live.nl"),
        ("a@chelo.nl", "a@chello.nl"),
        ("a@quiknet.nl", "a@quicknet.nl"),
        ("A@Webb.de", "A@web.de"),
    ],
)
def test_one_slip_in_a_domain_that_many_have_is_seen(typed: str, meant: str) -> None:
    assert suggest_address(typed) == meant


@pytest.mark.parametrize(
    "address",
    [
        "a@gmail.com", "a@hotmail.nl", "a@hotmail.es", "a@yahoo.it", "a@mail.com", "a@ymail.com",
        "a@example.org", "a@gmx.de", "a@gmx.net", "a@gmail.org", "a@praktijk.nl", "a@gmlai.com.au",
        "a@praktijk.co", "a@praktijk.cm", "a@praktijk.no", "a@praktijk.frl", "a@praktijk.eu",
        "a@cloud.com", "a@oranje.fr", "a@jetnet.nl", "a@netnet.nl", "a@qmail.com", "a@planet.nl",
        "a@orange.frl", "a@hotmail.frl", "a@freenet.dev", "a@t-online.dev", "a@outlook.dev",
        "a@ziggo.onl", "a@coco.co", "a@praktijk.dede.nl",
        "a@nl.nl", "a@de.com", "a@hotmail.dk", "a@hotmail.com.br", "a@yahoo.com.au", "a@com.nl",
    ],
)  # fmt: skip
def test_what_is_no_slip_is_left_alone(address: str) -> None:
    assert suggest_address(address) == ""
