"""Talk that misleads: questions without a question's form, replies that turn, words that only look like others.

Each case is written with and without marks, and in both templates; what is written must be true, and what is dangerous
to leave out must be there, also after the check that a server makes.
"""

import pytest

from pipeline.notes.english.units import units
from pipeline.notes.english.wording import clean
from pipeline.notes.evidence.checking import Checker
from pipeline.notes.extract.extractive import write_note
from tests.pipeline.notes.talk import GENERAL, SOAP, general, talk, texts, unmarked, visit, without_roles


def notes(*lines: str) -> list[str]:
    """What the checked notes of a visit with these lines say, in lower case: by marks and template."""
    items = visit(*lines)
    told: list[str] = []
    for same in (items, unmarked(items)):
        for template in (GENERAL, SOAP):
            checker = Checker(same)
            checked = [checker.check(one).section for one in write_note(same, template, language="en-US").sections]
            told.append(" | ".join(one.text.lower() for section in checked if section for one in section.sentences))
    return told


@pytest.mark.parametrize(
    ("said", "reply", "false", "true"),
    [
        ("You take warfarin, don't you?", "No, I stopped it in March.", "patient takes warfarin", "no"),
        ("You're allergic to penicillin, right?", "No, that's my sister.", "patient is allergic", "sister"),
        ("You still have chest pain, isn't that so?", "No, it's gone.", "patient still has", "gone"),
        ("So you don't have any fever?", "No, I do have a fever, 101 last night.", "does not have", "101 last night"),
        ("You haven't had any bleeding?", "Yes, I have, every day.", "has not had any", "every day"),
        ("No history of blood clots?", "Yeah, I had one in my left leg.", "", "left leg"),
        ("And you've never had surgery before?", "Yes I have, in 2010.", "patient has never", "2010"),
        ("And you've never had a blood clot.", "Well, once, in my left leg.", "patient has never", "once"),
        ("You have asthma.", "No, I have COPD.", "patient has asthma", "copd"),
        ("I see that you are allergic to latex, is that still correct?", "No, it was a mistake.", "is allergic", "no"),
        ("Are both knees swollen?", "No, just the left one.", "are both knees swollen.", "just the left one"),
    ],
)
def test_a_statement_that_only_asks_is_no_fact(said: str, reply: str, false: str, true: str) -> None:
    for note in notes(f"D: {said}", f"P: {reply}"):
        assert not false or false not in note
        assert true in note


@pytest.mark.parametrize("reply", ["No.", "Okay.", "Right.", "No, never."])
def test_a_denial_that_the_patient_agrees_to_stands(reply: str) -> None:
    for note in notes("D: You've never had a blood clot.", f"P: {reply}"):
        assert "has never had a blood clot" in note


@pytest.mark.parametrize(
    ("finding", "reply"),
    [
        ("The x-ray of your wrist shows no fracture.", "Yeah, okay."),
        ("The x-ray of your wrist shows no fracture.", "Yes, I thought so."),
        ("You don't have any tenderness of your belly.", "Yeah, good."),
    ],
)
def test_a_finding_stays_one_whatever_is_murmured_to_it(finding: str, reply: str) -> None:
    for note in notes(f"D: {finding}", f"P: {reply}"):
        assert finding.lower().rstrip(".").split(" ")[-1] in note
        assert "asked" not in note


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("Are you a smoker?", "Yes. I don't drink."),
        ("Are you keeping up with your insulin?", "Yes, and I have it with me today."),
        ("Do you have asthma or COPD?", "Yes, asthma."),
        ("Have you had thoughts of hurting yourself?", "Sometimes, yes."),
    ],
)
def test_a_yes_with_more_behind_it_stays_a_yes(question: str, reply: str) -> None:
    for note in notes(f"D: {question}", f"P: {reply}"):
        assert "yes" in note


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (("D: Are you taking your metoprolol?", "P: I'm supposed to, but I don't take it."), "metoprolol"),
        (("D: What happens when you take amoxicillin?", "P: I get a rash all over."), "amoxicillin"),
        (("D: Any allergies to medications?", "P: No.", "D: Okay.", "P: Oh wait, I am allergic to sulfa."), "sulfa"),
        (("D: Any family history of colon cancer?", "P: Yes, my father, at 45."), "colon cancer: yes"),
        (("D: Any fever? Any cough? Any chest pain?", "P: Just the cough."), "any fever"),
        (("D: Are you pregnant?", "P: I don't think so, but I could be."), "they could be"),
        (("D: Have you had thoughts of hurting yourself?", "P: Sometimes, yes."), "hurting themselves"),
        (("P: I've had thoughts of not wanting to be alive anymore.",), "not wanting to be alive"),
        (("D: I see a fracture of the left wrist, sorry, the right wrist.",), "the right wrist"),
        (("D: Avoid ibuprofen and naproxen because of your kidneys.",), "avoid ibuprofen and naproxen"),
    ],
)
def test_what_is_dangerous_to_leave_out_is_there_with_what_it_is_about(lines: tuple[str, ...], named: str) -> None:
    for note in notes(*lines):
        assert named in note


