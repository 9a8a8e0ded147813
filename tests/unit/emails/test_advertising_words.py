"""What makes an asking advertising, and ordinary words that only look like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.emails.advertising_words import find_offers
from repermit.emails.allowed_html import normalize_text
from repermit.i18n.catalogues import languages
from tests.support.mail_builders import make_ask, make_facts

OFFERS = {
    "nl": [
        "korting", "ledenkorting", "kortingscode", "kortingsactie", "aanbieding", "aanbiedingen",
        "uitverkoop", "tegoedbon", "cadeaubon", "cadeaukaart", "waardebon", "gratis", "halve prijs",
        "Koop nu", "nu kopen", "Bestel nu", "bestel direct", "actieprijs", "actiecode", "winactie",
        "voordeelprijs", "prijsvraag", "maak kans op", "2 voor 1", "twee voor de prijs van een",
        "zolang de voorraad strekt", "alleen vandaag", "koopje", "offerte", "proefabonnement",
        "bespaar nu", "twintig procent", "wintersale", "gratis cadeau", "geschenk",
    ],
    "en": [
        "sale", "discount", "discounted", "voucher", "coupon", "free", "for free", "free trial",
        "free of charge", "free shipping", "Half price", "half-price", "buy now", "order now",
        "shop now", "special offer", "limited offer", "offer ends", "gift card", "free gift",
        "2 for 1", "buy one get one", "while stocks last", "today only", "save up to", "save 10",
        "prize draw", "giveaway", "win a", "cashback", "bargain", "Black Friday",
        "money off", "twenty percent",
    ],
    "de": [
        "Rabatt", "Neukundenrabatt", "Rabattaktion", "Gutschein", "Gutscheincode", "kostenlos",
        "kostenlose", "kostenfrei", "versandkostenfrei", "Sonderangebot", "im Angebot",
        "Angebotspreis", "Schnäppchen", "SCHNÄPPCHEN", "Jetzt kaufen", "jetzt bestellen",
        "Kaufen Sie jetzt", "halber Preis", "zum halben Preis", "Aktionspreis", "Preisnachlass",
        "Ausverkauf", "Schlussverkauf", "Gewinnspiel", "Verlosung", "nur heute", "umsonst",
        "solange der Vorrat reicht", "Sparen Sie", "Probeabo", "Gratisprobe", "Geschenk",
        "zwanzig Prozent",
    ],
    "fr": [
        "réduction", "réductions", "rabais", "soldes", "promo", "code promo", "gratuit", "gratuite",
        "gratuitement", "offre spéciale", "offre promotionnelle", "offre limitée",
        "livraison offerte",
        "cadeau", "bon d’achat", "bon d'achat", "chèque-cadeau", "achetez", "Commandez", "profitez",
        "moitié prix", "demi-tarif", "vente privée", "liquidation totale", "bonne affaire",
        "jeu-concours",
        "tirage au sort", "gagnez", "économisez", "acheter maintenant", "vingt pour cent",
        "dans la limite des stocks",
    ],
    "figures": [
        "20 procent", "20%", "10 %", "20 % Rabatt", "2,5 %", "20 percent", "20 per cent",
        "20 Prozent",
        "20 pour cent", "20 pourcent", "€ 10", "€10", "$ 5", "£5", "5,00 euro", "20€", "10 EUR",
        "EUR 10", "CHF 20", "15,-", "15,–", "99 %", "101 %", "1000 %", "nu€10pp", "x20%", "1+1",
        "met code ZOMER",
        "with code SAVE20", "mit Code HERBST",
        "avec le code NOEL", "½ prijs",
    ],
}  # fmt: skip

ORDINARY = {
    "nl": [
        "gift", "uw gift", "giften", "een gift van u", "vrije tijd", "vrij", "vrijwillig",
        "vrijblijvend",
        "afkorting", "verkorting van de wachttijd", "heffingskorting", "ons aanbod",
        "wij bieden aan",
        "actie", "acties", "inzamelingsactie", "voordeel", "u kunt zich kosteloos afmelden",
        "bestellen", "herhaalrecept bestellen", "prijs", "kopen", "sparen", "code rood", "promotie",
        "winnen", "kans", "procent", "kantoor", "centrum", "vandaag", "voorraad",
    ],
    "en": [
        "Gift Aid", "gift", "legacy gifts", "feel free", "Please feel\nfree",
        "you are free to say no",
        "free time", "free will", "a smoke-free room", "toll-free", "free from pain", "freedom",
        "freely",
        "we offer support", "offers", "our offer", "health promotion", "wholesale", "save the date",
        "Save the Children", "saved", "price", "buy", "order", "wind", "win", "account",
        "free of pain", "set free", "unsubscribe free of charge",
    ],
    "de": [
        "frei", "freiwillig", "Freizeit", "Gift", "unser Angebot", "Angebote", "Hilfsangebot",
        "Angebot der Beratung", "kostenlos abmelden", "Aktion", "Aktion Mensch", "günstig",
        "sparen",
        "Sparkasse", "nicht umsonst", "kaufen", "bestellen", "Preis", "Prozent", "Gewinn", "heute",
        "reduziert", "barrierefrei", "100 % freiwillig", "100 Prozent", "schmerzfrei", "Vorrat",
        "Rezept bestellen",
    ],
    "fr": [
        "libre", "temps libre", "librement", "nous offrons", "offre de soins", "notre offre",
        "le solde",
        "réduction d’impôt", "réduction d'impôts", "réduction des risques", "remise en forme",
        "promotion de la santé", "concours", "acheter", "commander", "prix", "tarif", "gagner",
        "profiter", "économie", "pour cent ans", "don", "un don", "vente", "promotion",
        "vous désabonner gratuitement",
    ],
    "figures": [
        "06 12345678", "1234 AB", "om 10 uur", "2026", "50 jaar", "3x per jaar", "1-2 keer",
        "art. 6",
        "24/7", "65+", "+31 6", "EUR-Lex", "Europa", "10 europese landen", "8 centra",
    ],
}  # fmt: skip


def pairs(table: dict[str, list[str]]) -> list[str]:
    return [words for language in table.values() for words in language]


@pytest.mark.parametrize("words", pairs(OFFERS))
def test_an_offer_is_found(words: str) -> None:
    assert find_offers(normalize_text(f"Over {words} voor u"))
    assert find_offers(normalize_text(f"Over {words.upper()} voor u"))
    assert find_offers(normalize_text(f"({words})"))


@pytest.mark.parametrize("words", pairs(ORDINARY))
def test_ordinary_words_are_no_offer(words: str) -> None:
    assert find_offers(normalize_text(f"Over {words} voor u")) == ()
    assert find_offers(normalize_text(f"Over {words.upper()} voor u")) == ()
    assert find_offers(normalize_text(f"({words}).")) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Nu 20 % Rabatt!", ("20 %", "Rabatt")),
        ("twee voor de helft: halve\n prijs", ("halve prijs",)),
        ("een gratis nieuwsbrief", ("gratis",)),
        ("Neukundenrabatte sichern", ("Neukundenrabatte",)),
        ("gr\u00adatis en kor\u200bting", ("gratis", "korting")),
        ("\uff47\uff52\uff41\uff54\uff49\uff53", ("gratis",)),
        ("gratis, gratis", ("gratis",)),
        ("met code ZOMER of code rood", ("met code ZOMER",)),
    ],
)
def test_an_offer_is_quoted_as_it_is_read(text: str, found: tuple[str, ...]) -> None:
    assert find_offers(normalize_text(text)) == found


@given(
    offer=st.sampled_from(pairs(OFFERS)),
    before=st.sampled_from(pairs(ORDINARY)),
    gap=st.text(" \n\t", min_size=1, max_size=3),
)
def test_an_offer_is_found_between_ordinary_words_and_over_line_ends(
    offer: str, before: str, gap: str
) -> None:
    assert find_offers(normalize_text(f"Wij: {before}. {offer.replace(' ', gap)}"))


@given(st.lists(st.sampled_from(pairs(ORDINARY)), max_size=5))
def test_ordinary_words_in_a_row_are_no_offer(words: list[str]) -> None:
    assert find_offers(normalize_text("; ".join(words))) == ()


@pytest.mark.parametrize("sensitive", [False, True])
@pytest.mark.parametrize("language", languages())
def test_the_wording_that_repermit_has_makes_no_offer(language: str, sensitive: bool) -> None:
    facts = make_facts(sensitive=sensitive)
    draft = make_ask(language=language, mailing_list=facts)
    assert find_offers(normalize_text(f"{draft.subject}\n{draft.text}")) == ()


@pytest.mark.exhaustive
def test_figures_without_end_are_looked_at_in_pieces() -> None:
    assert find_offers("1" * 100_000) == ()
    assert find_offers("1." * 50_000) == ()
    assert find_offers("1" * 100_000 + " euro")


@pytest.mark.parametrize("before", range(975, 1001))
def test_an_offer_is_found_wherever_a_search_of_a_long_text_begins(before: int) -> None:
    text = "x" * before + " zolang de voorraad strekt en met ledenkorting"
    assert find_offers(text) == ("zolang de voorraad strekt", "ledenkorting")
    assert find_offers("x" * before + " afkorting en gratis") == ("gratis",)
