"""Fixtures for the tests of every package (they stand in tests/stack.py)."""

from hypothesis import settings

pytest_plugins = ["stack", "gateway_wire", "suite"]

# A loaded machine is no failure of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
