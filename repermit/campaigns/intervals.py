"""How often, as twenty further languages say it: patterns, to be looked for without regard to case.

Imports nothing. "~" stands for up to two words between two others. What a language says of other
things too, such as "50 years", is left out.
"""

from __future__ import annotations

_BULGARIAN = (
    r"(?:на|в|през|всеки|всяка|всяко|всеки)~(?:ден|седмица(?:та)?|седмици|месец[аи]?"
    r"|тримесечие(?:то)?|година(?:та)?)|(?:еже)?(?:дневе?н|седмиче?н|месече?н|годише?н)\w*"
    r"|(?:дву|три)месече?н\w*|най-много|от време на време|понякога"
)
_CROATIAN = (
    r"svak\w+~(?:dan\w*|tjed\w+|mjesec\w*|godin\w+)|svaki dan|svaki mjesec|svake godine"
    r"|u (?:tjednu|mjesecu|godini)|dnevn[oiae]|tjedn[oiae]|(?:tro)?mjesečn\w+|kvartaln\w+"
    r"|godišnj\w+|najviše|povremen\w+|s vremena na vrijeme"
)
_CZECH = (
    r"(?:za|každ[ýéou]\w*)~(?:týden|týdny|měsíc\w*|čtvrtletí|pololetí|rok\w*)|denně|týdně"
    r"|týdenn\w+|měsíčn\w+|(?:čtvrt|polo)letn\w+|ročn\w+|nejvýše|maximálně|občas\w*|čas od času"
    r"|příležitostn\w+"
)
_DANISH = (
    r"(?:om|hver|hvert|pr\.?)~(?:dag\w*|uge\w*|måned\w*|kvartal\w*|halvår\w*|år(?:et)?)"
    r"|daglig\w*|ugentlig\w*|månedlig\w*|kvartalsvis\w*|(?:halv)?årlig\w*"
    r"|(?:måneds|uge)(?:brev|nyt)\w*|højst|maksimalt|af og til|lejlighedsvis|en gang imellem"
)
_ESTONIAN = (
    r"(?:kord|korda) (?:päevas|nädalas|kuus|kvartalis|aastas)"
    r"|iga (?:\w+ )?(?:päev|nädal|kuu|aasta)|igapäeva\w*|iganädala\w*|igakui\w*|iga-?aasta\w*"
    r"|kõige rohkem|maksimaalselt|aeg-ajalt|vahetevahel"
)
_FINNISH = (
    r"(?:kertaa?|kerran) (?:päivässä|viikossa|kuussa|kuukaudessa|vuodessa)"
    r"|joka (?:\w+ )?(?:päivä|viikko|kuukausi|vuosi)|(?:päivit|viikoit)täi?n\w*|viikoittai\w+"
    r"|(?:kuukausit|vuosit)tai\w+|(?:viikko|kuukausi|vuosi)kirje\w*|enintään|korkeintaan"
    r"|silloin tällöin|satunnaisesti"
)
_GREEK = (
    r"(?:τον|την|το|κάθε|ανά)~(?:η?μέρ\w+|εβδομάδ\w+|μήν\w+|τρίμηνο|εξάμηνο|χρόνο|έτος)"
    r"|καθημεριν\w+|ημερήσι\w+|εβδομαδιαί\w+|(?:δι|τρι|εξα)?μηνιαί\w+|ετήσι\w+|το πολύ"
    r"|πού και πού|κατά καιρούς|περιστασιακ\w+"
)
_HUNGARIAN = (
    r"napi\w*|naponta|heti\w*|hetente|havi\w*|havonta|(?:negyed|fél)évente|évente|évi"
    r"|negyedéves\w*|minden (?:\w+ )?(?:nap|héten|hónap\w*|évben)|legfeljebb|időnként"
    r"|alkalmanként"
)
_IRISH = (
    r"gach (?:\w+ )?(?:lá|seachtain|mí|ráithe|bliain)|sa (?:tseachtain|mhí|mí|ráithe|bhliain)"
    r"|in aghaidh na (?:seachtaine|míosa|ráithe|bliana)|laethúil\w*|seachtainiúil\w*|míosúil\w*"
    r"|ráithiúil\w*|bliantúil\w*|ar a mhéad|ó am go ham|anois is arís"
)
_ITALIAN = (
    r"(?:al|alla|ogni)~(?:giorn[oi]|settiman[ae]|mes[ei]|trimestr[ei]|semestr[ei])|all['’]anno"
    r"|ogni~ann[oi]|giornalier[oaie]|quotidian[oaie]|settimanal[ei]|quindicinal[ei]|mensil[ei]"
    r"|(?:bi|tri|se)mestral[ei]|annual[ei]|al massimo|di tanto in tanto|occasional\w*"
)
_LATVIAN = (
    r"reiz(?:i|es) (?:dienā|nedēļā|mēnesī|ceturksnī|pusgadā|gadā)"
    r"|katru (?:\w+ )?(?:dienu|nedēļu|mēnesi|ceturksni|gadu)|ikdienas|iknedēļas|ikmēneša"
    r"|ikgadēj\w+|ne vairāk kā|reizēm|laiku pa laikam"
)
_LITHUANIAN = (
    r"(?:per|kas)~(?:dieną|savait\w+|mėnes\w+|ketvirt\w+|metus)|kasdien\w*|kassavait\w*"
    r"|savaitin\w+|mėnesin\w+|ketvirtin\w+|kasmet\w*|metin\w+|daugiausia|ne daugiau kaip"
    r"|retkarčiais"
)
_MALTESE = (
    r"kuljum|kull (?:\w+ )?(?:ġimgħa|ġimgħat|xahar|xhur|sena)|fil-ġimgħa|fix-xahar|fis-sena"
    r"|ta[’'] kull xahar|l-aktar|kultant"
)
_POLISH = (
    r"(?:w|na|co|każd\w+)~(?:dzień|tydzień|tygodni\w*|miesią?c\w*|miesięcy|kwartał\w*|rok\w*)"
    r"|codzienn\w+|(?:co)?tygodniow\w+|(?:co)?miesięczn\w+|kwartaln\w+|(?:co)?roczn\w+"
    r"|(?:co )?najwyżej|maksymalnie|od czasu do czasu|okazjonaln\w+"
)
_PORTUGUESE = (
    r"(?:por|ao|à|cada|todos os|todas as)~(?:dias?|semanas?|mês|meses|trimestres?|semestres?"
    r"|anos?)|diári[oa]s?|seman(?:al|ais)|quinzen(?:al|ais)|mens(?:al|ais)"
    r"|(?:bi|tri|se)mestr(?:al|ais)|anu(?:al|ais)|no máximo|de vez em quando|ocasiona\w*"
)
_ROMANIAN = (
    r"(?:pe|în fiecare|la fiecare)~(?:zi|zile|săptămân\w+|lun[ăi]|trimestru|semestru|an|ani)"
    r"|zilnic\w*|săptămânal\w*|lunar\w*|(?:tri|se)mestrial\w*|anual\w*|cel mult|din când în când"
    r"|ocazional\w*"
)
_SLOVAK = (
    r"(?:za|každ[ýéú]\w*)~(?:deň|týždeň|týždne|mesiac\w*|štvrťrok\w*|polrok\w*|rok\w*)|denne"
    r"|týždenn\w+|mesačn\w+|(?:štvrť|pol)?ročn\w+|najviac|maximálne|občas\w*|príležitostn\w+"
)
_SLOVENIAN = (
    r"(?:na|vsak\w*)~(?:ted(?:en|na|ne)|mesec\w*|četrtletje|leto)|vsak dan|dnevn[oiae]"
    r"|tedensk\w+|mesečn\w+|(?:četrt|pol)letn\w+|letno|največ|občasn\w*|od časa do časa"
)
_SPANISH = (
    r"(?:por|al|a la|cada|todos los|todas las)~(?:días?|semanas?|mes|meses|trimestres?"
    r"|semestres?|años?)|diari[oa]s?|semanal(?:es)?|quincenal(?:es)?|mensual(?:es)?"
    r"|(?:bi|tri|se)mestral(?:es)?|anual(?:es)?|como máximo|de vez en cuando|ocasional\w*"
)
_SWEDISH = (
    r"(?:om|varje|var|per|vartannat|varannan)~(?:dag\w*|vecka\w*|månad\w*|kvartal\w*"
    r"|halvår\w*|år(?:et)?)|i (?:veckan|månaden|kvartalet)|daglig\w*|vecko(?:brev|vis)\w*"
    r"|månatlig\w*|månads(?:brev|blad|vis)\w*|kvartals\w+|årlig\w*|halvårs\w+|högst|som mest"
    r"|då och då"
)

_ALL = (
    _BULGARIAN,
    _CROATIAN,
    _CZECH,
    _DANISH,
    _ESTONIAN,
    _FINNISH,
    _GREEK,
    _HUNGARIAN,
    _IRISH,
    _ITALIAN,
    _LATVIAN,
    _LITHUANIAN,
    _MALTESE,
    _POLISH,
    _PORTUGUESE,
    _ROMANIAN,
    _SLOVAK,
    _SLOVENIAN,
    _SPANISH,
    _SWEDISH,
)

INTERVALS = tuple(one.replace("~", r"\s+(?:[\w-]+\s+){0,2}") for one in _ALL)
"""One pattern for each, of whole words."""
