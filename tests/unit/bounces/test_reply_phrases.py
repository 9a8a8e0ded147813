"""Every entry of data/reply_phrases.toml, in a reply by mail."""

from __future__ import annotations

import re
from email.message import EmailMessage
from typing import Any

import pytest

from repermit import package_files
from repermit.bounces.message_kind import read
from repermit.bounces.reply_text import detect_plain_answer, interpret_line
from repermit.expressions import Expressions
from repermit.i18n.catalogues import languages, load_translations
from repermit.imports.remark_phrases import normalize_remark

DATA: dict[str, dict[str, Any]] = package_files.load_data("reply_phrases.toml")

# What an expression that is no plain word stands for.
EXAMPLES = {
    "(se |me )?désabonner": "me désabonner",
    "gerne?": "gern",
    "dank u( wel)?": "dank u wel",
    "dank je( wel)?": "dank je wel",
    "goede\\w*": "goedendag",
    "liebe[rs]?": "lieber",
    "sehr geehrte\\w*": "sehr geehrte",
    "kein\\w*": "keine",
    "stop\\w*": "stoppen",
    "afmeld\\w*": "afmelden",
    "uitschrijv\\w*": "uitschrijven",
    "verwijder\\w*": "verwijderen",
    "schrap\\w*": "schrappen",
    "opzeg\\w*": "opzeggen",
    "unsubscri\\w*": "unsubscribe",
    "remov\\w*": "remove",
    "delet\\w*": "delete",
    "cancel\\w*": "cancel",
    "abmeld\\w*": "abmelden",
    "abbestell\\w*": "abbestellen",
    "lösch\\w*": "löschen",
    "entfern\\w*": "entfernen",
    "streich\\w*": "streichen",
    "austrag\\w*": "austragen",
    "désabon\\w*": "désabonner",
    "désinscri\\w*": "désinscrire",
    "supprim\\w*": "supprimer",
    "retir\\w*": "retirer",
    "enlev\\w*": "enlever",
    "_{5,}": "_______",
    "-{3,}": "-----",
    "={5,}": "=======",
    "\\*{5,}": "*******",
    (
        "(op|on|am|le) {no_sentence}(?=.{0,200}\\d).{6,200}(schreef|wrote|schrieb|a écrit)"
    ): "Op 3 maart 2026 schreef De Linde",
    "(op|on|am|le) .{6,200}:$": "Op maandag heeft De Linde geschreven:",
    (
        "(op|on|am|le) {no_sentence}(\\w{2,3}\\.? )?\\d{1,2}\\b.{0,100}(\\d[:.h]\\d\\d|@|\\d{4}$)"
    ): "Op ma. 3 maart 2026 om 10:00",
    (
        "(el|il|dnia|w dniu|pon\\.|wt\\.|śr\\.|czw\\.|pt\\.|sob\\.|niedz\\.) .{6,200}"
        "(escribió|ha scritto|napisał(\\(a\\)|a)?)\\s?:$"
    ): "El lun, 2 mar 2026, De Linde escribió:",
    (
        "(van|from|von|de|da|od|verzonden|sent|gesendet|envoyé|enviado el|inviato|wysłano)\\s?: "
    ): "Von: De Linde",
    (
        "(sent|verstuurd|verzonden|gesendet|envoyé|von mein\\w*|get outlook|télécharge\\w*|"
        "download\\w*|outlook (voor|für|for|pour)) "
    ): "Verstuurd vanaf mijn iPhone",
    (
        "(enviado (desde|con)|inviato (da|con)|wysłan[eoy] z|obtener outlook|ottieni outlook|"
        "pobierz outlook) "
    ): "Inviato da iPhone",
    "met (vriendelijke|hartelijke) groet": "Met vriendelijke groet,",
    "groet(en|jes)?\\b": "Groetjes",
    "mvg\\b": "mvg",
    "regards\\b": "Regards,",
    "mfg\\b": "MfG",
    (
        "((alvast|heel|hartelijk|many) )?({thanks})( (alvast|in advance|im voraus|d avance))?"
    ): "hartelijk bedankt",
    (
        "(nog )?(een )?(fijne|prettige|goede|mooie) (dag|avond|middag|week|weekend|zondag)( nog)?"
    ): "nog een fijne dag",
    "have a (nice|good) (day|evening|weekend)": "have a nice weekend",
    "schönen (tag|abend)( noch)?": "schönen Abend noch",
    "bonne (journée|soirée)": "bonne soirée",
    "yours ": "Yours truly",
}


