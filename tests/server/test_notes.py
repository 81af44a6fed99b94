"""Who writes a note, and what becomes of it when a writer cannot."""

from collections import Counter
from collections.abc import AsyncGenerator, Sequence

import pytest

from pipeline.errors import NoteError, TranscriptTooShort
from pipeline.notes.evidence.checking import Unsupported
from pipeline.notes.note import Note, NoteSection, NoteSentence, Style
from pipeline.notes.request import NoteRequest, NoteUpdate
from pipeline.notes.templates import read_templates
from pipeline.types import Role, Utterance
from server.domain import EncounterOptions, StoredNote
from server.errors import BadRequest
from server.intake import ChatMessage, Consent, Intake, Patient, background
from server.notes import Draft, Notes
from server.settings import config_directory

TEMPLATES = read_templates(config_directory() / "templates")
OPTIONS = EncounterOptions(api="test", streams=(), language="en-US", template="SOAP")


def spoken(*texts: str) -> list[Utterance]:
    return [
        Utterance(id=f"i{at}", stream="s", role=Role.PATIENT, start=at, end=at + 1, text=text)
        for at, text in enumerate(texts)
    ]


SAID = spoken(
    "I have had a bad cough for three days, and it keeps me awake.",
    "I take lisinopril 10 mg every morning for my blood pressure.",
    "I am allergic to penicillin, it gives me a rash.",
)


class Unreachable(NoteError):
    """The model cannot be reached."""

    code = "model_unreachable"


class Model:
    """Writes one section, then goes on, or breaks."""

    name = "model"
    generator = "model:small"

    def __init__(self, breaks: Exception | None = None, *invented: str) -> None:
        self._breaks = breaks
        self._texts = ("Reports a bad cough for 3 days.", *invented)
        self.asked: list[NoteRequest] = []

    async def write(self, request: NoteRequest, items: Sequence[Utterance]) -> AsyncGenerator[NoteUpdate]:
        self.asked.append(request)
        section = NoteSection(
            key="SOAP_SUBJECTIVE",
            title="Subjective",
            sentences=tuple(NoteSentence(text=text, items=(items[0].id,)) for text in self._texts),
        )
        yield section
        if self._breaks is not None:
            raise self._breaks
        yield Note(
            template=request.template.name, title="Cough", language="en-US", sections=(section,), generator="model:m"
        )


class Observed:
    def __init__(self) -> None:
        self.outcomes = Counter[tuple[str, str]]()
        self.sentences = Counter[tuple[str, str]]()

    def written(self, writer: str, outcome: str) -> None:
        self.outcomes[writer, outcome] += 1

    def checked(self, writer: str, outcome: str, sentences: int) -> None:
        self.sentences[writer, outcome] += sentences


async def test_the_model_writes_where_there_is_one_and_is_told_what_is_known() -> None:
    model, observed = Model(), Observed()
    notes = Notes(TEMPLATES, model=model, observer=observed)
    intake = Intake(
        patient=Patient(name="Ann Other", age=54, allergies=("latex", "nuts")),
        history="Asthma.",
        instructions="Be brief.",
        chat=(ChatMessage(text="Hello.", sender="nurse"),),
        consent=Consent(given_by="Ann Other", at="2026-01-01", method="spoken"),
        sections={"SOAP_PLAN": "As a list."},
    )
    updates = [update async for update in notes.writing(OPTIONS, SAID, intake)]
    assert isinstance(updates[0], Draft)
    assert [section.key for section in updates[0].sections] == ["SOAP_SUBJECTIVE"]
    assert isinstance(updates[-1], StoredNote)
    assert updates[-1].note is not None
    assert (updates[-1].note.generator, updates[-1].note.fallback) == ("model:m", "")
    (request,) = model.asked
    assert request.template.name == "SOAP"
    assert request.style is Style.AUTO
    assert request.background.patient == (("age in years", "54"), ("allergies", "latex, nuts"))
    assert request.background.chat == (("nurse", "Hello."),)
    assert request.background.sections == (("SOAP_PLAN", "As a list."),)
    assert "Ann" not in repr(request.background)  # a model elsewhere needs no name
    assert observed.outcomes == {("model", "written"): 1}
    assert observed.sentences == {("model", "kept"): 1}


