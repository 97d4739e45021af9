"""Pure: whether a point can be in a country, by the box around it.

It finds coordinates that are swapped or of another place, not which side of a border they are on.
"""

from decimal import Decimal
from typing import Final, NamedTuple


class Box(NamedTuple):
    """Degrees, WGS 84."""

    south: float
    north: float
    west: float
    east: float


# Natural Earth 4, Admin 0, 1:50m (public domain), rounded outwards to a tenth of a degree and
# widened where its simplified coasts leave out islands. FR, NL and NO are what is in Europe: their
# other territories have ISO codes of their own. Russia crosses 180 degrees and is left out.
BOXES: Final[dict[str, Box]] = {
    "AD": Box(42.4, 42.7, 1.4, 1.8), "AL": Box(39.6, 42.7, 19.2, 21.1),
    "AT": Box(46.3, 49.1, 9.5, 17.2), "AX": Box(59.7, 60.7, 19.2, 21.4),
    "BA": Box(42.5, 45.3, 15.7, 19.7), "BE": Box(49.4, 51.6, 2.5, 6.5),
    "BG": Box(41.2, 44.3, 22.3, 28.7), "BY": Box(51.2, 56.2, 23.1, 32.8),
    "CH": Box(45.8, 47.9, 5.9, 10.5), "CY": Box(34.5, 35.8, 32.2, 34.7),
    "CZ": Box(48.5, 51.1, 12.0, 18.9), "DE": Box(47.2, 55.1, 5.8, 15.1),
    "DK": Box(54.5, 57.8, 8.0, 15.2), "EE": Box(57.5, 59.9, 21.7, 28.3),
    "ES": Box(27.6, 43.8, -18.2, 4.4), "FI": Box(59.6, 70.1, 20.5, 31.6),
    "FO": Box(61.3, 62.4, -7.7, -6.2), "FR": Box(41.3, 51.2, -5.2, 9.6),
    "GB": Box(49.8, 60.9, -8.7, 1.8), "GG": Box(49.4, 49.8, -2.7, -2.1),
    "GI": Box(36.1, 36.2, -5.4, -5.3), "GR": Box(34.8, 41.8, 19.3, 29.7),
    "HR": Box(42.3, 46.6, 13.4, 19.5), "HU": Box(45.7, 48.6, 16.0, 22.9),
    "IE": Box(51.4, 55.5, -10.7, -5.9), "IM": Box(54.0, 54.5, -4.9, -4.3),
    "IS": Box(63.2, 66.6, -24.6, -13.4), "IT": Box(35.4, 47.1, 6.6, 18.6),
    "JE": Box(49.1, 49.3, -2.3, -2.0), "LI": Box(47.0, 47.3, 9.4, 9.7),
    "LT": Box(53.8, 56.5, 20.9, 26.9), "LU": Box(49.4, 50.2, 5.7, 6.6),
    "LV": Box(55.6, 58.1, 20.9, 28.3), "MC": Box(43.7, 43.8, 7.3, 7.5),
    "MD": Box(45.4, 48.5, 26.6, 30.2), "ME": Box(41.8, 43.6, 18.4, 20.4),
    "MK": Box(40.8, 42.4, 20.4, 23.1), "MT": Box(35.7, 36.1, 14.1, 14.6),
    "NL": Box(50.7, 53.7, 3.3, 7.3), "NO": Box(57.9, 71.3, 4.4, 31.3),
    "PL": Box(49.0, 54.9, 14.1, 24.2), "PT": Box(32.3, 42.2, -31.4, -6.1),
    "RO": Box(43.6, 48.3, 20.2, 29.8), "RS": Box(42.2, 46.2, 18.8, 23.1),
    "SE": Box(55.3, 69.1, 10.9, 24.2), "SI": Box(45.4, 46.9, 13.3, 16.7),
    "SK": Box(47.7, 49.7, 16.8, 22.6), "SM": Box(43.8, 44.0, 12.4, 12.6),
    "TR": Box(35.8, 42.2, 25.6, 44.9), "UA": Box(44.3, 52.4, 22.1, 40.3),
    "VA": Box(41.8, 42.0, 12.4, 12.5),
}  # fmt: skip
MARGIN: Final = 0.1  # degrees, some 10 km: the boxes are of simplified coasts


def _in(box: Box, latitude: Decimal, longitude: Decimal) -> bool:
    return (
        box.south - MARGIN <= latitude <= box.north + MARGIN
        and box.west - MARGIN <= longitude <= box.east + MARGIN
    )


def fault(country: str, latitude: Decimal, longitude: Decimal) -> str | None:
    """Why a point is not in a country; None: it may be, or the country's box is not known."""
    if latitude == longitude == 0:
        return "latitude 0 and longitude 0 is in the sea off Africa; leave out what is not known"
    box = BOXES.get(country)
    if box is None or _in(box, latitude, longitude):
        return None
    if _in(box, longitude, latitude):
        return (
            f"latitude and longitude are swapped: {latitude} north, {longitude} east is not in "
            f"{country}, the other way round it is"
        )
    return (
        f"{latitude} north, {longitude} east is not in {country}, which is between "
        f"{box.south} and {box.north} north, {box.west} and {box.east} east"
    )
