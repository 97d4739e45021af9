"""OCPP's security profiles on real sockets (2.0.1 A00, A01, A05; 1.6 security whitepaper)."""

import asyncio
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pki
import pytest
from gateway_wire import OPERATOR, PASSWORD, Gateway, Wire, running_gateway, stamp
from secured_wire import Secured, basic
from stack import Issuer, Servers
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidStatus

from csms_gateway.admission import GUESSES_AN_ADDRESS
from csms_gateway.tables import Station
from local_stack.servers import free_port

BOOT: dict[str, dict[str, Any]] = {
    "ocpp1.6": {"chargePointVendor": "Acme", "chargePointModel": "One"},
    **{
        version: {
            "reason": "PowerUp",
            "chargingStation": {"vendorName": "Acme", "model": "One"},
        }
        for version in ("ocpp2.0.1", "ocpp2.1")
    },
}


async def patch(gateway: Gateway, station: str, **body: Any) -> dict[str, Any]:
    async with gateway.service.as_(OPERATOR, "stations:write") as api:
        answer = await api.patch(
            f"/v1/stations/{station}/security", json=body, headers={"If-Match": "*"}
        )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
async def secured(
    servers: Servers, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Secured]:
    folder = tmp_path_factory.mktemp("pki")
    root, vendor = pki.Authority("Test servers"), pki.Authority("Test vendor")
    ecdsa = root.write(folder, "ecdsa", "localhost", server=True)
    rsa = root.write(folder, "rsa", "localhost", server=True, kind="rsa")
    (folder / "vendor.pem").write_bytes(pki.pem(vendor.certificate))
    port = free_port()
    async with running_gateway(
        servers,
        issuer,
        ocpp_tls_port=port,
        ocpp_tls_certificate=f"{ecdsa[0]},{rsa[0]}",
        ocpp_tls_key=f"{ecdsa[1]},{rsa[1]}",
        ocpp_client_ca=str(folder / "vendor.pem"),
        secret_key="s" * 40,
    ) as gateway:
        yield Secured(gateway, f"wss://localhost:{port}/ocpp", folder, root, vendor)


async def boots(socket: Any, protocol: str = "ocpp2.0.1") -> None:
    answer = await Wire(socket).send("BootNotification", BOOT[protocol])
    assert answer["status"] == "Accepted"


@pytest.mark.parametrize("protocol", BOOT)
async def test_TC_A_01_and_TC_085_a_station_with_its_password_is_let_in(
    gateway: Gateway, protocol: str
) -> None:
    station = await gateway.add_station()
    with pytest.raises(InvalidStatus) as refusal:
        async with gateway.connect(station, password="", subprotocols=[protocol]):
            pass
    assert refusal.value.response.status_code == 401
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        await boots(socket, protocol)


async def test_TC_A_02_and_03_a_wrong_user_or_password_is_refused(gateway: Gateway) -> None:
    station = await gateway.add_station()
    other = await gateway.add_station()
    for headers in (
        {},
        basic(other, PASSWORD),
        basic("Invalid", PASSWORD),
        basic(station, "InvalidPassword16ch"),
        basic(station, ""),
        {"Authorization": "Basic %%%"},
        {"Authorization": "Bearer abc"},
    ):
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(
                f"{gateway.url}/{station}",
                additional_headers=headers,
                subprotocols=["ocpp2.0.1"],  # type: ignore[list-item]
            ):
                pass
        assert refusal.value.response.status_code == 401, headers
        assert "Basic" in refusal.value.response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
async def test_TC_088_TC_B_58_the_stations_first_subprotocol_that_is_known_is_chosen(
    gateway: Gateway, version: str
) -> None:
    """TC_B_58 has a station without a common version refused before the handshake is complete;
    OCPP-J (1.6, 3.1.2; 2.0.1, 3.2) has it completed without a subprotocol and closed at once,
    which is what we do.
    """
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=["ocpp0.1"]) as socket:
        assert socket.subprotocol is None
        await asyncio.wait_for(socket.wait_closed(), 5)
        assert socket.close_code == 1002
    others = [one for one in ("ocpp2.1", "ocpp1.6", "ocpp2.0.1") if one != version]
    async with gateway.connect(station, subprotocols=["ocpp0.1", version, *others]) as socket:
        assert socket.response is not None
        assert socket.response.headers["Sec-WebSocket-Protocol"] == version
        assert "currentTime" in await Wire(socket).send("Heartbeat", {})