def test_spelled_letters_are_no_pronoun() -> None:
    for note in notes("D: Take Nexium 40 mg once a day to reduce the risk of an upper G I bleed."):
        assert "upper gi bleed" in note


@pytest.mark.parametrize("line", ["D: Y-you know, I think it's bronchitis.", "D: You know, I think it's bronchitis."])
def test_a_filler_begun_twice_is_no_knowledge_of_the_patients(line: str) -> None:
    for note in notes(line):
        assert "knows" not in note
        assert "bronchitis" in note


def test_an_order_is_no_advice_to_the_patient_to_order() -> None:
    for note in notes("D: Order lisinopril 20 mg daily."):
        assert "advised to order" not in note
        assert "order lisinopril 20 mg daily" in note


def test_what_lowers_the_pressure_is_not_cut_off_from_it() -> None:
    line = "D: it is a reaction that makes your body go into shock and that lowers your blood pressure"
    assert all("lowers." not in text for text in texts(general(visit(line))))


def test_what_would_happen_in_some_case_is_no_finding_and_no_history() -> None:
    items = visit("D: You would have swelling of the lips and difficulty breathing.")
    for same in (items, unmarked(items)):
        note = general(same)
        assert not any(
            "lips" in text for key in ("PHYSICAL_EXAM", "HISTORY_OF_PRESENT_ILLNESS") for text in texts(note, key)
        )


def test_an_alternative_question_is_not_half_denied() -> None:
    lines = ("D: Have you been diagnosed with asthma, or are you having any new symptoms?", "P: No, nothing like that.")
    assert all("are them" not in note for note in notes(*lines))


@pytest.mark.parametrize(
    ("line", "asks"),
    [
        ("D: any black stools or fainting call an ambulance", False),
        ("D: any pain when you go to the bathroom", True),
        ("D: you take warfarin don't you", True),
        ("D: the pain is in your left arm right", True),
        ("D: there is some swelling on the right", False),
        ("D: the strength is equal left and right", False),
        ("D: that looks all right", False),
    ],
)
def test_what_asks_without_a_mark(line: str, asks: bool) -> None:
    items = talk(line)
    assert [one.question for one in units(items, {"0": clean(items[0].text)})] == [asks]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (("My brother lives with me.", "He had a fever and he vomited."), "patient's brother had a fever"),
        (("My brother lives with me.", "He's been coughing with a fever."), "patient's brother has been coughing"),
        (("My mother and my brother have diabetes.", "She takes insulin."), "patient's mother takes insulin"),
    ],
)
def test_he_or_she_who_was_named_before_is_named_again(said: tuple[str, ...], told: str) -> None:
    for note in notes(*(f"P: {one}" for one in said)):
        assert told in note


@pytest.mark.parametrize(
    "said",
    [
        ("My father came with me.", "I saw the doctor yesterday.", "He had a fever too."),
        ("My father and my brother smoke.", "He had a fever too."),
        ("My father smokes.", "She had a fever too."),
    ],
)
def test_he_or_she_who_may_be_somebody_else_is_not_named(said: tuple[str, ...]) -> None:
    for note in notes(*(f"P: {one}" for one in said)):
        assert "father had" not in note
        assert "brother had" not in note


@pytest.mark.parametrize(("reply", "named"), [("Yes, to latex.", "latex"), ("No.", "not allergic to anything")])
def test_the_answer_to_a_negative_question_on_allergies_is_kept(reply: str, named: str) -> None:
    for note in notes("D: You're not allergic to anything?", f"P: {reply}"):
        assert named in note


@pytest.mark.parametrize(
    "line",
    [
        "D: Don't put any weight on your left foot for six weeks.",
        "D: Do not drive while you take the oxycodone.",
        "D: You need to go to the hospital today.",
        "D: We'll get an MRI of your right knee, not the left.",
    ],
)
def test_what_is_to_be_done_is_no_history_and_no_finding(line: str) -> None:
    items = visit(line)
    kept = {"PLAN", "PRESCRIPTION"}
    for same in (items, unmarked(items)):
        told = [(one.key, text.lower()) for one in general(same).sections for text in texts(general(same), one.key)]
        word = next(word for word in ("foot", "oxycodone", "hospital", "mri") if word in line.lower())
        assert {key for key, text in told if word in text} <= kept
        assert any(word in text for _, text in told)


def test_an_answer_where_nobody_is_known_to_speak_stays_with_its_question() -> None:
    items = without_roles(unmarked(visit("D: Any allergies?", "P: Penicillin and sulfa drugs.")))
    assert texts(general(items), "ALLERGIES") == ["Allergies: penicillin and sulfa drugs."]
