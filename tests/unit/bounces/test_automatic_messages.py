"""Every entry of data/automatic_messages.toml, in a message that a program sends."""

from __future__ import annotations

from email.message import EmailMessage, Message
from typing import Any

import pytest

from repermit import package_files
from repermit.bounces.automatic_messages import (
    has_bounce_subject,
    is_automatic,
    is_from_mail_server,
)

DATA: dict[str, dict[str, Any]] = package_files.load_data("automatic_messages.toml")

# How subjects begin, in the order of the file.
UNDELIVERED = [
    "Undeliverable: news", "Returned mail: see transcript", "Mail delivery failed",
    "Delivery Status Notification", "Failure notice", "Warning: could not send message",
    "Mail system error", "Message not delivered", "Delayed mail", "Nondeliverable mail",
    "Automatisch onbestelbaar: news", "Niet bezorgd: news", "Unzustellbar: news",
    "Nicht zustellbar: news", "Zustellung fehlgeschlagen", "Non remis : news",
    "Non distribué : news", "Échec de la remise", "Avis de non-remise : news",
    "Retour de courrier : news", "Message non délivré", "Impossible de remettre votre message",
    "Non recapitabile: news", "Avviso di mancato recapito", "Messaggio non recapitato",
    "Impossibile recapitare il messaggio", "Errore di recapito", "No se puede entregar: news",
    "No entregable: news", "Devolución de correo", "Correo devuelto: news", "Entrega fallida",
    "Notificación de error de entrega", "Não é possível entregar: news", "Não entregue: news",
    "Mensagem não entregue", "Falha na entrega da mensagem", "Aviso de não entrega",
]  # fmt: skip
AUTOMATIC = [
    "Automatic reply: news", "Vacation reply", "AUTO: Jan is out of the office",
    "Automatische Antwort: news", "Réponse automatique : news", "Risposta automatica",
    "Respuesta automática", "Resposta automática", "Resposta automàtica", "Autosvar",
    "Automatiskt svar", "Sjálfvirkt svar", "Automaattinen vastaus", "Automaatvastus",
    "Automātiska atbilde", "Automatinis atsakymas", "Automatyczna odpowiedź",
    "Automatická odpoveď", "Automatická odpověď", "Samodejni odgovor", "Automatski odgovor",
    "Automatikus válasz", "Răspuns automat", "Otomatik yanıt", "Автоматический ответ",
    "Автоматична відповідь", "Автоматичен отговор", "Αυτόματη απάντηση", "תשובה אוטומטית",
    "رد تلقائي", "自动答复", "自动回复", "自動回覆", "自動応答", "자동 회신",
]  # fmt: skip
AWAY = [
    "Afwezigheidsbericht", "Niet aanwezig", "Out of the office", "Abwesend",
    "Abwesenheitsnotiz", "Absent du bureau", "Absence du bureau", "Message d’absence",
    "Fuori ufficio", "Fuera de la oficina", "Fora do escritório",
    "Fraværende", "Frånvarande", "În concediu",
]  # fmt: skip
AFTER_AWAY = ["", ": news", " 3 maart", " tot maandag"]
SERVERS = ["mailer-daemon", "mail.daemon", "mdaemon", "double-bounce", "microsoftexchange329e71ec"]


def message_with(**headers: str) -> Message:
    message = EmailMessage()
    message["From"] = headers.pop("sender", "jan@example.net")
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("Ik ben er niet.")
    return message


def test_the_examples_are_of_every_entry() -> None:
    subjects = DATA["subjects"]
    assert [len(UNDELIVERED), len(AUTOMATIC), len(AWAY), len(AFTER_AWAY)] == [
        len(subjects[name]) for name in ("undelivered", "automatic", "away_words", "after_away")
    ]
    assert len(SERVERS) == len(DATA["senders"]["daemon"])


@pytest.mark.parametrize("subject", UNDELIVERED)
def test_each_subject_of_a_bounce_is_known(subject: str) -> None:
    assert has_bounce_subject(message_with(Subject=subject))
    assert has_bounce_subject(message_with(Subject=subject.upper()))
    assert not has_bounce_subject(message_with(Subject=f"Re: {subject}"))


@pytest.mark.parametrize("subject", AUTOMATIC)
def test_each_subject_of_an_automatic_reply_is_known(subject: str) -> None:
    assert is_automatic(message_with(Subject=subject))
    assert is_automatic(message_with(Subject=subject.upper()))
    assert not is_automatic(message_with(Subject=f"Re: {subject}"))


@pytest.mark.parametrize("words", AWAY)
def test_each_subject_about_being_away_is_known_and_what_may_follow(words: str) -> None:
    for after in AFTER_AWAY:
        assert is_automatic(message_with(Subject=words + after)), after
    if words != "Absence du bureau":  # "du" may also be "from"
        assert not is_automatic(message_with(Subject=f"{words} melden"))


@pytest.mark.parametrize(
    "subject",
    [
        "Fora do escritório até segunda-feira",
        "Fuera de la oficina hasta el lunes",
        "Fraværende til mandag",
    ],
)
def test_an_absence_until_a_day_is_known_in_other_languages_too(subject: str) -> None:
    assert is_automatic(message_with(Subject=subject))


def test_each_header_shows_an_automatic_reply() -> None:
    for name in DATA["headers"]["names"]:
        assert is_automatic(message_with(**{name: "x"})), name
    for value in DATA["headers"]["precedence"]:
        assert is_automatic(message_with(Precedence=value)), value
    assert not is_automatic(message_with(Precedence="normal"))


@pytest.mark.parametrize("name", [*SERVERS, "mail-delivery-subsystem", "bounce", "bounces"])
def test_each_address_of_a_mail_server_is_known(name: str) -> None:
    assert is_from_mail_server(message_with(sender=f"{name}@example.net"))
    assert not is_from_mail_server(
        message_with(sender=f"{name}@example.net", Return_Path="<jan@example.net>")
    )
    assert not is_from_mail_server(message_with(sender=f"x{name}@example.net"))


@pytest.mark.parametrize("name", ["", "null", *SERVERS])
def test_each_return_path_of_nobody_shows_an_automatic_reply(name: str) -> None:
    assert is_automatic(message_with(Return_Path=f"<{name}>"))
    assert not is_automatic(message_with(Return_Path=f"<x{name}@example.net>"))


def test_a_postmaster_with_a_bounces_subject_is_a_mail_server() -> None:
    for name in ("postmaster", "post-master"):
        sender = f"{name}@example.net"
        assert is_from_mail_server(message_with(sender=sender, Subject="Undeliverable: news"))
        assert not is_from_mail_server(message_with(sender=sender, Subject="news"))
