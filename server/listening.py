"""What a server needs before it starts: addresses that are free, and a certificate that can be used."""

import errno
import os
import socket
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from server.errors import ServerError
from server.settings import ServerSettings

EXPLAINED = {
    errno.EADDRINUSE: "something else listens there: stop it, or choose another port with --port",
    errno.EADDRNOTAVAIL: "this machine has no such address: name one of its own with --host, or 0.0.0.0 for all",
    errno.EACCES: "this user may not: choose a port above 1023 with --port",
}


def bind(host: str, port: int) -> list[socket.socket]:
    """Sockets on every address that `host` stands for; clients are let in later. Raises `ServerError`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as exc:
        raise ServerError(
            f"The server cannot listen on {host}: no such address is known. Name one with --host."
        ) from exc
    bound: list[socket.socket] = []
    missing: OSError | None = None  # of several addresses one may have no network here (IPv6, in many containers)
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            bound.append(_bound(family, kind, protocol, address))
        except OSError as exc:
            missing = exc
            if exc.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                break
    else:
        if bound:
            return bound
    for listener in bound:
        listener.close()
    assert missing is not None
    number = missing.errno or 0
    reason = EXPLAINED.get(number, f"{os.strerror(number)}: choose others with --host and --port")
    raise ServerError(f"The server cannot listen on {host} port {port}: {reason}.") from missing


def _bound(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def check_certificate(cert: str, key: str) -> None:
    """See that a certificate chain and its private key can be used. Raises `ServerError`, which names file and flag."""
    for flag, what, path in (("--tls-cert", "certificate", cert), ("--tls-key", "private key", key)):
        try:
            Path(path).read_bytes()
        except OSError as exc:
            raise ServerError(f"The TLS {what} {path} cannot be read ({exc.strerror}): see {flag}.") from exc
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            cert, key, password=lambda: ""
        )  # never ask at a terminal
    except ssl.SSLError as exc:
        raise ServerError(
            f"The TLS certificate {cert} and the private key {key} cannot be used together ({exc.reason or 'no PEM'}):"
            " --tls-cert wants the chain in PEM, --tls-key its key in PEM without a password."
        ) from exc


def internal_address(settings: ServerSettings, sockets: Sequence[socket.socket]) -> str:
    """Base URL at which other processes reach this one: as set, or the address that it listens on."""
    if settings.internal_address:
        return settings.internal_address
    host, port = sockets[0].getsockname()[:2]
    if ip_address(host).is_unspecified:
        host = socket.getfqdn()
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
