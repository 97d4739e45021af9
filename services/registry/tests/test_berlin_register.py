"""The register of Berlin's public charging stations, imported as an operator would do it."""

import csv
import io
from decimal import Decimal
from pathlib import Path
from typing import Final

from .conftest import Operator
from .test_station_imports import done, shown

REGISTER: Final = Path(__file__).parents[3] / "tests" / "data" / "berlin_stations_bnetza.csv"
COLUMNS: Final = (
    "station_id", "name", "location", "street", "postal_code", "city", "country", "latitude",
    "longitude", "evse", "max_power_kw", "connector", "connector_format",
)  # fmt: skip
PLUGS: Final = {
    "AC Steckdose Typ 2": ("Typ 2", "SOCKET"), "AC Kupplung Typ 2": ("Typ 2", "CABLE"),
    "AC Schuko": ("Schuko", "SOCKET"), "DC Kupplung Combo": ("CCS", "CABLE"),
    "DC CHAdeMO": ("CHAdeMO", "CABLE"),
}  # fmt: skip


def mapped() -> tuple[bytes, int]:
    """The register in our columns, as a German spreadsheet saves it; and how many stations."""
    text = io.StringIO()
    lines = csv.DictWriter(text, COLUMNS, delimiter=";")
    lines.writeheader()
    points: dict[tuple[str, str], list[tuple[str, str]]] = {}
    with REGISTER.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, 1):
        street, (code, _, city) = row["Adresse"], row["Postleitzahl Ort"].partition(" ")
        point = (row["Breitengrad [DG]"], row["Längengrad [DG]"])
        # One address has stations on both sides of the street: two locations.
        there = points.setdefault((street, code), [])
        if point not in there:
            there.append(point)
        side = there.index(point) + 1
        place = {
            "station_id": f"BNETZA-{number:03}",
            "name": row["Betreiber"],
            "location": f"{street}, {city}" + (f" ({side})" if side > 1 else ""),
            "street": street, "postal_code": code, "city": city, "country": "DE",
            "latitude": point[0], "longitude": point[1],
        }  # fmt: skip
        for evse in (1, 2, 3, 4):
            for plug in filter(None, row[f"Steckertypen {evse}"].split(", ")):
                connector, kind = PLUGS[plug]
                lines.writerow(place | {
                    "evse": evse, "max_power_kw": row[f"P{evse} [kW]"],
                    "connector": connector, "connector_format": kind,
                })  # fmt: skip
    return text.getvalue().encode("latin-1"), len(rows)


async def test_the_register_of_berlin_is_imported(operator: Operator) -> None:
    data, count = mapped()
    assert count == 330
    preview = await shown(operator, data)
    assert preview["faults"] == []
    assert preview["counts"]["make"] == count
    assert preview["counts"]["locations"] == 324
    answer = await done(operator, data, plan=preview["plan"])
    assert len({row["password"] for row in answer}) == count
    stations = (await operator.http.get("/v1/stations", params={"limit": 500})).json()["items"]
    assert len(stations) == count
    first = stations[0]
    assert (first["id"], first["name"]) == ("BNETZA-001", "innogy SE")
    assert [evse["max_power_w"] for evse in first["evses"]] == [22_000, 22_000]
    powers = {evse["max_power_w"] for one in stations for evse in one["evses"]}
    assert powers == {3_700, 11_000, 22_000, 42_000, 43_000, 50_000, 350_000}
    plugs = [
        plug for one in stations for evse in one["evses"] for plug in evse["connectors"]
    ]  # fmt: skip
    assert sum(plug["standard"] == "CHADEMO" for plug in plugs) == 6
    places = (await operator.http.get("/v1/locations", params={"limit": 500})).json()["items"]
    for place in places:
        assert Decimal("52.3") < Decimal(place["latitude"]) < Decimal("52.7")
        assert Decimal("13.0") < Decimal(place["longitude"]) < Decimal("13.8")
    [boyen] = [one for one in places if one["address"]["street"] == "Boyenstr. 23"]
    assert (boyen["latitude"], boyen["longitude"]) == ("52.535955", "13.368842")
    assert {row["outcome"] for row in await done(operator, data)} == {"unchanged"}


async def test_a_register_with_its_coordinates_swapped_is_refused_row_by_row(
    operator: Operator,
) -> None:
    data, count = mapped()
    swapped = data.replace(b"latitude;longitude", b"longitude;latitude")
    preview = await shown(operator, swapped)
    assert preview["counts"]["faults"] == count
    assert all("swapped" in fault["why"] for fault in preview["faults"])
