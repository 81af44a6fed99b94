"""The APIs that clients speak, with the limits that the settings give each of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio
from starlette.routing import BaseRoute

from server.auth import Authenticator
from server.capabilities import Capabilities
from server.catalogue import Catalogue
from server.computing import Computing
from server.connections import Connections
from server.console.serving import Console, read_files
from server.described import Described
from server.editing import Editing
from server.encounters import Encounters
from server.endpoints import Endpoint, routes
from server.facades.auscult.audio import AudioRoutes
from server.facades.auscult.capabilities import CapabilityRoutes
from server.facades.auscult.editing import EditingRoutes
from server.facades.auscult.encounters import EncounterRoutes
from server.facades.auscult.events import EventRoutes
from server.facades.auscult.live import LiveLimits, LiveRoutes
from server.facades.auscult.note_exports import NoteExportRoutes
from server.facades.auscult.recordings import RecordingRoutes
from server.facades.auscult.telling import Telling
from server.facades.auscult.tokens import TokenRoutes
from server.facades.auscult.whip import Whip, WhipLimits
from server.facades.auscult.whip_convert import ice_server_link
from server.facades.auscult.whip_sessions import WhipSessions
from server.facades.haidy.files import FileRoutes
from server.facades.haidy.patients import PatientRoutes
from server.facades.haidy.routes import BASE64_OVERHEAD, ENVELOPE_BYTES, Haidy
from server.facades.nabla.desk import SocketLimits
from server.facades.nabla.rest import NablaRest
from server.facades.nabla.routes import Nabla
from server.facades.openai.routes import OpenAi
from server.facades.soapnoteapi.routes import SoapNoteApi
from server.facades.soapnoteapi.specialties import read_specialties
from server.ingest.sdp import read_ice_server
from server.metrics import Metrics
from server.note_exports import NoteExports
from server.patients import Patients
from server.playback import Playback
from server.reception import Reception
from server.recordings import Recordings
from server.replays import Replays
from server.segments import Segments
from server.settings import Settings, config_directory
from server.tokens import Tokens
from server.transcripts import Transcripts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Apis:
    """What they work with."""

    settings: Settings
    encounters: Encounters
    connections: Connections
    recordings: Recordings
    patients: Patients
    transcripts: Transcripts
    segments: Segments
    catalogue: Catalogue
    editing: Editing
    playback: Playback
    replays: Replays
    telling: Telling
    whip_sessions: WhipSessions
    authenticator: Authenticator
    capabilities: Capabilities
    tokens: Tokens
    procedures: Mapping[str, str]  # the operator's CPT codes
    computing: Computing
    metrics: Metrics
    stopping: anyio.Event  # no more requests are taken

    version: str

    def routes(self, operations: Sequence[Endpoint]) -> list[BaseRoute]:
        """What they answer to. `operations`: endpoints for those who run the server, which are described with them."""
        live, nabla = self._live(), self._nabla_live()
        endpoints = [
            *operations,
            *self._soapnoteapi(),
            *self._haidy(),
            *self._nabla(),
            *self._auscult(),
            *self._openai(),
            *Console(operations[0].facade, read_files()).endpoints(),
        ]
        described = Described(endpoints, [*live.sockets(), *nabla.sockets()], self.version, operations[0].facade)
        return [*routes(described.endpoints()), *nabla.routes(), *live.routes()]

    def _reception(self, api: str) -> Reception:
        return Reception(api, self.authenticator, self.metrics, stall_s=self.settings.limits.upload_stall_timeout_s)

    def _auscult(self) -> list[Endpoint]:
        reception, send_timeout_s = self._reception("auscult"), self.settings.limits.send_timeout_s
        events = EventRoutes(
            self.encounters, self.telling, reception, send_timeout_s=send_timeout_s, stopping=self.stopping
        )
        whip = Whip(
            self.whip_sessions,
            events,
            self.tokens,
            reception,
            whip_limits(self.settings),
            [ice_server_link(read_ice_server(server)) for server in self.settings.webrtc.ice_servers],
        )
        exports = NoteExports(self.encounters, self.editing, self.procedures, self.computing)
        return [
            *CapabilityRoutes(self.capabilities, reception, version=self.version).endpoints(),
            *TokenRoutes(self.encounters, self.tokens, reception).endpoints(),
            *events.endpoints(),
            *RecordingRoutes(self.encounters, self.recordings, self.transcripts, reception).endpoints(),
            *EncounterRoutes(self.encounters, self.catalogue, reception).endpoints(),
            *AudioRoutes(self.playback, reception, send_timeout_s=send_timeout_s).endpoints(),
            *EditingRoutes(self.editing, reception, self.computing).endpoints(),
            *NoteExportRoutes(exports, reception, self.computing, program=self.version).endpoints(),
            *whip.endpoints(),
        ]

    def _haidy(self) -> list[Endpoint]:
        reception = self._reception("haidy")
        chunks = Haidy(
            self.encounters,
            self.patients,
            reception,
            self.metrics,
            max_chunk_bytes=self.settings.limits.max_chunk_bytes,
            keep_after_fetch=self.settings.tasks.keep_after_fetch,
        )
        return [
            *chunks.endpoints(),
            *FileRoutes(self.encounters, self.recordings, self.patients, reception).endpoints(),
            *PatientRoutes(self.patients, reception).endpoints(),
        ]

    def _nabla(self) -> list[Endpoint]:
        reception = self._reception("nabla")
        return NablaRest(self.encounters, self.recordings, self.transcripts, reception).endpoints()

    def _soapnoteapi(self) -> list[Endpoint]:
        return SoapNoteApi(
            self.encounters,
            self.recordings,
            self.segments,
            self.transcripts,
            read_specialties(config_directory() / "specialties.toml", self.encounters.notes.templates),
            self._reception("soapnoteapi"),
            procedures=self.procedures,
            computing=self.computing,
            send_timeout_s=self.settings.limits.send_timeout_s,
            stopping=self.stopping,
        ).endpoints()

    def _openai(self) -> list[Endpoint]:
        return OpenAi(
            self.encounters,
            self.recordings,
            self._reception("openai"),
            send_timeout_s=self.settings.limits.send_timeout_s,
            stopping=self.stopping,
        ).endpoints()

    def _live(self) -> LiveRoutes:
        return LiveRoutes(
            self.encounters,
            self.connections,
            self.telling,
            self.authenticator,
            self.metrics,
            LiveLimits(
                max_chunk_bytes=self.settings.limits.max_chunk_bytes,
                hello_timeout_s=self.settings.limits.config_timeout_s,
                stream_silence_timeout_s=self.settings.limits.stream_silence_timeout_s,
                send_timeout_s=self.settings.limits.send_timeout_s,
            ),
        )

    def _nabla_live(self) -> Nabla:
        return Nabla(
            self.encounters,
            self.replays,
            self.authenticator,
            self.metrics,
            SocketLimits(
                max_message_bytes=message_limit(self.settings),
                max_streams=self.settings.limits.max_streams_per_session,
                config_timeout_s=self.settings.limits.config_timeout_s,
                stream_silence_timeout_s=self.settings.limits.stream_silence_timeout_s,
                send_timeout_s=self.settings.limits.send_timeout_s,
            ),
        )


def whip_limits(settings: Settings) -> WhipLimits:
    """What WHIP requests may be. Their events can be read as long as the longest session lasts."""
    return WhipLimits(
        max_sdp_bytes=settings.webrtc.max_sdp_bytes,
        events_token_s=min(settings.limits.max_session_minutes * 60, settings.tokens.max_expires_s),
    )


def message_limit(settings: Settings) -> int:
    """Largest socket message in bytes: a chunk in base64 and what is around it."""
    return int(settings.limits.max_chunk_bytes * BASE64_OVERHEAD) + ENVELOPE_BYTES
