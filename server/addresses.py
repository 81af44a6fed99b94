"""Which addresses that somebody else gave may be called: public ones, and what the operator allows besides."""

import re
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from pipeline.errors import AuscultError

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last 32 bits
PORTS = {"http": 80, "https": 443}  # where no other is named; others below 1024 belong to services that are no web
NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # what ends in one is an IPv4 address, or wrong (WHATWG URL, host parsing)

Address: TypeAlias = IPv4Address | IPv6Address


class AddressRefused(AuscultError):
    """The address is not one that this server calls: an operator can allow its host with outgoing.allow_hosts."""

    code = "address_refused"


class AllowedHosts:
    """What the operator allows although it is not public: names, "name:port", addresses, networks."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Raises `ValueError`, which says what is none of these."""
        self._hosts: set[tuple[str, int | None]] = set()  # without a port: each of them
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in entries:
            try:
                self._networks.append(ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                self._hosts.add(_host(entry))

    def named(self, host: str, port: int) -> bool:
        """Whether this host is allowed by name."""
        return not self._hosts.isdisjoint({(host.lower(), None), (host.lower(), port)})

    def addressed(self, address: Address) -> bool:
        """Whether this address is allowed."""
        return any(address in network for network in self._networks if network.version == address.version)

    def check(self, host: str, port: int, addresses: Sequence[Address]) -> None:
        """Raises `AddressRefused` where a host that has these addresses may not be called."""
        if self.named(host, port):
            return
        if not all(self.addressed(address) or public(address) for address in addresses):
            raise AddressRefused
        if port not in PORTS.values() and port < 1024:
            raise AddressRefused("The address has a port below 1024 that is neither 80 nor 443.")

    def check_url(self, url: str) -> None:
        """Raises `AddressRefused` for what may never be called, as far as can be seen before its name is looked up."""
        parts = read_url(url)
        host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        self.check(host, port, _literal(host))


def public(address: Address) -> bool:
    """Whether it is a unicast address of the public internet, also where it wraps another one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return public(inner)
    site_local = isinstance(address, IPv6Address) and address.is_site_local  # of old (RFC 3879), and still routed
    return address.is_global and not (site_local or address.is_multicast or address.is_reserved)


def read_url(url: str) -> SplitResult:
    """The parts of what has the form of an address that may be called. Raises `AddressRefused`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("The address is not a valid http or https URL.") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise AddressRefused("The address is not a valid http or https URL.")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("The address must not carry a user name or password.")
    if port == 0 or any(not 32 < ord(char) < 127 for char in url):
        raise AddressRefused(
            "The address is not a valid http or https URL: write special characters as %XX, and names in Punycode."
        )
    return parts


def addresses_of(found: Iterable[str]) -> list[Address]:
    """Addresses as a look-up gives them, without the interface that a link-local one may name."""
    return [ip_address(each.partition("%")[0]) for each in found]


def _literal(host: str) -> list[Address]:
    """The address that a host is, in every way of writing one that the system's look-up knows; none for a name."""
    try:
        found = socket.getaddrinfo(host.partition("%")[0], None, flags=socket.AI_NUMERICHOST)  # asks nobody
    except (OSError, UnicodeError):
        return []
    return addresses_of(str(entry[4][0]) for entry in found)


def _host(entry: str) -> tuple[str, int | None]:
    """A name or an address in an operator's entry, and the port behind it. Raises `ValueError`."""
    try:
        parts = urlsplit(f"//{entry}")
        host, port = parts.hostname or "", parts.port
        if parts.netloc != entry or parts.username is not None:
            raise ValueError
        if ":" in host or NUMBER.fullmatch(host.rpartition(".")[2]):
            ip_address(host)
        elif not NAME.fullmatch(host):
            raise ValueError
    except ValueError:
        raise ValueError(f"{entry!r} is no host name, HOST:PORT, address or network") from None
    return host, port