QUOTATION = (
    "\n\nOp ma 2 mrt 2026 om 10:00 schreef Praktijk De Linde <praktijk@example.org>:\n\n"
    "> Mogen wij u blijven mailen?\n> Ja, graag\n"
)

# By language, what people write who want no more mail.
REQUESTS = [
    ("nl", "Gelieve mij uit uw bestand te verwijderen.\n\nMet vriendelijke groet,\nJan Jansen"),
    (
        "nl",
        "Graag van de mailinglijst af" + QUOTATION,
    ),
    ("nl", "Ik wil dit niet meer ontvangen."),
    ("nl", "Wilt u ervoor zorgen dat wij geen mails meer krijgen?"),
    ("nl", "haal me van die lijst"),
    ("nl", "Rot op met je spam"),
    ("nl", "Ik stel geen prijs op uw nieuwsbrief"),
    (
        "nl",
        (
            "Geachte heer, mevrouw,\n\n"
            "Hierbij verzoek ik u mijn e-mailadres te verwijderen uit uw\n"
            "bestanden. Ik ontvang liever niets meer van u.\n\nHoogachtend,\nA. de Vries"
        ),
    ),
    ("nl", "afmeldne aub"),
    ("nl", "nee dankje"),
    ("nl", "Nee hoor, geen interesse"),
    ("nl", "Ik heb geen belangstelling meer."),
    ("nl", "Stuur me alsjeblieft niks meer"),
    ("nl", "Mag ik eraf?"),
    ("nl", "Mij niet meer mailen svp\n\nVerstuurd vanaf mijn iPhone"),
    ("nl", "Op 3 februari heb ik me al afgemeld. Graag nu echt verwijderen!"),
    ("nl", "Wil je mijn gegevens wissen en me niet meer benaderen?"),
    ("en", "Please take me off your list."),
    ("en", "Take me off this list!!!"),
    ("en", "Not interested, thanks"),
    ("en", "I don't want these emails any more"),
    (
        "en",
        (
            "Dear Sir or Madam,\n\n"
            "I would be grateful if you could remove my address from your mailing\nlist.\n"
            "\nYours faithfully,\nJohn Smith"
        ),
    ),
    ("en", "stop emailing me"),
    ("en", "unsuscribe"),
    ("en", "Leave me alone"),
    ("en", "No more emails please\n\nSent from my iPhone"),
    ("en", "Kindly delete my details from your database."),
    ("en", "I never signed up for this. Remove me now."),
    ("en", "opt out"),
    ("de", "Bitte nehmen Sie mich aus dem Verteiler."),
    ("de", "Kein Interesse"),
    ("de", "Kein Interesse mehr, bitte löschen Sie meine Adresse."),
    (
        "de",
        (
            "Ich möchte keine weiteren E-Mails von Ihnen erhalten.\n\n"
            "Mit freundlichen Grüßen\nKarl Huber"
        ),
    ),
    ("de", "Hiermit widerspreche ich der Verwendung meiner Daten zu Werbezwecken."),
    ("de", "Bitte streichen Sie mich von Ihrer Liste"),
    ("de", "lassen sie mich in ruhe"),
    ("de", "Bitte um Abmeldung"),
    ("de", "Nein, ich möchte das nicht."),
    ("fr", "Merci de me retirer de votre liste."),
    ("fr", "Je ne souhaite plus recevoir vos courriels."),
    ("fr", "Veuillez me désinscrire\n\nCordialement\nMarie Dupont"),
    ("fr", "Pas intéressé"),
    ("fr", "Je ne suis pas intéressée, merci de ne plus m'écrire."),
    ("fr", "Arrêtez de m'envoyer des mails"),
    ("fr", "desinscription svp"),
    ("fr", "Supprimez mon adresse de vos fichiers !!"),
    ("fr", "Non, je ne veux plus rien recevoir de votre part"),
    ("es", "Por favor, denme de baja."),
    ("es", "No deseo recibir más correos."),
    ("es", "Quiero darme de baja"),
    ("es", "no me interesa gracias"),
    ("es", "No me envíen más mensajes\n\nEnviado desde mi iPhone"),
    ("es", "Baja"),
    ("es", "Solicito la eliminación de mis datos de su base de datos.\n\nAtentamente,\nAna García"),
    ("es", "dejen de mandarme correos"),
    (
        "es",
        (
            "No gracias\n\n"
            "El lun, 2 mar 2026 a las 10:00, Praktijk (<a@example.org>) escribió:\n\n> ¿Sí?"
        ),
    ),
    ("it", "Non desidero ricevere altre email."),
    ("it", "Vi prego di cancellarmi dalla vostra lista.\n\nCordiali saluti\nMario Rossi"),
    ("it", "Non mi interessa"),
    ("it", "cancellatemi"),
    ("it", "Non scrivetemi più"),
    ("it", "Vorrei disiscrivermi, grazie"),
    ("it", "basta mail!"),
    ("it", "No grazie\n\nInviato da iPhone"),
    ("it", "Si prega di rimuovere il mio indirizzo dalla mailing list"),
    ("pl", "Proszę o usunięcie mojego adresu z bazy."),
    ("pl", "Nie chcę otrzymywać maili."),
    ("pl", "Proszę mnie wypisać z listy"),
    ("pl", "Rezygnuję"),
    ("pl", "Nie jestem zainteresowany"),
    ("pl", "prosze nie wysylac do mnie maili"),
    ("pl", "Nie dziękuję\n\nWysłane z iPhone'a"),
    ("pl", "Nie wyrażam zgody na przetwarzanie danych.\n\nPozdrawiam\nJan Kowalski"),
    ("pl", "Proszę już do mnie nie pisać"),
    ("nl", "Zet mij maar van de lijst"),
    ("nl", "Ik wens geen mails meer van u te ontvangen."),
    ("nl", "Nee bedankt, ik hoef het niet"),
    ("nl", "Schrap mij"),
    ("nl", "kunt u mij uitschrijven a.u.b."),
    ("nl", "Ik wil hier vanaf"),
    ("nl", "Hou op met mailen"),
    ("nl", "Wilt u ons e-mailadres verwijderen?"),
    ("nl", "Beste,\n\nOp 3 mei 2025 om 10:30 heb ik me al afgemeld. Hou op."),
    ("nl", "Nee liever niet"),
    ("nl", "ik ben niet geïnteresseerd"),
    ("nl", "Hoepel op"),
    ("en", "Please remove my email address from your records."),
    ("en", "Nope"),
    ("en", "no thanks not for me"),
    ("en", "I do not wish to receive further correspondence."),
    ("en", "Remove"),
    ("en", "Stop spamming me"),
    ("en", "You don't have my permission to email me"),
    ("en", "I want out"),
    ("en", "Please cancel my subscription"),
    ("en", "Not for me thanks"),
    ("de", "Bitte austragen"),
    ("de", "Ich will keine Werbung mehr"),
    ("de", "Nein, kein Interesse."),
    ("de", "Bitte entfernen Sie meine E-Mail-Adresse aus Ihrer Datenbank."),
    ("de", "Nicht mehr schreiben!"),
    ("de", "Ich bitte um Löschung meiner Daten"),
    ("de", "bitte keine mails mehr schicken"),
    ("de", "Hören Sie auf, mir zu schreiben"),
    ("fr", "Je me désinscris"),
    ("fr", "Merci de supprimer mes coordonnées"),
    ("fr", "Stop aux mails"),
    ("fr", "Ne m'écrivez plus"),
    ("fr", "Je refuse"),
    ("fr", "Non merci, ça ne m'intéresse pas"),
    ("fr", "Retirez-moi de la liste"),
    ("es", "No quiero recibir más emails de ustedes"),
    ("es", "Por favor eliminen mi correo de su lista"),
    ("es", "No, gracias, no me interesa"),
    ("es", "Me gustaría darme de baja de la lista"),
    ("es", "no me molesten mas"),
    ("es", "Bórrenme"),
    ("es", "No autorizo el uso de mis datos"),
    ("it", "Non voglio più ricevere le vostre mail"),
    ("it", "Per favore toglietemi dalla lista"),
    ("it", "No, non mi interessa."),
    ("it", "Chiedo la cancellazione dei miei dati"),
    ("it", "Desidero cancellarmi"),
    ("it", "Non inviatemi più nulla"),
    ("it", "Basta!"),
    ("pl", "Proszę o wypisanie mnie z listy mailingowej"),
    ("pl", "Nie życzę sobie takich maili"),
    ("pl", "Nie, dziękuję. Proszę usunąć mój adres."),
    ("pl", "Nie chcę"),
    ("pl", "Proszę o usunięcie moich danych"),
    ("pl", "Wypiszcie mnie"),
    ("pl", "Przestańcie do mnie pisać"),
    ("nl", "Ik maak bezwaar"),
    ("nl", "dit is spam, ik meld jullie bij de AP. verwijder me"),
    ("en", "Please stop."),
    ("en", "I have asked you three times to remove me. Why don't you remove me?"),
    ("en", "unsubscribe this address"),
    ("de", "Nein danke, bitte keine weiteren Nachrichten"),
    ("fr", "Veuillez supprimer mon email"),
    ("es", "Cancelar suscripción"),
    ("es", "Les ruego que me borren de la lista"),
    ("it", "Vi chiedo di non scrivermi più"),
    ("pl", "Proszę nie przysyłać mi więcej wiadomości"),
    ("fr", "Laissez-moi tranquille"),
    ("it", "Non sono interessata"),
    ("de", "Nehmt mich bitte aus eurem Verteiler"),
    ("en", "Fuck off"),
    ("de", "Bitte meine Daten löschen"),
    ("nl", "Graag mijn adres verwijderen"),
    ("it", "Smettete di scrivermi"),
    ("es", "Baja de la lista"),
    ("pl", "Rezygnuję z newslettera"),
    ("es", "Solicito la eliminación de mis datos"),
    ("nl", "Verwijder aub mijn gegevens"),
    ("es", "No más publicidad"),
    ("es", "No me escriban"),
    ("it", "disiscrizione"),
    ("nl", "Laat me met rust"),
    ("nl", "stoppen"),
    ("en", "Rather not"),
    ("en", "I'm no longer interested"),
    ("en", "No interest"),
    ("de", "Lieber nicht"),
    ("de", "Nicht interessiert"),
    ("es", "No estoy interesado"),
    ("es", "Déjenme en paz"),
    ("it", "Lasciatemi in pace"),
    ("pl", "Rezygnacja"),
    ("pl", "Nie interesuje mnie to"),
    ("pl", "Dajcie mi spokój"),
    ("nl", "Schrijf mij niet meer"),
    ("de", "Melden Sie sich nicht mehr, bitte keine Mails"),
    ("en", "Do not take this personally but remove me from the list"),
    ("en", "To unsubscribe I click here but nothing happens so please remove me"),
    ("en", "Click here to unsubscribe does not work, take me off your list"),
    ("nl", "Schrap mij"),
]

