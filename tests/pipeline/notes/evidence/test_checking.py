"""Which sentences of a note may stand, whoever wrote them."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.notes.evidence.checking import LONGEST_ITEM, Checked, Checker, Unsupported
from pipeline.notes.note import NoteSection, NoteSentence, Topic
from pipeline.types import Utterance
from tests.pipeline.notes.talk import general, talk, unmarked, visit, without_roles

VISIT = talk(
    "D: What brings you in today?",
    "P: I have had a sore throat for three days, and I get short of breath on the stairs.",
    "D: Do you have any fever or chills?",
    "P: No.",
    "D: Any pain in your left ear?",
    "P: Yes.",
    "D: Are you allergic to penicillin?",
    "P: No, just to ibuprofen. It gives me hives.",
    "P: My mother had diabetes.",
    "D: Your right ear looks red. If you get a fever, call us.",
    "D: I will prescribe amoxicillin 500 milligrams twice a day for seven days.",
    "D: Do you smoke?",
)


def section(*sentences: NoteSentence, topics: tuple[Topic, ...] = ()) -> NoteSection:
    return NoteSection(key="ANY", title="Any", sentences=sentences, topics=topics)


def sentence(text: str, *items: str) -> NoteSentence:
    return NoteSentence(text=text, items=items)


def faults(text: str, *items: str, language: str = "en-US") -> tuple[str, ...]:
    return Checker(VISIT, language=language).faults(sentence(text, *items))


def checked(one: NoteSentence, unsupported: Unsupported = Unsupported.DROP) -> Checked:
    return Checker(VISIT, unsupported=unsupported).check(section(one))


def checked_in(items: Sequence[Utterance], one: NoteSentence) -> tuple[NoteSentence, ...]:
    left = Checker(items).check(section(one)).section
    return left.sentences if left else ()


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("The patient presents with a sore throat for 3 days.", ["1"]),
        ("Reports dyspnea on the stairs.", ["1"]),  # a clinical word for what was said
        ("Denies fever and chills.", ["2", "3"]),
        ("No fever, chills.", ["2", "3"]),
        ("Reports pain in the left ear.", ["4", "5"]),
        ("The right ear looks red.", ["9"]),
        ("Ibuprofen causes urticaria.", ["7"]),
        ("Mother had diabetes.", ["8"]),
        ("Call if a fever occurs.", ["9"]),
        ("Amoxicillin 500 mg 2 times a day for 7 days.", ["10"]),
        ("Prescribed amoxicillin 500mg twice daily for 7 days.", ["10"]),
    ],
)
def test_what_was_said_stands_in_other_words(text: str, items: list[str]) -> None:
    assert faults(text, *items) == ()


@pytest.mark.parametrize(
    ("text", "items", "fault"),
    [
        ("Reports a sore throat.", [], "uncited"),
        ("Reports a sore throat.", ["99", "the first one"], "uncited"),
        ("Plans a holiday in the mountains with friends.", ["1"], "unsupported"),
        ("Reports a sore throat for 5 days.", ["1"], "number"),
        ("Amoxicillin 7 mg twice a day for 500 days.", ["10"], "number"),
        ("Will prescribe azithromycin 500 mg twice a day for 7 days.", ["10"], "drug"),
        ("Reports pain in the right ear.", ["4", "5"], "side"),
        ("The left ear looks red.", ["9"], "side"),
        ("Reports fever and chills.", ["2", "3"], "polarity"),
        ("Has a fever.", ["2"], "polarity"),  # the reply counts although it is not cited
        ("Denies pain in the left ear.", ["4", "5"], "polarity"),
        ("Denies a sore throat.", ["1"], "polarity"),
        ("Smokes.", ["11"], "polarity"),  # nobody answered
        ("Sore throat for 3 days, consistent with tonsillitis.", ["1"], "term"),
        ("Sore throat for 3 days due to pneumonia.", ["1"], "term"),
        ("Has a fever.", ["9"], "condition"),
        ("Has diabetes.", ["8"], "person"),
    ],
)
def test_what_was_not_said_does_not_stand(text: str, items: list[str], fault: str) -> None:
    assert faults(text, *items)[:1] == (fault,)


def test_a_sentence_that_fails_is_dropped_and_counted() -> None:
    left = Checker(VISIT).check(section(sentence("Sore throat.", "1"), sentence("Sore throat for 9 days.", "1")))
    assert left.section is not None
    assert [one.text for one in left.section.sentences] == ["Sore throat."]
    assert dict(left.dropped) == {"number": 1}
    assert not left.flagged


def test_a_section_of_which_nothing_is_left_is_gone() -> None:
    assert checked(sentence("Sore throat for 9 days.", "1")).section is None


def test_a_sentence_that_fails_is_shown_with_its_faults_where_that_is_set() -> None:
    left = checked(sentence("Sore throat for 9 days.", "1"), Unsupported.FLAG)
    assert left.section is not None
    assert left.section.sentences[0].faults == ("number",)
    assert dict(left.flagged) == {"number": 1}
    assert not left.dropped


def test_items_that_do_not_exist_are_removed() -> None:
    left = checked(sentence("Sore throat for 3 days.", "1", "77", "1"))
    assert left.section is not None
    assert left.section.sentences[0].items == ("1",)


def test_of_more_than_four_items_those_stay_that_hold_the_words() -> None:
    left = checked(sentence("Sore throat for 3 days.", "0", "1", "2", "8", "9", "10"))
    assert left.section is not None
    assert left.section.sentences[0].items == ("1",)


def test_a_citation_that_is_off_by_a_little_is_put_right() -> None:
    left = checked(sentence("Reports pain in the left ear.", "6"))
    assert left.section is not None
    assert left.section.sentences[0].items == ("4", "5")


def test_a_citation_that_is_far_off_is_not_put_right() -> None:
    assert faults("Reports a sore throat and trouble on the stairs.", "11") != ()


def test_the_reply_that_makes_a_question_a_statement_is_cited_with_it() -> None:
    left = checked(sentence("Denies fever and chills.", "2"))
    assert left.section is not None
    assert left.section.sentences[0].items == ("2", "3")


def test_a_quotation_stands_as_it_was_said_and_only_so() -> None:
    assert faults('Asked about smoking: "do you smoke".', "11") == ()
    assert faults('Asked "are you allergic to penicillin": "no, just to ibuprofen".', "6", "7") == ()
    assert faults('Asked "any fever or chills": "yes".', "2", "3")[:1] == ("polarity",)


def test_what_a_quotation_is_about_stands_outside_of_it() -> None:
    assert faults('Fever or chills: "no"; allergic to penicillin: "no, just to ibuprofen".', "2", "3", "6", "7") == ()
    assert faults('Fever and chills. Ear: "yes".', "2", "3", "4", "5")[:1] == ("polarity",)


def test_a_denial_cannot_be_quoted_away() -> None:
    assert faults('The patient has "fever or chills".', "2", "3")[:1] == ("polarity",)


def test_who_is_meant_need_not_be_said_in_a_section_on_the_family() -> None:
    family = section(sentence("Diabetes.", "8"), topics=(Topic.FAMILY,))
    assert Checker(VISIT).check(family).section is not None


@pytest.mark.parametrize(
    ("reply", "stands"), [("No.", False), ("Yes.", True), ("Not at all.", False), ("Sometimes at night.", True)]
)
def test_what_was_asked_is_reported_only_where_the_reply_allows_it(reply: str, stands: bool) -> None:
    items = talk("D: Do you have chest pain?", f"P: {reply}")
    for same in (items, unmarked(items), without_roles(items)):
        assert (Checker(same).faults(sentence("Reports chest pain.", "0", "1")) == ()) is stands


def test_a_no_to_a_row_of_questions_denies_them_all() -> None:
    checker = Checker(talk("D: Any fever?", "D: Any cough?", "P: No."))
    assert checker.faults(sentence("Denies fever and cough.", "0", "1", "2")) == ()
    assert checker.faults(sentence("Reports fever.", "0"))[:1] == ("polarity",)


def test_no_that_begins_a_reply_does_not_deny_what_follows() -> None:
    checker = Checker(talk("D: Are you well?", "P: No, I have a cough."))
    assert checker.faults(sentence("Reports a cough.", "1")) == ()
    assert checker.faults(sentence("Denies a cough.", "1"))[:1] == ("polarity",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("No edema in the lower extremities.", "D: The lower extremities look good, I see no edema."),
        ("Denies pain when walking.", "P: I like walking and I have no pain."),
        ("Uses the inhaler when it is hot.", "P: When it is hot I use the inhaler. I don't use it when it is cool."),
        ("He is walking without problems.", "P: I am walking around without a problem."),
        ("Discussed the diagnosis of gout.", "D: The diagnosis is gout, as we discussed."),
        ("Continue losartan 50 mg daily.", "D: Call us if you gain weight, and continue the losartan 50 mg daily."),
        ("Takes ibuprofen, but not tylenol.", "P: I take ibuprofen. I don't take Tylenol."),
        ("If not better, see us in a week.", "D: If not better, see us in a week."),
        ("The doctor does not think it is pneumonia.", "D: I don't think it's pneumonia."),
        ("No fever, the patient has a cough.", "P: No fever, I have a cough."),
        ("Sleep: no problems.", "P: I sleep well, no problems."),
    ],
)
def test_a_denial_denies_only_what_it_names(text: str, said: str) -> None:
    assert Checker(talk(said)).faults(sentence(text, "0")) == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Denies fever, chills and cough.", "P: I have no fever and no chills, but I have a cough."),
        ("Reports fever and cough.", "P: I have a cough but no fever."),
        ("Takes ibuprofen and Tylenol.", "P: I take ibuprofen. I don't take Tylenol."),
        ("Smokes a pack a day.", "P: I quit smoking a pack a day."),
        ("Take the ibuprofen.", "D: Don't take the ibuprofen."),
        ("Has no allergies.", "P: I have allergies."),
        ("Has chest pain at night.", "P: I don't have chest pain. I cough at night."),
        ("Denies chest pain at night.", "P: I have chest pain. I don't cough at night."),
        ("The patient has pneumonia.", "D: I don't think you have pneumonia."),
        ("The bone is going to break.", "D: You are not going to break the bone."),
        ("The breasts are fine, and things have changed.", "D: The breasts are fine, and things haven't changed."),
        ("Allergic to penicillin.", "P: I have no allergies to penicillin."),
    ],
)
def test_one_thing_turned_around_among_others_is_found(text: str, said: str) -> None:
    assert Checker(talk(said)).faults(sentence(text, "0"))[:1] == ("polarity",)


def test_what_speaks_against_a_sentence_is_not_got_rid_of_by_citing_something_else() -> None:
    checker = Checker(talk("D: Do you have any medical problems?", "P: No, I don't have problems and I take no pills."))
    for cited in (("0",), ("1",), ("0", "1")):
        assert checker.faults(sentence("Has medical problems.", *cited))[:1] == ("polarity",)


def test_a_no_that_says_more_leaves_it_open() -> None:
    checker = Checker(talk("D: Any vomiting?", "P: No, just a little on Monday."))
    assert checker.faults(sentence("Vomiting a little on Monday.", "0", "1")) == ()
    assert checker.faults(sentence("No vomiting, just a little on Monday.", "0", "1")) == ()


GERMAN = talk(
    "P: Ich habe seit drei Tagen starke Kopfschmerzen und nehme Ibuprofen 400 Milligramm.",
    "D: Haben Sie Fieber?",
    "P: Nein.",
    "P: Das linke Knie tut mir auch weh.",
)
FRENCH = talk(
    "P: J'ai mal à la tête depuis trois jours et je prends du paracétamol.",
    "D: Avez-vous de la fièvre ?",
    "P: Non.",
    "P: J'ai une douleur au genou gauche.",
)


@pytest.mark.parametrize(
    ("text", "items", "found"),
    [
        ("Der Patient berichtet über starke Kopfschmerzen seit 3 Tagen.", ["0"], ()),
        ("Starke Kopfschmerzen seit fünf Tagen.", ["0"], ("number",)),
        ("Nimmt Metformin 400 mg.", ["0"], ("drug",)),
        ("Verneint Fieber.", ["1", "2"], ()),
        ("Der Patient hat Fieber.", ["1", "2"], ("polarity",)),
        ("Schmerzen im rechten Knie.", ["3"], ("side",)),
    ],
)
def test_german_is_checked_as_english_is(text: str, items: list[str], found: tuple[str, ...]) -> None:
    assert Checker(GERMAN, language="de-DE").faults(sentence(text, *items))[:1] == found


@pytest.mark.parametrize(
    ("text", "items", "found"),
    [
        ("Le patient a mal à la tête depuis 3 jours.", ["0"], ()),
        ("Mal à la tête depuis 8 jours.", ["0"], ("number",)),
        ("Prend de l'ibuprofène pour la tête depuis 3 jours.", ["0"], ("drug",)),
        ("Nie la fièvre.", ["1", "2"], ()),
        ("Le patient a de la fièvre.", ["1", "2"], ("polarity",)),
        ("Douleur au genou droit.", ["3"], ("side",)),
    ],
)
def test_french_is_checked_as_english_is(text: str, items: list[str], found: tuple[str, ...]) -> None:
    assert Checker(FRENCH, language="fr").faults(sentence(text, *items))[:1] == found


def test_in_a_language_without_lists_words_numbers_and_medicines_are_compared() -> None:
    checker = Checker(talk("P: Bolí mě hlava už 3 dny a beru ibuprofen."), language="cs-CZ")
    assert checker.faults(sentence("Bolest hlavy trvá 3 dny, bere ibuprofen.", "0")) == ()
    assert checker.faults(sentence("Bolest hlavy trvá 9 dny.", "0"))[:1] == ("number",)
    assert checker.faults(sentence("Bolí hlava 3 dny, bere metformin.", "0"))[:1] == ("drug",)


def test_a_title_says_only_what_the_note_says() -> None:
    checker = Checker(VISIT)
    told = [section(sentence("Reports a sore throat for 3 days.", "1"), sentence("Denies fever.", "2", "3"))]
    assert checker.title("Sore throat", told, "SOAP note") == "Sore throat"
    assert checker.title("Sore throat and fever", told, "SOAP note") == "SOAP note"
    assert checker.title("Acute tonsillitis", told, "SOAP note") == "SOAP note"
    assert checker.title("Sore throat " * 1_000, told, "SOAP note") == "SOAP note"
    assert checker.title(" \n", told, "SOAP note") == "SOAP note"


def test_a_heading_names_only_what_was_said_below_it() -> None:
    told = [
        NoteSentence(text="Reports a sore throat for 3 days.", items=("1",), problem="Sore throat"),
        NoteSentence(text="Reports dyspnea on the stairs.", items=("1",), problem="Heart failure"),
        NoteSentence(text="Denies fever.", items=("2", "3"), problem="\n"),
    ]
    left = Checker(VISIT).check(section(*told)).section
    assert left is not None
    assert [one.problem for one in left.sentences] == ["Sore throat", "", ""]


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_of_an_item_only_as_much_is_looked_at_as_anybody_says(language: str) -> None:
    (item,) = talk(f"P: Ibuprofen. {'m' * LONGEST_ITEM}. Paracetamol.")
    checker = Checker([item], language=language)
    assert checker.faults(sentence("Ibuprofen.", item.id)) == ()
    assert checker.faults(sentence("Paracetamol.", item.id)) != ()


def test_of_a_sentence_that_cites_everything_the_fewest_items_are_kept() -> None:
    items = talk("P: I have a cough.", "P: And a fever.", *(f"P: Word{n}." for n in range(1_000)))
    cited = [item.id for item in items]
    (kept,) = checked_in(items, sentence("Reports a cough and a fever.", *cited))
    assert kept.items == (items[0].id, items[1].id)
    unsound = sentence(" ".join(f"Word{n}" for n in range(900, 960)), *cited)
    assert checked_in(items, unsound) == ()


def test_a_question_that_is_asked_again_is_read_with_the_reply_that_it_then_has() -> None:
    (item,) = talk("P: Any cough? No. Any fever? Yes. Any cough? No. Any pain? Yes.")
    checker = Checker([item])
    assert checker.faults(sentence("Denies cough.", item.id)) == ()
    assert checker.faults(sentence("Reports a fever.", item.id)) == ()
    assert checker.faults(sentence("Reports a cough.", item.id))[:1] == ("polarity",)


def test_a_condition_that_breaks_off_supposes_nothing() -> None:
    (item,) = talk("P: I take aspirin two times. I have a cough if")
    checker = Checker([item])
    assert checker.faults(sentence("Reports a cough.", item.id)) == ()
    assert checker.faults(sentence("Takes aspirin twice.", item.id)) == ()


def test_control_characters_and_line_breaks_leave_a_sentence() -> None:
    left = checked(sentence("Sore\nthroat\x00 for \u202e3 days.", "1"))
    assert left.section is not None
    assert left.section.sentences[0].text == "Sore throat for 3 days."


def test_what_the_embedded_writer_extracts_stands() -> None:
    items = visit(
        "D: Do you have any fever or chills?",
        "P: No.",
        "P: I take five hundred milligrams of metformin twice a day.",
        "P: I am allergic to penicillin, it gives me a rash.",
        "D: Your blood pressure is one hundred forty two over eighty eight.",
        "P: My mother had breast cancer.",
        "D: If it does not get better in a week, come back.",
    )
    checker = Checker(items)
    for note_section in general(items).sections:
        assert checker.check(note_section).section == note_section


@given(st.lists(st.tuples(st.text(max_size=80), st.lists(st.text(max_size=3), max_size=6)), max_size=6))
def test_no_sentence_breaks_the_check_and_all_are_accounted_for(written: list[tuple[str, list[str]]]) -> None:
    sentences = [NoteSentence(text=text, items=tuple(items)) for text, items in written]
    left = Checker(VISIT).check(section(*sentences))
    kept = left.section.sentences if left.section else ()
    assert len(kept) + left.dropped.total() == len(sentences)
    known = {item.id for item in VISIT}
    for one in kept:
        assert 1 <= len(one.items) <= 4
        assert known.issuperset(one.items)


WORDS = st.lists(
    st.sampled_from(
        [
            "no",
            "not",
            "yes",
            "if",
            "i",
            "you",
            "mother",
            "left",
            "right",
            "5",
            "twice",
            ",",
            ".",
            "?",
            ":",
            "and",
            "or",
            "but",
            "fever",
            "cough",
            "nein",
            "pas",
            "l'os",
        ]
    ),
    max_size=12,
)


@given(
    st.lists(st.one_of(st.text(max_size=60), WORDS.map(" ".join)), min_size=1, max_size=6),
    st.one_of(st.text(max_size=60), WORDS.map(" ".join)),
    st.sampled_from(["en-GB", "de", "fr-CA", "cs", ""]),
)
def test_nothing_that_is_said_breaks_the_check(spoken: list[str], written: str, language: str) -> None:
    items = talk(*(f"{who}: {text}" for who, text in zip("DPDPDU", spoken, strict=False)))
    found = Checker(items, language=language).faults(sentence(written, *(item.id for item in items)))
    assert len(found) == len(set(found))


def test_the_order_of_the_items_does_not_matter() -> None:
    backwards = Checker(list(reversed(VISIT)))
    assert backwards.faults(sentence("Denies fever and chills.", "3", "2")) == ()
    assert backwards.faults(sentence("Reports fever.", "3", "2")) == ("polarity",)
