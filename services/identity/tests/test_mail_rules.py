"""What needs no server: addresses of mail servers, pauses, texts."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from common import smtp_address
from common.mail import LINK
from common.mail_delivery import pause
from identity import mail_texts
from identity.settings import Settings


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://u:p%40ss@mail.example", ("mail.example", 587, "starttls", "u", "p@ss")),
        ("smtp://mail.example:25", ("mail.example", 25, "starttls", None, None)),
        ("smtps://u:p@mail.example", ("mail.example", 465, "tls", "u", "p")),
        ("smtp://localhost:1025", ("localhost", 1025, "none", None, None)),
        ("smtp://[::1]:1025", ("::1", 1025, "none", None, None)),
        (
            "smtp://127.0.0.1.evil.example:25",
            ("127.0.0.1.evil.example", 25, "starttls", None, None),
        ),
    ],
)
def test_one_url_says_how_the_mail_server_is_spoken_to(url: str, server: object) -> None:
    assert smtp_address.server(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://x",
        "smtp://",
        "smtp://secret-user@x",
        "smtp://x:99999",
        "smtp://x/secret",
        "smtp://[x",
    ],
)
def test_a_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        smtp_address.server(url)
    assert "secret" not in str(refused.value)
    with pytest.raises(ValidationError) as invalid:
        Settings(database_url="postgresql://x", smtp_url=url)  # type: ignore[arg-type]
    assert "secret" not in str(invalid.value)


def test_the_sender_is_one_address() -> None:
    assert smtp_address.sender("OpenLade <no-reply@x.example>").addr_spec == "no-reply@x.example"
    assert smtp_address.sender("no-reply@x.example").display_name == ""
    for wrong in ("", "x", "a@x, b@x", "a@x\nBcc: b@x", "<a@x"):
        with pytest.raises(ValueError, match=r"."):
            smtp_address.sender(wrong)


def test_pauses_grow_to_an_hour() -> None:
    assert [pause(n) for n in (1, 2, 3, 7, 99)] == [timedelta(minutes=m) for m in (1, 2, 4, 60, 60)]


@pytest.mark.parametrize("language", ["de", "de-AT", "en", "fr"])
def test_every_text_is_there_in_german_and_in_english_for_the_others(language: str) -> None:
    texts = [
        mail_texts.invitation(language, "Nord", 7),
        mail_texts.invitation(language, "Nord", 1),
        mail_texts.password_reset(language, "Nord"),
        mail_texts.password_changed(language, "Nord"),
        mail_texts.registration(language, "Nord"),
        mail_texts.registered_already(language, "Nord"),
        mail_texts.email_change(language, "Nord"),
        mail_texts.email_changed(language, "Nord"),
    ]
    for subject, text in texts:
        assert "Nord" in subject
        assert ("Guten Tag" in text) == language.startswith("de")
    assert [text.count(LINK) for _, text in texts] == [1, 1, 1, 0, 1, 0, 1, 0]
    assert not any("1 days" in text or "1 Tage" in text for _, text in texts)
