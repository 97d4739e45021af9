"""Where the local stack keeps things, and what it remembers of its demo."""

import json
from pathlib import Path
from typing import Any

from local_stack.servers import data_home


def checkout() -> Path:
    """The folder with the Makefile: make starts everything there."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "Makefile").exists() and (folder / "services").is_dir():
            return folder
    return Path.cwd()


def home() -> Path:
    return data_home(checkout())


def _file() -> Path:
    return home() / "demo.json"


def remembered() -> dict[str, Any]:
    """Addresses, logins and station passwords of the demo; empty before the first start."""
    try:
        found: dict[str, Any] = json.loads(_file().read_text())
    except FileNotFoundError:
        return {}
    return found


def remember(demo: dict[str, Any]) -> None:
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps(demo, indent=2))
