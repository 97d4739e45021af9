"""Calls to addresses that customers configured: webhooks, partners' endpoints, OIDC providers.

Whoever configures one must not reach into our own network through us. A name is resolved here,
every address it has is checked, and the connection goes to a checked one: a second look at DNS
could have another answer. Host, SNI and the certificate keep the name. Nothing is followed,
nothing is taken from the environment's proxies, no cookies are kept, and a call ends in time
however slowly the other side talks.

Below httpx: its pool asks a network backend for connections, and only there can the address be
chosen while connections stay those of a name. One made for the address by httpx would be used
again for another name at the same address, whose certificate nobody had looked at.
"""

import asyncio
import functools
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, NamedTuple, Self
from weakref import WeakValueDictionary

import anyio
import httpcore
import httpx

from common.endpoints import Refused, check_address, check_host

__all__ = ["Answer", "Outbound", "OutboundFailed", "check_url", "get", "post_json"]

URL_MAX: Final = 2000
ADDRESSES_MAX: Final = 4  # of a name; more are not tried
CONNECT_S: Final = 2.0  # an address; then the next, for one may be of a network that is down
CONNECTIONS_MAX: Final = 100
KEPT_MAX: Final = 50  # connections that wait for the next call, for KEPT_S
KEPT_S: Final = 30.0
AT_ONCE_MAX: Final = 10  # calls to one host; one that hangs must not take every connection
RESOLVERS: Final = 16  # threads; not the loop's own ones, which hash passwords
WELL_KNOWN: Final = 1024
AUTHORITY_END: Final = re.compile(r"[/?#]")

Resolve = Callable[[str, int], Awaitable[list[str]]]


class OutboundFailed(Exception):
    """There is no answer. why: a sentence for those who configured the address."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Answer(NamedTuple):
    status: int  # never 3xx
    headers: dict[str, str]  # names in lower case
    body: bytes


def check_url(url: str, allow_private: bool) -> None:
    """Is it an address that will be called? To be asked when it is configured. Raises ValueError.

    allow_private: http and our own networks too, for local stacks and tests. Names are not
    resolved here; that is done, and checked, at each connection.
    """
    _parsed(url, allow_private)


def _parsed(url: str, allow_private: bool) -> httpx.URL:
    if len(url) > URL_MAX:
        raise ValueError(f"an address has at most {URL_MAX} characters")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError("this is no web address") from error
    if parsed.scheme != "https" and not (allow_private and parsed.scheme == "http"):
        raise ValueError("an address begins with https://")
    if parsed.userinfo or "@" in AUTHORITY_END.split(url.partition("://")[2])[0]:
        raise ValueError("an address has no user name and password in it")
    if parsed.fragment or "#" in url:
        raise ValueError("an address has no # part")
    _check_port(parsed.port, allow_private)
    check_host(parsed.raw_host.decode("ascii"), allow_private)
    return parsed


def _check_port(port: int | None, allow_private: bool) -> None:
    if port is not None and not 0 < port < 65_536:
        raise ValueError(f"there is no port {port}")
    if port is not None and port < WELL_KNOWN and not allow_private:
        # httpx drops the scheme's own port, 443. The others speak mail and the like.
        raise ValueError("the port is 443, or 1024 and above")


class Outbound:
    """Connections to others, kept for the next call. One a process; `aclose` it at the end."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, resolve: Resolve | None = None
    ) -> None:
        """tls: who is trusted; None: the usual authorities, or those in SSL_CERT_FILE."""
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolve")
        # A connection made where private addresses are allowed is of no use where they are not.
        self._pools = {
            allowed: httpcore.AsyncConnectionPool(
                ssl_context=tls or _usual_tls(),
                network_backend=_Checked(resolve or self._resolve, allowed),
                max_connections=CONNECTIONS_MAX,
                max_keepalive_connections=KEPT_MAX,
                keepalive_expiry=KEPT_S,
            )
            for allowed in (False, True)
        }
        self._turns: WeakValueDictionary[bytes, asyncio.Semaphore] = WeakValueDictionary()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def post_json(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        bytes_max: int,
        allow_private: bool,
    ) -> Answer:
        """Raises OutboundFailed. timeout_s is for the whole call, bytes_max for the answer."""
        typed = {"content-type": "application/json", **_lower(headers)}
        call = _Call("POST", url, body, typed, timeout_s, bytes_max, allow_private)
        return await self._call(call)

    async def post_form(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        bytes_max: int,
        allow_private: bool,
    ) -> Answer:
        """The body is url-encoded. Raises OutboundFailed."""
        typed = {"content-type": "application/x-www-form-urlencoded", **_lower(headers)}
        call = _Call("POST", url, body, typed, timeout_s, bytes_max, allow_private)
        return await self._call(call)

    async def get(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        bytes_max: int,
        allow_private: bool,
    ) -> Answer:
        """Raises OutboundFailed."""
        call = _Call("GET", url, b"", _lower(headers), timeout_s, bytes_max, allow_private)
        return await self._call(call)

    async def _call(self, call: "_Call") -> Answer:
        try:
            url = _parsed(call.url, call.allow_private)
            _check_headers(call.headers)
        except ValueError as error:
            raise OutboundFailed(f"The address cannot be called: {error}.") from error
        with _told(url.host, call.timeout_s):
            async with asyncio.timeout(call.timeout_s), self._turn(url.raw_host):
                return await _exchange(self._pools[call.allow_private], url, call)

    @asynccontextmanager
    async def _turn(self, host: bytes) -> AsyncIterator[None]:
        turns = self._turns.get(host)
        if turns is None:
            self._turns[host] = turns = asyncio.Semaphore(AT_ONCE_MAX)
        async with turns:
            yield

    async def _resolve(self, host: str, port: int) -> list[str]:
        ask = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return list(dict.fromkeys(str(one[4][0]) for one in found))


