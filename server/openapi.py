"""The endpoints described for machines: an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1). Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from server.endpoints import FORM, Content, Endpoint, Facade, Parameter

REFERENCE = "#/components/schemas/{name}"
FILE = {"type": "string", "format": "binary"}
SECURITY = "bearer"


def document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """The whole document, as JSON has it."""
    contents = list(dict.fromkeys(content for each in endpoints for content in _contents(each)))
    schemas, components = msgspec.json.schema_components(
        [content.schema for content in contents], ref_template=REFERENCE
    )
    described = dict(zip(contents, schemas, strict=True))
    for content, schema in described.items():
        if content.media_type == FORM:
            _with_files(components[schema["$ref"].rpartition("/")[2]])
    paths: dict[str, Any] = {}
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, described)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Auscult", "version": version, "description": ABOUT},
        "tags": [{"name": each.name, "description": each.about} for each in _facades(endpoints)],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {SECURITY: {"type": "http", "scheme": "bearer"}},
        },
    }


ABOUT = (
    "Live transcription of medical consultations, and notes of what was said. "
    "A key of `auscult keys create`, or a token made with one, goes into the Authorization header."
)


def _facades(endpoints: Iterable[Endpoint]) -> list[Facade]:
    named = {each.facade.name: each.facade for each in endpoints}
    return list(named.values())


def _contents(endpoint: Endpoint) -> list[Content]:
    given = [content for content in endpoint.gives.values() if content is not None]
    return [*endpoint.takes, *given, endpoint.facade.refusal]


def _operation(endpoint: Endpoint, described: Mapping[Content, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "tags": [endpoint.facade.name],
        "summary": endpoint.about,
        "operationId": _operation_id(endpoint),
        "responses": {
            **{str(status): _answer(status, content, described) for status, content in endpoint.gives.items()},
            **{str(status): _answer(status, endpoint.facade.refusal, described) for status in endpoint.statuses},
        },
        "security": [{SECURITY: []}] if endpoint.secured else [],
    }
    in_path = [Parameter(name, "path", "", required=True) for name in re.findall(r"{(\w+)", endpoint.path)]
    if parameters := [*in_path, *endpoint.parameters]:
        operation["parameters"] = [_parameter(each) for each in parameters]
    if endpoint.takes:
        operation["requestBody"] = {"required": True, "content": _content(endpoint.takes, described)}
    return operation


def _operation_id(endpoint: Endpoint) -> str:
    return re.sub(r"\W+", "_", f"{endpoint.method.lower()}{endpoint.path}").strip("_")


def _answer(status: int, content: Content | None, described: Mapping[Content, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if content is not None:
        answer["content"] = _content([content], described)
    return answer


def _content(contents: Iterable[Content], described: Mapping[Content, Any]) -> dict[str, Any]:
    return {each.media_type: {"schema": _schema(each, described)} for each in contents}


def _schema(content: Content, described: Mapping[Content, Any]) -> Any:
    return FILE if content.schema is bytes else described[content]


def _parameter(parameter: Parameter) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": parameter.name,
        "in": parameter.where,
        "schema": msgspec.json.schema(parameter.schema),
    }
    if parameter.about:
        described["description"] = parameter.about
    if parameter.required:
        described["required"] = True
    return described


def _with_files(form: dict[str, Any]) -> None:
    """A form's bytes are sent as they are, and not as JSON would have them."""
    for name, schema in form["properties"].items():
        if schema.get("contentEncoding"):
            form["properties"][name] = FILE
        elif schema.get("items", {}).get("contentEncoding"):
            form["properties"][name] = {"type": "array", "items": FILE}
