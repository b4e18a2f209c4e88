"""What the server says of itself, proved on what lies on the disk and in the log, not on its headers.

The independent decoder (vectors.independent) opens what is stored; keys are taken from the stopped store, from KMS
Decrypt and from the request, never from the server's own reading code.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from s3al.crypto.context import LAYER_INNER, LAYER_OUTER, LAYER_SINGLE, stream_associated_data
from s3al.crypto.keys import stream_key
from s3al.crypto.stream import HEADER_BYTES, sealed_bytes
from s3al.s3 import sse
from s3al.s3.records import PublicRecord, Stream
from s3al.server.asgi import Request
from s3al.server.gateway import Exchange
from s3al.service.operation import Call, Reply
from s3al.store import catalog
from s3al.store.catalog import VersionRow
from support.house import ACCESS_KEY_ID, SECRET_ACCESS_KEY, House, StoppedStore, open_house
from support.modes import MODES, SSE_C_KEY, mode_of
from support.needles import forms
from support.settings import allow_sse_c
from vectors import independent

BUCKET = "promises"
SIZES = (100, 300_000)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house"), workers=2) as opened:
        opened.client().create_bucket(Bucket=BUCKET)
        allow_sse_c(opened.client(), BUCKET)
        yield opened
        assert [event["at"] for event in opened.events("unforeseen")] == []


@pytest.fixture(scope="module")
def kms_key(house: House) -> str:
    arn: str = house.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


@dataclass
class Stored:
    """One object as it lies on the disk: sealed is its only stream."""

    row: VersionRow
    record: PublicRecord
    sealed: bytes

    @property
    def stream(self) -> Stream:
        assert self.record.stream
        return self.record.stream

    def opened(self, store_id: bytes, data_key: bytes, layer: int, sealed: bytes | None = None) -> bytes:
        place = stream_associated_data(
            store_id, self.row.bucket_id, self.row.object_id, self.stream.stream_id, layer=layer
        )
        key = stream_key(data_key, self.stream.stream_id)
        return independent.open_stream(key, sealed or self.sealed, place, self.stream.segment_bytes)


def stored(store: StoppedStore, object_key: str) -> Stored:
    def read(rows: Any) -> VersionRow:
        bucket_id = catalog.find_bucket(rows, BUCKET).bucket_id
        found = catalog.current_version(rows, bucket_id, object_key.encode())
        assert found
        return found

    row = store.database.read_now(read)
    record = store.records.open_public(row.bucket_id, row.object_key, row)
    ((name, body),) = store.all("SELECT blob_name, sealed_body FROM streams WHERE object_id = ?", row.object_id)
    return Stored(row, record, store.blob(name).read_bytes() if name else bytes(body))


def service_wrapping_key(store: StoppedStore, found: Stored) -> bytes:
    return store.records.data_key_wrapping_key(found.row.bucket_id, found.record.envelope.material_id)


def unwrapped(store: StoppedStore, found: Stored, wrapping_key: bytes, wrapped: bytes) -> bytes:
    place = independent.fields(
        b"s3al wrapped data key v1", store.keys.store_id, found.row.bucket_id, found.row.object_id
    )
    return independent.unwrap(wrapping_key, wrapped, place)


@pytest.mark.parametrize("size", SIZES)
def test_dsses_outer_layer_opens_with_the_service_key_alone_and_shows_ciphertext(
    house: House, kms_key: str, size: int
) -> None:
    body = b"a marker in every 32 bytes: here" * (size // 32)
    house.client().put_object(Bucket=BUCKET, Key="dsse", Body=body, **mode_of("dsse-kms", kms_key).put)
    with house.stopped() as store:
        found = stored(store, "dsse")
        outer_key = unwrapped(store, found, service_wrapping_key(store, found), found.record.envelope.outer)
        store_id = store.keys.store_id
        with pytest.raises(independent.Refused):
            unwrapped(store, found, service_wrapping_key(store, found), found.record.envelope.wrapped)
    inner = found.opened(store_id, outer_key, LAYER_OUTER)
    assert len(inner) == sealed_bytes(len(body), found.stream.segment_bytes)
    assert inner[0] == HEADER_BYTES and b"marker" not in inner
    for layer in (LAYER_SINGLE, LAYER_INNER, LAYER_OUTER):  # the service key opens nothing further
        with pytest.raises(independent.Refused):
            found.opened(store_id, outer_key, layer, inner)


@pytest.mark.parametrize("size", SIZES)
def test_with_the_kms_key_alone_dsse_cannot_begin(house: House, kms_key: str, size: int) -> None:
    body = os.urandom(size)
    house.client().put_object(Bucket=BUCKET, Key="dsse", Body=body, **mode_of("dsse-kms", kms_key).put)
    with house.stopped() as store:
        found, store_id = stored(store, "dsse"), store.keys.store_id
        service_key = service_wrapping_key(store, found)
        outer_key = unwrapped(store, found, service_key, found.record.envelope.outer)
    envelope = found.record.envelope
    data_key = house.client("kms").decrypt(
        CiphertextBlob=envelope.wrapped, EncryptionContext=dict(envelope.context), KeyId=kms_key
    )["Plaintext"]
    assert data_key != outer_key
    for layer in (LAYER_SINGLE, LAYER_INNER, LAYER_OUTER):
        with pytest.raises(independent.Refused):
            found.opened(store_id, data_key, layer)
    inner = found.opened(store_id, outer_key, LAYER_OUTER)
    assert found.opened(store_id, data_key, LAYER_INNER, inner) == body


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["sse-s3", "sse-kms"])
def test_tink_opens_a_stored_object_given_its_data_key(house: House, kms_key: str, name: str, size: int) -> None:
    body = os.urandom(size)
    house.client().put_object(Bucket=BUCKET, Key="single", Body=body, **mode_of(name, kms_key).put)
    with house.stopped() as store:
        found, store_id = stored(store, "single"), store.keys.store_id
        envelope = found.record.envelope
        if name == "sse-s3":
            data_key = unwrapped(store, found, service_wrapping_key(store, found), envelope.wrapped)
    if name == "sse-kms":
        data_key = house.client("kms").decrypt(
            CiphertextBlob=envelope.wrapped, EncryptionContext=dict(envelope.context)
        )["Plaintext"]
    assert found.opened(store_id, data_key, LAYER_SINGLE) == body


@pytest.mark.parametrize("size", SIZES)
def test_an_sse_c_object_opens_with_the_customers_key_and_the_spec(house: House, kms_key: str, size: int) -> None:
    body = os.urandom(size)
    house.client().put_object(Bucket=BUCKET, Key="customer", Body=body, **mode_of("sse-c", kms_key).put)
    with house.stopped() as store:
        found, store_id = stored(store, "customer"), store.keys.store_id
        envelope = found.record.envelope
        wrapping_key = independent.derive(SSE_C_KEY.encode(), b"s3al customer key v1", envelope.salt, 32)
        data_key = unwrapped(store, found, wrapping_key, envelope.wrapped)
    assert found.opened(store_id, data_key, LAYER_SINGLE) == body


def test_a_bucket_key_object_opens_with_the_bucket_key_and_the_spec(house: House, kms_key: str) -> None:
    body = os.urandom(1000)
    mode = mode_of("sse-kms with a bucket key", kms_key)
    house.client().put_object(Bucket=BUCKET, Key="bucket key", Body=body, **mode.put)
    with house.stopped() as store:
        found, store_id = stored(store, "bucket key"), store.keys.store_id
    envelope = found.record.envelope
    bucket_key = house.client("kms").decrypt(
        CiphertextBlob=envelope.intermediate, EncryptionContext=dict(envelope.context)
    )["Plaintext"]
    wrapping_key = independent.derive(bucket_key, b"s3al intermediate key v1", b"", 32)
    with house.stopped() as store:
        data_key = unwrapped(store, found, wrapping_key, envelope.wrapped)
    assert found.opened(store_id, data_key, LAYER_SINGLE) == body


def test_equal_bodies_look_different_everywhere(house: House, kms_key: str) -> None:
    body = bytes(2000)
    for name in MODES:
        for copy in "ab":
            house.client().put_object(Bucket=BUCKET, Key=f"{name} {copy}", Body=body, **mode_of(name, kms_key).put)
    with house.stopped() as store:
        found = [stored(store, f"{name} {copy}") for name in MODES for copy in "ab"]
    # no salt, no wrapped key and no 16 bytes of ciphertext twice
    seen: set[bytes] = set()
    for each in found:
        pieces = {each.sealed[at : at + 16] for at in range(1, len(each.sealed) - 16, 16)} | {
            each.record.envelope.wrapped
        }
        assert not pieces & seen
        seen |= pieces


def test_a_key_disabled_behind_a_cached_bucket_key_stops_the_next_request_on_every_worker(house: House) -> None:
    kms = house.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    put = {"Bucket": BUCKET, **mode_of("sse-kms with a bucket key", key).put}
    for worker in (0, 1):
        house.client(worker=worker).put_object(Key=f"cached {worker}", Body=b"body", **put)
        house.client(worker=worker).get_object(Bucket=BUCKET, Key=f"cached {worker}")
    kms.disable_key(KeyId=key)
    for worker in (1, 0):
        s3 = house.client(worker=worker)
        with pytest.raises(ClientError, match=r"KMS\.DisabledException"):
            s3.get_object(Bucket=BUCKET, Key=f"cached {worker}")
        with pytest.raises(ClientError, match=r"KMS\.DisabledException"):
            s3.put_object(Key="another", Body=b"body", **put)
        assert s3.head_object(Bucket=BUCKET, Key=f"cached {worker}")["SSEKMSKeyId"] == key
    kms.enable_key(KeyId=key)
    assert house.client(worker=1).get_object(Bucket=BUCKET, Key="cached 0")["Body"].read() == b"body"


def test_no_secret_and_no_name_is_in_the_log_or_in_an_error(tmp_path: Any) -> None:
    """A run with everything that fails, over all modes; then every secret of it is looked for in every form."""
    secrets = {"root secret": SECRET_ACCESS_KEY.encode(), "sse-c key": SSE_C_KEY.encode()}
    answers: list[bytes] = []
    with open_house(tmp_path) as house:
        s3, kms = house.client(), house.client("kms")
        sent = _watch(house, s3, kms)
        key = kms.create_key()["KeyMetadata"]["Arn"]
        names = {"bucket": "a-bucket-with-a-long-name", "key": "an object key that is long enough"}
        s3.create_bucket(Bucket=names["bucket"])
        allow_sse_c(s3, names["bucket"])
        place = {"Bucket": names["bucket"], "Key": names["key"]}
        for name in MODES:
            mode = mode_of(name, key)
            s3.put_object(**place, Body=b"body" * 10, Metadata={"m": "metadata-that-is-a-secret"}, **mode.put)
            s3.get_object(**place, **mode.customer)
        wrong = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "another sse-c key, that is wrong"}
        secrets["wrong sse-c key"] = wrong["SSECustomerKey"].encode()
        for attempt in (
            lambda: s3.get_object(**place, **wrong),
            lambda: s3.head_object(**place),
            lambda: s3.put_object(**place, Body=b"x", SSECustomerAlgorithm="AES999", SSECustomerKey=SSE_C_KEY),
            lambda: s3.put_object(**place, Body=b"x", ServerSideEncryption="aws:kms", **wrong),
            lambda: s3.get_object(Bucket=names["bucket"], Key="no such " + names["key"]),
            lambda: house.client(aws_secret_access_key="the wrong secret of nobody").list_buckets(),
            lambda: kms.decrypt(CiphertextBlob=b"s3al\x01 not a blob of this server at all"),
        ):
            with pytest.raises(ClientError) as refused:
                attempt()
            answers.append(repr(refused.value.response).encode())
        url = s3.generate_presigned_url("get_object", Params={**place, **wrong})
        secrets["presigned query"] = url.partition("?")[2].encode()
        answers.append(house.ask("GET", "/" + url.split("/", 3)[3]).body)
        data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256")["Plaintext"]
        secrets["data key"] = data_key
        _fail(house)
        with house.stopped() as store:
            secrets["catalog key"] = store.keys.catalog_key
        secrets |= {f"signature {number}": text for number, text in enumerate(sent)}
        secrets |= {name: value.encode() for name, value in names.items()} | {"metadata": b"metadata-that-is-a-secret"}
        log = house.log_path.read_bytes()
    assert len(sent) > 10 and len(log) > 5000
    allowed_in_answers = ("bucket", "key")
    for name, secret in secrets.items():
        for form, needle in forms(secret).items():
            assert needle not in log, (name, form)
            assert name in allowed_in_answers or all(needle not in answer for answer in answers), (name, form)


def _watch(house: House, *clients: Any) -> list[bytes]:
    """Signatures of all that these clients send, as they are sent."""
    sent: list[bytes] = []

    def see(request: Any, **_: Any) -> None:
        authorization = request.headers.get("Authorization", "")
        text = authorization.decode() if isinstance(authorization, bytes) else authorization
        sent.append(text.rpartition("Signature=")[2].encode())

    for client in clients:
        client.meta.events.register_first("before-send.*", see)
    return sent


def _fail(house: House) -> None:
    """An unforeseen failure whose message holds a secret, in the middle of the pipeline."""
    worker = house.workers[0]
    find = worker.gateway.credentials.find

    def fail(*_: Any) -> Any:
        raise ValueError(SECRET_ACCESS_KEY)

    worker.gateway.credentials.find = fail  # type: ignore[method-assign]
    try:
        with pytest.raises(ClientError, match="InternalError"):
            house.client().list_buckets()
    finally:
        worker.gateway.credentials.find = find  # type: ignore[method-assign]


def test_no_secret_is_in_the_representation_of_what_holds_it(house: House, kms_key: str) -> None:
    worker = house.workers[0]
    with_key = sse.CustomerKey(SSE_C_KEY.encode(), "md5")
    credential = house._run(_credential(worker))
    assert credential.secret == SECRET_ACCESS_KEY
    said = {"SSECustomerKey": SSE_C_KEY}
    call = Call(
        "s3", "GetObject", said, credential.principal, "r", 0, "us-east-1", headers=said, query=list(said.items())
    )
    asked = Request("GET", "/", SSE_C_KEY, [("q", SSE_C_KEY)], said, "ip", True, None, 0.0)  # type: ignore[arg-type]
    held: list[Any] = [
        with_key, sse.Wish(customer=with_key), sse.DataKeys((SSE_C_KEY.encode(),)), credential, call, asked,
        Exchange(asked, "r", call=call, credential=credential), Reply({"SecretAccessKey": SECRET_ACCESS_KEY}),
        worker.gateway, worker.s3, worker.s3.records, worker.s3.kms, house._prepared,
    ]  # fmt: skip
    assert house._prepared
    secrets = [SSE_C_KEY.encode(), SECRET_ACCESS_KEY.encode(), credential.sealed]
    texts = [repr(each) for each in held]
    assert ACCESS_KEY_ID in texts[3]  # representations do say something
    for secret in secrets:
        shown = repr(secret)[2:-1]
        for text in texts:
            assert shown not in text
            assert base64.b64encode(secret).decode() not in text
            assert secret.hex() not in text


async def _credential(worker: Any) -> Any:
    return worker.gateway.db.read_now(lambda rows: worker.gateway.credentials.find(rows, ACCESS_KEY_ID))
