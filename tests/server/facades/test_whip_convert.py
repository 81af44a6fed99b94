import pytest

from pipeline.types import Role
from server.errors import BadRequest
from server.facades.auscult.whip_convert import (
    PreconditionFailed,
    PreconditionRequired,
    UnsupportedMediaType,
    etag,
    ice_server_link,
    require_match,
    require_type,
    wanted,
)
from server.facades.auscult.whip_session import missed_bytes
from server.ingest.sdp import IceServer


def roles(tracks: int, **query: str) -> tuple[list[Role], bool]:
    feed = wanted(list(query.items())).feed(tracks)
    return [stream.role for stream in feed.streams], feed.split


def test_a_track_is_one_person_who_may_be_named() -> None:
    assert roles(1) == ([Role.UNSPECIFIED], False)
    assert roles(1, role="doctor") == ([Role.DOCTOR], False)


def test_two_roles_split_one_track_and_name_two() -> None:
    assert roles(1, roles="doctor,patient") == ([Role.DOCTOR, Role.PATIENT], True)
    assert roles(2, roles="patient, doctor") == ([Role.PATIENT, Role.DOCTOR], False)
    assert roles(2) == ([Role.DOCTOR, Role.PATIENT], False)


def test_streams_are_raw_audio_with_names_of_ours() -> None:
    streams = wanted([]).feed(2).streams
    assert [stream.name for stream in streams] == ["stream0", "stream1"]
    assert {(stream.encoding, stream.sample_rate, stream.channels) for stream in streams} == {("pcm_s16le", 16_000, 1)}


def test_options_are_named_as_on_the_other_ways_in() -> None:
    query = "language=de-CH template=SOAP note=false split_by_sentence=true glossary=a,b glossary=c"
    asked = wanted([(name, value) for name, _, value in (part.partition("=") for part in query.split())])
    options = asked.opening(asked.feed(1))
    assert (options.api, options.language, options.template) == ("whip", "de-CH", "SOAP")
    assert options.glossaries == ("a", "b", "c")
    assert (options.note, options.split_by_sentence, options.resumable, options.attended) == (False, True, True, True)


def test_the_notes_style_and_layout_are_named_as_on_the_other_ways_in() -> None:
    options = wanted([("style", "bullet_points"), ("split_by_problem", "true")]).options
    assert (options.style, options.split_by_problem, options.split_by_sentence) == ("bullet_points", True, False)
    with pytest.raises(BadRequest, match="style must be one of auto, paragraphs, bullet_points"):
        wanted([("style", "prose")])


def test_the_same_thing_may_be_said_twice() -> None:
    assert wanted([("role", "doctor"), ("role", "doctor")]).role is Role.DOCTOR


@pytest.mark.parametrize("tag", ['"x"', '"y", "x"', "*", '"*"'])
def test_an_entity_tag_matches(tag: str) -> None:
    require_match({"if-match": tag}, "x")


@pytest.mark.parametrize("tag", ["x", 'W/"x"', '"y"'])
def test_an_entity_tag_that_is_another_does_not_match(tag: str) -> None:
    with pytest.raises(PreconditionFailed):
        require_match({"if-match": tag}, "x")


def test_an_entity_tag_is_required() -> None:
    assert etag("x") == '"x"'
    with pytest.raises(PreconditionRequired):
        require_match({}, "x")


def test_parameters_of_a_media_type_do_not_matter() -> None:
    require_type({"content-type": "Application/SDP; charset=utf-8"}, "application/sdp")
    with pytest.raises(UnsupportedMediaType, match="application/sdp"):
        require_type({"content-type": "text/plain"}, "application/sdp")


def test_ice_servers_are_told_with_what_opens_them() -> None:
    assert ice_server_link(IceServer(url="stun:stun.example.org")) == '<stun:stun.example.org>; rel="ice-server"'
    told = ice_server_link(IceServer(url="turn:turn.example.org", user="me", password='a"b\\c'))
    assert told == (
        '<turn:turn.example.org>; rel="ice-server"; username="me"; credential="a\\"b\\\\c"; credential-type="password"'
    )


def test_a_switch_is_true_or_false() -> None:
    with pytest.raises(BadRequest, match="note must be true or false"):
        wanted([("note", "1")])


def test_a_number_is_a_whole_one() -> None:
    assert wanted([("max_gap_ms", "100")]).max_gap_ms == 100
    assert wanted([]).max_gap_ms is None
    for value in ("", "-1", "0.5", "١"):
        with pytest.raises(BadRequest, match="max_gap_ms must be a whole number"):
            wanted([("max_gap_ms", value)])


def test_what_a_stream_missed_is_a_whole_number_of_samples_and_never_negative() -> None:
    assert missed_bytes(0, 0.0) == 0
    assert missed_bytes(32_000, 1.5) == 16_000
    assert missed_bytes(64_000, 1.5) == 0
    assert missed_bytes(0, 1.00003) % 2 == 0
