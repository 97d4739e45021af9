"""Commands that were not asked as they can be say so in a sentence."""

import os
import subprocess
import sys

import pytest


def asked(*words: str, **settings: str) -> tuple[int, str]:
    """Exit status and what it says on standard error."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("CSMS_")}
    done = subprocess.run(
        [sys.executable, "-m", *words], env=bare | settings, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "words", [("billing.rerating",), ("billing.ledger.check",), ("common.run", "migrate", "all")]
)
def test_a_command_without_its_database_says_so_in_a_sentence(words: tuple[str, ...]) -> None:
    assert asked(*words) == (2, "CSMS_DATABASE_URL is not set\n")


def test_a_setting_that_is_none_is_named_and_not_shown() -> None:
    status, said = asked("billing.rerating", CSMS_DATABASE_URL="secret://x")
    assert (status, said.count("\n")) == (2, 1)
    assert said.startswith("CSMS_DATABASE_URL: ")
    assert "secret" not in said


def test_records_of_days_that_end_before_they_begin_are_not_priced_anew() -> None:
    status, said = asked("billing.rerating", "--from", "2026-11-01", "--to", "2026-10-01")
    assert status == 2
    assert said.endswith("--from 2026-11-01 is after --to 2026-10-01\n")
