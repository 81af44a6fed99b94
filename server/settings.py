"""What an operator may set, where it may be set, and which value wins.

Sources, each overriding the ones before: `default.toml` (shipped with the program), the file given by `--config`,
`AUSCULT_<TABLE>_<KEY>` variables, flags. A setting that does not exist is an error in every source.
"""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, inspect

from pipeline.errors import AuscultError
from server.addresses import AllowedHosts

VARIABLE_PREFIX = "AUSCULT_"
NOT_SETTINGS = frozenset({"AUSCULT_API_KEY", "AUSCULT_CONFIG", "AUSCULT_TEST_DATA"})  # ours, but read elsewhere

Flag: TypeAlias = str | int | float | bool | Path | None
"""A flag's value; None means that the flag was not given."""

ComputeType: TypeAlias = Literal[
    "default", "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "float16", "bfloat16", "float32"
]
"""The names CTranslate2 knows."""

EncoderWindow: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^(full|dynamic|[1-9]|[12]\d|30)$", description="full, dynamic, or a whole number from 1 to 30"),
]

WorkerUrls: TypeAlias = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^https?://[^\s/@?#]+$")], ...],
    Meta(description="a list of http://HOST:PORT or https://HOST:PORT"),
]

Origin: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$")]
"""As browsers write it (RFC 6454 §6.2): small letters, no path, no final slash."""

Origins: TypeAlias = Annotated[
    tuple[Origin, ...],
    Meta(
        description="a list of origins, each scheme://host or scheme://host:port in small letters"
        " (* is refused: it would let the page of any web site in)"
    ),
]

_OCTET = r"(25[0-5]|2[0-4]\d|1?\d?\d)"
_IP_ADDRESS = rf"^({_OCTET}(\.{_OCTET}){{3}}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$"
IpAddress: TypeAlias = Annotated[str, Meta(pattern=_IP_ADDRESS)]

IceServer: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^(stun:[^\s@:/]+(:\d+)?|turns?:[^\s@:/]+:[^\s@]+@[^\s@:/?]+(:\d+)?(\?transport=(udp|tcp))?)$",
        extra={"secret": True},  # may carry a password
    ),
]

Fraction: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Seconds: TypeAlias = Annotated[float, Meta(ge=0.1, le=3600)]
Secret: TypeAlias = Annotated[str, Meta(extra={"secret": True})]
Text: TypeAlias = Annotated[str, Meta(min_length=1)]


