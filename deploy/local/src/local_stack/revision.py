"""Write a service's next migration: the difference between its tables.py and its migrations.

Needs no running stack: it migrates a database of its own first.
"""

import sys
import tempfile
from pathlib import Path

from common import migrate
from local_stack.servers import Postgres


def main(service: str, message: str) -> None:
    with tempfile.TemporaryDirectory(prefix="csms-revision-") as home:
        Path(home).chmod(0o755)
        postgres = Postgres(Path(home) / "postgres", durable=False)
        postgres.start()
        try:
            migrate.upgrade(service, postgres.url())
            print(migrate.revision(service, postgres.url(), message))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
