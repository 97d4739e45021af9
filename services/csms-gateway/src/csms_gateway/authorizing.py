"""May this token charge here? Identity decides; its answer is remembered for a moment."""

import logging
import time
from dataclasses import dataclass
from uuid import UUID

import nats.errors
from nats.aio.client import Client
from pydantic import ValidationError

from common import bus
from common.authorize import SUBJECT, TIMEOUT_S, AuthorizeAnswer, AuthorizeQuestion

log = logging.getLogger(__name__)

# A card blocked elsewhere must be refused within 2 s everywhere, so this is how long a charger's
# StartTransaction may use the answer to its own Authorize.
REMEMBER_S = 1.5
REMEMBERED_MAX = 10_000


class Undecided(Exception):
    """Identity did not answer in time."""


@dataclass(frozen=True, slots=True)
class _Remembered:
    answer: AuthorizeAnswer
    until: float


class Authorizer:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._remembered: dict[tuple[UUID, str], _Remembered] = {}

    async def decide(
        self, operator_id: UUID, station_id: str, evse_id: int | None, id_token: str
    ) -> AuthorizeAnswer:
        """Raises Undecided."""
        key = (operator_id, f"{station_id}\0{id_token.upper()}")
        known = self._remembered.get(key)
        if known and known.until > time.monotonic():
            return known.answer
        question = AuthorizeQuestion(
            operator_id=operator_id, station_id=station_id, evse_id=evse_id, id_token=id_token
        )
        try:
            answer = AuthorizeAnswer.model_validate_json(
                await bus.ask(self._client, SUBJECT, question, TIMEOUT_S)
            )
        except (nats.errors.Error, TimeoutError, OSError, ValidationError) as error:
            raise Undecided(f"identity did not decide: {error or type(error).__name__}") from error
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[key] = _Remembered(answer, time.monotonic() + REMEMBER_S)
        return answer


def starting(answer: AuthorizeAnswer) -> AuthorizeAnswer:
    """The same where a session begins, which a master pass may not (OCPP 2.0.1, C16.FR.03)."""
    if answer.status == "Accepted" and answer.master_pass:
        why = "A master pass ends sessions and begins none."
        return answer.model_copy(update={"status": "Blocked", "why": why})
    return answer
