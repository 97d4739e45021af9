"""Generated documents are current; published events keep their shape."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from public_routes import PUBLIC

from common.events import EVENTS, Event
from common.run import SERVICES
from csms_gateway.commands import kinds
from csms_gateway.commands.all_kinds import KINDS
from local_stack import conformance, docs

ROOT = Path(__file__).parent.parent
ELSEWHERE = {("POST", "/v1/stations"), ("GET", "/v1/pending-stations")}  # registry's
GOLDEN = Path(__file__).parent / "events"


def test_the_generated_documents_are_current() -> None:
    for name, text in docs.files().items():
        assert (ROOT / "docs" / name).read_text() == text, f"run make docs: {name}"


def test_every_link_in_the_documents_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_gateway_has_every_route_that_its_contract_names() -> None:
    text = (ROOT / "docs" / "gateway-api.md").read_text()
    named = set(re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/v1/[^`]+)`", text))
    paths = json.loads(docs.openapi("csms-gateway"))["paths"]
    missing = {
        (method, path) for method, path in named if method.lower() not in paths.get(path, {})
    }
    assert len(named) > 40
    assert missing <= ELSEWHERE


def test_the_gateway_has_every_filter_and_scope_that_its_contract_names() -> None:
    """Written behind a route: `GET /v1/…` (scope `a:b`; filters `one`, `two` = this | that)."""
    text = (ROOT / "docs" / "gateway-api.md").read_text()
    paths = json.loads(docs.openapi("csms-gateway"))["paths"]
    told = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/v1/[^`]+)`\s+\(([^)]+)\)", text)
    filtered = 0
    for method, path, words in told:
        if (method, path) in ELSEWHERE:
            continue
        operation = paths[path][method.lower()]
        where = f"{method} {path}"
        for scope in re.findall(r"scope `([^`]+)`", words):
            assert {scope} == {s for one in operation["security"] for s in one["HTTPBearer"]}, where
        query = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
        _, _, filters = words.partition("filters ")
        named = set(re.findall(r"`([^`]+)`", filters))
        filtered += bool(named)
        assert named == (query - {"limit", "cursor"} if named else set()), where
        if named:
            assert {"limit", "cursor"} <= query or path.endswith("/stream"), where
    assert len(told) > 20 and filtered >= 7


def test_every_route_says_what_it_does_and_what_it_may_refuse() -> None:
    for service in SERVICES:
        paths = json.loads(docs.openapi(service))["paths"]
        for path, operations in paths.items():
            for method, operation in operations.items():
                where = f"{service} {method} {path}"
                assert operation.get("summary"), where
                assert "default" in operation["responses"], where
                public = (method, path) in PUBLIC
                assert public != bool(operation.get("security")), where


LISTED = {"TC_M_01", "TC_M_02", "TC_M_05", "C07.FR.13", "C07.FR.14", "C07.FR.17"}


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("test_a_charger_is_let_in", []),
        ("test_TC_B_06_a_variable_is_read", ["TC_B_06"]),
        ("test_TC_013_a_hard_reset", ["TC_013"]),
        ("test_TC_004_1_TC_007_a_session", ["TC_004_1", "TC_007"]),
        ("test_TC_C_37_TC_C_38_the_cache", ["TC_C_37", "TC_C_38"]),
        ("test_TC_A_02_and_03_a_wrong_user", ["TC_A_02", "TC_A_03"]),
        ("test_TC_067_K_05_K_06_and_K_08_gone", ["TC_067", "TC_K_05", "TC_K_06", "TC_K_08"]),
        ("test_TC_D_01_and_043_4_in_full", ["TC_D_01", "TC_043_4"]),
        ("test_TC_M_01_to_05_and_TC_078_roots", ["TC_M_01", "TC_M_02", "TC_M_05", "TC_078"]),
        ("test_E04_a_repeat", ["E04"]),
        ("test_E01_S3_a_session", ["E01"]),
        ("test_E04_FR03_any_order", ["E04.FR.03"]),
        ("test_A00_FR_421_cipher_suites", ["A00.FR.421"]),
        ("test_C07_FR_13_to_17_decides", ["C07.FR.13", "C07.FR.14", "C07.FR.17"]),
        ("test_E16_and_I12_limits", ["E16", "I12"]),
        ("test_TC_B_08_B06_FR_05_no_message", ["TC_B_08", "B06.FR.05"]),
        ("test_S_4_7_a_reading", ["4.7"]),
        ("test_TC_B_01_100_stations_boot", ["TC_B_01"]),
        ("test_TC_F_06_and_the_lock_opens", ["TC_F_06"]),
    ],
)
def test_the_name_of_a_test_says_what_it_is_about(name: str, ids: list[str]) -> None:
    assert conformance.ids_in(name, LISTED) == ids


def test_no_test_carries_an_id_that_does_not_exist() -> None:
    lists = conformance.read_lists(ROOT / "docs" / "ocpp")
    sizes = [len(table) for table in lists.tables.values()]
    assert sizes == [75, 252, 34, 120, 178]
    unknown = conformance.fill(lists, conformance.tests(ROOT))
    assert not unknown, "\n" + "\n".join(unknown)
    assert lists.tables[conformance.USES_201]["E04"].tests
    of_cases = {use_case for uses in lists.uses_by_case.values() for use_case in uses}
    assert of_cases <= lists.tables[conformance.USES_201].keys()
    assert len(of_cases) == 82


def test_a_test_is_entered_where_its_version_is() -> None:
    lists = conformance.read_lists(ROOT / "docs" / "ocpp")
    uses = (conformance.USES_201, conformance.USES_21)
    found = [
        conformance.Test("a.py", "test_E04_FR_03_and_FR_99_order", uses, every=True),
        conformance.Test("test_v21_a.py", "test_E05_a_refused_token", uses[1:], every=False),
        conformance.Test("b.py", "test_I07_a_tariff", uses, every=False),
        conformance.Test("c.py", "test_TC_013_TC_B_99_a_reset", uses, every=False),
        conformance.Test("d.py", "test_TC_K_37_a_profile", uses, every=False),
        conformance.Test("e.py", "test_TC_L_21_to_23_withdrawn", uses, every=True),
    ]
    unknown = conformance.fill(lists, found)
    assert [line.partition(":")[0] for line in unknown] == ["E04.FR.99", "TC_B_99"]
    entered = [
        (heading, entry.id)
        for heading, table in lists.tables.items()
        for entry in table.values()
        if entry.tests
    ]
    assert entered == [
        (conformance.CASES_16, "TC_013"),
        (conformance.CASES_201, "TC_K_37"),
        (conformance.CASES_201, "TC_L_21"),
        (conformance.CASES_201, "TC_L_22"),
        (conformance.CASES_201, "TC_L_23"),
        (conformance.SECTIONS_16, "5.14"),
        (uses[0], "E04"),
        (uses[0], "F01"),
        (uses[0], "K05"),
        (uses[0], "L04"),
        (uses[1], "E04"),
        (uses[1], "E05"),
        (uses[1], "I07"),
        (uses[1], "L04"),
    ]


def test_the_parameters_of_a_test_say_whether_it_runs_with_every_version() -> None:
    source = """
