"""A person's data over all services: one archive of it; and forgotten, with the record kept."""

import io
import json
import zipfile
from typing import Any

import httpx
from stack import eventually
from suite import Suite
from test_end_to_end import charger

UID = "04C0FFEE11"


class Staff:
    """Of the demo's operator, at identity."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self.api = api

    async def made(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.api.post(path, json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def done(self, request: dict[str, Any]) -> dict[str, Any]:
        async def state() -> Any:
            found = (await self.api.get(f"/v1/privacy-requests/{request['id']}")).json()
            return found if found["state"] == "done" else None

        return dict(await eventually(state))


async def test_a_person_is_told_everything_and_then_forgotten(suite: Suite) -> None:
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    async with httpx.AsyncClient(
        base_url=suite.urls["identity"], headers=headers, timeout=20
    ) as api:
        staff = Staff(api)
        user = await staff.made("/v1/users", name="Ada Lovelace", email="ada@example.org")
        card = await staff.made("/v1/cards", uid=UID, user_id=user["id"], label="Ada's")
        async with charger(suite, 2) as one:
            await one.wait_ready()
            result = await one.charge(1, UID, energy_wh=7_000, duration_s=900, backdate=True)
            await one.drain()
        assert result.status == "Accepted"

        async def priced() -> Any:
            return [r for r in await suite.records() if r["card_id"] == card["id"]]

        (record,) = await eventually(priced)

        async def logged() -> Any:
            query = "select count(*) from csms_gateway.message where strpos(frame, $1) > 0"
            return await suite.count(query, UID) >= 2

        await eventually(logged)
        asked = await staff.made("/v1/privacy-requests", user_id=user["id"], kind="export")
        await staff.done(asked)
        whole = await api.get(f"/v1/privacy-requests/{asked['id']}/archive")
        assert whole.headers["content-type"] == "application/zip"
        _told(zipfile.ZipFile(io.BytesIO(whole.content)), record["session_id"])

        erasure = await staff.made("/v1/privacy-requests", user_id=user["id"], kind="erasure")
        changed = (await staff.done(erasure))["changed"]
        assert changed["billing"] == {"sessions": 1, "records": 1}
        # The session ended a moment ago: until tomorrow a message may come that needs its token.
        assert changed["csms-gateway"]["sessions"] == 0
        again = {"user_id": user["id"], "kind": "erasure"}
        assert (await api.post("/v1/privacy-requests", json=again)).status_code == 409
        nobody = (await api.get(f"/v1/users/{user['id']}")).json()
        assert (nobody["name"], nobody["email"], nobody["active"]) == ("erased", None, False)
        await _forgotten(suite, api, card, record)


def _told(archive: zipfile.ZipFile, session_id: str) -> None:
    files = {name: archive.read(name) for name in archive.namelist()}
    rows = {name: json.loads(body) for name, body in files.items() if name.endswith(".json")}
    assert rows["identity/user.json"][0]["email"] == "ada@example.org"
    assert [one["uid"] for one in rows["identity/cards.json"]] == [UID]
    for name in ("csms-gateway/sessions.json", "billing/sessions.json", "billing/records.json"):
        (row,) = rows[name]
        assert session_id in (row.get("session_id"), row.get("id")), name
    frames = [one["frame"] for one in rows["csms-gateway/messages.json"]]
    assert frames and all(UID in frame for frame in frames)


async def _forgotten(
    suite: Suite, api: httpx.AsyncClient, card: dict[str, Any], record: dict[str, Any]
) -> None:
    """The record stays to the cent; neither it nor the card says whose it was."""
    (kept,) = [r for r in await suite.records() if r["session_id"] == record["session_id"]]
    assert kept.pop("id_token").startswith("ERASED-")
    assert record.pop("id_token") == UID
    assert kept == record
    now = (await api.get(f"/v1/cards/{card['id']}")).json()
    assert now["uid"].startswith("ERASED-")
    assert (now["label"], now["active"], now["blocked_reason"]) == ("", False, "erased")
    sessions = (await suite.get("billing", "sessions", card_id=card["id"]))["items"]
    assert not [one for one in sessions if one["id_token"] == UID]

    async def renamed() -> Any:
        query = "select count(*) from reporting.person where user_id = $1 and name = 'erased'"
        return await suite.count(query, card["user_id"])

    await eventually(renamed)

    async def noted() -> Any:
        entries = (await api.get("/v1/audit", params={"key": card["user_id"]})).json()["items"]
        return entries if len(entries) >= 2 else None

    entries = await eventually(noted)
    assert [one["action"] for one in entries] == ["update", "insert"]
    assert "Ada" not in str(entries)
    # Somebody else may have the card now.
    free = await api.post("/v1/cards", json={"uid": UID})
    assert free.status_code == 201, free.text
