"""Questions with their answers, as one sentence of a note."""

import re
from collections.abc import Sequence
from typing import Final

from pipeline.notes.english.cues import Cue, cues
from pipeline.notes.english.persons import INVERTING, doctor_in_third_person, patient_in_third_person
from pipeline.notes.english.verbs import ADVERBS, BASE_VERBS, PAST_FORMS, third_person
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.english.wording import MARKS, content_words, join, negations, split, stem, words
from pipeline.notes.extract.exchanges import NO, YES, Answer, Exchange
from pipeline.notes.extract.phrasing import FACULTIES, PERSONAL, keeps_meaning, tidy, trimmed, unmarked
from pipeline.notes.extract.placing import has

LONGEST_TOPIC = 12  # words of a question that become "Denies …"
LONGEST_LABEL = 5  # words in front of a quoted reply
LONGEST_LIST = 5  # words of a question that only names symptoms
LONGEST_QUESTION = 18  # words; a longer one is quoted
UNDECIDED: Final = word_set("any anything anywhere anyone anybody ever either else or")  # "yes" to these says not which
FIRST_PERSON: Final = word_set("i i'm i've i'd i'll we we're we've my me us our")
ASKING_AGAIN: Final = word_set(
    "do does did is are was were have has can could would"
)  # another question in the same breath

_SOME = r"(?:any |some |an? |the |like |for example,? )*"
_OFTEN = r"(?: ever| also| been| had)*"  # not "still" or "recently": a denial without them would deny more
_HAVING: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"ha(?:ve|s) you{_OFTEN} (?:had|noticed|experienced|having|experiencing|noticing|getting|gotten|felt)"
        rf" {_SOME}(?P<what>.+)",
        rf"(?:do|did) you{_OFTEN} (?:have|notice|experience|get|suffer from) {_SOME}(?P<what>.+)",
        rf"are you{_OFTEN} (?:having|experiencing|noticing|getting) {_SOME}(?P<what>.+)",
        rf"(?:is|are|was|were) there {_SOME}(?P<what>.+)",
        rf"(?:how|what) about {_SOME}(?P<what>.+)",
        r"any (?P<what>.+)",
    )
)
_RELATIVES = re.compile(
    r"(?:does|do|did|has|have|is there) (?:anyone|anybody|any)(?: else)? (?:in|of) (?:the|your) family"
    r"(?: ever)? (?:have|had|has|with|have a history of|been diagnosed with|suffer from)"
    r" (?:any |an? |the )?(?P<what>.+)"
)
_ARE = re.compile(r"are you (?P<what>(?!any |an? |the ).+)")
_WERE = re.compile(r"were you (?P<what>.+)")
_DONE = re.compile(r"have you(?: ever)? (?P<what>(?:been|taken|tried|seen|used|done|gone|lost|gained|\w+ed)\b.*)")
_DID = re.compile(r"did you(?: ever)? (?P<what>.+)")
_DOES = re.compile(r"do you(?: ever| also)* (?P<verb>[a-z]+)(?P<what>.*)")
_THING_DOES = re.compile(
    r"does (?P<thing>it|that|this|(?:the|your|this|that) \w+(?: \w+)?) (?P<verb>[a-z]+)(?P<what>.*)"
)
_CLAUSE = (
    r"(?P<aux>do|does|did|are|is|were|was|have|has|had|can|could|would)"
    r" (?P<who>you|it|that|this|(?:the|your|this|that) (?:(?:left|right|lower|upper) )?\w+) (?P<rest>.+)"
)
_WHETHER = re.compile(_CLAUSE)
_WHICH = re.compile(
    r"(?P<wh>where|when|why|how(?: often| long| far| much| many \w+| bad)?|what|what kind of \w+|which \w+) " + _CLAUSE
)
_AT_ALL = re.compile(r"(?:(?: or)?(?: at all| anything like that))+$")
_THEIRS: Final = {
    "your": ("their",),
    "you're": ("they", "are"),
    "you've": ("they", "have"),
    "yourself": ("themselves",),
}

