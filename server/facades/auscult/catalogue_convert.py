"""Lists of encounters, and transcripts as files: our own bytes ⇄ domain values. Pure."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence

import msgspec

from pipeline.transcript import chronological
from pipeline.types import Role
from server import captions
from server.captions import Cue
from server.catalogue import MAX_PAGE, Page
from server.domain import EncounterRow, EncounterView, Filter, Place, State
from server.errors import BadRequest
from server.facades.auscult import convert, schema
from server.facades.auscult.convert import timestamp

PAGE = 50  # encounters, where the client does not say
API = re.compile(r"[a-z0-9_-]{1,40}")
ENCOUNTER = re.compile(r"[0-9a-f]{1,32}")
MAX_CURSOR = 200  # characters

FORMATS: Mapping[str, tuple[str, Callable[[Sequence[Cue]], str]]] = {
    "text": ("text/plain; charset=utf-8", captions.plain),
    "srt": ("application/x-subrip; charset=utf-8", captions.srt),
    "vtt": ("text/vtt; charset=utf-8", captions.vtt),
}
"""Besides "json": media type, and how it is written."""
TIMED = ("srt", "vtt")


def wanted(pairs: Sequence[tuple[str, str]]) -> Filter:
    """The filter of a query string. Raises `BadRequest`."""
    texts = dict(pairs)
    states = [name for key, value in pairs if key == "status" for name in value.split(",") if name]
    if unknown := set(states) - set(State):
        raise BadRequest(f"status must be of: {', '.join(State)}; {len(unknown)} of those sent is not.")
    api, language = texts.get("api", ""), texts.get("language", "")
    if api and not API.fullmatch(api):
        raise BadRequest("api must be the name of an API, such as auscult or haidy.")
    if language:
        convert.check_language(language)
    return Filter(
        states=tuple(State(name) for name in dict.fromkeys(states)),
        api=api,
        language=language,
        created_from=_time("created_from", texts),
        created_before=_time("created_before", texts),
    )


def limit(text: str | None) -> int:
    """How many a page may hold. Raises `BadRequest`."""
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_PAGE):
        raise BadRequest(f"limit must be between 1 and {MAX_PAGE}.")
    return int(text)


def cursor(place: Place | None) -> str | None:
    """A place, as clients keep it."""
    return None if place is None else urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()


def place(text: str | None) -> Place | None:
    """The place that a cursor stands for. Raises `BadRequest`."""
    if text is None:
        return None
    try:
        if len(text) > MAX_CURSOR:
            raise ValueError
        found = msgspec.json.decode(urlsafe_b64decode(text.encode() + b"=="), type=Place)
        if not ENCOUNTER.fullmatch(found.encounter):
            raise ValueError
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise BadRequest("cursor must be the next_cursor of an earlier answer.") from None
    return found


def listing(page: Page) -> schema.EncounterList:
    """A page."""
    return schema.EncounterList(encounters=[summary(row) for row in page.rows], next_cursor=cursor(page.next))


def summary(row: EncounterRow) -> schema.EncounterSummary:
    """What can be told of an encounter without opening anything that is sealed."""
    return schema.EncounterSummary(
        encounter_id=row.id,
        api=row.options.api,
        source=row.options.source,
        status=row.state,
        percentage=row.percentage,
        stage=row.stage,
        created_at=timestamp(row.created_at),
        completed_at=None if row.completed_at is None else timestamp(row.completed_at),
        language=row.options.language,
        template=row.options.template,
        audio_ms=row.audio_ms,
        error=convert.stored_error(row.failure) if row.state is State.FAILED else None,
    )


def transcript(view: EncounterView) -> schema.Transcript:
    """What was said, in the order in which it was spoken."""
    return schema.Transcript(
        encounter_id=view.row.id,
        status=view.row.state,
        language=view.row.options.language,
        items=[convert.final(item) for item in chronological(view.items)],
    )


def transcript_format(name: str | None) -> str:
    """Raises `BadRequest`."""
    if name not in (None, "json", *FORMATS):
        raise BadRequest(f"format must be one of json, {', '.join(FORMATS)}.")
    return name or "json"


def untimed(view: EncounterView) -> bool:
    """Whether it came as text in which nothing had a time."""
    return not view.row.options.streams and all(item.end == item.start for item in view.items)


def cues(view: EncounterView) -> list[Cue]:
    """A cue for each item, with who spoke where that is known."""
    return [
        Cue(
            start_ms=item.start_ms,
            end_ms=max(item.end_ms, item.start_ms + 1),  # WebVTT §4.1; and players show no others
            text=item.text,
            speaker="" if item.role is Role.UNSPECIFIED else item.role.capitalize(),
        )
        for item in chronological(view.items)
    ]


def _time(name: str, texts: Mapping[str, str]) -> float | None:
    return convert.time_of(name, texts[name]) if texts.get(name) else None
