"""Refusals that several features share."""

from common.problems import Problem
from common.refusals import refusing

__all__ = ["UnknownOperator", "refusing"]


class UnknownOperator(Problem):
    status = 422
    title = "No such operator"
