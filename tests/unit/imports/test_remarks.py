"""Remarks as an office writes them: who wants no mail, who does, and what leaves it in doubt."""

from __future__ import annotations

import time

import pytest

from repermit.imports.remark_phrases import DOUBTFUL, REFUSED, find_refusal, normalize_remark


@pytest.mark.parametrize(
    "remark",
    [
        "wil geen mail meer",
        "uitgeschreven",
        "niet mailen",
        "do not mail",
        "keine Mails",
        "ne plus écrire",
        "afgemeld 3-5-2021",
        "geen nieuwsbrief",
        "Géén mail!",
        "wil niet meer gemaild worden",
        "niet meer benaderen",
        "Don't email",
        "dont mail",
        "do not contact",
        "doesn't want emails",
        "does not want to be contacted",
        "no newsletter please",
        "no more emails",
        "remove from list",
        "please remove me from the mailing list",
        "haal van de lijst",
        "van de lijst gehaald",
        "van de mailinglijst af",
        "möchte keine Newsletter",
        "will keine E-Mails erhalten",
        "bitte keine Werbung",
        "nicht anschreiben",
        "nicht mehr kontaktieren",
        "aus dem Verteiler löschen",
        "aus Verteiler nehmen",
        "abgemeldet am 3.5.2021",
        "hat sich ausgetragen",
        "ne pas contacter",
        "ne veut plus recevoir de mails",
        "ne souhaite pas recevoir la newsletter",
        "plus de mails",
        "pas de newsletter",
        "s'est désabonné",
        "désinscrite",
        "opt-out",
        "opted out 2020",
        "unsubscribed by phone",
        "nee bedankt",
        "No thanks",
        "non merci",
        "Nein danke",
        "overleden",
        "overleden 2019",
        "nieuwsbrief: nee",
        "mail: nee",
        "newsletter no",
        "maakt bezwaar",
        "wil geen contact meer",
        "wenst geen reclame",
        "stuur geen mails",
        "niets meer sturen",
        "stop",
        "STOP!",
        "stop mailing",
        "nichts mehr schicken",
        "nooit mailen",
        "Wil zich uitschrijven",
        "Werbewiderspruch vom 1.2.2020",
        "retirer de la liste",
        "liever geen mail",
        "graag geen mails",
        "geen mail graag",
        "heeft zich afgemeld voor de nieuwsbrief",
        "wants no mail",
        "never email",
        "Pas d'e-mails svp",
        "n'écrivez plus",
        "bitte vom Newsletter abmelden",
        "toestemming ingetrokken 2020",
        "geen nieuwsbrieven meer",
        "niet per mail benaderen",
        "not to be mailed",
        "gelöscht aus Liste",
        "geen e-mail",
        "no e-mail",
        "liever niet per mail",
        # As tags are written.
        *("do_not_mail", "do-not-mail", "no-mail", "NO_MAIL", "nomail", "DNC", "unsub", "opt_out"),
        *("niet-mailen", "geen_nieuwsbrief", "keine-mails", "pas_de_mail", "newsletter_no"),
        *("do not email!", "no-contact", "DONOTCONTACT", "wants-out"),
        # Who takes back what was given, or never gave it.
        *("withdrew consent", "withdrawn consent", "consent revoked 2020", "has withdrawn consent"),
        *("geen toestemming", "geen toestemming gegeven", "geen toestemming voor nieuwsbrief"),
        *("heeft toestemming ingetrokken", "trekt toestemming in", "no consent", "no permission"),
        *("Widerruf 2021", "Widerruf vom 3.5.2021", "Widerruf", "hat Einwilligung widerrufen"),
        *("keine Einwilligung", "Einwilligung zurückgezogen", "keine Erlaubnis für Newsletter"),
        *("consentement refusé", "a retiré son consentement", "pas de consentement"),
        # Who wants off.
        *("wil er af", "wil eraf", "wil er graag vanaf", "wil hier af", "wil er niet meer op"),
        *("wil van de lijst", "wants off", "wants to be taken off", "wants to be removed"),
        *("will raus", "möchte gelöscht werden", "möchte ausgetragen werden", "möchte raus"),
        *("veut être retiré", "souhaite être supprimée", "ne veut plus être contacté"),
        # Who asked for it.
        *("please remove", "Please remove me.", "pls remove from mailings", "remove please"),
        *(
            "graag verwijderen",
            "verwijderen aub",
            "bitte löschen",
            "bitte streichen",
            "bitte entfernen",
        ),
        *("merci de me retirer", "svp supprimer", "Asked to be removed 2022", "requested removal"),
        *("removal requested", "asked us to remove her", "vraagt om verwijdering"),
        *("heeft gevraagd om verwijderd te worden", "op verzoek verwijderd", "bat um Löschung"),
        *("verwijderd op eigen verzoek", "auf Wunsch gelöscht", "Löschung beantragt"),
        *("a demandé à être retiré", "supprimé à sa demande", "demande de suppression"),
        *("AVG verzoek verwijderd", "AVG-verzoek: verwijderen", "GDPR deletion request"),
        *("DSGVO-Löschung", "DSGVO Antrag Löschung", "RGPD suppression", "right to be forgotten"),
        *("recht op vergetelheid", "Recht auf Vergessenwerden", "droit à l'oubli"),
        *(
            "please take me off",
            "take her off your list",
            "op verzoek uit lijst",
            "gestopt op verzoek",
        ),
        *("removed at own request", "deleted on request", "bitte aus Verteiler", "verwijder mij"),
        *("à supprimer", "GDPR: delete", "geen toestemming (AVG)", "geen toestemming mail"),
        *("consent: no", "opt-in: no", "toestemming: nee", "does not consent", "Widerspruch 2021"),
        # Whose newsletter was stopped, and who wants to hear nothing.
        *("nieuwsbrief gestopt op verzoek", "nieuwsbrief stopgezet", "newsletter stopped"),
        *("Newsletter abbestellt", "Newsletter gekündigt", "newsletter cancelled", "mails gestopt"),
        *("gestopt met nieuwsbrief", "stop sending", "stop contacting me", "newsletter arrêtée"),
        *("no longer wishes to hear from us", "does not want to hear from us anymore"),
        *(
            "wil niets meer van ons horen",
            "wil niet meer van ons horen",
            "doesn't wish to hear from us",
        ),
        *("möchte nichts mehr von uns hören", "ne veut plus entendre parler de nous"),
        *("nieuwsbrief niet gewenst", "Newsletter nicht erwünscht", "mail niet langer gewenst"),
        *("newsletter not wanted", "newsletter non souhaitée", "mailing unerwünscht"),
        *("niet meesturen", "niet mee sturen", "nieuwsbrief niet meezenden", "nicht mitschicken"),
        *("graag niet meer meesturen", "mailing niet meesturen"),
        # Behind a note stand initials, or who it is about.
        *("geen mail KG", "geen mail AG", "geen nieuwsbrief AG", "geen mail meer bv"),
        *("Geen mail Jansen BV", "Keine Mails Müller GmbH", "keine Werbung KG", "no mail llc"),
    ],
)
def test_a_refusal_is_one_in_whatever_words(remark: str) -> None:
    assert find_refusal(remark) == REFUSED