# And what asks for no such thing.
NO_REQUESTS = [
    ("nl", "Hoe komen jullie aan mijn adres?"),
    ("nl", "Dank u wel voor de herinnering!"),
    (
        "nl",
        "Ja, graag" + QUOTATION,
    ),
    ("nl", "Ja, ik blijf graag op de hoogte."),
    (
        "nl",
        "Ik ben verhuisd, mijn nieuwe adres is jan@example.com. Stuur de mail voortaan daarheen.",
    ),
    ("nl", "Ik ben met vakantie tot 12 augustus en lees geen mail."),
    ("nl", "Geen interesse in de cursus, maar de nieuwsbrief wil ik graag houden."),
    ("nl", "De knop werkt niet, wat moet ik doen?"),
    ("nl", "Schrijf mij niet uit, ik wil erop blijven"),
    ("nl", "Ik heb de vorige mail niet ontvangen, kunt u hem nog eens sturen?"),
    ("nl", "Is dit spam of echt van jullie?"),
    ("nl", "Ik wil de nieuwsbrief heel graag blijven ontvangen, haal mij niet van de lijst."),
    ("en", "Who are you?"),
    ("en", "Thank you, I answered on the page."),
    ("en", "Yes please, keep me on the list"),
    ("en", "I'm not interested in the events, but keep me on the newsletter."),
    ("en", "I am away until Monday and have limited access to email."),
    ("en", "Please do not remove me, I like your newsletter"),
    ("en", "My email address has changed to john@example.com"),
    ("en", "I didn't get the last newsletter. Could you resend it?"),
    ("en", "Don't stop sending them!"),
    ("de", "Woher haben Sie meine Adresse?"),
    ("de", "Vielen Dank für die Nachricht."),
    ("de", "Ja, ich möchte den Newsletter weiterhin erhalten."),
    ("de", "Ich bin bis Montag nicht im Büro."),
    ("de", "Bitte nehmen Sie mich nicht aus dem Verteiler."),
    ("de", "Ich habe keine Mail bekommen, was nun?"),
    ("fr", "Comment avez-vous eu mon adresse ?"),
    ("fr", "Oui, je souhaite continuer à recevoir la lettre."),
    ("fr", "Ne me désinscrivez pas, s'il vous plaît !"),
    ("fr", "Je n'ai pas reçu votre courriel précédent"),
    ("es", "¿De dónde sacaron mi dirección?"),
    ("es", "Sí, quiero seguir recibiendo los correos."),
    ("es", "No me den de baja, por favor."),
    ("es", "No me interesan los cursos, pero sí el boletín."),
    ("it", "Sì, desidero continuare a ricevere le email."),
    ("it", "Non cancellatemi, per favore!"),
    ("it", "Grazie mille"),
    ("it", "Non ho ricevuto la mail precedente"),
    ("pl", "Tak, chcę dalej otrzymywać wiadomości."),
    ("pl", "Proszę mnie nie usuwać z listy."),
    ("pl", "Skąd mają Państwo mój adres?"),
    ("pl", "Nie dostałem poprzedniego maila"),
    ("nl", "Ja hoor, geen probleem"),
    ("nl", "Geen bezwaar, ga uw gang"),
    ("nl", "Welke gegevens hebben jullie van mij?"),
    ("nl", "Ik kan de knop Nee niet vinden"),
    ("nl", "Kunt u mijn adres wijzigen? Het oude adres verwijderen graag"),
    ("nl", "Niet vergeten: ik wil ze graag blijven krijgen"),
    ("nl", "Prima, stuur maar door"),
    ("nl", "Ik heb al ja gezegd"),
    ("nl", "Op 3 maart ben ik terug"),
    ("en", "Sure"),
    ("en", "How do I say yes?"),
    ("en", "Please delete my old address and use john@example.com"),
    ("en", "I'd like to stay on the list"),
    ("en", "I am no longer at this company; please write to Bob"),
    ("en", "The link does not work"),
    ("en", "No problem, keep sending"),
    ("en", "Thanks, no need to reply"),
    ("de", "Ja bitte"),
    ("de", "Meine neue Adresse lautet k@example.com"),
    ("de", "Ich konnte nicht klicken"),
    ("de", "Kein Problem, gerne weiter"),
    ("de", "Was passiert, wenn ich nichts mache?"),
    ("fr", "Oui, bien sûr"),
    ("fr", "Pas de souci, continuez"),
    ("fr", "Je suis en congé jusqu'au 12"),
    ("es", "Sí"),
    ("es", "No hay problema, sigan enviando"),
    ("es", "Estoy de vacaciones hasta el lunes"),
    ("es", "No puedo abrir el enlace"),
    ("es", "No quiero dejar de recibirlos"),
    ("it", "Va bene, continuate"),
    ("it", "Non riesco ad aprire il link"),
    ("it", "Non voglio perdere la newsletter"),
    ("it", "Non c'è problema"),
    ("pl", "Nie ma problemu"),
    ("pl", "Nie mogę otworzyć linku"),
    ("pl", "Nie chcę rezygnować z newslettera"),
    ("pl", "Jestem na urlopie do 12 sierpnia"),
    ("nl", "Als ik me verwijder ..."),
    ("nl", "Stuur me niet alleen de mail maar ook de brief"),
    ("es", "Bajar la frecuencia, por favor: una vez al mes está bien"),
    ("en", "Delete key is broken lol"),
    ("de", "Ich habe meine Adresse geändert"),
    ("nl", "Wil je mij laten weten of ik ingeschreven sta?"),
    ("it", "Potete mandarmi la newsletter?"),
    ("pl", "Proszę wysyłać dalej"),
    ("fr", "Je ne veux pas me désinscrire"),
    ("nl", "Ik wil me niet afmelden"),
    ("en", "I do not want to unsubscribe"),
    ("en", "Never mind, found it"),
    ("nl", "Ja, maar niet te vaak"),
    ("nl", "Geen idee wat dit is"),
    ("es", "No sé qué es esto"),
    ("pl", "Nie wiem co to jest"),
    ("it", "Non so cosa sia"),
    ("es", "Le doy de baja a mi antiguo correo"),
    ("nl", "Zet mij maar op de lijst"),
    ("nl", "Haal mij maar op"),
    ("de", "Melden Sie mich bitte nicht ab"),
    ("fr", "J'ai toujours gardé mon adresse"),
    ("es", "Por favor no me borren"),
    ("en", "I read no email until Monday"),
    ("nl", "Op 3 maart 2026 om 10:00 ben ik er"),
    ("es", "No quiero darme de baja"),
    ("it", "Non voglio cancellarmi"),
    ("fr", "Je regrette de ne plus me souvenir"),
    ("nl", "Schrijf mij"),
    ("nl", "Meld mij niet af"),
]