@pytest.mark.parametrize("breaks", [Unreachable("It is away."), RuntimeError("a bug")])
async def test_the_embedded_writer_steps_in_and_says_so(breaks: Exception) -> None:
    observed = Observed()
    notes = Notes(TEMPLATES, model=Model(breaks), observer=observed)
    stored = await notes.write(OPTIONS, SAID)
    code = breaks.code if isinstance(breaks, NoteError) else "note_failed"
    assert stored.note is not None
    assert (stored.note.generator, stored.note.fallback) == ("embedded-extractive", code)
    assert observed.outcomes == {("model", code): 1, ("embedded", "written"): 1}


async def test_what_only_the_model_could_have_written_is_missing_for_the_models_own_reason() -> None:
    notes = Notes(TEMPLATES, model=Model(Unreachable("It is away.")))
    french = EncounterOptions(api="test", streams=(), language="fr", template="SOAP")
    notes.check_language(french)
    stored = await notes.write(french, SAID)
    assert stored.note is None
    assert stored.absence is not None
    assert (stored.absence.code, stored.absence.message) == ("model_unreachable", "It is away.")


async def test_too_little_talk_is_too_little_for_any_writer() -> None:
    observed = Observed()
    stored = await Notes(TEMPLATES, model=Model(TranscriptTooShort()), observer=observed).write(OPTIONS, SAID)
    assert stored.absence is not None
    assert stored.absence.code == "transcript_too_short"
    assert observed.outcomes == {("model", "transcript_too_short"): 1}


async def test_a_writer_can_be_asked_for_by_name() -> None:
    model = Model()
    notes = Notes(TEMPLATES, model=model)
    stored = await notes.write(OPTIONS, SAID, writer="embedded")
    assert stored.note is not None
    assert stored.note.generator == "embedded-extractive"
    assert not model.asked
    assert notes.drafter == "embedded"
    assert Notes(TEMPLATES, model=model, model_drafts=True).drafter == "model"
    with pytest.raises(BadRequest):
        Notes(TEMPLATES).check_writer("model")


async def test_without_a_fallback_a_model_that_cannot_leaves_no_note() -> None:
    notes = Notes(TEMPLATES, model=Model(Unreachable("It is away.")), fallback=False)
    stored = await notes.write(OPTIONS, SAID)
    assert stored.note is None
    assert stored.absence is not None
    assert stored.absence.code == Unreachable.code


INVENTED = ("Denies cough.", "Takes warfarin 5 mg.")


async def test_what_was_not_said_is_left_out_and_counted() -> None:
    observed = Observed()
    stored = await Notes(TEMPLATES, model=Model(None, *INVENTED), observer=observed).write(OPTIONS, SAID)
    assert stored.note is not None
    (section,) = stored.note.sections
    assert [sentence.text for sentence in section.sentences] == ["Reports a bad cough for 3 days."]
    assert stored.note.left_out == 2
    assert observed.sentences["model", "kept"] == 1
    assert sum(count for (_, outcome), count in observed.sentences.items() if outcome.startswith("dropped:")) == 2


async def test_what_was_not_said_is_shown_with_its_faults_where_that_is_set() -> None:
    notes = Notes(TEMPLATES, model=Model(None, *INVENTED), unsupported=Unsupported.FLAG)
    stored = await notes.write(OPTIONS, SAID)
    assert stored.note is not None
    (section,) = stored.note.sections
    assert [bool(sentence.faults) for sentence in section.sentences] == [False, True, True]
    assert stored.note.left_out == 0


async def test_a_model_that_only_invents_leaves_the_note_to_the_embedded_writer() -> None:
    class Inventor(Model):
        def __init__(self) -> None:
            super().__init__(None)
            self._texts = INVENTED

    stored = await Notes(TEMPLATES, model=Inventor()).write(OPTIONS, SAID)
    assert stored.note is not None
    assert (stored.note.generator, stored.note.fallback) == ("embedded-extractive", "model_unsupported")


def test_what_is_unknown_of_a_patient_is_not_told() -> None:
    assert background(Intake()).patient == ()
