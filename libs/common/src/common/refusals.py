"""The database's constraints refuse; here a violated one becomes the problem people read."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy.exc import IntegrityError

from common.problems import Problem


@contextmanager
def refusing(refusals: Mapping[str, Problem]) -> Iterator[None]:
    """Turn the violation of a constraint, by its name, into its refusal."""
    try:
        yield
    except IntegrityError as error:
        # The adapter keeps asyncpg's own exception, which knows the name, as its cause.
        violated = getattr(error.orig, "__cause__", None)
        refusal = refusals.get(getattr(violated, "constraint_name", None) or "")
        if refusal is None:
            raise
        raise refusal from error
