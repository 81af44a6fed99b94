"""Which words are medical."""

from bench.notes_vocabulary import medical, named_medicines, stems


def test_words_that_say_nothing_are_left_out_and_endings_go() -> None:
    assert stems("The patient was coughing and had 2 swollen knees, 120/80.") == [
        "cough",
        "2",
        "swollen",
        "knee",
        "120/80",
    ]


def test_diseases_findings_and_medicines_are_medical_and_everyday_words_are_not() -> None:
    assert medical("Hypertension, a cough, and his new kitchen") == {"hypertension", "cough"}
    assert "other" not in medical("other patient with history")


def test_medicines_are_known_by_generic_and_brand_names() -> None:
    assert named_medicines("Takes Lisinopril, Brilinta and augmentin with water.") == {
        "lisinopril",
        "brilinta",
        "augmentin",
    }
