"""A model's answer, while it is written."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ModelBrokenAnswer
from pipeline.notes.asking.answering import Answer, AnsweredCode, AnsweredSection, AnsweredSentence

WHOLE = json.dumps(
    {
        "sections": [
            {"key": "A", "sentences": [{"text": 'Says "ouch" {twice}.', "items": [1, 2]}]},
            {"key": "B", "sentences": [{"text": "Back\\slash ]}.", "items": [3], "problem": "Cough"}]},
        ],
        "title": "Cough",
    }
)
SECTIONS = [
    AnsweredSection(key="A", sentences=(AnsweredSentence(text='Says "ouch" {twice}.', numbers=(1, 2)),)),
    AnsweredSection(key="B", sentences=(AnsweredSentence(text="Back\\slash ]}.", numbers=(3,), problem="Cough"),)),
]


def read(*pieces: str, longest: int = 100_000) -> tuple[list[AnsweredSection], Answer]:
    answer = Answer(longest)
    found = [section for piece in pieces for section in answer.feed(piece)]
    return found, answer


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_however_it_is_cut_the_answer_is_the_same(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(WHOLE)]
    found, answer = read(*(WHOLE[begin:end] for begin, end in pairwise(places)))
    assert found == SECTIONS
    assert answer.finished
    assert answer.title == "Cough"
    answer.end()


def test_a_section_comes_with_its_last_bracket() -> None:
    begin = WHOLE.index(', {"key": "B"')
    found, answer = read(WHOLE[: begin - 1])
    assert found == []
    assert list(answer.feed(WHOLE[begin - 1 : begin])) == SECTIONS[:1]
    assert not answer.finished


@pytest.mark.parametrize(
    "before",
    [
        "```json\n",
        "Here is the note:\n\n",
        '<think>The patient {says} "sections": 1. Let me write {"sections": []}.</think>\n\n',
        "<thinking>hm</thinking><think>again { </think>```",
        "I reason { without a tag } about it. </think>",
        "\ufeff \n",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_what_stands_around_the_answer_does_not_matter(before: str, size: int) -> None:
    text = f"{before}{WHOLE}\n```\nI hope this helps {{}}"
    found, answer = read(*(text[at : at + size] for at in range(0, len(text), size)))
    assert found == SECTIONS
    assert answer.finished


def test_spaces_anywhere_do_not_matter() -> None:
    found, _ = read(*json.dumps(json.loads(WHOLE), indent=4).replace('"sections": [', '"sections"  :\n  ['))
    assert found == SECTIONS


def test_the_title_may_come_first() -> None:
    turned = {"title": "Cough", "sections": json.loads(WHOLE)["sections"]}
    found, answer = read(json.dumps(turned))
    assert found == SECTIONS
    assert answer.title == "Cough"


@pytest.mark.parametrize(
    ("items", "numbers"),
    [(["3", "#4", "n: 5"], (3, 4, 5)), ([2.0, 2], (2,)), (["none", -1], (1,)), ([99999999999], (999999,)), ([], ())],
)
def test_numbers_may_be_written_in_any_way(items: list[object], numbers: tuple[int, ...]) -> None:
    found, _ = read(json.dumps({"sections": [{"key": "A", "sentences": [{"text": "x", "items": items}]}]}))
    assert found[0].sentences[0].numbers == numbers


def test_a_sentence_without_items_is_read_and_names_none() -> None:
    found, _ = read('{"sections": [{"key": "A", "sentences": ["Only text.", {"text": "x", "problem": null}]}]}')
    assert [(one.text, one.numbers) for one in found[0].sentences] == [("Only text.", ()), ("x", ())]


def test_what_is_too_long_for_a_note_is_cut() -> None:
    sentence = {"text": "word " * 1_000, "items": list(range(1, 100)), "problem": "cough " * 100}
    found, answer = read(json.dumps({"sections": [{"key": "A", "sentences": [sentence]}], "title": "title " * 100}))
    (one,) = found[0].sentences
    assert len(one.text) <= 1_000
    assert one.numbers == tuple(range(1, 17))
    assert len(one.problem) <= 200
    assert len(answer.title) <= 200


def test_codes_are_read_with_the_title() -> None:
    code = {"system": " CPT", "code": "99213 ", "description": "Office\nvisit", "items": ["2"]}
    _, answer = read(json.dumps({"sections": [], "codes": [code], "title": "Cough"}))
    assert answer.codes == (AnsweredCode(system="CPT", code="99213", description="Office visit", numbers=(2,)),)


@pytest.mark.parametrize("codes", ["null", '"J20.9"', '[{"system": "CPT"}]', "{}"])
def test_codes_that_cannot_be_read_cost_no_note(codes: str) -> None:
    _, answer = read(f'{{"sections": [], "codes": {codes}, "title": "Cough"}}')
    answer.end()
    assert answer.codes == ()


def test_an_empty_note_is_an_answer() -> None:
    found, answer = read('{"sections": [], "title": ""}')
    assert found == []
    answer.end()


@pytest.mark.parametrize(
    "text",
    [
        '{"sections": [{"key": "A", "sentences": [{"text": "x", "items": [1]]}]}',
        '{"sections": [{"key": "A"}, {"sentences": []}]}',
        '{"sections": [{"key": "A", "sentences": [{"text": 5}]}]}',
        '{"sections": [{"key": "A" "sentences": []}]}',
        '{"sections": [[[[[[[[[[[[',
        '{"sections": [{"key": "A", "sentences": [{"text": "\\ud800", "items": [1]}]}], "title": [}',
        '{"title": "\\x", "sections": []}',
    ],
)
def test_what_is_no_such_json_is_a_broken_answer(text: str) -> None:
    with pytest.raises(ModelBrokenAnswer):
        read(text)


@pytest.mark.parametrize("text", ["", "I cannot do that.", WHOLE[:-1], '{"note": "x"}', "<think>on and on", "{" * 50])
def test_an_answer_that_is_not_whole_is_broken(text: str) -> None:
    _, answer = read(text)
    with pytest.raises(ModelBrokenAnswer):
        answer.end()


def test_an_answer_that_does_not_end_is_cut_off() -> None:
    pieces = ["<think>" + "x" * 500] * 100
    with pytest.raises(ModelBrokenAnswer, match="too long"):
        read(*pieces, longest=10_000)


@given(st.text(alphabet='{}[]",:\\ sectionskytlxm1<>/h', max_size=200))
def test_nothing_that_is_written_breaks_the_reader(text: str) -> None:
    try:
        _, answer = read('{"sections": [', text)
        answer.end()
    except ModelBrokenAnswer:
        pass
