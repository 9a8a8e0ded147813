"""Which purposes say how often mail comes."""

from __future__ import annotations

import pytest

from repermit.campaigns.mailing_lists import mentions_frequency


@pytest.mark.parametrize(
    "text",
    [
        "Nieuws over onze praktijk, vier keer per jaar",
        "Elke twee weken een recept",
        "Onze maandelijkse nieuwsbrief",
        "De kwartaalbrief van de stichting",
        "Hooguit tien mails",
        "Af en toe een uitnodiging",
        "Eens in het jaar de jaarrekening",
        "News about our practice, four times a year",
        "One mail every month",
        "The Weekly Digest",
        "At most six mails",
        "Occasional news from the museum",
        "Neuigkeiten, zweimal im Monat",
        "Ein wöchentlicher Brief",
        "Alle drei Monate ein Heft",
        "Vierteljährliche Nachrichten",
        "Gelegentlich eine Einladung",
        "Unser Monatsbrief",
        "Une lettre par mois",
        "Tous les deux mois",
        "Notre lettre mensuelle",
        "Deux fois l'an",
        "Au plus dix courriels",
        *("Новини, четири пъти в годината", "Месечен бюлетин", "Най-много шест писма"),
        *("Novosti, četiri puta godišnje", "Svaka dva mjeseca", "Mjesečni bilten"),
        *("Novinky čtyřikrát za rok", "Měsíční zpravodaj", "Každé dva týdny"),
        *("Nyt fire gange om året", "Hver anden uge", "Vores månedsbrev"),
        *("Uudised neli korda aastas", "Igakuine uudiskiri", "Iga kahe kuu tagant, aeg-ajalt"),
        *("Uutisia neljä kertaa vuodessa", "Kuukausittainen kirje", "Joka toinen viikko"),
        *("Νέα τέσσερις φορές τον χρόνο", "Κάθε δύο μήνες", "Μηνιαίο δελτίο"),
        *("Hírek évente négyszer", "Havi hírlevél", "Legfeljebb hat levél"),
        *("Nuacht ceithre huaire sa bhliain", "Gach mí", "Nuachtlitir mhíosúil nó míosúil"),
        *("Notizie quattro volte all'anno", "Ogni due mesi", "La lettera mensile"),
        *("Ziņas četras reizes gadā", "Katru otro nedēļu", "Ikmēneša vēstule"),
        *("Naujienos keturis kartus per metus", "Kas antrą savaitę", "Mėnesinis laiškas"),
        *("Aħbarijiet erba’ darbiet fis-sena", "Kull xahar", "Kull tliet xhur"),
        *("Wiadomości cztery razy w roku", "Co dwa tygodnie", "Miesięczny biuletyn"),
        *("Notícias quatro vezes por ano", "Todos os meses", "O boletim mensal"),
        *("Știri de patru ori pe an", "În fiecare lună", "Buletin lunar"),
        *("Novinky štyrikrát za rok", "Každé dva týždne", "Mesačný spravodaj"),
        *("Novice štirikrat na leto", "Vsaka dva meseca", "Mesečne novice"),
        *("Noticias cuatro veces al año", "Cada dos meses", "El boletín mensual"),
        *("Nyheter fyra gånger om året", "Varannan vecka, varje vecka", "Vårt månadsbrev"),
    ],
)
def test_a_purpose_that_says_how_often_is_known(text: str) -> None:
    assert mentions_frequency(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Nieuws over onze praktijk",
        "Al 50 jaar uw bakker",
        "News from the dayton museum",
        "Neuigkeiten aus der Praxis",
        "Nouvelles de notre association",
        "Weekend trips and yearbooks",
        "Nieuws voor u, na meer dan 50 jaar",
        "Новини от нашия кабинет",
        "Novosti iz naše ordinacije",
        "Novinky z naší ordinace",
        "Nyt fra vores klinik, din bager i 50 år",
        "Uudised meie keskusest",
        "Uutisia vastaanotoltamme",
        "Νέα από το ιατρείο μας, εδώ και 50 χρόνια",
        "Hírek a rendelőnkből, az 50 éves pékség",
        "Nuacht ónár gclinic",
        "Notizie dal nostro studio",
        "Ziņas no mūsu prakses",
        "Naujienos iš mūsų kabineto",
        "Aħbarijiet mill-klinika tagħna",
        "Wiadomości z naszej przychodni",
        "Notícias do nosso consultório",
        "Știri de la cabinetul nostru, la 50 de ani",
        "Novinky z našej ambulancie",
        "Novice iz naše ordinacije",
        "Noticias de nuestra consulta",
        "Nyheter från vår mottagning, din bagare i 50 år",
    ],
)
def test_a_purpose_that_does_not_is_known_too(text: str) -> None:
    assert not mentions_frequency(text)
