"""Words that make an asking an advertisement.

An asking that advertises is itself mail that nobody agreed to (ICO on Honda, 2017), and whoever
lures must show that the Yes was free all the same (EDPB 05/2020 §48).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# All languages are looked for in every wording: it goes to readers of each of them.
#
# A word stands here if it lures. Words that a practice or charity also needs stand here only
# beside what makes them lure: "gift" is a donation in Dutch, "Gift Aid" a tax relief, "Angebot",
# "aanbod" and "offre" are what one does for people, "actie" and "Aktion" campaigns.
# "Gratis" and its like are refused also before "nieuwsbrief": that it costs nothing is a reason to
# say Yes, and the question is whole without it. "Kosteloos" is not: the law's word for the way out
# (Telecommunicatiewet art. 11.7), as "kostenlos abmelden" is.
# The beginning and end of a pattern are those of a word; \w* lets it be part of a longer one.
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
# Figures without end are looked at in pieces: from each of them on, they would take their number
# squared.
_FIGURES = (
    # "100 %" is said of what is voluntary or confidential; an offer of it has other words too.
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
    # A sign such as € or % has no word's edge beside it.
    + "|".join(_FIGURES),
    re.IGNORECASE,
)


# A search keeps all other threads waiting, and one through 100 kB takes a second.
_STEP = 1_000


def find_offers(text: str) -> tuple[str, ...]:
    """Return the words of a text, as `normalize_text` gives it, that make an offer; each once."""
    return tuple(dict.fromkeys(_iter_offers(" ".join(text.split()))))


def _iter_offers(text: str) -> Iterator[str]:
    done = 0
    for start in range(0, len(text), _STEP):
        # What begins in one step may end in the next one.
        for match in _OFFER.finditer(text, max(start, done), start + 2 * _STEP):
            if match.start() < start + _STEP:
                done = match.end()
                yield match[0]
