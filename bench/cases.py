"""What is measured: each case as the requests to s3al and the requests to the bound that do the same work.

What lives here: the table of cases. What does not: timing and interleaving (run), tools (load).
"""

from __future__ import annotations

import json
import random
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load import Ask, Run, curl_get, curl_heads, curl_put, send_all, wrk
from targets import Target

KIB, MIB = 1024, 1 << 20
BUCKET, LARGE_BUCKET = "bench", "bench-large"
KMS_BUCKET, BUCKET_KEY_BUCKET, DSSE_BUCKET = "bench-kms", "bench-bk", "bench-dsse"
LISTED = 10_000
REPLAYED = 2_000
LARGE_BYTES = 64 * MIB
PART_BYTES = 8 * MIB

Measure = Callable[[Target, "Place"], Run]


@dataclass(slots=True)
class Place:
    """Where a run works. leg: counts up with every run, so that new keys are new."""

    folder: Path
    seconds: float = 2.0
    connections: int = 16
    leg: int = 0
    workers: int = 1
    kms_key: str = ""
    blob: bytes = b""

    def file(self, size: int) -> Path:
        path = self.folder / f"body-{size}"
        if not path.exists() or path.stat().st_size != size:
            source = random.Random(size)
            with path.open("wb") as file:
                for start in range(0, size, MIB):
                    file.write(source.randbytes(min(MIB, size - start)))
        return path


@dataclass(frozen=True, slots=True)
class Case:
    """target: the ratio that must be reached, None if there is none. workers: counts it is run with."""

    name: str
    server: Measure
    bound: Measure
    target: float | None = None
    workers: tuple[int, ...] = (1,)
    full_only: bool = False


def body_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _replayed(asks: Callable[[Place], Sequence[Ask]], before: Callable[[Target, Place], None] | None = None) -> Measure:
    def measure(target: Target, place: Place) -> Run:
        if before:
            before(target, place)
        raw = [target.signer.raw(ask) for ask in asks(place)]
        return wrk(target.endpoint, raw, place.folder, seconds=place.seconds, connections=place.connections)

    return measure


def _bound(path: str, method: str = "GET", body_bytes: int = 0) -> Measure:
    """The bound gets requests of the same shape, signed likewise."""
    ask = Ask(method, path, headers=(("x-amz-meta-a", "b"),), body=body_of(body_bytes))
    return _replayed(lambda _: [ask] * 16)


def _key(number: int) -> str:
    return f"photos/2026/{number:05}.jpg"


def put_asks(bucket: str, prefix: str, count: int, size: int) -> list[Ask]:
    body = body_of(size)
    return [Ask("PUT", f"/{bucket}/{prefix}{number:05}", body=body) for number in range(count)]


def _puts(bucket: str, size: int, count: int) -> Measure:
    return _replayed(lambda place: put_asks(bucket, f"put/{place.leg}/", count, size))