@pytest.mark.parametrize(
    "remark",
    [
        "leest af en toe de nieuwsbrief",
        "wil graag mail",
        "graag per mail",
        "mail ok",
        "wel mailen",
        "geen bijzonderheden",
        "belt altijd 's ochtends",
        "nieuwe klant 2020",
        "Newsletter; Non-profit",
        "wants the newsletter",
        "möchte gerne Mails",
        "veut recevoir la newsletter",
        "contact via partner",
        "mag gemaild worden",
        "lid sinds 2004",
        "geen telefoon",
        "niet bellen",
        "rolstoel, geen trap",
        "-",
        "Jan is penningmeester",
        "no allergies",
        "ne pas oublier le chat",
        "parkt niet voor de deur",
        "not a member",
        "pays by mail order",
        "ja, mail",
        *("geen toestemming foto's", "keine Einwilligung für Fotos", "no consent photos"),
        *("toestemming gegeven", "wil graag op de lijst", "non-profit", "e-mail", "vip_klant"),
        *(
            "on request",
            "op verzoek gebeld",
            "hört gut",
            "will mehr wissen",
            "newsletter-subscriber",
        ),
        *("wil er af en toe bij zijn", "wants out-of-office info", "wants off-street parking"),
        *(
            "will raus aufs Land",
            "wil van de lijst weten of hij erop staat",
            "wishes to hear from us",
        ),
        *("bitte anrufen", "please call", "stopwatch", "wil af en toe bellen", "off-season"),
        "",
        "  ",
    ],
)
def test_a_wish_for_mail_and_what_has_nothing_to_do_with_it_are_none(remark: str) -> None:
    assert find_refusal(remark) == ""


