"""What a note must never get wrong. Each case is written from a transcript with marks and from one without."""

import pytest

from tests.pipeline.notes.talk import general, texts, unmarked, visit, without_roles, written


def both(*lines: str, key: str) -> list[list[str]]:
    """A section's sentences in lower case and without quotes' case: with marks, without."""
    items = visit(*lines)
    return [[text.lower() for text in texts(general(one), key)] for one in (items, unmarked(items))]


# Questions and answers


@pytest.mark.parametrize("reply", ["No.", "No, not at all.", "Nope.", "No, I don't have any chest pain.", "No, never."])
def test_a_plain_no_is_a_denial(reply: str) -> None:
    for history in both("D: Do you have any chest pain?", f"P: {reply}", key="HISTORY_OF_PRESENT_ILLNESS"):
        assert "denies chest pain." in history


@pytest.mark.parametrize("reply", ["Yes.", "Yes, I do.", "Yeah, I have.", "Yes, I have chest pain."])
def test_a_plain_yes_is_a_report(reply: str) -> None:
    for history in both("D: Do you have any chest pain?", f"P: {reply}", key="HISTORY_OF_PRESENT_ILLNESS"):
        assert "reports chest pain." in history or "patient has chest pain." in history


@pytest.mark.parametrize(
    "reply",
    [
        "No. Yeah, I vomited this morning.",
        "Not really.",
        "I don't think so.",
        "No, just a little when I eat.",
        "Yes, but not any more.",
        "Sometimes.",
        "No, I have vomiting at night.",
        "Not that I know of.",
        "Mm-hmm.",
    ],
)
def test_a_reply_that_is_no_clear_yes_or_no_is_neither_denied_nor_reported(reply: str) -> None:
    note = written("D: Any vomiting?", f"P: {reply}")
    assert "denies vomiting" not in note
    assert "reports vomiting" not in note


def test_a_reply_that_takes_itself_back_is_quoted_whole() -> None:
    assert 'vomiting: "no yeah i vomited twice"' in written("D: Any vomiting?", "P: No. Yeah, I vomited twice.")


def test_a_denial_that_is_taken_back_after_an_acknowledgement_is_no_denial() -> None:
    note = written("D: Do you have any chest pain?", "P: No.", "D: Okay.", "P: Well, sometimes at night.")
    assert "denies chest pain" not in note
    assert "sometimes at night" in note


def test_a_no_to_a_list_denies_all_of_it() -> None:
    for history in both("D: Any fever, chills or night sweats?", "P: No.", key="HISTORY_OF_PRESENT_ILLNESS"):
        assert any(text.startswith("denies fever") and "night sweats" in text for text in history)


def test_a_yes_to_a_list_does_not_say_to_which_of_it() -> None:
    note = written("D: Any fever, chills or night sweats?", "P: Yes.")
    assert "reports fever" not in note
    assert "asked" in note


def test_a_no_to_a_choice_denies_nothing() -> None:
    note = written("D: Is it a dry cough or a wet cough?", "P: No.")
    assert "denies" not in note
    assert "not a dry" not in note


def test_a_no_to_a_negative_question_is_quoted() -> None:
    note = written("D: You don't have any chest pain?", "P: No.")
    assert "reports chest pain" not in note
    assert "patient has chest pain" not in note


def test_no_answers_only_the_last_of_two_different_questions() -> None:
    note = written("D: Have you been coughing? Do you have a fever?", "P: No.")
    assert "denies fever" in note
    assert "denies cough" not in note
    assert "not been coughing" not in note


def test_a_question_that_nobody_answered_says_nothing() -> None:
    note = written("D: Do you have any chest pain?", "D: Let me see your chart first.")
    assert "chest pain" not in note


def test_a_no_behind_another_statement_of_the_doctor_answers_nothing() -> None:
    note = written("D: Have you had a fever?", "D: There is a lot of flu going around.", "P: No.")
    assert "denies" not in note


def test_no_appetite_is_a_symptom_and_not_a_denial() -> None:
    for note in (written("P: I have no appetite at all."), written("D: Do you have any appetite?", "P: No.")):
        assert "denies" not in note
        assert "appetite" in note


def test_a_condition_stays_with_its_question() -> None:
    note = written("D: If you stay still do you feel better?", "P: Yes.")
    assert "patient feels better" not in note


