"""Write docs/ocpp-conformance.md: which parts of OCPP have a test that carries their id.

The lists of ids are in docs/ocpp: the test cases for back ends that the Open Charge Alliance names,
the use cases of 2.x with the numbers of their requirements, the sections of 1.6. A test says what
it is about in its name; `ids_in` is the grammar of that.
"""

import ast
import csv
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

TESTS: Final = ("libs/*/tests", "services/*/tests", "deploy/*/tests", "tests")
BLOCKS: Final = {
    "A": "Security", "B": "Provisioning", "C": "Authorization", "D": "Local list",
    "E": "Transactions", "F": "Remote control", "G": "Availability", "H": "Reservation",
    "I": "Tariff and cost", "J": "Metering", "K": "Smart charging", "L": "Firmware",
    "M": "Certificates", "N": "Diagnostics", "O": "Display messages", "P": "Data transfer",
    "Q": "V2X", "R": "Grid rules", "S": "Battery swap",
}  # fmt: skip
WITH_21: Final = re.compile(r"'ocpp2\.1'|\bV21\b")  # V21: its name in the tests' support
ABSENT: Final = "absent"  # in the place of its requirements: the version has no such use case
STEP: Final = re.compile(
    r"""(?:_(?P<link>and|to))?_
    (?:TC_(?P<case>[A-Z]_\d\d|\d{3}(?:_\d)?)    # TC_B_06, TC_013, TC_004_1
    |(?P<more>[A-Z]_\d\d|\d{3}_\d|\d{3})        # after one of those: K_10, and_043_4
    |(?P<use>[A-S]\d\d)(?:_S\d)?                # E04, E01_S3
    |FR_?(?P<requirement>\d{2,3})               # after a use case: FR03, FR_03
    |S_(?P<section>\d_\d+)                      # S_4_7, a section of 1.6
    |(?P<again>\d\d)                            # and_03, to_17: in the same block or use case
    )(?=_|$)""",
    re.VERBOSE,
)


def ids_in(name: str, listed: Collection[str]) -> list[str]:
    """The ids that a test's name begins with, as TC_B_06, TC_004_1, E04, E04.FR.03, 4.7.

    Of a range (TC_M_01_to_05) its ends, and what is listed between them.
    """
    found: list[str] = []
    at = len("test")
    while step := STEP.match(name, at):
        before = found[-1] if found else ""
        one = _id(step, before)
        if one is None:
            break
        if step["requirement"] and before and "." not in before:
            found.pop()  # E04_FR_03 is about the requirement, not about all of E04
        if step["link"] == "to":
            found += sorted(other for other in listed if _between(before, other, one))
        found.append(one)
        at = step.end()
    return found


def _id(step: re.Match[str], before: str) -> str | None:
    """None: it is a word of the sentence, not an id."""
    linked = step["link"] is not None
    if step["case"]:
        return f"TC_{step['case']}"
    if plain := step["use"] or step["section"]:
        return str(plain).replace("_", ".")
    if step["more"] and before.startswith("TC_") and (linked or step["more"][0].isalpha()):
        return f"TC_{step['more']}"
    if step["requirement"] and re.match(r"[A-S]\d\d", before):
        return f"{before[:3]}.FR.{step['requirement']}"
    if step["again"] and linked and before:
        return before[: -len(step["again"])] + step["again"]
    return None


def _between(first: str, one: str, last: str) -> bool:
    return len(first) == len(one) == len(last) and first < one < last


@dataclass
class Entry:
    id: str
    block: str
    title: str
    tests: list[str] = field(default_factory=list)

    def row(self) -> str:
        status = "tested" if self.tests else "not tested"
        tests = "<br>".join(dict.fromkeys(self.tests))
        return f"| {self.id} | {self.title} | {status} | {tests} |\n"


@dataclass
class Lists:
    """Every list of ids, by the heading of its table; requirements by the use case they are of."""

    tables: dict[str, dict[str, Entry]]
    requirements: dict[str, set[str]]
    cases_by_section: dict[str, list[str]]
    uses_by_case: dict[str, list[str]]  # of 2.0.1's test cases


CASES_16: Final = "OCPP 1.6: test cases"
SECTIONS_16: Final = "OCPP 1.6: sections"
CASES_201: Final = "OCPP 2.0.1: test cases"
USES_201: Final = "OCPP 2.0.1: use cases"
USES_21: Final = "OCPP 2.1: use cases"


def read_lists(folder: Path) -> Lists:
    tables: dict[str, dict[str, Entry]] = {}
    cases_16, cases_201 = (
        _rows(folder / f"test-cases-{version}.csv") for version in ("1.6", "2.0.1")
    )
    for heading, rows in ((CASES_16, cases_16), (CASES_201, cases_201)):
        tables[heading] = {
            row["id"]: Entry(row["id"], BLOCKS.get(row["block"], row["block"]), row["title"])
            for row in rows
        }
    sections = _rows(folder / "sections-1.6.csv")
    tables[SECTIONS_16] = {
        row["section"]: Entry(row["section"], f"Chapter {row['section'][0]}", row["title"])
        for row in sections
    }
    requirements: dict[str, set[str]] = {}
    for heading, version in ((USES_201, "2.0.1"), (USES_21, "2.1")):
        tables[heading], requirements[heading] = {}, set()
        for row in _rows(folder / "use-cases-2.x.csv"):
            numbers = row[f"requirements_{version}"]
            if numbers != ABSENT:
                one = row["id"]
                tables[heading][one] = Entry(one, BLOCKS[one[0]], row["title"])
                requirements[heading] |= {f"{one}.FR.{n:02}" for n in _numbers(numbers)}
    cases = {row["section"]: row["cases"].split() for row in sections}
    uses = {row["id"]: row["use_cases"].split() for row in cases_201}
    return Lists(tables, requirements, cases, uses)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _numbers(text: str) -> Iterator[int]:
    for part in text.split():
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


