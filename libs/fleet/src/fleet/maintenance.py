"""Firmware updates and uploads of logs: jobs that take their time and tell how they go.

Files are really fetched and really sent, by HTTP; whoever wants neither gives an address that does
not answer, and hears of a failure.
"""

import asyncio
import logging
import urllib.request
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fleet import certificates
from fleet.connectors import Connector
from fleet.dialect import Identity, Payload
from fleet.faults import Faults
from fleet.limits import read_moment
from fleet.link import CallFailed

log = logging.getLogger(__name__)

TRANSFER_TIMEOUT_S = 20
LARGEST_FIRMWARE = 64 << 20  # bytes; a charger's flash is no larger
RETRY_DELAY_S = 1


@dataclass(frozen=True)
class Notices:
    """How a job tells its progress. `long` is whether it has the words beyond OCPP 1.6's own."""

    action: str
    request_id: int | None
    long: bool = True

    def payload(self, status: str) -> Payload:
        number = {} if self.request_id is None else {"requestId": self.request_id}
        return {"status": status, **number}


@dataclass(frozen=True)
class Firmware:
    location: str
    retrieve_at: datetime
    install_at: datetime | None = None
    certificate: str | None = None
    signature: str | None = None
    tries: int = 1

    @classmethod
    def read(cls, payload: Payload) -> "Firmware":
        """Of an UpdateFirmware of OCPP 2.x or a SignedUpdateFirmware of OCPP 1.6."""
        firmware = payload["firmware"]
        install = firmware.get("installDateTime")
        return cls(
            firmware["location"],
            read_moment(firmware["retrieveDateTime"]),
            install and read_moment(install),
            firmware.get("signingCertificate"),
            firmware.get("signature"),
            1 + min(payload.get("retries", 0), 5),
        )


@dataclass
class Maintenance:
    """`reboot` gets the reason; `job` is the running one of each action, with its last status."""

    call: Callable[[str, Payload], Awaitable[Payload]]
    identity: Identity
    faults: Faults
    connectors: dict[int, Connector]
    clock: Callable[[], datetime]
    time_scale: float
    ready: asyncio.Event
    start: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
    reboot: Callable[[str], Awaitable[None]]
    journal: deque[str] = field(default_factory=lambda: deque(maxlen=100))
    last: dict[str, Payload] = field(default_factory=dict)
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    async def tell(self, action: str, payload: Payload) -> None:
        """Call the server when it can be heard; what it does not take is left."""
        await self.ready.wait()
        try:
            await self.call(action, payload)
        except CallFailed as error:
            log.info("%s was not taken: %s", action, error)

    async def wait_until(self, at: datetime) -> None:
        """Wait by the charger's clock, which may be turned meanwhile."""
        while True:
            ahead_s = (at - self.clock()).total_seconds() / self.time_scale
            if ahead_s <= 0:
                return
            await asyncio.sleep(min(ahead_s, 60))

    def begin_update(self, firmware: Firmware, notices: Notices) -> str:
        """Answer an update; one that runs already is given up for it."""
        if firmware.certificate and not certificates.readable(firmware.certificate):
            return "InvalidCertificate"
        return self._begin(self._update(firmware, notices), notices)

    def begin_upload(self, location: str, tries: int, notices: Notices) -> str:
        return self._begin(self._upload(location, min(tries, 5), notices), notices)

    def last_notice(self, action: str) -> Payload:
        """How its job goes; Idle once it is over (2.0.1, F06.FR.15 and FR.16; 1.6, 7.25)."""
        job = self.running.get(action)
        idle = {"status": "Idle"}
        return idle if job is None or job.done() else self.last.get(action, idle)

    def log_name(self) -> str:
        return f"{self.identity.serial}.log"

    def _begin(self, job: Coroutine[Any, Any, None], notices: Notices) -> str:
        before = self.running.pop(notices.action, None)
        cancelled = before is not None and not before.done()
        if before and cancelled:
            before.cancel()
        self.running[notices.action] = self.start(job, notices.action)
        return "AcceptedCanceled" if cancelled else "Accepted"

    async def _notify(self, notices: Notices, status: str) -> None:
        payload = notices.payload(status)
        self.last[notices.action] = payload
        await self.tell(notices.action, payload)

    async def _update(self, firmware: Firmware, notices: Notices) -> None:
        """Fetch, check, install; a failure is told and ends it (OCPP 2.0.1, L01)."""
        await self._scheduled(firmware.retrieve_at, notices, "DownloadScheduled")
        await self._notify(notices, "Downloading")
        image = await self._tried(firmware.tries, fetch, firmware.location)
        failure = self.faults.firmware_fails
        if image is None or failure == "DownloadFailed":
            await self._notify(notices, "DownloadFailed")
            return
        await self._notify(notices, "Downloaded")
        if firmware.certificate and firmware.signature:
            good = certificates.signed(image, firmware.certificate, firmware.signature)
            if not good or failure == "InvalidSignature":
                await self._notify(notices, "InvalidSignature")
                return
            await self._notify(notices, "SignatureVerified")
        await self._scheduled(firmware.install_at, notices, "InstallScheduled")
        for connector in self.connectors.values():
            if connector.session:
                await connector.session.ended.wait()
        await self._notify(notices, "Installing")
        if failure:
            await self._notify(notices, failure)
            return
        if notices.long:
            await self._notify(notices, "InstallRebooting")
        self.identity.firmware = firmware.location.rstrip("/").rsplit("/", 1)[-1]
        await self.reboot("FirmwareUpdate")
        await self._notify(notices, "Installed")

    async def _scheduled(self, at: datetime | None, notices: Notices, status: str) -> None:
        if at and at > self.clock():
            if notices.long:
                await self._notify(notices, status)
            await self.wait_until(at)

    async def _upload(self, location: str, tries: int, notices: Notices) -> None:
        await self._notify(notices, "Uploading")
        text = "\n".join(self.journal).encode()
        target = f"{location.rstrip('/')}/{self.log_name()}"
        done = await self._tried(tries, send, target, text)
        failure = "UploadFailure" if notices.long else "UploadFailed"
        await self._notify(notices, failure if done is None else "Uploaded")

    async def _tried(self, tries: int, work: Callable[..., bytes], *about: Any) -> bytes | None:
        for left in reversed(range(tries)):
            try:
                return await asyncio.to_thread(work, *about)
            except (OSError, ValueError) as error:
                log.info("a transfer failed: %s", error)
            if left:
                await asyncio.sleep(RETRY_DELAY_S)
        return None


def fetch(location: str) -> bytes:
    """Get a file. Raises OSError, or ValueError for an address that is none."""
    return _transfer(urllib.request.Request(_http(location)))  # noqa: S310 - HTTP, see _http


def send(location: str, data: bytes) -> bytes:
    """Put a file. Raises as fetch does."""
    request = urllib.request.Request(_http(location), data, method="PUT")  # noqa: S310
    return _transfer(request)


def _transfer(request: urllib.request.Request) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=TRANSFER_TIMEOUT_S) as response:
        body: bytes = response.read(LARGEST_FIRMWARE)
        return body


def _http(location: str) -> str:
    if not location.startswith(("http://", "https://")):
        raise ValueError(f"not an HTTP address: {location}")
    return location