def spell_out(table: str, name: str) -> list[str]:
    """Return an example of each entry, which is the entry where it is plain words."""
    examples = [EXAMPLES.get(entry, entry) for entry in DATA[table][name]]
    assert [example for example in examples if re.search(r"[\[\](){}|?*+\\]", example)] == (
        ["*******"] if name == "end" else []
    )
    return examples


def answer(text: str) -> str:
    message = EmailMessage()
    message["From"] = "Ana Vos <ana@example.net>"
    message.set_content(text)
    return detect_plain_answer(message)


@pytest.mark.parametrize(
    ("name", "expected"), [("yes_words", "yes"), ("no_words", "no"), ("stop_words", "no")]
)
def test_each_word_is_a_plain_answer(name: str, expected: str) -> None:
    for words in spell_out("answers", name):
        assert answer(f"{words}\n") == expected, words
        assert answer(f"{words.upper()}!\n") == expected, words
        assert answer(f"{words} tulpen\n") == "", words


@pytest.mark.parametrize("name", ["thanks", "courtesy"])
def test_a_courtesy_leaves_an_answer_as_it_is(name: str) -> None:
    for words in spell_out("courtesies", name):
        assert answer(f"Ja\n{words}\n") == "yes", words
        if name == "thanks":
            assert answer(f"Nee, {words}\n") == "no", words