_LABELS: Final = {
    "how long": "duration",
    "how often": "frequency",
    "how bad": "severity",
    "how severe": "severity",
    "on a scale": "severity",
    "when did": "onset",
    "where": "location",
}
_UNLABELLED: Final = frozenset(
    stem(word)
    for word in word_set(
        """
    hurt start begin happen often long last going on bad severe pain rate scale 0 1 10
    """
    )
)


def answered(exchange: Exchange) -> str:
    """An exchange as a sentence: "Denies chest pain.", "Duration: 3 weeks.", or the question with the quoted reply."""
    question = join(unmarked(exchange.question)).lower()
    if exchange.answer is not Answer.OTHER and (text := _decided(question, exchange.answer)):
        return tidy(text)
    reply = trimmed(exchange.reply)
    label = _measure(question)
    if label and not PERSONAL.intersection(words(reply)):
        return tidy(f"{label}: {join(reply)}")
    asked = not negations(words(exchange.question)) and (_topic(question) or _indirect(question))
    if label := label or asked or "":
        return tidy(f"{label}: {_told(exchange.reply)}")
    return as_spoken(exchange)


def as_spoken(exchange: Exchange) -> str:
    """An exchange word for word."""
    return tidy(f"asked {_quoted(exchange.question)}: {_quoted(exchange.reply)}")


def _told(reply: Sequence[str]) -> str:
    """A reply in the third person, or in quotation marks where that would not say the same for certain."""
    tokens = unmarked(trimmed(reply))
    said = words(reply)
    if said[0] in YES and len(said) > 1 and words(tokens)[:1] != said[:1]:
        tokens = (reply[0], ",", *tokens[1 if tokens[0] in MARKS else 0 :])  # else it would seem left open
    if said[-1] in YES and words(tokens)[-1:] != said[-1:]:
        return _quoted(reply)  # "sometimes, yes"
    if YES.intersection(said) and NO.intersection(said):
        return _quoted(reply)  # it takes itself back
    told = patient_in_third_person(tokens)
    if told is None or not keeps_meaning(said, words(told)):
        return _quoted(reply)
    return join(told)


def _is_thing(subject: Sequence[str], rest: Sequence[str]) -> bool:
    """Whether a subject is a pronoun, or a noun that ends where it seems to: "your cough", not "your right"."""
    return len(subject) == 1 or (_is_noun(subject[-1]) and not _is_noun(rest[0]))


def _is_noun(word: str) -> bool:
    return has(cues(("your", word)), Cue.BODY, Cue.SYMPTOM, Cue.CONDITION, Cue.MEDICATION, Cue.DRUG)


def _indirect(question: str) -> str:
    """What was asked, as a clause: "how far are you running" → "asked how far the patient is running"."""
    if len(question.split()) > LONGEST_QUESTION or any(mark in question for mark in MARKS):
        return ""
    for pattern in (_WHETHER, _WHICH):
        match = pattern.fullmatch(question)
        if match is None or not _is_thing(match["who"].split(), match["rest"].split()):
            continue
        thing = "the patient" if match["who"] == "you" else match["who"].replace("your ", "their ")
        rest = match["rest"].split()
        verb = match["aux"]
        if verb in ("do", "does"):
            verb = third_person(rest[0]) if rest and rest[0] in BASE_VERBS else None
            rest = rest[1:]
        elif match["who"] == "you":
            verb = third_person(verb)
        told = _of_the_patient(" ".join(rest), False) if rest else []
        if verb is None or told is None or ASKING_AGAIN.intersection(told):
            return ""
        opening = match["wh"] if pattern is _WHICH else "whether"
        return join(["asked", *opening.split(), *thing.split(), verb, *told])
    return ""


def _quoted(tokens: Sequence[str]) -> str:
    return f'"{join(unmarked(tokens))}"'


def _decided(question: str, answer: Answer) -> str:
    """A yes/no question and its answer as a statement, or nothing where that could say something else."""
    asked = words(split(question))
    yes = answer is Answer.YES
    if negations(asked) or len(asked) > LONGEST_QUESTION:
        return ""
    if yes and cues(asked)[Cue.SYMPTOM] > 1:
        return ""  # yes to which of them?
    text = _relatives(question, yes) or _having(question, yes) or _doing(question, yes)
    return text if text and negations(words(split(text))) == (0 if yes else 1) else ""


