"""ISO 15118: contract certificates, OCSP and the provider (OCPP 2.0.1, C07, M01, M02, M06)."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from gateway_wire import Gateway, Wire, running_gateway
from stack import Issuer, Servers, served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from csms_gateway.ocsp import hash_data

EMAID = "DEABCC00000001"
TWO = pytest.mark.parametrize("protocol", ["ocpp2.0.1", "ocpp2.1"])


@dataclass
class Outside:
    """The world's services: an OCSP responder and an ISO 15118 provider."""

    authority: pki.Authority
    contract: x509.Certificate
    contract_key: Any
    url: str = ""
    revoked: set[int] = field(default_factory=set)
    signer: pki.Authority | None = None
    enclosed: list[x509.Certificate] = field(default_factory=list)  # with the responder's answer
    garbled: tuple[bytes, bytes] = (b"", b"")  # what is where in what it says
    said_at: timedelta = timedelta()  # from now
    lasts: timedelta | None = timedelta(hours=1)
    asked: list[Any] = field(default_factory=list)
    provider_answer: Any = None

    async def status(self, request: Request) -> Response:
        wanted = ocsp.load_der_ocsp_request(await request.body())
        self.asked.append(wanted.serial_number)
        now = datetime.now(UTC).replace(tzinfo=None)
        revoked = wanted.serial_number in self.revoked
        signer = self.signer or self.authority
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            wanted.issuer_name_hash,
            wanted.issuer_key_hash,
            wanted.serial_number,
            wanted.hash_algorithm,
            ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD,
            now + self.said_at,
            None if self.lasts is None else now + self.lasts,
            now if revoked else None,
            None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        if self.enclosed:
            builder = builder.certificates(self.enclosed)
        signed = builder.sign(signer.key, hashes.SHA256())
        return Response(signed.public_bytes(serialization.Encoding.DER).replace(*self.garbled))

    async def provide(self, request: Request) -> Response:
        self.asked.append(await request.json())
        if self.provider_answer is None:
            return Response(status_code=500)
        return JSONResponse(self.provider_answer)

    def app(self) -> Starlette:
        async def away(_: Request) -> Response:
            return RedirectResponse("/ocsp", status_code=307)

        return Starlette(
            routes=[
                Route("/ocsp", self.status, methods=["POST"]),
                Route("/away", away, methods=["POST"]),
                Route("/secc-certificates", self.provide, methods=["POST"]),
                Route("/contract-certificates", self.provide, methods=["POST"]),
            ]
        )

    def hash_data(self, certificate: x509.Certificate | None = None) -> dict[str, str]:
        data = hash_data(certificate or self.contract, self.authority.certificate)
        return data | {"responderURL": f"{self.url}/ocsp"}


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outside]:
    authority = pki.Authority("Test MO root")
    key = pki.new_key()
    outside = Outside(authority, authority.issue(EMAID, key), key)
    async with served(outside.app()) as url:
        outside.url = url
        yield outside


@pytest.fixture(scope="module")
async def connected(
    servers: Servers, issuer: Issuer, world: Outside, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateway]:
    roots = world.authority.write_own(tmp_path_factory.mktemp("roots"))
    async with running_gateway(
        servers,
        issuer,
        iso15118_roots=str(roots),
        ocsp_hosts=world.url.removeprefix("http://"),
        iso15118_url=world.url,
    ) as gateway:
        gateway.identity.decisions[EMAID] = "Accepted"
        yield gateway


async def said(gateway: Gateway, action: str, payload: Any, protocol: str = "ocpp2.0.1") -> Any:
    station = await gateway.add_station()
    async with gateway.connect(station, subprotocols=[protocol]) as socket:
        return await Wire(socket).send(action, payload)


def authorize(token: str = EMAID, **more: Any) -> dict[str, Any]:
    return {"idToken": {"idToken": token, "type": "eMAID"}, **more}


def short(answer: dict[str, Any]) -> tuple[str | None, str]:
    return answer.get("certificateStatus"), answer["idTokenInfo"]["status"]


