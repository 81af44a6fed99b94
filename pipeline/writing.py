"""The note writer that asks a language model: a long talk in portions, each answer read while it is written, and what
breaks off asked for again from there. What it writes is checked by whoever asked (`pipeline.notes.evidence.checking`).
"""

import random
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import anyio
import anyio.to_thread

from pipeline.errors import (
    ModelBrokenAnswer,
    ModelBusy,
    ModelError,
    ModelTimeout,
    ModelTooLong,
    TranscriptTooShort,
    first,
)
from pipeline.notes.asking.answering import Answer, AnsweredSection
from pipeline.notes.asking.merging import Merging
from pipeline.notes.asking.portions import (
    MOST_BACKGROUND,
    bounded,
    fewest_tokens,
    line_tokens,
    longest_line,
    portions,
    tokens,
)
from pipeline.notes.asking.prompt_file import Prompt
from pipeline.notes.asking.prompting import Asked, Line, ask, numbered
from pipeline.notes.note import MODEL, Note, NoteSection, NoteSentence, Style
from pipeline.notes.problems import told_by_problem
from pipeline.notes.proposals import Proposal, System
from pipeline.notes.request import Background, NoteRequest, NoteUpdate
from pipeline.notes.templates import Template
from pipeline.ports import LanguageModel
from pipeline.types import Utterance

SYSTEMS: Final = {system.value: system for system in System}  # of billing codes
MARGIN = 0.05  # share of the context that stays free, because tokens are only estimated
LONGEST_BACKOFF_S = 30.0
LONGEST_DRAFT_S = 60.0  # that a draft may take: soon there is another
CHARACTERS_PER_TOKEN = 16  # of an answer at most, thoughts included
LEAST_CHARACTERS = 200_000  # of an answer that are read in any case


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterOptions:
    """What a note may cost."""

    context_tokens: int = 8_192  # of the model, for question and answer together
    output_tokens: int = 2_048  # of one answer
    budget_tokens: int = 400_000  # of one note, all questions and answers together
    budget_s: float = 180.0  # of one note
    concurrency: int = 4  # requests at the same time, of all notes
    tries: int = 3  # of one request
    codes: bool = False  # whether billing codes are asked for, too
    backoff_s: float = 1.0  # before the second try; twice as long before each further one


