"""The ISO 15118 provider: who signs SECC certificates and hands out contracts (Plug & Charge).

Contracts come from a public key infrastructure of their own, which an operator reaches by a
service; so this speaks to one by HTTP and has nothing of it itself. Without one, stations get an
honest Failed. The provider answers

    POST <url>/secc-certificates      {station_id, csr, use}          -> {certificate_chain}
    POST <url>/contract-certificates  {station_id, schema_version, action, exi_request, …}
                                                                      -> {exi_response, …}
"""

from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from csms_gateway.gateway import Gateway

TIMEOUT_S: Final = 20.0  # below the 30 s after which chargers give up
ANSWER_BYTES_MAX: Final = 200_000
CHAIN_MAX: Final = 10_000  # OCPP 2.0.1, CertificateSignedRequest
EXI_MAX: Final = {"v201": 7500, "v21": 17_000}

LOCAL: Final = "local"


class NoProvider(Exception):
    """No provider is configured for what was asked."""


class ProviderFailed(Exception):
    """The provider refused, or did not answer as it should."""


async def sign_by_provider(gateway: "Gateway", station_id: str, csr: str, use: str) -> str:
    """PEM, the leaf first. Raises NoProvider or ProviderFailed."""
    body = {"station_id": station_id, "csr": csr, "use": use}
    chain = (await _post(gateway, "secc-certificates", body)).get("certificate_chain")
    if not isinstance(chain, str) or not 0 < len(chain) <= CHAIN_MAX:
        raise ProviderFailed("the ISO 15118 provider sent no certificate chain")
    return chain


async def contract_certificate(
    gateway: "Gateway", station_id: str, version: str, payload: dict[str, Any]
) -> dict[str, Any]:
    """The members of a Get15118EVCertificateResponse. Raises NoProvider or ProviderFailed.

    version: the folder of the schemas, v201 or v21. EXI is passed on as it is: only car and
    provider can read it.
    """
    body = {
        "station_id": station_id,
        "schema_version": payload["iso15118SchemaVersion"],
        "action": payload["action"],
        "exi_request": payload["exiRequest"],
        "maximum_contract_certificate_chains": payload.get("maximumContractCertificateChains"),
        "prioritized_emaids": payload.get("prioritizedEMAIDs"),
    }
    answer = await _post(gateway, "contract-certificates", body)
    exi, remaining = answer.get("exi_response"), answer.get("remaining_contracts")
    if not isinstance(exi, str) or not 0 < len(exi) <= EXI_MAX[version]:
        raise ProviderFailed("the ISO 15118 provider sent no EXI response")
    members: dict[str, Any] = {"status": "Accepted", "exiResponse": exi}
    if version == "v21" and isinstance(remaining, int):
        members["remainingContracts"] = remaining
    return members


async def _post(gateway: "Gateway", path: str, body: dict[str, Any]) -> dict[str, Any]:
    url = gateway.settings.iso15118_url
    if url in {"", LOCAL}:
        raise NoProvider("no ISO 15118 provider is configured")
    token = gateway.settings.iso15118_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S, headers=headers) as client:
            response = await client.post(f"{url.rstrip('/')}/{path}", json=body)
            response.raise_for_status()
            if len(response.content) > ANSWER_BYTES_MAX:
                raise ProviderFailed("the ISO 15118 provider's answer is too long")
            answer = response.json()
    except (httpx.HTTPError, ValueError) as error:
        raise ProviderFailed(f"the ISO 15118 provider failed: {error!r}"[:500]) from error
    if not isinstance(answer, dict):
        raise ProviderFailed("the ISO 15118 provider's answer is no object")
    return answer