async def test_C07_FR_13_to_17_the_certificate_decides_with_the_token(
    connected: Gateway, world: Outside
) -> None:
    contract = pki.pem(world.contract).decode()
    other = pki.Authority("Somebody").issue(EMAID, pki.new_key())
    old = world.authority.issue(EMAID, pki.new_key(), days=(-9, -1))
    lost = world.authority.issue(EMAID, pki.new_key())
    world.revoked.add(lost.serial_number)
    good = world.hash_data()
    cases: list[tuple[dict[str, Any], tuple[str | None, str]]] = [
        (authorize(), (None, "Accepted")),
        (authorize(certificate=contract), ("Accepted", "Accepted")),
        (authorize(iso15118CertificateHashData=[good]), ("Accepted", "Accepted")),
        (
            authorize(certificate=contract, iso15118CertificateHashData=[good]),
            ("Accepted", "Accepted"),
        ),
        (authorize("DE-ABC-C00000001-X", certificate=contract), ("ContractCancelled", "Invalid")),
        (authorize(certificate=pki.pem(other).decode()), ("CertChainError", "Invalid")),
        (authorize(certificate=pki.pem(old).decode()), ("CertificateExpired", "Expired")),
        (authorize("GOOD", certificate=contract), ("CertChainError", "Invalid")),
        (authorize(certificate="garbage"), ("CertChainError", "Invalid")),
        (
            authorize(certificate=pki.pem(pki.broken(EMAID)).decode()),
            ("CertChainError", "Invalid"),
        ),
        (
            authorize(iso15118CertificateHashData=[good, world.hash_data(lost)]),
            ("CertificateRevoked", "Invalid"),
        ),
    ]
    for payload, expected in cases:
        assert short(await said(connected, "Authorize", payload)) == expected, payload
    connected.identity.decisions["BLOCKED-EMAID"] = "Blocked"
    blocked = pki.pem(world.authority.issue("BLOCKED-EMAID", pki.new_key())).decode()
    answer = await said(connected, "Authorize", authorize("BLOCKED-EMAID", certificate=blocked))
    assert short(answer) == ("ContractCancelled", "Blocked")


@pytest.mark.parametrize(
    ("revoked", "expected"),
    [(False, ("Accepted", "Accepted")), (True, ("CertificateRevoked", "Invalid"))],
)
@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
async def test_TC_C_50_and_51_C07_FR_14_and_16_the_responder_is_asked_of_a_chain_checked_there(
    connected: Gateway, world: Outside, version: str, *, revoked: bool, expected: tuple[str, str]
) -> None:
    fresh = world.authority.issue(EMAID, pki.new_key())
    if revoked:
        world.revoked.add(fresh.serial_number)
    world.asked.clear()
    station = await connected.add_station()
    async with connected.connect(station, subprotocols=[version]) as socket:
        wire = Wire(socket)
        payload = authorize(iso15118CertificateHashData=[world.hash_data(fresh)])
        assert short(await wire.send("Authorize", payload)) == expected
        assert world.asked == [fresh.serial_number]
        if not revoked:
            token = {"idToken": {"idToken": EMAID, "type": "eMAID"}}
            answer = await wire.event("Started", 0, "Authorized", transaction="t-1", **token)
            assert answer["idTokenInfo"] == {"status": "Accepted"}


async def test_TC_C_52_a_chain_alone_is_asked_about_where_it_says(
    connected: Gateway, world: Outside
) -> None:
    def contract(responder: str) -> x509.Certificate:
        return world.authority.issue(EMAID, pki.new_key(), responder=responder)

    good, lost = contract(f"{world.url}/ocsp"), contract(f"{world.url}/ocsp")
    world.revoked.add(lost.serial_number)
    elsewhere = contract("http://192.0.2.1/ocsp")  # C07.FR.05: not verified is not accepted
    world.asked.clear()
    cases = [
        (good, ("Accepted", "Accepted")),
        (lost, ("CertificateRevoked", "Invalid")),
        (elsewhere, ("CertChainError", "Invalid")),
    ]
    for certificate, expected in cases:
        payload = authorize(certificate=pki.pem(certificate).decode())
        assert short(await said(connected, "Authorize", payload)) == expected
    assert world.asked == [good.serial_number, lost.serial_number]


async def test_an_answer_signed_by_a_stranger_proves_nothing(
    connected: Gateway, world: Outside
) -> None:
    world.signer = pki.Authority("Somebody")
    fresh = world.authority.issue(EMAID, pki.new_key())
    payload = authorize(iso15118CertificateHashData=[world.hash_data(fresh)])
    assert short(await said(connected, "Authorize", payload)) == ("CertChainError", "Invalid")
    world.signer = None


