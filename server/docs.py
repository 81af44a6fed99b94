"""The page at `/docs`: the OpenAPI document and the sockets' messages, for people. Pure.

It has no script and needs nothing from elsewhere. Its style is named by its hash in the page's Content-Security-Policy,
which lets nothing else in.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

HTML = "text/html"

STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #777; --get: #2a7; --post: #27b; --other: #a62; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
h4 { margin: 1rem 0 .25rem; }
code, .method { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0; padding: .3rem .7rem; }
summary { cursor: pointer; }
details > :not(summary) { margin-left: .5rem; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; color: var(--other); }
.GET { color: var(--get); } .POST { color: var(--post); }
.quiet { color: var(--quiet); }
table { border-collapse: collapse; width: 100%; } td { border-top: 1px solid var(--line); padding: .2rem .5rem .2rem 0;
vertical-align: top; } td:first-child { width: 13rem; }
nav a { margin-right: 1rem; }
"""

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page(document: Mapping[str, Any], sockets: Mapping[str, Any]) -> str:
    """The whole page."""
    info = document["info"]
    groups = [(tag, list(_operations(document, tag["name"]))) for tag in document["tags"]]
    links = [*(tag["name"] for tag, _ in groups), "Sockets", "Schemas"]
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>',
            escape(info["title"]),
            '</title><meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{STYLE}</style></head><body><h1>{escape(info['title'])} {escape(info['version'])}</h1>",
            f"<p>{escape(info['description'])}</p>",
            '<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1), ',
            '<a href="sockets.json">sockets.json</a> (JSON Schema).</p><nav>',
            *(f'<a href="#{_anchor(name)}">{escape(name)}</a>' for name in links),
            "</nav>",
            *(_group(tag, operations) for tag, operations in groups),
            '<h2 id="Sockets">Sockets</h2>',
            *(_socket(each) for each in sockets["x-sockets"]),
            '<h2 id="Schemas">Schemas</h2>',
            *(_component(name, each) for name, each in document["components"]["schemas"].items()),
            *(_component(name, each) for name, each in sockets["$defs"].items()),
            "</body></html>",
        ]
    )


def _operations(document: Mapping[str, Any], tag: str) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield _operation(path, method.upper(), operation)


def _group(tag: Mapping[str, Any], operations: Iterable[str]) -> str:
    name = escape(tag["name"])
    return f'<h2 id="{_anchor(tag["name"])}">{name}</h2><p>{escape(tag["description"])}</p>{"".join(operations)}'


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    parts = [
        f'<details id="{_anchor(operation["operationId"])}"><summary><span class="method {method}">{method}</span>',
        f'<code>{escape(path)}</code> <span class="quiet">{escape(operation["summary"])}</span></summary>',
    ]
    if "description" in operation:
        parts.append(f"<p>{escape(operation['description'])}</p>")
    if not operation["security"]:
        parts.append("<p>Needs no key.</p>")
    if parameters := operation.get("parameters"):
        lines = [(f"<code>{escape(each['name'])}</code> ({each['in']})", _said(each)) for each in parameters]
        parts.append(f"<h4>Parameters</h4>{_table(lines)}")
    if body := operation.get("requestBody"):
        parts.append(f"<h4>Request</h4>{_table(_contents(body['content']))}")
    parts.append(f"<h4>Answers</h4>{_table(_answers(operation['responses']))}</details>")
    return "".join(parts)


def _answers(responses: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for status, answer in responses.items():
        said = [escape(answer["description"])]
        said += [f"{kind}: {schema}" for kind, schema in _contents(answer.get("content", {}))]
        said += [f"{escape(name)}: {escape(each['description'])}" for name, each in answer.get("headers", {}).items()]
        yield status, "<br>".join(said)


def _contents(content: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, each in content.items():
        yield f"<code>{escape(kind)}</code>", _type(each["schema"])


def _socket(socket: Mapping[str, Any]) -> str:
    lines = [("Paths", "<br>".join(f"<code>{escape(path)}</code>" for path in socket["paths"]))]
    if "subProtocol" in socket:
        lines.append(("Sub-protocol", f"<code>{escape(socket['subProtocol'])}</code>"))
    lines += [(f"The server {side}", _type(socket[side])) for side in ("receives", "sends") if side in socket]
    return (
        f'<details id="{_anchor(socket["name"])}"><summary>{escape(socket["name"])} '
        f'<span class="quiet">{escape(socket["description"])}</span></summary>{_table(lines)}</details>'
    )


def _component(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    lines = [
        (f"<code>{escape(field)}</code>{'' if field in required else ' (optional)'}", _said({"schema": each}))
        for field, each in schema.get("properties", {}).items()
    ]
    inside = _table(lines) if lines else f"<p>{_type(schema)}</p>"
    about = escape(schema.get("description", ""))
    summary = f'<summary>{escape(name)} <span class="quiet">{about}</span></summary>'
    return f'<details id="{_anchor(name)}">{summary}{inside}</details>'


def _said(value: Mapping[str, Any]) -> str:
    about = escape(value.get("description", ""))
    return f"{_type(value['schema'])} {about}".strip()


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{_anchor(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
    kind = schema.get("type", "anything")
    if kind == "array" and "items" in schema:
        return f"list of {_type(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map of {_type(schema['additionalProperties'])}"
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    words = [str(kind)]
    words += [f"{word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
    if "default" in schema and schema["default"] not in ("", None):
        words.append(f"by default {schema['default']}")
    return escape(", ".join(words))


_BOUNDS = {"format": "as", "minimum": "from", "maximum": "to", "minLength": "at least", "maxLength": "at most"}


def _table(lines: Iterable[tuple[str, str]]) -> str:
    return f"<table>{''.join(f'<tr><td>{name}</td><td>{said}</td></tr>' for name, said in lines)}</table>"


def _anchor(name: str) -> str:
    return escape(name.replace(" ", "-"))
