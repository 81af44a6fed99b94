"""Which session, and which of its streams, a socket of `/api/live` is for: a new one, one it joins, one it resumes."""

from dataclasses import dataclass

from pipeline.types import SAMPLE_RATE, to_samples
from server.connections import Connections
from server.domain import Caller, StreamSpec
from server.encounters import Encounters
from server.errors import AlreadyFinal, BadRequest
from server.facades.auscult import convert, schema
from server.live import LiveEncounter

API = "live"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A socket's session and stream."""

    encounter: str
    live: LiveEncounter | None  # None: it takes no audio any more, and is only told
    stream: int = 0
    resume_token: str = ""  # empty: it joins again by encounter id and role
    resumes: bool = False  # the token is the next of a session that goes on: it counts from its first use on
    returns: bool = False  # the stream had been fed before

    @property
    def spec(self) -> StreamSpec:
        assert self.live is not None
        return self.live.row.options.streams[self.stream]

    @property
    def chunks(self) -> int:
        """The number of the next chunk that is wanted. A stream that took the place of a failed one counts on."""
        if self.live is None:
            return 0
        streams = self.live.row.options.streams
        same = (number for number, spec in enumerate(streams) if spec.role is streams[self.stream].role)
        return max(self.live.next_number(number) for number in same)

    @property
    def heard_ms(self) -> float:
        """Where the audio of that chunk begins. Exact for raw audio, also between milliseconds: a sample is 1/16 ms.

        Of a container it is what was decoded so far, which may be behind the chunks that were taken.
        """
        return 0.0 if self.live is None else self.live.reached_by(self.stream) * 1000 / SAMPLE_RATE


class Seating:
    """See the module."""

    def __init__(self, encounters: Encounters, connections: Connections) -> None:
        self._encounters = encounters
        self._connections = connections

    async def take(self, caller: Caller, hello: schema.Hello) -> Seat:
        """Raises what `Encounters.open`, `Connections.join` and `Connections.resume` raise, and `BadRequest`."""
        if hello.after < 0:
            raise BadRequest("after must be the number of finals that you have.")
        if hello.resume_token is not None:
            return await self._resume(caller, hello.resume_token)
        if hello.encounter_id is not None:
            return await self._join(caller, hello.encounter_id, convert.stream(hello))
        return await self._open(caller, hello)

    async def _open(self, caller: Caller, hello: schema.Hello) -> Seat:
        options = convert.options(
            API,
            (convert.stream(hello),),
            language=hello.language,
            template=hello.template,
            glossary=hello.glossary,
            note=hello.note,
            split_by_sentence=hello.split_by_sentence,
            style=hello.style,
            split_by_problem=hello.split_by_problem,
            expected_speakers=hello.expected_speakers,
            speaker_hints=hello.speaker_hints,
        )
        self._encounters.check_language(options)
        if options.note and options.template:
            self._encounters.notes.require(options.template)
        encounter = await self._encounters.open(caller, options, intake=convert.intake(hello))
        token = await self._connections.resume_token(caller, encounter)
        return Seat(encounter=encounter, live=self._encounters.live(encounter), resume_token=token)

    async def _join(self, caller: Caller, encounter: str, spec: StreamSpec) -> Seat:
        live = await self._connections.reach(caller, encounter)
        if not (live.row.options.attended and live.row.options.resumable):
            raise BadRequest("This session gets its audio in another way: it can be followed, not joined.")
        known = len(live.row.options.streams)
        begins = to_samples(live.elapsed_s() * 1000)  # so that what is said at the same time has the same times
        stream = await self._connections.join(caller, encounter, spec, position=begins)
        return Seat(encounter=encounter, live=live, stream=stream, returns=stream < known)

    async def _resume(self, caller: Caller, token: str) -> Seat:
        encounter, following = await self._connections.resume(caller, token)
        try:
            live = await self._connections.reach(caller, encounter)
        except AlreadyFinal:
            return Seat(encounter=encounter, live=None, resume_token=following)
        streams = live.row.options.streams  # the opener's is the first, or the one that took its place
        stream = max(number for number, spec in enumerate(streams) if spec.role is streams[0].role)
        if live.stream_ended(stream):
            return Seat(encounter=encounter, live=None, resume_token=following)
        return Seat(encounter=encounter, live=live, stream=stream, resume_token=following, resumes=True, returns=True)
