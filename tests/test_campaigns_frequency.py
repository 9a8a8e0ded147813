"""Which purposes say how often mail comes."""

from __future__ import annotations

import pytest

from repermit.campaigns.frequency import says_how_often


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
    ],
)
def test_a_purpose_that_says_how_often_is_known(text: str) -> None:
    assert says_how_often(text)


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
    ],
)
def test_a_purpose_that_does_not_is_known_too(text: str) -> None:
    assert not says_how_often(text)
