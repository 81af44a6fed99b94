"""What the demonstration prints."""

from io import StringIO

from rich.console import Console
from rich.live import Live

from bench.clients import Received
from bench.demo import Display, clock
from bench.wires import ErrorMessage, Message, Note, Section, Sentence, TranscriptItem
from pipeline.types import Role


def printed(*messages: Message, terminal: bool = False) -> str:
    out = StringIO()
    console = Console(file=out, width=60, force_terminal=terminal, highlight=False)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        display = Display(console=console, live=live)
        for message in messages:
            display.show(Received(at=0.0, message=message))
    return out.getvalue()


def item(text: str, *, start_ms: int = 12_480, role: Role = Role.DOCTOR, final: bool = True, id: str = "1") -> Message:
    return TranscriptItem(
        id=id, text=text, speaker=role, start_offset_ms=start_ms, end_offset_ms=start_ms + 900, is_final=final
    )


def test_an_item_is_one_line_with_clock_role_and_text() -> None:
    words = "good morning " * 8
    assert printed(item(words.strip())) == f"00:12.480 doctor  {words.strip()}\n"
    assert printed(item("hello", role=Role.PATIENT, start_ms=61_007)) == "01:01.007 patient hello\n"


def test_partials_are_not_lines_of_their_own() -> None:
    assert printed(item("good", final=False), item("good morning", final=False), item("good morning")) == (
        "00:12.480 doctor  good morning\n"
    )
    shown = printed(item("good [red]", final=False), item("good morning"), terminal=True)
    assert "good [red]" in shown
    assert shown.index("\n") > shown.index("good morning")


def test_a_sentence_of_the_note_names_the_times_it_rests_on() -> None:
    sentence = Sentence(text="Cough for two weeks.", transcript_item_ids=("2", "1", "gone"))
    note = Note(title="SOAP note", sections=(Section(key="S", title="Subjective", text="", sentences=(sentence,)),))
    lines = printed(item("b", id="2", start_ms=31_000), item("a", id="1"), note).splitlines()
    assert lines[2:] == ["", "SOAP note", "", "Subjective", "  Cough for two weeks.  [00:12.480, 00:31.000]"]


def test_a_note_without_sentences_is_shown_all_the_same() -> None:
    note = Note(title="N", sections=(Section(key="S", title="Plan", text="Rest.\nFluids."),))
    assert printed(note).splitlines() == ["", "N", "", "Plan", "  Rest.", "  Fluids."]


def test_an_error_of_the_server_is_shown() -> None:
    assert printed(ErrorMessage(message="too [short]")) == "The server says: too [short]\n"


def test_the_clock_counts_minutes() -> None:
    assert clock(0) == "00:00.000"
    assert clock(3_599_999) == "59:59.999"
