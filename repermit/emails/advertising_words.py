"""The words that make an ask an advertisement.

An ask that advertises is itself unsolicited mail (ICO on Honda, 2017). An organisation that offers
an incentive must still show that the Yes was free (EDPB 05/2020 §48).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Every wording is searched for the words of all languages.
#
# A word is listed if it is an incentive. Words that a practice or charity also needs are listed
# only with what makes them one: "gift" is a donation in Dutch, "Gift Aid" a tax relief, "Angebot",
# "aanbod" and "offre" are services, "actie" and "Aktion" campaigns.
# "Gratis" and its like are refused also before "nieuwsbrief": a price of nothing is a reason to
# say Yes, and the question is complete without it. "Kosteloos" is allowed: it is the law's word for
# unsubscribing (Telecommunicatiewet art. 11.7), as "kostenlos abmelden" is.
# A pattern matches whole words; \w* lets it match a part of a longer word.
_OFFERS = {
    "nl": (
        r"\w*(?<!\baf)(?<!\bver)(?<!\bbe)(?<!\bin)(?<!heffings)(?<!arbeids)korting\w*",
        r"\w*(?:aanbieding|uitverkoop|tegoedbon|cadeaubon|cadeaukaart|waardebon)\w*",
        r"gratis\w*|geschenk|cadeaux?|offertes?|koopjes?|proefabonnement\w*",
        # NFKC makes "½" into a fraction of two figures.
        r"(?:halve|1\u20442) prijs|\d halen,? \d betalen",
        r"(?:2|twee) voor (?:1|één|een|de prijs van)",
        r"(?:bestel|koop) (?:nu|direct|meteen|snel)|nu (?:kopen|bestellen)|bespaar (?:nu|tot)",
        r"(?:actie|voordeel|win|promo)-?(?:prijs|prijzen|actie|acties|code|codes)",
        r"prijsvra(?:ag|gen)|maak kans op|win een",
        r"zolang de voorraad strekt|op ?= ?op|alleen vandaag|nu (?:extra )?goedkoper",
    ),
    "en": (
        r"\w*(?:discount|voucher|coupon)\w*",
        r"(?:(?:winter|summer|spring|zomer|sommer|flash)[ -]?)?sale",
        # "Feel free", "free to say no", "smoke-free", "free time", "free from pain" are no offers.
        r"for free|(?<!\bunsubscribe )free[ -]of[ -](?:charge|cost)",
        r"(?<!-)(?<!\bfeel )(?<!\bset )free(?!-| (?:to|will|time|from|of|choice|speech)\b)",
        r"gift (?:cards?|with)|bargains?|cashback|money off|giveaways?|sweepstakes?|prize draws?",
        r"half[ -]price|(?:2|two) for (?:1|one|the price of)|buy one",
        r"(?:buy|order|shop) (?:now|today)|save (?:now|up to|[€$£]? ?\d+)|win an?",
        r"(?:special|limited|exclusive|introductory) offers?|offers? (?:ends?|expires?)|on offer",
        r"while stocks? lasts?|today only|black friday|cyber monday",
    ),
    "de": (
        r"\w*(?:rabatt(?!r)|gutschein|sonderangebot|schnäppchen|ausverkauf|schlussverkauf)\w*",
        r"\w*kostenfrei\w*|kostenlos(?:e[mnrs]?)?(?! (?:abmelden|kündigen|widersprechen))",
        # "Nicht umsonst" means for good reason.
        r"(?<!\bnicht )umsonst|probeabo\w*|\w*gewinnspiel\w*|verlosung(?:en)?",
        r"im angebot|angebotspreise?|aktions(?:preise?|codes?|angebote?)",
        r"halbe[nr]? preis|preis(?:nachlass|nachlässe|senkung|vorteil)\w*",
        r"jetzt (?:kaufen|bestellen|shoppen|zuschlagen|sichern)|(?:kaufen|bestellen) sie jetzt",
        r"sparen sie|nur heute|solange der vorrat reicht",
    ),
    "fr": (
        # A donation to a charity brings a tax reduction; reducing risks is care.
        r"réductions?(?! d['’]impôts?\b| des risques\b| fiscales?\b)",
        r"rabais|soldes|promos?|code promo|gratuite?s?|offert(?:e|s|es)",
        r"(?<!\bdésabonner )(?<!\bdésinscrire )gratuitement",
        r"offres? (?:spéciale|promotionnelle|exclusive|limitée)s?",
        r"remises? (?:immédiate|exceptionnelle)s?",
        r"bons? d['’]achat|(?:chèque|carte|bon)s?[ -]cadeaux?|ventes? privées?",
        r"achetez|commandez|profitez|gagnez|économisez|acheter maintenant",
        r"moitié prix|demi-tarif|bonnes? affaires?|liquidation totale",
        r"jeu[ -]concours|tirage au sort|dans la limite des stocks",
    ),
}
_NUMBERS = (
    "vijf|tien|vijftien|twintig|dertig|veertig|vijftig|five|ten|fifteen|twenty|thirty|forty|fifty"
    "|fünf|zehn|fünfzehn|zwanzig|dreißig|vierzig|fünfzig|cinq|dix|quinze|vingt|trente|quarante"
    "|cinquante"
)
# Where a match may begin at any digit, the digits are bounded: otherwise the time is quadratic.
_FIGURES = (
    # "100 %" is also said of voluntary or confidential things; an offer of it has other words too.
    r"(?<![\d.,])(?!100 ?\D)\d+(?:[.,]\d+)? ?(?:%|procent|percent|per cent|prozent|pour ?cent)",
    rf"\b(?:{_NUMBERS}) (?:procent|percent|per cent|prozent|pour ?cent)",
    r"[€$£] ?\d[\d.,]*|\b(?:eur|chf|usd|gbp) ?\d[\d.,]*|\d[\d.,]{0,30} ?(?:€|(?:euros?|eur|chf)\b)",
    # 15,- is a price in Dutch and German.
    r"\d{1,30},[-–—]|\b1\+1\b",
    # A code has capitals or figures: "met code rood" is about the weather.
    r"\b(?:met|with|mit|avec) (?:de |the |dem |le )?code (?-i:[A-Z]{3,}|[A-Z]*\d)\w*",
)
_OFFER = re.compile(
    r"\b(?:"
    + "|".join(pattern for patterns in _OFFERS.values() for pattern in patterns)
    + r")(?!\w)|"
    # There is no word boundary beside a character such as € or %.
    + "|".join(_FIGURES),
    re.IGNORECASE,
)


# A search blocks all other threads, and a search through 100 kB takes a second.
_STEP = 1_000


def find_offers(text: str) -> tuple[str, ...]:
    """Return the words of a text that make an offer, each once.

    - `text`: as `normalize_text` returns it.
    """
    return tuple(dict.fromkeys(_iter_offers(" ".join(text.split()))))


def _iter_offers(text: str) -> Iterator[str]:
    searched_until = 0
    for start in range(0, len(text), _STEP):
        # A match may begin in one step and end in the next.
        for match in _OFFER.finditer(text, max(start, searched_until), start + 2 * _STEP):
            if match.start() < start + _STEP:
                searched_until = match.end()
                yield match[0]
