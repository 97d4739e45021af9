"""Pointers of mistakes lead into what was sent, whatever unions it was read as."""

from typing import Annotated, Any, Literal

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from common.pointers import pointer
from common.problems import told


class Money(BaseModel):
    amount: int
    currency: str


class Cash(BaseModel):
    way: Literal["cash"]
    amount: Money
    receipt: str
    more: dict[str, int] = {}
    rows: list[int] | int = 0

    @model_validator(mode="after")
    def _not_large(self) -> "Cash":
        if self.amount.amount > 100:
            raise ValueError("that is too much in cash")
        return self


class Bank(BaseModel):
    way: Literal["bank"]
    bank: str


TOPUP: TypeAdapter[Any] = TypeAdapter(Annotated[Cash | Bank, Field(discriminator="way")])
GOOD = {"way": "cash", "amount": {"amount": 1, "currency": "EUR"}, "receipt": "1"}


def errors(body: Any, adapter: TypeAdapter[Any] = TOPUP) -> RequestValidationError:
    """As FastAPI makes them of a body."""
    with pytest.raises(ValidationError) as wrong:
        adapter.validate_python(body)
    found = [one | {"loc": ("body", *one["loc"])} for one in wrong.value.errors()]
    return RequestValidationError(found, body=body)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (GOOD | {"amount": {"amount": "x", "currency": "EUR"}}, ["/body/amount/amount"]),
        (GOOD | {"amount": {"amount": 1}}, ["/body/amount/currency"]),
        (GOOD | {"amount": {"amount": 101, "currency": "EUR"}}, ["/body"]),
        (GOOD | {"receipt": 1}, ["/body/receipt"]),
        (GOOD | {"more": {"a/b": "x"}}, ["/body/more/a~1b"]),
        (GOOD | {"rows": "x"}, ["/body/rows", "/body/rows"]),
        (GOOD | {"rows": [1, "x"]}, ["/body/rows/1", "/body/rows"]),
        ({"way": "bank"}, ["/body/bank"]),
        ({"way": "bank", "bank": 1}, ["/body/bank"]),
        ({"way": "gold"}, ["/body"]),
        ({}, ["/body"]),
        ("cash", ["/body"]),
        ([], ["/body"]),
    ],
)
def test_pointers_name_no_member_of_a_union(body: Any, pointers: list[str]) -> None:
    assert [one["pointer"] for one in told(errors(body))[1]] == pointers


def test_a_pointer_of_what_is_not_known_is_as_pydantic_says() -> None:
    assert pointer(("query", "limit", "int"), {"limit": 1}) == "/query/limit/int"
    assert pointer(("body", "cash", "amount")) == "/body/cash/amount"
    assert pointer(("body", 15), "{", "json_invalid") == "/body/15"


def test_a_refusal_says_how_much_is_wrong_and_what_comes_first() -> None:
    one, [error] = told(errors(GOOD | {"amount": {"amount": 101, "currency": "EUR"}}))
    assert error["detail"] == "that is too much in cash"
    assert one == "1 field is wrong: /body: that is too much in cash"
    two, found = told(errors(GOOD | {"amount": {}}))
    assert len(found) == 2
    assert two == "2 fields are wrong, the first: /body/amount/amount: Field required"