# Negations, numbers, sides


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("P: I don't have any fever.", "denies fever."),
        ("P: I have not had any chest pain.", "denies chest pain."),
        ("P: The pain never goes away at night.", "the pain never goes away at night."),
        ("P: I can't sleep because of the pain.", "patient cannot sleep because of the pain."),
        ("D: I do not think you have pneumonia.", "doctor does not think the patient has pneumonia."),
        ("D: Your lungs are clear without wheezing or crackles.", "lungs are clear without wheezing or crackles."),
        ("D: I don't hear any crackles or wheezing.", "no crackles or wheezing heard."),
        ("D: You should not take ibuprofen for the headache.", "patient should not take ibuprofen for the headache."),
        ("D: Don't take any ibuprofen for the headache.", "advised not to take any ibuprofen for the headache."),
    ],
)
def test_a_negation_is_kept(line: str, said: str) -> None:
    note = written(line)
    assert note.count(said) == 2


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("P: I take five hundred milligrams of metformin twice a day.", "500 mg"),
        ("D: Your blood pressure is one hundred forty two over eighty eight.", "142/88"),
        ("D: Your temperature is ninety eight point six.", "98.6"),
        ("P: The pain started ten days ago.", "10 days ago"),
        ("P: On a bad day the pain is an eight out of ten.", "8/10"),
        ("D: I will prescribe amoxicillin 500 mg three times a day for seven days.", "500 mg 3 times a day for 7 days"),
        ("P: I had my appendix out in nineteen ninety six, that was an operation.", "1996"),
    ],
)
def test_a_number_is_kept(line: str, number: str) -> None:
    assert written(line).count(number) == 2


@pytest.mark.parametrize(
    ("line", "side"),
    [
        ("P: My left knee hurts when I walk.", "left knee"),
        ("D: I hear some wheezing on the right.", "on the right"),
        ("D: The x-ray shows a fracture of the right wrist.", "right wrist"),
        ("P: It is the left side of my head that hurts, not the right.", "not the right"),
    ],
)
def test_a_side_is_kept(line: str, side: str) -> None:
    assert written(line).count(side) == 2


def test_the_same_finding_on_both_sides_is_no_repetition() -> None:
    note = written("P: My left knee hurts a lot.", "P: My right knee hurts a lot.")
    assert note.count("left knee") == 2
    assert note.count("right knee") == 2


def test_the_answer_to_which_side_is_kept() -> None:
    assert written("D: Which knee is it?", "P: It's my right one.").count("right one") == 2


def test_a_filler_that_carries_meaning_is_not_stripped() -> None:
    note = written("P: No one else at home has a fever or a cough.", "D: The biopsy result was ER positive.")
    assert note.count("no one else at home has a fever") == 2
    assert note.count("er positive") == 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("P: Since then my stomach hurts but I feel okay.", "but they feel okay."),
        ("P: I have had stomach pain ever since then.", "since then."),
        ("P: I still have some pain but not as bad as I used to.", "used to."),
        ("P: Great toe pain keeps me awake.", "great toe pain"),
        ("D: Well controlled diabetes is what I see here, and hypertension.", "well controlled diabetes"),
    ],
)
def test_the_edges_of_a_sentence_keep_their_meaning(line: str, said: str) -> None:
    assert written(line).count(said) == 2


def test_a_denial_is_not_wider_than_the_question() -> None:
    for question in (
        "Have you had a fever recently?",
        "Are you still having a fever?",
        "Do you currently have a fever?",
    ):
        assert "denies fever." not in written(f"D: {question}", "P: No.")
        assert "denies a fever." not in written(f"D: {question}", "P: No.")


def test_a_side_asked_about_is_not_lost_in_the_answer() -> None:
    note = written("D: Right knee pain?", "P: No.")
    assert "denies knee pain" not in note
    assert 'asked "right knee pain": "no".' in note


# Allergies


def test_an_allergy_is_named_and_nothing_denied() -> None:
    for allergies in both("D: Are you allergic to anything?", "P: I am allergic to penicillin.", key="ALLERGIES"):
        assert allergies == ["patient is allergic to penicillin."]


def test_a_named_allergy_after_a_bare_yes_is_kept() -> None:
    for allergies in both("D: Do you have any allergies?", "P: Yes, penicillin.", key="ALLERGIES"):
        assert len(allergies) == 1
        assert "penicillin" in allergies[0]


def test_an_allergy_after_a_no_is_not_lost() -> None:
    for allergies in both("D: Any allergies?", "P: No, just latex.", key="ALLERGIES"):
        assert len(allergies) == 1
        assert "latex" in allergies[0]
        assert "denies" not in allergies[0]


@pytest.mark.parametrize("reply", ["No.", "No, I have no allergies.", "None."])
def test_no_allergies_are_denied(reply: str) -> None:
    for allergies in both("D: Do you have any allergies?", f"P: {reply}", key="ALLERGIES"):
        assert allergies == ["denies allergies."]


