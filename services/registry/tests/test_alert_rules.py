"""Alert rules by REST: what one is made of, its versions, its webhook's secret, what is refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from stack import Issuer, Running, Servers, one_service

from common.ids import uuid7

from .watch import SETTINGS, Watch, ago, watching

RULES = "/v1/alert-rules"
HOOK = "https://hook.example/alerts"


@pytest.fixture(scope="module")
async def registry_with_mail(servers: Servers, issuer: Issuer) -> AsyncIterator[Any]:
    async with watching(servers, issuer) as made:
        yield made


@pytest.fixture
async def watch(registry_with_mail: Any) -> AsyncIterator[Watch]:
    made = Watch(*registry_with_mail)
    yield made
    await made.http.aclose()


def body(**more: Any) -> dict[str, Any]:
    usual = {"name": "Nachts", "kind": "offline", "place": {"kind": "everywhere"}, "after_s": 60}
    return usual | more


async def test_a_rule_is_made_read_changed_by_its_version_and_deleted(watch: Watch) -> None:
    made = await watch.rule(
        name="Nachts", emails=["b@x.example", "A@x.example", "a@x.example"], quiet_from="22:00",
        quiet_until="06:30", remind_after_s=3600, webhook_url=HOOK,
    )  # fmt: skip
    assert made["emails"] == ["a@x.example", "b@x.example"]
    assert made["place"] == {"kind": "everywhere", "id": None}
    path = f"{RULES}/{made['id']}"
    read = await watch.http.get(path)
    assert read.headers["ETag"] == '"1"'
    secret = made.pop("webhook_secret")
    assert secret.startswith("olw_")
    assert read.json() == made
    assert (await watch.http.get(RULES)).json()["items"] == [made]
    change = {"after_s": 120, "severity": "critical", "quiet_from": None, "quiet_until": None}
    assert (await watch.http.patch(path, json=change)).status_code == 428
    changed = await watch.http.patch(path, json=change, headers={"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    assert changed.json() == made | change | {"version": 2, "webhook_secret": None}
    late = await watch.http.patch(path, json=change, headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["version"]) == (412, 2)
    stranger = Watch(watch.registry, watch.box)
    for refused in (
        await stranger.http.get(path),
        await stranger.http.delete(path),
        await stranger.http.post(f"{path}/secret"),
    ):
        assert refused.status_code == 404
    await stranger.http.aclose()
    assert (await watch.http.delete(path)).status_code == 204
    assert (await watch.http.get(path)).status_code == 404


async def test_a_webhook_keeps_its_secret_until_it_is_given_a_new_one(watch: Watch) -> None:
    made = await watch.rule()
    path, any_version = f"{RULES}/{made['id']}", {"If-Match": "*"}
    assert made["webhook_secret"] is made["webhook_url"] is None
    assert (await watch.http.post(f"{path}/secret")).status_code == 409
    given = await watch.http.patch(path, json={"webhook_url": HOOK}, headers=any_version)
    assert given.headers["Cache-Control"] == "no-store"
    first = given.json()["webhook_secret"]
    moved = await watch.http.patch(
        path, json={"webhook_url": f"{HOOK}/2", "after_s": 5}, headers=any_version
    )
    assert (moved.json()["webhook_url"], moved.json()["webhook_secret"]) == (f"{HOOK}/2", None)
    renewed = (await watch.http.post(f"{path}/secret")).json()["webhook_secret"]
    assert renewed != first
    gone = await watch.http.patch(path, json={"webhook_url": None}, headers=any_version)
    assert gone.json()["webhook_url"] is None
    again = await watch.http.patch(path, json={"webhook_url": HOOK}, headers=any_version)
    assert again.json()["webhook_secret"] not in {None, first, renewed}


@pytest.mark.parametrize(
    "wrong",
    [
        {"after_s": None}, {"after_s": -1}, {"after_s": 0.5}, {"days": 3}, {"error_codes": ["E1"]},
        {"kind": "unused"}, {"kind": "unused", "after_s": None, "days": 0},
        {"kind": "failing", "after_s": None, "failures": 3},
        {"kind": "failing", "after_s": None, "failures": 3, "hours": 169},
        {"kind": "faulted", "error_codes": []}, {"kind": "stolen"},
        {"quiet_from": "22:00"}, {"quiet_from": "25:00", "quiet_until": "06:00"},
        {"emails": ["no address"]}, {"emails": ["a@x.example\nBcc: b@x.example"]},
        {"emails": ["a@x.example"] * 11}, {"notices_per_hour": 0}, {"remind_after_s": 1},
        {"name": ""}, {"name": "a\x00b"}, {"place": {"kind": "location"}},
        {"place": {"kind": "location", "id": "no id"}}, {"place": {"kind": "station", "id": "X"}},
        {"place": {"kind": "everywhere", "id": "X"}}, {"severity": "urgent"}, {"colour": "red"},
        {"webhook_url": "ftp://hook.example"}, {"webhook_url": "https://169.254.169.254/"},
        {"webhook_url": "https://user:secret@hook.example/"},
    ],
)  # fmt: skip
async def test_what_is_no_rule_is_refused(watch: Watch, wrong: dict[str, Any]) -> None:
    answer = await watch.http.post(RULES, json=body() | wrong)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await watch.http.get(RULES)).json()["items"] == []


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"days": 3}, "wrong-limits"), ({"error_codes": ["E1"]}, "wrong-limits"),
        ({"after_s": None}, "invalid-request"), ({"kind": "unused"}, "invalid-request"),
        ({"quiet_from": "22:00"}, "half-quiet"), ({}, "invalid-request"),
        ({"place": {"kind": "station", "id": "X"}}, "unknown-place"),
        ({"webhook_url": "https://10.0.0.1.5/"}, "webhook-url-refused"),
    ],
)  # fmt: skip
async def test_a_change_that_makes_no_rule_changes_nothing(
    watch: Watch, wrong: dict[str, Any], problem: str
) -> None:
    made = await watch.rule()
    path = f"{RULES}/{made['id']}"
    answer = await watch.http.patch(path, json=wrong, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["type"]) == (422, f"urn:openlade:problem:{problem}")
    assert (await watch.http.get(path)).json()["version"] == 1


async def test_names_are_taken_and_another_operators_places_are_not_there(watch: Watch) -> None:
    await watch.rule(name="Nachts")
    again = await watch.http.post(RULES, json=body())
    assert (again.status_code, again.json()["type"]) == (
        409, "urn:openlade:problem:alert-rule-name-taken",
    )  # fmt: skip
    stranger = Watch(watch.registry, watch.box)
    theirs = await stranger.station()
    await stranger.http.aclose()
    mine = await watch.rule(name="mine")
    place = {"place": {"kind": "station", "id": theirs}}
    made = await watch.http.post(RULES, json=body(name="theirs", **place))
    platform = watch.registry.as_(None, "alerts:write", role="platform-admin")
    async with platform:  # it sees both
        path, any_version = f"{RULES}/{mine['id']}", {"If-Match": "*"}
        changed = await platform.patch(path, json=place, headers=any_version)
    for refused in (made, changed):
        assert refused.json()["type"] == "urn:openlade:problem:unknown-place"


async def test_reading_writes_nothing_and_other_scopes_do_neither(watch: Watch) -> None:
    rule = await watch.rule(after_s=0)
    await watch.gone(await watch.station(), since=ago(minutes=1))
    await watch.look()
    [alert] = await watch.alerts()
    async with watch.registry.as_(watch.id, "alerts:read") as reader:
        assert (await reader.get(RULES)).status_code == 200
        assert (await reader.post(RULES, json=body())).status_code == 403
        assert (await reader.delete(f"{RULES}/{rule['id']}")).status_code == 403
        path = f"/v1/alerts/{alert['id']}/acknowledge"
        assert (await reader.post(path, json={})).status_code == 403
    async with watch.registry.as_(watch.id, "stations:read", "stations:write") as other:
        for path in (RULES, "/v1/alerts", f"/v1/alerts/{alert['id']}", "/v1/alerts/export"):
            assert (await other.get(path)).status_code == 403


async def test_where_no_mail_is_sent_and_no_secret_kept_rules_that_need_them_are_refused(
    servers: Servers, issuer: Issuer
) -> None:
    settings = {name: SETTINGS[name] for name in ("alerts_every_s", "allow_private_endpoints")}
    async with one_service(servers, issuer, "registry", **settings) as bare:
        async with bare.as_(uuid7(), "alerts:read", "alerts:write") as staff:
            by_mail = await staff.post(RULES, json=body(emails=["a@x.example"]))
            assert (by_mail.status_code, by_mail.json()["type"]) == (
                503, "urn:openlade:problem:mail-not-configured",
            )  # fmt: skip
            by_hook = await staff.post(RULES, json=body(webhook_url=HOOK))
            assert by_hook.status_code == 503
            assert (await staff.get(RULES)).json()["items"] == []
            assert (await staff.post(RULES, json=body())).status_code == 201
        assert isinstance(bare, Running)
