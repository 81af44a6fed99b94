"""First and second person → third person. What cannot be turned with certainty is left to be quoted."""

from collections.abc import Sequence
from typing import Final

from pipeline.notes.english.verbs import BASE_VERBS, PURE_VERBS, is_adverb, plural, third_person
from pipeline.notes.english.vocabulary import word_set

PATIENT = "the patient"
DOCTOR = "the doctor"

I_CONTRACTED: Final = {"i'm": "am", "i've": "have", "i'll": "will"}
YOU_CONTRACTED: Final = {"you're": "are", "you've": "have", "you'll": "will"}
INVERTING: Final = word_set("am do did was were have had are can could should would will does")  # "do I", "have you"
PLURAL_PRONOUNS: Final = word_set("they them their they're they've theirs themselves they'll they'd")
FIRST_PLURAL: Final = word_set("we we're we've we'll we'd us our ours")
SECOND_PERSON: Final = word_set("you your you're you've you'll you'd yours yourself")
# Behind these "you" is an object: "give you", "for you".
OBJECT_BEFORE: Final = word_set(
    """
    for to give gave start refer put on keep send want have had get let help with call of tell told make made
    about in by at from need ask asked bring show remind prescribe switch treat brought bother bothers bothering
    around gives tells makes lets sending giving putting starting keeping getting allow allows
    """
)
KIN: Final = word_set(
    """
    mother father mom mum dad brother sister wife husband son daughter aunt uncle cousin grandmother grandfather
    grandma grandpa parents family sibling siblings partner
    """
)
UNTOLD: Final = word_set("yours mine myself us our ours")  # whose, nobody can say for certain
SUBJECTS: Final = word_set("i you i'd you'd")
NEW_SUBJECTS: Final = word_set("to it that this which who he she they there when if")
MOST_MENTIONS = 3  # more subjects than these in one sentence read worse than a quotation


def patient_in_third_person(tokens: Sequence[str]) -> list[str] | None:
    """What a patient said, told of the patient: "I have a cough" → "the patient has a cough".

    Returns None where it cannot be told for certain: questions to the doctor, "we", verbs nobody knows.
    """
    lower = [token.lower() for token in tokens]
    if any(word in FIRST_PLURAL or word in SECOND_PERSON for word in lower):
        return None
    theirs = any(word in PLURAL_PRONOUNS for word in lower)  # "they" would be someone else
    told: list[str] = []
    mentions = 0
    shares_subject = False  # the last subject is "the patient", and its verb was inflected
    at = 0
    while at < len(tokens):
        word = lower[at]
        if word == "i" or word == "i'd" or word in I_CONTRACTED:
            mentions += 1
            singular = mentions == 1 or theirs
            phrase, at = _with_verb(lower, tokens, at, PATIENT if singular else "they", singular)
            if phrase is None or (told and told[-1].lower() in INVERTING):
                return None
            told.extend(phrase)
            shares_subject = singular and lower[at - 1] in BASE_VERBS
            continue
        if shares_subject and word in PURE_VERBS and lower[at - 1] in ("and", "but", "or"):
            told.append(third_person(word) or word)
        else:
            named = theirs or not mentions
            mentions += word == "my"
            told.append(_possessive(word, tokens[at], named if word == "my" else theirs))
        shares_subject = shares_subject and word not in NEW_SUBJECTS
        at += 1
    return told if mentions <= MOST_MENTIONS or not theirs else None


def _possessive(word: str, token: str, named: bool) -> str:
    """The third person of "my", "mine", "me" and "myself"; `named` where a pronoun would not say whose."""
    if word in ("my", "mine"):
        return f"{PATIENT}'s" if named else {"my": "their", "mine": "theirs"}[word]
    if word == "me":
        return PATIENT if named else "them"
    return "themselves" if word == "myself" else token


def _with_verb(
    lower: Sequence[str], tokens: Sequence[str], at: int, subject: str, singular: bool
) -> tuple[list[str] | None, int]:
    """The subject at `at` with its adverbs and verbs, and where the sentence goes on."""
    if at and (lower[at - 1] in SUBJECTS or lower[at - 1] in I_CONTRACTED or lower[at - 1] in YOU_CONTRACTED):
        return None, at  # "you're you've come": the speaker began anew
    contracted = {**I_CONTRACTED, **YOU_CONTRACTED}.get(lower[at])
    if lower[at] in ("i'd", "you'd"):
        following = lower[at + 1] if at + 1 < len(lower) else ""
        contracted = "had" if following == "been" or following.endswith(("ed", "en")) else "would"
    phrase = [subject]
    if contracted is not None:
        verb = third_person(contracted) if singular else plural(contracted)
        return [*phrase, verb or contracted], at + 1
    end = at + 1
    while end < len(tokens) and is_adverb(lower[end]):
        phrase.append(tokens[end])
        end += 1
    if end == len(tokens):
        return None, end
    verb = third_person(lower[end])
    if verb is None:
        return None, end
    phrase.append(verb if singular else plural(lower[end]))
    end += 1
    return phrase, end


def doctor_in_third_person(tokens: Sequence[str], *, known: bool = False) -> list[str] | None:
    """What a doctor said to the patient, told of both: "I think you do" → "the doctor thinks the patient does".

    `known` says that the sentence has named the patient already. Returns None where it cannot be told for certain.
    """
    lower = [token.lower() for token in tokens]
    theirs = any(word in PLURAL_PRONOUNS for word in lower)  # "they" would be someone else
    told: list[str] = []
    mentions = 0
    at = 0
    while at < len(tokens):
        word = lower[at]
        named = theirs or not known
        if word in UNTOLD:
            return None
        if word not in ("i", "i'd", "you", "you'd") and word not in I_CONTRACTED and word not in YOU_CONTRACTED:
            following = lower[at + 1] if at + 1 < len(lower) else ""
            told.extend(_doctors_pronoun(word, tokens[at], following, named, at == 0))
            at += 1
            continue
        mentions += 1
        if word == "you" and _is_object(lower, at):
            told.append(PATIENT if named else "them")
            at += 1
        else:
            if at and lower[at - 1] in INVERTING:
                return None
            speaks = word.startswith("i")
            subject = DOCTOR if speaks else (PATIENT if named else "they")
            phrase, at = _with_verb(lower, tokens, at, subject, speaks or named)
            if phrase is None:
                return None
            told.extend(phrase)
        known = known or word.startswith("you")
    return told if mentions <= MOST_MENTIONS else None


def _doctors_pronoun(word: str, token: str, following: str, named: bool, first: bool) -> list[str]:
    """The third person of "your", "me", "my" and "yourself" in a doctor's mouth."""
    if word == "your":
        if following in KIN:
            return [f"{PATIENT}'s" if named else "their"]
        return [] if first else ["the"]
    return {"me": [DOCTOR], "my": [f"{DOCTOR}'s"], "yourself": ["themselves"]}.get(word, [token])


def _is_object(lower: Sequence[str], at: int) -> bool:
    """Whether "you" at `at` has no verb of its own: "give you a brace", "see you again"."""
    following = lower[at + 1] if at + 1 < len(lower) else ""
    before = lower[max(0, at - 2) : at]
    if (before and before[-1] in OBJECT_BEFORE) or before == ["to", "see"]:
        return True
    return not is_adverb(following) and third_person(following) is None