@pytest.mark.parametrize("enclosed", [False, True])
async def test_an_answer_with_garbage_inside_proves_nothing(
    connected: Gateway, world: Outside, *, enclosed: bool
) -> None:
    """An algorithm that nobody knows: of the signature, or the curve of an enclosed certificate."""
    fresh = world.authority.issue(EMAID, pki.new_key())
    payload = authorize(iso15118CertificateHashData=[world.hash_data(fresh)])
    world.enclosed = [pki.Authority("Somebody").certificate] if enclosed else []
    names = ("2a8648ce3d030107", "2a8648ce3d03017d") if enclosed else ("3d040302", "3d04037d")
    world.garbled = (bytes.fromhex(names[0]), bytes.fromhex(names[1]))
    try:
        answer = await said(connected, "Authorize", payload)
        assert short(answer) == ("CertChainError", "Invalid")
    finally:
        world.garbled, world.enclosed = (b"", b""), []


async def test_only_the_issuer_and_whom_it_has_appointed_speak_for_a_certificate(
    connected: Gateway, world: Outside
) -> None:
    """RFC 6960, 4.2.2.2: any other authority's responder beneath the same root does not."""
    ours, others = (pki.Authority(f"Test MO sub-CA {n}", above=world.authority) for n in (1, 2))
    appointed = pki.Authority("Test responder", above=ours, use=ExtendedKeyUsageOID.OCSP_SIGNING)
    rival = pki.Authority("Test rival", above=others, use=ExtendedKeyUsageOID.OCSP_SIGNING)
    cases: list[tuple[pki.Authority, list[pki.Authority], str]] = [
        (ours, [], "Accepted"),
        (ours, [ours], "Accepted"),
        (appointed, [appointed], "Accepted"),
        (rival, [rival, others], "CertChainError"),
        (others, [others], "CertChainError"),
    ]
    try:
        for world.signer, enclosed, expected in cases:
            world.enclosed = [one.certificate for one in enclosed]
            contract = ours.issue(EMAID, pki.new_key(), responder=f"{world.url}/ocsp")
            chain = pki.pem(contract) + pki.pem(ours.certificate)
            answer = await said(connected, "Authorize", authorize(certificate=chain.decode()))
            assert answer["certificateStatus"] == expected, world.signer.name
    finally:
        world.signer, world.enclosed = None, []


async def test_an_answer_of_another_day_is_not_the_status_now(
    connected: Gateway, world: Outside
) -> None:
    """RFC 6960, 3.2: an answer without an end is of use only while it is new."""
    hour, expected = timedelta(hours=1), "CertChainError"
    try:
        for world.said_at, world.lasts, expected in (
            (-hour, hour, "Accepted"),
            (timedelta(), None, "Accepted"),
            (-48 * hour, None, "CertChainError"),
            (-2 * hour, -hour, "CertChainError"),
            (2 * hour, 3 * hour, "CertChainError"),
        ):
            fresh = world.authority.issue(EMAID, pki.new_key())
            payload = authorize(iso15118CertificateHashData=[world.hash_data(fresh)])
            answer = await said(connected, "Authorize", payload)
            assert answer["certificateStatus"] == expected, world.said_at
    finally:
        world.said_at, world.lasts = timedelta(), hour


async def test_without_roots_no_contract_is_believed(gateway: Gateway, world: Outside) -> None:
    contract = pki.pem(world.contract).decode()
    for more in ({"certificate": contract}, {"iso15118CertificateHashData": [world.hash_data()]}):
        answer = await said(gateway, "Authorize", authorize("GOOD", **more))
        assert short(answer) == ("CertChainError", "Invalid")


@TWO
async def test_TC_M_24_M06_the_status_is_the_responders_answer(
    connected: Gateway, world: Outside, protocol: str
) -> None:
    data = world.hash_data(world.authority.issue("SECC", pki.new_key()))
    world.asked.clear()
    for _ in range(2):  # the second time it is remembered
        answer = await said(connected, "GetCertificateStatus", {"ocspRequestData": data}, protocol)
        assert answer["status"] == "Accepted"
        response = ocsp.load_der_ocsp_response(base64.b64decode(answer["ocspResult"]))
        assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert len(world.asked) == 1


@TWO
async def test_M06_what_a_stranger_has_signed_is_not_told_again(
    connected: Gateway, world: Outside, protocol: str
) -> None:
    """Plain HTTP may be tampered with: one forged answer would stand for an hour."""
    fresh = world.authority.issue(EMAID, pki.new_key())
    data = world.hash_data(fresh)
    world.asked.clear()
    world.signer = pki.Authority("Somebody")
    try:
        answer = await said(connected, "GetCertificateStatus", {"ocspRequestData": data}, protocol)
        assert answer["status"] == "Accepted"  # who asks knows the issuer, and checks it
    finally:
        world.signer = None
    payload = authorize(iso15118CertificateHashData=[data])
    for _ in range(2):
        assert short(await said(connected, "Authorize", payload)) == ("Accepted", "Accepted")
    assert world.asked == [fresh.serial_number] * 2