async def test_a_slash_at_the_end_of_the_url_does_no_harm(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with connect(
        f"{gateway.url}/{station}/",
        additional_headers=basic(station, PASSWORD),
        subprotocols=["ocpp1.6"],  # type: ignore[list-item]
    ) as socket:
        await boots(socket, "ocpp1.6")


async def test_a_password_set_in_hex_may_be_sent_as_the_bytes_it_stands_for(
    gateway: Gateway,
) -> None:
    station = await gateway.add_station()
    for form in (PASSWORD, PASSWORD.upper(), bytes.fromhex(PASSWORD)):
        async with connect(
            f"{gateway.url}/{station}",
            additional_headers=basic(station, form),
            subprotocols=["ocpp1.6"],  # type: ignore[list-item]
        ) as socket:
            await boots(socket, "ocpp1.6")


@pytest.mark.parametrize("protocol", BOOT)
async def test_TC_A_04_and_TC_086_a_password_over_tls_is_profile_2(
    secured: Secured, protocol: str
) -> None:
    station = await secured.gateway.add_station()
    async with secured.dial(station, subprotocols=[protocol]) as socket:
        tls = socket.transport.get_extra_info("ssl_object")
        assert tls.version() in ("TLSv1.2", "TLSv1.3")
        await boots(socket, protocol)
        async with secured.gateway.service.as_(OPERATOR, "status:read") as api:
            connection = (await api.get(f"/v1/stations/{station}/connection")).json()
        assert connection["security_profile"] == 2
    assert (await secured.security(station))["security_profile"] == 2


@pytest.mark.parametrize(
    "suite",
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
    ],
)
async def test_A00_FR_421_the_four_cipher_suites_of_ocpp_are_served(
    secured: Secured, suite: str
) -> None:
    station = await secured.gateway.add_station()
    context = secured.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suite)
    async with secured.dial(station, ssl=context) as socket:
        assert socket.transport.get_extra_info("cipher")[0] == suite


async def test_TC_A_06_tls_below_1_2_is_refused(secured: Secured) -> None:
    station = await secured.gateway.add_station()
    context = secured.client()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)):
        async with secured.dial(station, ssl=context):
            pass
    async with secured.dial(station) as socket:
        await boots(socket)


async def test_TC_A_07_and_TC_087_a_certificate_is_profile_3(secured: Secured) -> None:
    station = await secured.gateway.add_station()
    mine = secured.vendor.write(secured.folder, station, station)
    async with secured.dial(station, password=None, certificate=mine) as socket:
        await boots(socket)
    found = await secured.security(station)
    assert (found["security_profile"], found["connection_profile"]) == (3, 3)
    assert found["last_certificate"]["subject"] == f"CN={station}"


async def test_TC_A_08_a_wrong_certificate_is_refused(secured: Secured) -> None:
    station = await secured.gateway.add_station()
    stranger = pki.Authority("Test stranger").write(secured.folder, "stranger", station)
    old = secured.vendor.write(secured.folder, "old", station, days=(-9, -1))
    for certificate in (stranger, old):
        # TLS 1.3 tells a client of it only after its handshake.
        with pytest.raises((OSError, InvalidHandshake)):
            async with secured.dial(station, certificate=certificate):
                pass
    another = secured.vendor.write(secured.folder, "another", "SOMEBODY-ELSE")
    status = await secured.refused(station, password=None, certificate=another)
    assert status == 403
    servers = secured.vendor.write(secured.folder, "servers", station, server=True)
    with pytest.raises((OSError, InvalidHandshake)):
        async with secured.dial(station, password=None, certificate=servers):
            pass
    assert await secured.seen(station) == ["InvalidChargingStationCertificate"]
    mine = secured.vendor.write(secured.folder, "mine", station)
    async with secured.dial(station, password=None, certificate=mine) as socket:
        await boots(socket)


@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])
async def test_A04_security_events_are_kept_whatever_they_are_called_and_whenever_they_were(
    gateway: Gateway, protocol: str
) -> None:
    station = await gateway.add_station()
    events = [
        {"type": "TamperDetectionActivated", "timestamp": stamp(86_400), "techInfo": "lid"},
        {"type": "SettingSystemTime", "timestamp": stamp()},
        {"type": "A vendor's own", "timestamp": stamp()},
    ]
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        await boots(socket, protocol)
        for event in events:
            assert await Wire(socket).send("SecurityEventNotification", event) == {}
    async with gateway.service.as_(OPERATOR, "messages:read") as api:
        path = f"/v1/stations/{station}/notifications"
        found = await api.get(path, params={"action": "SecurityEventNotification"})
    assert [one["payload"] for one in reversed(found.json()["items"])] == events


