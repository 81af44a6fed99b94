"""The audio of one socket of `/api/live` on its way in: chunks counted, heard once, acknowledged when they are safe."""

from contextlib import ExitStack

import anyio

from pipeline.containers import begins_file
from server.attendance import Attendance
from server.connections import Connections
from server.domain import Caller
from server.errors import BadRequest, TooLarge
from server.facades.auscult import convert, schema
from server.facades.auscult.seating import Seat
from server.ingest.acknowledging import Acknowledgements
from server.ingest.websocket import Displaced, Silence, Socket
from server.live import LiveEncounter
from server.metrics import Metrics


class Feeding:
    """One socket feeds one stream; when that fails, a recorder that was started again feeds another in its place."""

    def __init__(
        self,
        socket: Socket[schema.ClientMessage],
        caller: Caller,
        seat: Seat,
        connections: Connections,
        metrics: Metrics,
        *,
        numbered: bool,
        silence_timeout_s: float,
    ) -> None:
        assert seat.live is not None
        self.ended = False  # no more audio is taken
        self.silent = False  # because none came for too long
        self.silence = Silence([""], silence_timeout_s)
        self.acknowledgements = Acknowledgements(self._reached, self._commit, self._acknowledge)
        self._socket = socket
        self._caller = caller
        self._seat = seat
        self._live: LiveEncounter = seat.live
        self._connections = connections
        self._metrics = metrics
        self._numbered = numbered
        self._stream = seat.stream
        self._next = seat.chunks
        self._unspent = seat.resume_token if seat.resumes else ""
        self._attending = ExitStack()
        self._displaced = anyio.Event()

    def attend(self) -> ExitStack:
        """Feed the stream while the block lasts, in the place of whoever fed it before; see `until_displaced`."""
        self._attend()
        if self._seat.returns:
            self._live.transcript.resume(self._seat.spec.name)
        if self._next:
            self.acknowledgements.arrived()
        self._attending.callback(self._leave_seat)
        return self._attending

    async def until_displaced(self) -> None:
        """Raises `Displaced`."""
        attendance = self._attendance
        while not attendance.displaced.is_set():
            await attendance.displaced.wait()
            attendance = self._attendance
        raise Displaced

    async def hear(self) -> None:
        """Take audio until `end`. A frame that cannot be used is answered and dropped; the session goes on."""
        while not self.ended:
            try:
                frame = await self._socket.receive_any()
                self._check_place()
                if isinstance(frame, bytes):
                    await self._take(frame)
                elif isinstance(frame, schema.End):
                    self.ended = True
                else:
                    raise BadRequest("hello comes once, as the first message: this one was dropped.")
            except TooLarge:
                raise  # without it the recording would have a hole; the client may go on in smaller chunks
            except BadRequest as exc:
                await self._socket.send(convert.problem(exc))
        await self._spend()

    async def finish(self) -> None:
        """No more audio: what was heard is acknowledged and finished."""
        self.ended = True
        await self.acknowledgements.settle()
        await self.leave()

    async def leave(self) -> None:
        """The end was said, if it was: also of a client that was gone before it could be told so."""
        if self.ended:
            with anyio.CancelScope(shield=True):
                await self._connections.leave(self._caller, self._live.id, self._stream)

    async def _take(self, frame: bytes) -> None:
        body, number = convert.chunk(frame, numbered=self._numbered)
        number = self._next if number is None else number
        self.silence.heard("")
        self._metrics.audio_bytes.inc(len(body))
        await self._spend()
        self._check_place()
        if self._live.stream_failed(self._stream) and begins_file(body):
            await self._replace()
        missing = number - self._next

        def taken() -> None:
            self._next = max(self._next, number + 1)
            self.acknowledgements.arrived()

        with self.silence.paused():
            await self._live.hear(self._stream, body, number, taken=taken)
        if missing > 0:
            raise BadRequest(f"{missing} chunks before number {number} never came: what they held is missing.")

    def _check_place(self) -> None:
        """Whoever has taken our place was told what was heard: nothing may come behind. Raises `Displaced`."""
        if self._attendance.displaced.is_set():
            raise Displaced

    async def _replace(self) -> None:
        """A stream whose decoder gave up cannot go on: another one takes its place, with the next file."""
        behind = self._live.duration(self._stream)
        await self._live.end_stream(self._stream)
        self._stream = await self._connections.join(self._caller, self._live.id, self._seat.spec, position=behind)
        self._attend()

    async def _spend(self) -> None:
        """The client shows by its first use of the session that it has the newest token: older ones are spent."""
        if self._unspent:
            token, self._unspent = self._unspent, ""
            await self._connections.resumed(self._caller, token)

    def _attend(self) -> None:
        self._attendance: Attendance = self._attending.enter_context(self._live.attend(self._stream))

    def _leave_seat(self) -> None:
        if not (self.ended or self._live.ended or self._attendance.displaced.is_set()):
            self._live.transcript.interrupt(self._live.row.options.streams[self._stream].name)

    def _reached(self) -> int:
        return self._next

    async def _commit(self) -> None:
        with self._metrics.append_seconds.time():
            await self._live.log_heard()

    async def _acknowledge(self, chunks: int) -> None:
        await self._socket.send(schema.Ack(chunks=chunks))
