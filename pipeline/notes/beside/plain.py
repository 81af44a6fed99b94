"""Sentences of a note in plain language, for who is treated: "you" instead of "the patient", plain words, short. Pure.

Nothing is added but what a word means, and no fact goes: every step is taken back that changes a number, a side or a
denial. Sentences that hold a condition or a doubt are not cut behind it: what depends on it would stand alone.
"""

import re
from collections.abc import Iterator
from typing import Final

from pipeline.notes.beside.plain_words import EXPLAINED, REPLACED
from pipeline.notes.english.verbs import ADVERBS, BASE_VERBS, third_person
from pipeline.notes.english.vocabulary import word_set
from pipeline.notes.english.wording import is_negation, negations, numbers, sides, split, words

LONG: Final = 12  # words from which a sentence is cut where that is safe
SHORT: Final = 3  # no piece is shorter

# What nobody asks of who is treated: it was said to a colleague, or to a machine.
_CLINICIANS: Final = r"(?:order|prescribe|refer|obtain|draw|use|include|document|dictate)"
_OTHERS: Final = (
    r"\b(?:mother|father|mom|mum|dad|brother|sister|son|daughter|wife|husband|partner|uncle|aunt|cousin|grand\w+"
    r"|child|children|kids?|baby|family|parents?|friends?|people)\b"
)
_NAME: Final = rf"(?!(?:His|Her|Their|My|Our|An?|The)\b)(?!(?i:.*{_OTHERS}))[A-Z][\w.]*(?: \w+)?"
# Ways in which notes begin sentences.
_OPENINGS: Final = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r'^Patient: (?=")', "You said: "),
        (r'^Doctor: (?=")', "Your doctor said: "),
        (r"^Doctor(?='s? |\b [a-z])", "Your doctor"),
        (r"^(?:The )?[Pp]atient (?:reports|states|says|said|reported|stated) that ", "You told us that "),
        (r"^(?:(?:The )?[Pp]atient )?[Rr]eport(?:s|ed) ", "You told us about "),
        (r"^(?:(?:The )?[Pp]atient )?[Dd]en(?:ies|ied) (?:having |any )?", "You said no to "),
        (r"^(?:(?:The )?[Pp]atient )?(?:was |is )?[Aa]dvised not to ", "Please do not "),
        (rf"^(?:(?:The )?[Pp]atient )?(?:was |is )?[Aa]dvised to (?!{_CLINICIANS} )(?:try to )?", "Please "),
        (r"^Recommend(?:ed)? (?=[a-z])", "We advise "),
        (r"^Will (?=[a-z])", "We will "),
        (r"^Plan(?:s|ned)? to ", "We plan to "),
        (rf"^{_NAME} is an? (\d+)[- ]year[- ]old (?:\w+, )?(?:male|man)\b", r"You are a \1-year-old man"),
        (rf"^{_NAME} is an? (\d+)[- ]year[- ]old (?:\w+, )?(?:female|woman)\b", r"You are a \1-year-old woman"),
    )
)
_ORDERED: Final = re.compile(r"^(?:Order|Schedule|Refer|Prescribe|Obtain|Recheck|Repeat) (?=[a-z0-9])")
_INTRODUCED: Final = re.compile(r"^You are a \d+-year-old (?:man|woman)\b")
_PRESENTS: Final = re.compile(r",? who (?:presents|presented|is here|comes in)(?: today)? (?=for|with)")
_OWN: Final = re.compile(r"\b(?:his|her|their)\b")
_PATIENT: Final = re.compile(
    r"\b(?:[Tt]he patient|[Pp]atient)(?! (?:portal|education|history|handout|care|information)\b)"
    r"(?P<of>'s)?(?P<after>(?: [\w']+){0,2})"
)
_GIVEN: Final = re.compile(  # "they" may be others; behind these verbs it is who is treated
    r"\b(see|give|send|refer|start|keep|put|call|have|get|show|prescribe|help|bring|treat|continue|schedule) them\b"
)
_IF_THEY: Final = re.compile(  # what only people do
    r"\b(if|when|while|whenever) they"
    r" (have|think|feel|want|notice|develop|need|are (?:concerned|worried|having|gaining))\b"
)
_THEMSELVES: Final = re.compile(r"\b(weigh|rest|check|take care of|give|see|keep|ask|push) themselves\b")
_DOCTOR: Final = re.compile(r"\b([Tt])he doctor\b(?! in the\b)")

_SUBJECTS: Final = r"(?:you|you're|you'll|we|we're|we'll|it's|it|your|this|there|they|please|the)"
_AND: Final = re.compile(rf",? (?:and|so|then)(?: then)? (?={_SUBJECTS} )|; |,? (?=but {_SUBJECTS} )")
_ORDERS: Final = re.compile(r",? and(?: then| also)? (?=[a-z]+ )")
_SHARED: Final = ("Please ", "We will ", "We plan to ", "You can ")  # what stands before several things to do
_DEEDS: Final = word_set(  # verbs that are never what another one is about: not "discuss sleep and exercise"
    """
    add apply arrange ask avoid begin bring call check come consider continue decide discuss do drink eat elevate follow
    get give go have hold keep let make monitor obtain prescribe put read recheck refer repeat report return see send
    set start take tell try wait wear weigh
    """
)
_STOPS: Final = word_set("avoid stop limit quit skip reduce")  # what follows may be meant, too
_DEPENDS: Final = word_set(
    """
    if unless when whenever until while whether because since might may could would should think thinks believe believes
    says said told tell likely probably possibly maybe perhaps consider sure know knows after before hopefully
    """
)
_PLAIN_FORMS: Final = {
    **{form: verb for verb in BASE_VERBS if (form := third_person(verb))},
    "is": "are",
    "isn't": "aren't",
    "was": "were",
    "wasn't": "weren't",
    "has": "have",
    "hasn't": "haven't",
    "does": "do",
    "doesn't": "don't",
}


