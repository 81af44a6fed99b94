"""The only constructor: settings → engines, store, jobs, use-cases, routes. Nothing is made at import."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version

import anyio
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from pipeline.errors import AuscultError
from pipeline.glossary import read_glossaries
from pipeline.notes.evidence.checking import Unsupported
from pipeline.voicing import Voicing
from server import ops
from server.admission import Limits
from server.apis import Apis
from server.auth import Authenticator
from server.capabilities import Capabilities, Ceilings
from server.catalogue import Catalogue
from server.closing import Closing
from server.computing import Computing
from server.connections import Connections
from server.cors import Pages
from server.deliveries.sending import Deliveries
from server.dialects import dialects
from server.dispatching import Dispatcher
from server.editing import Editing
from server.encounters import Encounters
from server.engines import (
    OpusWriter,
    duration,
    file_options,
    live_options,
    make_batcher,
    make_embedder,
    make_note_model,
    make_recogniser,
    make_reviewer,
    make_voice_activity,
    open_decoder,
)
from server.errors import MethodNotAllowed, NotFound, ServerError, Unexpected
from server.executors import DELIVER, QUEUED, Alone, Company
from server.facades.auscult.answers import problem
from server.facades.auscult.telling import Telling
from server.facades.auscult.whip_sessions import WhipSessions
from server.forwarding import Forwarding
from server.glossaries import Glossaries
from server.internal.remote import RemoteRecogniser
from server.jobs import open_jobs
from server.live import Studio
from server.memory import give_back
from server.metrics import Metrics
from server.notes import Notes
from server.outgoing import Outgoing
from server.patients import Patients
from server.playback import Playback
from server.procedures import load_procedures
from server.quotas import Quotas
from server.recordings import RecordingLimits, Recordings
from server.replays import Replays
from server.retention import Retention, Sweeper, keeps_files
from server.segments import Segments
from server.settings import Settings, config_directory
from server.store.database import Reader, database_url, migrate, open_engine
from server.store.retention import forget_pages
from server.store.secrets import read_or_make
from server.store.tenants import settings_of
from server.store.writer import Writer
from server.storing import open_blobs, open_keyring
from server.templates import note_templates
from server.tenants import Tenants
from server.tokens import Lifetimes, Signing, Tokens, token_secret
from server.tracing import TracedRecognition, TracedRequests, open_tracer
from server.transcripts import Transcripts
from server.upkeep import upkeep

log = structlog.get_logger()

EXECUTOR = "embedded"  # the one process of a data directory: its unfinished jobs are its own after a restart


class Server:
    """A server's parts, wired. `lifespan` brings them to life; `app` answers requests."""

    def __init__(self, settings: Settings, *, address: str, fatal: Callable[[AuscultError], None]) -> None:
        """`address`: base URL at which other processes reach this one."""
        self._settings = settings
        self._fatal = fatal  # called when the recogniser cannot be loaded: the process should end
        self._waiting_for: str | None = "the recogniser"
        self.metrics = Metrics()
        self.stopping = anyio.Event()  # no more requests are taken: answers without an end end
        settings.data_path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._engine = open_engine(database_url(settings.store.url, settings.data_path))
        self._signing = Signing(b"", time.time)  # its secret lies in the database
        self._engines = [self._engine]  # all that are open, so that what was erased is forgotten in each
        self._writer = Writer(self._engine)
        self._reader = Reader(self._engine)
        self._executors = self._make_executors(address)
        self._tracer = open_tracer(settings.tracing.endpoint, version("auscult"))
        observer = TracedRecognition(self.metrics.recognition, self._tracer)
        self._batcher = make_batcher(settings, make_recogniser(settings), observer)
        self._voicing = Voicing(make_embedder(settings), self._batcher.voiced)
        self._studio = self._make_studio()
        self._keyring = open_keyring(settings)
        self._blobs = open_blobs(settings)
        self._procedures = load_procedures(settings.notes.cpt_file)
        self._computing = Computing()
        self._tenants = Tenants(self._reader, time.monotonic)
        self._patients = Patients(self._reader, self._writer, self._keyring, time.time)
        self._quotas = Quotas(self._tenants, settings.quotas, self.metrics, now=time.time, steady=time.monotonic)
        self._note_model = make_note_model(settings)
        self._encounters = self._make_encounters()
        outgoing = settings.outgoing
        self._outgoing = Outgoing(
            outgoing.allow_hosts,
            connect_timeout_s=outgoing.connect_timeout_s,
            stall_timeout_s=outgoing.stall_timeout_s,
            fetch_timeout_s=outgoing.fetch_timeout_s,
        )
        self._deliveries = Deliveries(
            {dialect.name: dialect for dialect in dialects(self._procedures)},
            self._outgoing,
            self._keyring,
            self._reader,
            self._writer,
            self._executors,
            self.metrics,
            time.time,
            self._computing,
            self._tracer,
        )
        self._closing = Closing(self._encounters, self._studio, self._blobs, self._deliveries, self._executors)
        self._recordings = Recordings(
            self._encounters,
            self._studio,
            self._blobs,
            self._outgoing,
            self._closing,
            self._executors,
            RecordingLimits(
                max_bytes=settings.limits.max_recording_bytes, max_files=settings.limits.max_recording_files
            ),
            self._keeps_files,
        )
        self._segments = Segments(self._encounters, self._studio, self._executors, self._recordings.limits)
        self._dispatcher: Dispatcher | None = None
        if settings.server.role != "web":
            jobs = settings.jobs
            self._dispatcher = Dispatcher(
                self._reader,
                self._writer,
                self._executors,
                workers=jobs.workers,
                most_per_tenant=min(jobs.workers, jobs.workers_per_tenant),
            )
        self._connections = Connections(
            self._encounters, self._writer, max_streams_per_session=settings.limits.max_streams_per_session
        )
        self._telling = Telling(self._encounters)
        self._whip_sessions = WhipSessions(
            self._encounters,
            self._connections,
            self._telling,
            self.metrics,
            settings.webrtc,
            send_timeout_s=settings.limits.send_timeout_s,
        )
        self._watch()
        self.app = self._make_app()

    def _make_executors(self, address: str) -> Alone | Company:
        role = self._settings.server.role
        if self._engine.dialect.name == "sqlite":
            if role != "all":
                raise ServerError(
                    f"The role {role} shares a database with other processes: name a PostgreSQL one with store.url."
                )
            return Alone(EXECUTOR, self._hear)
        return Company(
            self._engine,
            self._reader,
            self._writer,
            self.metrics,
            role=role,
            address=address,
            heard=self._hear,
            now=time.time,
        )

    def _hear(self, topic: str, about: str) -> None:
        """What this process or another one tells."""
        self._encounters.hear(topic, about)
        if topic == QUEUED and self._dispatcher is not None:
            self._dispatcher.wake()
        if topic == DELIVER:
            self._deliveries.wake()

    def _make_studio(self) -> Studio:
        settings = self._settings
        return Studio(
            batcher=self._batcher,
            voicing=self._voicing,
            voice_activity=make_voice_activity(settings),
            open_decoder=open_decoder,
            probe=duration,
            live_options=partial(live_options, settings, self._batcher.recogniser),
            file_options=partial(file_options, settings, self._batcher.recogniser),
            writer=self._writer,
            reader=self._reader,
            metrics=self.metrics,
            now=time.time,
            steady=time.monotonic,
            gather_ms=settings.live.gather_ms,
            max_session_ms=settings.limits.max_session_minutes * 60_000,
            max_recording_ms=settings.limits.max_recording_minutes * 60_000,
            expected_speakers=settings.speakers.expected,
            reviewer=make_reviewer(settings),
        )

    def _make_encounters(self) -> Encounters:
        settings = self._settings
        limits = Limits(
            max_sessions=settings.limits.max_sessions,
            max_streams=settings.limits.max_streams,
            idle_timeout_s=settings.limits.http_idle_timeout_s,
            reconnect_timeout_s=settings.limits.reconnect_timeout_s,
            draft_interval_s=settings.notes.draft_interval_s,
        )
        return Encounters(
            studio=self._studio,
            keyring=self._keyring,
            blobs=self._blobs,
            notes=Notes(
                note_templates(settings.notes),
                template=settings.notes.template,
                style=settings.notes.style,
                model=self._note_model,
                model_drafts=settings.note_model.drafts,
                unsupported=Unsupported(settings.notes.unsupported),
                fallback=settings.notes.fallback,
                observer=self.metrics.notes,
            ),
            glossaries=Glossaries(
                read_glossaries(config_directory() / "glossaries"), self._reader, self._keyring, time.monotonic
            ),
            limits=limits,
            quotas=self._quotas,
            executors=self._executors,
            retention=retention(settings),
            takes_live=settings.server.role != "jobs",
        )

    def _make_app(self) -> ASGIApp:
        settings = self._settings
        signing = self._signing
        authenticator = Authenticator(
            self._reader, signing, time.time, self._quotas.count_request, steady=time.monotonic
        )
        lifetimes = Lifetimes(default_s=settings.tokens.expires_s, max_s=settings.tokens.max_expires_s)
        tokens = Tokens(signing, self._writer, time.time, lifetimes)
        apis = Apis(
            settings=settings,
            encounters=self._encounters,
            connections=self._connections,
            recordings=self._recordings,
            patients=self._patients,
            replays=Replays(self._encounters, self._connections, self._reader),
            telling=self._telling,
            whip_sessions=self._whip_sessions,
            authenticator=authenticator,
            capabilities=Capabilities(
                self._batcher.recogniser,
                self._encounters.notes,
                self._tenants,
                retention(settings),
                ceilings(settings),
            ),
            tokens=tokens,
            procedures=self._procedures,
            computing=self._computing,
            metrics=self.metrics,
            stopping=self.stopping,
            segments=self._segments,
            transcripts=Transcripts(self._encounters, self._studio, self._outgoing.check),
            catalogue=Catalogue(self._studio),
            editing=Editing(self._encounters, self._studio),
            playback=Playback(self._encounters, self._studio, self._blobs, OpusWriter),
            version=version("auscult"),
        )
        open_metrics = settings.server.open_metrics
        app = Starlette(
            routes=[
                *apis.routes(
                    ops.endpoints(self.metrics, lambda: self._waiting_for, authenticator, open_metrics=open_metrics)
                ),
            ],
            middleware=self._forwarding(),
            exception_handlers={404: _nowhere, 405: _no_method, 500: _unexpected},
            lifespan=self.lifespan,
        )
        app.router.redirect_slashes = False  # see `server.endpoints`
        pages = Pages(app, settings.server.cors_origins, self._tenants, authenticator)
        return TracedRequests(pages, lambda: app.routes, self._tracer) if settings.tracing.endpoint else pages

    def _forwarding(self) -> list[Middleware]:
        """Nothing where there is nobody else."""
        if isinstance(self._executors, Alone):
            return []
        return [Middleware(Forwarding, executors=self._executors, metrics=self.metrics)]

    def _watch(self) -> None:
        gauge, counter = self.metrics.gauge, self.metrics.counter
        encounters, writer = self._encounters, self._writer
        self.metrics.watch_recognition(self._batcher)
        gauge("auscult_sessions", "Encounters in work.", encounters.live_count)
        gauge("auscult_streams", "Audio streams of live sessions.", encounters.live_streams)
        gauge("auscult_streams_carried", "Audio streams of live sessions that are let in.", encounters.streams_carried)
        whip = self._whip_sessions
        gauge("auscult_peers", "WebRTC peer connections.", lambda: whip.peers)
        counter("auscult_webrtc_packets", "Audio packets that came.", lambda: whip.packets("received"))
        counter("auscult_webrtc_packets_lost", "Audio packets that never came.", lambda: whip.packets("lost"))
        counter("auscult_webrtc_packets_late", "Packets that came twice or late.", lambda: whip.packets("discarded"))
        counter("auscult_webrtc_packets_dropped", "Packets not read in time.", lambda: whip.packets("dropped"))
        deliveries = self._deliveries
        gauge("auscult_deliveries_pending", "Deliveries to be made, as last seen.", lambda: deliveries.pending)
        gauge("auscult_tasks", "Tasks of the event loop.", lambda: len(asyncio.all_tasks()))
        gauge("auscult_threads", "Threads, but for those that pools keep for the next call.", ops.threads)
        remote = self._batcher.recogniser
        if isinstance(remote, RemoteRecogniser):
            gauge("auscult_recogniser_workers_up", "Workers that did not fail last.", lambda: remote.workers_up)
            counter("auscult_recogniser_calls_again", "Calls of workers made again.", lambda: remote.retried)
        dispatcher = self._dispatcher
        if dispatcher is not None:
            gauge("auscult_recordings_working", "Recordings in work in this process.", lambda: dispatcher.working)
            gauge("auscult_recordings_waiting", "Recordings in line, as last seen.", lambda: dispatcher.waiting)
        voicing = self._voicing
        counter("auscult_voiceprints", "Windows whose voice was computed.", lambda: voicing.windows)
        counter("auscult_voiceprints_failed", "Windows left without a voice.", lambda: voicing.failed)
        counter("auscult_voiceprint_seconds", "Time that computing voices took.", lambda: voicing.seconds)
        gauge("auscult_voiceprints_waiting", "Windows whose voice will be computed.", lambda: voicing.waiting)
        counter("auscult_store_commits", "Group commits.", lambda: writer.groups)
        counter("auscult_store_writes", "Writes, several in each group commit.", lambda: writer.writes)

    async def stop_serving(self) -> None:
        """Let nobody in any more, give sessions the time to come to their end, and end answers without an end."""
        self._waiting_for = "its end"
        self._encounters.admission.close()
        with anyio.move_on_after(self._settings.server.drain_s):
            await self._encounters.idle()
        self.stopping.set()

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Everything that lives while the server does, in the order in which it depends on each other."""
        async with AsyncExitStack() as stack:
            await anyio.to_thread.run_sync(migrate, self._engine)
            stack.push_async_callback(anyio.to_thread.run_sync, self._tracer.close)
            stack.callback(self._engine.dispose)
            legacy = self._settings.token_secret_path
            secret = partial(token_secret, self._engine, self._keyring, legacy)
            self._signing.use(await anyio.to_thread.run_sync(secret))
            names_patients = partial(read_or_make, self._engine, self._keyring, "patients")
            self._patients.use(await anyio.to_thread.run_sync(names_patients))
            storing = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(storing.cancel_scope.cancel)
            storing.start_soon(self._vital, self._writer.run)
            if isinstance(self._executors, Company):
                storing.start_soon(self._vital, self._executors.run)
                await self._executors.joined.wait()
                stack.push_async_callback(self._executors.leave)
            if self._note_model is not None:
                stack.push_async_callback(self._note_model.aclose)
            working = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(working.cancel_scope.cancel)
            working.start_soon(self._vital, self._recognise)
            working.start_soon(self._vital, self._voicing.run)
            jobs_engine = self._engine
            if self._engine.dialect.name == "sqlite":  # a file of its own: its table names and its writes meet nobody
                jobs_engine = open_engine(f"sqlite:///{self._settings.data_path / 'jobs.db'}")
                stack.callback(jobs_engine.dispose)
                self._engines.append(jobs_engine)
            jobs = await stack.enter_async_context(
                open_jobs(self._closing, self._recordings, jobs_engine, self._executors, self._dispatcher, self._tracer)
            )
            self._encounters.start(working, jobs)
            await jobs.launch()

            async def inherit() -> None:
                """See to what dead processes left behind."""
                await jobs.inherit()
                await self._deliveries.inherit()
                await self._encounters.tend()
                await self._segments.tend()

            await inherit()
            working.start_soon(self._vital, self._tend, inherit)
            if isinstance(self._executors, Company):
                working.start_soon(self._vital, self._executors.inherit, inherit)
            if self._dispatcher is not None:
                working.start_soon(self._vital, self._dispatcher.run, jobs)
                working.start_soon(self._vital, self._deliveries.run)
            await stack.enter_async_context(self._whip_sessions.running())
            yield

    async def _keeps_files(self, tenant: str) -> bool:
        return keeps_files(retention(self._settings), await self._reader.read(partial(settings_of, tenant_id=tenant)))

    async def _vital(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run what the server cannot do without: if it breaks, the process ends and whoever watches it restarts it."""
        try:
            await work(*arguments)
        except Exception as exc:
            log.critical("server.broken", exc_info=exc)
            self._waiting_for = "a restart"
            self._fatal(ServerError("The server is broken and stops: its log says where. Restart it."))

    async def _recognise(self) -> None:
        """Load, measure, serve the recogniser. A model that cannot be loaded ends the server, with one clear error."""
        recogniser = self._batcher.recogniser
        try:
            await recogniser.start()
        except AuscultError as exc:
            self._fatal(exc)
            return
        try:
            await self._batcher.calibrate()
            self._batcher.capacity.cores = len(os.sched_getaffinity(0))
            self._batcher.capacity.upkeep = upkeep(self._studio.session, self._studio.voice_activity)
            carried = self._batcher.streams_carried
            log.info("recogniser.ready", recogniser=recogniser.name, model=recogniser.model, streams_carried=carried)
            self._waiting_for = None
            await self._batcher.run()
        finally:
            with anyio.CancelScope(shield=True):
                await recogniser.aclose()

    async def _tend(self, inherit: Callable[[], Awaitable[None]]) -> None:
        """Now and then: see to encounters left alone, erase what is kept no longer, give free memory back."""
        sweeper = Sweeper(
            self._encounters,
            self._patients,
            self._blobs,
            self._reader,
            retention(self._settings),
            partial(forget_pages, self._engines),
            time.time,
            time.monotonic,
        )
        while True:
            try:
                erased = await sweeper.sweep()
                if erased:
                    log.info("encounters.erased", count=erased)
                await anyio.sleep(self._settings.tasks.tend_s)
                await inherit()
                await anyio.to_thread.run_sync(give_back)
            except AuscultError as exc:  # the database is away: the next round looks again
                log.error("server.not_tended", code=exc.code)
                await anyio.sleep(self._settings.tasks.tend_s)