async def test_M06_FR_04_only_allowed_hosts_are_asked(connected: Gateway, world: Outside) -> None:
    world.asked.clear()
    port = world.url.rpartition(":")[2]
    for url in (
        f"http://localhost:{port}/ocsp",
        f"http://user@127.0.0.1:{port}/ocsp",
        "http://127.0.0.1/ocsp",
        "file:///etc/passwd",
        "http://[::1",
        "http://127.0.0.1:99999/ocsp",
        f"{world.url}/away",
        f"{world.url}/nothing",
    ):
        data = world.hash_data() | {"responderURL": url}
        answer = await said(connected, "GetCertificateStatus", {"ocspRequestData": data})
        assert answer["status"] == "Failed", url
        assert answer["statusInfo"]["reasonCode"] == "NoOCSPStatus"
    for serial_number in ("no hex", "-1"):
        bad = world.hash_data() | {"serialNumber": serial_number}
        answer = await said(connected, "GetCertificateStatus", {"ocspRequestData": bad})
        assert answer["status"] == "Failed"
    assert not world.asked


async def test_M07_2_1_asks_for_a_whole_chain(connected: Gateway, world: Outside) -> None:
    lost = world.authority.issue("LOST", pki.new_key())
    world.revoked.add(lost.serial_number)

    def one(certificate: x509.Certificate, source: str, *urls: str) -> dict[str, Any]:
        data = world.hash_data(certificate)
        del data["responderURL"]
        return {"certificateHashData": data, "source": source, "urls": list(urls)}

    asked = [
        one(world.contract, "OCSP", "http://nowhere.invalid/", f"{world.url}/ocsp"),
        one(lost, "OCSP", f"{world.url}/ocsp"),
        one(world.contract, "CRL", f"{world.url}/ocsp"),
    ]
    payload = {"certificateStatusRequests": asked}
    answer = await said(connected, "GetCertificateChainStatus", payload, "ocpp2.1")
    assert [found["status"] for found in answer["certificateStatus"]] == [
        "Good", "Revoked", "Failed",
    ]  # fmt: skip


EXI = {"iso15118SchemaVersion": "urn:iso:15118:2", "action": "Install", "exiRequest": "RVhJ"}


@TWO
async def test_TC_M_26_and_M_28_M01_M02_exi_is_passed_to_the_provider(
    connected: Gateway, world: Outside, protocol: str
) -> None:
    more = {"remainingContracts": 2} if protocol == "ocpp2.1" else {}
    for action in ("Install", "Update"):
        world.asked.clear()
        world.provider_answer = {"exi_response": "QU5TV0VS", "remaining_contracts": 2}
        payload = EXI | {"action": action}
        answer = await said(connected, "Get15118EVCertificate", payload, protocol)
        assert answer == {"status": "Accepted", "exiResponse": "QU5TV0VS"} | more
        (told,) = world.asked
        assert (told["action"], told["exi_request"]) == (action, "RVhJ")


async def test_M01_what_the_provider_cannot_have_meant_is_no_certificate(
    connected: Gateway, world: Outside
) -> None:
    answers: list[Any] = [None, [], {"exi_response": ""}, {"exi_response": "x" * 8000}]
    for bad in answers:
        world.provider_answer = bad
        answer = await said(connected, "Get15118EVCertificate", EXI)
        assert (answer["status"], answer["exiResponse"]) == ("Failed", "")


async def test_without_a_provider_the_answer_is_failed(gateway: Gateway) -> None:
    answer = await said(gateway, "Get15118EVCertificate", EXI)
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Failed", "NoProvider")
    csr = pki.signing_request("SECC", pki.new_key())
    request = {"csr": csr, "certificateType": "V2GCertificate"}
    answer = await said(gateway, "SignCertificate", request)
    assert answer["status"] == "Rejected"


async def test_a_secc_request_is_signed_by_the_provider(connected: Gateway, world: Outside) -> None:
    key = pki.new_key()
    csr = pki.signing_request("SECC", key)
    request = {"csr": csr, "certificateType": "V2GCertificate"}
    another = pki.pem(world.authority.issue("SECC", pki.new_key())).decode()
    for chain in ("garbage", another):
        world.provider_answer = {"certificate_chain": chain}
        assert (await said(connected, "SignCertificate", request))["status"] == "Rejected"
    mine = pki.pem(world.authority.issue("SECC", key)).decode()
    world.provider_answer = {"certificate_chain": mine}
    assert (await said(connected, "SignCertificate", request))["status"] == "Accepted"