def plainly(text: str, explained: set[str]) -> list[str]:
    """What a sentence of a note says, in one or more plain sentences. `explained`: words that were explained so far,
    which grows.
    """
    told = _kept(text, _addressed(text))
    meant = set(explained)
    glossed = _glossed(told, meant)
    if _kept(told, glossed) == glossed:
        explained |= meant
        told = glossed
    return [_ended(piece) for piece in _cut(told)]


def keeps(before: str, after: str) -> bool:
    """Whether numbers, sides and denials are the same."""
    source, plain = words(split(before)), words(split(after))
    return negations(source) == negations(plain) and numbers(source) == numbers(plain) and sides(source) == sides(plain)


def _kept(before: str, after: str) -> str:
    """The text rewritten, or as it was where that is not safe."""
    return after if keeps(before, after) else before


def _addressed(text: str) -> str:
    """The sentence as it is said to the patient. What somebody said stays in their words."""
    for pattern, plain in _OPENINGS:
        if pattern.search(text):
            text = pattern.sub(plain, text)
            break
    text = _ORDERED.sub(lambda found: f"We will {found[0].lower()}", text)
    head, quotes, said = text.partition('"')
    if _INTRODUCED.match(head):
        head = _OWN.sub("your", _PRESENTS.sub(". You came ", head))
    head = _PATIENT.sub(_you, head)
    head = _GIVEN.sub(r"\1 you", _THEMSELVES.sub(r"\1 yourself", head))
    if head.startswith(("Please ", "You ")) and not re.search(_OTHERS, head):
        head = _IF_THEY.sub(r"\1 you \2", head)
    head = _DOCTOR.sub(lambda found: f"{'Y' if found[1] == 'T' else 'y'}our doctor", head)
    head = re.sub(r"(?:^|(?<=\. ))[a-z]", lambda found: found[0].upper(), head)
    return head + quotes + said


def _you(found: re.Match[str]) -> str:
    """ "the patient has" → "you have"; "the patient's" → "your"."""
    after = found["after"]
    if found["of"]:
        return f"your{after}"
    following = after.split()
    at = 1 if following and following[0] in ADVERBS else 0
    if at < len(following) and following[at] in _PLAIN_FORMS:
        following[at] = _PLAIN_FORMS[following[at]]
    return " ".join(("you", *following))


def _glossed(text: str, explained: set[str]) -> str:
    """The sentence in plain words. A word that was explained before is not explained again."""

    def replaced(found: re.Match[str]) -> str:
        plain = REPLACED[found[0].lower()]
        return plain[:1].upper() + plain[1:] if found[0][0].isupper() and found.start() == 0 else plain

    def with_meaning(found: re.Match[str]) -> str:
        word = found[0].lower()
        if word in explained:
            return found[0]
        explained.add(word)
        return f"{found[0]} ({EXPLAINED[word]})"

    own, quotes, said = text.partition('"')
    return _REPLACED.sub(replaced, _EXPLAINED.sub(with_meaning, own)) + quotes + said


def _either(entries: dict[str, str]) -> re.Pattern[str]:
    longest = sorted(entries, key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest))})(?![\w-])", re.IGNORECASE)


_REPLACED: Final = _either(REPLACED)
_EXPLAINED: Final = _either(EXPLAINED)


def _cut(text: str) -> Iterator[str]:
    """Shorter sentences, cut where nothing behind depends on what stands before."""
    for sentence in re.split(r"(?<=[a-z\d)]\.) (?=[A-Z])", text):
        yield from _pieces(sentence)


def _pieces(sentence: str) -> Iterator[str]:
    if len(sentence.split()) < LONG or '"' in sentence:
        yield sentence
        return
    for cut in sorted(_places(sentence), key=lambda found: found.start()):
        before, behind = sentence[: cut.start()], sentence[cut.end() :]
        said = words(split(before))
        if len(said) < SHORT or len(behind.split()) < SHORT or not _DEPENDS.isdisjoint(said):
            continue
        shared = ""
        if cut.re is _ORDERS:
            if not _STOPS.isdisjoint(said) or any(is_negation(word) for word in said):
                continue  # it may deny both
            shared = next(each for each in _SHARED if sentence.startswith(each)).replace("Please ", "")
        yield before
        yield from _pieces(shared + behind if shared else behind[:1].upper() + behind[1:])
        return
    yield sentence


def _places(sentence: str) -> Iterator[re.Match[str]]:
    yield from _AND.finditer(sentence)
    if sentence.startswith(_SHARED):
        for found in _ORDERS.finditer(sentence):
            if sentence[found.end() :].split()[0] in _DEEDS:
                yield found


def _ended(sentence: str) -> str:
    stripped = sentence.strip().rstrip(",;")
    return stripped if stripped.endswith((".", "!", "?", '"')) else f"{stripped}."
