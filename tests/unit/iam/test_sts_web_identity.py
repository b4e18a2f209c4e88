"""Tokens of OpenID Connect providers: only what a registered provider signed, for us, now."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from s3al.errors import RequestError
from s3al.iam.web_identity import (
    ASK_AGAIN_MS,
    KEYS_LAST_MS,
    ProviderKeys,
    WebIdentity,
    claimed_issuer,
    fetch_document,
    verified,
)

URL = "https://idp.example/tenant"
ARN = "arn:aws:iam::111122223333:oidc-provider/idp.example/tenant"
NOW_S = 1_700_000_000
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Provider:
    """As its row."""

    arn: str = ARN
    url: str = URL
    client_ids: tuple[str, ...] = ("app", "app-2")


@dataclass
class Publisher:
    """What the provider publishes, and how often it was asked."""

    keys: dict[str, Any] = field(default_factory=lambda: {"one": RSA_KEY})
    issuer: str = URL
    asked: list[str] = field(default_factory=list)
    fails: type[Exception] | None = None

    def __call__(self, url: str) -> bytes:
        self.asked.append(url)
        if self.fails:
            raise self.fails("gone")
        if url.endswith("/.well-known/openid-configuration"):
            return json.dumps({"issuer": self.issuer, "jwks_uri": f"{URL}/keys"}).encode()
        return json.dumps({"keys": [described(name, key) for name, key in self.keys.items()]}).encode()


def described(name: str, key: Any) -> dict[str, Any]:
    known = jwt.algorithms
    algorithm = known.ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else known.RSAAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": name, "use": "sig"}


def claims(**changes: Any) -> dict[str, Any]:
    made = {"iss": URL, "sub": "ann@example", "aud": "app", "iat": NOW_S, "exp": NOW_S + 600} | changes
    return {name: value for name, value in made.items() if value is not None}


def signed(key: Any = RSA_KEY, algorithm: str = "RS256", kid: str | None = "one", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm, headers={"kid": kid} if kid else None)


def verify(token: str, publisher: Publisher | None = None, *, now_s: int = NOW_S) -> WebIdentity:
    keys = ProviderKeys(publisher or Publisher())
    return asyncio.run(verified(token, Provider(), keys, now_ms=now_s * 1000))  # type: ignore[arg-type]


def test_a_token_of_the_provider_tells_who_comes() -> None:
    who = verify(signed())
    assert (who.provider_arn, who.subject, who.audience) == (ARN, "ann@example", "app")
    assert who.context == {"idp.example/tenant:sub": "ann@example", "idp.example/tenant:aud": "app"}
    assert dict(who.claims) == who.context
    assert claimed_issuer(signed()) == URL


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA_KEY, "RS256"), (RSA_KEY, "RS384"), (RSA_KEY, "RS512"), (EC_KEY, "ES256")]
)
def test_rsa_and_elliptic_curves_are_known(key: Any, algorithm: str) -> None:
    assert verify(signed(key, algorithm), Publisher({"one": key})).subject == "ann@example"


def test_the_authorized_party_counts_where_the_token_names_one() -> None:
    who = verify(signed(aud=["elsewhere", "app"], azp="app-2"))
    assert who.audience == "app-2" and who.context["idp.example/tenant:oaud"] == ["elsewhere", "app"]
    with pytest.raises(RequestError, match="Incorrect token audience"):
        verify(signed(azp="elsewhere"))


def test_tags_and_source_identity_come_with_the_token() -> None:
    given = {"principal_tags": {"team": ["blue"]}, "transitive_tag_keys": ["team"]}
    who = verify(signed(**{"https://aws.amazon.com/tags": given, "https://aws.amazon.com/source_identity": "ann"}))
    assert (who.tags, who.transitive_tags, who.source_identity) == ({"team": "blue"}, ("team",), "ann")


def unsigned() -> str:
    return jwt.encode(claims(), None, "none", headers={"kid": "one"})


def with_secret_of_the_public_key() -> str:
    secret = RSA_KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return jwt.encode(claims(), secret, "HS256", headers={"kid": "one"})


REFUSED: dict[str, Callable[[], str]] = {
    "no token": lambda: "x.y",
    "of another key": lambda: signed(OTHER_KEY),
    "by an unknown key id": lambda: signed(kid="two"),
    "not signed": unsigned,
    "signed with a shared secret": with_secret_of_the_public_key,
    "of another issuer": lambda: signed(iss="https://idp.example/other"),
    "for another audience": lambda: signed(aud="elsewhere"),
    "for no audience": lambda: signed(aud=None),
    "of no subject": lambda: signed(sub=None),
    "with an empty subject": lambda: signed(sub=""),
    "without expiry": lambda: signed(exp=None),
    "without time of issue": lambda: signed(iat=None),
    "of the future": lambda: signed(iat=NOW_S + 3600),
    "not yet valid": lambda: signed(nbf=NOW_S + 3600),
    "an expiry that is text": lambda: signed(exp="soon"),
    "tags that are no map": lambda: signed(**{"https://aws.amazon.com/tags": "team=blue"}),
    "a tag with two values": lambda: signed(**{"https://aws.amazon.com/tags": {"principal_tags": {"a": ["b", "c"]}}}),
    "altered": lambda: signed()[:-6] + "AAAAAA",
    "a key of the wrong kind for its algorithm": lambda: signed(EC_KEY, "ES256"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_token_that_is_not_right_is_refused(what: str) -> None:
    with pytest.raises(RequestError) as refused:
        verify(REFUSED[what]())
    assert refused.value.code == "InvalidIdentityToken"


@pytest.mark.parametrize("now_s", [NOW_S + 600, NOW_S + 10_000])
def test_an_expired_token_is_told_apart(now_s: int) -> None:
    with pytest.raises(RequestError) as refused:
        verify(signed(), now_s=now_s)
    assert refused.value.code == "ExpiredTokenException"


@pytest.mark.parametrize(
    "publisher",
    [Publisher(fails=OSError), Publisher(fails=ValueError), Publisher(issuer="https://else.example"), Publisher({})],
    ids=["unreachable", "malformed", "another issuer", "no keys"],
)
def test_a_provider_that_does_not_say_its_keys_is_told_apart(publisher: Publisher) -> None:
    with pytest.raises(RequestError) as refused:
        verify(signed(), publisher)
    assert refused.value.code == "IDPCommunicationError"


_WITHOUT_KEYS = json.dumps({"issuer": URL}).encode()


@pytest.mark.parametrize("said", [b'{"issuer": 1}', b"[]", b"1", b"[" * 100_000, _WITHOUT_KEYS])
def test_a_provider_that_says_something_else_is_not_understood(said: bytes) -> None:
    with pytest.raises(RequestError) as refused:
        verify(signed(), lambda _: said)  # type: ignore[arg-type]
    assert refused.value.code == "IDPCommunicationError"


def test_a_provider_that_takes_its_time_holds_no_thread_that_others_need() -> None:
    begun, ended, publisher = threading.Semaphore(0), threading.Event(), Publisher()

    def slow(url: str) -> bytes:
        begun.release()
        ended.wait(60)
        return publisher(url)

    async def story() -> None:
        keys = ProviderKeys(slow)
        asked = [asyncio.ensure_future(keys.find(f"{URL}/{number}", "one", now_ms=10**9)) for number in range(40)]
        for _ in range(4):
            assert await asyncio.to_thread(begun.acquire, timeout=30)
        assert not await asyncio.to_thread(begun.acquire, blocking=False), "more at once"
        ended.set()
        for one in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(one, RequestError)  # each says that it is another

    asyncio.run(story())


def test_keys_are_kept_for_a_time_and_asked_for_again_when_one_is_unknown() -> None:
    publisher = Publisher()
    keys = ProviderKeys(publisher)

    async def find(key_id: str, at_ms: int) -> str:
        try:
            return (await keys.find(URL, key_id, now_ms=at_ms)).key_id or ""
        except RequestError as error:
            return error.code

    async def story() -> None:
        begin = 10**9
        assert [await find("one", begin + n) for n in range(3)] == ["one"] * 3
        assert len(publisher.asked) == 2  # where the keys are, and the keys
        assert await find("two", begin + 1000) == "InvalidIdentityToken"
        assert len(publisher.asked) == 2, "not again so soon"
        publisher.keys["two"] = OTHER_KEY
        assert await find("two", begin + ASK_AGAIN_MS) == "two"
        del publisher.keys["one"]
        assert await find("one", begin + ASK_AGAIN_MS + KEYS_LAST_MS) == "InvalidIdentityToken"
        publisher.fails = OSError
        assert await find("two", begin + ASK_AGAIN_MS + 3 * KEYS_LAST_MS) == "IDPCommunicationError"

    asyncio.run(story())


def test_many_at_once_ask_the_provider_once() -> None:
    publisher = Publisher()
    keys = ProviderKeys(publisher)

    async def story() -> None:
        await asyncio.gather(*(keys.find(URL, "one", now_ms=10**9) for _ in range(20)))

    asyncio.run(story())
    assert len(publisher.asked) == 2


def test_a_token_without_key_id_goes_with_the_only_key() -> None:
    assert verify(signed(kid=None)).subject == "ann@example"
    with pytest.raises(RequestError):
        verify(signed(kid=None), Publisher({"one": RSA_KEY, "two": OTHER_KEY}))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_providers_are_asked_over_tls_alone(url: str) -> None:
    with pytest.raises(ValueError, match="TLS"):
        fetch_document(url)
