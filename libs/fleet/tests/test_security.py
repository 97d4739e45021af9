import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ocpp.v16
import ocpp.v201
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from fleet import Charger, Faults, NotReady
from fleet.certificates import hash_data

from .authority import Root, new_key
from .fake_csms import LONGEST_S, FakeCsms

CALL_1, CALL_2 = ocpp.v16.call, ocpp.v201.call


@pytest.fixture(scope="module")
def root() -> Root:
    return Root()


async def secure(root: Root, folder: Path, *, clients: bool) -> AsyncIterator[FakeCsms]:
    server = FakeCsms(tls=root.server_context(folder, clients=clients))
    await server.open()
    yield server
    await server.close()
    assert server.complaints == []


@pytest.fixture
async def tls_csms(root: Root, tmp_path: Path) -> AsyncIterator[FakeCsms]:
    async for server in secure(root, tmp_path, clients=False):
        yield server


@pytest.fixture
async def mutual_csms(root: Root, tmp_path: Path) -> AsyncIterator[FakeCsms]:
    async for server in secure(root, tmp_path, clients=True):
        yield server


def charger_of(csms: FakeCsms, ocpp: str = "2.0.1", **options: Any) -> Charger:
    fast: dict[str, Any] = {"delay_s": 0.01, "reconnect_min_s": 0.05}
    return Charger(csms.url, "DEMO-3", ocpp=ocpp, **(fast | options))


def authorization(csms: FakeCsms) -> str:
    header = csms.requests[-1].headers.get("Authorization", "Basic ")
    return base64.b64decode(header.removeprefix("Basic ")).decode()


def peer_name(csms: FakeCsms) -> tuple[str, int]:
    """Common name and serial number of the certificate the last charger showed."""
    raw = csms.peers[-1]._connection.transport.get_extra_info("ssl_object").getpeercert(True)
    certificate = x509.load_der_x509_certificate(raw)
    return certificate.subject.rfc4514_string(), certificate.serial_number


async def test_profile_0_sends_no_password(csms: FakeCsms) -> None:
    async with charger_of(csms) as charger:
        await charger.wait_ready()
    assert charger.security_profile == 0
    assert "Authorization" not in csms.requests[0].headers


async def test_profile_2_trusts_the_given_root_and_no_other(tls_csms: FakeCsms, root: Root) -> None:
    options: dict[str, Any] = {"password": "a-long-password-1"}
    async with charger_of(tls_csms, authorities=root.pem, **options) as charger:
        await charger.wait_ready()
        assert charger.security_profile == 2
        assert authorization(tls_csms) == "DEMO-3:a-long-password-1"
    failed = asyncio.Event()
    options["on_event"] = lambda _: failed.set()  # its connection does, and nothing else happens
    async with charger_of(tls_csms, authorities=Root().pem, **options) as charger:
        await asyncio.wait_for(failed.wait(), LONGEST_S)
        with pytest.raises(NotReady, match="CERTIFICATE_VERIFY_FAILED"):
            await charger.wait_ready(0.1)


async def test_profile_3_shows_a_certificate_and_is_refused_without(
    mutual_csms: FakeCsms, root: Root
) -> None:
    options: dict[str, Any] = {"authorities": root.pem, "certificate": root.client("DEMO-3")}
    async with charger_of(mutual_csms, **options) as charger:
        await charger.wait_ready()
        assert charger.security_profile == 3
        assert peer_name(mutual_csms)[0] == "CN=DEMO-3"
        assert "Authorization" not in mutual_csms.requests[0].headers
    async with charger_of(mutual_csms, authorities=root.pem) as charger:
        with pytest.raises(NotReady):
            await charger.wait_ready(0.5)


async def test_A02_a_renewed_certificate_is_shown_at_the_next_connection(
    mutual_csms: FakeCsms, root: Root
) -> None:
    options: dict[str, Any] = {"authorities": root.pem, "certificate": root.client("DEMO-3")}
    async with charger_of(mutual_csms, **options) as charger:
        await charger.wait_ready()
        _, old = peer_name(mutual_csms)
        await mutual_csms.command(
            CALL_2.TriggerMessage(requested_message="SignChargingStationCertificate")
        )
        (asked,) = await mutual_csms.until("SignCertificate")
        stranger = root.issue("DEMO-3", new_key())
        wrong = CALL_2.CertificateSigned(certificate_chain=stranger)
        assert (await mutual_csms.command(wrong)).status == "Rejected"
        signed = CALL_2.CertificateSigned(certificate_chain=root.sign(asked["csr"]))
        assert (await mutual_csms.command(signed)).status == "Accepted"
        await charger.cut()
        await charger.drain()
        await mutual_csms.until("StatusNotification", 2)
        name, new = peer_name(mutual_csms)
        assert new != old and "DEMO-3" in name
        assert (await mutual_csms.command(signed)).status == "Rejected"  # its key is in use