class SettingsError(AuscultError):
    """A setting is unknown, or has a value that cannot be used."""

    code = "settings_error"

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(f"{source}: {problem}")
        self.source = source  # a file, "environment" or "command line"
        self.problem = problem


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the settings file. Secrets do not show when it is printed."""

    def __rich_repr__(self) -> list[tuple[str, object]]:
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        hidden = [name for name, kind in _fields(type(self)).items() if _is_secret(kind) and shown[name]]
        return list((shown | dict.fromkeys(hidden, "***")).items())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class ServerSettings(Table, frozen=True, kw_only=True):
    """Where the server listens and where it keeps its data."""

    host: Text = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 8765  # 0: the system chooses a free one
    data_dir: Text = "data"
    tls_cert: str = ""
    tls_key: str = ""
    forwarded_allow_ips: str = "127.0.0.1"
    cors_origins: Origins = ()
    open_metrics: bool = False
    role: Literal["all", "web", "jobs", "recogniser"] = "all"
    internal_address: Annotated[
        str, Meta(pattern=r"^$|^https?://[^\s/]+$", description="http://HOST:PORT, or empty")
    ] = ""
    drain_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0


class StoreSettings(Table, frozen=True, kw_only=True):
    """The database, and the key that seals what patients said."""

    url: Secret = ""  # may carry a password
    key_file: str = ""
    key: Secret = ""
    key_command: str = ""


class BlobSettings(Table, frozen=True, kw_only=True):
    """Where recordings lie, sealed."""

    kind: Literal["directory", "s3"] = "directory"
    directory: str = ""
    s3_endpoint: Annotated[str, Meta(pattern=r"^$|^https?://\S+$", description="a URL, or empty")] = ""
    s3_bucket: str = ""
    s3_prefix: str = ""
    s3_region: str = ""
    s3_access_key: Secret = ""
    s3_secret_key: Secret = ""


class RecogniserSettings(Table, frozen=True, kw_only=True):
    """Which recogniser turns speech into words, and on what it computes."""

    kind: Literal["auto", "sphinx", "whisper", "scripted"] = "auto"
    model: str = ""
    models_dir: str = ""
    workers: Annotated[int, Meta(ge=0, le=256)] = 0
    threads: Annotated[int, Meta(ge=0, le=256)] = 0
    encoder_window: EncoderWindow = "full"
    beam_size: Annotated[int, Meta(ge=1, le=20)] = 5
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: ComputeType = "auto"
    use_prompt: bool = True
    scripted_delay_ms: Annotated[int, Meta(ge=0, le=60_000)] = 0
    scripted_fails_every: Annotated[int, Meta(ge=0, le=1000)] = 0
    workers_at: WorkerUrls = ()
    deadline_s: Seconds = 120.0
    max_waiting: Annotated[int, Meta(ge=1, le=100_000)] = 256


class InternalSettings(Table, frozen=True, kw_only=True):
    """By what processes of one installation know each other."""

    token: Secret = ""
    ca: str = ""
    cert: str = ""
    key: str = ""


class VoiceActivitySettings(Table, frozen=True, kw_only=True):
    """What counts as speech."""

    kind: Literal["silero", "webrtc"] = "silero"
    start_threshold: Fraction = 0.5
    end_threshold: Fraction = 0.35


class EndpointingSettings(Table, frozen=True, kw_only=True):
    """When an utterance starts and ends."""

    min_speech_ms: Annotated[int, Meta(ge=32, le=2_000)] = 96
    silence_ms: Annotated[int, Meta(ge=100, le=2_000)] = 384
    finished_ms: Annotated[int, Meta(ge=0, le=2_000)] = 224
    speculate_ms: Annotated[int, Meta(ge=0, le=2_000)] = 160
    pre_roll_ms: Annotated[int, Meta(ge=0, le=2_000)] = 320
    hangover_ms: Annotated[int, Meta(ge=0, le=2_000)] = 160
    max_segment_ms: Annotated[int, Meta(ge=2_000, le=30_000)] = 15_000  # 30 s: Whisper's window
    partial_interval_ms: Annotated[int, Meta(ge=100, le=10_000)] = 600


class LimitSettings(Table, frozen=True, kw_only=True):
    """How much one client may ask for, and how long it may stay silent."""

    max_chunk_bytes: Annotated[int, Meta(ge=1_024, le=1_073_741_824)] = 8_388_608
    max_sessions: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    max_streams: Annotated[int, Meta(ge=0, le=100_000)] = 0  # 0: as measured
    max_streams_per_session: Annotated[int, Meta(ge=1, le=32)] = 4
    max_session_minutes: Annotated[int, Meta(ge=1, le=1_440)] = 240
    max_recording_minutes: Annotated[int, Meta(ge=1, le=1_440)] = 240
    max_recording_bytes: Annotated[int, Meta(ge=1_024, le=10_737_418_240)] = 524_288_000
    max_recording_files: Annotated[int, Meta(ge=1, le=100)] = 16
    stream_silence_timeout_s: Seconds = 10.0
    config_timeout_s: Seconds = 10.0
    http_idle_timeout_s: Seconds = 600.0
    reconnect_timeout_s: Seconds = 120.0
    send_timeout_s: Seconds = 20.0
    upload_stall_timeout_s: Seconds = 30.0


class QuotaSettings(Table, frozen=True, kw_only=True):
    """What each tenant may use, where `auscult tenants set` says nothing else; 0: as much as it likes."""

    streams: Annotated[int, Meta(ge=0, le=100_000)] = 0
    requests_per_minute: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    minutes_per_month: Annotated[int, Meta(ge=0, le=100_000_000)] = 0


class LiveSettings(Table, frozen=True, kw_only=True):
    """How live audio reaches the disk."""

    gather_ms: Annotated[int, Meta(ge=0, le=500)] = 500  # the documented bound of what a power cut may take


class JobSettings(Table, frozen=True, kw_only=True):
    """How many recordings are worked on at the same time."""

    workers: Annotated[int, Meta(ge=1, le=1_000)] = 6
    workers_per_tenant: Annotated[int, Meta(ge=1, le=1_000)] = 2


class OutgoingSettings(Table, frozen=True, kw_only=True):
    """Calls to addresses that clients gave: files to fetch, callbacks."""

    allow_hosts: Annotated[
        tuple[str, ...], Meta(description="a list of host names, HOST:PORT, addresses or networks")
    ] = ()
    connect_timeout_s: Seconds = 10.0
    stall_timeout_s: Seconds = 30.0
    fetch_timeout_s: Seconds = 3600.0


class WebRtcSettings(Table, frozen=True, kw_only=True):
    """Where and how audio comes in over WebRTC."""

    addresses: Annotated[tuple[IpAddress, ...], Meta(description="a list of IP addresses")] = ()
    advertised_address: Annotated[str, Meta(pattern=rf"^$|{_IP_ADDRESS}", description="an IP address, or empty")] = ""
    port_min: Annotated[int, Meta(ge=0, le=65_535)] = 0  # 0 for both: the system chooses
    port_max: Annotated[int, Meta(ge=0, le=65_535)] = 0
    ice_servers: Annotated[
        tuple[IceServer, ...],
        Meta(
            description='a list of "stun:HOST[:PORT]" and "turn:USER:PASSWORD@HOST[:PORT][?transport=udp|tcp]"',
            extra={"secret": True},
        ),
    ] = ()
    jitter_packets: Annotated[int, Meta(ge=0, le=50)] = 3
    connect_timeout_s: Seconds = 30.0
    silence_timeout_s: Seconds = 4.0
    max_sdp_bytes: Annotated[int, Meta(ge=1_024, le=1_048_576)] = 65_536


class TaskSettings(Table, frozen=True, kw_only=True):
    """How long a finished task can be fetched, and how often is looked after all."""

    keep_after_fetch: bool = False
    expire_hours: Annotated[int, Meta(ge=1, le=8_760)] = 24
    tend_s: Seconds = 60.0


class RetentionSettings(Table, frozen=True, kw_only=True):
    """How long audio and patients' contexts are kept; `tasks.expire_hours` is how long all else is."""

    upload_audio_hours: Annotated[float, Meta(ge=0, le=87_600)] = 0.0
    live_audio_hours: Annotated[float, Meta(ge=0, le=87_600)] = 24.0
    patient_context_hours: Annotated[float, Meta(ge=0, le=87_600)] = 8_760.0


