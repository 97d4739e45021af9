"""Generated documents are current; published events keep their shape."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from common.events import EVENTS, Event
from common.run import SERVICES
from local_stack import docs

ROOT = Path(__file__).parent.parent
GOLDEN = Path(__file__).parent / "events"


def test_the_generated_documents_are_current() -> None:
    for name, text in docs.files().items():
        assert (ROOT / "docs" / name).read_text() == text, f"run make docs: {name}"


def test_every_link_in_the_documents_leads_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_route_says_what_it_does_and_what_it_may_refuse() -> None:
    for service in SERVICES:
        paths = json.loads(docs.openapi(service))["paths"]
        for path, operations in paths.items():
            for method, operation in operations.items():
                where = f"{service} {method} {path}"
                assert operation.get("summary"), where
                assert "default" in operation["responses"], where
                public = path in {"/v1/token", "/.well-known/jwks.json"}
                assert public != bool(operation.get("security")), where


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