def test_allergies_that_nobody_spoke_of_are_left_out() -> None:
    assert both("P: I also feel dizzy.", key="ALLERGIES") == [[], []]


# Who it is about, and who said it


def test_a_disease_of_a_relative_is_not_the_patients() -> None:
    lines = ("D: Does anyone in your family have cancer?", "P: My mother had breast cancer and my father has diabetes.")
    for family in both(*lines, key="FAMILY_HISTORY"):
        assert any("mother had breast cancer" in text and "father has diabetes" in text for text in family)
    assert both(*lines, key="PAST_MEDICAL_HISTORY") == [[], []]
    assert both(*lines, key="ASSESSMENT")[0] == ["doctor thinks this is a migraine."]


def test_no_disease_in_the_family_says_nothing_of_the_patient() -> None:
    for family in both("D: Does anyone in your family have diabetes?", "P: No.", key="FAMILY_HISTORY"):
        assert family == ["denies a family history of diabetes."]


def test_what_a_patient_reports_is_no_examination_finding() -> None:
    lines = ("P: My belly is tender and my ankles are swollen.",)
    assert both(*lines, key="PHYSICAL_EXAM") == [[], []]
    assert "ankles are swollen" in written(*lines)


def test_a_pressure_measured_at_home_by_the_patient_is_no_vital_sign_of_the_visit() -> None:
    assert both("P: My blood pressure at home was one fifty over ninety.", key="VITALS") == [[], []]


def test_what_a_doctor_found_is_not_reported_by_the_patient() -> None:
    for exam in both("D: On exam your abdomen is soft and there is no tenderness.", key="PHYSICAL_EXAM"):
        assert len(exam) == 1
        assert "reports" not in exam[0]
        assert "denies" not in exam[0]


def test_what_a_doctor_explains_is_no_symptom() -> None:
    assert both("D: Pneumonia can cause a fever and a cough.", key="HISTORY_OF_PRESENT_ILLNESS") == both(
        key="HISTORY_OF_PRESENT_ILLNESS"
    )


def test_the_doctors_opinion_is_marked_as_one() -> None:
    for assessment in both("D: I think you have bronchitis.", key="ASSESSMENT"):
        assert "doctor thinks the patient has bronchitis." in assessment


def test_a_diagnosis_that_nobody_named_is_not_written() -> None:
    note = written("P: I have a fever, a cough and chest pain when I breathe.", "D: I will order a chest x-ray.")
    assert "pneumonia" not in note


# What has not happened


@pytest.mark.parametrize(
    "line",
    [
        "D: If you get a fever, come back right away.",
        "D: Come back right away if you get a fever.",
        "D: In case you get a fever, call me.",
    ],
)
def test_a_fever_that_may_come_is_not_reported(line: str) -> None:
    items = visit(line)
    for one in (items, unmarked(items)):
        note = general(one)
        assert not any("fever" in text for text in texts(note, "HISTORY_OF_PRESENT_ILLNESS"))
        assert any("fever" in text for text in (*texts(note, "PLAN"), *texts(note, "APPOINTMENTS")))


def test_a_consequence_keeps_its_condition_across_a_pause() -> None:
    note = written("D: If you get a high fever", "D: go to the hospital right away.")
    assert note.count("if the patient gets a high fever go to the hospital right away") == 2


def test_a_consequence_is_not_cut_off_its_condition() -> None:
    items = visit(
        "D: if those tests come back fine then we will have you swallow a pill camera to look at your stomach"
    )
    plan = texts(general(items), "PLAN")
    assert not any("camera" in text and "tests come back fine" not in text for text in plan)


def test_a_goal_is_no_measurement() -> None:
    for vitals in both("D: I want your blood pressure to stay below 130 over 80.", key="VITALS"):
        assert vitals == []


def test_a_medicine_that_was_stopped_is_not_taken() -> None:
    note = written("P: I stopped taking metformin last year.")
    assert "metformin." not in note.replace("stopped taking metformin last year.", "")
    assert note.count("patient stopped taking metformin last year.") == 2


# Transcripts without roles


def test_without_roles_questions_and_answers_still_agree() -> None:
    items = without_roles(unmarked(visit("D: Do you have any chest pain?", "P: No.", "D: Any fever?", "P: Yes I do.")))
    history = texts(general(items), "HISTORY_OF_PRESENT_ILLNESS")
    assert "Denies chest pain." in history
    assert "Reports fever." in history


def test_without_roles_a_question_and_its_answer_may_share_an_item() -> None:
    items = without_roles(unmarked(visit("D: Do you have any chest pain? No, I don't have any chest pain.")))
    assert "Denies chest pain." in texts(general(items), "HISTORY_OF_PRESENT_ILLNESS")


