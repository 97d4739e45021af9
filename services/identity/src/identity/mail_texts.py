"""Pure: what the mails say. Nothing that a stranger typed goes into a mail to somebody else."""

from common.mail import LINK, MailText, either


def invitation(language: str, operator: str, days: int) -> MailText:
    tage, some_days = (f"{days} Tage", f"{days} days") if days > 1 else ("einen Tag", "a day")
    return either(
        language,
        MailText(
            f"Einladung zu {operator}",
            f"Guten Tag,\n\nSie sind eingeladen, für {operator} zu arbeiten. Wählen Sie hier Ihr "
            f"Passwort:\n\n{LINK}\n\nDer Link gilt {tage} und nur einmal.\n\n"
            "Haben Sie keine Einladung erwartet, löschen Sie diese E-Mail.\n",
        ),
        MailText(
            f"Invitation to {operator}",
            f"Hello,\n\nyou are invited to work for {operator}. Choose your password here:\n\n"
            f"{LINK}\n\nThe link is valid for {some_days}, and once only.\n\n"
            "If you expected no invitation, delete this e-mail.\n",
        ),
    )


def password_reset(language: str, operator: str) -> MailText:
    return either(
        language,
        MailText(
            f"Neues Passwort für {operator}",
            "Guten Tag,\n\njemand, vermutlich Sie selbst, möchte für Ihre Anmeldung bei "
            f"{operator} ein neues Passwort wählen:\n\n{LINK}\n\nDer Link gilt eine Stunde und "
            "nur einmal. Waren Sie es nicht, löschen Sie diese E-Mail; Ihr Passwort bleibt.\n",
        ),
        MailText(
            f"New password for {operator}",
            "Hello,\n\nsomebody, probably you, wants to choose a new password for your login at "
            f"{operator}:\n\n{LINK}\n\nThe link is valid for an hour, and once only. If it was "
            "not you, delete this e-mail; your password stays.\n",
        ),
    )


def password_changed(language: str, operator: str) -> MailText:
    return either(
        language,
        MailText(
            f"Ihr Passwort bei {operator} wurde geändert",
            f"Guten Tag,\n\nIhr Passwort bei {operator} wurde geändert, und alle Geräte wurden "
            "abgemeldet.\n\nWaren Sie es nicht, lassen Sie sich sofort einen neuen Link schicken "
            "(„Passwort vergessen“) und sagen Sie es dem Betreiber.\n",
        ),
        MailText(
            f"Your password at {operator} was changed",
            f"Hello,\n\nyour password at {operator} was changed, and every device was signed out."
            "\n\nIf it was not you, ask for a new link at once (“forgotten password”) and tell "
            "the operator.\n",
        ),
    )


def registration(language: str, operator: str) -> MailText:
    return either(
        language,
        MailText(
            f"Bestätigen Sie Ihre Anmeldung bei {operator}",
            f"Guten Tag,\n\njemand, vermutlich Sie selbst, möchte mit dieser Adresse Kunde von "
            f"{operator} werden. Bestätigen Sie es hier:\n\n{LINK}\n\nDer Link gilt einen Tag. "
            "Waren Sie es nicht, löschen Sie diese E-Mail; dann geschieht nichts.\n",
        ),
        MailText(
            f"Confirm your registration with {operator}",
            f"Hello,\n\nsomebody, probably you, wants to become a customer of {operator} with "
            f"this address. Confirm it here:\n\n{LINK}\n\nThe link is valid for a day. If it was "
            "not you, delete this e-mail; then nothing happens.\n",
        ),
    )


def registered_already(language: str, operator: str) -> MailText:
    return either(
        language,
        MailText(
            f"Sie sind schon Kunde von {operator}",
            f"Guten Tag,\n\njemand, vermutlich Sie selbst, wollte sich mit dieser Adresse bei "
            f"{operator} anmelden. Sie sind es schon. Haben Sie Ihr Passwort vergessen, lassen "
            "Sie sich ein neues geben („Passwort vergessen“).\n",
        ),
        MailText(
            f"You are a customer of {operator} already",
            f"Hello,\n\nsomebody, probably you, wanted to register with {operator} under this "
            "address. You are registered already. If you forgot your password, ask for a new one "
            "(“forgotten password”).\n",
        ),
    )


def email_change(language: str, operator: str) -> MailText:
    return either(
        language,
        MailText(
            f"Bestätigen Sie Ihre neue E-Mail-Adresse bei {operator}",
            f"Guten Tag,\n\njemand, vermutlich Sie selbst, möchte sich bei {operator} künftig mit "
            f"dieser Adresse anmelden. Bestätigen Sie es hier:\n\n{LINK}\n\nDer Link gilt einen "
            "Tag und nur einmal. Waren Sie es nicht, löschen Sie diese E-Mail; dann geschieht "
            "nichts.\n",
        ),
        MailText(
            f"Confirm your new e-mail address at {operator}",
            f"Hello,\n\nsomebody, probably you, wants to sign in at {operator} with this address "
            f"from now on. Confirm it here:\n\n{LINK}\n\nThe link is valid for a day, and once "
            "only. If it was not you, delete this e-mail; then nothing happens.\n",
        ),
    )


def email_changed(language: str, operator: str) -> MailText:
    return either(
        language,
        MailText(
            f"Ihre E-Mail-Adresse bei {operator} wurde geändert",
            f"Guten Tag,\n\nbei {operator} melden Sie sich künftig mit einer anderen Adresse an; "
            "an diese hier schreiben wir nicht mehr.\n\nWaren Sie es nicht, sagen Sie es sofort "
            "dem Betreiber.\n",
        ),
        MailText(
            f"Your e-mail address at {operator} was changed",
            f"Hello,\n\nat {operator} you sign in with another address from now on; we write to "
            "this one no more.\n\nIf it was not you, tell the operator at once.\n",
        ),
    )
