"""An operator's own settings, its logo, what anybody may know, and what being off means."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from pictures import SVG, jpeg, png
from stack import Running, eventually

from common.database import PLATFORM
from common.events import OperatorChanged
from identity.operator_settings import LOGO_BYTES_MAX
from identity.policies import Policies
from identity.tables import Operator

from .support import made, new_operator, problem
from .test_entities import events
from .test_signing_in import make_login, sign_in

SETTINGS = ("settings:read", "settings:write")
FACTS = {
    "legal_name": "Stadtwerke Nord GmbH",
    "street": "Kai 1",
    "postal_code": "20457",
    "city": "Hamburg",
    "country": "DE",
    "vat_id": "DE 123456789",
    "tax_number": "22/123/45678",
    "register_entry": "HRB 1234, Hamburg",
    "email": "Help@nord.example",
    "phone": "+49 40 123456",
    "website": "https://nord.example",
    "iban": "DE02 1203 0000 0000 2020 51",
    "bic": "BYLADEM1001",
    "account_holder": "Stadtwerke Nord GmbH",
}
STORED = FACTS | {
    "vat_id": "DE123456789",
    "email": "help@nord.example",
    "phone": "+4940123456",
    "iban": "DE02120300000000202051",
}


async def test_an_operators_admin_says_what_it_is_and_all_learn_of_it(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SETTINGS) as admin:
        read = await admin.get("/v1/settings")
        assert (read.headers["etag"], read.json()["languages"]) == ('"1"', ["de", "en"])
        body = FACTS | {"languages": ["en", "fr"], "policies": {"personal_data_days": 90}}
        changed = await admin.patch("/v1/settings", json=body, headers={"If-Match": '"1"'})
        assert changed.status_code == 200, changed.text
        assert STORED.items() <= changed.json().items()
        assert (changed.headers["etag"], changed.json()["version"]) == ('"2"', 2)
        emptied = await admin.patch(
            "/v1/settings", json={"iban": None}, headers={"If-Match": '"2"'}
        )
        assert emptied.json() == changed.json() | {"iban": None, "version": 3}
        late = await admin.patch("/v1/settings", json={"city": "X"}, headers={"If-Match": '"2"'})
        problem(late, 412, "version-changed")

    async def told() -> list[Any]:
        found = await events(identity, OperatorChanged, "operator_id", operator)
        return found if len(found) == 3 else []

    second = (await eventually(told))[1]
    assert STORED.items() <= second.model_dump().items()
    assert (second.languages, second.personal_data_days, second.active) == (("en", "fr"), 90, True)


@pytest.mark.parametrize(
    "body",
    [
        {"iban": "DE02120300000000202052"},
        {"vat_id": "DE1"},
        {"country": "XX"},
        {"phone": "112"},
        {"website": "javascript:alert(1)"},
        {"languages": []},
        {"languages": ["de", "de"]},
        {"languages": ["tlh"]},
        {"languages": None},
        {"policies": {"personal_data_days": 29}},
        {"policies": {"invitation_days": 31}},
        {"policies": {"no_such": 1}},
        {"policies": None},
        {"active": False},  # the platform's alone
        {"currency": "CHF"},
        {},
    ],
)
async def test_settings_that_make_no_sense_are_refused(
    identity: Running, operator: UUID, body: dict[str, Any]
) -> None:
    async with identity.as_(operator, *SETTINGS) as admin:
        answer = await admin.patch("/v1/settings", json=body, headers={"If-Match": "*"})
        problem(answer, 422, "invalid-request")


async def test_policies_that_are_not_named_stay(identity: Running, operator: UUID) -> None:
    async with identity.as_(operator, *SETTINGS) as admin:
        for policies in (
            {"invitation_days": 3, "personal_data_days": 60},
            {"driver_registration": "approval", "personal_data_days": None},
        ):
            body = {"policies": policies}
            changed = await admin.patch("/v1/settings", json=body, headers={"If-Match": "*"})
    assert Policies.model_validate(changed.json()["policies"]) == Policies(
        invitation_days=3, driver_registration="approval"
    )
    async with identity.app.state.connections.begin(PLATFORM) as db:
        row = await db.get(Operator, operator)
        assert row
        # What was never said is not stored: its default may change.
        assert row.policies.keys() == {
            "invitation_days", "driver_registration", "personal_data_days",
        }  # fmt: skip


async def test_settings_are_of_one_operator_and_by_scope(identity: Running, operator: UUID) -> None:
    async with identity.as_(None, *SETTINGS) as platform:
        problem(await platform.get("/v1/settings"), 400, "operator-required")
        platform.headers["Operator-Id"] = str(operator)
        assert (await platform.get("/v1/settings")).json()["id"] == str(operator)
        platform.headers["Operator-Id"] = str(uuid4())
        problem(await platform.get("/v1/settings"), 404, "not-found")
        problem(await platform.put("/v1/settings/logo", content=png()), 422, "unknown-operator")
    async with identity.as_(operator, "settings:read") as reader:
        answer = await reader.patch("/v1/settings", json={"city": "X"}, headers={"If-Match": "*"})
        problem(answer, 403, "missing-scope")


async def test_a_logo_is_shown_to_anybody_and_cached(identity: Running, operator: UUID) -> None:
    public = f"/v1/public/operators/{operator}"
    problem(await identity.http.get(f"{public}/logo"), 404, "not-found")
    assert (await identity.http.get(public)).json()["logo_url"] is None
    async with identity.as_(operator, *SETTINGS) as admin:
        problem(await admin.get("/v1/settings/logo"), 404, "not-found")
        put = await admin.put("/v1/settings/logo", content=png(40, 20))
        assert (put.json()["media_type"], put.json()["width"]) == ("image/png", 40)
        url = (await identity.http.get(public)).json()["logo_url"]
        assert url == put.json()["url"] == (await admin.get("/v1/settings/logo")).json()["url"]
        shown = await identity.http.get(url)
        assert shown.content == png(40, 20)
        assert shown.headers["content-type"] == "image/png"
        assert shown.headers["x-content-type-options"] == "nosniff"
        assert shown.headers["cache-control"] == "public, max-age=86400"
        tag = {"If-None-Match": f'"x", W/{shown.headers["etag"]}'}
        assert (await identity.http.get(url, headers=tag)).status_code == 304
        again = await admin.put("/v1/settings/logo", content=jpeg(40, 20))
        assert again.json()["url"] != url
        assert (await identity.http.get(url, headers=tag)).content == jpeg(40, 20)
        assert (await admin.delete("/v1/settings/logo")).status_code == 204
    assert (await identity.http.get(url)).status_code == 404


@pytest.mark.parametrize(
    ("data", "status", "name"),
    [
        (SVG, 415, "not-a-logo"),
        (b"", 415, "not-a-logo"),
        (png(5000, 1), 415, "not-a-logo"),
        (png() + bytes(LOGO_BYTES_MAX), 413, "logo-too-large"),
    ],
)
async def test_what_is_no_logo_is_refused(
    identity: Running, operator: UUID, data: bytes, status: int, name: str
) -> None:
    headers = {"Content-Type": "image/png"}  # what it says of itself does not count
    async with identity.as_(operator, *SETTINGS) as admin:
        problem(await admin.put("/v1/settings/logo", content=data, headers=headers), status, name)


async def test_anybody_sees_the_public_profile_and_no_more(
    identity: Running, operator: UUID
) -> None:
    async with identity.as_(operator, *SETTINGS) as admin:
        body = FACTS | {"policies": {"driver_registration": "open"}}
        await admin.patch("/v1/settings", json=body, headers={"If-Match": '"1"'})
    public = f"/v1/public/operators/{operator}"
    assert (await identity.http.get(public)).json() == {
        "id": str(operator),
        "name": "Stadtwerke",
        "languages": ["de", "en"],
        "website": "https://nord.example",
        "email": "help@nord.example",
        "phone": "+4940123456",
        "logo_url": None,
        "registration": True,
        "provider": False,
    }
    problem(await identity.http.get(f"/v1/public/operators/{uuid4()}"), 404, "not-found")


async def test_nobody_of_an_inactive_operator_signs_in_or_stays_signed_in(
    identity: Running,
) -> None:
    operator, other = await new_operator(identity), await new_operator(identity)
    login, theirs = await make_login(identity, operator), await make_login(identity, other)
    refresh = (await sign_in(identity, login["email"])).json()["refresh_token"]
    async with identity.as_(operator, "api-keys:write", "users:read") as admin:
        key = (await made(admin, "/v1/api-keys", name="BI", scopes=["users:read"]))["key"]

    async def statuses() -> list[int]:
        nonlocal refresh
        signed = await sign_in(identity, login["email"])
        again = await identity.http.post("/v1/token/refresh", json={"refresh_token": refresh})
        refresh = again.json().get("refresh_token", refresh)
        by_key = await identity.http.post("/v1/token/api-key", json={"api_key": key})
        return [signed.status_code, again.status_code, by_key.status_code]

    async def switch(*, on: bool, version: int) -> None:
        async with identity.as_(None, "operators:write") as platform:
            answer = await platform.patch(
                f"/v1/operators/{operator}",
                json={"active": on},
                headers={"If-Match": f'"{version}"'},
            )
            assert answer.json()["active"] is on

    assert await statuses() == [200, 200, 200]
    await switch(on=False, version=1)
    assert await statuses() == [401, 401, 401]
    assert (await sign_in(identity, theirs["email"])).status_code == 200
    public = await identity.http.get(f"/v1/public/operators/{operator}")
    assert public.json()["registration"] is False
    await switch(on=True, version=2)
    assert (await statuses())[::2] == [200, 200]
