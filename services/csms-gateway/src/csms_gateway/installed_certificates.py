"""Which certificates a station has, from its answers to our calls (OCPP 2.0.1, M03 to M05)."""

from typing import TYPE_CHECKING, Any, Final

import orjson

from common.clock import now
from csms_gateway import client_certificates
from csms_gateway.ocsp import hash_data

if TYPE_CHECKING:
    from csms_gateway.charger import Charger

USES: Final[dict[str, str]] = {
    "CentralSystemRootCertificate": "csms_root",
    "CSMSRootCertificate": "csms_root",
    "ManufacturerRootCertificate": "manufacturer_root",
    "V2GRootCertificate": "v2g_root",
    "MORootCertificate": "mo_root",
    "V2GCertificateChain": "v2g_chain",
    "OEMRootCertificate": "oem_root",
}
CHAINS_MAX: Final = 500  # of one answer; the message is bounded, this is what is kept of it

FORGET: Final = """
delete from installed_certificate
where station_id = $1 and ($2::text[] is null or use = any($2))
"""
KEEP: Final = """
insert into installed_certificate (
    operator_id, station_id, use, hash_algorithm, issuer_name_hash, issuer_key_hash,
    serial_number, children, told_at
) select $1, $2, x.use, x.hash_algorithm, x.issuer_name_hash, x.issuer_key_hash, x.serial_number,
    x.children, $4
from jsonb_to_recordset($3::jsonb) as x(
    use text, hash_algorithm text, issuer_name_hash text, issuer_key_hash text,
    serial_number text, children jsonb
)
on conflict (
    station_id, use, hash_algorithm, issuer_name_hash, issuer_key_hash, serial_number
) do update set children = excluded.children, told_at = excluded.told_at
"""
DELETED: Final = """
delete from installed_certificate
where station_id = $1 and hash_algorithm = $2 and upper(issuer_name_hash) = upper($3)
    and upper(issuer_key_hash) = upper($4) and upper(serial_number) = upper($5)
"""

Chains = list[tuple[str, dict[str, Any], list[dict[str, Any]] | None]]


async def listed(charger: "Charger", asked: list[str] | None, chains: Chains) -> None:
    """Replace what was known of these uses. asked: OCPP's words; None: every use.

    chains: use in OCPP's words, hash data, hash data of the chain's other certificates.
    """
    uses = None if asked is None else [USES.get(one, one) for one in asked]
    rows = [_row(USES.get(use, use), data, children) for use, data, children in chains[:CHAINS_MAX]]
    async with charger.gateway.pool.acquire() as connection, connection.transaction():
        await connection.execute(FORGET, charger.station_id, uses)
        await _keep(connection, charger, rows)


def _row(
    use: str, data: dict[str, Any], children: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    return {
        "use": use,
        "hash_algorithm": data["hashAlgorithm"],
        "issuer_name_hash": data["issuerNameHash"],
        "issuer_key_hash": data["issuerKeyHash"],
        "serial_number": data["serialNumber"],
        "children": children,
    }


async def _keep(connection: Any, charger: "Charger", rows: list[dict[str, Any]]) -> None:
    # A station may name one twice; one statement cannot update a row twice.
    keys = ("use", "hash_algorithm", "issuer_name_hash", "issuer_key_hash", "serial_number")
    once = {tuple(row[key] for key in keys): row for row in rows}
    encoded = orjson.dumps(list(once.values())).decode().replace("\\u0000", "")
    await connection.execute(KEEP, charger.operator_id, charger.station_id, encoded, now())


async def installed(charger: "Charger", payload: dict[str, Any], answer: dict[str, Any]) -> None:
    """After InstallCertificate. A root's hash data follows from itself."""
    if answer["status"] != "Accepted":
        return
    try:
        certificate = client_certificates.from_pem(payload["certificate"])[0]
    except ValueError:
        return  # sent by hand, and the station has taken what we cannot read
    if certificate.issuer == certificate.subject:
        row = _row(USES[payload["certificateType"]], hash_data(certificate, certificate))
        await _keep(charger.gateway.pool, charger, [row])


async def deleted(charger: "Charger", payload: dict[str, Any], answer: dict[str, Any]) -> None:
    """After DeleteCertificate; NotFound is as good."""
    if answer["status"] in {"Accepted", "NotFound"}:
        data = payload["certificateHashData"]
        await charger.gateway.pool.execute(
            DELETED, charger.station_id, data["hashAlgorithm"], data["issuerNameHash"],
            data["issuerKeyHash"], data["serialNumber"],
        )  # fmt: skip
