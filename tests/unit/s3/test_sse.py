"""Which way of encrypting follows from headers and defaults, as a table; and which contradictions are refused how."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from s3al.errors import AccessError, IntegrityError
from s3al.s3 import sse
from s3al.s3.records import Envelope
from s3al.s3.sse import CustomerKey, Wish, choose, customer_key
from s3al.s3.state import BucketState
from s3al.store.buckets import BucketRow

from .world import NOW_MS, OWNER, World, refused

KEY = b"k" * 32
MD5 = base64.b64encode(hashlib.md5(KEY).digest()).decode()
CUSTOMER = {
    "SSECustomerAlgorithm": "AES256",
    "SSECustomerKey": base64.b64encode(KEY).decode(),
    "SSECustomerKeyMD5": MD5,
}
CONTEXT = base64.b64encode(b'{"a": "b"}').decode()
ARN = "arn:aws:kms:us-east-1:111122223333:key/1"
BUCKET = BucketRow(b"b" * 16, "bucket", OWNER, "us-east-1", NOW_MS)


def state(mode: str | None = None, key: str | None = None, *, bucket_key: bool = False, blocked: bool = False) -> (
    BucketState):  # fmt: skip
    if mode is None and not blocked:
        return BucketState(BUCKET, {})
    default = {"SSEAlgorithm": mode or "AES256"} | ({"KMSMasterKeyID": key} if key else {})
    rule: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
    if blocked:
        rule["BlockedEncryptionTypes"] = {"EncryptionType": ["SSE-C"]}
    return BucketState(BUCKET, {"encryption": json.dumps({"Rules": [rule]}).encode()})


SSE, KMS_KEY = "ServerSideEncryption", "SSEKMSKeyId"
UNSET = state()
KMS_DEFAULT = state("aws:kms", "default-key", bucket_key=True)
DSSE_DEFAULT = state("aws:kms:dsse", "default-key", bucket_key=True)

# (what the request says, the bucket) -> the wish
WISHES: list[tuple[str, dict[str, Any], BucketState, Wish]] = [
    ("nothing said, no default", {}, UNSET, Wish("AES256")),
    ("nothing said, default AES256", {}, state("AES256", bucket_key=True), Wish("AES256")),
    ("nothing said, default KMS", {}, KMS_DEFAULT, Wish("aws:kms", "default-key", bucket_key=True)),
    ("nothing said, default KMS without a key", {}, state("aws:kms"), Wish("aws:kms")),
    ("a bucket key refused against the default", {"BucketKeyEnabled": False}, KMS_DEFAULT,
     Wish("aws:kms", "default-key")),
    ("a bucket key asked against the default", {"BucketKeyEnabled": True}, state("aws:kms", "k"),
     Wish("aws:kms", "k", bucket_key=True)),
    ("nothing said, default DSSE: no bucket key", {}, DSSE_DEFAULT, Wish("aws:kms:dsse", "default-key")),
    ("AES256 against a KMS default", {SSE: "AES256"}, KMS_DEFAULT, Wish("AES256")),
    ("KMS without a key means aws/s3, not the default's", {SSE: "aws:kms"}, KMS_DEFAULT,
     Wish("aws:kms", None, bucket_key=True)),
    ("KMS with a key", {SSE: "aws:kms", KMS_KEY: ARN}, UNSET, Wish("aws:kms", ARN)),
    ("KMS with a key and a bucket key", {SSE: "aws:kms", KMS_KEY: ARN, "BucketKeyEnabled": True}, UNSET,
     Wish("aws:kms", ARN, bucket_key=True)),
    ("KMS with a context", {SSE: "aws:kms", KMS_KEY: ARN, "SSEKMSEncryptionContext": CONTEXT}, UNSET,
     Wish("aws:kms", ARN, {"a": "b"})),
    ("KMS with an empty context", {SSE: "aws:kms", "SSEKMSEncryptionContext": ""}, UNSET, Wish("aws:kms")),
    ("DSSE has no bucket keys", {SSE: "aws:kms:dsse", KMS_KEY: ARN, "BucketKeyEnabled": True}, KMS_DEFAULT,
     Wish("aws:kms:dsse", ARN)),
    ("SSE-C", CUSTOMER, UNSET, Wish("SSE-C", customer=CustomerKey(KEY, MD5))),
    ("SSE-C against a KMS default", CUSTOMER, KMS_DEFAULT, Wish("SSE-C", customer=CustomerKey(KEY, MD5))),
]  # fmt: skip


@pytest.mark.parametrize(("said", "bucket", "wish"), [row[1:] for row in WISHES], ids=[row[0] for row in WISHES])
def test_headers_and_default_make_a_wish(said: dict[str, Any], bucket: BucketState, wish: Wish) -> None:
    assert choose(said, bucket, secure=True) == wish


CONTRADICTIONS: list[tuple[str, dict[str, Any], BucketState, str]] = [
    ("two modes: AES256 and SSE-C", CUSTOMER | {SSE: "AES256"}, UNSET, "InvalidArgument"),
    ("two modes: KMS and SSE-C", CUSTOMER | {SSE: "aws:kms"}, UNSET, "InvalidArgument"),
    ("a mode that does not exist", {SSE: "aws:fsx"}, UNSET, "InvalidArgument"),
    ("a mode in the wrong case", {SSE: "aes256"}, UNSET, "InvalidArgument"),
    ("a KMS key without its mode", {KMS_KEY: ARN}, UNSET, "InvalidArgument"),
    ("a KMS key without its mode, though it is the default", {KMS_KEY: ARN}, KMS_DEFAULT, "InvalidArgument"),
    ("a KMS key with AES256", {SSE: "AES256", KMS_KEY: ARN}, UNSET, "InvalidArgument"),
    ("a context without its mode", {"SSEKMSEncryptionContext": CONTEXT}, UNSET, "InvalidArgument"),
    ("a context with AES256", {SSE: "AES256", "SSEKMSEncryptionContext": CONTEXT}, UNSET, "InvalidArgument"),
    *(
        (f"a context that is {name}", {SSE: "aws:kms", "SSEKMSEncryptionContext": text}, UNSET, "InvalidArgument")
        for name, text in {
            "no base64": "{}",
            "no JSON": base64.b64encode(b"{").decode(),
            "a list": base64.b64encode(b"[]").decode(),
            "of numbers": base64.b64encode(b'{"a":1}').decode(),
            "nested": base64.b64encode(b'{"a":{}}').decode(),
            "no UTF-8": base64.b64encode(b'{"a":"\xff"}').decode(),
        }.items()
    ),
    ("SSE-C where it is blocked", CUSTOMER, state(blocked=True), "AccessDenied"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("said", "bucket", "code"), [row[1:] for row in CONTRADICTIONS], ids=[row[0] for row in CONTRADICTIONS]
)
def test_contradictory_headers_are_refused(said: dict[str, Any], bucket: BucketState, code: str) -> None:
    with refused(code):
        choose(said, bucket, secure=True)


CUSTOMER_FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no algorithm": ({"SSECustomerAlgorithm": None}, "InvalidArgument", "algorithm"),
    "no key": ({"SSECustomerKey": None}, "InvalidArgument", "key"),
    "no digest": ({"SSECustomerKeyMD5": None}, "InvalidArgument", "key-MD5"),
    "another algorithm": ({"SSECustomerAlgorithm": "AES128"}, "InvalidEncryptionAlgorithmError", "algorithm"),
    "a short key": ({"SSECustomerKey": base64.b64encode(KEY[:31]).decode()}, "InvalidArgument", "key"),
    "a long key": ({"SSECustomerKey": base64.b64encode(KEY + b"k").decode()}, "InvalidArgument", "key"),
    "a key that is no base64": ({"SSECustomerKey": "\u20ac" * 44}, "InvalidArgument", "key"),
    "an empty key": ({"SSECustomerKey": ""}, "InvalidArgument", "key"),
    "another key's digest": ({"SSECustomerKeyMD5": base64.b64encode(bytes(16)).decode()}, "InvalidArgument", "key-MD5"),
    "a digest in hex": ({"SSECustomerKeyMD5": hashlib.md5(KEY).hexdigest()}, "InvalidArgument", "key-MD5"),
    "a digest that is no ASCII": ({"SSECustomerKeyMD5": "\u20ac"}, "InvalidArgument", "key-MD5"),
}


@pytest.mark.parametrize("source", [False, True])
@pytest.mark.parametrize("fault", CUSTOMER_FAULTS)
def test_a_customers_key_is_checked_as_aws_checks_it(fault: str, source: bool) -> None:
    changes, code, argument = CUSTOMER_FAULTS[fault]
    prefix = "CopySource" if source else ""
    given = {prefix + name: value for name, value in (CUSTOMER | changes).items() if value is not None}
    with refused(code) as caught:
        customer_key(given, secure=True, source=source)
    name = caught[0].fields["ArgumentName"]
    assert name.endswith(f"server-side-encryption-customer-{argument}")
    assert name.startswith("x-amz-copy-source-" if source else "x-amz-server-")
    assert CUSTOMER["SSECustomerKey"] not in repr(caught[0].fields) + str(caught[0])


@pytest.mark.parametrize("given", [CUSTOMER, {"SSECustomerKey": "x"}, {"SSECustomerAlgorithm": "AES256"}])
def test_a_customers_key_over_plain_http_is_refused_before_anything_else(given: dict[str, str]) -> None:
    with refused("InvalidRequest"):
        customer_key(given, secure=False)


def test_a_request_without_a_customers_key_has_none() -> None:
    assert customer_key({}, secure=False) is None
    assert customer_key(CUSTOMER, secure=True, source=True) is None


@pytest.mark.parametrize(
    ("mode", "with_key"), [("AES256", True), ("aws:kms", True), ("aws:kms:dsse", True), ("SSE-C", False)]
)
def test_a_superfluous_or_missing_customers_key_is_refused(mode: str, with_key: bool) -> None:
    with refused("InvalidRequest"):
        sse.require_customer(mode, CustomerKey(KEY, MD5) if with_key else None)


def place(object_id: bytes = b"o" * 16) -> sse.Place:
    return sse.Place(BUCKET, "key", object_id)


@pytest.mark.parametrize("wish", [Wish(), Wish("SSE-C", customer=CustomerKey(KEY, MD5))], ids=["AES256", "SSE-C"])
def test_what_was_begun_opens_in_its_place_and_nowhere_else(world: World, wish: Wish) -> None:
    def opened(where: sse.Place, envelope: Envelope) -> sse.DataKeys:
        return world.rows(lambda rows: sse.open_keys(rows, world.s3, None, where, envelope, customer=wish.customer))

    envelope, keys = world.rows(lambda rows: sse.begin(rows, world.s3, None, place(), wish))
    assert opened(place(), envelope) == keys
    failure = AccessError if wish.customer else IntegrityError
    with pytest.raises(failure):
        opened(place(b"p" * 16), envelope)
    with pytest.raises(failure):
        opened(sse.Place(replace(BUCKET, bucket_id=b"c" * 16), "key", b"o" * 16), envelope)
    with pytest.raises(IntegrityError):
        opened(place(), replace(envelope, commitment=bytes(32)))
    another = CustomerKey(b"l" * 32, MD5)
    if wish.customer:
        with refused("AccessDenied"):
            world.rows(lambda rows: sse.open_keys(rows, world.s3, None, place(), envelope, customer=another))


def test_no_data_key_is_drawn_twice(world: World) -> None:
    begun = [world.rows(lambda rows: sse.begin(rows, world.s3, None, place(), Wish())) for _ in range(5)]
    assert len({keys.record_key for _, keys in begun}) == len({envelope.wrapped for envelope, _ in begun}) == 5


def test_a_mode_that_does_not_exist_opens_nothing(world: World) -> None:
    with pytest.raises(IntegrityError):
        world.rows(lambda rows: sse.open_keys(
            rows, world.s3, None, place(), Envelope("none", b"w", b"c"), customer=None))  # fmt: skip


@pytest.mark.parametrize(
    ("envelope", "shown"),
    [
        (Envelope("AES256", b"w", b"c"), {"ServerSideEncryption": "AES256"}),
        (Envelope("aws:kms", b"w", b"c", kms_key_arn=ARN), {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": ARN}),
        (Envelope("aws:kms", b"w", b"c", kms_key_arn=ARN, bucket_key_enabled=True),
         {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": ARN, "BucketKeyEnabled": True}),
        (Envelope("aws:kms:dsse", b"w", b"c", kms_key_arn=ARN),
         {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": ARN}),
        (Envelope("SSE-C", b"w", b"c"), {"SSECustomerAlgorithm": "AES256"}),
    ],
)  # fmt: skip
def test_an_answer_names_the_mode_as_aws_does(envelope: Envelope, shown: dict[str, Any]) -> None:
    assert sse.describe(envelope) == shown


def test_keys_and_wishes_show_no_secret() -> None:
    texts = repr(CustomerKey(KEY, MD5)) + repr(Wish(customer=CustomerKey(KEY, MD5))) + repr(sse.DataKeys((KEY,)))
    assert "kkkk" not in texts