def test_a_salutation_stands_above_an_answer() -> None:
    for words in spell_out("courtesies", "salutation_words"):
        assert answer(f"{words} Linde,\nJa\n") == "yes", words
    assert answer("Tulpen Linde,\nJa\n") == ""


def test_a_word_that_may_change_an_answer_leaves_none() -> None:
    for words in spell_out("rest", "change_words"):
        assert answer(f"Ja\n{words.capitalize()}\n") == "", words
    assert answer("Ja\nTulp\n") == "yes"


def test_below_the_end_of_somebodys_own_lines_nothing_counts() -> None:
    for words in spell_out("rest", "end"):
        assert answer(f"Ja\n{words}\nmaar geen reclame\n") == "yes", words
    assert answer("Ja\ntulpen\nmaar geen reclame\n") == ""


def test_a_word_of_a_signature_changes_nothing() -> None:
    for word in DATA["name_words"]["words"].split():
        assert answer(f"Ja\nAna {word} Vos\n") == "yes", word


def test_a_word_of_two_meanings_counts_in_none_of_their_languages() -> None:
    for word, codes in DATA["ambiguous"].items():
        for code in codes:
            assert interpret_line(word, {code}, default=word) == "", (word, code)


# --- Requests for no more mail. -------------------------------------------------------------------