async def test_A00_FR_403_the_path_may_lead_over_a_sub_ca(secured: Secured) -> None:
    below = pki.Authority("Test vendor, sub-CA", above=secured.vendor)
    station = await secured.gateway.add_station()
    certificate, key = below.write(secured.folder, "leaf", station)
    both = certificate.read_bytes() + pki.pem(below.certificate)
    certificate.write_bytes(both)
    async with secured.dial(station, password=None, certificate=(certificate, key)) as socket:
        await boots(socket)
    assert (await secured.security(station))["security_profile"] == 3


async def test_A00_FR_405_staff_may_name_the_serial_number_that_certificates_carry(
    secured: Secured,
) -> None:
    station = await secured.gateway.add_station()
    await patch(secured.gateway, station, certificate_name="SN-0815")
    mine = secured.vendor.write(secured.folder, station, "SN-0815")
    async with secured.dial(station, password=None, certificate=mine) as socket:
        await boots(socket)


@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_A_19_and_TC_083_a_higher_profile_cannot_be_left_again(
    secured: Secured, protocol: str
) -> None:
    gateway = secured.gateway
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        await boots(socket)
    async with secured.dial(station, subprotocols=[protocol]) as socket:
        await boots(socket)
    with pytest.raises(InvalidStatus) as refusal:
        async with gateway.connect(station, subprotocols=[protocol]):
            pass
    assert refusal.value.response.status_code == 403
    assert await secured.seen(station) == ["LowerSecurityProfile"]
    mine = secured.vendor.write(secured.folder, station, station)
    async with secured.dial(
        station, password=None, certificate=mine, subprotocols=[protocol]
    ) as socket:
        await boots(socket)
    assert await secured.refused(station) == 403
    # A00.FR.005: only people lower it.
    await patch(gateway, station, security_profile=1)
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        await boots(socket)


