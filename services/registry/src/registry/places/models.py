"""Where stations stand, in OCPI's words. Pure: models and their rules."""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from common.contacts import Email, Phone, Website
from common.fields import Body, Line
from registry.fields import Country, Latitude, Longitude, TimeZone
from registry.places import countries
from registry.places.opening_hours import Hours

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

DOCUMENTS: Final = {"opening_times", "access", "contacts"}  # kept as JSON


class Address(Body):
    street: Line
    postal_code: Annotated[Line, Field(max_length=20)]
    city: Line
    country: Country


class Place(BaseModel):
    """What is entered and shown of a location."""

    name: Line
    address: Address
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    time_zone: TimeZone = "Europe/Berlin"
    publish: bool = Field(default=True, description="shown to the public; false: not found there")
    opening_times: Hours | None = Field(default=None, description="null: not known")
    access: Access | None = Field(default=None, description="null: not known")
    facilities: Facilities = Field(default=[], description="what else is there")
    contacts: Contacts | None = Field(default=None, description="null: the operator's own")


class LocationIn(Place, Body):
    @model_validator(mode="after")
    def _on_the_map(self) -> Self:
        if self.latitude is None or self.longitude is None:
            if (self.latitude, self.longitude) != (None, None):
                raise ValueError("give latitude and longitude, or neither")
        elif why := countries.fault(self.address.country, self.latitude, self.longitude):
            raise ValueError(why)
        return self

    def columns(self) -> dict[str, Any]:
        values = self.model_dump(exclude={"address", *DOCUMENTS}) | self.address.model_dump()
        return values | self.model_dump(mode="json", include=DOCUMENTS)
