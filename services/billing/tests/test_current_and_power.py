"""Prices that depend on current or power, from what the meter said of each phase."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from common.events import MeterSample, MeterValuesReported
from services.billing.tests.conftest import START, Billing


def by(limit: str, value: str) -> dict[str, Any]:
    """A kWh costs 0.50, and 0.30 where there is less than this."""
    price = {"type": "ENERGY", "price": "0.50", "vat": "19"}
    less = {"price_components": [price | {"price": "0.30"}], "restrictions": {limit: value}}
    return {"elements": [less, {"price_components": [price]}]}


def samples(measurand: str, unit: str, *values: tuple[int, str, str], **more: Any) -> Any:
    """values: the minute, the phase and the value."""
    return [
        MeterSample(
            sampled_at=START + timedelta(minutes=minute),
            phase=phase,
            value=Decimal(value),
            measurand=measurand,
            unit=unit,
            **{"context": "Sample.Periodic"} | more,
        )
        for minute, phase, value in values
    ]


async def charged(billing: Billing, tariff: dict[str, Any], told: list[MeterSample]) -> str:
    """10 kWh in two hours."""
    body: dict[str, Any] = {"name": "T", "currency": "EUR", "valid_from": "2026-01-01T00:00:00Z"}
    body |= {"definition": tariff}
    headers = billing.issuer.headers(billing.operator_id, "tariffs:write")
    answer = await billing.http.post("/v1/tariffs", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    start = billing.started()
    readings = MeterValuesReported(reports=(billing.report(start.session_id, told),))
    await billing.handle(start, readings, billing.ended(session_id=start.session_id))
    record = await billing.record(start.session_id)
    assert record is not None
    return str(record["total_gross"]["amount"])


THREE = [(0, "L1", "16"), (0, "L2", "16"), (0, "L3", "16")]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (samples("Current.Import", "A", *THREE), "5.00"),  # 48 A
        (samples("Current.Import", "A", *((0, f"{p}-N", v) for _, p, v in THREE)), "5.00"),
        (samples("Current.Import", "A", *THREE[:1]), "3.00"),
        # Read for two reasons at one moment, and of the grid's side: not added up.
        (
            samples("Current.Import", "A", *THREE[:1])
            + samples("Current.Import", "A", *THREE[:1], context="Transaction.Begin")
            + samples("Current.Import", "A", (0, "L1", "99"), location="Inlet"),
            "3.00",
        ),
        (samples("Current.Import", "A", (0, "", "31"), *THREE), "3.00"),  # it says so itself
        (samples("Current.Import", "A", (0, "", "16"), (60, "", "48")), "4.00"),
        ([], "5.00"),  # what is not known is within no limits
    ],
)
async def test_current_is_over_all_phases(
    billing: Billing, told: list[MeterSample], expected: str
) -> None:
    assert await charged(billing, by("max_current", "32"), told) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        # 10 kWh in two hours are 5 kW.
        ([], "3.00"),
        (samples("Power.Active.Import", "W", (60, "", "22000")), "4.00"),
        (samples("Power.Active.Import", "W", *((0, p, "4000") for _, p, _ in THREE)), "5.00"),
    ],
)
async def test_power_is_what_the_meter_says_and_before_that_what_the_energy_does(
    billing: Billing, told: list[MeterSample], expected: str
) -> None:
    assert await charged(billing, by("max_power", "11"), told) == expected