SECOND: Final = ("ocpp2.0.1", "ocpp2.1")
both = pytest.mark.parametrize("version", ["ocpp1.6", *SECOND])
FIRST = ["ocpp1.6", "ocpp2.0.1"]

@both
async def test_by_a_constant(): ...

@pytest.mark.parametrize("version", [V201, V21])
def test_by_the_name_of_the_support(): ...

@pytest.mark.parametrize("version", ["ocpp2.1", "ocpp2.0.1"])
def test_by_a_literal(): ...

@pytest.mark.parametrize("version", FIRST)
def test_not_at_all(): ...

def test_without_any(): connect("ocpp2.1")
"""
    found = conformance.tests_of(Path("a/test_b.py"), source)
    assert [(test.name, test.every) for test in found] == [
        ("test_by_a_constant", True),
        ("test_by_the_name_of_the_support", True),
        ("test_by_a_literal", True),
        ("test_not_at_all", False),
        ("test_without_any", False),
    ]


@pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS)
def test_an_event_keeps_its_published_shape(event: type[Event]) -> None:
    """A golden file is never changed: fields may only be added, with a default."""
    golden: dict[str, Any] = json.loads((GOLDEN / f"{event.subject}.json").read_text())
    assert golden.keys() <= event.model_fields.keys()
    parsed = event.model_validate_json(json.dumps(golden)).model_dump(mode="json")
    for name, value in golden.items():
        assert _without_new(parsed[name], value) == value, name


def _without_new(found: Any, golden: Any) -> Any:
    """Parts of an event may have got new members too."""
    if isinstance(found, dict) and isinstance(golden, dict):
        return {key: _without_new(found[key], value) for key, value in golden.items()}
    if isinstance(found, list) and isinstance(golden, list):
        return [_without_new(one, old) for one, old in zip(found, golden, strict=True)]
    return found


def test_the_contract_names_every_member_of_the_typed_commands() -> None:
    """In brackets those that may be absent; what mirrors a call of 2.x is left to the schema."""
    text = (ROOT / "docs" / "gateway-api.md").read_text()
    _, _, rows = text.partition("## The typed commands")
    told: dict[str, str] = {}
    for names, members in re.findall(
        r"^\| (`[a-z_`, ]+`) \| (.*)\|$", rows.partition("\n## ")[0], re.MULTILINE
    ):
        told |= dict.fromkeys(re.findall(r"`(\w+)`", names), members)
    assert told.keys() - {"type"} == {
        n for n, one in KINDS.items() if one.__module__ == kinds.__name__
    }
    for name, members in told.items():
        if name == "type":
            continue
        fields = {key: field for key, field in KINDS[name].model_fields.items() if key != "type"}
        needed, _, _ = members.partition("[")
        must = {key for key, field in fields.items() if field.is_required()}
        assert must <= set(re.findall(r"`(\w+)`", needed)), name
        assert fields.keys() <= set(re.findall(r"`(\w+)`", members)), name
