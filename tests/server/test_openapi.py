"""The document that is made of the table: names, answers, headers, forms, sockets."""

from functools import partial
from typing import Any, ClassVar

import pytest
from jsonschema import Draft202012Validator
from msgspec import Struct
from openapi_spec_validator import validate
from starlette.requests import Request
from starlette.responses import Response

from server.docs import page
from server.endpoints import EVENTS, FORM, TEXT, Content, Endpoint, Facade, Header, Parameter, Socket
from server.openapi import document, socket_messages


class Note(Struct):
    """What was written."""

    title: str
    pages: int = 1


class Form(Struct):
    """An upload."""

    file: bytes
    more: list[bytes] = []


class Ping(Struct, tag="ping"):
    """Are you there?"""


class Pong(Struct, tag="pong"):
    """I am."""


class Other:
    class Note(Struct):
        """Somebody else's."""

        text: str

    kinds: ClassVar = [Note]


async def read(_: Request) -> Response:
    """Read a note.

    It may take
    a while.
    """
    return Response()


def facade(name: str) -> Facade:
    return Facade(name=name, about=f"{name}'s.", refuse=lambda _: Response(), refusal=Content(str))


def described(*endpoints: Endpoint) -> dict[str, Any]:
    made = document(endpoints, "1.0")
    validate(made)
    return made


ENDPOINT = partial(Endpoint, facade=facade("Ours"), method="GET", path="/notes/{note}", handler=read)


def operation(endpoint: Endpoint) -> dict[str, Any]:
    (methods,) = described(endpoint)["paths"].values()
    (only,) = methods.values()
    assert isinstance(only, dict)
    return only


def test_structs_of_the_same_name_are_told_apart_by_their_api() -> None:
    ours = ENDPOINT(gives={200: Content(Note)})
    theirs = Endpoint(
        facade=facade("Their API"), method="GET", path="/theirs", handler=read, gives={200: Content(Other.Note)}
    )
    components = described(ours, theirs)["components"]["schemas"]
    assert components["OursNote"]["description"] == "What was written."
    assert components["TheirAPINote"]["description"] == "Somebody else's."


def test_docstrings_are_summary_and_description() -> None:
    made = operation(ENDPOINT(gives={200: Content(Note)}))
    assert (made["summary"], made["description"]) == ("Read a note.", "It may take\na while.")


def test_parameters_of_the_path_are_required_and_described() -> None:
    plain = operation(ENDPOINT(gives={204: None}))
    assert plain["parameters"] == [
        {"name": "note", "in": "path", "description": "The id of the note.", "schema": {"type": "string"}}
        | {"required": True}
    ]
    own = operation(ENDPOINT(gives={204: None}, parameters=[Parameter("note", "path", "Its number.", int)]))
    assert [(each["description"], each["schema"]) for each in own["parameters"]] == [
        ("Its number.", {"type": "integer"})
    ]


def test_every_answer_has_its_headers() -> None:
    made = operation(ENDPOINT(gives={202: None}, refuses=(404,), headers={202: [Header("Location", "Where it is.")]}))
    assert set(made["responses"]) == {"202", "401", "403", "404", "405", "429", "500", "503"}
    headers = {status: set(answer.get("headers", {})) for status, answer in made["responses"].items()}
    assert headers["202"] == {"Location"}
    assert headers["401"] == {"WWW-Authenticate"}
    assert headers["405"] == {"Allow"}
    assert headers["429"] == headers["503"] == {"Retry-After"}


def test_several_answers_of_one_status_are_by_their_media_type() -> None:
    contents = [Content(Note), Content(Ping), Content(str, TEXT), Content(Ping | Pong, EVENTS)]
    content = operation(ENDPOINT(gives={200: contents}))["responses"]["200"]["content"]
    assert set(content) == {"application/json", TEXT, EVENTS}
    assert [each["$ref"] for each in content["application/json"]["schema"]["anyOf"]] == [
        "#/components/schemas/OursNote",
        "#/components/schemas/OursPing",
    ]


def test_files_of_a_form_are_sent_as_they_are() -> None:
    endpoint = ENDPOINT(method="POST", takes=[Content(Form, FORM)], gives={204: None})
    form = described(endpoint)["components"]["schemas"]["OursForm"]["properties"]
    assert form["file"] == {"type": "string", "format": "binary"}
    assert form["more"] == {"type": "array", "items": {"type": "string", "format": "binary"}}


@pytest.mark.parametrize("secured", [True, False])
def test_what_needs_a_key_says_so(secured: bool) -> None:
    made = operation(ENDPOINT(gives={204: None}, secured=secured))
    assert made["security"] == ([{"bearer": []}] if secured else [])
    assert ("401" in made["responses"]) == secured


SOCKET = Socket(name="a socket", about="Of ours.", paths=["/a"], sub_protocol="ours", receives=Ping, sends=Ping | Pong)


def test_messages_of_sockets_are_json_schema() -> None:
    made = socket_messages([SOCKET, Socket(name="another", about="", paths=["/b"], sends=Ping | Pong)], "1.0")
    Draft202012Validator.check_schema(made)
    first, second = made["x-sockets"]
    assert first["sends"] == second["sends"] == {"$ref": "#/$defs/ASocketSends"}
    assert "receives" not in second
    takes = Draft202012Validator(made | first["receives"])
    assert takes.is_valid({"type": "ping"})
    assert not takes.is_valid({"type": "pong"})
    assert Draft202012Validator(made | first["sends"]).is_valid({"type": "pong"})


def test_nothing_of_the_document_is_markup_on_the_page() -> None:
    sly = facade("<script>alert(1)</script>")
    endpoint = Endpoint(facade=sly, method="GET", path="/<b>", handler=read, gives={200: Content(Note)})
    text = page(document([endpoint], "<i>"), socket_messages([SOCKET], "<i>"))
    assert "<script" not in text
    assert "<b>" not in text
    assert "<i>" not in text
    assert "&lt;script&gt;" in text