class TokenSettings(Table, frozen=True, kw_only=True):
    """How long tokens made with a key hold."""

    expires_s: Annotated[int, Meta(ge=1, le=604_800)] = 600
    max_expires_s: Annotated[int, Meta(ge=1, le=604_800)] = 43_200  # 12 h: the longest shift


class NoteSettings(Table, frozen=True, kw_only=True):
    """What a note looks like where the client does not say, and how it is written."""

    template: Text = "SOAP"
    style: Literal["auto", "paragraphs", "bullet_points"] = "auto"
    templates_dir: str = ""
    draft_interval_s: Seconds = 2.0
    cpt_file: str = ""
    writer: Literal["auto", "embedded", "model"] = "auto"
    unsupported: Literal["drop", "flag"] = "drop"
    fallback: bool = True


class NoteModelSettings(Table, frozen=True, kw_only=True):
    """The language model that writes notes, and what a note may cost."""

    url: Annotated[str, Meta(pattern=r"^$|^https?://[^\s@?#]+$", description="http://HOST:PORT/v1, or empty")] = ""
    name: str = ""
    key: Secret = ""
    headers: Annotated[
        tuple[Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]+:[ \t]*[ -~]+$")], ...],
        Meta(description='a list of "Name: value"', extra={"secret": True}),  # may carry a key
    ] = ()
    ca: str = ""
    prompt_file: str = ""
    structured: Literal["auto", "json_schema", "json_object", "none"] = "auto"
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.0
    context_tokens: Annotated[int, Meta(ge=2_048, le=10_000_000)] = 16_384
    max_output_tokens: Annotated[int, Meta(ge=256, le=1_000_000)] = 4_096
    budget_tokens: Annotated[int, Meta(ge=4_096, le=100_000_000)] = 400_000
    budget_s: Seconds = 180.0
    timeout_s: Seconds = 60.0
    tries: Annotated[int, Meta(ge=1, le=10)] = 3
    concurrency: Annotated[int, Meta(ge=1, le=1_000)] = 4
    drafts: bool = False
    codes: bool = False

    @property
    def is_set(self) -> bool:
        """Whether there is a model."""
        return bool(self.url and self.name)