class ModelWriter:
    """Implements `NoteWriter` with a language model."""

    name = "model"

    def __init__(
        self,
        model: LanguageModel,
        prompt: Prompt,
        options: WriterOptions,
        *,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`jitter`: from 0 to 1, so that not all who were sent away come back at once."""
        self.generator = f"{MODEL}{model.name}"
        self._model = model
        self._prompt = prompt
        self._options = options
        self._jitter = jitter
        self._slots = anyio.Semaphore(options.concurrency)
        # Who is not pressing takes one of these, too, so that a place is left for who is.
        self._lesser_slots = anyio.Semaphore(max(1, options.concurrency - 1))

    async def write(self, request: NoteRequest, items: Sequence[Utterance]) -> AsyncGenerator[NoteUpdate]:
        """See `NoteWriter`. Raises `ModelError`, `TranscriptTooShort`.

        Of a talk in several portions the last is asked about when the others are answered, because no section is whole
        before: its sections come out as they are written.
        """
        if fewest_tokens(item.text for item in items) > self._options.budget_tokens:
            raise ModelTooLong
        if not _has_words(items, max(1, request.least_words)):
            raise TranscriptTooShort
        budget_s = min(self._options.budget_s, LONGEST_DRAFT_S) if request.draft else self._options.budget_s
        deadline = anyio.current_time() + budget_s
        task = await anyio.to_thread.run_sync(self._task, request, items, deadline)
        *others, last = range(len(task.portions))
        await self._answer_all(task, others)
        async with aclosing(self._answer(task, last)) as steps:
            async for _ in steps:
                for section in task.ready():
                    yield section
        for section in task.ready():
            yield section
        yield task.note(self.generator)

    async def aclose(self) -> None:
        """End connections."""
        await self._model.aclose()

    def _task(self, request: NoteRequest, items: Sequence[Utterance], deadline: float) -> "_Task":
        """What is to be asked. Raises `ModelTooLong` where it does not fit the context or the budget."""
        options = self._options
        known = _with_wishes_for(request.template, request.background)
        request = replace(request, background=bounded(known, int(options.context_tokens * MOST_BACKGROUND)))
        question = ask(
            self._prompt, request, [], sections=request.template.sections, portion=(1, 2), codes=options.codes
        )
        usable = int(options.context_tokens * (1 - MARGIN)) - options.output_tokens
        room = usable - _size(question)
        lines = numbered(items, longest_line(room))
        task = _Task(
            request=request,
            portions=portions(lines, room),
            deadline=deadline,
            tokens_left=options.budget_tokens,
        )
        if len(task.portions) * _size(question) + sum(map(line_tokens, lines)) > options.budget_tokens:
            raise ModelTooLong
        return task

    async def _answer_all(self, task: "_Task", numbers: Sequence[int]) -> None:
        """Have these portions answered, at the same time as far as requests may be."""

        async def answer(number: int) -> None:
            async with aclosing(self._answer(task, number)) as steps:
                async for _ in steps:
                    pass

        try:
            async with anyio.create_task_group() as group:
                for number in numbers:
                    group.start_soon(answer, number)
        except* ModelError as errors:
            failure = first(errors)
        else:
            return
        raise failure

    async def _answer(self, task: "_Task", number: int) -> AsyncGenerator[None]:
        """Have a portion answered; stops whenever a section has come. Raises `ModelError` when it is given up."""
        tries = 0
        while not task.is_answered(number):
            before = task.told(number)
            try:
                async with self._slot(task), aclosing(self._try(task, number)) as sections:
                    async for section in sections:
                        task.add(number, section)
                        yield
            except ModelError as exc:
                tries += 1
                goes_on = exc.retryable or (isinstance(exc, ModelTooLong) and task.told(number) > before)
                if not goes_on or tries >= self._options.tries:
                    raise
                failure = exc
            else:
                return
            await self._wait(task, failure, tries)

    @asynccontextmanager
    async def _slot(self, task: "_Task") -> AsyncGenerator[None]:
        """A place among the requests at the same time. Raises `ModelTimeout` where none is free in time."""
        pressing = task.request.pressing and not task.request.draft
        async with AsyncExitStack() as held:
            with _until(task.deadline):
                for slots in (self._slots,) if pressing else (self._lesser_slots, self._slots):
                    await slots.acquire()
                    held.callback(slots.release)
            yield

    async def _try(self, task: "_Task", number: int) -> AsyncGenerator[AnsweredSection]:
        """One request about the sections of a portion that are missing."""
        asked = task.asked(self._prompt, number, self._options.codes)
        task.spend(_size(asked))
        answer = Answer(max(LEAST_CHARACTERS, CHARACTERS_PER_TOKEN * self._options.output_tokens))
        async with aclosing(self._model.answer(asked, most_tokens=self._options.output_tokens)) as pieces:
            while not answer.finished:
                with _until(task.deadline):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                task.spend(tokens(piece) - tokens(""))
                for section in answer.feed(piece):
                    yield section
        answer.end()
        task.finish(number, answer)

    async def _wait(self, task: "_Task", error: ModelError, tries: int) -> None:
        """Wait before another try. Raises the error where no time is left for one."""
        backoff_s = min(LONGEST_BACKOFF_S, self._options.backoff_s * 2 ** (tries - 1))
        wait_s = backoff_s * (0.5 + self._jitter() / 2)
        if isinstance(error, ModelBusy):
            wait_s = max(wait_s, float(error.retry_after_s))
        if anyio.current_time() + wait_s >= task.deadline:
            raise error
        await anyio.sleep(wait_s)


@dataclass(slots=True, kw_only=True)
class _Task:
    """One note under way."""

    request: NoteRequest
    portions: Sequence[Sequence[Line]]
    deadline: float  # by the event loop's clock
    tokens_left: int
    titles: dict[int, str] = field(default_factory=dict)  # by portion; those that are answered
    proposals: list[Proposal] = field(default_factory=list)
    merging: Merging = field(init=False)

    def __post_init__(self) -> None:
        if not self.portions:
            raise TranscriptTooShort
        self.merging = Merging([section.key for section in self.request.template.sections], len(self.portions))

    def asked(self, prompt: Prompt, number: int, codes: bool) -> Asked:
        """The request for what is missing of a portion."""
        missing = self.merging.missing(number)
        sections = [section for section in self.request.template.sections if section.key in missing]
        portion = (number + 1, len(self.portions))
        return ask(prompt, self.request, self.portions[number], sections=sections, portion=portion, codes=codes)

    def spend(self, count: int) -> None:
        """Raises `ModelTooLong` where the budget is used up."""
        self.tokens_left -= count
        if self.tokens_left < 0:
            raise ModelTooLong

    def add(self, number: int, section: AnsweredSection) -> None:
        """Take a section; numbers of items that are not in its portion name nothing."""
        ids = {line.number: line.item.id for line in self.portions[number]}
        split = self.request.split_by_problem and told_by_problem(section.key, self.request.language)
        sentences = [
            NoteSentence(
                text=one.text,
                items=tuple(ids[cited] for cited in one.numbers if cited in ids),
                problem=one.problem if split else "",
            )
            for one in section.sentences
        ]
        self.merging.add(number, section.key, sentences)

    def finish(self, number: int, answer: Answer) -> None:
        """An answer is whole; codes of other systems than are known are passed over."""
        ids = {line.number: line.item.id for line in self.portions[number]}
        self.titles[number] = answer.title
        self.proposals += [
            Proposal(
                system=SYSTEMS[code.system.upper()],
                code=code.code,
                description=code.description,
                items=tuple(ids[cited] for cited in code.numbers if cited in ids),
            )
            for code in answer.codes
            if code.system.upper() in SYSTEMS and code.code
        ]
        self.merging.finish(number)

    def is_answered(self, number: int) -> bool:
        return number in self.titles or not self.merging.missing(number)

    def told(self, number: int) -> int:
        """How many sections are behind a portion."""
        return -len(self.merging.missing(number))

    def ready(self) -> Iterator[NoteSection]:
        for key, sentences in self.merging.ready():
            yield self._section(key, sentences)

    def note(self, generator: str) -> Note:
        """The whole note. Raises `ModelBrokenAnswer` where nothing was written."""
        request = self.request
        sections = tuple(self._section(key, sentences) for key, sentences in self.merging.sections())
        if not sections:
            raise ModelBrokenAnswer("The language model wrote nothing.")
        title = next((self.titles[number] for number in sorted(self.titles) if self.titles[number]), "")
        return Note(
            template=request.template.name,
            title=title or request.template.in_language(request.template.title, request.language),
            language=request.language,
            sections=sections,
            generator=generator,
            proposals=tuple(self.proposals),
        )

    def _section(self, key: str, sentences: tuple[NoteSentence, ...]) -> NoteSection:
        request = self.request
        section = next(one for one in request.template.sections if one.key == key)
        return NoteSection(
            key=key,
            title=request.template.in_language(section.title, request.language),
            sentences=sentences,
            style=section.style if request.style is Style.AUTO else request.style,
            topics=section.topics,
        )


@contextmanager
def _until(deadline: float) -> Iterator[None]:
    """What takes longer than to a time of the event loop raises `ModelTimeout`."""
    with anyio.CancelScope(deadline=deadline) as scope:
        yield
    if scope.cancelled_caught:
        raise ModelTimeout("The language model did not write the note in time: see note_model.budget_s.")


def _has_words(items: Iterable[Utterance], least: int) -> bool:
    """Whether there are so many words; no more are counted."""
    missing = least
    for item in items:
        missing -= len(item.text.split(maxsplit=missing))
        if missing <= 0:
            return True
    return False


def _with_wishes_for(template: Template, known: Background) -> Background:
    """The background with only the wishes for sections that the template has."""
    keys = {section.key for section in template.sections}
    return replace(known, sections=tuple(wish for wish in known.sections if wish[0] in keys))


def _size(asked: Asked) -> int:
    return sum(tokens(message.text) for message in asked.messages)
