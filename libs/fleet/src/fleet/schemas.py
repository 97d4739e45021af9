"""The official JSON schemas of OCPP 1.6, as the `ocpp` package carries them."""

from functools import cache
from importlib import resources
from typing import Any

import jsonschema_rs
import orjson

_FOLDER = resources.files("ocpp") / "v16" / "schemas"
_NAMES = frozenset(file.name.removesuffix(".json") for file in _FOLDER.iterdir())


def violation(message: str, payload: Any) -> str | None:
    """Say what is wrong with a payload, or nothing if it is right or the message is unknown.

    `message` is a schema's name: "Reset" for the request, "ResetResponse" for its answer.
    """
    if message not in _NAMES:
        return None
    validator = _validator(message)
    if validator.is_valid(payload):
        return None
    error = next(iter(validator.iter_errors(payload)))
    where = "/".join(str(step) for step in error.instance_path)
    return f"{where or message}: {error.message}"


@cache
def _validator(message: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(orjson.loads((_FOLDER / f"{message}.json").read_bytes()))