class SpeakerSettings(Table, frozen=True, kw_only=True):
    """How it is found out who speaks, where no stream or channel says so."""

    embedder: Literal["auto", "ge2e", "pyannote", "none"] = "auto"
    expected: Annotated[int, Meta(ge=1, le=6)] = 2
    pyannote_model: str = ""
    hub_token: Secret = ""
    review: bool = True


class TracingSettings(Table, frozen=True, kw_only=True):
    """Where OpenTelemetry traces are sent."""

    endpoint: Annotated[
        str,
        Meta(pattern=r"^$|^https?://[^\s@?#]+$", description='an address such as "http://127.0.0.1:4318", or empty'),
    ] = ""


class LogSettings(Table, frozen=True, kw_only=True):
    """What the server reports on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Settings(Table, frozen=True, kw_only=True):
    """Everything an operator may set; `Settings()` is what `default.toml` says."""

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    blobs: BlobSettings = BlobSettings()
    recogniser: RecogniserSettings = RecogniserSettings()
    internal: InternalSettings = InternalSettings()
    voice_activity: VoiceActivitySettings = VoiceActivitySettings()
    endpointing: EndpointingSettings = EndpointingSettings()
    limits: LimitSettings = LimitSettings()
    quotas: QuotaSettings = QuotaSettings()
    live: LiveSettings = LiveSettings()
    jobs: JobSettings = JobSettings()
    outgoing: OutgoingSettings = OutgoingSettings()
    webrtc: WebRtcSettings = WebRtcSettings()
    tasks: TaskSettings = TaskSettings()
    retention: RetentionSettings = RetentionSettings()
    tokens: TokenSettings = TokenSettings()
    notes: NoteSettings = NoteSettings()
    note_model: NoteModelSettings = NoteModelSettings()
    speakers: SpeakerSettings = SpeakerSettings()
    tracing: TracingSettings = TracingSettings()
    log: LogSettings = LogSettings()

    @property
    def data_path(self) -> Path:
        """The data directory."""
        return Path(self.server.data_dir)

    @property
    def key_path(self) -> Path:
        """The file with the master key."""
        return Path(self.store.key_file) if self.store.key_file else self.data_path / "key"

    @property
    def token_secret_path(self) -> Path:
        """The file with the secret that signs tokens."""
        return self.data_path / "token-secret"


def config_directory() -> Path:
    """The directory with `default.toml`, `templates/` and `glossaries/`: in the wheel, or beside `server/`."""
    package = Path(str(files("server")))
    shipped = package / "config"
    return shipped if shipped.is_dir() else package.parent / "config"


def load_settings(
    *,
    config_file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, Flag] | None = None,
) -> Settings:
    """The settings in force.

    `environment` is the process's own unless given; `flags` maps dotted names ("server.port") to values.

    Raises: `SettingsError` for an unknown setting (it names the nearest known one), a value of the wrong type or out
    of range, values that contradict each other, and a file that cannot be read.
    """
    given = [*_from_file(config_directory() / "default.toml")]
    if config_file is not None:
        given += _from_file(config_file)
    given += _from_environment(os.environ if environment is None else environment)
    given += _from_flags(flags or {})

    tables: dict[str, dict[str, object]] = {}
    for item in given:
        table, _, key = item.name.partition(".")
        tables.setdefault(table, {})[key] = _checked(item)
    settings = msgspec.convert(tables, Settings)
    _check_together(settings, given)
    return settings


def _fields(table: type[msgspec.Struct]) -> Mapping[str, inspect.Type]:
    kind = inspect.type_info(table)
    assert isinstance(kind, inspect.StructType)
    return MappingProxyType({field.name: field.type for field in kind.fields})


_KNOWN: Mapping[str, inspect.Type] = MappingProxyType(
    {
        f"{table}.{key}": kind
        for table, content in _fields(Settings).items()
        if isinstance(content, inspect.StructType)
        for key, kind in _fields(content.cls).items()
    }
)
"""Every setting by its dotted name, with its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """One value from one source."""

    source: str
    name: str  # dotted
    spelled: str  # as the operator wrote the name
    value: object
    strict: bool = True  # False: numbers and booleans may come as text, and lists as text with commas


