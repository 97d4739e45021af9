"""Pure: links that open a way to a place in whatever an app or a browser has."""

from typing import Final
from urllib.parse import quote, urlencode

from pydantic import BaseModel, Field

from registry.public_map.sphere import Point


class Links(BaseModel):
    geo: str = Field(description="RFC 5870; Android asks which app", examples=["geo:52.5,13.4"])
    google_maps: str
    apple_maps: str
    openstreetmap: str


# Apple's name for driving is d; OpenStreetMap's own engine for cars is OSRM.
OSM_ENGINE: Final = "fossgis_osrm_car"


def links(to: Point, start: Point | None) -> Links:
    """Without a start, the other side begins where its user is.

    Sources: RFC 5870; Google Maps URLs (api=1); Apple Map Links; openstreetmap.org/directions.
    """
    target = _pair(to)
    google = {"api": "1", "destination": target, "travelmode": "driving"}
    apple = {"daddr": target, "dirflg": "d"}
    begin = ""
    if start is not None:
        google["origin"] = apple["saddr"] = begin = _pair(start)
    osm = {"engine": OSM_ENGINE, "route": f"{begin};{target}"}
    return Links(
        geo=f"geo:{target}",
        google_maps=f"https://www.google.com/maps/dir/?{urlencode(google, quote_via=quote)}",
        apple_maps=f"https://maps.apple.com/?{urlencode(apple, quote_via=quote)}",
        openstreetmap=f"https://www.openstreetmap.org/directions?{urlencode(osm, quote_via=quote)}",
    )


def _pair(point: Point) -> str:
    return f"{_plain(point.latitude)},{_plain(point.longitude)}"


def _plain(degrees: float) -> str:
    """Seven places are a centimetre; no exponent, which RFC 5870 does not know, and no -0."""
    digits = f"{degrees:.7f}".rstrip("0").rstrip(".")
    return "0" if digits == "-0" else digits
