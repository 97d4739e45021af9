"""The local stack's mail server: it delivers nothing and keeps every mail as a file."""

import os
import time
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from local_stack.servers import START_TIMEOUT_S, free_port


class MailCatcher:
    """Listens on loopback; the mails hold links that open doors, so only their owner reads them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._controller = Controller(
            self, hostname="127.0.0.1", port=free_port(), ready_timeout=START_TIMEOUT_S
        )

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._controller.port}"

    def start(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._controller.start()

    def stop(self) -> None:
        self._controller.stop(no_assert=True)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd calls it
        self._count += 1
        file = self._folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{self._count}.eml"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as written:
            written.write(envelope.content)
        print(f"mail for {', '.join(envelope.rcpt_tos)}: {file}", flush=True)
        return "250 kept"
