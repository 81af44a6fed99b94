"""What an operator may set, and what is said when it cannot be."""

import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.settings import (
    EndpointingSettings,
    Settings,
    SettingsError,
    StoreSettings,
    config_directory,
    load_settings,
)

DEFAULTS = config_directory() / "default.toml"
NAMES = [
    f"{table}.{key}" for table, content in msgspec.to_builtins(Settings()).items() for key in content
]  # "server.host", …


@pytest.fixture
def config_file(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a settings file."""

    def write(text: str) -> Path:
        path = tmp_path / "auscult.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_default_file_and_the_program_agree_on_every_setting_and_value() -> None:
    assert tomllib.loads(DEFAULTS.read_text(encoding="utf-8")) == msgspec.json.decode(msgspec.json.encode(Settings()))


def test_the_default_file_lists_the_settings_in_the_order_of_the_program() -> None:
    document = tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))
    assert [f"{table}.{key}" for table, content in document.items() for key in content] == NAMES


def test_every_setting_in_the_default_file_is_explained_above() -> None:
    lines = DEFAULTS.read_text(encoding="utf-8").splitlines()
    settings = [(above, line) for above, line in pairwise(lines) if "=" in line and not line.startswith("#")]
    assert [line for above, line in settings if not above.startswith("# ")] == []


def test_nothing_set_means_the_defaults() -> None:
    assert load_settings(environment={}) == Settings()


def test_a_file_overrides_the_defaults_a_variable_the_file_and_a_flag_the_variable(
    config_file: Callable[[str], Path],
) -> None:
    settings = load_settings(
        config_file=config_file("[server]\nport = 1001\nhost = '0.0.0.0'\ndata_dir = 'here'\n"),
        environment={"AUSCULT_SERVER_PORT": "1002", "AUSCULT_SERVER_HOST": "::1"},
        flags={"server.port": 1003},
    )
    assert (settings.server.port, settings.server.host, settings.server.data_dir) == (1003, "::1", "here")
    assert settings.server.forwarded_allow_ips == Settings().server.forwarded_allow_ips


def test_a_variable_names_its_table_even_when_that_has_an_underscore() -> None:
    settings = load_settings(environment={"AUSCULT_VOICE_ACTIVITY_START_THRESHOLD": "0.6"})
    assert settings.voice_activity.start_threshold == 0.6


def test_variables_are_numbers_and_truth_values_where_the_setting_is_one() -> None:
    settings = load_settings(
        environment={
            "AUSCULT_RECOGNISER_USE_PROMPT": "false",
            "AUSCULT_RECOGNISER_WORKERS": "3",
            "AUSCULT_LIMITS_SEND_TIMEOUT_S": "2.5",
        }
    )
    assert settings.recogniser.use_prompt is False
    assert settings.recogniser.workers == 3
    assert settings.limits.send_timeout_s == 2.5


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("https://app.example.org", ("https://app.example.org",)),
        (" https://a.example:8443 ,http://127.0.0.1:3000,", ("https://a.example:8443", "http://127.0.0.1:3000")),
        ("http://[::1]:8080,capacitor://localhost", ("http://[::1]:8080", "capacitor://localhost")),
        ("", ()),
    ],
)
def test_a_list_is_written_with_commas_in_a_variable(text: str, origins: tuple[str, ...]) -> None:
    assert load_settings(environment={"AUSCULT_SERVER_CORS_ORIGINS": text}).server.cors_origins == origins
    assert load_settings(environment={}, flags={"server.cors_origins": text}).server.cors_origins == origins


def test_a_list_is_a_list_in_a_file(config_file: Callable[[str], Path]) -> None:
    path = config_file("[server]\ncors_origins = ['https://app.example.org', 'http://localhost:3000']\n")
    settings = load_settings(config_file=path, environment={})
    assert settings.server.cors_origins == ("https://app.example.org", "http://localhost:3000")
    path = config_file("[server]\ncors_origins = 'https://app.example.org'\n")
    with pytest.raises(SettingsError, match="must be a list of origins"):
        load_settings(config_file=path, environment={})


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "app.example.org", "https://app.example.org/", "https://app.example.org/page", "https://*.example.org",
     "https://App.example.org", "https://user@example.org", "https://"],
)  # fmt: skip
def test_what_no_browser_sends_as_an_origin_is_refused_with_the_reason(origin: str) -> None:
    with pytest.raises(
        SettingsError, match=r"scheme://host:port in small letters \(\* is refused: it would let"
    ) as error:
        load_settings(environment={"AUSCULT_SERVER_CORS_ORIGINS": f"https://fine.example,{origin}"})
    assert error.value.source == "environment"


def test_a_flag_that_was_not_given_changes_nothing() -> None:
    assert load_settings(environment={}, flags={"server.port": None}) == Settings()


def test_a_flag_may_be_a_path() -> None:
    assert load_settings(environment={}, flags={"server.data_dir": Path("elsewhere")}).data_path == Path("elsewhere")


def test_variables_that_are_read_elsewhere_are_no_settings() -> None:
    elsewhere = {"AUSCULT_API_KEY": "k", "AUSCULT_CONFIG": "c", "AUSCULT_TEST_DATA": "d", "PATH": "/bin"}
    assert load_settings(environment=elsewhere) == Settings()


def test_an_unknown_setting_in_a_file_is_an_error_that_names_the_file_and_the_nearest(
    config_file: Callable[[str], Path],
) -> None:
    path = config_file("[server]\nprot = 1\n")
    with pytest.raises(SettingsError) as error:
        load_settings(config_file=path, environment={})
    assert str(error.value) == f"{path}: unknown setting server.prot; did you mean server.port?"


def test_an_unknown_variable_is_an_error_that_names_the_nearest_variable() -> None:
    with pytest.raises(SettingsError, match=r"environment: .*AUSCULT_SERVER_PROT; did you mean AUSCULT_SERVER_PORT"):
        load_settings(environment={"AUSCULT_SERVER_PROT": "1"})


def test_an_unknown_flag_is_an_error_that_names_the_nearest_setting() -> None:
    with pytest.raises(SettingsError, match=r"command line: .* recognizer\.kind; did you mean recogniser\.kind"):
        load_settings(environment={}, flags={"recognizer.kind": "sphinx"})


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("[recognizer]\n", "recogniser"),
        ("port = 1\n", "server.port"),
        ("[server.tls]\ncert = 'x'\n", "server.tls_"),
        ("log = 'debug'\n", "log."),
    ],
    ids=["an empty table", "outside every table", "a table too deep", "a value for a table"],
)
def test_a_misplaced_setting_in_a_file_is_an_error(config_file: Callable[[str], Path], text: str, nearest: str) -> None:
    with pytest.raises(SettingsError, match=f"did you mean {nearest}"):
        load_settings(config_file=config_file(text), environment={})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[server]\nport = 99999", "server.port is 99999, but must be a whole number from 0 to 65535"),
        ("[server]\nport = '80'", "server.port is '80', but must be a whole number from 0 to 65535"),
        ("[server]\nport = {a = 1}", "server.port is {'a': 1}, but must be a whole number from 0 to 65535"),
        ("[server]\nhost = ''", "server.host is '', but must be text that is not empty"),
        ("[tasks]\nkeep_after_fetch = 1", "tasks.keep_after_fetch is 1, but must be true or false"),
        (
            "[voice_activity]\nstart_threshold = 2",
            "voice_activity.start_threshold is 2, but must be a number from 0 to 1",
        ),
        (
            "[voice_activity]\nend_threshold = nan",
            "voice_activity.end_threshold is nan, but must be a number from 0 to 1",
        ),
        ("[voice_activity]\nkind = 'vad'", "voice_activity.kind is 'vad', but must be one of silero, webrtc"),
        ("[server]\ntls_key = 5", "server.tls_key is 5, but must be text"),
        ("[webrtc]\naddresses = ['eth0']", "webrtc.addresses is ['eth0'], but must be a list of IP addresses"),
        ("[webrtc]\nadvertised_address = 'x'", "webrtc.advertised_address is 'x', but must be an IP address, or empty"),
    ],
)
def test_a_value_that_cannot_be_used_is_an_error_that_says_what_is_expected(
    config_file: Callable[[str], Path], text: str, problem: str
) -> None:
    path = config_file(text)
    with pytest.raises(SettingsError) as error:
        load_settings(config_file=path, environment={})
    assert str(error.value) == f"{path}: {problem}"


def test_a_variable_that_cannot_be_used_is_named_as_the_operator_wrote_it() -> None:
    with pytest.raises(SettingsError, match="environment: AUSCULT_SERVER_PORT is 'http', but must be a whole number"):
        load_settings(environment={"AUSCULT_SERVER_PORT": "http"})


@pytest.mark.parametrize(
    "entry",
    [
        "10.0.0.0/99",
        "10.0.0.256",
        "10.0",
        "fd00::/129",
        "*.example.org",
        "http://emr",
        "emr:0x50",
        "a b",
        "exämple",
        ":80",
    ],
)
def test_an_allowed_host_that_is_none_is_an_error_and_not_taken_for_a_name(entry: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(environment={"AUSCULT_OUTGOING_ALLOW_HOSTS": f"10.0.0.0/8,{entry}"})
    assert str(error.value) == (
        f"environment: AUSCULT_OUTGOING_ALLOW_HOSTS: {entry!r} is no host name, HOST:PORT, address or network"
    )


def test_every_number_has_a_range() -> None:
    for name in NAMES:
        with pytest.raises(SettingsError) as error:
            load_settings(environment={}, flags={name: {}})  # type: ignore[dict-item]
        assert "None" not in error.value.problem


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ({"server.tls_cert": "chain.pem"}, "server.tls_cert and server.tls_key must be set together"),
        ({"internal.ca": "ca.pem"}, "internal.ca, internal.cert and internal.key must be set together"),
        ({"voice_activity.end_threshold": 0.6}, "end_threshold (0.6) must not be above start_threshold (0.5)"),
        ({"tokens.expires_s": 50_000}, "tokens.expires_s (50000) must not be above max_expires_s (43200)"),
        ({"webrtc.port_min": 9}, "webrtc.port_min (9) must not be above port_max (0), and both must be set"),
        ({"endpointing.silence_ms": 150}, "hangover_ms (160) must not be above silence_ms (150)"),
    ],
)
def test_values_that_contradict_each_other_are_an_error_that_names_their_sources(
    flags: dict[str, str | int | float | bool | Path | None], problem: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(environment={}, flags=flags)
    assert problem in error.value.problem
    assert error.value.source == f"{DEFAULTS} and command line"


def test_values_that_agree_only_together_may_come_from_two_sources(config_file: Callable[[str], Path]) -> None:
    settings = load_settings(
        config_file=config_file("[server]\ntls_cert = 'chain.pem'"), environment={"AUSCULT_SERVER_TLS_KEY": "key.pem"}
    )
    assert (settings.server.tls_cert, settings.server.tls_key) == ("chain.pem", "key.pem")


def test_a_file_that_is_missing_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: cannot be read: No such file or directory"):
        load_settings(config_file=tmp_path / "none.toml", environment={})


def test_a_file_that_is_no_toml_is_an_error_that_says_where(config_file: Callable[[str], Path]) -> None:
    with pytest.raises(SettingsError, match=r"is not TOML: .*line 2"):
        load_settings(config_file=config_file("[server]\nport == 1\n"), environment={})


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "auscult.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        load_settings(config_file=path, environment={})


def test_the_database_password_shows_neither_in_the_settings_nor_in_an_error() -> None:
    url = "postgresql://auscult:hunter2@db/auscult"
    settings = load_settings(environment={"AUSCULT_STORE_URL": url})
    assert settings.store.url == url
    assert "hunter2" not in f"{settings} {settings.store!r} {settings.__rich_repr__()} {settings.store.__rich_repr__()}"
    with pytest.raises(SettingsError, match=r"^command line: store\.url must be text$"):
        load_settings(environment={}, flags={"store.url": {"password": "hunter2"}})  # type: ignore[dict-item]


def test_a_variable_gives_a_list_with_commas() -> None:
    settings = load_settings(environment={"AUSCULT_WEBRTC_ADDRESSES": "192.0.2.1, 2001:db8::1,"})
    assert settings.webrtc.addresses == ("192.0.2.1", "2001:db8::1")


def test_the_password_of_a_turn_server_shows_neither_in_the_settings_nor_in_an_error() -> None:
    server = "turn:auscult:hunter2@turn.example.org:3478?transport=tcp"
    settings = load_settings(environment={"AUSCULT_WEBRTC_ICE_SERVERS": f"stun:stun.example.org,{server}"})
    assert settings.webrtc.ice_servers == ("stun:stun.example.org", server)
    assert "hunter2" not in f"{settings} {settings.webrtc!r} {settings.webrtc.__rich_repr__()}"
    with pytest.raises(SettingsError, match=r'^environment: AUSCULT_WEBRTC_ICE_SERVERS must be a list of "stun:HOST'):
        load_settings(environment={"AUSCULT_WEBRTC_ICE_SERVERS": "turn:auscult:hunter2"})


def test_the_key_lies_in_the_data_directory_unless_it_is_set() -> None:
    assert load_settings(environment={}, flags={"server.data_dir": "d"}).key_path == Path("d/key")
    assert Settings(store=StoreSettings(key_file="/safe/key")).key_path == Path("/safe/key")


def test_settings_cannot_be_changed_after_loading() -> None:
    settings = load_settings(environment={})
    with pytest.raises(AttributeError, match="immutable"):
        settings.server.port = 1  # type: ignore[misc]


@given(silence_ms=st.integers(160, 2000), port=st.integers(0, 65535), threshold=st.floats(0.35, 1))
def test_what_a_file_says_is_what_is_in_force(silence_ms: int, port: int, threshold: float) -> None:
    flags = {"server.port": port, "endpointing.silence_ms": silence_ms, "voice_activity.start_threshold": threshold}
    variables = {f"AUSCULT_{name.replace('.', '_').upper()}": str(value) for name, value in flags.items()}
    settings = load_settings(environment=variables)
    assert settings == load_settings(environment={}, flags=flags)
    assert settings.server.port == port
    assert settings.endpointing == EndpointingSettings(silence_ms=silence_ms)
    assert settings.voice_activity.start_threshold == threshold


def test_templates_and_glossaries_lie_beside_the_default_file() -> None:
    assert (config_directory() / "templates").is_dir()
    assert (config_directory() / "glossaries").is_dir()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[note_model]\nurl = 'http://127.0.0.1:11434/v1'\n",
            "note_model.url and note_model.name must be set together",
        ),
        ("[notes]\nwriter = 'model'\n", 'notes.writer = "model" needs note_model.url'),
        ("[note_model]\ncontext_tokens = 4096\nmax_output_tokens = 4000\n", "must not be above half"),
        ("[note_model]\nurl = 'http://user:password@host/v1'\n", "note_model.url"),
        ("[note_model]\nheaders = ['no header']\n", 'note_model.headers must be a list of "Name: value"'),
    ],
)
def test_a_language_model_that_cannot_work_as_set_is_an_error(
    config_file: Callable[[str], Path], text: str, said: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load_settings(config_file=config_file(text), environment={})
    assert said in str(error.value)


def test_the_key_and_the_headers_of_a_language_model_do_not_show() -> None:
    environment = {"AUSCULT_NOTE_MODEL_KEY": "sk-secret", "AUSCULT_NOTE_MODEL_HEADERS": "X-Key: sk-other, X-Team: a"}
    model = load_settings(environment=environment).note_model
    assert model.headers == ("X-Key: sk-other", "X-Team: a")
    assert "sk-" not in repr(model)
