"""obstore (the Rust object_store): whole objects, ranges, streams, listings, conditional writes, and buckets whose
default encrypts."""

from __future__ import annotations

import os
from typing import Any

import pytest

from support.server_process import ServerProcess
from support.settings import DSSE_KMS, SSE_KMS, new_bucket, new_key, set_default

obstore = pytest.importorskip("obstore", reason="obstore is not installed: script/test installs it")
pytestmark = pytest.mark.client("obstore")
MIB = 1 << 20


def _store(server: ServerProcess, bucket: str, **options: Any) -> Any:
    from obstore.store import S3Store

    if server.ca_bundle:
        with open(server.ca_bundle, "rb") as file:
            options["client_options"] = {"root_certificate": file.read()}
    else:
        options["client_options"] = {"allow_http": True}
    return S3Store(
        bucket,
        endpoint=server.endpoint,
        region=server.region,
        access_key_id=server.access_key_id,
        secret_access_key=server.secret_access_key,
        virtual_hosted_style_request=False,
        retry_config={"max_retries": 0},
        **options,
    )


def _there_and_back(store: Any) -> None:
    content, large = os.urandom(200_000), os.urandom(12 * MIB + 1)
    obstore.put(store, "folder/a key é", content, attributes={"Content-Type": "text/x-test"})
    got = obstore.get(store, "folder/a key é")
    assert got.attributes["Content-Type"] == "text/x-test"
    assert bytes(got.bytes()) == content
    obstore.put(store, "large", large, use_multipart=True, chunk_size=5 * MIB)
    assert b"".join(bytes(piece) for piece in obstore.get(store, "large").stream()) == large
    ranges = obstore.get_ranges(store, "large", starts=[0, 65_530, 12 * MIB - 5], lengths=[5, 20, 6])
    assert [bytes(piece) for piece in ranges] == [large[:5], large[65_530:65_550], large[12 * MIB - 5 :]]
    obstore.copy(store, "folder/a key é", "copied")
    obstore.rename(store, "copied", "renamed")
    listed = [entry["path"] for page in obstore.list(store) for entry in page]
    assert sorted(listed) == ["folder/a key é", "large", "renamed"]
    folded = obstore.list_with_delimiter(store)
    assert list(folded["common_prefixes"]) == ["folder"]
    assert obstore.head(store, "large")["size"] == len(large)
    obstore.delete(store, listed)
    assert [entry for page in obstore.list(store) for entry in page] == []


def test_objects_there_and_back(any_server, bucket):
    _there_and_back(_store(any_server, bucket))


@pytest.mark.parametrize("mode", [SSE_KMS, DSSE_KMS])
def test_a_default_encrypts_without_any_option(standing_server, mode):
    s3, key = standing_server.client(), new_key(standing_server)
    bucket = new_bucket(standing_server, owner=s3)
    set_default(s3, bucket, mode, key)
    store = _store(standing_server, bucket)
    _there_and_back(store)
    obstore.put(store, "key", b"x")
    assert s3.head_object(Bucket=bucket, Key="key")["ServerSideEncryption"] == mode


def test_sse_kms_by_option(standing_server):
    s3, key = standing_server.client(), new_key(standing_server)
    bucket = new_bucket(standing_server, owner=s3)
    store = _store(standing_server, bucket, config={"aws_server_side_encryption": "aws:kms", "aws_sse_kms_key_id": key})
    _there_and_back(store)
    obstore.put(store, "key", b"x")
    assert s3.head_object(Bucket=bucket, Key="key")["SSEKMSKeyId"] == key


def test_conditional_writes_lose_the_race_rightly(any_server, bucket):
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    store = _store(any_server, bucket)
    first = obstore.put(store, "key", b"one", mode="create")
    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "key", b"two", mode="create")
    second = obstore.put(store, "key", b"two", mode={"e_tag": first["e_tag"]})
    with pytest.raises(PreconditionError):
        obstore.put(store, "key", b"three", mode={"e_tag": first["e_tag"]})
    assert second["e_tag"] != first["e_tag"]
    with pytest.raises(FileNotFoundError):
        obstore.get(store, "absent")


def test_signed_urls(standing_server):
    import urllib.request
    from datetime import timedelta

    store = _store(standing_server, new_bucket(standing_server))
    put = obstore.sign(store, "PUT", "a key", timedelta(minutes=1))
    with urllib.request.urlopen(urllib.request.Request(put, b"by URL", method="PUT")) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(obstore.sign(store, "GET", "a key", timedelta(minutes=1))) as answer:
        assert answer.read() == b"by URL"


def test_a_refused_upload_is_an_error_with_its_code(standing_server):
    bucket = new_bucket(standing_server)
    stranger = ServerProcess(standing_server.folder, secret_access_key="not-the-secret-of-this-key")
    stranger.endpoint, stranger.ca_bundle = standing_server.endpoint, standing_server.ca_bundle
    for size in (10, 20 * MIB):
        with pytest.raises(Exception, match="SignatureDoesNotMatch"):
            obstore.put(_store(stranger, bucket), "key", bytes(size), use_multipart=False)
