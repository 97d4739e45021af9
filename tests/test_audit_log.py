"""What people change in any service is in the audit log; what is not noted has a reason."""

from typing import Any
from uuid import UUID

import asyncpg
import httpx
from stack import eventually
from suite import Suite

from common.run import SERVICES

CHARGERS = "facts of chargers, kept as they came"
EVENTS = "what another service told; there it is noted"
MACHINERY = "the service's own"
EXCUSED = {
    "billing": {
        "incident": CHARGERS, "meter_sample": CHARGERS, "record": "append-only itself",
        "charging_state": CHARGERS, "signed_reading": CHARGERS, "meter_key": EVENTS,
        "verification": MACHINERY,
        "register": CHARGERS, "session": CHARGERS, "operator": EVENTS, "station": EVENTS,
        "partner": EVENTS, "tombstone": EVENTS, "webhook_delivery": MACHINERY,
        "station_group": EVENTS,
        "location": EVENTS,
        "station_group_member": EVENTS,
        "person": EVENTS, "membership": EVENTS,
        "user_group": EVENTS,
        "company": EVENTS,
        "card": EVENTS,
        "payment_reference": "a number, made when it is first asked for",
        "display_change": MACHINERY,
        "display_round": MACHINERY,
        "display_price": MACHINERY,
        "quota_use": MACHINERY, "discount_grant": "append-only itself",
        "discount_preview": "a question, which changes nothing",
        "journal": "append-only itself", "posting": "append-only itself",
        "balance": "the sum of postings and holds", "hold": CHARGERS, "ledger_finding": MACHINERY,
    },
    "csms_gateway": {
        "connection": CHARGERS, "dynamic_schedule": CHARGERS, "event_stream": CHARGERS,
        "installed_charging_profile": CHARGERS, "message": CHARGERS, "notification": CHARGERS,
        "signed_message": CHARGERS, "transaction": CHARGERS, "transaction_event": CHARGERS,
        "unmatched_message": CHARGERS, "variable": CHARGERS, "gateway_replica": MACHINERY,
        "operator_name": EVENTS, "refused_station": EVENTS, "tombstone": EVENTS,
        "strategy_assignment": EVENTS,
    },
    "identity": {
        "audit_entry": MACHINERY, "audit_personal": MACHINERY, "privacy_part": MACHINERY,
        "recovery_code": "its key is a secret's hash; totp tells that there are new ones",
        "refresh_token": MACHINERY, "retention_report": EVENTS, "sign_in_failure": MACHINERY,
        "tariff": EVENTS,
        "access_revision": MACHINERY, "oidc_begun": MACHINERY, "passkey_challenge": MACHINERY,
        "partner_list_card": MACHINERY, "partner_list_part": MACHINERY,
        "accounting_strategy": EVENTS, "strategy_assignment": EVENTS,
        "account_standing": EVENTS, "agreement": EVENTS, "card_month": EVENTS, "station": EVENTS,
        "station_group": EVENTS,
        "station_group_member": EVENTS,
        "mail": MACHINERY,
        "password_reset": "the new password is noted at its login",
        "email_change": "the new address is noted at its login",
        "registration": "what a stranger typed; once confirmed the user, login and card are noted",
        "people_import_row": "what an import changes is noted where it is changed",
    },
    "registry": {
        "connector_live": CHARGERS, "evse_session": CHARGERS, "station_live": CHARGERS,
        "gateway_replica": EVENTS, "evse_meter": CHARGERS, "live_change": MACHINERY,
        "map_change": MACHINERY, "tariff": EVENTS, "display_price": EVENTS,
        "station_connection": CHARGERS, "connector_standing": CHARGERS,
        "operator": EVENTS,
        "alert_round": MACHINERY, "mail": MACHINERY, "webhook_delivery": MACHINERY,
        "station_failure": CHARGERS,
    },
    "reporting": {
        "card": EVENTS, "fact": EVENTS, "location": EVENTS, "person": EVENTS, "station": EVENTS,
    },
}  # fmt: skip
EVERYWHERE = {"alembic_version", "change_note", "failed_event", "inbox", "outbox"}


async def test_every_table_is_audited_or_has_a_reason_not_to_be(suite: Suite) -> None:
    connection = await asyncpg.connect(suite.postgres.url())
    rows = await connection.fetch(
        """
        select n.nspname as schema, c.relname as name, exists (
            select from pg_trigger t where t.tgrelid = c.oid and t.tgname like 'note_%'
        ) as audited
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = any($1)
        """,
        [name.replace("-", "_") for name in SERVICES],
    )
    await connection.close()
    missing = {
        f"{row['schema']}.{row['name']}"
        for row in rows
        if not row["audited"] and row["name"] not in EXCUSED[row["schema"]].keys() | EVERYWHERE
    }
    assert not missing
    there = {(row["schema"], row["name"]) for row in rows}
    assert {(schema, name) for schema, names in EXCUSED.items() for name in names} <= there
    assert sum(row["audited"] for row in rows) > 20


async def test_a_change_in_any_service_is_noted_with_who_did_it(suite: Suite) -> None:
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    address = {"street": "Hafen 1", "postal_code": "20457", "city": "Hamburg", "country": "DE"}
    location = {"name": "Noted", "address": address}
    tariff = {
        "name": "noted", "currency": "EUR", "vat_percent": "19", "energy_price": "0.1",
        "valid_from": "2099-01-01T00:00:00Z",
    }  # fmt: skip
    async with httpx.AsyncClient(headers=headers, timeout=20) as api:
        made = {
            "registry": await api.post(f"{suite.urls['registry']}/v1/locations", json=location),
            "billing": await api.post(f"{suite.urls['billing']}/v1/tariffs", json=tariff),
            "identity": await api.post(
                f"{suite.urls['identity']}/v1/users", json={"name": "Noted"}
            ),
        }
        asked = {"type": "clear_cache"}
        url = f"{suite.urls['csms-gateway']}/v1/stations/DEMO-1/commands"
        key = {"Idempotency-Key": "noted"}
        made["csms-gateway"] = await api.post(url, json=asked, headers=key)
        for service, answer in made.items():
            assert answer.status_code in (201, 202), answer.text
            await _noted(suite, service, UUID(answer.json()["id"]))


async def _noted(suite: Suite, service: str, row_id: UUID) -> None:
    async def found() -> Any:
        return (await suite.get("identity", "audit", key=str(row_id)))["items"]

    entry = (await eventually(found))[-1]
    assert (entry["service"], entry["action"], entry["before"]) == (service, "insert", None)
    assert entry["after"]["id"] == str(row_id)
    assert entry["actor"]["role"] == "operator-admin"
    assert entry["actor"]["ip"] == "127.0.0.1"
    assert entry["actor"]["request_id"]
