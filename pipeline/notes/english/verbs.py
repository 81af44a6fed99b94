"""English verbs as far as a note needs them: "I feel" → "the patient feels". What is not known is not inflected."""

from typing import Final

from pipeline.notes.english.vocabulary import word_set

# Verbs of consultation talk in their plain form. A verb that is not here makes a sentence a quotation.
BASE_VERBS: Final = word_set(
    """
    add admit advise arrange be book brace check consider decrease discuss drain encourage evaluate feed ice
    increase massage obtain order perform place plan prescribe proceed provide reassess recheck record refer
    repeat review schedule screen set soak switch update elevate taper consult wrap push replace ache agree
    appreciate ask attend avoid become believe bend bet bleed break breathe bring bruise burn buy call carry catch
    change check choke chew clean climb come consider consume continue cook cough cry cut deal deny describe
    develop do drag dream dress drink drive drop dry eat enjoy exercise expect experience explain faint fall fear
    feel find finish fly follow forget gag gain get give go grind guess hate have hear help hike hold hope hurt
    inject injure itch jog jump keep kneel know lack land lay lean leave let lie lift like limp live look lose
    love maintain make manage mean measure miss monitor mention move need notice own pass pay pee play poop
    practice pray prefer press produce pull push put quit reach read realize recall recommend recover refill relax
    rely remember remind report require rest retire return ride rub run say scratch see seem sell send share shave
    show sit skip sleep slip smell smoke sneeze snore speak spend spit squat stand start stay step stop strain
    stretch struggle suffer suggest suspect swallow sweat swell swim take talk taste tell tend think throw
    tolerate touch train travel treat try turn twist understand urinate use vape vary visit vomit wait wake walk
    want wash watch wear weigh wheeze wish wonder work worry write
    """
)
# Past forms and auxiliaries stay as they are in the third person.
PAST_FORMS: Final = word_set(
    """
    ate became began bent bled broke brought bought built burnt came caught chose cut did didn't drank drove
    dreamt fell felt fed found flew forgot froze gave went got grew had hadn't heard held hit hung hurt kept knew
    laid lay learnt led left lent let lost made meant met misread paid put quit ran rang read rode rose said sat
    saw sent set shook shot showed shut slept slid smelt sold spat spent spoke spoilt sprang stood stuck struck
    swam swelled swept swore swung taught thought threw told took tore understood woke wore won wrote was wasn't
    used can can't cannot could couldn't will won't would wouldn't should shouldn't may might must shall
    """
)
IRREGULAR: Final = {
    "am": "is",
    "are": "is",
    "aren't": "isn't",
    "were": "was",
    "weren't": "wasn't",
    "have": "has",
    "haven't": "hasn't",
    "do": "does",
    "don't": "doesn't",
    "go": "goes",
}
# What may stand between a subject and its verb.
ADVERBS: Final = word_set(
    """
    just also really usually never always actually probably definitely still only even sometimes often already
    mostly normally generally occasionally recently currently maybe first then now almost barely hardly ever
    certainly frequently initially previously typically rarely basically kinda simply
    """
)
LONGEST_LY = 5  # letters of words in -ly that are no adverbs: "imply", "reply"
NO_ADVERBS: Final = word_set(
    "family only fly reply apply supply rely comply belly july likely ugly curly friendly early"
)


def is_adverb(word: str) -> bool:
    """Whether a word may stand between a subject and its verb."""
    return word in ADVERBS or (word.endswith("ly") and len(word) > LONGEST_LY and word not in NO_ADVERBS)


# Verbs that are never nouns: behind "and" they share the subject.
PURE_VERBS: Final = word_set(
    """
    feel get go take have eat sit lie know think try keep come wake make see hear do become
    """
)
SIBILANTS: Final = ("ss", "sh", "ch", "x", "z", "o")


def third_person(verb: str) -> str | None:
    """The form behind "the patient", or None for a word that is no verb we know."""
    if verb in IRREGULAR:
        return IRREGULAR[verb]
    if verb in PAST_FORMS:
        return verb
    if verb in BASE_VERBS:
        if verb.endswith(SIBILANTS):
            return f"{verb}es"
        if verb.endswith("y") and verb[-2] not in "aeiou":
            return f"{verb[:-1]}ies"
        return f"{verb}s"
    return verb if verb.endswith("ed") and len(verb) > 4 else None


def plural(verb: str) -> str:
    """The form behind "they" of a verb that stood behind "I"."""
    return {"am": "are", "was": "were", "wasn't": "weren't"}.get(verb, verb)
