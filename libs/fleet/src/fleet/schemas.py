"""The official JSON schemas of OCPP, as the `ocpp` package carries them."""

from functools import cache
from importlib import resources
from typing import Any

import jsonschema_rs
import orjson

FOLDERS = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}


def violation(version: str, message: str, payload: Any) -> str | None:
    """Say what is wrong with a payload, or nothing if it is right or the message is unknown.

    `message` is "Reset" for the request, "ResetResponse" for its answer, in every version.
    """
    if version != "1.6" and not message.endswith("Response"):
        message += "Request"
    if message not in _names(version):
        return None
    validator = _validator(version, message)
    if validator.is_valid(payload):
        return None
    error = next(iter(validator.iter_errors(payload)))
    where = "/".join(str(step) for step in error.instance_path)
    return f"{where or message}: {error.message}"


def knows(version: str, action: str) -> bool:
    return f"{action}Response" in _names(version)


@cache
def _names(version: str) -> frozenset[str]:
    folder = resources.files("ocpp") / FOLDERS[version] / "schemas"
    return frozenset(file.name.removesuffix(".json") for file in folder.iterdir())


@cache
def _validator(version: str, message: str) -> jsonschema_rs.Validator:
    file = resources.files("ocpp") / FOLDERS[version] / "schemas" / f"{message}.json"
    return jsonschema_rs.validator_for(orjson.loads(file.read_bytes()))
