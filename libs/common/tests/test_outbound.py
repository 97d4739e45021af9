"""Calls to addresses that customers configured, against real sockets that behave badly."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pki import Authority
from stack import eventually

from common import outbound
from common.outbound import Answer, Outbound, OutboundFailed, check_url

NAME = "partner.example"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Their: thing\r\nSet-Cookie: a=b\r\n\r\n{}"
Handler = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


async def fine(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    await writer.drain()


async def hanging(_: bytes, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)
    writer.write(OK)


async def dripping(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def endless(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        await writer.drain()


async def redirecting(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def babbling(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await writer.drain()


async def cut(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.close()


class Endpoint:
    """A server that notes what it was asked, and over how many connections."""

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None) -> None:
        self.handler, self.tls = handler, tls
        self.requests: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                _, _, length = head.lower().partition(b"content-length: ")
                body = await reader.readexactly(int(length.split(b"\r\n")[0] or 0))
                self.requests.append(head + body)
                await self.handler(head, writer)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def endpoint(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    made = Endpoint(handler, tls)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def server_tls(authority: Authority, folder: Path, name: str, **how: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.write(folder, name, name, server=True, **how))
    return context


def resolving(*addresses: str) -> tuple[outbound.Resolve, list[str]]:
    """What DNS says of any name, and what it was asked. The last answer stays."""
    left, asked = list(addresses), []

    async def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return [left.pop(0) if len(left) > 1 else left[0]]

    return resolve, asked


async def post(calls: Outbound, url: str, **how: Any) -> Answer:
    usual = {"timeout_s": 5.0, "bytes_max": 10_000, "allow_private": True, "headers": {}}
    return await calls.post_json(url, b'{"a":1}', **{**usual, **how})


async def why(calls: Outbound, url: str, **how: Any) -> str:
    with pytest.raises(OutboundFailed) as failed:
        await post(calls, url, **how)
    return failed.value.why


@pytest.fixture
async def calls() -> AsyncIterator[Outbound]:
    resolve, _ = resolving("127.0.0.1")
    async with Outbound(resolve=resolve) as made:
        yield made


async def test_a_call_over_tls_keeps_the_name_and_the_connection(tmp_path: Path) -> None:
    authority = Authority("Root")
    trust = ssl.create_default_context(cafile=str(authority.write_own(tmp_path)))
    resolve, asked = resolving("127.0.0.1")
    async with (
        endpoint(fine, server_tls(authority, tmp_path, NAME)) as their,
        Outbound(tls=trust, resolve=resolve) as calls,
    ):
        url = f"https://{NAME}:{their.port}/hook?x=1"
        answers = [await post(calls, url, headers={"X-Ours": "1", "Host": "evil"}) for _ in "123"]
    assert answers[0].status == 200
    assert answers[0].body == b"{}"
    assert answers[0].headers["x-their"] == "thing"
    assert (their.connections, asked) == (1, [NAME])
    head, _, body = their.requests[2].lower().partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"post /hook?x=1 http/1.1"
    assert f"host: {NAME}:{their.port}".encode() in lines
    assert {b"content-type: application/json", b"x-ours: 1"} <= set(lines)
    assert not any(line.startswith((b"cookie", b"accept-encoding: g")) for line in lines)
    assert head.count(b"host:") == 1
    assert body == b'{"a":1}'


@pytest.mark.parametrize("wrong", ["name", "authority", "expired", "no tls"])
async def test_a_certificate_that_is_not_good_ends_the_call(tmp_path: Path, wrong: str) -> None:
    authority = Authority("Root")
    trust = ssl.create_default_context(cafile=str(authority.write_own(tmp_path)))
    issuer = Authority("Another") if wrong == "authority" else authority
    name = "elsewhere.example" if wrong == "name" else NAME
    tls = server_tls(issuer, tmp_path, name, days=(-9, -2 if wrong == "expired" else 2))
    resolve, _ = resolving("127.0.0.1")
    async with (
        endpoint(fine, None if wrong == "no tls" else tls) as their,
        Outbound(tls=trust, resolve=resolve) as calls,
    ):
        # Who speaks no TLS says nothing at all; the others need their time on a busy machine.
        limit_s = 2 if wrong == "no tls" else 20
        said = await why(calls, f"https://{NAME}:{their.port}/", timeout_s=limit_s)
    assert their.requests == []
    assert ("certificate" in said) == (wrong != "no tls"), said


async def test_two_names_at_one_address_share_no_connection(tmp_path: Path) -> None:
    """Or the second name's certificate would never be looked at."""
    authority = Authority("Root")
    trust = ssl.create_default_context(cafile=str(authority.write_own(tmp_path)))
    resolve, _ = resolving("127.0.0.1")
    async with (
        endpoint(fine, server_tls(authority, tmp_path, NAME)) as their,
        Outbound(tls=trust, resolve=resolve) as calls,
    ):
        await post(calls, f"https://{NAME}:{their.port}/")
        said = await why(calls, f"https://other.example:{their.port}/")
    assert "certificate" in said
    assert len(their.requests) == 1