def test_what_nobody_is_known_to_have_said_is_written_as_it_was_said() -> None:
    items = without_roles(visit("P: She told us about us having pain in our chest."))
    said = [text for text in texts(general(items)) if "our chest" in text]
    assert all('"' in text for text in said)


# Relatives once more


def test_what_a_relative_takes_or_cannot_take_is_not_the_patients() -> None:
    lines = ("P: My wife is allergic to penicillin.", "P: My mother takes insulin.")
    for key in ("ALLERGIES", "CURRENT_MEDICATIONS"):
        assert both(*lines, key=key) == [[], []]
    for family in both(*lines, key="FAMILY_HISTORY"):
        assert family == ["patient's wife is allergic to penicillin.", "patient's mother takes insulin."]


def test_he_and_she_are_the_relative_who_was_just_named() -> None:
    lines = ("P: My father had heart disease.", "P: He had a stroke when he was sixty.")
    assert both(*lines, key="PAST_MEDICAL_HISTORY") == [[], []]
    for family in both(*lines, key="FAMILY_HISTORY"):
        assert family[-1] == "patient's father had a stroke when he was 60."


def test_the_dead_are_not_the_patient() -> None:
    line = "P: had hypertension and died of bowel cancer ten years ago"
    assert both(line, key="PAST_MEDICAL_HISTORY") == [[], []]
    assert all(len(family) == 1 for family in both(line, key="FAMILY_HISTORY"))


def test_a_child_spoken_for_by_a_parent_keeps_its_medicine() -> None:
    for medications in both("P: She takes amoxicillin twice a day.", key="CURRENT_MEDICATIONS"):
        assert len(medications) == 1


def test_a_worry_is_no_disease_of_the_past() -> None:
    for line in ("P: I wonder if I have cancer.", "P: I thought I had diabetes."):
        assert both(line, key="PAST_MEDICAL_HISTORY") == [[], []]


def test_without_roles_a_question_is_not_turned_into_a_statement() -> None:
    items = without_roles(unmarked(visit("P: Do you think I have pneumonia?", "D: Are you sure I need an antibiotic?")))
    assert not any("pneumonia" in text or "antibiotic" in text for text in texts(general(items)))


# Exam talk


def test_a_repeated_measurement_is_no_instruction() -> None:
    items = visit("D: Repeat blood pressure is 130 over 80.")
    assert any("130/80" in text for text in texts(general(items), "VITALS"))
    assert not any("130/80" in text for text in texts(general(items), "PLAN"))


def test_the_rest_of_the_exam_is_no_advice_to_rest() -> None:
    assert "advised to rest of" not in written("D: Rest of the exam is normal and your lungs are clear.")


# What was found by reading notes of real visits


def test_a_side_that_the_patient_puts_right_is_not_noted_wrong() -> None:
    lines = (
        "D: I understand you've come in with some right knee pain.",
        "P: It's not the right knee, it's the left knee.",
    )
    note = written(*lines)
    assert "left knee" in note
    assert "come in with some right knee pain" not in note


def test_a_side_that_nobody_puts_right_stays() -> None:
    lines = ("D: On exam your right knee is swollen and tender.", "P: Yes, the right knee hurts.")
    assert written(*lines).count("right knee is swollen") == 2


def test_speech_that_breaks_off_is_marked() -> None:
    assert "running below …" in written("D: Okay, your blood sugars are running below")
    assert "…" not in written("D: Your blood sugars are running below 130.")


def test_a_question_behind_a_statement_is_no_statement() -> None:
    note = written("D: I'm just going to bend your knee up and down, does that hurt at all?")
    assert "that hurt" not in note


def test_a_doctors_own_thought_is_no_advice() -> None:
    assert "advised to suspect" not in written("D: Suspect she had an anxiety attack related to her job.")


def test_what_takes_a_statement_back_stays_with_it() -> None:
    items = visit(
        "D: Now this appears to be a benign adenoma of the colon, but there's no way to be sure without a biopsy."
    )
    assert any("benign" in text and "no way to be sure" in text for text in texts(general(items)))


def test_an_idiom_is_quoted() -> None:
    assert "wants to say" not in written("P: I want to say the pain started three weeks ago.")


def test_a_subject_that_is_begun_anew_is_quoted() -> None:
    note = written("D: I see you're you've come in with a cough and a fever.")
    assert "the patient is they" not in note


def test_a_no_that_says_more_is_told_behind_what_was_asked() -> None:
    assert "asked whether the patient smokes: no, the patient stopped smoking 10 years ago." in written(
        "D: Do you smoke?", "P: No, I stopped smoking ten years ago."
    )