async def test_A01_a_new_password_is_used_at_the_next_connection(csms: FakeCsms) -> None:
    async with charger_of(csms, "1.6", password="the-first-password") as charger:
        await charger.wait_ready()
        short = CALL_1.ChangeConfiguration(key="AuthorizationKey", value="short")
        assert (await csms.command(short)).status == "Rejected"
        longer = CALL_1.ChangeConfiguration(key="AuthorizationKey", value="the-second-password")
        assert (await csms.command(longer)).status == "Accepted"
        keys = await csms.command(CALL_1.GetConfiguration())
        assert "the-second-password" not in str(keys)
        await charger.cut()
        await csms.until("StatusNotification", 4)
    assert authorization(csms) == "DEMO-3:the-second-password"


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_M03_M04_M05_roots_are_installed_listed_and_deleted(
    csms: FakeCsms, root: Root, version: str
) -> None:
    call: Any = CALL_1 if version == "1.6" else CALL_2
    kind = "CentralSystemRootCertificate" if version == "1.6" else "CSMSRootCertificate"
    asked = kind if version == "1.6" else [kind]
    async with charger_of(csms, version) as charger:
        await charger.wait_ready()
        listing = call.GetInstalledCertificateIds(certificate_type=asked)
        assert (await csms.command(listing)).status == "NotFound"
        install = call.InstallCertificate(certificate_type=kind, certificate=root.pem)
        assert (await csms.command(install)).status == "Accepted"
        nonsense = call.InstallCertificate(certificate_type=kind, certificate="nonsense")
        assert (await csms.command(nonsense)).status == "Rejected"
        listed = await csms.command(listing)
        found = str(vars(listed))
        data = hash_data(root.certificate)
        assert data["issuerKeyHash"] in found and data["serialNumber"] in found
        delete = call.DeleteCertificate(
            certificate_hash_data={
                "hash_algorithm": "SHA256",
                "issuer_name_hash": data["issuerNameHash"].upper(),
                "issuer_key_hash": data["issuerKeyHash"],
                "serial_number": data["serialNumber"],
            }
        )
        assert (await csms.command(delete)).status == "Accepted"
        assert (await csms.command(delete)).status == "NotFound"


class Files:
    """A small file server: gives one image, keeps what is put."""

    def __init__(self) -> None:
        self.image = b"firmware 2.0"
        self.put: list[bytes] = []
        self.url = ""

    async def open(self) -> asyncio.Server:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if head.startswith("put"):
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            self.put.append(await reader.readexactly(length))
        body = b"" if head.startswith("put") else self.image
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        )
        writer.write(body)
        await writer.drain()
        writer.close()


@pytest.fixture
async def files() -> AsyncIterator[Files]:
    made = Files()
    server = await made.open()
    yield made
    server.close()
    await server.wait_closed()


def statuses(csms: FakeCsms, action: str) -> list[str]:
    return [payload["status"] for payload in csms.payloads(action)]


def update_of(files: Files, root: Root, signature: bytes) -> Any:
    firmware = {
        "location": f"{files.url}/fleet-2.0",
        "retrieve_date_time": "2026-01-01T00:00:00Z",
        "signing_certificate": root.pem,
        "signature": base64.b64encode(signature).decode(),
    }
    return CALL_2.UpdateFirmware(request_id=5, firmware=firmware)


async def test_L01_a_signed_firmware_is_fetched_checked_installed_and_booted(
    csms: FakeCsms, root: Root, files: Files
) -> None:
    signature = root.key.sign(files.image, ec.ECDSA(hashes.SHA256()))
    async with charger_of(csms) as charger:
        await charger.wait_ready()
        update = update_of(files, root, signature)
        assert (await csms.command(update)).status == "Accepted"
        await csms.until("FirmwareStatusNotification", 6)
    assert statuses(csms, "FirmwareStatusNotification") == [
        *("Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting"),
        "Installed",
    ]
    assert {told["requestId"] for told in csms.payloads("FirmwareStatusNotification")} == {5}
    boot = csms.payloads("BootNotification")[1]
    assert boot["reason"] == "FirmwareUpdate"
    assert boot["chargingStation"]["firmwareVersion"] == "fleet-2.0"


@pytest.mark.parametrize(
    ("fault", "last"), [("", "InvalidSignature"), ("DownloadFailed", "DownloadFailed")]
)
async def test_L01_a_firmware_that_is_not_what_was_signed_is_not_installed(
    csms: FakeCsms, root: Root, files: Files, fault: str, last: str
) -> None:
    signature = root.key.sign(b"another", ec.ECDSA(hashes.SHA256()))
    async with charger_of(csms, faults=Faults(firmware_fails=fault)) as charger:
        await charger.wait_ready()
        await csms.command(update_of(files, root, signature))
        await csms.until("FirmwareStatusNotification", 2 if fault else 3)
    assert statuses(csms, "FirmwareStatusNotification")[-1] == last
    assert len(csms.sent("BootNotification")) == 1


async def test_an_unsigned_update_of_1_6_ends_installed_or_failed(
    csms: FakeCsms, files: Files
) -> None:
    async with charger_of(csms, "1.6") as charger:
        await charger.wait_ready()
        since = "2026-01-01T00:00:00Z"
        await csms.command(CALL_1.UpdateFirmware(location=f"{files.url}/x", retrieve_date=since))
        await csms.until("FirmwareStatusNotification", 4)
        nowhere = CALL_1.UpdateFirmware(location="ftp://nowhere/x", retrieve_date=since)
        await csms.command(nowhere)
        await csms.until("FirmwareStatusNotification", 6)
    assert statuses(csms, "FirmwareStatusNotification") == [
        *("Downloading", "Downloaded", "Installing", "Installed", "Downloading", "DownloadFailed")
    ]


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_N01_a_log_is_really_uploaded(csms: FakeCsms, files: Files, version: str) -> None:
    call: Any = CALL_1 if version == "1.6" else CALL_2
    async with charger_of(csms, version) as charger:
        await charger.wait_ready()
        for number, location in enumerate([files.url, "http://127.0.0.1:1"]):
            log = {"remote_location": location}
            asked = call.GetLog(log=log, log_type="DiagnosticsLog", request_id=number)
            assert (await csms.command(asked)).filename == "DEMO-3.log"
            await csms.until("LogStatusNotification", 2 * number + 2)
    assert statuses(csms, "LogStatusNotification") == [
        *("Uploading", "Uploaded", "Uploading", "UploadFailure")
    ]
    assert b"booted" in files.put[0]