def _from_file(path: Path) -> Iterator[_Given]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise SettingsError(str(path), f"cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(str(path), "is not UTF-8 text") from exc
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(str(path), f"is not TOML: {exc}") from exc
    for table, content in document.items():
        if not isinstance(content, dict):
            raise _unknown(str(path), table, _KNOWN)
        if table not in Settings.__struct_fields__:
            raise _unknown(str(path), table, Settings.__struct_fields__)
        for key, value in content.items():
            name = f"{table}.{key}"
            if name not in _KNOWN:
                raise _unknown(str(path), name, _KNOWN)
            yield _Given(source=str(path), name=name, spelled=name, value=value)


def _from_environment(environment: Mapping[str, str]) -> Iterator[_Given]:
    variables = {VARIABLE_PREFIX + name.replace(".", "_").upper(): name for name in _KNOWN}
    for variable, value in environment.items():
        if not variable.startswith(VARIABLE_PREFIX) or variable in NOT_SETTINGS:
            continue
        if variable not in variables:
            raise _unknown("environment", variable, variables)
        yield _Given(source="environment", name=variables[variable], spelled=variable, value=value, strict=False)


def _from_flags(flags: Mapping[str, Flag]) -> Iterator[_Given]:
    for name, value in flags.items():
        if name not in _KNOWN:
            raise _unknown("command line", name, _KNOWN)
        if value is not None:
            plain = str(value) if isinstance(value, Path) else value
            yield _Given(source="command line", name=name, spelled=name, value=plain, strict=False)


def _unknown(source: str, name: str, known: Iterable[str]) -> SettingsError:
    return SettingsError(source, f"unknown setting {name}; did you mean {nearest(name, known)}?")


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that is most like another one."""
    return max(known, key=lambda candidate: SequenceMatcher(None, name, candidate).ratio())


def _checked(given: _Given) -> object:
    """The value, converted to the setting's type. Raises `SettingsError` where that is impossible."""
    table, _, key = given.name.partition(".")
    kind, offered = _KNOWN[given.name], given.value
    if is_list(kind) and isinstance(offered, str) and not given.strict:
        offered = [part for part in map(str.strip, offered.split(",")) if part]
    try:
        settings = msgspec.convert({table: {key: offered}}, Settings, strict=given.strict)
    except msgspec.ValidationError as exc:
        shown = "" if _is_secret(kind) else f" is {given.value!r}, but"
        raise SettingsError(given.source, f"{given.spelled}{shown} must be {expectation(kind)}") from exc
    try:
        AllowedHosts(settings.outgoing.allow_hosts)
    except ValueError as exc:
        raise SettingsError(given.source, f"{given.spelled}: {exc}") from exc
    checked: object = getattr(getattr(settings, table), key)
    return checked


def _check_together(settings: Settings, given: Sequence[_Given]) -> None:
    """Raise `SettingsError` where values that are fine alone contradict each other."""
    for names, problem in _contradictions(settings):
        sources = dict.fromkeys(item.source for item in given if item.name in names)
        raise SettingsError(" and ".join(sources), problem)


def _contradictions(settings: Settings) -> Iterator[tuple[tuple[str, ...], str]]:
    server, voice, endpointing, tokens = settings.server, settings.voice_activity, settings.endpointing, settings.tokens
    if bool(server.tls_cert) != bool(server.tls_key):
        yield ("server.tls_cert", "server.tls_key"), "server.tls_cert and server.tls_key must be set together"
    internal = settings.internal
    if len({bool(internal.ca), bool(internal.cert), bool(internal.key)}) > 1:
        yield (
            ("internal.ca", "internal.cert", "internal.key"),
            "internal.ca, internal.cert and internal.key must be set together",
        )
    if voice.end_threshold > voice.start_threshold:
        yield (
            ("voice_activity.start_threshold", "voice_activity.end_threshold"),
            f"voice_activity.end_threshold ({voice.end_threshold}) must not be above start_threshold"
            f" ({voice.start_threshold})",
        )
    if tokens.expires_s > tokens.max_expires_s:
        yield (
            ("tokens.expires_s", "tokens.max_expires_s"),
            f"tokens.expires_s ({tokens.expires_s}) must not be above max_expires_s ({tokens.max_expires_s})",
        )
    model = settings.note_model
    if bool(model.url) != bool(model.name):
        yield ("note_model.url", "note_model.name"), "note_model.url and note_model.name must be set together"
    if settings.notes.writer == "model" and not model.is_set:
        yield ("notes.writer", "note_model.url"), 'notes.writer = "model" needs note_model.url and note_model.name'
    if model.max_output_tokens > model.context_tokens // 2:
        yield (
            ("note_model.context_tokens", "note_model.max_output_tokens"),
            f"note_model.max_output_tokens ({model.max_output_tokens}) must not be above half of context_tokens"
            f" ({model.context_tokens}): the talk needs the rest",
        )
    store = settings.store
    if sum(map(bool, (store.key_file, store.key, store.key_command))) > 1:
        yield ("store.key", "store.key_command"), "only one of store.key_file, key and key_command may be set"
    blobs = settings.blobs
    if blobs.kind == "s3" and not blobs.s3_bucket:
        yield ("blobs.kind", "blobs.s3_bucket"), 'blobs.kind = "s3" needs blobs.s3_bucket'
    if bool(blobs.s3_access_key) != bool(blobs.s3_secret_key):
        yield (
            ("blobs.s3_access_key", "blobs.s3_secret_key"),
            "blobs.s3_access_key and blobs.s3_secret_key must be set together",
        )
    webrtc = settings.webrtc
    if not (webrtc.port_min <= webrtc.port_max and bool(webrtc.port_min) == bool(webrtc.port_max)):
        yield (
            ("webrtc.port_min", "webrtc.port_max"),
            f"webrtc.port_min ({webrtc.port_min}) must not be above port_max ({webrtc.port_max}), and both must be set",
        )
    if endpointing.hangover_ms > endpointing.silence_ms:
        yield (
            ("endpointing.silence_ms", "endpointing.hangover_ms"),
            f"endpointing.hangover_ms ({endpointing.hangover_ms}) must not be above silence_ms"
            f" ({endpointing.silence_ms})",
        )


def is_list(kind: inspect.Type) -> bool:
    """Whether it holds several values, which are separated by commas where they are one text."""
    return isinstance(kind.type if isinstance(kind, inspect.Metadata) else kind, inspect.VarTupleType)


def _is_secret(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.Metadata) and bool((kind.extra or {}).get("secret"))


def expectation(kind: inspect.Type) -> str:
    """What a setting of this type accepts, in words."""
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low:g} to {high:g}"
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case inspect.StrType(min_length=1):
            return "text that is not empty"
        case inspect.Metadata(extra_json_schema={"description": str(words)}):
            return words
        case _:
            return "text"
