"""Prepaid over all services: refused without credit, charging with it, stopped when it is gone."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
from gateway_wire import EVSE
from stack import WAIT_S, eventually
from suite import Suite
from test_cost_shown import connected, reading
from websockets.asyncio.client import ClientConnection

from common.ids import uuid7


class Station:
    """A charger's end of a socket that takes calls too: a stop as it is asked, nothing else."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.stops: list[str] = []  # transactions that were to be stopped
        # When the session ends by its clock, an hour after it began, however long this takes.
        self.ends_at: datetime | None = None

    async def call(self, action: str, payload: dict[str, Any]) -> Any:
        message_id = uuid4().hex
        await self.socket.send(json.dumps([2, message_id, action, payload]))
        while True:
            frame = await self._frame(WAIT_S)
            if frame[0] in (3, 4) and frame[1] == message_id:
                return frame[2]

    async def stopped(self) -> list[str]:
        """Once it was told to."""
        async with asyncio.timeout(WAIT_S):
            while not self.stops:
                await self._frame(WAIT_S)
        return self.stops

    async def _frame(self, timeout_s: float) -> Any:
        frame = json.loads(await asyncio.wait_for(self.socket.recv(), timeout_s))
        if frame[0] != 2:
            return frame
        answer: list[Any] = [4, frame[1], "NotSupported", "", {}]
        if frame[2] == "RequestStopTransaction":
            self.stops.append(frame[3]["transactionId"])
            answer = [3, frame[1], {"status": "Accepted"}]
        await self.socket.send(json.dumps(answer))
        return frame

    async def authorize(self, uid: str) -> str:
        token = {"idToken": uid, "type": "ISO14443"}
        return str((await self.call("Authorize", {"idToken": token}))["idTokenInfo"]["status"])

    async def event(self, kind: str, seq_no: int, transaction: str, wh: int, **more: Any) -> Any:
        context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}
        ago_s = {0: 3600, 1: 900}.get(seq_no, 0)
        self.ends_at = self.ends_at or datetime.now(UTC)
        at = self.ends_at - timedelta(seconds=ago_s)
        payload = {
            "eventType": kind,
            "timestamp": at.isoformat(),
            "seqNo": seq_no,
            # What is told late was kept: its time counts, and the clock is not thought wrong.
            "offline": datetime.now(UTC) - at > timedelta(seconds=30),
            "transactionInfo": {"transactionId": transaction} | more.pop("info", {}),
            "meterValue": reading(wh, context.get(kind, "Sample.Periodic"), at.isoformat()),
        }
        return await self.call("TransactionEvent", payload | more)


async def made(api: httpx.AsyncClient, url: str, **body: Any) -> dict[str, Any]:
    """Once billing has heard of whom it names."""
    headers = {"Idempotency-Key": uuid7().hex}

    async def there() -> Any:
        answer = await api.post(url, json=body, headers=headers)
        return answer.json() if answer.status_code == 201 else None

    found: dict[str, Any] = await eventually(there)
    return found


async def test_a_prepaid_driver_is_refused_topped_up_and_stopped_when_it_is_used_up(
    suite: Suite,
) -> None:
    uid, transaction = uuid4().hex[:12].upper(), str(uuid4())
    headers = {"Authorization": f"Bearer {await suite.token()}"}
    identity, billing = f"{suite.urls['identity']}/v1", f"{suite.urls['billing']}/v1"
    async with httpx.AsyncClient(headers=headers, timeout=20) as api:
        user = (await made(api, f"{identity}/users", name="Pia Prepaid"))["id"]
        await made(api, f"{identity}/cards", uid=uid, user_id=user)
        strategy = await made(
            api, f"{billing}/accounting-strategies", name=uid, method="prepaid", currency="EUR",
            prepaid_estimate="5.00", tariffs=[],
        )  # fmt: skip
        holder = {"kind": "user", "id": user}
        await made(
            api, f"{billing}/strategy-assignments", strategy_id=strategy["id"], holder=holder
        )

        async def account() -> dict[str, Any]:
            found = await api.get(f"{billing}/accounts", params={"owner_id": user})
            (one,) = found.json()["items"]
            return dict(one)

        async with await connected(suite, suite.demo["stations"][2], "ocpp2.0.1") as socket:
            station = Station(socket)

            async def answered(status: str) -> bool:
                await asyncio.sleep(0.5)  # the gateway remembers an answer for a moment
                return await station.authorize(uid) == status

            await eventually(lambda: answered("NoCredit"))
            top_up = {"way": "cash", "account_id": (await account())["id"], "receipt": "17"}
            amount = {"amount": "10.00", "currency": "EUR"}
            await made(api, f"{billing}/topups", **top_up, amount=amount, reason="at the desk")
            await eventually(lambda: answered("Accepted"))
            token = {"idToken": uid, "type": "ISO14443"}
            begin = {"triggerReason": "Authorized", "idToken": token, "evse": EVSE}
            answer = await station.event("Started", 0, transaction, 5_000, **begin)
            assert answer["idTokenInfo"]["status"] == "Accepted"

            async def held() -> bool:
                return bool((await account())["held"]["amount"] == "5.00")

            await eventually(held)
            periodic = {"triggerReason": "MeterValuePeriodic"}
            # 9.31 for 19 kWh, 0.35 and 0.45: more than 10.00 before long.
            await station.event("Updated", 1, transaction, 24_000, **periodic)
            assert await station.stopped() == [transaction]
            end = {"triggerReason": "RemoteStop", "info": {"stoppedReason": "Remote"}}
            await station.event("Ended", 2, transaction, 25_000, **end)
            of_station = {"station_id": suite.demo["stations"][2]["id"]}
            (row,) = (await suite.get("csms-gateway", "transactions", **of_station))["items"][:1]
            record = await suite.record_of(row["session_id"])
            assert record["account_id"] == (await account())["id"]

            async def settled() -> Any:
                found = await account()
                return found if Decimal(found["held"]["amount"]) == 0 else None

            after = await eventually(settled)
            # 20 kWh at 0.49, an hour at 0.01 a minute, 0.35: 10.75.
            assert record["total_gross"]["amount"] == "10.75"
            assert after["balance"]["amount"] == "-0.75"
            await eventually(lambda: answered("NoCredit"))
