"""Pure: what labels and pages say, in the languages of drivers."""

from typing import Final, Literal, NamedTuple

Language = Literal["de", "en"]


class LabelWords(NamedTuple):
    title: str
    how: str
    genuine: str  # the address follows


LABEL: Final[dict[Language, LabelWords]] = {
    "de": LabelWords(
        "Laden und bezahlen",
        "Scannen, Preis sehen, laden.",
        "Nur echt mit dieser Adresse:",
    ),
    "en": LabelWords(
        "Charge and pay",
        "Scan, see the price, charge.",
        "Genuine only with this address:",
    ),
}


class PageWords(NamedTuple):
    title: str
    text: str  # paragraphs, a line each


Page = Literal["unknown", "superseded", "out-of-service"]
PAGES: Final[dict[Page, dict[Language, PageWords]]] = {
    "unknown": {
        "de": PageWords(
            "Dieser QR-Code ist nicht von uns",
            "Bitte bezahlen Sie nicht über diesen Code und geben Sie keine Daten ein. "
            "Möglicherweise hat jemand einen falschen Code über den echten geklebt.\n"
            "Starten Sie den Ladevorgang mit Ihrer Ladekarte oder App, oder rufen Sie die "
            "Telefonnummer an, die auf der Ladestation steht. Sagen Sie uns bitte, an welcher "
            "Station Sie den Code gefunden haben.",
        ),
        "en": PageWords(
            "This QR code is not one of ours",
            "Please do not pay by this code, and do not enter any data. Somebody may have put "
            "a false code over the real one.\n"
            "Start charging with your card or app, or call the number on the charging station. "
            "Please tell us at which station you found the code.",
        ),
    },
    "superseded": {
        "de": PageWords(
            "Dieser QR-Code gilt nicht mehr",
            "Er wurde durch einen neuen ersetzt. Bitte bezahlen Sie nicht über diesen Code.\n"
            "Scannen Sie den neuen Code an der Ladestation, oder starten Sie den Ladevorgang "
            "mit Ihrer Ladekarte oder App.",
        ),
        "en": PageWords(
            "This QR code is no longer valid",
            "A new one has replaced it. Please do not pay by this code.\n"
            "Scan the new code on the charging station, or start charging with your card "
            "or app.",
        ),
    },
    "out-of-service": {
        "de": PageWords(
            "Dieser Ladepunkt ist außer Betrieb",
            "Der Code ist echt, aber hier kann nicht mehr geladen werden.",
        ),
        "en": PageWords(
            "This charge point is out of service",
            "The code is genuine, but it is no longer possible to charge here.",
        ),
    },
}
LANGUAGES: Final[tuple[Language, ...]] = ("de", "en")


def preferred(accept_language: str) -> Language:
    """By the header's weights (RFC 9110, 12.5.4); German where neither is asked for."""
    weights: dict[Language, float] = {}
    for part in accept_language[:500].split(","):
        wanted, _, parameters = part.partition(";")
        for language in LANGUAGES:
            if wanted.strip().lower().partition("-")[0] == language:
                weights[language] = max(weights.get(language, 0.0), _weight(parameters))
    return max(LANGUAGES, key=lambda language: weights.get(language, 0.0))


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
