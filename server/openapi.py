"""The endpoints described for machines: an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1). Pure.

Beside it the sockets' messages, of which OpenAPI has no notion, as JSON Schema (https://json-schema.org/draft/2020-12).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from server.endpoints import FORM, Content, Endpoint, Facade, Header, Parameter, Socket

FILE = {"type": "string", "format": "binary"}
SECURITY = "bearer"
SOCKETS = "/sockets.json"

ABOUT = (
    "Live transcription of medical consultations, and notes of what was said. "
    "A key of `auscult keys create`, or a token made with one, goes into the Authorization header."
)
ABOUT_SOCKETS = "The messages of the server's sockets: what a client sends, and what it is told."

Described = Mapping[Content, Any]
"""The schema of each content."""

RETRY = Header("Retry-After", "Seconds to wait before the same request is sent again, where that is of use.", int)
HEADERS = {
    401: Header("WWW-Authenticate", "How to get in (RFC 6750 §3)."),
    405: Header("Allow", "The methods of this address."),
    429: RETRY,
    503: RETRY,
}


def document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """The whole document, as JSON has it."""
    components: dict[str, Any] = {}
    described: dict[str, Described] = {}
    for facade in _facades(endpoints):
        own = [each for each in endpoints if each.facade.name == facade.name]
        contents = list(dict.fromkeys(content for each in own for content in _contents(each)))
        described[facade.name] = _described(facade, contents, components)
    paths: dict[str, Any] = {}
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, described[each.facade.name])
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Auscult",
            "version": version,
            "description": ABOUT,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "Where this document was read."}],
        "externalDocs": {"url": SOCKETS, "description": ABOUT_SOCKETS},
        "tags": [{"name": each.name, "description": each.about} for each in _facades(endpoints)],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {SECURITY: {"type": "http", "scheme": "bearer"}},
        },
    }


def socket_messages(sockets: Sequence[Socket], version: str) -> dict[str, Any]:
    """What is sent over sockets, as a JSON Schema document whose `x-sockets` say where."""
    definitions: dict[str, Any] = {}
    known: dict[object, str] = {}  # of several that send the same
    lines: list[dict[str, Any]] = []
    for socket in sockets:
        line: dict[str, Any] = {"name": socket.name, "description": socket.about, "paths": list(socket.paths)}
        if socket.sub_protocol:
            line["subProtocol"] = socket.sub_protocol
        for side, kind in (("receives", socket.receives), ("sends", socket.sends)):
            if kind is None:
                continue
            if kind not in known:
                known[kind] = _prefix(f"{socket.name} {side}")
                definitions |= _definitions(kind, known[kind])
            line[side] = {"$ref": f"#/$defs/{known[kind]}"}
        lines.append(line)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Auscult {version}: sockets",
        "description": ABOUT_SOCKETS,
        "x-sockets": lines,
        "$defs": definitions,
    }


def _definitions(kind: object, name: str) -> dict[str, Any]:
    """The schema of a type under this name, and what it consists of under names that begin with it."""
    (schema,), parts = msgspec.json.schema_components([kind], ref_template=f"#/$defs/{name}{{name}}")
    return {name: schema, **{f"{name}{part}": each for part, each in parts.items()}}


def _described(facade: Facade, contents: Sequence[Content], components: dict[str, Any]) -> Described:
    """The schemas of a façade's contents; its components, named after it, are put in."""
    prefix = _prefix(facade.name)
    schemas, own = msgspec.json.schema_components(
        [content.schema for content in contents], ref_template=f"#/components/schemas/{prefix}{{name}}"
    )
    components |= {f"{prefix}{name}": schema for name, schema in own.items()}
    described = dict(zip(contents, schemas, strict=True))
    for content, schema in described.items():
        if content.media_type == FORM:
            _with_files(components[schema["$ref"].rpartition("/")[2]])
    return described


def _prefix(name: str) -> str:
    """ "Nabla generation B" → "NablaGenerationB"."""
    return "".join(word[0].upper() + word[1:] for word in re.findall(r"\w+", name))


def _facades(endpoints: Iterable[Endpoint]) -> list[Facade]:
    named = {each.facade.name: each.facade for each in endpoints}
    return list(named.values())


def _contents(endpoint: Endpoint) -> list[Content]:
    return [*endpoint.takes, *(content for contents in endpoint.answers.values() for content in contents)]


def _operation(endpoint: Endpoint, described: Described) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": [endpoint.facade.name],
        "summary": endpoint.about,
        "operationId": _operation_id(endpoint),
        "responses": {
            str(status): _answer(endpoint, status, contents, described)
            for status, contents in sorted(endpoint.answers.items())
        },
        "security": [{SECURITY: []}] if endpoint.secured else [],
    }
    if endpoint.more:
        operation["description"] = endpoint.more
    named = {each.name for each in endpoint.parameters if each.where == "path"}
    in_path = [
        Parameter(name, "path", f"The id of the {name}.", required=True)
        for name in re.findall(r"{(\w+)", endpoint.path)
        if name not in named
    ]
    if parameters := [*in_path, *endpoint.parameters]:
        operation["parameters"] = [_parameter(each) for each in parameters]
    if endpoint.takes:
        operation["requestBody"] = {"required": True, "content": _content(endpoint.takes, described)}
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    return re.sub(r"\W+", "_", f"{endpoint.method.lower()}{endpoint.path}").strip("_")


def _answer(endpoint: Endpoint, status: int, contents: Sequence[Content], described: Described) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    common = [HEADERS[status]] if status in HEADERS else []
    if headers := [*common, *endpoint.headers.get(status, ())]:
        answer["headers"] = {
            each.name: {"description": each.about, "schema": msgspec.json.schema(each.schema)} for each in headers
        }
    if contents:
        answer["content"] = _content(contents, described)
    return answer


def _content(contents: Iterable[Content], described: Described) -> dict[str, Any]:
    schemas: dict[str, list[Any]] = {}
    for each in contents:
        schemas.setdefault(each.media_type, []).append(_schema(each, described))
    return {kind: {"schema": own[0] if len(own) == 1 else {"anyOf": own}} for kind, own in schemas.items()}


def _schema(content: Content, described: Described) -> Any:
    return FILE if content.schema is bytes else described[content]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.about,
        "schema": msgspec.json.schema(parameter.schema),
    }
    if parameter.required or parameter.where == "path":
        described["required"] = True
    return described


def _with_files(form: dict[str, Any]) -> None:
    """A form's bytes are sent as they are, and not as JSON would have them."""
    for name, schema in form["properties"].items():
        if schema.get("contentEncoding"):
            form["properties"][name] = FILE
        elif schema.get("items", {}).get("contentEncoding"):
            form["properties"][name] = {"type": "array", "items": FILE}
