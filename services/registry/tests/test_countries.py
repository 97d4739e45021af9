"""Coordinates that cannot be where the address says."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.fields import COUNTRIES
from registry.places import countries


def fault(country: str, latitude: str, longitude: str) -> str | None:
    return countries.fault(country, Decimal(latitude), Decimal(longitude))


@pytest.mark.parametrize(
    ("country", "latitude", "longitude"),
    [
        ("DE", "52.52", "13.405"),
        ("DE", "54.18", "7.89"),  # Helgoland
        ("DE", "55.05", "8.41"),  # List auf Sylt
        ("DK", "55.1", "14.9"),  # Bornholm
        ("ES", "28.1", "-15.4"),  # Las Palmas
        ("PT", "37.74", "-25.67"),  # Ponta Delgada
        ("IT", "35.5", "12.6"),  # Lampedusa
        ("GR", "36.15", "29.59"),  # Kastellorizo
        ("NO", "71.17", "25.78"),  # North Cape
        ("FR", "42.0", "9.4"),  # Corsica
        ("US", "13.4", "52.5"),  # its box is not known
    ],
)
def test_a_point_in_its_country_is_good(country: str, latitude: str, longitude: str) -> None:
    assert fault(country, latitude, longitude) is None


def test_swapped_coordinates_are_called_that() -> None:
    assert "swapped" in (fault("DE", "13.405", "52.52") or "")
    assert "swapped" in (fault("PT", "-9.14", "38.72") or "")
    # Not swapped, but of another country.
    why = fault("DE", "48.21", "16.37")
    assert why
    assert "swapped" not in why
    assert "is not in DE" in why


def test_nothing_is_at_zero_whatever_the_country() -> None:
    for country in ("DE", "US", "GH"):
        assert "leave out" in (fault(country, "0", "0") or "")
    assert fault("GH", "5.6", "0") is None


def test_boxes_are_of_countries_and_have_an_inside() -> None:
    assert countries.BOXES.keys() <= COUNTRIES
    for box in countries.BOXES.values():
        assert -90 < box.south < box.north < 90
        assert -180 < box.west < box.east < 180


@given(
    st.sampled_from(sorted(countries.BOXES)),
    st.decimals(-90, 90, places=5),
    st.decimals(-180, 180, places=5),
)
def test_what_is_called_swapped_is_good_the_other_way_round(
    country: str, latitude: Decimal, longitude: Decimal
) -> None:
    why = countries.fault(country, latitude, longitude)
    if why and "swapped" in why:
        assert countries.fault(country, longitude, latitude) is None
