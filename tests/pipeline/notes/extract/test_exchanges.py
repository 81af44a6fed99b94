"""Which replies are a yes, which a no, and which have to be quoted."""

import pytest

from pipeline.notes.english.wording import clean, join, words
from pipeline.notes.extract.exchanges import Answer, agreed_answer, core_question


def answer(question: str, reply: str) -> Answer:
    return agreed_answer(clean(question), words(clean(reply)))


@pytest.mark.parametrize(
    ("question", "reply", "expected"),
    [
        ("Any chest pain?", "No.", Answer.NO),
        ("Any chest pain?", "No, no chest pain.", Answer.NO),
        ("Any chest pain?", "I haven't had any.", Answer.NO),
        ("Any chest pain?", "Not at all.", Answer.NO),
        ("Any chest pain?", "None whatsoever.", Answer.NO),
        ("Any chest pain?", "Yes, I do have chest pain.", Answer.YES),
        ("Any chest pain?", "No, I have chest pain.", Answer.OTHER),
        ("Any chest pain?", "No, yes.", Answer.OTHER),
        ("Any chest pain?", "Yes, no, not really.", Answer.OTHER),
        ("Any chest pain?", "I don't think so.", Answer.OTHER),
        ("Any chest pain?", "No but my arm hurts.", Answer.OTHER),
        ("Any chest pain?", "Maybe.", Answer.OTHER),
        ("Any chest pain or cough?", "Yes.", Answer.OTHER),
        ("Any chest pain or cough?", "No.", Answer.NO),
        ("Is it sharp or dull?", "No.", Answer.OTHER),
        ("Is it the left knee?", "Yes.", Answer.OTHER),
        ("Don't you have any pain?", "No.", Answer.OTHER),
        ("No chest pain?", "No.", Answer.OTHER),
        ("Any other medications?", "Yes, it is.", Answer.OTHER),
        ("Does it hurt?", "Yes, it does.", Answer.YES),
    ],
)
def test_only_a_reply_that_agrees_throughout_is_a_yes_or_a_no(question: str, reply: str, expected: Answer) -> None:
    assert answer(question, reply) is expected


@pytest.mark.parametrize(
    ("asked", "core"),
    [
        ("Okay, and do you have a fever?", "do you have a fever"),
        ("So how about any nausea?", "any nausea"),
        ("I know you said it started Monday, but have you had a fever?", "have you had a fever"),
        ("When you walk, do you get chest pain?", "When you walk, do you get chest pain"),
        ("How long have you had it?", "How long have you had it"),
    ],
)
def test_a_question_loses_its_lead_and_never_its_condition(asked: str, core: str) -> None:
    assert join(core_question(clean(asked))) == core
