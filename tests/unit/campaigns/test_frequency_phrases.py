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
    "adverbs",
    [
        "dagelijks wekelijks tweewekelijks maandelijks driemaandelijks halfjaarlijks jaarlijks",
        "daily weekly fortnightly monthly quarterly half-yearly biannually semi-annually annually",
        "täglich wöchentlich vierzehntäglich monatlich quartalsweise halbjährlich jährlich",
        "quotidiennement hebdomadairement mensuellement trimestriellement semestriellement",
        "bimensuellement bimestriel annuellement",
        "ежедневно седмично двуседмично ежемесечно тримесечно шестмесечно полугодишно ежегодно",
        "svakodnevno tjedno dvotjedno mjesečno dvomjesečno tromjesečno polugodišnje godišnje",
        "každodenně týdně čtrnáctidenně měsíčně dvouměsíčně čtvrtletně pololetně půlročně ročně",
        "dagligt ugentligt månedligt kvartalsvis halvårligt årligt",
        "igapäevaselt iganädalaselt igakuiselt kvartaalselt iga-aastaselt",
        "päivittäin viikoittain viikottain kuukausittain neljännesvuosittain puolivuosittain",
        "vuosittain",
        "καθημερινά ημερησίως εβδομαδιαίως δεκαπενθήμερα μηνιαίως τριμηνιαίως εξαμηνιαίως ετησίως",
        "naponta hetente hetenként kéthetente havonta havonként kéthavonta negyedévente",
        "negyedévenként félévente évente",
        "laethúil seachtainiúil coicísiúil míosúil mhíosúil ráithiúil leathbhliantúil bhliantúil",
        "giornalmente quotidianamente settimanalmente quindicinalmente mensilmente bimestralmente",
        "trimestralmente semestralmente annualmente saltuariamente",
        "ikdienas iknedēļas ikmēneša ikceturkšņa ikgadēji",
        "kasdien kassavaitinis kasmėnesinis ketvirtinis pusmetinis kasmet",
        "kuljum annwalment",
        "codziennie dziennie cotygodniowo dwutygodniowo miesięcznie comiesięcznie dwumiesięcznie",
        "kwartalnie półrocznie rocznie corocznie",
        "diariamente semanalmente quinzenalmente mensalmente bimestralmente trimestralmente",
        "semestralmente anualmente",
        "zilnic săptămânal bilunar lunar trimestrial semestrial anual",
        "denne každodenne týždenne dvojtýždenne mesačne dvojmesačne štvrťročne polročne ročne",
        "dnevno vsakodnevno tedensko dvotedensko mesečno dvomesečno trimesečno četrtletno polletno",
        "letno",
        "diariamente semanalmente quincenalmente mensualmente bimestralmente trimestralmente",
        "dagligen veckovis månadsvis månatligen kvartalsvis halvårsvis halvårligen årligen årsvis",
    ],
)
def test_an_adverb_says_how_often(adverbs: str) -> None:
    assert [adverb for adverb in adverbs.split() if not mentions_frequency(adverb)] == []


@pytest.mark.parametrize(
    "text",
    [
        "Новини на шестмесечие",
        "Dvakrát do roka",
        "Hver 14. dag",
        "Igal kuul, kord poolaastas",
        "Kahden kuukauden välein",
        "Κάθε δίμηνο",
        "Minden negyedévben",
        "Gach trí mhí",
        "Due volte l'anno",
        "Reizi divos mēnešos",
        "Ik pēc trim mēnešiem",
        "Kartą per pusmetį",
        "Kull ħmistax",
        "Kull xahrejn",
        "De dois em dois meses",
        "O dată la două luni",
        "Vsakih 14 dni",
        "Var 14:e dag",
    ],
)
def test_an_interval_in_words_says_how_often(text: str) -> None:
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