@pytest.mark.parametrize(
    "remark",
    [
        "Premium plus newsletter",
        "Newsletter no. 12",
        "geen bezwaar tegen nieuwsbrief",
        "wil geen telefoon maar mail",
        "hoeft geen papieren nieuwsbrief",
        "klaagt dat hij geen nieuwsbrief krijgt",
        "blocked drain",
        "no problem with mail",
        "niet afgemeld",
        "not unsubscribed",
        "geen mail ontvangen, opnieuw sturen",
        "niet vergeten te mailen",
        "man overleden, graag nieuwsbrief",
        "niet bellen maar mailen",
        "nee",
        "mailadres klopt niet",
        "geen nieuwsbrief per post",
        "recept uitgeschreven",
        "geen mailadres van partner",
        "mail niet aangekomen",
        "email no longer valid",
        "geweigerd",
        "geen interesse in cursus",
        "keine Mail erhalten",
        "bounced",
        "geen contact gehad",
        "betaling geblokkeerd",
        "stopt per 1-1",
        "mail komt terug",
        *(
            "never asked to be removed",
            "heeft niet gevraagd om verwijdering",
            "consent not withdrawn",
        ),
        *("Widerruf Bestellung 4711", "geen toestemming partner", "verwijderd", "wil stoppen"),
        *("asked for removal of wisdom tooth", "keine Löschung beantragt", "no permission to park"),
        *("kein Interesse mehr", "liever niet", "gestopt", "cleaned", "ne souhaite plus"),
        *("AVG verzoek inzage", "please remove the old phone number", "nie um Löschung gebeten"),
        *("did not withdraw consent", "toestemming niet ingetrokken", "nieuwsbrief nooit gestopt"),
        *("uit", "Off", "aus", "factuur niet meesturen", "pakbon niet meesturen"),
        *("kan niet meesturen", "folder nicht mitschicken", "pakbon, niet meesturen"),
        "niet meesturen: pakbon",
    ],
)
def test_what_comes_near_a_refusal_is_doubtful(remark: str) -> None:
    assert find_refusal(remark) == DOUBTFUL


def test_of_a_doubtful_and_a_clear_half_the_clear_one_counts() -> None:
    assert find_refusal("recept uitgeschreven; wil geen mail") == REFUSED


@pytest.mark.everyday("[geen_]")
@pytest.mark.parametrize(
    "word",
    [
        "no ",
        "wil ",
        "mail niet ",
        "verwijder a b ",
        "n'",
        "e-",
        "a",
        "geen_",
        "asked to be ",
        "wel ",
        "avg ja ",
        "avg 1 ",
        "auto ",
        "per ongeluk ",
        "mail: ",
        "factuur niet ",
    ],
)
def test_a_remark_as_long_as_a_book_is_read_at_once(word: str) -> None:
    started = time.process_time()
    assert find_refusal(word * 50_000 + ". geen mail") == REFUSED
    # It takes a few tenths; one repetition too many in a pattern would make it minutes.
    assert time.process_time() - started < 10


