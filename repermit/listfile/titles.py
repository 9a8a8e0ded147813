"""Titles of columns in Dutch, English, German and French, and what each is taken for.

May import the model, cells and further titles of this room only: those of an address, a name, a
language and a status are known in every official language of the Union.
"""

from __future__ import annotations

import re

from repermit.listfile.further_titles import FURTHER_ADDRESS, FURTHER_TITLES

# Folded (see `cells.fold`); the earlier of two titles for one field is the better one. Outlook's
# own, as its English, Dutch, German and French versions write them, come from the column tables
# that Open-Xchange's importer was tested with.
_TITLES = {
    "name": (
        "fullname volledigenaam vollstandigername nomcomplet displayname weergavenaam anzeigename "
        "name naam nom contactnaam kontaktname contactpersoon ansprechpartner subscribername"
    ),
    "first_name": (
        "firstname fname givenname voornaam vorname prenom roepnaam rufname voorletters initialen"
    ),
    "middle_name": (
        "middlename additionalname tussenvoegsel tussenvoegsels voorvoegsel infix middelstenaam "
        "weiterevornamen zweitervorname deuxiemeprenom"
    ),
    "last_name": (
        "lastname lname surname familyname achternaam nachname familienname nomdefamille "
        "geslachtsnaam"
    ),
    "language": (
        "language languagecode lang locale preferredlanguage taal taalcode voorkeurstaal sprache "
        "sprachcode langue languepreferee"
    ),
    "source": (
        "source signupsource bron herkomst quelle herkunft origine provenance origin leadsource"
    ),
    "status": (
        "status subscriptionstatus subscriberstatus emailstatus emailmarketing "
        "emailmarketingstatus marketingstatus relatiestatus abonneestatus inschrijfstatus "
        "anmeldestatus abonnementstatus statut etat state"
    ),
    "consent": (
        "consent optin optedin emailoptin marketingconsent emailconsent toestemming akkoord "
        "einwilligung zustimmung erlaubniszummarketing consentement accord newsletter nieuwsbrief "
        "infolettre acceptsmarketing acceptsemailmarketing marketingpermissions "
        "toestemmingnieuwsbrief newsletteroptin gdpr avg dsgvo rgpd nieuwsbriefontvangen "
        "ontvangtnieuwsbrief nieuwsbriefgewenst wilnieuwsbrief nieuwsbrieven digitalenieuwsbrief "
        "receivesnewsletter newslettererwunscht mailing mailings emailing emailings "
        "mailtoegestaan emailtoegestaan magmailen maggemaildworden emailontvangen wilmail "
        "emailerlaubt mailerlaubt darfangemailtwerden emailallowed mayemail maybeemailed "
        "contactperemail contactparemail kontaktperemail marketing optinstatus"
    ),
    "active": (
        "active isactive actief isactief aktiv istaktiv actif estactif enabled isenabled "
        "ingeschakeld abonnee isabonnee issubscribed ingeschreven aangemeld angemeldet "
        "abonniert abonne estabonne inscrit estinscrit"
    ),
    "remark": (
        "opmerking opmerkingen notitie notities aantekening aantekeningen toelichting "
        "opm bijz aant toel bem anm rem "
        "bijzonderheden commentaar memo notes note noten remark remarks comment comments "
        "annotation annotations bemerkung bemerkungen anmerkung anmerkungen notiz notizen hinweis "
        "hinweise kommentar kommentare remarque remarques commentaire commentaires observation "
        "observations info informatie extra extrainfo overig overige diversen sonstiges divers "
        "varia reden reason grund raison tags tag labels label trefwoorden "
        "stichworter categorie categorieen categories category kategorie kategorien groep groepen "
        "group groups gruppe gruppen groupe groupes segment segments afspraken"
    ),
    "opted_out_at": (
        "unsubscribed unsubscribedat unsubscribedon unsubscribedate unsubscribeddate unsubtime "
        "unsubscribetime unsubscribe optout optoutat optouttime optoutdate optedout optedoutat "
        "hasoptedoutofemail emailblacklisted emailblacklist blacklisted blacklist blocklisted "
        "blocklist blocked isblocked disabled inactive isinactive inactief inaktiv inactif "
        "geblokkeerd gesperrt bloque unsubreason afmeldreden abmeldegrund donotemail donotmail "
        "dontmail donotcontact dontcontact nomail nietmailen nietmeermailen geenmail "
        "geenmailing geennieuwsbrief afgemeld afgemeldop afmelddatum datumafmelding afmelding "
        "uitgeschreven uitgeschrevenop uitschrijfdatum datumuitschrijving abgemeldet "
        "abgemeldetam abmeldedatum abmeldung austragungsdatum ausgetragenam keinemails "
        "keinemail keinnewsletter desabonne desabonnele datededesabonnement datedesabonnement "
        "desinscrit desinscritle datededesinscription datedesinscription nepascontacter "
        "overleden overledenop datumoverlijden overlijdensdatum sterfdatum deceased dateofdeath "
        "verstorben verstorbenam sterbedatum decede decedele datededeces"
    ),
    "cleaned_at": "cleantime cleaned cleanedat bounced bouncedat hardbounce hardbounced",
    "complained_at": (
        "complained complainedat complaint complaints spamcomplaint markedasspam klacht "
        "spamklacht spammelding beschwerde plainte"
    ),
    "consent_at": (
        "optintime optindate optinat optedinat optinon optintimestamp consentat consentdate "
        "consenttime consenttimestamp dateofconsent optindatum datumoptin toestemmingop "
        "toestemmingdatum toestemmingsdatum datumtoestemming akkoordop optindatumtijd "
        "einwilligungam einwilligungsdatum datumdereinwilligung zustimmungam dateconsentement "
        "dateduconsentement datedeconsentement dateoptin confirmedat confirmationdate "
        "bevestigdop bestatigtam confirmele"
    ),
    "consent_ip": (
        "optinip ipoptin optinipaddress consentip signupip ipsignup aanmeldip toestemmingip "
        "anmeldeip confirmationip confirmip ip ipaddress ipadres ipadresse adresseip"
    ),
    "consent_source": (
        "consentsource optinsource consentform signupform optinform sourceurl bronurl "
        "aanmeldpagina aanmeldformulier toestemmingbron bronvantoestemming brontoestemming "
        "toestemmingvia anmeldeformular quelledereinwilligung formulaire formulairedinscription "
        "formulier formular form"
    ),
    "customer": "customer iscustomer klant isklant kunde istkunde client estclient",
    "customer_since": (
        "customersince clientsince buyersince patientsince klantsinds clientsinds relatiesinds "
        "patientsinds klantvanaf kundeseit kundinseit patientseit clientdepuis "
        "clientedepuis patientdepuis firstpurchase firstorder firstorderdate eersteaankoop "
        "eerstebestelling datumeerstebestelling erstkauf ersterkauf premierachat premierecommande"
    ),
    "since": (
        "since membersince subscribedat subscribedon subscribeddate subscribedate subscribed "
        "subscriptiondate signupdate signuptime signedupat sinds lidsinds abonneesinds "
        "aanmelddatum aangemeldop datumaanmelding inschrijfdatum ingeschrevenop "
        "datuminschrijving seit mitgliedseit abonnentseit anmeldedatum angemeldetam "
        "eintragungsdatum depuis membredepuis abonnedepuis datedinscription dateinscription "
        "inscritle dateadded addedtime addedat addedon datumtoegevoegd toegevoegdop "
        "hinzugefugtam dateajout dateregistered joined joineddate joindate createdat created "
        "creationdate aangemaaktop erstelltam creele"
    ),
}
_RANKED = {
    title: (field, rank)
    for field, titles in _TITLES.items()
    for rank, title in enumerate(f"{titles} {FURTHER_TITLES.get(field, '')}".split())
}
# Email, E-mailadres 2, E-Mail 2: Adresse, E-mail 1 - Value, Adresse de messagerie, E-mail (werk).
_ADDRESS = re.compile(
    r"(?:primary|work|home|other|contact|private|business|zakelijk|prive|persoonlijk|subscriber)?"
    r"(?:email|mail)(?:\d)?(?:address|addresses|adres|adressen|adresse|adressen|value)?(?:\d)?"
    r"(?:work|home|other|primary|werk|zakelijk|prive|privat|geschaftlich|contact)?"
    r"|adresse(?:s)?(?:de|d)?(?:email|mail|emails|mails|messagerie|courriel|courrielle)(?:\d)?"
    r"|adresse(?:e|mail)?electronique|courriel|subscriber|relatieemail|mailadresse|emailprofessionnel|"
    + FURTHER_ADDRESS
).fullmatch
# "Wil nieuwsbrief ontvangen?", "Recevoir la newsletter", "AVG akkoord", and their opposites.
_MAY_WE = re.compile(
    r"nieuwsbrie[fv]|newsletter|infolettre|lettredinformation|rundbrief|mailing|marketing|"
    r"toestemming|akkoord|consent|optin|einwilligung|zustimmung|permission|avg|gdpr|dsgvo|rgpd|"
    # "Mag gemaild", "Mogen we je mailen?", "May we email you", "Dürfen wir mailen".
    r"^(?:mag|mogen|kan|may|can|darf|durfen|oke?(?:ay)?)"
    r"(?:ik|je|jou|wij|we|i|wir|u|niet|nicht|not|geen|keine?|to|om|te|per|by){0,4}"
    r"(?:ge|an|ange)?e?mail(?!adres|address)|^e?mail(?:ok|oke|okay|erlaubt|toegestaan|allowed|mag)|"
    r"^accepte(?:les|des)?(?:e?mails|courriels)"
)
_MAY_WE_NOT = re.compile(
    r"geen|niet|afgemeld|afmeld|uitgeschreven|uitschrijf|optout|optedout|unsub|kein|nicht|abgemeld|"
    r"abmeld|desabon|desinscri|^(?:no|stop|sans|pasde|dont|donot)(?=newsl|nieuws|info|lettre|send|rec)"
)
# "Email opt out", "Unsubscribed from all email", whatever else the title says.
_LEFT = re.compile(
    r"optout|optedout|unsubscri|afgemeld|afmelding|uitgeschreven|abgemeldet|abmeldung|desabonn|"
    r"desinscri|blacklist|blocklist|suppressed|(?:niet|donot|dont|nicht)(?:e?mail|contact|kontakt)"
)
# When, whence and how often. That no double opt-in was completed is no refusal.
_NO_ANSWER = re.compile(
    r"datum|date|dag$|bron$|source|quelle|origin|ip$|id$|naam|name|nom$|titel|open|click|klik|laatste|"
    r"last|letzte|derni|frequen|taal$|sprache|langu|adres|address|incasso|profil|voorwaarden|terms|"
    r"agb|double|dubbel|doppel|tijd|time|form$|formul|contactstatus"
)
_ABOUT_ELSE = re.compile(
    r"foto|photo|bild|video|image|tele(?!se?mails)|phone|sms|whatsapp|bellen|call|anruf|cookie|post|url|link|"
    r"count|aantal|anzahl|nombre|token|hash"
)
# People write beside a question which answers there are: "Nieuwsbrief ja/nee", "Newsletter (y/n)".
_ANSWERS = re.compile(r"(?:janee|jn|yesno|yn|janein|ouinon)$")


def field_of(folded: str) -> tuple[str | None, int]:
    """Return the field that a folded title stands for, or None, and its rank (0 is best)."""
    if _ADDRESS(folded):
        return "address", 0
    title = folded if folded in _RANKED else _ANSWERS.sub("", folded)
    return _RANKED.get(title) or (_asking_whether(title), len(_RANKED))


def _asking_whether(title: str) -> str | None:
    if is_about_else(title):
        return None
    if _LEFT.search(title):
        return "opted_out_at"
    if not _MAY_WE.search(title) or _NO_ANSWER.search(title):
        return None
    return "opted_out_at" if _MAY_WE_NOT.search(title) else "consent"


def is_about_else(folded: str) -> bool:
    """Say whether a folded title is one of something other than mail: photographs, calls."""
    return _ABOUT_ELSE.search(folded) is not None


def is_address_title(folded: str) -> bool:
    """Say whether a folded title is one of a column of addresses."""
    return _ADDRESS(folded) is not None
