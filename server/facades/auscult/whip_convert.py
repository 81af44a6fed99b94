"""WHIP's query, headers and errors ⇄ domain values (RFC 9725). Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pipeline.types import Role
from server.domain import EncounterOptions, StreamSpec
from server.errors import BadRequest
from server.facades.auscult import convert
from server.ingest.sdp import IceServer

API = "whip"
SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
# The name that RFC 9725 §4.9 gives to this kind of link, in its example; no extension of WHIP registered one.
EVENTS_RELATION = "urn:ietf:params:whip:ext:example:server-sent-events"
ENCOUNTER_HEADER = "Auscult-Encounter"
WARNING_HEADER = "Auscult-Warning"  # what was asked for and is not so

TEXTS = ("language", "template", "style", "role", "roles", "speaker_hints", "encounter_id")
NUMBERS = ("expected_speakers", "max_gap_ms")
SWITCHES = ("note", "drafts", "split_by_sentence", "split_by_problem")
PARAMETERS = (*TEXTS, *NUMBERS, "glossary", *SWITCHES)
DIGITS = 6  # more of them are as large as can be meant
ENCOUNTER = re.compile(r"[0-9a-f]{24}")
TWO_TRACKS = (Role.DOCTOR, Role.PATIENT)


class UnsupportedMediaType(BadRequest):
    """The body has another Content-Type than this method takes."""

    code = "unsupported_media_type"


class PreconditionRequired(BadRequest):
    """If-Match is missing: send the ETag that the session was answered with (RFC 9725 §4.3.1)."""

    code = "precondition_required"


class PreconditionFailed(BadRequest):
    """If-Match names another ICE session than the one there is: make a new WHIP session with encounter_id."""

    code = "precondition_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """The streams that a peer's tracks become, in order."""

    streams: tuple[StreamSpec, ...]
    split: bool  # one stereo track, a stream from each channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the query asks for."""

    options: EncounterOptions  # its streams come with the tracks
    role: Role | None
    roles: tuple[Role, ...]  # none, or two different ones
    encounter: str  # take part in this one; empty: a new one
    drafts: bool = False  # whether the data channel tells drafts of the note, too
    max_gap_ms: int | None = None  # a longer gap ends the session, for its client to go on with what was lost

    def feed(self, tracks: int) -> Feed:
        """What the offered audio tracks become. Raises `BadRequest`."""
        split = tracks == 1 and len(self.roles) == 2
        if split:
            return Feed(streams=_streams(self.roles), split=True)
        if tracks == 1:
            return Feed(streams=_streams((self.role or Role.UNSPECIFIED,)), split=False)
        if self.role is not None:
            raise BadRequest("role is for one track: name the two tracks with roles=doctor,patient.")
        return Feed(streams=_streams(self.roles or TWO_TRACKS), split=False)

    def opening(self, feed: Feed) -> EncounterOptions:
        """The options of a new session with this audio."""
        return msgspec.structs.replace(self.options, streams=feed.streams)


def _streams(roles: Sequence[Role]) -> tuple[StreamSpec, ...]:
    return tuple(
        StreamSpec(name=f"stream{ordinal}", role=role, encoding="pcm_s16le") for ordinal, role in enumerate(roles)
    )


def wanted(query: Sequence[tuple[str, str]]) -> Wanted:
    """Read the query. Raises `BadRequest`: what is not understood is refused, because the audio would be lost on it."""
    texts: dict[str, str] = {}
    glossary: list[str] = []
    for name, value in query:
        if name == "glossary":
            glossary += [part for part in map(str.strip, value.split(",")) if part]
        elif name not in PARAMETERS:
            raise BadRequest(f"The query has an unknown parameter. Known ones: {', '.join(PARAMETERS)}.")
        elif texts.setdefault(name, value) != value:
            raise BadRequest(f"{name} is given twice, with different values.")
    switches = {name: convert.switch(name, texts[name]) for name in SWITCHES if name in texts}
    language, encounter = texts.get("language", "en"), texts.get("encounter_id", "")
    convert.check_language(language)
    if encounter and not ENCOUNTER.fullmatch(encounter):
        raise BadRequest(f"encounter_id is none: send what the header {ENCOUNTER_HEADER} said.")
    hints = tuple(part.strip() for part in texts.get("speaker_hints", "").split(",") if part.strip())
    if len(hints) == 2 and texts.setdefault("roles", ",".join(hints)) != ",".join(hints):
        raise BadRequest("roles and speaker_hints name different ones: send one of them.")
    numbers = {name: _number(name, texts[name]) for name in NUMBERS if name in texts}
    if "role" in texts and "roles" in texts:
        raise BadRequest("role is for one person, roles for two: send one of them.")
    options = convert.options(
        API,
        (),
        language=language,
        template=texts.get("template", ""),
        glossary=glossary,
        style=texts.get("style", ""),
        note=switches.get("note", True),
        split_by_sentence=switches.get("split_by_sentence", False),
        split_by_problem=switches.get("split_by_problem", False),
        expected_speakers=numbers.get("expected_speakers", 0),
        speaker_hints=hints,
    )
    return Wanted(
        options=options,
        role=convert.role(texts["role"]) if "role" in texts else None,
        roles=_roles(texts["roles"]) if "roles" in texts else (),
        encounter=encounter,
        drafts=switches.get("drafts", False),
        max_gap_ms=numbers.get("max_gap_ms"),
    )


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise BadRequest(f"{name} must be a whole number.")
    return int(value[:DIGITS])


def _roles(value: str) -> tuple[Role, ...]:
    roles = tuple(convert.role(name.strip()) for name in value.split(","))
    if len(roles) != 2 or roles[0] is roles[1]:
        raise BadRequest("roles must name two different ones, in the order of the tracks: roles=doctor,patient.")
    return roles


def require_type(headers: Mapping[str, str], expected: str) -> None:
    """Raises `UnsupportedMediaType`."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != expected:
        raise UnsupportedMediaType(f"Send the body with Content-Type: {expected}.")


def etag(ice_session: str) -> str:
    """The entity-tag of an ICE session (RFC 9725 §4.3.1): a strong one."""
    return f'"{ice_session}"'


def require_match(headers: Mapping[str, str], ice_session: str) -> None:
    """RFC 9110 §13.1.1. Raises `PreconditionRequired`, `PreconditionFailed`.

    `*` matches: clients send it for an ICE restart (also in quotes, as the RFC's example does), which is seen by what
    the fragment says.
    """
    sent = headers.get("if-match", "").strip()
    if not sent:
        raise PreconditionRequired
    tags = {tag.strip() for tag in sent.split(",")}
    if not tags & {"*", '"*"', etag(ice_session)}:
        raise PreconditionFailed


def events_link(session: str, token: str) -> str:
    """RFC 8288: where the transcript is told."""
    return f'</whip/{session}/events?token={token}>; rel="{EVENTS_RELATION}"'


def ice_server_link(server: IceServer) -> str:
    """RFC 9725 §4.6: a server that the client may use to be reachable."""
    link = f'<{server.url}>; rel="ice-server"'
    if server.user is None or server.password is None:
        return link
    credentials = f'username="{_quoted(server.user)}"; credential="{_quoted(server.password)}"'
    return f'{link}; {credentials}; credential-type="password"'


def _quoted(text: str) -> str:
    """RFC 9110 §5.6.4."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