@pytest.mark.parametrize(
    ("handler", "limit_s", "says"),
    [
        # Long enough to have been asked when it is over, also by a machine that is busy.
        (hanging, 2, "did not answer within 2 s"),
        (dripping, 2, "did not answer within 2 s"),
        (endless, 20, "larger than 10000 bytes"),
        (redirecting, 20, "redirect"),
        (babbling, 20, "did not keep to HTTP"),
        (cut, 20, "HTTP"),
    ],
)
async def test_an_endpoint_that_behaves_badly_costs_no_more_than_the_limits(
    calls: Outbound, handler: Handler, limit_s: float, says: str
) -> None:
    async with endpoint(handler) as their:
        began = time.monotonic()
        said = await why(calls, f"http://{NAME}:{their.port}/secret?token=1", timeout_s=limit_s)
        assert time.monotonic() - began < 15  # without limits those that need them take 30 and more
    assert says in said
    assert "token" not in said and "127.0.0.1" not in said
    assert len(their.requests) == 1


async def test_one_host_that_hangs_leaves_connections_for_the_others(calls: Outbound) -> None:
    async with endpoint(hanging) as theirs, endpoint(fine) as other:
        waiting = [
            asyncio.ensure_future(why(calls, f"http://slow.example:{theirs.port}/", timeout_s=25))
            for _ in range(200)
        ]

        async def reached() -> bool:
            return theirs.connections >= outbound.AT_ONCE_MAX

        await eventually(reached, 10)
        assert (await post(calls, f"http://{NAME}:{other.port}/", timeout_s=10)).status == 200
        assert theirs.connections == outbound.AT_ONCE_MAX
        # Who waits for a turn waits no longer than for an answer.
        said = await why(calls, f"http://slow.example:{theirs.port}/", timeout_s=0.2)
        assert said == "slow.example did not answer within 0.2 s."
        assert theirs.connections == outbound.AT_ONCE_MAX
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "192.0.0.192", "198.18.0.1", "203.0.113.1",
        "::1", "::", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1",
        "2002:7f00:1::1", "2001:0:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1", "100::1", "nonsense",
    ],
)  # fmt: skip
async def test_a_name_of_an_inner_address_is_not_called(address: str) -> None:
    resolve, asked = resolving(address)
    async with endpoint(fine) as inner, Outbound(resolve=resolve) as calls:
        said = await why(calls, f"https://{NAME}:{inner.port}/", allow_private=False)
    assert asked == [NAME]
    assert inner.connections == 0
    assert said.startswith(f"{NAME} cannot be called")
    assert address not in said


async def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    async def resolve(_: str, __: int) -> list[str]:
        return ["1.1.1.1", "127.0.0.1"]

    async with Outbound(resolve=resolve) as calls:
        assert "not public" in await why(calls, f"https://{NAME}/", allow_private=False)