def test_words_are_compared_without_accents_capitals_and_spaces() -> None:
    assert normalize_remark(" N’ÉCRIVEZ\n plus ") == "n'ecrivez plus"
    assert normalize_remark("Don't, wouldn’t, dont") == "do not, would not, do not"


@pytest.mark.parametrize(
    "remark",
    [
        "svp niet meer aanschr.",
        "bitte nicht mehr anschr.",
        "niet meer benad.",
        "do not cntct",
        "geen nieuwsb",
        "nieuwsbrief: n",
        "nieuwsbrief uit",
        "Newsletter aus",
        "newsletter = off",
        "Newsletter abbest.",
        "no mktg",
        "pas de pub",
        "plus de pubs svp",
        "van de lijst afgehaald op eigen verzoek",
    ],
)
def test_a_refusal_is_one_however_it_is_shortened(remark: str) -> None:
    assert find_refusal(remark) == REFUSED


@pytest.mark.parametrize(
    "remark",
    [
        "niet op de lijst zetten",
        "not on the list",
        "adres niet gebruiken",
        "niet versturen",
        "alleen telefonisch contact",
        "alleen bellen",
        "contact alleen per tel",
        "nur telefonisch",
        "only phone contact",
        "phone only",
        "uniquement par téléphone",
        "dnd",
        *("alleen post", "alleen per post", "Alleen via de post", "liever per post"),
        *("liever op papier", "alleen papieren post", "alleen brieven", "alleen schriftelijk"),
        *("graag per post", "per post", "per post aub", "voorkeur: post", "wil alleen post"),
        *("nur per Post", "nur Post", "lieber per Brief", "ausschließlich schriftlich"),
        *("bitte per Post", "Post bevorzugt", "post only", "by post only", "paper only"),
        *("hard copy only", "only by letter", "prefers post", "by post please", "letters only"),
        *("par courrier uniquement", "uniquement par la poste", "par écrit seulement"),
        *("de préférence par courrier", "préfère le courrier", "par la poste"),
    ],
)
def test_who_may_be_reached_otherwise_alone_is_put_before_the_admin(remark: str) -> None:
    assert find_refusal(remark) == DOUBTFUL


@pytest.mark.parametrize(
    "remark",
    [
        "contact per mail",
        "Kontaktperson: Anna",
        "nieuwsbrief: j",
        "nieuwsbrief uit 2019 bewaard",
        "Newsletter aus Berlin",
        "met us in the pub",
        "bestelde telefonisch",
        "op de lijst van Jan",
        "uses our newsletter",
        "alleen postbus",
        "only post office nearby",
        "alleen e-mail",
        "liever per mail",
        "nur per E-Mail",
        "par courriel uniquement",
        "vraag kwam per post binnen",
        "bestelt per post",
        "papier op",
        "heeft alleen poster besteld",
        *("formulier niet meegestuurd", "bijlage niet meegestuurd", "foto niet meegezonden"),
    ],
)
def test_nearly_the_same_words_about_something_else_are_none(remark: str) -> None:
    assert not find_refusal(remark)