def _having(question: str, yes: bool) -> str:
    verb = "Reports" if yes else "Denies"
    for pattern in _HAVING:
        if match := pattern.fullmatch(question):
            what = _of_the_patient(_AT_ALL.sub("", match["what"]), yes)
            said = words(what or ())
            if question[:9] in ("how about", "what abou") and not cues(said)[Cue.SYMPTOM]:
                return ""
            if not what or len(said) > LONGEST_TOPIC or ASKING_AGAIN.intersection(said):
                return ""
            return "" if not yes and FACULTIES.intersection(said) else f"{verb} {join(what)}"
    return f"{verb} {question}" if _names_symptoms(words(split(question))) else ""


def _names_symptoms(asked: Sequence[str]) -> bool:
    """Whether a question is just a few nouns: "nausea, vomiting?"."""
    if not asked or len(asked) > LONGEST_LIST or asked[0] in BASE_VERBS | PAST_FORMS:
        return False
    other = PERSONAL | FACULTIES | ASKING_AGAIN
    return cues(asked)[Cue.SYMPTOM] > 0 and not other.intersection(asked)


def _relatives(question: str, yes: bool) -> str:
    if match := _RELATIVES.fullmatch(question):
        what = _of_the_patient(match["what"], yes)
        return f"{'Reports' if yes else 'Denies'} a family history of {join(what)}" if what else ""
    return ""


def _doing(question: str, yes: bool) -> str:
    """Questions with a verb of their own: "do you smoke", "are you allergic to latex", "have you been abroad"."""
    denial = "" if yes else " not"
    for pattern, verb in ((_ARE, "is"), (_WERE, "was"), (_DONE, "has"), (_DID, "did")):
        if match := pattern.fullmatch(question):
            return _completed(f"the patient {verb}{denial}", match["what"], yes)
    for pattern in (_DOES, _THING_DOES):
        match = pattern.fullmatch(question)
        if match is None or match["verb"] not in BASE_VERBS:
            continue
        thing = "the patient" if pattern is _DOES else match["thing"].replace("your ", "their ")
        does = third_person(match["verb"]) if yes else f"does not {match['verb']}"
        return _completed(f"{thing} {does}", match["what"].strip(), yes)
    if yes and question.startswith(("you ", "you're ", "you've ")):
        told = doctor_in_third_person(split(question))
        return join(told) if told else ""
    return ""


def _completed(beginning: str, rest: str, yes: bool) -> str:
    if not rest:
        return beginning
    what = _of_the_patient(rest, yes)
    return f"{beginning} {join(what)}" if what else ""


def _of_the_patient(phrase: str, yes: bool) -> list[str] | None:
    """What was asked of "you", told of the patient: "pain when you breathe" → "pain when they breathe".

    Returns None where "yes" would not say which: "anything", "either", "A or B".
    """
    told: list[str] = []
    spoken = split(phrase)
    for at, word in enumerate(spoken):
        following = spoken[at + 1] if at + 1 < len(spoken) else ""
        if word in FIRST_PERSON or (yes and word in UNDECIDED) or (following == "you" and word in INVERTING):
            return None
        if word == "you":
            told.append("they" if following in BASE_VERBS | PAST_FORMS | ADVERBS | {"are"} else "them")
        else:
            told.extend(_THEIRS.get(word, (word,)))
    return told


def _measure(question: str) -> str:
    """What a question asks the measure of: "Duration"; nothing where it asks for anything else as well."""
    for opening, label in _LABELS.items():
        if question.startswith(opening) and content_words(words(split(question))) <= _UNLABELLED:
            return label
    return ""


def _topic(question: str) -> str:
    """A short name for what was asked, or nothing."""
    found = cues(words(split(question)))
    if found[Cue.OPENING]:
        return "reason for visit"
    if found[Cue.ALLERGY] and not found[Cue.SYMPTOM]:
        return "allergies"
    for pattern in (*_HAVING, _ARE):
        match = pattern.fullmatch(question)
        if match and len(match["what"].split()) <= LONGEST_LABEL:
            what = _of_the_patient(_AT_ALL.sub("", match["what"]), True)
            return join(what) if what and not ASKING_AGAIN.intersection(what) else ""
    return ""
