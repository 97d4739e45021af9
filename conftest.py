"""Fixtures for the tests of every package (they stand in tests/stack.py)."""

pytest_plugins = ["stack", "gateway_wire"]
