"""What the console says: the same things in every language, all that it needs, and nothing besides."""

import re
from pathlib import Path

import pytest

from pipeline.notes.note import EXTRACT, PROVIDER
from pipeline.types import Role
from server.domain import Review, State

ROOT = Path(__file__).parents[2]
CONSOLE = ROOT / "server" / "console"
OTHER_APIS = {"haidy", "nabla", "openai", "soapnoteapi"}  # the console uses our own alone

ENTRY = re.compile(r'^  "?([\w.-]+)"?: "(.*)",$')  # the files have a key on each line
LITERAL = re.compile(r'"([\w.-]+)"')
CALL = re.compile(r"\bt\(([^;\n]*)")
FAMILY = re.compile(r"`([a-z_]+(?:\.[a-z_]+)*\.)\$\{[^}]*\}([\w.]*)`")
IN_PAGE = re.compile(r'data-t(?:-label|-placeholder|-title)?="([^"]+)"')
CODE = re.compile(r'(?:^    code = |(?:Warning|Failure)\(code=)"(\w+)"', re.MULTILINE)

BROWSERS_ERRORS = {  # https://w3c.github.io/mediacapture-main/#dom-mediadevices-getusermedia, …-screen-share, HTML
    "NotAllowedError",
    "NotFoundError",
    "NotReadableError",
    "OverconstrainedError",
    "NotSupportedError",
    "InvalidStateError",
}

# Codes that get no words of the console's own; where one is met all the same, it shows the server's English message.
NEVER_MET = {
    # of settings, files, keys and neighbours of the operator
    *("address_refused", "database_unusable", "fetch_failed", "invalid_glossary", "invalid_prompt", "invalid_template"),
    *("key_unavailable", "settings_error", "token_secret_broken", "tracing_unavailable", "voices_unavailable"),
    # of requests that the console does not send
    *("data_channel_gone", "hello_timeout", "config_timeout", "ice_restart_unsupported", "method_not_allowed"),
    *("no_audio", "no_common_codec", "one_channel", "precondition_required", "sdp_invalid", "sdp_too_large"),
    *("sdpfrag_invalid", "too_many_tracks", "unsupported_data", "unsupported_media_type", "video_only", "webrtc_error"),
    # of a connection that is made again without a word
    *("audio_lost", "client_gone", "session_lost", "slow_reader", "socket_error"),
    # behind which another error is told, or none
    *("duplicate_chunk", "log_broken", "recognition_failed", "recognition_given_up", "recognition_superseded"),
    *("recogniser_error", "recogniser_hung", "seal_broken"),
    # of classes whose subclasses are raised
    *("error", "model_error", "note_error", "quota_exceeded", "server_error"),
}
AS_THE_SERVER_SAYS = {"bad_request"}  # each has a message of its own


def texts(language: str) -> dict[str, str]:
    lines = (CONSOLE / f"texts.{language}.js").read_text(encoding="utf-8").splitlines()
    entries = [ENTRY.match(line) for line in lines if line and not line.startswith(("//", "export", "};"))]
    assert all(entries)
    read = [(each[1], each[2]) for each in entries if each]
    assert len(read) == len(dict(read))
    return dict(read)


ENGLISH = texts("en")
PAGE = (CONSOLE / "index.html").read_text(encoding="utf-8")
SCRIPTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted(CONSOLE.glob("*.js"))
    if not re.match(r"texts\.\w+\.js", path.name)
}
ALL_SCRIPTS = "\n".join(SCRIPTS.values())
CODES = {
    code
    for path in [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "server").rglob("*.py")]
    if not OTHER_APIS & set(path.parts)
    for code in CODE.findall(path.read_text(encoding="utf-8"))
}
STATES = {*re.findall(r'#change\("(\w+)"\)', SCRIPTS["recording.js"]), "connecting", "recording"}
SOURCES = set(re.findall(r'new Source\("(\w+)"', ALL_SCRIPTS))

