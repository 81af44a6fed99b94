import asyncio
import datetime
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bench.receiver import Got, answering, endless, hanging, in_turn, receiving
from server.addresses import AddressRefused
from server.errors import TooLarge
from server.outgoing import FetchFailed, Outgoing

LOOPBACK = ("127.0.0.0/8",)


class Names:
    """A resolver that a stranger may control: each look-up gives the next answer."""

    def __init__(self, addresses: dict[str, list[str]]) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answers = self.addresses[host]
        return [answers.pop(0) if len(answers) > 1 else answers[0]]


async def fetched(outgoing: Outgoing, url: str, most: int = 10_000) -> bytes:
    async with aclosing(outgoing.fetch(url, max_bytes=most)) as pieces:
        return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/", "http://localhost:{port}/", "http://[::1]:{port}/", "http://2130706433:{port}/",
        "http://0x7f.1:{port}/", "http://[::ffff:127.0.0.1]:{port}/", "http://0:{port}/",
    ],
)  # fmt: skip
async def test_no_way_of_writing_a_private_address_gets_through(url: str) -> None:
    async with receiving() as receiver:
        with pytest.raises((AddressRefused, FetchFailed)):
            await fetched(Outgoing(), url.format(port=receiver.port))
        answer = await Outgoing().post(url.format(port=receiver.port), b"x", {}, timeout_s=5)
        assert answer.status is None
        assert not receiver.got


async def test_low_ports_of_public_addresses_are_refused() -> None:
    names = Names({"a.example": ["8.8.8.8"]})
    with pytest.raises(AddressRefused, match="port"):
        await fetched(Outgoing(lookup=names), "http://a.example:25/")


async def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    async with receiving() as inside, receiving(answering(302, Location=f"http://127.0.0.2:{inside.port}/")) as outside:
        with pytest.raises(AddressRefused):
            await fetched(Outgoing(["127.0.0.1"]), outside.url)
        assert not inside.got


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "gopher://x/"])
async def test_redirects_are_checked_like_addresses(target: str) -> None:
    async with receiving(answering(307, Location=target)) as outside:
        with pytest.raises(AddressRefused):
            await fetched(Outgoing(LOOPBACK), outside.url)


async def test_a_name_that_changes_its_address_is_called_where_it_was_checked() -> None:
    """The address of the one look-up that there is for a connection is the one that is called."""
    async with receiving() as receiver:
        names = Names({"rebinding.example": ["127.0.0.1", "169.254.169.254"]})
        outgoing = Outgoing(["127.0.0.1"], lookup=names)
        assert await fetched(outgoing, f"http://rebinding.example:{receiver.port}/") == b""
        assert names.asked == ["rebinding.example"]
        with pytest.raises(AddressRefused):
            await fetched(outgoing, f"http://rebinding.example:{receiver.port}/")


async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    async def both(host: str, port: int) -> Sequence[str]:
        return ["8.8.8.8", "127.0.0.1"]

    with pytest.raises(AddressRefused):
        await fetched(Outgoing(lookup=both), "http://a.example/")


async def test_the_operator_allows_names_and_networks() -> None:
    async with receiving(answering(200, b"audio")) as receiver:
        names = Names({"files.hospital": ["127.0.0.1"]})
        url = f"http://files.hospital:{receiver.port}/a"
        for allowed in ("files.hospital", f"FILES.hospital:{receiver.port}", "127.0.0.1", "127.0.0.0/8"):
            assert await fetched(Outgoing([allowed], lookup=names), url) == b"audio"
        with pytest.raises(AddressRefused):
            await fetched(Outgoing(["files.hospital:1"], lookup=names), url)
        assert receiver.got[0].headers["host"] == f"files.hospital:{receiver.port}"