def _heads(target: Target, place: Place) -> Run:
    paths = ["/head/4096"] if target.name == "bound" else [f"/{BUCKET}/{_key(number)}" for number in range(500)]
    urls = [target.signer.url(Ask("HEAD", path)) for path in paths]
    return curl_heads(urls * (REPLAYED // len(urls)), place.folder, connections=place.connections)


def _gets(bucket: str) -> Measure:
    chosen = random.Random(7).sample(range(500), 500)
    return _replayed(lambda _: [Ask("GET", f"/{bucket}/{_key(number)}") for number in chosen])


def _fill_for_delete(target: Target, place: Place) -> None:
    if target.name != "bound":
        asks = put_asks(BUCKET, f"delete/{place.leg}/", REPLAYED, 64)
        send_all(target.endpoint, [target.signer.raw(ask) for ask in asks])


def _deletes(place: Place) -> list[Ask]:
    return [Ask("DELETE", f"/{BUCKET}/delete/{place.leg}/{number:05}") for number in range(REPLAYED)]


def _ranges(_: Place) -> list[Ask]:
    draw = random.Random(5)
    starts = [draw.randrange(LARGE_BYTES - 4 * KIB) for _ in range(500)]
    ranges = [f"bytes={start}-{start + 4 * KIB - 1}" for start in starts]
    return [Ask("GET", f"/{LARGE_BUCKET}/object", headers=(("range", each),)) for each in ranges]


def _kms(operation: str, document: Callable[[Place], dict[str, object]]) -> Measure:
    headers = (("content-type", "application/x-amz-json-1.1"), ("x-amz-target", f"TrentService.{operation}"))

    def asks(place: Place) -> list[Ask]:
        body = json.dumps(document(place)).encode()
        return [Ask("POST", "/", headers=headers, body=body, service="kms")] * 16

    return _replayed(asks)


def _large_get(place: Place, target: Target) -> Run:
    path = f"/{LARGE_BUCKET}/object" if target.name != "bound" else f"/get/{LARGE_BYTES}"
    return curl_get([target.signer.url(Ask("GET", path))] * _large_count(place), LARGE_BYTES)


def _large_put(target: Target, place: Place, *, bucket: str, bound_path: str) -> Run:
    kms = (("x-amz-server-side-encryption", "aws:kms"),) if bucket == KMS_BUCKET else ()
    if target.name == "bound":
        kms, paths = (), [bound_path] * _large_count(place)
    else:
        paths = [f"/{bucket}/large/{place.leg}-{number}" for number in range(_large_count(place))]
    urls = [target.signer.url(Ask("PUT", path, headers=kms)) for path in paths]
    return curl_put(urls, place.file(LARGE_BYTES), kms)


def _large_count(place: Place) -> int:
    return max(2, int(place.seconds * 4))


def _multipart(target: Target, place: Place) -> Run:
    """One object of 64 MiB in parts of 8 MiB: create, upload in a row, complete."""
    import boto3

    parts = LARGE_BYTES // PART_BYTES
    if target.name == "bound":
        urls = [target.signer.url(Ask("PUT", f"/put/{PART_BYTES}"))] * parts
        return curl_put(urls, place.file(PART_BYTES))
    signer = target.signer
    client = boto3.client("s3", endpoint_url=target.endpoint, region_name=signer.region,
                          aws_access_key_id=signer.access_key_id, aws_secret_access_key=signer.secret)  # fmt: skip
    path = f"large/multipart-{place.leg}"
    upload = client.create_multipart_upload(Bucket=LARGE_BUCKET, Key=path)["UploadId"]
    queries = [(("partNumber", str(number)), ("uploadId", upload)) for number in range(1, parts + 1)]
    urls = [signer.url(Ask("PUT", f"/{LARGE_BUCKET}/{path}", query)) for query in queries]
    run = curl_put(urls, place.file(PART_BYTES))
    listed = client.list_parts(Bucket=LARGE_BUCKET, Key=path, UploadId=upload)["Parts"]
    tags = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in listed]
    client.complete_multipart_upload(Bucket=LARGE_BUCKET, Key=path, UploadId=upload, MultipartUpload={"Parts": tags})
    return run


def _large(method: str, bucket: str = LARGE_BUCKET, bound_path: str = f"/put/{LARGE_BYTES}") -> Measure:
    if method == "GET":
        return lambda target, place: _large_get(place, target)
    return lambda target, place: _large_put(target, place, bucket=bucket, bound_path=bound_path)


_LIST = (("list-type", "2"), ("max-keys", "1000"), ("prefix", "photos/"))


def _pages(_: Place) -> list[Ask]:
    """One page after another of all: more than a worker remembers."""
    starts = [()] + [(("start-after", _key(number - 1)),) for number in range(1000, LISTED, 1000)]
    return [Ask("GET", f"/{BUCKET}", _LIST + start) for start in starts]


_FAST_PUT = f"/put_without_md5/{LARGE_BYTES}"

CASES: tuple[Case, ...] = (
    Case("GET 4 KiB", _gets(BUCKET), _bound("/get/4096"), 0.6, (1, 2, 4)),
    Case("PUT 4 KiB durable", _puts(BUCKET, 4 * KIB, REPLAYED), _bound("/put/4096", "PUT", 4 * KIB), 0.5, (1, 2, 4)),
    Case("HEAD", _heads, _heads),
    Case("LIST 1,000 of 10,000", _replayed(lambda _: [Ask("GET", f"/{BUCKET}", _LIST)]), _bound("/list/1000"), 0.5),
    Case("LIST all 10,000 by 1,000", _replayed(_pages), _bound("/list/1000")),
    Case("DELETE", _replayed(_deletes, _fill_for_delete), _bound("/delete/0", "DELETE")),
    Case("GET range 4 KiB of 64 MiB", _replayed(_ranges), _bound("/range/4096")),
    Case("GET 1 MiB", _replayed(lambda _: [Ask("GET", f"/{LARGE_BUCKET}/medium")]), _bound(f"/get/{MIB}")),
    Case("PUT 1 MiB", _puts(LARGE_BUCKET, MIB, 16), _bound(f"/put/{MIB}", "PUT", MIB)),
    Case("GET 64 MiB", _large("GET"), _large("GET"), 0.7, (1, 2)),
    Case("PUT 64 MiB", _large("PUT"), _large("PUT"), 0.7, (1, 2)),
    Case("PUT 64 MiB SSE-KMS", _large("PUT", KMS_BUCKET, _FAST_PUT), _large("PUT", KMS_BUCKET, _FAST_PUT), 0.7),
    Case("multipart 8 x 8 MiB", _multipart, _multipart),
    Case("GET 4 KiB SSE-KMS", _gets(KMS_BUCKET), _bound("/get/4096")),
    Case("PUT 4 KiB SSE-KMS", _puts(KMS_BUCKET, 4 * KIB, REPLAYED), _bound("/put/4096", "PUT", 4 * KIB)),
    Case("GET 4 KiB Bucket Key", _gets(BUCKET_KEY_BUCKET), _bound("/get/4096"), full_only=True),
    Case("PUT 4 KiB Bucket Key", _puts(BUCKET_KEY_BUCKET, 4 * KIB, REPLAYED), _bound("/put/4096", "PUT", 4 * KIB),
         full_only=True),
    Case("GET 4 KiB DSSE-KMS", _gets(DSSE_BUCKET), _bound("/get/4096"), full_only=True),
    Case("PUT 4 KiB DSSE-KMS", _puts(DSSE_BUCKET, 4 * KIB, REPLAYED), _bound("/put/4096", "PUT", 4 * KIB),
         full_only=True),
    Case("KMS GenerateDataKey",
         _kms("GenerateDataKey", lambda place: {"KeyId": place.kms_key, "KeySpec": "AES_256"}),
         _bound("/generate/0", "POST", 64)),
    Case("KMS Decrypt", _kms("Decrypt", lambda place: {"CiphertextBlob": b64encode(place.blob).decode()}),
         _bound("/decrypt/0", "POST", 64)),
)  # fmt: skip


def furnish(target: Target, place: Place, *, objects: int = LISTED) -> None:
    """Buckets, objects and a key, as the cases expect them."""
    kms, s3 = _client(target, "kms"), _client(target, "s3")
    place.kms_key = kms.create_key()["KeyMetadata"]["KeyId"]
    place.blob = kms.generate_data_key(KeyId=place.kms_key, KeySpec="AES_256")["CiphertextBlob"]
    modes = {KMS_BUCKET: ("aws:kms", False), BUCKET_KEY_BUCKET: ("aws:kms", True), DSSE_BUCKET: ("aws:kms:dsse", False)}
    for bucket, (mode, bucket_key) in modes.items():
        s3.create_bucket(Bucket=bucket)
        default = {"SSEAlgorithm": mode, "KMSMasterKeyID": place.kms_key}
        rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        _fill(target, bucket, 500)
    furnish_objects(target, place, objects=objects)


def furnish_objects(target: Target, place: Place, *, objects: int = LISTED) -> None:
    """What the cases without KMS need; of any S3 server."""
    s3 = _client(target, "s3")
    for bucket in (BUCKET, LARGE_BUCKET):
        s3.create_bucket(Bucket=bucket)
    _fill(target, BUCKET, objects)
    s3.put_object(Bucket=LARGE_BUCKET, Key="medium", Body=body_of(MIB))
    s3.upload_file(str(place.file(LARGE_BYTES)), LARGE_BUCKET, "parts")
    with place.file(LARGE_BYTES).open("rb") as body:
        s3.put_object(Bucket=LARGE_BUCKET, Key="object", Body=body)


def _fill(target: Target, bucket: str, count: int) -> None:
    asks = [Ask("PUT", f"/{bucket}/{_key(number)}", body=body_of(4 * KIB)) for number in range(count)]
    send_all(target.endpoint, [target.signer.raw(ask) for ask in asks])


def _client(target: Target, service: str) -> Any:
    import boto3

    signer = target.signer
    return boto3.client(service, endpoint_url=target.endpoint, region_name=signer.region,
                        aws_access_key_id=signer.access_key_id, aws_secret_access_key=signer.secret)  # fmt: skip
