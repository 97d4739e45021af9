"""House rules a machine can check. Each failure names the file, the line and the rule."""

import ast
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE_ROOTS = ("libs/*/src", "services/*/src", "deploy/*/src")
SOURCES = sorted(p for d in SOURCE_ROOTS for p in ROOT.glob(f"{d}/**/*.py"))
SERVICES = {path.parent.name for path in ROOT.glob("services/*/src/*/app.py")}
LIBRARIES = {path.parent.name for path in ROOT.glob("libs/*/src/*/__init__.py")}
ROOT_ENTRIES = {
    ".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "conftest.py",
    "deploy", "docs", "libs", "pyproject.toml", "requirements.lock", "ruff.toml", "services",
    "tests",
}  # fmt: skip

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
SAME_BODY_LINES_MIN = 4
SAME_BODIES_MAX = 0.01
VAGUE_NAMES = {"utils", "helpers", "misc", "base", "manager", "core", "crud"}
IMPURE = {"asyncio", "fastapi", "httpx", "nats", "os", "random", "sqlalchemy", "time"}
BANNED_CALLS = {
    "commit": "Connections.begin and the Db dependency commit",
    "utcnow": "use common.clock.now",
}
TASK_PLACES = {"libs/common/src/common/tasks.py", "libs/fleet/src/fleet/tasks.py"}
GROUPS = {"group", "tasks"}


def tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (ROOT / name).exists()]


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or "."


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def violations(path: Path) -> Iterator[str]:
    source = path.read_text()
    tree = ast.parse(source)
    where = path.relative_to(ROOT)
    owner = where.parts[3]
    pure = (ast.get_docstring(tree) or "").startswith("Pure:")
    if path.stem in VAGUE_NAMES:
        yield f"{where}: name the file after what it holds, not {path.stem!r}"
    if source.count("\n") > FILE_LINES_MAX:
        yield f"{where}: over {FILE_LINES_MAX} lines"
    for line, module in imports(tree):
        top = module.partition(".")[0]
        if top in SERVICES and top != owner and where.parts[0] != "deploy":
            yield f"{where}:{line}: {owner} may not import {module}; send an event"
        if pure and top in IMPURE:
            yield f"{where}:{line}: a Pure: module may not import {module}"
    # A migration is a list of statements, read once.
    for function in () if "migrations" in where.parts else functions(tree):
        if length(function) > FUNCTION_LINES_MAX:
            yield f"{where}:{function.lineno}: {function.name} is over {FUNCTION_LINES_MAX} lines"
    yield from calls(where, tree)


def calls(where: Path, tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        last = name.rpartition(".")[2]
        if isinstance(node.func, ast.Attribute) and last in BANNED_CALLS:
            yield f"{where}:{node.lineno}: {last}() is banned: {BANNED_CALLS[last]}"
        owner = name.rpartition(".")[0].rpartition(".")[2].strip("_")
        starts_task = last in ("create_task", "ensure_future") and owner not in GROUPS
        if starts_task and str(where) not in TASK_PLACES:
            yield f"{where}:{node.lineno}: start tasks with tasks.Tasks, which watches them"
        if last in ("Queue", "PriorityQueue", "LifoQueue") and not (node.args or node.keywords):
            yield f"{where}:{node.lineno}: a queue without a size"


def test_the_sources_keep_the_house_rules() -> None:
    assert len(SOURCES) > 50
    assert len(SERVICES) == 5
    found = [v for path in SOURCES for v in violations(path)]
    assert not found, "\n" + "\n".join(found)


def test_no_function_body_is_written_twice() -> None:
    bodies = defaultdict(list)
    count = 0
    for path in SOURCES:
        for function in functions(ast.parse(path.read_text())):
            body = "\n".join(ast.unparse(node) for node in function.body)
            if body.count("\n") + 1 >= SAME_BODY_LINES_MIN:
                count += 1
                bodies[body].append(f"{path.relative_to(ROOT)}:{function.lineno}")
    twice = [places for places in bodies.values() if len(places) > 1]
    assert sum(len(places) for places in twice) <= SAME_BODIES_MAX * count, twice


def test_tests_use_no_mocks() -> None:
    names = [name for name in tracked() if name.endswith(".py") and "test" in name]
    found = [
        f"{name}:{line}"
        for name in names
        for line, module in imports(ast.parse((ROOT / name).read_text()))
        if module.startswith("unittest.mock")
    ]
    assert names
    assert not found


def test_nothing_is_left_to_do_on_main() -> None:
    marks = ("TO" + "DO", "FIX" + "ME", "XX" + "X:")
    found = [
        f"{name}: {mark}"
        for name in tracked()
        if not name.endswith((".lock", ".xlsx", ".csv"))
        for mark in marks
        if mark in (ROOT / name).read_text(errors="replace")
    ]
    assert not found


def test_the_root_has_only_its_own_entries() -> None:
    assert {name.partition("/")[0] for name in tracked()} <= ROOT_ENTRIES
