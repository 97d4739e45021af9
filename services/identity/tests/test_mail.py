"""Mails: to a real server, that refuses, hangs, or wants TLS."""

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from email.headerregistry import Address
from pathlib import Path
from typing import Any

import pki
import pytest
from postbox import mailbox, post_office, text_of
from sqlalchemy import select, update
from stack import Issuer, Running, Servers, one_service

from common import mail_delivery
from common.clock import now
from common.database import PLATFORM
from common.mail import LINK
from common.mail_delivery import Delivery
from common.sealing import Sealer
from common.smtp_address import Server
from identity import mail
from identity.tables import Mail, Operator

KEY = "a secret key that is long enough, really"
SENDER = Address("Nord", addr_spec="no-reply@nord.example")


@pytest.fixture(scope="module")
async def quiet(servers: Servers, issuer: Issuer) -> AsyncIterator[Running]:
    """Identity that sends nothing by itself."""
    async with one_service(servers, issuer, "identity", secret_key=KEY) as service:
        yield service


def way(
    port: int,
    security: Any = "none",
    tls: ssl.SSLContext | None = None,
    login: tuple[str | None, str | None] = (None, None),
) -> Delivery:
    return Delivery(
        Mail,
        Server("127.0.0.1" if security == "none" else "localhost", port, security, *login),
        SENDER,
        Sealer(KEY, "identity"),
        tls,
    )


async def put(quiet: Running, to: str, **more: Any) -> Mail:
    """Into the outbox; the row."""
    values = {"subject": "Grüße", "text": "Guten Tag, hier ist Köln.\n.\nEnde\n"} | more
    async with quiet.app.state.connections.begin(PLATFORM) as db:
        await mail.send(db, None, to, **values)
    return await state(quiet, to)


async def state(quiet: Running, to: str) -> Mail:
    async with quiet.app.state.connections.begin(PLATFORM) as db:
        row: Mail = (await db.scalars(select(Mail).where(Mail.recipient == to))).one()
        return row


async def send_all(quiet: Running, by: Delivery) -> None:
    while await mail_delivery.deliver_once(quiet.app.state.connections, by):
        pass


async def as_if_later(quiet: Running, to: str, by: timedelta) -> None:
    async with quiet.app.state.connections.begin(PLATFORM) as db:
        moments = ("made_at", "next_try_at", "give_up_at", "sent_at", "failed_at")
        values = {name: getattr(Mail, name) - by for name in moments}
        await db.execute(update(Mail).where(Mail.recipient == to).values(**values))


async def test_a_mail_arrives_once_whole_and_says_what_it_is(quiet: Running) -> None:
    to = mailbox()
    link = b"https://x.example/#token=abc"
    sealed = Sealer(KEY, "identity").seal(link)
    row = await put(quiet, to, language="de", text=f"Köln\n.\n{LINK}\n", link=sealed)
    assert row.link is not None
    assert link not in row.link
    async with post_office() as box:
        await asyncio.gather(*(send_all(quiet, way(box.port)) for _ in range(3)))
        [found] = box.to(to)
    assert text_of(found).replace("\r\n", "\n") == "Köln\n.\nhttps://x.example/#token=abc\n"
    assert (found["Subject"], found["X-Envelope"]) == ("Grüße", to)
    assert found["From"] == "Nord <no-reply@nord.example>"
    assert found["Message-ID"] == f"<{row.id}@nord.example>"
    assert (found["Auto-Submitted"], found["Content-Language"]) == ("auto-generated", "de")
    sent = await state(quiet, to)
    assert sent.sent_at is not None
    assert (sent.link, sent.last_error, sent.tries) == (None, None, 1)


async def test_a_rolled_back_change_sends_no_mail(quiet: Running) -> None:
    to = mailbox()

    async def change_of_mind() -> None:
        async with quiet.app.state.connections.begin(PLATFORM) as db:
            await mail.send(db, None, to, "S", "T")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_of_mind()
    async with post_office() as box:
        await send_all(quiet, way(box.port))
        assert not box.to(to)


async def test_nothing_in_a_mail_becomes_a_header_or_another_recipient(quiet: Running) -> None:
    to, evil = mailbox(), mailbox()
    await put(quiet, to, subject=f"Hello\r\nBcc: {evil}\nX: \0y", text=f"\r\n.\r\nRCPT TO:<{evil}>")
    odd = f"a,{evil}"
    await put(quiet, odd)
    closing = f"x>{evil}"
    await put(quiet, closing)
    async with post_office() as box:
        await send_all(quiet, way(box.port))
        [found] = box.to(to)
        assert len(box.mails) == 1
    assert found["Subject"] == f"Hello Bcc: {evil} X: y"
    assert (found["Bcc"], found["X"], found["X-Envelope"]) == (None, None, to)
    for address in (odd, closing):
        row = await state(quiet, address)
        assert row.failed_at is not None, row.last_error


