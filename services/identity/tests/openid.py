"""A little OpenID provider on a real socket, which lies when it is told to."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode
from uuid import uuid4

import httpx
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from stack import served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT = "openlade"
SECRET = "the secret: of+the client %"
REDIRECT = "https://console.example/sign-in/oidc"
KEYS = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"}),
    "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed", "use": "sig"}),
}
KEYS["PS256"] = KEYS["RS256"]


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(alg: str, claims: dict[str, Any], key: Any, **header: Any) -> str:
    payload = json.dumps(claims).encode()
    return str(jws.serialize_compact({"alg": alg, **header}, payload, key, algorithms=[alg]))


class Provider:
    """Honest until told otherwise."""

    def __init__(self) -> None:
        self.url = ""
        self.user: dict[str, Any] = {}
        self.alg = "RS256"
        self.lies: dict[str, Any] = {}  # claims of the ID token; None: left out
        self.header: dict[str, Any] = {}
        self.forge = ""  # none, hs256, other-key or text: the signature
        self.metadata: dict[str, Any] = {}
        self.behave: dict[str, str] = {}  # by path: redirect, hang, huge, error, garbage, deep
        self.by_userinfo: dict[str, Any] | None = None
        self.keys: list[Any] = [KEYS["RS256"], KEYS["ES256"], KEYS["Ed25519"]]
        self.calls: list[str] = []
        self.secrets: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}

    def knows(self, email: str | None, **user: Any) -> str:
        """Whoever signs in next; gives the subject."""
        self.user = {"sub": uuid4().hex, "email": email, "email_verified": True} | user
        return str(self.user["sub"])

    async def answer(self, request: Request) -> Response:
        path = "/" + request.url.path.split("/", 2)[2]  # without the provider's own name
        self.calls.append(path)
        if wrong := self.behave.get(path):
            return await self._badly(wrong)
        name = path.rpartition("/")[2].replace("openid-configuration", "configuration")
        return await getattr(self, f"_{name}".replace(".", "_"))(request)  # type: ignore[no-any-return]

    async def _badly(self, wrong: str) -> Response:
        if wrong == "hang":
            await asyncio.sleep(2)
        if wrong == "redirect":
            return RedirectResponse("http://169.254.169.254/latest/meta-data")
        if wrong == "huge":
            return Response(b'{"keys":[' + b" " * 400_000 + b"]}", media_type="application/json")
        if wrong == "deep":
            return Response(b"[" * 50_000, media_type="application/json")
        if wrong == "garbage":
            return Response(b"<html>", media_type="text/html")
        return Response(b"", status_code=500)

    async def _configuration(self, _: Request) -> Response:
        facts = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize?tenant=a",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
        } | self.metadata
        return JSONResponse({name: value for name, value in facts.items() if value is not None})

    async def _keys(self, _: Request) -> Response:
        return JSONResponse(KeySet(self.keys).as_dict(private=False))

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert set(asked["scope"].split()) == {"openid", "email"}
        assert asked["code_challenge_method"] == "S256"
        assert (asked["client_id"], asked["redirect_uri"]) == (CLIENT, REDIRECT)
        assert asked["tenant"] == "a"
        code = uuid4().hex
        self.codes[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.url}
        return RedirectResponse(f"{REDIRECT}?{urlencode(back)}")

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
        asked = self.codes.pop(form["code"], None)
        client = (form.get("client_id", ""), form.get("client_secret", ""))
        if "authorization" in request.headers:
            pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic "))
            one, _, two = pair.decode().partition(":")
            client = (unquote_plus(one), unquote_plus(two))
        self.secrets.append(client[1])
        if client != (CLIENT, SECRET):
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        proof = encoded(hashlib.sha256(form["code_verifier"].encode()).digest())
        if asked is None or proof != asked["code_challenge"] or form["redirect_uri"] != REDIRECT:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        access = uuid4().hex
        id_token = self._id_token(asked["nonce"], access)
        return JSONResponse({"access_token": access, "token_type": "bearer", "id_token": id_token})

    async def _userinfo(self, request: Request) -> Response:
        assert request.headers["authorization"].startswith("Bearer ")
        return JSONResponse(self.by_userinfo)

    def _id_token(self, nonce: str, access: str) -> str:
        at = int(time.time())
        hashing = hashlib.sha512 if self.alg == "Ed25519" else hashlib.sha256
        digest = hashing(access.encode()).digest()
        claims = {
            "iss": self.url, "aud": CLIENT, "nonce": nonce, "iat": at, "exp": at + 300,
            "at_hash": encoded(digest[: len(digest) // 2]), **self.user, **self.lies,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.forge == "text":
            return "a.b"
        if self.forge == "none":
            head, body = ({"alg": "none"}, claims)
            return ".".join(encoded(json.dumps(one).encode()) for one in (head, body)) + "."
        key: Any = KEYS[self.alg]
        header = {"kid": key.kid} | self.header
        if self.forge == "hs256":  # signed with what anybody can read
            text = ".".join(
                encoded(json.dumps(one).encode()) for one in ({"alg": "HS256", **header}, claims)
            )
            return (
                f"{text}.{encoded(hmac.digest(key.as_pem(private=False), text.encode(), 'sha256'))}"
            )
        if self.forge == "other-key":
            key = RSAKey.generate_key(2048)
        header = {name: value for name, value in header.items() if value is not None}
        return signed(self.alg, claims, key, **header)


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    app = Starlette(routes=[Route("/{path:path}", made.answer, methods=["GET", "POST"])])
    async with served(app) as url:
        # Another one each time: what is known of one is kept by its address, and ports recur.
        made.url = f"{url}/{uuid4().hex}"
        yield made


async def visited(authorization_url: str) -> dict[str, str]:
    """What a browser brings back from the provider."""
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(authorization_url)
    assert answer.status_code == 307, answer.text
    back = httpx.URL(answer.headers["location"])
    assert str(back).startswith(REDIRECT)
    return dict(back.params)
