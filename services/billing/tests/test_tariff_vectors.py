"""The examples of OCPI 2.2.1 and others', exact to the digit they are given in."""

import json
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from billing.definitions import Definition, compile_tariff
from billing.rating import rate
from billing.rating.course import Course

VECTORS = json.loads((Path(__file__).parents[3] / "tests/data/tariffs.json").read_text())


def course_of(vector: dict[str, Any]) -> Course:
    moments, energies = [0], [Decimal(0)]
    kinds, currents, powers = [], [], []
    for one in vector["segments"]:
        kinds.append((moments[-1], one["kind"]))
        if "current" in one:
            currents.append((moments[-1], Decimal(one["current"])))
        if "power" in one:
            powers.append((moments[-1], Decimal(one["power"]) * 1000))
        moments.append(moments[-1] + round(one["minutes"] * 60))
        energies.append(energies[-1] + Decimal(one.get("kwh", "0")) * 1000)
    return Course(
        datetime.fromisoformat(vector["start"]),
        ZoneInfo(vector["timezone"]),
        moments,
        energies,
        kinds,
        currents,
        powers,
        vector["reservation_expired"],
    )


@pytest.mark.parametrize("vector", VECTORS, ids=[one["id"] for one in VECTORS])
def test_a_published_example_costs_what_is_printed(vector: dict[str, Any]) -> None:
    definition = Definition.model_validate(vector["tariff"] | {"gaps_are_free": True})
    tariff = compile_tariff(definition, "of the example", "EUR", tax_included=False)
    priced = rate(course_of(vector), tariff)
    found = {"excl_vat": priced.total.exact_net, "incl_vat": priced.total.exact_gross}
    for name, printed in vector["expected"].items():
        rounded = found[name].quantize(Decimal(printed), ROUND_HALF_UP)
        assert rounded == Decimal(printed), (name, found)


def test_all_of_them_are_there() -> None:
    assert len(VECTORS) == 26