@pytest.mark.parametrize(
    ("to", "text"), [("never@{}", "x"), ("{}-unwanted@post.example", "unwanted")]
)
async def test_what_the_server_refuses_for_good_is_given_up_at_once(
    quiet: Running, to: str, text: str
) -> None:
    to = to.format(mailbox().partition("@")[0])
    await put(quiet, to, text=text, link=Sealer(KEY, "identity").seal(b"x"))
    async with post_office() as box:
        await send_all(quiet, way(box.port))
    row = await state(quiet, to)
    assert (row.sent_at, row.link, row.tries) == (None, None, 1)
    assert row.failed_at is not None
    assert (row.last_error or "")[:18] == "Undeliverable: 55" + ("0" if text == "x" else "4")


async def test_what_the_server_refuses_for_now_is_tried_again_later(quiet: Running) -> None:
    to = f"later@{mailbox().partition('@')[0]}"
    await put(quiet, to)
    async with post_office() as box:
        await send_all(quiet, way(box.port))
        row = await state(quiet, to)
        assert (row.sent_at, row.failed_at, row.tries) == (None, None, 1)
        assert timedelta(seconds=50) < row.next_try_at - now() < timedelta(seconds=61)
        box.open = False
        await send_all(quiet, way(box.port))
        assert not box.to(to)  # not yet
        await as_if_later(quiet, to, timedelta(minutes=2))
        await send_all(quiet, way(box.port))
        assert len(box.to(to)) == 1
    assert (await state(quiet, to)).sent_at is not None


async def test_after_a_day_a_mail_is_given_up_and_later_forgotten(quiet: Running) -> None:
    to = f"later@{mailbox().partition('@')[0]}"
    await put(quiet, to)
    await as_if_later(quiet, to, timedelta(hours=24))
    async with post_office() as box:
        await send_all(quiet, way(box.port))
    assert (await state(quiet, to)).failed_at is not None
    connections = quiet.app.state.connections
    await mail_delivery.prune_once(connections, Mail)
    await as_if_later(quiet, to, timedelta(days=29))
    await mail_delivery.prune_once(connections, Mail)
    assert (await state(quiet, to)).failed_at is not None
    await as_if_later(quiet, to, timedelta(days=2))
    await mail_delivery.prune_once(connections, Mail)
    async with connections.begin(PLATFORM) as db:
        assert await db.scalar(select(Mail).where(Mail.recipient == to)) is None


async def test_a_server_that_hangs_or_is_away_stops_nobody(
    quiet: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail_delivery, "REPLY_S", 0.3)
    first, second = mailbox(), mailbox()
    await put(quiet, first)
    await put(quiet, second)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        await asyncio.wait_for(send_all(quiet, way(port)), 25)  # of two it would be 40
    await as_if_later(quiet, first, timedelta(minutes=2))
    await send_all(quiet, way(port))  # nobody listens there now
    for to, tries in ((first, 2), (second, 1)):
        row = await state(quiet, to)
        assert (row.sent_at, row.failed_at, row.tries) == (None, None, tries)
        assert row.last_error


async def test_what_a_crashed_replica_had_taken_is_sent_by_another(quiet: Running) -> None:
    to = mailbox()
    await put(quiet, to)
    taken = await mail_delivery._take(quiet.app.state.connections, Mail)
    assert taken is not None
    async with post_office() as box:
        await send_all(quiet, way(box.port))
        assert not box.to(to)
        await as_if_later(quiet, to, mail_delivery.TAKEN)
        await send_all(quiet, way(box.port))
        assert len(box.to(to)) == 1


@pytest.fixture
def certified(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server and a client that trusts it have."""
    authority = pki.Authority("Post CA")
    pair = authority.write(tmp_path, "post", "localhost", server=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*pair)
    return server, ssl.create_default_context(cafile=str(authority.write_own(tmp_path)))


# aiosmtpd leaves the accepted socket of a connection that became TLS to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_beyond_loopback_mail_and_password_go_by_starttls_alone(
    quiet: Running, certified: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    server, trusting = certified
    to = mailbox()
    await put(quiet, to)

    async with post_office() as plain:  # it offers no TLS
        await send_all(quiet, way(plain.port, "starttls", trusting))
        row = await state(quiet, to)
        assert not plain.mails
        assert (row.sent_at, row.failed_at) == (None, None)
    await as_if_later(quiet, to, timedelta(minutes=30))
    async with post_office(server, login=True) as box:
        await send_all(quiet, way(box.port, "starttls", trusting, ("post", "secret of the post")))
        assert len(box.to(to)) == 1
        assert (box.was_tls, box.logged_in) == ([True], [b"post", b"secret of the post"])
    gc.collect()


async def test_a_server_that_nobody_vouches_for_gets_nothing(
    quiet: Running, certified: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    to, heard = mailbox(), []
    await put(quiet, to)

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0, ssl=certified[0]) as server:
        await send_all(quiet, way(server.sockets[0].getsockname()[1], "tls"))
    row = await state(quiet, to)
    assert (heard, row.sent_at, row.failed_at) == ([], None, None)
    assert "CERTIFICATE_VERIFY_FAILED" in (row.last_error or "")


async def test_a_mail_speaks_for_the_operator_in_its_first_language(quiet: Running) -> None:
    async with quiet.app.state.connections.begin(PLATFORM) as db:
        row = Operator(name="Nord", time_zone="UTC", currency="EUR", languages=["fr", "de"])
        db.add(row)
        await db.flush()
        assert await mail.voice(db, row.id) == ("Nord", "fr")
        assert await mail.voice(db, None) == ("OpenLade", "en")