FAMILIES: dict[tuple[str, str], set[str]] = {  # what stands before and behind a value, and the values
    ("role.", ""): set(Role),
    ("status.", ""): set(State),
    ("review.", ""): set(Review),
    ("writer.", ""): {EXTRACT, PROVIDER},
    ("recording.", ""): STATES,
    ("recording.", "_offline"): {"recording", "paused", "ending"},
    ("recording.gone.", ""): SOURCES,
    ("recording.silent.", ""): SOURCES,
    ("start.asks.", ""): SOURCES,
    ("start.go.", ""): set(re.findall(r'name="source" value="(\w+)"', PAGE)),
    ("foot.way.", ""): set(re.findall(r'(?:this\.way = |#use\()"(\w+)"', SCRIPTS["recording.js"])),
    ("error.", ""): CODES - NEVER_MET - AS_THE_SERVER_SAYS,
}


def called() -> set[str]:
    """The keys that are written out where a text is asked for; what is compared with a value is none."""
    said: set[str] = set()
    for call in CALL.findall(ALL_SCRIPTS):
        until = re.split(r", [{]|\)", call)[0]
        said.update(LITERAL.findall(re.sub(r'[!=]== "\w+"', "", until)))
    return said


def named() -> set[str]:
    """The keys that are written out anywhere else, to be asked for later."""
    first = {key.split(".")[0] for key in ENGLISH if "." in key}
    dotted = {literal for literal in LITERAL.findall(ALL_SCRIPTS) if "." in literal}
    return {literal for literal in dotted if literal.split(".")[0] in first}


def composed() -> set[str]:
    """The keys that are put together with a value."""
    return {f"{before}{value}{behind}" for (before, behind), values in FAMILIES.items() for value in values}


def thrown() -> set[str]:
    """The keys of errors that the page itself raises, or a browser."""
    own = re.findall(r'Problem\(0, "(\w+)"|DOMException\("[^"]*", "(\w+)"\)|name: "([A-Z]\w+)"', ALL_SCRIPTS)
    return {f"error.{name}" for name in {*("".join(names) for names in own), *BROWSERS_ERRORS}}


@pytest.mark.parametrize("language", ["de", "fr"])
def test_every_language_says_the_same_things(language: str) -> None:
    there = texts(language)

    assert list(there) == list(ENGLISH)
    assert all(there.values())
    for key, text in ENGLISH.items():
        assert sorted(re.findall(r"\{\w+\}", there[key])) == sorted(re.findall(r"\{\w+\}", text)), key


def test_every_text_that_the_page_asks_for_is_there() -> None:
    wanted = {*IN_PAGE.findall(PAGE), *called(), *named(), *composed(), *thrown()}

    assert wanted - set(ENGLISH) == set()


def test_no_text_is_there_for_nothing() -> None:
    wanted = {*IN_PAGE.findall(PAGE), *called(), *named(), *composed(), *thrown()}

    assert set(ENGLISH) - wanted == set()


def test_the_values_of_which_texts_are_composed_are_known() -> None:
    assert set(FAMILY.findall(ALL_SCRIPTS)) == set(FAMILIES)
    assert all(FAMILIES.values())


def test_what_fills_a_texts_braces_is_given_with_it() -> None:
    calls = re.findall(r'\bt\("([\w.-]+)"(?:, \{([^}]*)\})?', ALL_SCRIPTS)

    assert {key for key, _ in calls} >= {"foot.kept", "search.found", "past.erase_one"}
    for key, values in calls:
        assert set(re.findall(r"\{(\w+)\}", ENGLISH[key])) <= set(re.findall(r"\w+", values)), key


def test_it_was_decided_of_every_error_whether_the_console_says_it_in_words_of_its_own() -> None:
    assert CODES >= NEVER_MET | AS_THE_SERVER_SAYS
    assert not {f"error.{code}" for code in NEVER_MET | AS_THE_SERVER_SAYS} & set(ENGLISH)


def test_french_has_narrow_spaces_that_no_line_breaks_at() -> None:
    for key, text in texts("fr").items():
        assert not re.search(r" [:;!?»%]|« |\w[;!?»]|«\w", text), key