async def test_an_address_that_takes_no_connection_is_not_the_last_to_be_tried() -> None:
    async def both(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with receiving(answering(200, b"audio")) as receiver:
        url = f"http://a.example:{receiver.port}/"
        with taking_no_connection("127.0.0.2", receiver.port):
            assert await fetched(Outgoing(LOOPBACK, lookup=both, connect_timeout_s=1.0), url) == b"audio"
            with pytest.raises(FetchFailed, match="in time"):
                await fetched(Outgoing(LOOPBACK, connect_timeout_s=0.2), f"http://127.0.0.2:{receiver.port}/")


@contextmanager
def taking_no_connection(host: str, port: int) -> Iterator[None]:
    """A server whose backlog is full: the system leaves whoever knocks without an answer (tcp(7), listen(2))."""
    with ExitStack() as stack:
        stack.enter_context(socket.create_server((host, port), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((host, port))
        yield


async def test_redirects_are_followed_without_what_was_sent_before() -> None:
    async with (
        receiving(answering(200, b"audio")) as end,
        receiving(answering(301, Location=end.url, Set_Cookie="a=b")) as begin,
    ):
        assert await fetched(Outgoing(LOOPBACK), begin.url) == b"audio"
        assert not {"cookie", "authorization"} & set(end.got[0].headers)


async def test_a_circle_of_redirects_ends() -> None:
    async with receiving(answering(302, Location="/again")) as receiver:
        with pytest.raises(FetchFailed, match="too often"):
            await fetched(Outgoing(LOOPBACK), receiver.url)


@pytest.mark.parametrize(("status", "again"), [(404, False), (403, False), (503, True), (429, True)])
async def test_whether_another_try_is_worth_it(status: int, again: bool) -> None:
    async with receiving(answering(status)) as receiver:
        with pytest.raises(FetchFailed) as failed:
            await fetched(Outgoing(LOOPBACK), receiver.url)
        assert failed.value.retryable is again


async def test_a_file_larger_than_allowed_or_that_breaks_off_or_stalls_is_given_up() -> None:
    async with receiving(endless) as receiver:
        with pytest.raises(TooLarge):
            await fetched(Outgoing(LOOPBACK), receiver.url)

    async def breaks_off(_: Got, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    async with receiving(breaks_off) as receiver:
        with pytest.raises(FetchFailed) as failed:
            await fetched(Outgoing(LOOPBACK), receiver.url)
        assert failed.value.retryable
    async with receiving(hanging) as receiver:
        with pytest.raises(FetchFailed, match="in time"):
            await fetched(Outgoing(LOOPBACK, stall_timeout_s=0.2), receiver.url)


async def test_of_an_answer_no_more_is_read_than_needed_and_none_is_waited_for_too_long() -> None:
    async with receiving(endless) as receiver:
        answer = await Outgoing(LOOPBACK).post(receiver.url, b"{}", {}, timeout_s=10)
        assert answer.status == 200
    async with receiving(hanging) as receiver:
        answer = await Outgoing(LOOPBACK).post(receiver.url, b"{}", {}, timeout_s=0.3)
        assert (answer.status, answer.error) == (None, "timeout")


async def test_a_post_follows_no_redirect_and_says_when_to_come_again() -> None:
    async with receiving() as end, receiving(answering(307, Location=end.url, Retry_After="7")) as begin:
        answer = await Outgoing(LOOPBACK).post(begin.url, b"{}", {"Webhook-Id": "1"}, timeout_s=5)
        assert (answer.status, answer.retry_after) == (307, "7")
        assert not end.got
        assert begin.got[0].body == b"{}"
        assert begin.got[0].headers["webhook-id"] == "1"


async def test_what_is_said_of_a_refusal_names_no_address() -> None:
    with pytest.raises(AddressRefused) as refused:
        await fetched(Outgoing(), "http://127.0.0.1:1/secret?token=abc")
    assert "secret" not in str(refused.value)
    assert "outgoing.allow_hosts" in str(refused.value)


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's context, for the name files.example."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "files.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("files.example")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(pem)
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return serving, ssl.create_default_context(cadata=pem.decode())


async def test_certificates_go_by_the_name_although_the_address_is_pinned(tmp_path: Path) -> None:
    serving, trusting = certificate(tmp_path)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=serving) as server:
        port = server.sockets[0].getsockname()[1]
        names = Names({"files.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})
        outgoing = Outgoing(LOOPBACK, lookup=names, tls=trusting)
        assert await fetched(outgoing, f"https://files.example:{port}/") == b"ok"
        with pytest.raises(FetchFailed):
            await fetched(outgoing, f"https://other.example:{port}/")


@pytest.mark.parametrize("url", ["http://exämple.org/", "http://example.org/ä", "http://example.org/\x7f"])
async def test_an_address_with_characters_that_no_url_has_is_refused(url: str) -> None:
    assert (await Outgoing().post(url, b"", {}, timeout_s=1)).error == "address_refused"
    with pytest.raises(AddressRefused):
        await fetched(Outgoing(), url)


async def test_a_redirect_may_be_written_carelessly() -> None:
    async with receiving(in_turn(answering(302, location="/vis\xefte 1?a=b"), answering(200, b"audio"))) as there:
        assert await fetched(Outgoing(LOOPBACK), there.url) == b"audio"
    assert there.got[1].target == "/vis%C3%AFte%201?a=b"


async def test_a_file_whose_headers_never_end_is_given_up() -> None:
    async with receiving(trickling) as there:
        with pytest.raises(FetchFailed, match="in time") as failed:
            async with asyncio.timeout(20):
                await fetched(Outgoing(LOOPBACK, stall_timeout_s=0.3), there.url)
        assert failed.value.retryable


async def trickling(_: Got, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)
