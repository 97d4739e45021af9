"""A run that is killed leaves nothing behind: neither servers nor services nor their folders.

Every process started from here inherits a mark in its environment. A watcher outlives the tests:
its standard input ends when they do, however that was, and it ends whatever still carries the mark
(Linux only: elsewhere there is no /proc to find it in).
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

MARK = "OPENLADE_TEST_RUN"
GRACE_S = 5.0
_watcher: "subprocess.Popen[bytes] | None" = None


def begin() -> None:
    """Mark what is started from now on, and have it watched."""
    global _watcher  # noqa: PLW0603 - one for each process that runs tests
    run = uuid4().hex
    # Without the mark of the run that this is a worker of: its watcher would end this one too.
    unmarked = {name: value for name, value in os.environ.items() if name != MARK}
    _watcher = subprocess.Popen(
        [sys.executable, "-IS", __file__, run],
        stdin=subprocess.PIPE,
        env=unmarked,
        start_new_session=True,  # Ctrl-C is for the tests
    )
    os.environ[MARK] = run


def end() -> None:
    """Nothing should be left by now, and what is left is ended all the same."""
    if _watcher and _watcher.stdin:
        _watcher.stdin.close()
        # It goes on by itself: that it takes long is no failure of what was tested.
        with contextlib.suppress(subprocess.TimeoutExpired):
            _watcher.wait(2 * GRACE_S)


def perishable(folder: Path) -> None:
    """Remove this folder afterwards if it is still there; a benchmark has nobody who watches."""
    if _watcher is None:
        return
    assert _watcher.stdin
    _watcher.stdin.write(f"{folder}\n".encode())
    _watcher.stdin.flush()


def _marked(run: str) -> list[int]:
    wanted = f"{MARK}={run}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:
            continue  # it has ended, or belongs to another user
    return found


def _end_all(run: str) -> None:
    """SIGQUIT is PostgreSQL's immediate shutdown, which gives its shared memory back."""
    deadline = time.monotonic() + GRACE_S
    how: Any = signal.SIGQUIT
    while left := _marked(run):
        for process in left:
            try:
                os.kill(process, how)
            except ProcessLookupError:
                continue
        time.sleep(0.1)
        if time.monotonic() > deadline:
            how = signal.SIGKILL


if __name__ == "__main__":
    folders = sys.stdin.read().splitlines()
    _end_all(sys.argv[1])
    for one in folders:
        shutil.rmtree(one, ignore_errors=True)
