"""What drivers are told of a place, in OCPI's words. Pure: models and their rules."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from common.contacts import Email, Phone, Website
from common.fields import Body

# OCPI 2.2.1, 8.4.16 ParkingType.
ParkingType = Literal[
    "ALONG_MOTORWAY", "PARKING_GARAGE", "PARKING_LOT", "ON_DRIVEWAY", "ON_STREET",
    "UNDERGROUND_GARAGE",
]  # fmt: skip
# OCPI 2.2.1, 8.4.15 ParkingRestriction.
ParkingRestriction = Literal["EV_ONLY", "PLUGGED", "DISABLED", "CUSTOMERS", "MOTORCYCLES"]
# OCPI 2.2.1, 8.4.10 Facility.
Facility = Literal[
    "HOTEL", "RESTAURANT", "CAFE", "MALL", "SUPERMARKET", "SPORT", "RECREATION_AREA", "NATURE",
    "MUSEUM", "BIKE_SHARING", "BUS_STOP", "TAXI_STAND", "TRAM_STOP", "METRO_STATION",
    "TRAIN_STATION", "AIRPORT", "PARKING_LOT", "CARPOOL_PARKING", "FUEL_STATION", "WIFI",
]  # fmt: skip
# OCPI 2.2.1, 8.4.13 ImageCategory.
ImageCategory = Literal[
    "CHARGER", "ENTRANCE", "LOCATION", "NETWORK", "OPERATOR", "OTHER", "OWNER"
]  # fmt: skip

# Lines may break, and nothing else may control.
Text = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        min_length=1,
        max_length=512,
        pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]*$",
    ),
]


class DisplayText(Body):
    """OCPI 2.2.1, 16.3: plain text, no markup."""

    language: Annotated[str, StringConstraints(pattern="^[a-z]{2}$")] = Field(
        description="ISO 639-1", examples=["de"]
    )
    text: Text


def _one_a_language(texts: list[DisplayText]) -> list[DisplayText]:
    if len({one.language for one in texts}) < len(texts):
        raise ValueError("give one text a language")
    return texts


def _each_once(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("name each once")
    return values


class Access(Body):
    """How one gets to the stations."""

    directions: Annotated[list[DisplayText], AfterValidator(_one_a_language)] = Field(
        default=[], max_length=10
    )
    parking_type: ParkingType | None = None
    parking_restrictions: Annotated[list[ParkingRestriction], AfterValidator(_each_once)] = Field(
        default=[]
    )
    barrier: bool | None = Field(default=None, description="a gate is in the way; null: not known")


class Contacts(Body):
    """Whom drivers ask for help there, instead of the operator's own."""

    phone: Phone | None = None
    email: Email | None = None
    website: Website | None = None


Facilities = Annotated[list[Facility], AfterValidator(_each_once)]
