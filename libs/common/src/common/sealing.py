"""Pure: secrets at rest, encrypted with a key made from the setting secret_key."""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Sealer:
    def __init__(self, secret_key: str, service: str) -> None:
        # The setting is random and long; HKDF (RFC 5869) only brings it into the form of a key.
        derived = HKDF(hashes.SHA256(), 32, salt=None, info=f"{service} at rest".encode())
        self._fernet = Fernet(base64.urlsafe_b64encode(derived.derive(secret_key.encode())))

    def seal(self, secret: bytes) -> bytes:
        return self._fernet.encrypt(secret)

    def open(self, sealed: bytes) -> bytes:
        """Raises ValueError if it was sealed with another key or changed."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise ValueError("sealed with another secret_key") from None