@dataclass(frozen=True, slots=True)
class Test:
    path: str  # from the root of the project
    name: str
    headings: tuple[str, ...]  # where its use cases are looked up: the first that has one
    every: bool  # in all of those instead

    def link(self) -> str:
        return f"[{self.path.rpartition('/')[2]}::{self.name}](../{self.path})"


def tests(root: Path) -> Iterator[Test]:
    paths = {path for place in TESTS for path in root.glob(f"{place}/**/test_*.py")}
    for path in sorted(paths):
        yield from tests_of(path.relative_to(root), path.read_text())


def tests_of(path: Path, source: str) -> Iterator[Test]:
    headings = (USES_21,) if path.name.startswith("test_v21_") else (USES_201, USES_21)
    file = ast.parse(source)
    constants = {
        ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0]): node.value
        for node in file.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
    }
    for node in ast.walk(file):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[:5] == "test_":
            # A test that runs with each version says so in its parameters.
            every = any(WITH_21.search(_spelled(one, constants)) for one in node.decorator_list)
            yield Test(path.as_posix(), node.name, headings, every)


def _spelled(node: ast.expr, constants: dict[str, ast.expr]) -> str:
    """The expression, and what the file's constants within it stand for."""
    names = [one.id for one in ast.walk(node) if isinstance(one, ast.Name)]
    values = [constants[name] for name in names if name in constants]
    return " ".join([ast.unparse(node), *(_spelled(value, constants) for value in values)])


def fill(lists: Lists, found: Iterable[Test]) -> list[str]:
    """Enter each test where it belongs; give the ids that are in no list, with their tests."""
    listed = {one for table in lists.tables.values() for one in table}
    listed |= {one for some in lists.requirements.values() for one in some}
    unknown = []
    for test in found:
        for one in ids_in(test.name, listed):
            entries = _entries(lists, test, one)
            if not entries:
                unknown.append(f"{one}: {test.path}::{test.name}")
            for use_case in lists.uses_by_case.get(one, ()):
                entries += _entries(lists, test, use_case)
            for entry in entries:
                entry.tests.append(test.link())
    for section, cases in lists.cases_by_section.items():
        for case in cases:
            entry = lists.tables[CASES_16][case]
            lists.tables[SECTIONS_16][section].tests += entry.tests
    return unknown


def _entries(lists: Lists, test: Test, one: str) -> list[Entry]:
    for heading in (CASES_16, CASES_201, SECTIONS_16):
        if one in lists.tables[heading]:
            return [lists.tables[heading][one]]
    use_case = one.partition(".")[0]
    entries = [
        lists.tables[heading][use_case]
        for heading in test.headings
        if one in lists.tables[heading] or one in lists.requirements[heading]
    ]
    return entries if test.every else entries[:1]


INTRODUCTION: Final = """\
Every id below is *tested* if a test of this project carries it in its name, and *not tested*
otherwise: then nothing is promised, whether or not it works. One test may cover an id in part
only; read it. None of this is a certification. The ids are those of the Open Charge Alliance,
the titles are ours.

A test names ids at its beginning: `test_TC_B_06_…` and `test_TC_004_1_…` are test cases of 2.0.1
and 1.6, `test_E04_FR_03_…` is a requirement and `test_E04_…` a use case of 2.x, `test_S_4_7_…`
a section of 1.6; several may follow one another, also as `TC_A_02_and_03` or `TC_M_01_to_05`. Use
cases of 2.1 are those in files `test_v21_*.py`, of tests with the parameter `"ocpp2.1"`, and those
that 2.0.1 does not have. A section of 1.6 counts the tests of its test cases. So does a use case:
of 2.0.1 each test of a test case that names the use case, of 2.1 those among them that run with
2.1 as well, as there are no test cases of 2.1.
"""


def page(root: Path, made: str) -> str:
    lists = read_lists(root / "docs" / "ocpp")
    fill(lists, tests(root))
    parts = ["# OCPP conformance\n\n", made, INTRODUCTION, "\n## Summary\n"]
    for heading, table in lists.tables.items():
        parts += [f"\n{heading}\n\n| block | tested | of |\n|---|---|---|\n", *_summary(table)]
    for heading, table in lists.tables.items():
        parts.append(f"\n## {heading}\n\n| id | title | status | tests |\n|---|---|---|---|\n")
        parts += [entry.row() for entry in table.values()]
    return "".join(parts)


def _summary(table: dict[str, Entry]) -> Iterator[str]:
    blocks: dict[str, list[bool]] = defaultdict(list)
    for entry in table.values():
        blocks[entry.block].append(bool(entry.tests))
    for block, tested in blocks.items():
        yield f"| {block} | {sum(tested)} | {len(tested)} |\n"
    every = [one for tested in blocks.values() for one in tested]
    yield f"| **all** | **{sum(every)}** | **{len(every)}** |\n"
