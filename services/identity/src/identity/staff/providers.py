"""Asking an operator's OpenID provider: where it is, its keys, and a code for tokens.

All by common.outbound. What seldom changes is kept for some minutes, so that whoever may begin a
sign-in, which is anybody, cannot have us call the provider each time.
"""

import base64
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Annotated, Any, Final, Generic, NamedTuple, TypeVar
from urllib.parse import quote_plus, urlencode

from fastapi import Request
from pydantic import BaseModel, Field, ValidationError

from common.outbound import Answer, Outbound, OutboundFailed, check_url
from identity.staff import id_tokens

KEPT_S: Final = 300.0
KEPT_MAX: Final = 500  # issuers; the oldest goes
KEYS_AGAIN_S: Final = 10.0  # between two looks for a key that was not there
TIMEOUT_S: Final = 5.0
BYTES_MAX: Final = 64 * 1024
KEYS_BYTES_MAX: Final = 256 * 1024

Word = Annotated[str, Field(min_length=1, max_length=2000)]
Value = TypeVar("Value")


class ProviderFailed(Exception):
    """It does not answer, or not as a provider does. why: for the operator's admins."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class CodeRefused(Exception):
    """The provider does not take the code, or not our secret."""


class Discovered(BaseModel):
    """OpenID Connect Discovery 1.0, section 3; what is not named is ignored."""

    issuer: Word
    authorization_endpoint: Word
    token_endpoint: Word
    jwks_uri: Word
    userinfo_endpoint: Word | None = None
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]
    authorization_response_iss_parameter_supported: bool = False  # RFC 9207


class Keys(BaseModel):
    keys: list[dict[str, Any]]


class Tokens(BaseModel):
    id_token: Annotated[str, Field(min_length=1, max_length=id_tokens.TOKEN_MAX)]
    access_token: Annotated[str, Field(min_length=1, max_length=id_tokens.TOKEN_MAX)]
    token_type: Annotated[str, Field(pattern="(?i)^bearer$")]


class ErrorAnswer(BaseModel):
    error: str = ""


class Claims(BaseModel, extra="allow"):
    sub: str


class Client(NamedTuple):
    client_id: str
    secret: str


class _Kept(Generic[Value]):
    def __init__(self) -> None:
        self._values: OrderedDict[str, tuple[float, Value]] = OrderedDict()

    def get(self, name: str, younger_s: float = KEPT_S) -> Value | None:
        at, value = self._values.get(name, (0.0, None))
        return value if time.monotonic() - at < younger_s else None

    def put(self, name: str, value: Value) -> None:
        self._values[name] = (time.monotonic(), value)
        self._values.move_to_end(name)
        if len(self._values) > KEPT_MAX:
            self._values.popitem(last=False)


class Providers:
    """One a process."""

    def __init__(self, calls: Outbound, *, allow_private: bool) -> None:
        self._calls = calls
        self._allow_private = allow_private
        self._found: _Kept[Discovered] = _Kept()
        self._keys: _Kept[list[dict[str, Any]]] = _Kept()

    async def discover(self, issuer: str, *, anew: bool = False) -> Discovered:
        """Raises ProviderFailed."""
        if not anew and (kept := self._found.get(issuer)):
            return kept
        found = _read(Discovered, await self._get(issuer.rstrip("/") + WELL_KNOWN))
        if found.issuer != issuer:
            raise ProviderFailed(f"The provider calls itself {found.issuer[:200]!a}.")
        ends = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
        for url in (*ends, *filter(None, [found.userinfo_endpoint])):
            try:
                check_url(url, self._allow_private)
            except ValueError as error:
                raise ProviderFailed(f"It names {url[:200]!a}: {error}.") from error
        self._found.put(issuer, found)
        return found

    async def key(self, found: Discovered, token: str) -> Mapping[str, Any]:
        """The key that signed the token. Raises ProviderFailed or NotBelieved."""
        kept = self._keys.get(found.jwks_uri)
        key = id_tokens.key_for(token, kept) if kept is not None else None
        if key is None and self._keys.get(found.jwks_uri, KEYS_AGAIN_S) is None:
            answer = await self._get(found.jwks_uri, bytes_max=KEYS_BYTES_MAX)
            keys = _read(Keys, answer).keys
            self._keys.put(found.jwks_uri, keys)
            key = id_tokens.key_for(token, keys)
        if key is None:
            raise id_tokens.NotBelieved("it is signed by a key that the provider does not publish")
        return key

    async def exchange(
        self, found: Discovered, client: Client, code: str, verifier: str, redirect_uri: str
    ) -> Tokens:
        """A code for tokens. Raises ProviderFailed or CodeRefused."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        if "client_secret_basic" in found.token_endpoint_auth_methods_supported:
            headers["Authorization"] = _basic(client)
        else:
            form |= {"client_id": client.client_id, "client_secret": client.secret}
        try:
            answer = await self._calls.post_form(
                found.token_endpoint,
                urlencode(form).encode(),
                headers,
                timeout_s=TIMEOUT_S,
                bytes_max=BYTES_MAX,
                allow_private=self._allow_private,
            )
        except OutboundFailed as error:
            raise ProviderFailed(error.why) from error
        if 400 <= answer.status < 500:
            raise CodeRefused(f"{answer.status} {_error(answer)!a}")
        return _read(Tokens, answer)

    async def person(self, url: str, access_token: str) -> id_tokens.Person:
        """By userinfo, for providers that do not write it into the ID token.

        Raises ProviderFailed or NotBelieved.
        """
        answer = await self._get(url, {"Authorization": f"Bearer {access_token}"})
        return id_tokens.person(_read(Claims, answer).model_dump())

    async def _get(
        self, url: str, headers: Mapping[str, str] | None = None, *, bytes_max: int = BYTES_MAX
    ) -> Answer:
        try:
            return await self._calls.get(
                url,
                headers or {},
                timeout_s=TIMEOUT_S,
                bytes_max=bytes_max,
                allow_private=self._allow_private,
            )
        except OutboundFailed as error:
            raise ProviderFailed(error.why) from error


WELL_KNOWN: Final = "/.well-known/openid-configuration"
Read = TypeVar("Read", bound=BaseModel)


def _read(kind: type[Read], answer: Answer) -> Read:
    if answer.status != 200:
        raise ProviderFailed(f"It answered with {answer.status}.")
    try:
        return kind.model_validate_json(answer.body)
    except ValidationError as error:
        where = {".".join(map(str, one["loc"])) for one in error.errors()}
        raise ProviderFailed(f"Its answer is not as it should be: {sorted(where)!a}.") from error


def _error(answer: Answer) -> str:
    try:
        return ErrorAnswer.model_validate_json(answer.body).error[:40]
    except ValidationError:
        return ""


def _basic(client: Client) -> str:
    # Url-encoded before it is encoded again: RFC 6749, 2.3.1.
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.secret)}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def of_app(request: Request) -> Providers:
    providers: Providers = request.app.state.providers
    return providers
