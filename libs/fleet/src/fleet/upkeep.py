"""What a charger says of its own accord apart from charging: boot, status, heartbeat."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NoReturn

from fleet import configuration as keys
from fleet.configuration import Configuration
from fleet.dialect import Dialect, Identity, Payload
from fleet.link import CallFailed, Link, LinkLost, Refused

log = logging.getLogger(__name__)

MOST_STATUSES = (
    64  # waiting to be sent; of more the oldest are forgotten, the server wants the newest
)
STATUS_TRIES = 3
UNWANTED = {"NotImplemented", "NotSupported"}  # a server that never wants to hear it
OWN_INTERVAL_S = 300  # when the server leaves the choice to the charger (interval 0)
BOOT_RETRY_S = (
    5  # after a boot that failed: sooner than people lose patience with a server that comes up
)

Status = tuple[int, str, datetime]
"""Connector id (0 is the station itself), status, since when."""


class NotReady(Exception):
    """The charger is not connected and booted in time; the text says what stands in the way."""


class Upkeep:
    """Keeps a link booted. `ready` is set while the charger may send what it likes.

    A reconnect needs no new boot (OCPP 1.6, 4.2; OCPP 2.0.1, B04), but every status is reported
    again. `statuses` gives the present ones, in the words of OCPP 1.6.
    """

    def __init__(
        self,
        link: Link,
        *,
        dialect: Dialect,
        call: Callable[[str, Payload], Awaitable[Payload]],
        configuration: Configuration,
        identity: Identity,
        statuses: Callable[[], list[Status]],
        say: Callable[[int, str], None],
    ) -> None:
        self.ready = asyncio.Event()
        self._link = link
        self._dialect = dialect
        self._call = call
        self._configuration = configuration
        self._identity = identity
        self._statuses = statuses
        self._say = say
        self._booted = False
        self._boot_reason = "PowerUp"
        self._said: dict[int, str] = {}
        self._boot_status: str | None = None
        self._next_boot = 0.0
        self._boot_now = asyncio.Event()
        self._beaten_at = 0.0
        self._reports: deque[Status] = deque(maxlen=MOST_STATUSES)
        self._wake = asyncio.Event()
        self.reported = asyncio.Event()
        self.reported.set()

    @property
    def booted(self) -> bool:
        """Whether the last BootNotification was answered Accepted."""
        return self._booted

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait for connection and boot. Raises NotReady."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.ready.wait()
        except TimeoutError:
            if self._link.opened.is_set() and self._boot_status:
                raise NotReady(f"the BootNotification was answered {self._boot_status}") from None
            raise NotReady(self._link.failure or "no answer yet") from None

    def report(self, connector_id: int, status: str, at: datetime) -> None:
        """Queue a status to be sent once ready, unless it is the same in the version's words."""
        word = self._dialect.status_word(connector_id, status)
        if self._said.get(connector_id) == word:
            return
        self._said[connector_id] = word or ""
        self._reports.append((connector_id, word or status, at))
        self.reported.clear()
        self._wake.set()

    def report_again(self, connector_id: int | None = None) -> None:
        """Queue the present status of a connector, or of all and the station."""
        for status in self._statuses():
            number, name, _ = status
            if connector_id in {None, number} and self._dialect.status_word(number, name):
                self._said.pop(number, None)
                self.report(*status)

    async def reboot(self, reason: str) -> None:
        """Close the connection; the next one begins with a BootNotification."""
        self._booted = False
        self._boot_reason = reason
        self._next_boot = 0
        await self._link.drop()

    async def trigger(self, message: str, connector_id: int | None) -> None:
        """Send BootNotification, Heartbeat or StatusNotification because the server asks for it."""
        if message == "StatusNotification":
            self.report_again(connector_id)
        elif message == "BootNotification" and not self._booted:
            self._boot_now.set()
        else:
            try:
                if message == "Heartbeat":
                    await self._call("Heartbeat", {})
                else:
                    await self._boot("Triggered")
            except CallFailed as error:
                log.info("the triggered %s failed: %s", message, error)

    async def keep_booted(self) -> NoReturn:
        while True:
            await self._link.opened.wait()
            self._say(0, f"connected to {self._link.address.url}")
            try:
                while not self._booted:
                    await self._wait_for_boot()
                    await self._try_boot()
            except LinkLost:
                await self._link.closed.wait()
                continue
            self._reports.clear()
            self.report_again()
            self._beaten_at = asyncio.get_running_loop().time()
            self.ready.set()
            await self._link.closed.wait()
            self.ready.clear()

    async def keep_talking(self) -> NoReturn:
        """Send what is to be reported, and a heartbeat when its time has come.

        One task for both: of thousands of idle chargers each task counts.
        """
        while True:
            await self.ready.wait()
            if self._reports:
                await self._send_status(self._reports.popleft())
                continue
            self.reported.set()
            self._wake.clear()
            interval_s = self._configuration.number(keys.HEARTBEAT) or OWN_INTERVAL_S
            try:
                async with asyncio.timeout_at(self._beaten_at + interval_s):
                    await self._wake.wait()
            except TimeoutError:
                self._beaten_at = asyncio.get_running_loop().time()
                if self.ready.is_set():
                    await self._beat()

    def beat_differently(self) -> None:
        """Heed a new heartbeat interval in the configuration."""
        self._wake.set()

    async def _beat(self) -> None:
        try:
            await self._call("Heartbeat", {})
        except CallFailed as error:
            log.info("the heartbeat failed: %s", error)

    async def _send_status(self, status: Status) -> None:
        message = self._dialect.status(*status)
        for tries in range(1, STATUS_TRIES + 1):
            try:
                await self._call(message.action, message.payload())
            except LinkLost:
                return  # everything is reported again after the reconnect
            except CallFailed as error:
                log.info("the status was not accepted: %s", error)
                if isinstance(error, Refused) and error.code in UNWANTED:
                    return
                await asyncio.sleep(tries)
            else:
                return

    async def _wait_for_boot(self) -> None:
        self._boot_now.clear()
        pause_s = self._next_boot - time.monotonic()
        if pause_s > 0:
            try:
                async with asyncio.timeout(pause_s):
                    await self._boot_now.wait()
            except TimeoutError:
                pass

    async def _try_boot(self) -> None:
        """Boot once, and note when the next attempt is due. Raises LinkLost."""
        try:
            interval_s = await self._boot(self._boot_reason)
        except LinkLost:
            raise
        except CallFailed as error:
            self._say(0, f"the BootNotification failed: {error}")
            interval_s = BOOT_RETRY_S
        self._next_boot = time.monotonic() + interval_s

    async def _boot(self, reason: str) -> int:
        """Send a BootNotification and return the interval it was answered with, in seconds."""
        boot = self._dialect.boot(self._identity, reason)
        answer = await self._call("BootNotification", boot)
        interval_s = max(1, answer["interval"] or OWN_INTERVAL_S)
        self._boot_status = answer["status"]
        if self._boot_status == "Accepted":
            self._booted = True
            self._configuration.put(keys.HEARTBEAT, str(interval_s))
            self.beat_differently()
            self._say(0, f"booted, heartbeat every {interval_s} s")
        else:
            self._say(0, f"the server says {self._boot_status}, next boot in {interval_s} s")
        return interval_s
