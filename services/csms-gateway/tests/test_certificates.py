"""Certificates of stations, asked for, signed, installed and renewed (2.0.1 A02, A03, M03 to M05;
1.6 security whitepaper).
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pki
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from gateway_wire import OPERATOR, Gateway, Wire, running_gateway
from secured_wire import Secured
from stack import Issuer, Servers, eventually
from websockets.exceptions import InvalidHandshake, InvalidStatus

from common import paging
from common.clock import now
from common.events import OperatorChanged
from csms_gateway import certificate_renewal, certificates, connections, signing
from csms_gateway.tables import (
    CertificateAuthority,
    Command,
    IssuedCertificate,
    Notification,
    OperatorName,
)
from local_stack.servers import free_port

NAME = "Test Energy"
TODAY = now()
TRIGGERS = {
    "ocpp1.6": ["ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}],
    "ocpp2.0.1": ["TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}],
    "ocpp2.1": ["TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}],
}


@pytest.fixture(scope="module")
async def secured(
    servers: Servers, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Secured]:
    folder = tmp_path_factory.mktemp("pki")
    root = pki.Authority("Test servers")
    certificate, key = root.write(folder, "server", "localhost", server=True)
    port = free_port()
    async with running_gateway(
        servers, issuer, ocpp_tls_port=port, ocpp_tls_certificate=str(certificate),
        ocpp_tls_key=str(key), secret_key="s" * 40, iso15118_url="local",
    ) as gateway:  # fmt: skip
        await gateway.service.publish(
            OperatorChanged(
                operator_id=OPERATOR, version=1, name=NAME, time_zone="Europe/Berlin",
                currency="EUR",
            )
        )  # fmt: skip

        async def known() -> Any:
            async with gateway.service.app.state.connections.begin("*") as db:
                return await db.get(OperatorName, OPERATOR)

        await eventually(known)
        yield Secured(gateway, f"wss://localhost:{port}/ocpp", folder, root, root)


@pytest.fixture(autouse=True)
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """A station is asked to renew once a day, and midnight may come between two looks."""
    monkeypatch.setattr(certificate_renewal, "now", lambda: TODAY)


async def let_in(
    secured: Secured, station: str, mine: tuple[Path, Path], protocol: str = "ocpp2.0.1"
) -> None:
    """Another replica's TLS port trusts a new root within 20 s, its own a moment after it is made:
    until then it is TLS that refuses, not the gateway.
    """

    async def tried() -> bool:
        try:
            async with secured.dial(
                station, password=None, certificate=mine, subprotocols=[protocol]
            ) as socket:
                return "currentTime" in await Wire(socket).send("Heartbeat", {})
        except InvalidStatus:
            raise
        except (OSError, InvalidHandshake):
            return False

    assert await eventually(tried)


async def next_call(socket: Any) -> list[Any]:
    call: list[Any] = json.loads(await asyncio.wait_for(socket.recv(), 5))
    assert call[0] == 2
    return call


async def answer(socket: Any, call: list[Any], status: str) -> None:
    await socket.send(json.dumps([3, call[1], {"status": status}]))


async def issued(gateway: Gateway, station: str, state: str) -> IssuedCertificate:
    async def there() -> Any:
        rows: list[Any] = await gateway.rows(IssuedCertificate, station)
        return next((row for row in rows if row.state == state), None)

    found: IssuedCertificate = await eventually(there)
    return found


def key_files(folder: Path, name: str, chain: str, key: Any) -> tuple[Path, Path]:
    (folder / f"{name}.pem").write_text(chain)
    (folder / f"{name}.key").write_bytes(pki.key_pem(key))
    return folder / f"{name}.pem", folder / f"{name}.key"


@pytest.mark.parametrize(
    ("protocol", "kind"),
    [
        ("ocpp1.6", "rsa"),
        ("ocpp1.6", "ecdsa"),
        ("ocpp2.0.1", "rsa"),
        ("ocpp2.0.1", "ecdsa"),
        ("ocpp2.1", "ecdsa"),
    ],
)
async def test_TC_A_11_and_TC_074_a_renewed_certificate_lets_the_station_in(
    secured: Secured, protocol: str, kind: str
) -> None:
    gateway = secured.gateway
    station = await gateway.add_station()
    key = pki.new_key(kind)
    async with secured.dial(station, subprotocols=[protocol]) as socket:
        wire = Wire(socket)
        csr = pki.signing_request(station, key, NAME)
        request = {"csr": csr}
        if protocol != "ocpp1.6":
            request["certificateType"] = "ChargingStationCertificate"
        assert await wire.send("SignCertificate", request) == {"status": "Accepted"}
        call = await next_call(socket)
        assert call[2] == "CertificateSigned"
        assert call[3].get("certificateType") == request.get("certificateType")  # A02.FR.14
        chain = call[3]["certificateChain"]
        (leaf,) = x509.load_pem_x509_certificates(chain.encode())
        assert leaf.public_key() == key.public_key()
        assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == station
        assert leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == NAME
        # It repeats itself before it has answered: nothing is signed twice (A02.FR.17).
        assert await wire.send("SignCertificate", request) == {"status": "Accepted"}
        await answer(socket, call, "Accepted")
        await issued(gateway, station, "accepted")
    mine = key_files(secured.folder, station, chain, key)
    await let_in(secured, station, mine, protocol)
    rows = await gateway.rows(IssuedCertificate, station)
    assert len(rows) == 1
    async with gateway.service.as_(OPERATOR, "stations:write", "stations:read") as api:
        listed = (await api.get(f"/v1/stations/{station}/certificates")).json()["items"]
        assert [one["state"] for one in listed] == ["accepted"]
        path = f"/v1/stations/{station}/certificates/{listed[0]['id']}"
        assert (await api.delete(path)).json()["revoked_at"]
        roots = (await api.get("/v1/certificate-authority")).json()["items"]
    leaf.verify_directly_issued_by(
        next(
            root
            for one in roots
            for root in x509.load_pem_x509_certificates(one["certificate"].encode())
            if root.subject == leaf.issuer
        )
    )
    assert await secured.refused(station, password=None, certificate=mine) == 403


async def test_another_operators_authority_opens_no_door(secured: Secured) -> None:
    gateway, rival = secured.gateway, uuid4()
    mine = await gateway.add_station()
    theirs = await gateway.add_station(operator=rival)
    # The rival names its own station's certificates as ours and gets one from its own authority.
    async with gateway.service.as_(rival, "stations:write") as api:
        named = await api.patch(
            f"/v1/stations/{theirs}/security",
            json={"certificate_name": mine},
            headers={"If-Match": "*"},
        )
        assert named.status_code == 200
    key = pki.new_key()
    async with secured.dial(theirs) as socket:
        csr = pki.signing_request(mine, key)
        assert (await Wire(socket).send("SignCertificate", {"csr": csr}))["status"] == "Accepted"
        chain = (await next_call(socket))[3]["certificateChain"]
    files = key_files(secured.folder, "rival", chain, key)
    await let_in(secured, theirs, files)
    assert await secured.refused(mine, password=None, certificate=files) == 403
    async with gateway.service.as_(rival, "stations:read") as api:
        listed = (await api.get("/v1/certificate-authority")).json()["items"]
        assert {one["operator_id"] for one in listed} == {str(rival)}
        found = await api.get(f"/v1/stations/{mine}/certificates")
        assert found.json()["items"] == []
        assert (await api.get(f"/v1/stations/{mine}/security")).status_code == 404


async def test_a_revoked_certificate_opens_no_other_stations_door_either(secured: Secured) -> None:
    """A station that got a new id keeps its certificate, by the name that staff give."""
    gateway = secured.gateway
    before, after = await gateway.add_station(), await gateway.add_station()
    key = pki.new_key()
    async with secured.dial(before) as socket:
        csr = pki.signing_request(before, key)
        assert (await Wire(socket).send("SignCertificate", {"csr": csr}))["status"] == "Accepted"
        chain = (await next_call(socket))[3]["certificateChain"]
    mine = key_files(secured.folder, before, chain, key)
    async with gateway.service.as_(OPERATOR, "stations:write", "stations:read") as api:
        url = f"/v1/stations/{after}/security"
        named = await api.patch(url, json={"certificate_name": before}, headers={"If-Match": "*"})
        assert named.status_code == 200
        await let_in(secured, after, mine)
        (one,) = (await api.get(f"/v1/stations/{before}/certificates")).json()["items"]
        await api.delete(f"/v1/stations/{before}/certificates/{one['id']}")
    assert await secured.refused(after, password=None, certificate=mine) == 403


async def test_who_is_connected_with_a_revoked_certificate_is_sent_away(secured: Secured) -> None:
    gateway = secured.gateway
    station = await gateway.add_station()
    key = pki.new_key()
    async with secured.dial(station) as socket:
        csr = pki.signing_request(station, key)
        assert (await Wire(socket).send("SignCertificate", {"csr": csr}))["status"] == "Accepted"
        chain = (await next_call(socket))[3]["certificateChain"]
    mine = key_files(secured.folder, station, chain, key)
    async with gateway.service.as_(OPERATOR, "stations:write", "stations:read") as api:
        (one,) = (await api.get(f"/v1/stations/{station}/certificates")).json()["items"]
        await let_in(secured, station, mine)
        async with secured.dial(station, password=None, certificate=mine) as socket:
            assert "currentTime" in await Wire(socket).send("Heartbeat", {})
            await api.delete(f"/v1/stations/{station}/certificates/{one['id']}")
            await asyncio.wait_for(socket.wait_closed(), 20)
            assert socket.close_code == connections.CHANGED
    assert await secured.refused(station, password=None, certificate=mine) == 403


async def test_a_station_gets_only_so_many_certificates_a_day(secured: Secured) -> None:
    station = await secured.gateway.add_station()
    async with secured.gateway.connect(station) as socket:
        wire = Wire(socket)
        for number in range(certificates.A_DAY_MAX + 1):
            csr = pki.signing_request(station, pki.new_key())
            answer = await wire.send("SignCertificate", {"csr": csr})
            good = number < certificates.A_DAY_MAX
            assert answer["status"] == ("Accepted" if good else "Rejected")


async def test_private_keys_are_stored_encrypted(secured: Secured) -> None:
    async with secured.gateway.service.as_(OPERATOR, "stations:write") as api:
        made = await api.post("/v1/certificate-authority")
        assert made.status_code == 200, made.text
        assert {one["algorithm"] for one in made.json()["items"]} == {"rsa", "ecdsa"}
        again = await api.post("/v1/certificate-authority")
        assert again.json() == made.json()
    async with secured.gateway.service.app.state.connections.begin("*") as db:
        row = await db.get(CertificateAuthority, UUID(made.json()["items"][0]["id"]))
    assert row is not None
    assert row.private_key.startswith(b"gAAAA")


@pytest.mark.parametrize("protocol", TRIGGERS)
async def test_A02_FR_12_a_request_that_is_not_good_is_rejected(
    secured: Secured, protocol: str
) -> None:
    station = await secured.gateway.add_station()
    key = pki.new_key()
    bad = {
        "cannot be read": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END",
        "common name": pki.signing_request("SOMEBODY-ELSE", key),
        "organisation": pki.signing_request(station, key, "Another Ltd"),
        "signature is wrong": pki.signing_request(station, key, forged=True),
        "too short": pki.signing_request(station, pki.new_key("rsa", bits=1024)),
    }
    async with secured.gateway.connect(station, subprotocols=[protocol]) as socket:
        wire = Wire(socket)
        for why, csr in bad.items():
            refused = await wire.send("SignCertificate", {"csr": csr})
            assert refused["status"] == "Rejected", why
            if protocol != "ocpp1.6":
                assert why in refused["statusInfo"]["additionalInfo"]
        assert "currentTime" in await wire.send("Heartbeat", {})
    assert not await secured.gateway.rows(IssuedCertificate, station)
    rows = await secured.gateway.rows(Notification, station)
    assert len(rows) == len(bad)
    assert all(row.payload["type"] == "SigningRequestRefused" for row in rows)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d03017d")),  # the curve
        (bytes.fromhex("03420004"), bytes.fromhex("03420009")),  # the form of the key's point
        (bytes.fromhex("020100"), bytes.fromhex("02017d")),  # the version of the request
    ],
    ids=["curve", "point", "version"],
)
async def test_A02_FR_12_a_request_with_garbage_inside_is_rejected(
    secured: Secured, good: bytes, bad: bytes
) -> None:
    station = await secured.gateway.add_station()
    csr = pki.signing_request(f"{station:.10}", pki.new_key())
    encoded = base64.b64decode("".join(csr.split("\n")[1:-2]))
    assert good in encoded
    broken = base64.b64encode(encoded.replace(good, bad)).decode()
    async with secured.gateway.connect(station, subprotocols=["ocpp2.0.1"]) as socket:
        answer = await Wire(socket).send("SignCertificate", {"csr": broken})
        assert answer["status"] == "Rejected"
    assert not await secured.gateway.rows(IssuedCertificate, station)


def test_a_certificate_holds_only_so_much_of_an_operators_name() -> None:
    """RFC 5280: 64 characters; identity takes 200."""
    name = "Stadtwerke und Verkehrsbetriebe der Stadt Beispielhausen an der Musterach mbH"
    request = signing.parse_request(pki.signing_request("SN-1", pki.new_key(), name[:64]))
    assert signing.check_request(request, "SN-1", name) == "ecdsa"
    with pytest.raises(signing.RequestRefused):
        signing.check_request(request, "SN-1", name[:40])


async def test_without_a_secret_key_nothing_is_signed(servers: Servers, issuer: Issuer) -> None:
    async with running_gateway(servers, issuer, secret_key=None) as gateway:
        station = await gateway.add_station()
        async with gateway.connect(station, subprotocols=["ocpp2.0.1"]) as socket:
            csr = pki.signing_request(station, pki.new_key())
            refused = await Wire(socket).send("SignCertificate", {"csr": csr})
        assert refused["status"] == "Rejected"
        assert "CSMS_SECRET_KEY" in refused["statusInfo"]["additionalInfo"]
        async with gateway.service.as_(OPERATOR, "stations:write") as api:
            assert (await api.post("/v1/certificate-authority")).status_code == 503


@pytest.mark.parametrize("protocol", TRIGGERS)
async def test_TC_A_14_and_TC_077_a_rejected_certificate_is_noted_and_asked_for_again(
    secured: Secured, protocol: str
) -> None:
    gateway = secured.gateway
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        csr = pki.signing_request(station, pki.new_key())
        await Wire(socket).send("SignCertificate", {"csr": csr})
        call = await next_call(socket)
        await answer(socket, call, "Rejected")
        await issued(gateway, station, "rejected")

        async def noted() -> Any:
            return await gateway.rows(Notification, station)

        (row,) = await eventually(noted)
        assert row.payload["type"] == "CertificateRejected"
        held = gateway.service.app.state.beside
        assert await certificate_renewal.ask_for_renewals(held.gateway, held) == 0
        await gateway.execute(
            "update issued_certificate set issued_at = now() - interval '2 hours' "
            "where station_id = :station",
            station=station,
        )
        assert await certificate_renewal.ask_for_renewals(held.gateway, held) == 1
        assert (await next_call(socket))[2:] == TRIGGERS[protocol]
        assert await certificate_renewal.ask_for_renewals(held.gateway, held) == 0


async def test_a_certificate_that_got_no_answer_is_asked_for_again_but_not_for_ever(
    secured: Secured,
) -> None:
    gateway = secured.gateway
    station = await gateway.add_station()
    held = gateway.service.app.state.beside
    age = "update issued_certificate set issued_at = issued_at - interval '2 hours' where "
    async with gateway.connect(station) as socket:
        for number in (1, 2, 3):
            csr = pki.signing_request(station, pki.new_key())
            await Wire(socket).send("SignCertificate", {"csr": csr})
            call = await next_call(socket)
            await gateway.execute(age + "station_id = :station", station=station)
            assert await certificate_renewal.ask_for_renewals(held.gateway, held) == 0  # on its way
            await socket.send(json.dumps([4, call[1], "InternalError", "no", {}]))
            path = f"/v1/stations/{station}/commands"

            async def failed(path: str = path, number: int = number) -> bool:
                async with gateway.service.as_(OPERATOR, "commands:read") as api:
                    found = (await api.get(path, params={"state": "failed"})).json()["items"]
                return len(found) == number

            await eventually(failed)
            asked = await certificate_renewal.ask_for_renewals(held.gateway, held)
            assert asked == (1 if number < 3 else 0)
            if asked:
                await answer(socket, await next_call(socket), "Accepted")


@pytest.mark.parametrize("protocol", TRIGGERS)
async def test_A03_a_certificate_near_its_end_is_renewed(secured: Secured, protocol: str) -> None:
    gateway = secured.gateway
    station = await gateway.add_station()
    held = gateway.service.app.state.beside
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        csr = pki.signing_request(station, pki.new_key())
        await Wire(socket).send("SignCertificate", {"csr": csr})
        await answer(socket, await next_call(socket), "Accepted")
        await issued(gateway, station, "accepted")
        assert await certificate_renewal.ask_for_renewals(held.gateway, held) == 0
        await gateway.execute(
            "update issued_certificate set not_after = now() + interval '29 days' "
            "where station_id = :station",
            station=station,
        )
        assert await certificate_renewal.ask_for_renewals(held.gateway, held) == 1
        assert (await next_call(socket))[2:] == TRIGGERS[protocol]


async def test_TC_A_12_and_13_a_secc_certificate_is_signed_by_the_provider(
    secured: Secured,
) -> None:
    station = await secured.gateway.add_station()
    for protocol, kind in (
        ("ocpp2.0.1", "V2GCertificate"),
        ("ocpp2.1", "V2G20Certificate"),
    ):
        async with secured.gateway.connect(station, subprotocols=[protocol]) as socket:
            csr = pki.signing_request("DE*ABC*SECC1", pki.new_key(), "Any CPO")
            request: dict[str, Any] = {"csr": csr, "certificateType": kind}
            if protocol == "ocpp2.1":
                request["requestId"] = 17
            assert (await Wire(socket).send("SignCertificate", request))["status"] == "Accepted"
            call = await next_call(socket)
            assert call[3]["certificateType"] == kind
            assert call[3].get("requestId") == request.get("requestId")
            (leaf,) = x509.load_pem_x509_certificates(call[3]["certificateChain"].encode())
            assert "v2g" in leaf.issuer.rfc4514_string()
            await answer(socket, call, "Accepted")


async def command(gateway: Gateway, station: str, body: dict[str, Any]) -> Any:
    async with gateway.service.as_(OPERATOR, "commands:write") as api:
        return await api.post(
            f"/v1/stations/{station}/commands",
            json=body,
            headers={"Idempotency-Key": uuid4().hex},
            params={"wait_s": 10},
        )


async def exchange(
    gateway: Gateway, station: str, socket: Any, body: dict[str, Any], *answers: dict[str, Any]
) -> tuple[list[list[Any]], dict[str, Any]]:
    """Send a command; give the calls that came of it, and the command at its end."""
    asked = asyncio.ensure_future(command(gateway, station, body))
    calls = []
    for one in answers:
        call = await next_call(socket)
        calls.append(call[2:])
        await socket.send(json.dumps([3, call[1], one]))
    done = await asked
    assert done.status_code == 200, done.text
    found: dict[str, Any] = done.json()
    return calls, found


USES = {
    "ocpp1.6": {
        "csms_root": "CentralSystemRootCertificate",
        "manufacturer_root": "ManufacturerRootCertificate",
    },
    "ocpp2.0.1": {
        "csms_root": "CSMSRootCertificate",
        "manufacturer_root": "ManufacturerRootCertificate",
        "v2g_root": "V2GRootCertificate",
        "mo_root": "MORootCertificate",
    },
    # One that every version has, and the one that only 2.1 has.
    "ocpp2.1": {"csms_root": "CSMSRootCertificate", "oem_root": "OEMRootCertificate"},
}


@pytest.mark.parametrize("protocol", USES)
async def test_TC_M_01_to_05_and_TC_075_1_and_078_roots_are_installed(
    gateway: Gateway, protocol: str
) -> None:
    root = pki.pem(pki.Authority("A root").certificate).decode()
    station, uses = await gateway.add_station(), USES[protocol]
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        for use, name in uses.items():
            body = {"type": "install_certificate", "use": use, "certificate": root}
            (call,), done = await exchange(gateway, station, socket, body, {"status": "Accepted"})
            payload = {"certificateType": name, "certificate": root}
            assert call == ["InstallCertificate", payload]
            assert done["state"] == "accepted"
            for failure in ("Failed", "Rejected"):
                _, done = await exchange(gateway, station, socket, body, {"status": failure})
                assert done["state"] == "rejected"
        async with gateway.service.as_(OPERATOR, "stations:read") as api:
            path = f"/v1/stations/{station}/installed-certificates"
            found = (await api.get(path)).json()["items"]
        assert [one["use"] for one in found] == sorted(uses)
        if protocol != "ocpp2.1":
            other = "mo_root" if protocol == "ocpp1.6" else "oem_root"
            refused = await command(gateway, station, body | {"use": other})
            assert refused.json()["result"]["code"] == "NotSupported"


@pytest.mark.parametrize(("protocol", "use"), [("ocpp2.0.1", "v2g20"), ("ocpp1.6", "v2g")])
async def test_a_certificate_for_a_use_that_the_version_does_not_have_is_refused_when_asked_for(
    gateway: Gateway, protocol: str, use: str
) -> None:
    chain = pki.pem(pki.Authority("SECC").certificate).decode()
    body = {"type": "certificate_signed", "chain": chain, "use": use}
    station = await gateway.add_station()
    # Nobody knows yet which version it will speak.
    waiting = asyncio.ensure_future(command(gateway, station, body))
    await eventually(lambda: gateway.rows(Command, station))
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        result = (await waiting).json()["result"]
        assert result["code"] == "NotSupported"
        refused = await command(gateway, station, body)
        assert refused.status_code == 422
        problem = refused.json()
        assert problem["type"].endswith(":not-in-this-version")
        assert problem["detail"] == result["description"]
        if protocol == "ocpp2.0.1":
            allowed = body | {"use": "v2g"}
            (call,), _ = await exchange(gateway, station, socket, allowed, {"status": "Accepted"})
            assert call[1]["certificateType"] == "V2GCertificate"


def hash_data(serial: str, algorithm: str = "SHA256") -> dict[str, str]:
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": "ab" * 32,
        "issuerKeyHash": "cd" * 32,
        "serialNumber": serial,
    }


async def listed(gateway: Gateway, station: str) -> list[tuple[str, str]]:
    return [(one["use"], one["serial_number"]) for one in await paged(gateway, station, 500)]


async def paged(gateway: Gateway, station: str, limit: int) -> list[dict[str, Any]]:
    """The station's certificates, read page by page."""
    path, found = f"/v1/stations/{station}/installed-certificates", []
    cursor: dict[str, str] = {}
    async with gateway.service.as_(OPERATOR, "stations:read") as api:
        while True:
            page = (await api.get(path, params={"limit": str(limit)} | cursor)).json()
            assert len(page["items"]) <= limit
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}