def retention(settings: Settings) -> Retention:
    """How long what is kept, where a tenant has no settings of its own."""
    return Retention(
        upload_audio=settings.retention.upload_audio_hours,
        live_audio=settings.retention.live_audio_hours,
        results=settings.tasks.expire_hours,
        patient_contexts=settings.retention.patient_context_hours,
    )


def ceilings(settings: Settings) -> Ceilings:
    """How much clients may send, and how long they may wait."""
    limits = settings.limits
    return Ceilings(
        max_recording_bytes=limits.max_recording_bytes,
        max_recording_minutes=limits.max_recording_minutes,
        max_recording_files=limits.max_recording_files,
        max_session_minutes=limits.max_session_minutes,
        max_streams_per_session=limits.max_streams_per_session,
        max_chunk_bytes=limits.max_chunk_bytes,
        stream_silence_timeout_s=limits.stream_silence_timeout_s,
        reconnect_timeout_s=limits.reconnect_timeout_s,
        max_token_s=settings.tokens.max_expires_s,
    )


async def _unexpected(request: Request, exc: Exception) -> Response:
    """A fault of ours. What it says stays here: it may quote the request."""
    log.error("request.failed", path=request.url.path, type=type(exc).__name__, exc_info=exc)
    return problem(Unexpected())


async def _nowhere(_: Request, __: Exception) -> Response:
    """No API has this address."""
    return problem(NotFound("There is nothing at this address: /openapi.json says what there is."))


async def _no_method(_: Request, exc: Exception) -> Response:
    """An address that belongs to no API's table, such as that of its description."""
    response = problem(MethodNotAllowed())
    response.headers.update(getattr(exc, "headers", None) or {})
    return response