async def test_a_connection_below_a_profile_raised_by_staff_is_closed(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        await boots(socket, "ocpp1.6")
        await patch(gateway, station, security_profile=2)
        await asyncio.wait_for(socket.wait_closed(), 20)


async def test_a_password_set_by_staff_is_kept_as_argon2_and_never_shown(gateway: Gateway) -> None:
    station = await gateway.add_station()
    shown = await patch(gateway, station, password="vendor-default")
    assert shown["password_set"] is True
    assert "vendor-default" not in str(shown)
    (row,) = await gateway.rows(Station, station)
    assert row.password_hash.startswith("$argon2id$")
    for _ in range(2):
        async with gateway.connect(station, password="vendor-default") as socket:
            await boots(socket, "ocpp1.6")
    with pytest.raises(InvalidStatus):
        async with gateway.connect(station):
            pass
    async with gateway.service.as_(OPERATOR, "stations:write") as api:
        path = f"/v1/stations/{station}/security"
        assert (await api.patch(path, json={"security_profile": 1})).status_code == 428
        stale = await api.patch(path, json={}, headers={"If-Match": '"0"'})
        assert stale.status_code == 412
        short = await api.patch(path, json={"password": "x"}, headers={"If-Match": "*"})
        assert short.status_code == 422


async def test_profile_0_is_off_unless_the_setting_says_so(
    gateway: Gateway, servers: Servers, issuer: Issuer
) -> None:
    station = await gateway.add_station()
    await patch(gateway, station, security_profile=0)
    with pytest.raises(InvalidStatus) as refusal:
        async with gateway.connect(station, password=""):
            pass
    assert refusal.value.response.status_code == 401
    async with running_gateway(servers, issuer, ocpp_security_profile_0=True) as open_one:
        station = await open_one.add_station()
        with pytest.raises(InvalidStatus):
            async with open_one.connect(station, password=""):
                pass
        await patch(open_one, station, security_profile=0)
        async with open_one.connect(station, password="") as socket:
            await boots(socket, "ocpp1.6")
        async with open_one.connect(station) as socket:
            await boots(socket, "ocpp1.6")
        with pytest.raises(InvalidStatus):
            async with open_one.connect(station, password=""):
                pass


async def test_an_ingress_is_believed_only_from_its_address(
    gateway: Gateway, servers: Servers, issuer: Issuer, tmp_path: Path
) -> None:
    vendor = pki.Authority("Test vendor")
    (tmp_path / "vendor.pem").write_bytes(pki.pem(vendor.certificate))

    def through(station: str, url: str, authority: pki.Authority) -> connect:
        certificate = pki.pem(authority.issue(station, pki.new_key("rsa")))
        headers = {
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "192.0.2.9",
            "X-SSL-Client-Cert": quote(certificate.decode()),
        }
        return connect(
            f"{url}/{station}",
            additional_headers=headers,
            subprotocols=["ocpp1.6"],  # type: ignore[list-item]
        )

    async with running_gateway(
        servers,
        issuer,
        trusted_proxies="127.0.0.0/8",
        ocpp_client_ca=str(tmp_path / "vendor.pem"),
    ) as behind:
        station = await behind.add_station()
        for authority in (pki.Authority("Test vendor"), pki.Authority("Test stranger")):
            with pytest.raises(InvalidStatus) as refusal:
                async with through(station, behind.url, authority):
                    pass
            assert refusal.value.response.status_code == 403
        async with through(station, behind.url, vendor) as socket:
            await boots(socket, "ocpp1.6")
        async with behind.service.as_(OPERATOR, "stations:read") as api:
            found = (await api.get(f"/v1/stations/{station}/security")).json()
        assert found["security_profile"] == 3
    station = await gateway.add_station()
    with pytest.raises(InvalidStatus) as refusal:
        async with through(station, gateway.url, vendor):
            pass
    assert refusal.value.response.status_code == 401


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("over_a_sub_ca", [False, True])
async def test_a_resumed_tls_session_still_proves_who_the_station_is(
    secured: Secured, version: ssl.TLSVersion, *, over_a_sub_ca: bool
) -> None:
    """Its certificate is not sent again, and OpenSSL remembers the leaf alone."""
    station = await secured.gateway.add_station()
    vendor = secured.vendor
    signer = pki.Authority(f"Sub-CA {station}", above=vendor) if over_a_sub_ca else vendor
    certificate, key = signer.write(secured.folder, station, station)
    if over_a_sub_ca:
        certificate.write_bytes(certificate.read_bytes() + pki.pem(signer.certificate))
    context = secured.client((certificate, key))
    context.maximum_version = version
    kept: list[ssl.SSLSession] = []

    def upgrade() -> tuple[bool, bytes]:
        request = (
            f"GET /ocpp/{station} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n"
        )
        plain = socket.create_connection(("127.0.0.1", urlsplit(secured.url).port or 0), 5)
        before = kept[-1] if kept else None
        with context.wrap_socket(plain, server_hostname="localhost", session=before) as tls:
            tls.sendall(request.encode())
            answer = tls.recv(1000)
            assert tls.session
            kept.append(tls.session)
            return bool(tls.session_reused), answer

    for again in (False, True):
        reused, answer = await asyncio.to_thread(upgrade)
        assert reused == again
        assert b" 101 " in answer.partition(b"\r\n")[0], answer
    assert (await secured.security(station))["connection_profile"] == 3


async def test_passwords_that_people_chose_cannot_be_guessed_one_after_the_other(
    gateway: Gateway,
) -> None:
    """So many by one address, and then it has to wait; who was let in before is again."""
    station = await gateway.add_station()
    await patch(gateway, station, password="482915")

    async def status(password: str) -> int:
        try:
            async with gateway.connect(station, password=password):
                return 101
        except InvalidStatus as refusal:
            return refusal.response.status_code

    assert await status("482915") == 101
    left = GUESSES_AN_ADDRESS - 1  # the right one was one of them
    told = [await status(f"4829{number:02}") for number in range(30, 60)]
    assert told == [401] * left + [429] * (30 - left)
    assert await status("482930") == 401, "a guess repeated tells nothing new"
    assert await status("482915") == 101
    assert await status("482960") == 429
    station = await gateway.add_station()
    assert await status("482960") == 401, "another station's guesses are its own"


async def test_a_certificate_that_cannot_be_read_is_refused_as_any_bad_one(
    servers: Servers, issuer: Issuer, tmp_path: Path
) -> None:
    vendor = pki.Authority("Test vendor")
    (tmp_path / "vendor.pem").write_bytes(pki.pem(vendor.certificate))
    async with running_gateway(
        servers,
        issuer,
        trusted_proxies="127.0.0.0/8",
        ocpp_client_ca=str(tmp_path / "vendor.pem"),
    ) as behind:
        station = await behind.add_station()
        headers = {
            "X-Forwarded-Proto": "https",
            "X-SSL-Client-Cert": quote(pki.pem(pki.broken(station)).decode()),
        }
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(f"{behind.url}/{station}", additional_headers=headers):
                pass
        assert refusal.value.response.status_code == 403