HEAD = (
    "From: Ana Vos <ana@example.net>\nIn-Reply-To: <mail@example.org>\n"
    "Content-Type: text/plain; charset=utf-8\n\n"
)


def refuses(language: str, text: str) -> bool:
    found = read((HEAD + text).encode())
    answer = interpret_line(found.line, {language}, default=found.proposed)
    return found.asks_to_stop or answer == "no"


@pytest.mark.parametrize(("language", "text"), REQUESTS)
def test_a_request_is_known_by_its_words(language: str, text: str) -> None:
    assert refuses(language, text)


@pytest.mark.parametrize(("language", "text"), NO_REQUESTS)
def test_what_is_no_request_is_taken_for_none(language: str, text: str) -> None:
    assert not refuses(language, text)


def test_nobody_says_yes_by_a_request() -> None:
    for language, text in REQUESTS:
        found = read((HEAD + text).encode())
        assert interpret_line(found.line, {language}, default=found.proposed) != "yes", text


@pytest.mark.parametrize("name", ["request", "harmless", "refusals"])
def test_each_expression_of_a_request_is_in_a_case(name: str) -> None:
    expressions = Expressions("reply_phrases.toml", "requests")
    our_texts = [load_translations(code).gettext(ask) for code in languages() for ask in ASKS]
    cases = [*(text for _, text in REQUESTS + NO_REQUESTS), *FOOTERS, *our_texts]
    texts = [normalize_remark(text) for text in cases]
    if name == "refusals":
        texts = [" ".join(re.findall(r"\w+", text)) for text in texts]
    for entry in DATA["requests"][name]:
        wanted = re.compile(expressions.fill_in(entry))
        assert any(wanted.search(text) for text in texts), entry


