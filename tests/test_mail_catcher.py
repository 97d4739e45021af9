"""The local stack's mail server keeps what services send, for its owner alone."""

import smtplib
from pathlib import Path

import pytest

from local_stack.mail_catcher import MailCatcher


def test_a_mail_becomes_a_file_that_is_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catcher = MailCatcher(tmp_path / "mails")
    catcher.start()
    try:
        with smtplib.SMTP("127.0.0.1", int(catcher.url.rpartition(":")[2])) as post:
            post.sendmail("a@x.example", ["b@y.example"], "Subject: S\r\n\r\nText")
    finally:
        catcher.stop()
    [file] = (tmp_path / "mails").iterdir()
    assert file.read_text() == "Subject: S\n\nText\n"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert capsys.readouterr().out == f"mail for b@y.example: {file}\n"