@pytest.mark.parametrize(
    "remark",
    [
        "wel mail, geen post",
        "geen post, wel mail",
        "graag mail, geen post",
        "geen post, graag mail",
        "email only, no post",
        "no post, email only",
        "nur Mail, keine Post",
        "keine Post, nur Mail",
        "par mail, pas de courrier",
        "pas de courrier, par mail",
        "mail: ja / post: nee",
        "post: nee / mail: ja",
        "mail ja, post nee",
        "krijgt geen nieuwsbrief maar wil die wel",
        "wel nieuwsbrief, geen reclame",
        "geen reclame, wel nieuwsbrief",
        "was afgemeld, weer aangemeld",
        "weer aangemeld, was afgemeld",
        "nog niet gemaild",
        "nog niet aangeschreven",
        "nog geen e-mail",
        "vindt mail niet erg",
        "wil geen contactlenzen",
        "per ongeluk afgemeld",
        "huur opgezegd",
        "Auto abgemeldet",
        "factuur niet mailen",
        "bezwaar tegen factuur",
    ],
)
def test_a_wish_for_mail_or_a_no_to_something_else_opts_nobody_out(remark: str) -> None:
    assert find_refusal(remark) == DOUBTFUL


@pytest.mark.parametrize(
    "remark",
    [
        "afgemeld (per mail)",
        "per mail afgemeld 2020",
        "geen mail, graag post",
        "graag nieuwsbrief afmelden",
        "no email only phone",
        "automatisch afgemeld",
        "per telefoon afgemeld",
        "factuur niet mailen; wil geen reclame",
        "AVG akkoord, geen mail",
        "AVG akkoord, overleden 2021",
        "geen bezwaar, wel afgemeld",
        "rookt niet meer, geen nieuwsbrief",
        *("No Spam BV wil geen mail", "wil geen mail, Bakker BV", "geen mail aan Bakker BV"),
    ],
)
def test_a_refusal_beside_such_words_is_still_one(remark: str) -> None:
    assert find_refusal(remark) == REFUSED


@pytest.mark.parametrize(
    "remark",
    [
        "AVG akkoord 25-5-2018",
        "AVG ok",
        "AVG formulier getekend",
        "GDPR OK",
        "DSGVO ja",
        "Einwilligung DSGVO liegt vor",
        "geen bezwaar",
        "rookt niet meer",
        "gestopt met roken",
        "komt terug in mei",
        "woont niet meer in Utrecht",
        "AVG",
        "AVG getekend",
        "kein Widerspruch",
    ],
)
def test_a_word_of_privacy_beside_a_yes_and_a_habit_given_up_are_none(remark: str) -> None:
    assert find_refusal(remark) == ""


@pytest.mark.parametrize(
    "remark",
    [
        "AVG verzoek",
        "AVG, inzage",
        "AVG?",
        "AVG nee",
        "AVG geen akkoord",
        "GDPR not ok",
        "AVG akkoord ingetrokken",
        "AVG formulier niet getekend",
        "geen bezwaar ingetrokken",
        "geen bezwaar, wel bezwaar",
        "woont hier niet meer",
        "leeft niet meer",
        "gestopt",
        "mail komt terug",
        "mailt niet meer",
        "komt terug op toestemming",
        "AVG ok, d. 2021",
        "wil niks meer per mail",
        "refus par mail",
    ],
)
def test_what_is_nearly_such_a_word_stays_before_the_admin(remark: str) -> None:
    assert find_refusal(remark) == DOUBTFUL


@pytest.mark.parametrize(
    "remark",
    [
        "g mailing",
        *("g mail", "G mail", "k mail"),
        "k. NL",
        "no nl",
        "niet zenden",
        "n. zenden",
        "geen nbr",
        "geen recl.",
        "keine Wbg",
        "kein Int.",
        "refus mail",
        "p. de pub",
        "ni mailen",
        "will nichts",
        "hoeft niks",
        "niet geinteresseerd",
        "wil niet gestoord worden",
        "niet lastigvallen",
        "staat op zwarte lijst",
        "wil vergeten worden",
        "geen acties",
        "bel me niet",
        "nee hoor",
    ],
)
def test_no_shortened_no_is_passed_over(remark: str) -> None:
    assert find_refusal(remark)


@pytest.mark.parametrize("remark", ["K. Mail", "via K. Mail", "via K. Werbung GmbH"])
def test_what_may_be_somebody_of_that_name_opts_nobody_out(remark: str) -> None:
    assert find_refusal(remark) == DOUBTFUL