class _Call(NamedTuple):
    method: str
    url: str
    body: bytes
    headers: dict[str, str]
    timeout_s: float
    bytes_max: int
    allow_private: bool


@functools.cache
def _usual_tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (name.isascii() and value.isascii() and value.isprintable()):
            raise ValueError(f"the header {name!a} has characters that no header may have")


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


async def _exchange(pool: httpcore.AsyncConnectionPool, url: httpx.URL, call: _Call) -> Answer:
    # Nothing compressed: a small answer must not become a large one here.
    fixed = {"host": url.netloc.decode("ascii"), "accept-encoding": "identity"}
    if call.method == "POST":
        fixed["content-length"] = str(len(call.body))
    headers = {"user-agent": "OpenLade", "accept": "application/json", **call.headers, **fixed}
    target = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
    async with pool.stream(
        call.method, target, headers=list(headers.items()), content=call.body or None
    ) as response:
        told = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in response.headers
        }
        if 300 <= response.status < 400:
            raise OutboundFailed(
                f"{url.host} answered with a redirect ({response.status}), which is not followed."
            )
        body = bytearray()
        async for piece in response.aiter_stream():
            body += piece
            if len(body) > call.bytes_max:
                raise OutboundFailed(
                    f"The answer of {url.host} is larger than {call.bytes_max} bytes."
                )
    return Answer(response.status, told, bytes(body))


@contextmanager
def _told(host: str, timeout_s: float) -> Iterator[None]:
    """Whatever goes wrong becomes a sentence; none tells what an inner name resolves to."""
    try:
        yield
    except TimeoutError as error:
        raise OutboundFailed(f"{host} did not answer within {timeout_s:g} s.") from error
    except Refused as error:
        raise OutboundFailed(f"{host} cannot be called: {error}.") from error
    except (httpcore.ConnectError, httpcore.ConnectTimeout, OSError, UnicodeError) as error:
        raise OutboundFailed(_why_no_connection(host, error)) from error
    except httpcore.NetworkError as error:
        raise OutboundFailed(f"The connection to {host} broke.") from error
    except httpcore.ProtocolError as error:
        raise OutboundFailed(f"{host} did not keep to HTTP.") from error


def _why_no_connection(host: str, error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"The certificate of {host} is not good: {cause.verify_message}."
        if isinstance(cause, ssl.SSLError):
            return f"{host} and we found no common way of TLS."
        if isinstance(cause, socket.gaierror | UnicodeError):
            return f"The name {host} is not known."
        cause = cause.__cause__ or cause.__context__
    return f"{host} took no connection."


class _Checked(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were checked, and to nothing else."""

    def __init__(self, resolve: Resolve, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the whole call has one
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._resolve(host, port)
        # All of them: a name with one of ours among them is not configured by mistake.
        for address in addresses:
            check_address(address, self._allow_private)
        failure: Exception = socket.gaierror("no addresses")
        for address in addresses[:ADDRESSES_MAX]:
            try:
                made = await self._sockets.connect_tcp(
                    address, port, CONNECT_S, local_address, socket_options
                )
                return _Closed(made)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        await self._sockets.sleep(seconds)


class _Closed(httpcore.AsyncNetworkStream):
    """Closed also when time is up within the TLS handshake; httpcore would leave it open."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()
            raise

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


async def post_json(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    bytes_max: int,
    allow_private: bool,
) -> Answer:
    """One call by itself; who calls often keeps an Outbound. Raises OutboundFailed."""
    async with Outbound() as calls:
        return await calls.post_json(
            url,
            body,
            headers,
            timeout_s=timeout_s,
            bytes_max=bytes_max,
            allow_private=allow_private,
        )


async def get(
    url: str,
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    bytes_max: int,
    allow_private: bool,
) -> Answer:
    """One call by itself. Raises OutboundFailed."""
    async with Outbound() as calls:
        return await calls.get(
            url, headers, timeout_s=timeout_s, bytes_max=bytes_max, allow_private=allow_private
        )
