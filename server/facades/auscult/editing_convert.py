"""What can be edited: our own bytes ⇄ domain values. Pure."""

from collections.abc import Mapping, Sequence

from pipeline.notes.note import NoteSection, NoteSentence, Style
from pipeline.speakers import Speaker
from pipeline.types import Role, Utterance
from server.domain import NoteVersion, Review, StoredNote
from server.editing import ANY, Corrections, Expected, NoteEdit, NoteWishes, swapped
from server.errors import BadRequest, NotFound
from server.facades.auscult import convert, schema
from server.facades.auscult.convert import note_style, timestamp

WRITERS = ("", "embedded", "model")
MAX_SPEAKERS = 100
MAX_SECTIONS = 100
MAX_SENTENCES = 1_000  # of a section
MAX_TITLE = 1_000  # characters of a title
MAX_TEXT = 100_000  # characters of a section, or a sentence
MAX_ITEMS = 100  # that a sentence names
MAX_NOTE_SENTENCES = 5_000  # of all sections
MAX_NOTE_BYTES = 500_000  # of text, likewise


def etag(tag: str) -> str:
    """A strong entity-tag (RFC 9110 §8.8.3)."""
    return f'"{tag}"'


def expected(header: str | None) -> Expected:
    """The tags of If-Match (RFC 9110 §13.1.1); weak ones never match."""
    if header is None or not header.strip():
        return None
    tags = [tag.strip() for tag in header.split(",")]
    return frozenset(ANY if tag == ANY else tag[1:-1] for tag in tags if tag == ANY or tag[:1] == tag[-1:] == '"')


def corrections(wanted: schema.SpeakerCorrections) -> Corrections:
    """Raises `BadRequest`."""
    if wanted.swap == bool(wanted.speakers):
        raise BadRequest("Send either speakers, or swap as true.")
    if wanted.swap:
        return swapped
    if len(wanted.speakers) > MAX_SPEAKERS:
        raise BadRequest(f"speakers names more than {MAX_SPEAKERS}.")
    roles = {each.speaker_id: convert.role(each.speaker) for each in wanted.speakers}
    if len(roles) < len(wanted.speakers):
        raise BadRequest("speakers names one of them twice.")

    def corrected(_: Sequence[Utterance]) -> Mapping[str, Role]:
        return roles

    return corrected


def speakers(summary: Sequence[Speaker]) -> schema.SpeakerSummary:
    """Who spoke how much."""
    return schema.SpeakerSummary(speakers=convert.speakers(summary))


def version_number(text: str) -> int:
    """The version of a note that an address names. Raises `NotFound`."""
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise NotFound("There is no such version of the note.")
    return int(text)


def note_wishes(wanted: schema.NoteRequest) -> NoteWishes:
    """Raises `BadRequest`."""
    if len(wanted.instructions) > MAX_TEXT:
        raise BadRequest(f"instructions are longer than {MAX_TEXT} characters.")
    return NoteWishes(
        template=wanted.template,
        style=note_style(wanted.style),
        split_by_problem=wanted.split_by_problem,
        instructions=wanted.instructions,
        writer=writer(wanted.writer),
    )


def draft_wishes(query: Mapping[str, str]) -> NoteWishes:
    """Of a draft. Raises `BadRequest`."""
    return NoteWishes(template=query.get("template", ""), style=note_style(query.get("style", "")), writer="embedded")


def writer(name: str) -> str:
    """Raises `BadRequest`."""
    if name not in WRITERS:
        raise BadRequest(f"writer must be one of {', '.join(WRITERS[1:])}.")
    return name


def note_edit(wanted: schema.EditedNote | schema.NotePatch) -> NoteEdit:
    """Raises `BadRequest`."""
    if wanted.title is None and wanted.sections is None and wanted.review_status is None:
        raise BadRequest("Send what is to be changed: title, sections or review_status.")
    if wanted.title is not None and len(wanted.title) > MAX_TITLE:
        raise BadRequest(f"title is longer than {MAX_TITLE} characters.")
    if wanted.review_status not in (None, *Review):
        raise BadRequest(f"review_status must be one of {', '.join(Review)}.")
    return NoteEdit(
        title=wanted.title,
        sections=None if wanted.sections is None else _sections(wanted.sections),
        review=None if wanted.review_status is None else Review(wanted.review_status),
    )


def note_version(found: NoteVersion) -> schema.NoteVersion:
    """A version, whole."""
    stored, note = found.stored, found.stored.note
    told = schema.NoteVersion(
        version=found.version,
        created_at=timestamp(found.created_at),
        review_status=stored.review,
        template="" if note is None else note.template,
        style=stored.style,
        edited_at=None if stored.edited_at is None else timestamp(stored.edited_at),
        edited_from=stored.edited_from,
        note_absence=convert.stored_error(stored.absence),
    )
    if note is not None:
        told.language, told.generator, told.title = note.language, note.generator, note.title
        told.fallback, told.left_out = note.fallback, note.left_out
        told.sections = convert.note(note).sections
    return told


def note_versions(found: Sequence[NoteVersion]) -> schema.NoteVersions:
    """All versions, whole."""
    return schema.NoteVersions(versions=[note_version(each) for each in found])


def drafted(stored: StoredNote) -> schema.DraftedNote:
    """A draft, whole."""
    assert stored.note is not None
    note = convert.note(stored.note)
    return schema.DraftedNote(
        template=stored.note.template,
        style=stored.style,
        language=stored.note.language,
        generator=note.generator,
        title=note.title,
        sections=note.sections,
    )


def _sections(wanted: Sequence[schema.EditedSection]) -> tuple[NoteSection, ...]:
    if len(wanted) > MAX_SECTIONS:
        raise BadRequest(f"There are more than {MAX_SECTIONS} sections.")
    if len({section.key for section in wanted}) < len(wanted):
        raise BadRequest("Two sections have the same key.")
    sections = tuple(_section(section) for section in wanted)
    texts = [sentence.text for section in sections for sentence in section.sentences]
    if len(texts) > MAX_NOTE_SENTENCES or sum(len(text.encode()) for text in texts) > MAX_NOTE_BYTES:
        raise BadRequest(f"A note has at most {MAX_NOTE_SENTENCES} sentences, of {MAX_NOTE_BYTES} bytes together.")
    return sections


def _section(wanted: schema.EditedSection) -> NoteSection:
    if not 0 < len(wanted.key) <= MAX_TITLE or len(wanted.title) > MAX_TITLE:
        raise BadRequest(f"key and title of a section have at most {MAX_TITLE} characters, a key at least one.")
    if bool(wanted.text) == bool(wanted.sentences):
        raise BadRequest("A section has either a text or sentences.")
    sentences = wanted.sentences or [schema.EditedSentence(text=wanted.text)]
    if len(sentences) > MAX_SENTENCES or any(not 0 < len(each.text) <= MAX_TEXT for each in sentences):
        raise BadRequest(f"A section has at most {MAX_SENTENCES} sentences of 1 to {MAX_TEXT} characters.")
    if any(len(each.items) > MAX_ITEMS for each in sentences):
        raise BadRequest(f"A sentence names at most {MAX_ITEMS} items.")
    return NoteSection(
        key=wanted.key,
        title=wanted.title,
        sentences=tuple(NoteSentence(text=each.text, items=tuple(each.items)) for each in sentences),
        style=Style.PARAGRAPHS,  # whose text of one piece is that piece
    )