def test_courtesies_around_a_refusal_leave_it_as_it_is() -> None:
    for words in DATA["requests"]["before"]:
        assert refuses("nl", f"{words} geen interesse"), words
    for words in DATA["requests"]["behind"]:
        assert refuses("nl", f"Geen interesse {words}"), words
    assert not refuses("nl", "tulpen geen interesse")
    assert not refuses("nl", "Geen interesse tulpen")


# --- What a person did not write. -----------------------------------------------------------------

FOOTERS = [
    "Not interested? Unsubscribe here",
    "To unsubscribe, click here: https://example.net/u",
    "Click here if you want no more mail",
    "Klik hier om u af te melden",
    "Geen nieuwsbrief meer ontvangen? Meld u hier af",
    "Meld u hier af.",
    "Afmelden | Privacy | Contact",
    "Um sich abzumelden, klicken Sie hier",
    "Se désinscrire | Voir dans le navigateur",
]

OUR_LINKS = """
Yes, keep sending me these mails{0}https://example.org/yes/abc{1}

No, stop sending me these mails{0}https://example.org/no/abc{1}
"""

ASKS = [
    "May we keep mailing you?",
    "Please answer by %(deadline)s; otherwise we stop mailing you.",
    "You can stop at any time, also after a Yes.",
]


@pytest.mark.parametrize("footer", FOOTERS)
def test_a_companys_footer_is_nobodys_request_and_hides_none(footer: str) -> None:
    assert not refuses("nl", f"Thank you for your message, you will hear from us.\n\n{footer}\n")
    assert refuses("nl", f"Wilt u ervoor zorgen dat wij geen mails meer krijgen\n\n{footer}\n")
    assert refuses("nl", f"{footer}. Dat werkt niet, schrijf mij uit\n")
    assert refuses("nl", f"{footer}\nGraag uitschrijven\n")


@pytest.mark.parametrize("marks", [("\n", ""), (" <", ">")])
@pytest.mark.parametrize("language", languages())
def test_our_own_mail_below_a_reply_is_nobodys_request_and_hides_none(
    language: str, marks: tuple[str, str]
) -> None:
    texts = load_translations(language)
    mail = "\n\n".join([*map(texts.gettext, ASKS), OUR_LINKS.format(*marks)])
    assert not refuses(language, f"Dank u wel!\n\n{mail}")
    assert not refuses(language, f"Ja graag\n\n{mail}")
    for text in ("Nee", "Geen interesse", "Wilt u ons niet meer mailen?"):
        assert refuses("nl", f"{text}\n\n{mail}"), text


def test_links_that_somebody_names_in_a_request_hide_nothing() -> None:
    links = "https://example.org/yes/abc and https://example.org/no/abc"
    assert refuses("en", f"I tried {links}, please remove me")
    assert refuses("en", "https://example.org/no/abc\ndoes not work, please remove me")
