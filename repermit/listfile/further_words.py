"""What a cell says in twenty further languages: yes, no, still on, opted out.

Imports nothing. The words are folded (see `cells.fold`), so without their accents.
"""

from __future__ import annotations

YES = frozenset(
    "да ano igen tak da sim si jah joo kylla taip ja iva ναι".split()  # noqa: RUF001  Greek
)
"""A plain yes; that one of them means something else elsewhere is no matter in such a column."""

NO = frozenset("не ne nej nie nem nao ei nil le nu οχι nikoli".split())
"""A plain no; no word is both."""

STILL_ON = frozenset(
    "абониран абонирана активен prihlasen prihlaseny aktivni aktivny tilmeldt εγγεγραμμενοσ "
    "ενεργοσ suscrito suscrita activo activa tellitud liitunud aktiivne tilattu aktiivinen "
    "pretplacen aktivan feliratkozott feliratkozva aktiv iscritto iscritta attivo attiva uzsisakes "
    "aktyvus pieteicies aktivs abbonat attiv zapisany subskrybuje aktywny subscrito inscrito ativo "
    "abonat activ narocen prijavljen aktiven prenumererar anmald".split()
)

UNSUBSCRIBED = (
    *("отписан", "отказал"),  # bg
    *("odhlasen", "zrusen"),  # cs, sk
    *("frameldt", "avregistrerad", "avanmald", "avprenumererad"),  # da, sv
    *("διαγραφ", "διαγραμμεν", "διεγραφη", "απεγγραφ"),  # el
    *("dadodebaja", "dadadebaja", "desuscri", "anulosususcripcion"),  # es
    *("loobunud", "tellimuslopetatud"),  # et
    *("peruutettu", "perunut", "poistunut"),  # fi
    *("diliostail", "dishlios"),  # ga
    *("odjavljen", "odjava", "ispisan"),  # hr, sl
    "leiratkoz",  # hu
    *("disiscri", "annullatol", "revocato"),  # it
    *("atsisak", "nebeprenumeruo"),  # lt
    *("atteicies", "atrakstij"),  # lv
    "mnehhi",  # mt
    *("wypisan", "rezygnacj", "zrezygnow"),  # pl
    *("cancelousubscricao", "subscricaocancelada", "anulousubscricao", "removido"),  # pt
    "dezabon",  # ro
)
"""What a status says against mailing, wherever it stands in it."""
