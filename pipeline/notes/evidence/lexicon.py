"""Small words of a language, as far as checking a sentence against what was said needs them.

In a language without a list nothing is known of denials and sides: there words, numbers and medicines are compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pipeline.notes.english.persons import KIN
from pipeline.notes.english.vocabulary import word_list, word_set
from pipeline.notes.english.wording import FUNCTION_WORDS, NEGATIONS, NOTE_WORDS, is_negation


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """Words in lower case and without accents (in English: as they are)."""

    silent: frozenset[str] = frozenset()  # words that say nothing by themselves
    negations: frozenset[str] = frozenset()
    stopping: frozenset[str] = frozenset()  # verbs that deny what follows: "avoid ibuprofen", "quit smoking"
    yes: frozenset[str] = frozenset()
    no: frozenset[str] = frozenset()  # replies; a clause may follow that they do not deny
    refusals: frozenset[str] = (
        frozenset()
    )  # those among them that are nothing else: no "nothing", which may be a subject
    persons: frozenset[str] = frozenset()  # two words with which a clause of its own begins
    sides: Mapping[str, str] = field(default_factory=dict)  # each form → "left", "right" or "both"
    numerals: Mapping[str, str] = field(default_factory=dict)  # number words → digits
    turning: frozenset[str] = frozenset()  # words that end a denial
    circumstances: frozenset[str] = frozenset()  # words behind which it is open whether a denial goes on
    subjects: frozenset[str] = frozenset()  # words with which a clause of its own begins
    pronouns: frozenset[str] = frozenset()  # those among them that do so without a mark before them
    opinions: frozenset[str] = frozenset()  # verbs through which a denial passes: "I don't think you have the flu"
    first_person: frozenset[str] = frozenset()  # a condition that begins so tells a habit: "if I walk, it hurts"
    conditions: frozenset[str] = frozenset()  # words that only suppose what follows
    warnings: frozenset[str] = frozenset()  # words of a sentence that says what is to be done in such a case
    kin: frozenset[str] = frozenset()
    times: frozenset[str] = frozenset()  # units that are counted: "a week" is one of them
    articles: frozenset[str] = frozenset()  # that count one
    contracted: bool = False  # whether negations hang on verbs: "isn't"

    def denies(self, word: str) -> bool:
        """Whether a word denies what follows."""
        return word in self.stopping or self.denies_all(word)

    def denies_all(self, word: str) -> bool:
        """Whether a word denies in another way than by saying what was stopped."""
        return word in self.negations or (self.contracted and is_negation(word))


def lexicon(language: str) -> Lexicon:
    """The words of a language (ISO 639-1); empty lists for one that is not known here."""
    return LEXICONS.get(language, UNKNOWN)


def _counted(words: str, *, begin: int = 0, step: int = 1) -> dict[str, str]:
    """Number words in order → their digits."""
    return {word: str(begin + step * place) for place, word in enumerate(word_list(words))}


UNKNOWN: Final = Lexicon()

ENGLISH: Final = Lexicon(
    # Besides what every note adds, what writers of a language model's kind add.
    silent=FUNCTION_WORDS
    | NOTE_WORDS
    | word_set(
        """
        he she his her they their who which while also noted notes noting described describes endorses endorsed
        complains complaining presents presented presenting experiencing experiences experienced experience having
        currently following regarding including includes include per approximately associated ongoing has been
        options option assessment impression history symptoms symptom did any other visit today whatsoever sir ma'am
        """
    ),
    negations=NEGATIONS | word_set("unable absent absence lack lacks lacking cannot"),
    stopping=word_set("avoid avoids avoiding stop stops stopped stopping quit quits quitting discontinue discontinued"),
    yes=word_set("yes yeah yep yup yea correct absolutely definitely exactly"),
    no=word_set("no nope nah never none nothing"),
    refusals=word_set("no nope nah"),
    persons=frozenset({"the patient", "the doctor", "patient is", "patient has"}),
    sides={"left": "left", "right": "right", "bilateral": "both", "bilaterally": "both", "both": "both"},
    numerals={
        **_counted(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
            " seventeen eighteen nineteen"
        ),
        **_counted("twenty thirty forty fifty sixty seventy eighty ninety", begin=20, step=10),
        "once": "1", "twice": "2", "dozen": "12", "hundred": "100", "thousand": "1000",
    },
    turning=word_set("but except however though although because yet still only just then . ; ? ! : …"),
    circumstances=word_set(
        "since when with while after before during until if unless on at due for as like that which who in over"
        " around along across within"
    ),
    subjects=word_set(
        """
        i i'm i've i'd i'll we'll we've we're he'll she'll they're they've they'll you're you'll you've their it it's
        there there's he she they we you my his her reports has have had is are was takes states
        complains describes endorses notes admits does did oh wait actually well sometimes
        """
    ),
    pronouns=word_set("i i'm i've i'll we'll we're you're you'll it's there's he she they we you my your"),
    opinions=word_set("think believe feel see suspect expect suppose recommend want need going"),
    first_person=word_set("i i'm i've my we"),
    conditions=word_set("if unless whether"),
    warnings=word_set(
        "if unless case should return call come worsen worsens worsening monitor watch warning precautions seek"
        " advised counseled counselled instructed educated develop develops recur recurs persist persists discussed"
        " risk whether when possible possibly probable probably likely may might could consider considering option"
        " options"
    ),
    kin=KIN
    | word_set("mother's father's mom's dad's brother's sister's parents' aunt's uncle's maternal paternal child"),
    times=word_set("minute hour day night week month year time times"),
    articles=word_set("a an per each every"),
    contracted=True,
)  # fmt: skip

GERMAN: Final = Lexicon(
    silent=word_set(
        """
        der die das den dem des ein eine einen einem einer eines und oder aber in im an am auf bei mit von vom zu zum
        zur
        fur ist sind war waren wird werden wurde wurden hat habe haben hatte hatten bin sei ich er sie es wir ihr mir
        mich ihm ihn ihnen uns euch sich mein meine meinen meinem meiner sein seine seinen ihre ihren ihrem ihrer dass
        da
        dann so auch noch schon nur sehr mal eben halt ja doch als wie was wo wer wenn weil um aus nach vor uber unter
        durch bis ab dies diese dieser dieses diesem man kann konnen konnte soll sollte sollen muss mussen will wollen
        patient patientin patienten berichtet berichtete gibt angabe angaben angegeben beklagt klagt schildert
        beschreibt
        nennt stellt vor vorstellung leidet uber seit verneint verneinte arzt arztin empfohlen empfiehlt geplant aktuell
        derzeit bezuglich sowie
        """
    ),
    negations=word_set(
        "nein nee nicht nichts nie niemals kein keine keinen keinem keiner keines keinerlei ohne weder noch verneint"
        " verneinte verneinen nirgends niemand negativ"
    ),
    stopping=word_set("meiden vermeiden vermeidet absetzen abgesetzt aufgehort aufhoren verzichten"),
    yes=word_set("ja jawohl genau stimmt richtig doch"),
    refusals=word_set("nein nee"),
    persons=frozenset({"der patient", "die patientin"}),
    no=word_set("nein nee ne nicht nie niemals keine kein"),
    sides={
        **dict.fromkeys(
            word_list("links linke linken linker linkes linkem linksseitig linksseitige linksseitigen"), "left"
        ),
        **dict.fromkeys(
        word_list("rechts rechte rechten rechter rechtes rechtem rechtsseitig rechtsseitige rechtsseitigen"), "right"
        ),
        **dict.fromkeys(word_list("beide beiden beidseits beidseitig beidseitige beiderseits bilateral"), "both"),
    },
    numerals={
        **_counted(
            "null eins zwei drei vier funf sechs sieben acht neun zehn elf zwolf dreizehn vierzehn funfzehn sechzehn"
            " siebzehn achtzehn neunzehn"
        ),
        **_counted("zwanzig dreissig vierzig funfzig sechzig siebzig achtzig neunzig hundert", begin=20, step=10),
        **_counted("einmal zweimal dreimal viermal", begin=1),
        "zwo": "2", "tausend": "1000",
    },
    turning=word_set("aber jedoch allerdings sondern ausser trotzdem weil obwohl dann . ; ? ! : …"),
    circumstances=word_set("seit wenn mit wahrend nach vor bis bei auf in im an am wegen durch als dass"),
    subjects=word_set("ich es er sie wir da mein meine ist hat habe berichtet klagt nimmt gibt"),
    pronouns=word_set("ich er wir mein meine"),
    opinions=word_set("glaube denke meine finde vermute erwarte"),
    first_person=word_set("ich mir mich mein meine man wir"),
    conditions=word_set("wenn falls ob"),
    warnings=word_set("wenn falls sollte wiedervorstellung vorstellen beobachten verschlechterung bedarf ob"),
    kin=word_set(
        "mutter vater bruder schwester bruder sohn tochter onkel tante grossmutter grossvater oma opa eltern familie"
        " ehefrau ehemann frau mann geschwister cousin cousine mutterlicherseits vaterlicherseits familienanamnese"
    ),
    times=word_set("minute stunde tag nacht woche monat jahr mal"),
    articles=word_set("ein eine einen einem einer pro"),
)  # fmt: skip

FRENCH: Final = Lexicon(
    silent=word_set(
        """
        le la les l un une des du de d et ou mais a au aux en dans sur sous par pour avec chez est sont etait etaient
        ete
        etre ai as avons avez ont avait avoir je j tu il elle on nous vous ils elles me m te t se s lui leur y mon ma
        mes
        son sa ses ce cet cette ces c qui que qu quoi dont ou comme si tres plus bien aussi alors donc puis fait faire
        peut deja encore tout toute patient patiente rapporte signale decrit declare presente presenter se plaint
        mentionne indique nie medecin docteur propose recommande prevu actuellement depuis environ concernant
        """
    ),
    negations=word_set("non nan ne n pas aucun aucune jamais rien personne sans ni nie nient negatif negative"),
    stopping=word_set("eviter evite arreter arrete arretez stopper"),
    yes=word_set("oui ouais si exactement absolument effectivement"),
    refusals=word_set("non nan"),
    persons=frozenset({"le patient", "la patiente"}),
    no=word_set("non pas jamais aucun aucune rien nan"),
    sides={
        **dict.fromkeys(word_list("gauche gauches"), "left"),
        **dict.fromkeys(word_list("droit droite droits droites"), "right"),
        **dict.fromkeys(word_list("bilateral bilaterale bilateraux bilaterales"), "both"),
    },
    numerals={
        **_counted(
            "zero un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize"
        ),
        **_counted("vingt trente quarante cinquante soixante", begin=20, step=10),
        "une": "1", "cent": "100", "mille": "1000",
    },
    turning=word_set("mais sauf cependant toutefois pourtant parce alors . ; ? ! : …"),
    circumstances=word_set("depuis quand avec pendant apres avant jusqu lors si en dans sur pour a au sur que qui"),
    subjects=word_set("je j il elle on nous c mon ma est a rapporte signale prend presente"),
    pronouns=word_set("je j il elle on nous mon ma"),
    opinions=word_set("pense crois suspecte recommande veux"),
    first_person=word_set("je j mon ma on nous"),
    conditions=word_set("si"),
    warnings=word_set("si cas reconsulter surveiller revenir consulter appeler aggravation persistance"),
    kin=word_set(
        "mere pere frere soeur fils fille oncle tante grand-mere grand-pere parents famille mari femme conjoint cousin"
        " cousine familiaux"
    ),
    times=word_set("minute heure jour nuit semaine mois an annee fois"),
    articles=word_set("un une par"),
)  # fmt: skip

LEXICONS: Final[Mapping[str, Lexicon]] = {"en": ENGLISH, "de": GERMAN, "fr": FRENCH}