async def test_installed_certificates_are_read_page_by_page(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=["ocpp2.0.1"]) as socket:
        long = "e" * 400  # longer than allowed, and kept as it was told
        chains = [
            *(chain("V2GRootCertificate", f"{number:02x}") for number in range(5)),
            chain("V2GRootCertificate", long),
            chain("CSMSRootCertificate", "07"),
            {"certificateType": "CSMSRootCertificate",
             "certificateHashData": hash_data("07", "SHA384")},
        ]  # fmt: skip
        answer = {"status": "Accepted", "certificateHashDataChain": chains}
        await exchange(gateway, station, socket, {"type": "get_installed_certificate_ids"}, answer)
    whole = await paged(gateway, station, 500)
    assert [one["use"] for one in whole] == ["csms_root"] * 2 + ["v2g_root"] * 6
    assert len({(one["serial_number"], one["hash_algorithm"]) for one in whole}) == 8
    for limit in (1, 2, 3, 8):
        assert await paged(gateway, station, limit) == whole
    async with gateway.service.as_(OPERATOR, "stations:read") as api:
        path = f"/v1/stations/{station}/installed-certificates"
        nul = paging.encode(r'["\u0000", "07", "ab"]')
        for cursor in ("bm9uZQ", "WzFd", "%", nul):
            assert (await api.get(path, params={"cursor": cursor})).status_code == 422


