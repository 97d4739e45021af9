"""Write docs/{events,problems,settings,ocpp-conformance}.md and docs/openapi/*.json."""

import json
import pkgutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from common import database
from common.events import EVENTS
from common.problems import Problem
from common.run import SERVICES
from common.settings import Settings
from local_stack import conformance
from local_stack.place import checkout

MADE = "<!-- Made by `make docs`; do not edit. -->\n\n"
HEAD = "| field | type | |\n|---|---|---|\n"
NO_DATABASE = "postgresql://nowhere"


def events() -> str:
    parts = [
        "# Events\n\n" + MADE,
        "What services tell each other over NATS JetStream. Every event also has `id`,",
        " `occurred_at` and `operator_id` (null: it concerns several operators).\n",
    ]
    for subject, event in sorted(EVENTS.items()):
        first = (event.__doc__ or "").strip()
        parts.append(f"\n## {event.__name__}\n\n`{subject}` - {first}\n\n{HEAD}")
        schema = event.model_json_schema()
        for name, field in schema["properties"].items():
            if name in ("id", "occurred_at", "operator_id"):
                continue
            parts.append(f"| `{name}` | {_type(field)} | {field.get('description', '')} |\n")
    return "".join(parts)


def _type(field: dict[str, Any]) -> str:
    if "$ref" in field:
        return f"{field['$ref'].rpartition('/')[2]}"
    if "anyOf" in field:
        return " or ".join(_type(one) for one in field["anyOf"])
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    return str(field.get("format") or field.get("type", "any"))


def _modules(package: str) -> None:
    """Import every module of a package, so that its problems are known."""
    root = import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        if "migrations" not in module.name and not module.name.endswith("__main__"):
            import_module(module.name)


def _below(kind: type[Problem]) -> list[type[Problem]]:
    found = []
    for child in kind.__subclasses__():
        found += [child, *_below(child)]
    return found


def problems() -> str:
    for package in ("common", *map(database.schema, SERVICES)):
        _modules(package)
    lines = [
        "# Problems\n\n" + MADE,
        "Every response that is not a success is `application/problem+json` (RFC 9457). `type` is",
        " one of these, `urn:openlade:problem:invalid-request` for a body or parameter that does",
        " not validate (`errors` holds JSON pointers), or `about:blank` for plain HTTP errors.\n\n",
        "| type | status | title | from |\n|---|---|---|---|\n",
    ]
    ours = {"common", *map(database.schema, SERVICES)}
    rows = set()
    for kind in _below(Problem):
        package = kind.__module__.partition(".")[0]
        if package in ours:
            rows.add(f"| `{kind.type_uri()}` | {kind.status} | {kind.title} | {package} |\n")
    return "".join([*lines, *sorted(rows)])


def _settings_of(service: str) -> type[Settings]:
    found: type[Settings] = import_module(f"{database.schema(service)}.settings").Settings
    return found


def settings() -> str:
    parts = [
        "# Settings\n\n" + MADE,
        "Environment variables are the only configuration. Those without a default are required.\n",
        "\n## Every service\n\n",
        _settings_table(Settings, set()),
    ]
    for service in SERVICES:
        own = _settings_table(_settings_of(service), set(Settings.model_fields))
        if own:
            parts.append(f"\n## {service}\n\n{own}")
    return "".join(parts)


def _settings_table(kind: type[Settings], known: set[str]) -> str:
    rows = []
    for name, field in kind.model_fields.items():
        if name in known:
            continue
        default = "required" if field.default is PydanticUndefined else f"`{field.default}`"
        rows.append(f"| `CSMS_{name.upper()}` | {default} | {field.description or ''} |\n")
    return "| variable | default | |\n|---|---|---|\n" + "".join(rows) if rows else ""


def openapi(service: str) -> str:
    app = import_module(f"{database.schema(service)}.app").create_app(
        _settings_of(service)(database_url=NO_DATABASE)  # type: ignore[arg-type]
    )
    return json.dumps(app.openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def files() -> dict[str, str]:
    """Every generated file by its path below docs/."""
    return {
        "events.md": events(),
        "problems.md": problems(),
        "settings.md": settings(),
        "ocpp-conformance.md": conformance.page(checkout(), MADE),
        **{f"openapi/{service}.json": openapi(service) for service in SERVICES},
    }


def main() -> int:
    folder = checkout() / "docs"
    for name, text in files().items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
