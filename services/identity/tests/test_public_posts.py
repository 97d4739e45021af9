"""What needs no token is bounded by network, and by nothing else."""

import json

import httpx
from hypothesis import given
from hypothesis import strategies as st
from public_routes import PUBLIC
from stack import Issuer, Servers, one_service

from common.windows import Limit, Windows
from local_stack import docs

from .support import BOSS, BOSS_PASSWORD, problem
from .test_signing_in import sign_in

MINUTE = 60.0


@given(
    st.integers(1, 8),
    st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=60),
)
def test_within_no_standing_window_are_more_than_the_limit_and_who_waits_gets_in(
    most: int, pauses: list[float]
) -> None:
    windows, at_s = Windows([Limit(most, MINUTE)]), 0.0
    taken: list[float] = []
    for pause_s in pauses:
        at_s += pause_s
        wait_s = windows.take("n", at_s)
        if wait_s <= 0:
            taken.append(at_s)
            continue
        assert wait_s <= 2 * MINUTE
        at_s += wait_s + 0.001
        assert windows.take("n", at_s) <= 0
        taken.append(at_s)
    by_window = [int(one // MINUTE) for one in taken]
    assert all(by_window.count(one) <= most for one in by_window)


def test_around_the_turn_of_the_minute_there_are_not_twice_as_many() -> None:
    windows = Windows([Limit(10, MINUTE)])
    assert [windows.take("n", 59.0) for _ in range(10)] == [0.0] * 10
    assert windows.take("n", 59.0) > 0
    late = [windows.take("n", 61.0) for _ in range(10)]
    assert sum(wait_s <= 0 for wait_s in late) == 0
    assert sum(windows.take("n", 90.0) <= 0 for _ in range(10)) == 5
    assert sum(windows.take("other", 61.0) <= 0 for _ in range(20)) == 10
    assert sum(windows.take("n", 300.0) <= 0 for _ in range(20)) == 10


def test_the_longer_limit_holds_too_and_what_is_refused_does_not_count() -> None:
    windows = Windows([Limit(5, MINUTE), Limit(12, 60 * MINUTE)])
    taken = [windows.take("n", minute * 2 * MINUTE) <= 0 for minute in range(5) for _ in range(9)]
    assert sum(taken) == 12
    assert windows.take("n", 10 * MINUTE) > 40 * MINUTE
    assert sum(windows.take("n", 180 * MINUTE) <= 0 for _ in range(9)) == 5
    assert Windows([Limit(0, MINUTE)]).take("n", 0.0) == 0.0


def test_memory_is_bounded_by_forgetting_those_not_seen_for_longest() -> None:
    windows = Windows([Limit(1, MINUTE)], keys_max=3)
    for key in ("a", "b", "c", "a", "d"):
        windows.take(key, 1.0)
    assert windows.take("a", 1.0) > 0  # seen after b, which was forgotten for d
    assert windows.take("b", 1.0) == 0.0
    assert len(windows._counts) == 3


async def test_every_public_post_is_bounded(servers: Servers, issuer: Issuer) -> None:
    ours = json.loads(docs.openapi("identity"))["paths"]
    posts = [path for method, path in sorted(PUBLIC) if method == "post" and path in ours]
    assert len(posts) >= 8
    async with one_service(servers, issuer, "identity", public_posts_per_minute=1) as identity:
        for path in posts:
            answers = [await identity.http.post(path, json={}) for _ in range(11)]
            assert answers[-1].status_code == 429, path
            problem(answers[-1], 429, "too-many-requests")
            assert 1 <= int(answers[-1].headers["retry-after"]) <= 120


async def test_a_network_is_refused_by_kind_and_others_are_not(
    servers: Servers, issuer: Issuer
) -> None:
    named = {"bootstrap_email": BOSS, "bootstrap_password": BOSS_PASSWORD}
    limits = {"public_posts_per_minute": 3, "public_posts_per_hour": 4}
    async with one_service(servers, issuer, "identity", **named, **limits) as identity:
        first = await sign_in(identity, BOSS, BOSS_PASSWORD)
        assert first.status_code == 200
        for _ in "12":
            problem(await sign_in(identity, BOSS, "wrong"), 401, "sign-in-refused")
        refused = await sign_in(identity, BOSS, BOSS_PASSWORD)
        problem(refused, 429, "too-many-requests")
        assert 1 <= int(refused.headers["retry-after"]) <= 120
        elsewhere = httpx.AsyncHTTPTransport(local_address="127.9.0.1")
        async with httpx.AsyncClient(base_url=identity.url, transport=elsewhere) as other:
            body = {"email": BOSS, "password": BOSS_PASSWORD}
            assert (await other.post("/v1/token", json=body, timeout=20)).status_code == 200
        renewed = {"refresh_token": first.json()["refresh_token"]}
        again = await identity.http.post("/v1/token/refresh", json=renewed)
        assert again.status_code == 200
        read = {"Authorization": f"Bearer {again.json()['access_token']}"}
        for _ in range(9):
            answer = await identity.http.get("/v1/operators", headers=read)
            assert answer.status_code == 200
