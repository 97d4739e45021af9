"""A partner's endpoint on a socket, which may misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Answerer = Callable[[dict[str, Any]], Awaitable[bytes]]


def http(body: Any, status: str = "200 OK", *headers: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(head).encode() + content


class Endpoint:
    """Answers with what `answer` gives; notes what it was asked."""

    def __init__(self) -> None:
        self.answer: Answerer = accepting
        self.asked: list[dict[str, Any]] = []
        self.raw: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = [line.partition(": ") for line in head.split("\r\n")[1:] if line]
                headers = {name.lower(): value for name, _, value in lines}
                body = await reader.readexactly(int(headers["content-length"]))
                self.raw.append((headers, body))
                self.asked.append(json.loads(body))
                writer.write(await self.answer(self.asked[-1]))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def accepting(asked: dict[str, Any]) -> bytes:
    return http({"id": asked["id"], "status": "Accepted"})


@asynccontextmanager
async def partner_endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/authorize"
    try:
        yield made
    finally:
        server.close()