def chain(use: str, serial: str, **more: Any) -> dict[str, Any]:
    return {"certificateType": use, "certificateHashData": hash_data(serial), **more}


@pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_M_12_to_19_the_list_is_what_the_station_last_said(
    gateway: Gateway, protocol: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        children = [hash_data("0c")]
        everything = [
            chain("CSMSRootCertificate", "01"),
            chain("V2GCertificateChain", "02", childCertificateHashData=children),
        ]
        (call,), _ = await exchange(
            gateway, station, socket, {"type": "get_installed_certificate_ids"},
            {"status": "Accepted", "certificateHashDataChain": everything},
        )  # fmt: skip
        assert call == ["GetInstalledCertificateIds", {}]
        assert await listed(gateway, station) == [("csms_root", "01"), ("v2g_chain", "02")]
        body = {"type": "get_installed_certificate_ids", "uses": ["csms_root", "mo_root"]}
        mo_root = chain("MORootCertificate", "03")
        (call,), _ = await exchange(gateway, station, socket, body,
            {"status": "Accepted", "certificateHashDataChain": [mo_root]},
        )  # fmt: skip
        assert call[1] == {"certificateType": ["CSMSRootCertificate", "MORootCertificate"]}
        assert await listed(gateway, station) == [("mo_root", "03"), ("v2g_chain", "02")]
        _, done = await exchange(gateway, station, socket, body, {"status": "NotFound"})
        assert done["state"] == "rejected"
        assert await listed(gateway, station) == [("v2g_chain", "02")]


async def test_TC_075_2_the_list_of_1_6_is_asked_for_use_by_use(gateway: Gateway) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station) as socket:
        hashes = [hash_data("04"), hash_data("05")]
        calls, _ = await exchange(
            gateway, station, socket, {"type": "get_installed_certificate_ids"},
            {"status": "Accepted", "certificateHashData": hashes}, {"status": "NotFound"},
        )  # fmt: skip
        assert [call[1]["certificateType"] for call in calls] == list(USES["ocpp1.6"].values())
        assert await listed(gateway, station) == [("csms_root", "04"), ("csms_root", "05")]


@pytest.mark.parametrize("protocol", USES)
async def test_TC_M_20_and_21_and_TC_076_a_certificate_is_deleted(
    gateway: Gateway, protocol: str
) -> None:
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        for algorithm in ("SHA256", "SHA384", "SHA512"):
            data = hash_data("0a", algorithm)
            body = {
                "type": "delete_certificate",
                "hash_algorithm": algorithm,
                "issuer_name_hash": data["issuerNameHash"],
                "issuer_key_hash": data["issuerKeyHash"],
                "serial_number": "0a",
            }
            (call,), done = await exchange(gateway, station, socket, body, {"status": "Accepted"})
            assert call == ["DeleteCertificate", {"certificateHashData": data}]
            assert done["state"] == "accepted"
        _, done = await exchange(gateway, station, socket, body, {"status": "NotFound"})
        assert done["state"] == "rejected"