async def test_what_is_checked_is_what_is_connected_to() -> None:
    """A name that says something else the second time: there is no second time."""
    resolve, asked = resolving("127.0.0.1", "169.254.169.254")
    async with endpoint(fine) as their, Outbound(resolve=resolve) as calls:
        assert (await post(calls, f"http://{NAME}:{their.port}/")).status == 200
        assert asked == [NAME]
        other = await why(calls, f"http://other.example:{their.port}/")
    assert "not public" in other


async def test_link_local_is_refused_even_where_private_addresses_are_allowed() -> None:
    for address in ("169.254.169.254", "fe80::1", "224.0.0.1", "0.0.0.0", "::ffff:10.0.0.1"):
        resolve, _ = resolving(address)
        async with Outbound(resolve=resolve) as calls:
            assert "cannot be called" in await why(calls, f"https://{NAME}/")


async def test_a_connection_made_where_private_is_allowed_serves_nobody_else() -> None:
    resolve, _ = resolving("127.0.0.1")
    async with endpoint(fine) as their, Outbound(resolve=resolve) as calls:
        url = f"http://{NAME}:{their.port}/"
        await post(calls, url)
        assert "https" in await why(calls, url, allow_private=False)


async def test_names_are_resolved_and_strange_ones_are_no_crash() -> None:
    async with Outbound() as calls, endpoint(fine) as their:
        answer = await calls.get(
            f"http://localhost:{their.port}/", {}, timeout_s=5, bytes_max=9, allow_private=True
        )
        assert answer.status == 200
        for host in ("nowhere.invalid", "a" * 64 + ".example", "localhost.localdomain"):
            said = await why(calls, f"https://{host}/", allow_private=False)
            assert host in said or "called" in said
        headers = await why(calls, "https://a.example/", headers={"X": "a\r\nHost: b"})
        assert "header" in headers


async def test_the_environments_proxies_are_not_asked(
    calls: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with endpoint(fine) as their:
        assert (await post(calls, f"http://{NAME}:{their.port}/")).status == 200


async def test_one_call_by_itself() -> None:
    async with endpoint(fine) as their:
        how: dict[str, Any] = {"timeout_s": 5, "bytes_max": 9, "allow_private": True}
        url = f"http://127.0.0.1:{their.port}/"
        assert (await outbound.get(url, {}, **how)).body == b"{}"
        assert (await outbound.post_json(url, b"[]", {}, **how)).status == 200
    assert [one.split(b" ")[0] for one in their.requests] == [b"GET", b"POST"]


@pytest.mark.parametrize(
    "url",
    [
        "", "x", "partner.example/hook", "http://partner.example/", "ftp://partner.example/",
        "file:///etc/passwd", "https://", "https:///path", "https://user@partner.example/",
        "https://user:word@partner.example/", "https://@partner.example/",
        "https://a.example\\@127.0.0.1/",
        "https://partner.example/#part", "https://partner.example:0/",
        "https://partner.example:25/", "https://partner.example:99999/",
        "https://partner.example:-1/", "https://partner.example:x/", "https://localhost/",
        "https://intranet/", "https://127.0.0.1/", "https://127.1/", "https://0x7f.1/",
        "https://0177.0.0.1/", "https://2130706433/", "https://[::1]/",
        "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/latest/", "https://a b.example/",
        "https://partner.example/\x00", "https://partner.example/\n",
        "https://partner.example/" + "x" * 2000,
    ],
)  # fmt: skip
def test_what_is_no_address_of_an_endpoint_is_refused_when_it_is_configured(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://partner.example", "https://partner.example:443/", "https://partner.example:8443/h",
        "https://1.1.1.1/", "https://[2606:4700::1111]/x", "https://bücher.example/",
        "https://a.example./x?y=1&z=%20", "HTTPS://PARTNER.EXAMPLE/",
    ],
)  # fmt: skip
def test_what_is_an_address_of_an_endpoint(url: str) -> None:
    check_url(url, allow_private=False)


def test_local_stacks_may_call_themselves() -> None:
    for url in ("http://localhost:8080/", "http://127.0.0.1:1/", "http://10.0.0.5:80/"):
        check_url(url, allow_private=True)
