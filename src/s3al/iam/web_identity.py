"""Tokens of OpenID Connect providers: whose they are, and whether they are genuine.

What lives here: fetching and keeping a provider's keys, verifying a token with them, the condition keys it gives. What
does not: which providers an account has registered (rows), who may take a role with a token (the role's trust policy).

Laws: only providers that an account registered are asked anything, over TLS, within a time and a size, at an address
they publish themselves, without following redirects; only asymmetric algorithms count, and only
the provider's own keys; issuer, audience, subject and expiry must all be there and right; the time is an argument. Keys
are kept for minutes, and an unknown key id asks again, but not more often than every half minute.

Sources: OpenID Connect Core 1.0, section 3.1.3.7; OpenID Connect Discovery 1.0; STS API Reference,
AssumeRoleWithWebIdentity; IAM User Guide, "Available keys for AWS OIDC federation".
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import jwt

from s3al.errors import RequestError
from s3al.store.identities import OidcProviderRow

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
KEYS_LAST_MS = 10 * 60 * 1000
ASK_AGAIN_MS = 30 * 1000
FETCH_TIMEOUT_S = 5
DOCUMENT_MAX_BYTES = 256 * 1024
SKEW_S = 60  # of the provider's clock, for the time a token was issued
RSA_KEY_MIN_BITS = 2048
_ASKED_AT_ONCE = 4  # providers
_TAGS_CLAIM, _SOURCE_IDENTITY_CLAIM = "https://aws.amazon.com/tags", "https://aws.amazon.com/source_identity"

Fetch = Callable[[str], bytes]
Keys = Mapping[str, jwt.PyJWK]


@dataclass(frozen=True, slots=True)
class WebIdentity:
    """What a verified token says. context: the condition keys of its claims, for the trust policy; claims: those that
    the session keeps. tags: session tags, transitive_tags: the names of those that pass on."""

    provider_arn: str
    subject: str
    audience: str
    context: Mapping[str, str | list[str]]
    claims: tuple[tuple[str, str], ...]
    source_identity: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive_tags: tuple[str, ...] = ()


def _invalid(reason: str) -> RequestError:
    return RequestError("InvalidIdentityToken", reason)


def claimed_issuer(token: str) -> str:
    """Whom a token claims to be from, not verified. Raises InvalidIdentityToken."""
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except jwt.InvalidTokenError:
        issuer = None
    if not isinstance(issuer, str) or not issuer:
        raise _invalid("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
    return issuer


async def verified(token: str, provider: OidcProviderRow, keys: ProviderKeys, *, now_ms: int) -> WebIdentity:
    """Raises InvalidIdentityToken, ExpiredTokenException or IDPCommunicationError."""
    try:
        head = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        raise _invalid("The ID Token provided is not a valid JWT.") from None
    if head.get("alg") not in ALGORITHMS:
        raise _invalid("The algorithm of the ID Token is not one of " + ", ".join(ALGORITHMS))
    key = await keys.find(provider.url, head.get("kid"), now_ms=now_ms)
    try:
        claims = jwt.decode(
            token,
            key.key,
            algorithms=list(ALGORITHMS),
            issuer=provider.url,
            options={
                "require": ["iss", "sub", "aud", "exp", "iat"],
                "verify_aud": False,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, TypeError, ValueError) as error:  # of a key that does not go with the algorithm, too
        raise _invalid(_REASONS.get(type(error), "The ID Token provided is not valid.")) from None
    _check_times(claims, now_ms // 1000)
    return _identity(claims, provider)


_REASONS: Mapping[type[Exception], str] = {
    jwt.InvalidSignatureError: "Couldn't verify the signature of the ID Token with the keys of its provider.",
    jwt.InvalidIssuerError: "The issuer of the ID Token is not the provider.",
    jwt.MissingRequiredClaimError: "The ID Token must have iss, sub, aud, exp and iat.",
}


def _check_times(claims: Mapping[str, Any], now_s: int) -> None:
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    if not all(isinstance(time, int | float) and not isinstance(time, bool) for time in times.values()):
        raise _invalid("A time of the ID Token is not a number.")
    if times["exp"] <= now_s:
        raise RequestError(
            "ExpiredTokenException",
            f"Token expired: current date/time {now_s} must be before the expiration date/time {int(times['exp'])}",
        )
    if max(times["iat"], times.get("nbf", 0)) > now_s + SKEW_S:
        raise _invalid("The ID Token is from the future.")


def _identity(claims: Mapping[str, Any], provider: OidcProviderRow) -> WebIdentity:
    subject, audiences, party = claims["sub"], claims["aud"], claims.get("azp")
    audiences = [audiences] if isinstance(audiences, str) else audiences
    if not isinstance(subject, str) or not subject or not isinstance(audiences, list) or not audiences:
        raise _invalid("The subject or audience of the ID Token is not a text.")
    if not all(isinstance(audience, str) for audience in audiences) or not isinstance(party, str | None):
        raise _invalid("The audience of the ID Token is not a text.")
    accepted = [audience for audience in ([party] if party else audiences) if audience in provider.client_ids]
    if not accepted:
        raise _invalid("Incorrect token audience")
    name = provider.url.partition("://")[2]
    audience_key: str | list[str] = accepted[0] if len(accepted) == 1 else accepted
    context: dict[str, str | list[str]] = {f"{name}:sub": subject, f"{name}:aud": audience_key}
    if party:
        context[f"{name}:oaud"] = audiences
    if isinstance(claims.get("amr"), list):
        context[f"{name}:amr"] = [method for method in claims["amr"] if isinstance(method, str)]
    tags, transitive = _tags(claims.get(_TAGS_CLAIM))
    source_identity = claims.get(_SOURCE_IDENTITY_CLAIM)
    return WebIdentity(
        provider.arn,
        subject,
        accepted[0],
        context,
        ((f"{name}:sub", subject), (f"{name}:aud", accepted[0])),
        source_identity if isinstance(source_identity, str) and source_identity else None,
        tags,
        transitive,
    )


def _tags(claim: Any) -> tuple[dict[str, str], tuple[str, ...]]:
    """`{"principal_tags": {key: [value]}, "transitive_tag_keys": [key]}`; a tag has one value."""
    if claim is None:
        return {}, ()
    tags = claim.get("principal_tags", {}) if isinstance(claim, dict) else None
    transitive = claim.get("transitive_tag_keys", []) if isinstance(claim, dict) else None
    if not isinstance(tags, dict) or not isinstance(transitive, list):
        raise _invalid("The session tags of the ID Token are malformed.")
    single: dict[str, str] = {}
    for name, values in tags.items():
        if not isinstance(values, list) or len(values) != 1 or not isinstance(values[0], str):
            raise _invalid("The session tags of the ID Token are malformed.")
        single[name] = values[0]
    return single, tuple(str(name) for name in transitive)


# --- the keys of providers


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def fetch_document(url: str) -> bytes:
    """Blocks for `FETCH_TIMEOUT_S` at most between two bytes. Raises OSError, HTTPException or ValueError."""
    if urlsplit(url).scheme != "https":
        raise ValueError("providers are asked over TLS alone")
    opener = urllib.request.build_opener(_NoRedirects)
    with opener.open(url, timeout=FETCH_TIMEOUT_S) as response:
        document: bytes = response.read(DOCUMENT_MAX_BYTES + 1)
    if len(document) > DOCUMENT_MAX_BYTES:
        raise ValueError("a provider's document is too long")
    return document


@dataclass(slots=True)
class _Known:
    """keys: by key id. asked_at_ms: when the provider was last asked, whatever it said."""

    keys: Keys = field(default_factory=dict)
    asked_at_ms: int = 0
    answered_at_ms: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ProviderKeys:
    """The keys of identity providers that one worker has met."""

    def __init__(self, fetch: Fetch = fetch_document) -> None:
        self._fetch = fetch
        self._known: dict[str, _Known] = {}
        # A provider that answers a byte at a time holds these threads, and none that others need.
        self._threads = ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="s3al-oidc")

    async def find(self, url: str, key_id: Any, *, now_ms: int) -> jwt.PyJWK:
        """Raises IDPCommunicationError, or InvalidIdentityToken for a key that the provider does not publish."""
        known = self._known.setdefault(url, _Known())
        async with known.lock:
            found = _choose(known, key_id, now_ms)
            if found is None and now_ms - known.asked_at_ms >= ASK_AGAIN_MS:
                known.asked_at_ms = now_ms
                known.keys = await self._ask(url)
                known.answered_at_ms = now_ms
                found = _choose(known, key_id, now_ms)
        if found is None and not known.keys:
            raise _unreachable()
        if found is None:
            raise _invalid("No key of the provider has the key id of the ID Token.")
        return found

    async def _ask(self, url: str) -> Keys:
        try:
            async with asyncio.timeout(4 * FETCH_TIMEOUT_S):
                return await asyncio.get_running_loop().run_in_executor(self._threads, self._keys_of, url)
        except (OSError, HTTPException, jwt.PyJWTError, TimeoutError):
            raise _unreachable() from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):  # of documents of another form
            raise _unreachable() from None

    def _keys_of(self, url: str) -> Keys:
        published = json.loads(self._fetch(url.rstrip("/") + "/.well-known/openid-configuration"))
        if published["issuer"].rstrip("/") != url.rstrip("/"):
            raise ValueError("a provider says that it is another")
        document = json.loads(self._fetch(published["jwks_uri"]))
        keys = {}
        for number, described in enumerate(document["keys"]):
            if described.get("kty") in ("RSA", "EC") and described.get("use", "sig") == "sig":
                key = jwt.PyJWK(described)
                if getattr(key.key, "key_size", 0) >= (RSA_KEY_MIN_BITS if described["kty"] == "RSA" else 256):
                    keys[described.get("kid") or f"{number}"] = key
        return keys


def _choose(known: _Known, key_id: Any, now_ms: int) -> jwt.PyJWK | None:
    """A token without key id goes with the only key of its provider."""
    if now_ms - known.answered_at_ms >= KEYS_LAST_MS:
        return None
    if key_id is None:
        return next(iter(known.keys.values())) if len(known.keys) == 1 else None
    return known.keys.get(key_id) if isinstance(key_id, str) else None


def _unreachable() -> RequestError:
    return RequestError(
        "IDPCommunicationError",
        "Couldn't retrieve verification key from your identity provider, please reference "
        "AssumeRoleWithWebIdentity documentation for requirements",
    )
