"""Titles of columns in twenty further languages: an address, a name, a language, a status.

Imports nothing. They are folded (see `cells.fold`), so without their accents.
"""

from __future__ import annotations

FURTHER_TITLES = {
    "name": (
        "пълноиме имеифамилия име имена "  # bg
        "celejmeno jmenoaprijmeni jmeno "  # cs
        "fuldenavn navn "  # da
        "ονοματεπωνυμο πληρεσονομα ονομα "  # el
        "nombrecompleto nombreyapellidos nombre "  # es
        "taisnimi eesjaperekonnanimi nimi "  # et
        "kokonimi "  # fi
        "ainmiomlan ainm "  # ga
        "punoime imeiprezime ime "  # hr
        "teljesnev nev "  # hu
        "nomecompleto nomeecognome nome "  # it
        "vardasirpavarde vardaspavarde vardas "  # lt
        "pilnsvards vardsunuzvards vards "  # lv
        "ismsehh ismukunjom isem "  # mt
        "imieinazwisko imienazwisko nazwiskoiimie "  # pl
        "numecomplet numesiprenume nume "  # ro
        "celemeno menoapriezvisko meno "  # sk
        "polnoime imeinpriimek "  # sl
        "fullstandigtnamn namn"  # sv
    ),
    "first_name": (
        "собственоиме малкоиме krestnijmeno fornavn μικροονομα nombredepila eesnimi "
        "etunimi ceadainm osobnoime keresztnev utonev nomedibattesimo imie nomeproprio "
        "primeironome prenume krstnemeno krstnoime fornamn tilltalsnamn"
    ),
    "last_name": (
        "фамилия фамилноиме prijmeni efternavn επωνυμο επιθετο apellido apellidos perekonnanimi "
        "sukunimi sloinne prezime vezeteknev csaladinev cognome pavarde uzvards kunjom nazwisko "
        "apelido apelidos sobrenome numedefamilie priezvisko priimek efternamn"
    ),
    "language": (
        "език jazyk sprog γλωσσα idioma lengua keel kieli teanga jezik nyelv lingua kalba valoda "
        "lingwa jezyk limba sprak"
    ),
    "status": (
        "статус състояние stav κατασταση estado staatus tila stadas stanje allapot statusz stato "
        "statusas busena statuss stejtus stare"
    ),
}
"""Titles by field; the earlier of two titles for one field is the better one."""

PART_OF_A_NAME = frozenset(
    "име jmeno navn ονομα nombre nimi ainm ime nev nome vardas vards isem nume meno namn".split()
)
"""Titles that mean a whole name where they stand alone, and one of its parts beside the other."""

FURTHER_ADDRESS = (
    r"имеил(?:адрес)?|епоща|електрон(?:напоща|енадрес)|адресна(?:електроннапоща|имеил)"  # bg
    r"|emailov[ay]adresa|adresaemailu?|elektronickaposta"  # cs, sk
    r"|διευθυνση(?:email|ηλεκτρονικουταχυδρομειου)|ηλεκτρονικ(?:ηδιευθυνση|οταχυδρομειο)"  # el
    r"|correo(?:electronico)?|direcciondecorreo(?:electronico)?|direccion(?:de)?email"  # es
    r"|epost(?:iaadress|adress(?:en)?)?|meiliaadress|mejl(?:adress)?"  # et, sv
    r"|sahkoposti(?:osoite)?|email?osoite"  # fi
    r"|riomhphost|seoladhriomhphoist"  # ga
    r"|eposta|adresaeposte|elektronickaadresa|emailadresa"  # hr
    r"|emailcim|elektronikuslevelcim|dromposta"  # hu
    r"|indirizzo(?:di)?(?:email|postaelettronica)|postaelettronica"  # it
    r"|elpasto(?:adresas)?|elpastas|epasts?|epastaadrese"  # lt, lv
    r"|indirizz(?:tal)?(?:email|elettroniku)"  # mt
    r"|adresemail(?:owy)?|pocztaelektroniczna"  # pl
    r"|enderecode(?:email|correioeletronico)|correioeletronico"  # pt
    r"|adresa(?:de)?email|postaelectronica"  # ro
    r"|epostninaslov|elektronsk(?:inaslov|aposta)|enaslov"  # sl
)
