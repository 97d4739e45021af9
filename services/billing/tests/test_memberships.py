"""A session that was offline for weeks is priced by who its driver was when it began."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from billing import memberships
from common.authorize import Holder
from common.clock import now
from common.events import PersonErased, UserChanged, UserGroupChanged
from common.ids import uuid7

from .conftest import START, Billing
from .strategy_place import Place, placed


async def moved(place: Place, groups: tuple[UUID, ...], version: int, since: Any) -> None:
    await place.billing.handle(
        UserChanged(
            operator_id=place.operator_id, user_id=place.user, version=version, name="Ada",
            active=True, group_ids=groups, occurred_at=since,
        )
    )  # fmt: skip


async def charged(
    place: Place, *, told_at: Any = None, groups: tuple[UUID, ...] = (), **times: Any
) -> dict[str, Any]:
    """10 kWh of Ada, who is in these groups, or in none any more, by the gateway's words."""
    end = place.billing.ended(
        station_id=place.station, card_id=place.card, user_id=place.user,
        holder=Holder(user_group_ids=groups), occurred_at=told_at or now(), **times,
    )  # fmt: skip
    await place.billing.handle(end)
    record = await place.billing.record(end.session_id)
    assert record is not None
    return record


async def limits(place: Place) -> tuple[str | None, str | None, str]:
    """Of Ada's account: how far below zero, why by staff, and by which strategy."""
    [account] = (await place.staff.get("/v1/accounts")).json()["items"]
    limit = account["credit_limit"]
    return limit and limit["amount"], account["limit_reason"], account["strategy_id"]


async def set_by_staff(place: Place, limit: str) -> None:
    [account] = (await place.staff.get("/v1/accounts")).json()["items"]
    change = {"credit_limit": limit, "reason": "asked for"}
    path = f"/v1/accounts/{account['id']}"
    answer = await place.staff.patch(path, json=change, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text


async def test_a_late_session_has_the_groups_of_its_real_start(billing: Billing) -> None:
    async with placed(billing) as place:
        strategy = await place.strategy("neighbours", await place.tariff("0.30"))
        await place.give(strategy, "user_group", place.group)
        await moved(place, (place.group,), 2, START - timedelta(days=3))
        await moved(place, (), 3, START + timedelta(days=1))
        await moved(place, (), 3, START + timedelta(days=1))
        record = await charged(place)
        assert record["total_gross"]["amount"] == "3.00"
        assert record["holder"]["user_group_ids"] == [str(place.group)]
        soon = await charged(place, told_at=START + timedelta(minutes=1))
        assert soon["total_gross"]["amount"] == "4.90", "at once: what was told with it counts"


async def test_what_was_before_anything_was_known_is_as_it_was_told(billing: Billing) -> None:
    async with placed(billing) as place:
        strategy = await place.strategy("neighbours", await place.tariff("0.30"))
        await place.give(strategy, "user_group", place.group)
        await moved(place, (place.group,), 2, START + timedelta(days=1))
        assert (await charged(place))["total_gross"]["amount"] == "4.90"


async def test_what_is_of_no_use_any_more_goes_and_so_does_a_person(billing: Billing) -> None:
    async with placed(billing) as place:
        old = now() - memberships.KEPT
        for days, groups in ((-9, ()), (-5, (place.group,)), (3, ())):
            await moved(place, groups, 2 + days + 9, old + timedelta(days=days))
        query = "select since from membership where user_id = $1 and since < $2 order by since"
        before = now() - timedelta(days=1)
        await memberships.prune_once(billing.app.state.connections)
        found = [row["since"] for row in await billing.stored(query, place.user, before)]
        assert found == [old + timedelta(days=days) for days in (-5, 3)], "one before it is needed"
        await billing.handle(
            PersonErased(
                operator_id=place.operator_id, request_id=uuid7(), user_id=place.user, cards=()
            )
        )
        assert await billing.stored(query, place.user, before) == []


async def test_a_late_session_gives_its_account_no_limits_of_then(billing: Billing) -> None:
    """Nor takes those away that staff have set since; a session of today's groups does."""
    async with placed(billing) as place:
        monthly = await place.strategy("monthly", tariffs=[])
        prepaid = await place.strategy("prepaid", method="prepaid", tariffs=[])
        newer = uuid7()
        # What the place was told of her today would be the newest of all.
        await billing.stored("delete from membership where user_id = $1", place.user)
        await place.billing.handle(
            UserGroupChanged(
                operator_id=place.operator_id, group_id=newer, name="Guests", version=1
            )
        )
        await place.give(monthly, "user_group", place.group)
        await place.give(prepaid, "user_group", newer)
        await moved(place, (place.group,), 2, START - timedelta(days=3))
        assert await charged(place), "it opens the account, late as it is"
        assert await limits(place) == (None, None, monthly)
        await moved(place, (newer,), 3, START + timedelta(days=1))
        after = {"started_at": START + timedelta(days=2), "ended_at": START + timedelta(days=2.1)}
        await charged(place, groups=(newer,), **after)
        assert await limits(place) == ("0", None, prepaid)
        await set_by_staff(place, "7.00")
        assert (await charged(place, groups=(newer,)))["account_id"]
        assert await limits(place) == ("7.00", "asked for", prepaid), "told late"
        await charged(place, groups=(place.group,), told_at=START)
        assert await limits(place) == ("7.00", "asked for", prepaid), "handled late"
        await moved(place, (place.group,), 4, START + timedelta(days=4))
        after = {"started_at": START + timedelta(days=5), "ended_at": START + timedelta(days=5.1)}
        await charged(place, groups=(place.group,), **after)
        assert await limits(place) == (None, None, monthly)
