"""Refusals that several features share."""

from common.problems import Problem


class UnknownOperator(Problem):
    status = 422
    title = "No such operator"
