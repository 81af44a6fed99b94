"""`/console/`: the console's files, as they lie beside this module. No build, nothing from elsewhere, no key.

The files are read once. What they may do in a browser is said by `POLICY`: nothing but these files runs, nothing but
this server is spoken to, and no text can become markup (Trusted Types), whatever was said or pasted.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from server.endpoints import Content, Endpoint, Facade
from server.errors import NotFound

FOLDER = Path(__file__).parent
PAGE = "index.html"
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
WORTHWHILE_BYTES = 1024  # below, compressing saves no packet
POLICY = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",  # sockets to this server included (CSP3 §6.7.2.8)
            "media-src blob:",  # what was said, fetched with the token in a header and never in an address
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    ),
    # Chromium asks for the camera's permission, too, when a tab is shared; the page takes no picture of either.
    "Permissions-Policy": "camera=(self), display-capture=(self), geolocation=(), microphone=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """A file of the page, as it is sent."""

    octets: bytes
    compressed: bytes  # by gzip; empty: not worth it
    media_type: str
    etag: str  # strong, of `octets`; that of `compressed` has a suffix (RFC 9110 §8.8.1)


class Console:
    """See the module."""

    def __init__(self, facade: Facade, files: Mapping[str, StaticFile]) -> None:
        """`facade`: of its endpoints, which refuse in its words."""
        self._facade = facade
        self._files = files

    def endpoints(self) -> list[Endpoint]:
        own = partial(Endpoint, facade=self._facade, method="GET", secured=False)
        html = MEDIA_TYPES[".html"]
        return [
            own(path="/", handler=self.way, gives={307: None}),
            own(path="/console/", handler=self.page, gives={200: Content(str, html), 304: None, 308: None}),
            own(
                path="/console/{file}",
                handler=self.file,
                gives={200: [Content(str, each) for each in MEDIA_TYPES.values()], 304: None},
                refuses=(404,),
            ),
        ]

    async def way(self, _: Request) -> Response:
        """The way to the console, for whoever opens the server's address in a browser."""
        return _redirect(307, "console/")

    async def page(self, request: Request) -> Response:
        """The console: a page to record consultations with, to read and approve of their notes."""
        if not request.url.path.endswith("/"):  # its files are beside it
            return _redirect(308, "console/")
        return _answer(request, self._files[PAGE])

    async def file(self, request: Request) -> Response:
        """A file of the console."""
        found = self._files.get(request.path_params["file"])
        if found is None:
            raise NotFound("The console has no such file: load the page again, the server may be another version now.")
        return _answer(request, found)


def read_files(folder: Path = FOLDER) -> dict[str, StaticFile]:
    """The files of the page, by name."""
    paths = (path for path in sorted(folder.iterdir()) if path.suffix in MEDIA_TYPES)
    return {path.name: _static(path.read_bytes(), MEDIA_TYPES[path.suffix]) for path in paths}


def _static(octets: bytes, media_type: str) -> StaticFile:
    worthwhile = len(octets) >= WORTHWHILE_BYTES
    return StaticFile(
        octets=octets,
        compressed=gzip.compress(octets, mtime=0) if worthwhile else b"",
        media_type=media_type,
        etag=hashlib.sha256(octets).hexdigest()[:32],
    )


def _redirect(status: int, where: str) -> Response:
    """Relative, so that it holds behind a proxy with a path of its own, and names no host that a client made up."""
    return Response(status_code=status, headers={"Location": where, "Cache-Control": "no-cache"})


def _answer(request: Request, file: StaticFile) -> Response:
    """The file, compressed for who takes that; 304 for who has it. It is asked for each time, so a new server's page
    never runs with an old one's files.
    """
    compressed = bool(file.compressed) and "gzip" in request.headers.get("accept-encoding", "")
    etag = f'"{file.etag}-gzip"' if compressed else f'"{file.etag}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding", **POLICY}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if compressed:
        return Response(file.compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.octets, headers=headers, media_type=file.media_type)
