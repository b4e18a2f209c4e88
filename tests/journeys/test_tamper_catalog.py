"""Rows altered on a stopped store, by someone who has its root key: moved, exchanged, removed, forged.

An exchange of whole rows is what a thief of one backup could try; a forger can even seal records anew. Neither gets a
wrong byte sent: streams and wrapped keys open only in their own place.

Not detected, and not tested: an older state of the same row put back, and a version's row removed altogether.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from s3al.s3.records import PublicRecord
from s3al.store import catalog
from s3al.store.catalog import VersionRow
from support.house import House, StoppedStore, open_house
from support.modes import MODES, SSE_C_KEY, Mode, mode_of
from support.settings import allow_sse_c

PART = 5 << 20
LARGE = 50_000  # lies in a blob


@dataclass
class Target:
    """Two versions of one key, `first` and `second`, and one of another key, all of one mode and of one length."""

    house: House
    mode: Mode
    kms_key: str

    def make(self, bucket: str, object_key: str, *bodies: bytes) -> list[str]:
        """Version ids, oldest first. Every version has a tag and a checksum."""
        s3 = self.house.client()
        return [
            s3.put_object(
                Bucket=bucket, Key=object_key, Body=body, Tagging=f"t={number}", ChecksumAlgorithm="SHA256",
                **self.mode.put,
            )["VersionId"]
            for number, body in enumerate(bodies)
        ]  # fmt: skip

    def new_bucket(self, name: str) -> str:
        s3 = self.house.client()
        s3.create_bucket(Bucket=name)
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        allow_sse_c(s3, name)
        return name

    def get(self, bucket: str, object_key: str, version_id: str, **arguments: Any) -> Any:
        return self.house.client().get_object(
            Bucket=bucket, Key=object_key, VersionId=version_id, ChecksumMode="ENABLED", **self.mode.customer,
            **arguments,
        )  # fmt: skip

    def detected(self, bucket: str, object_key: str, version_id: str, *, wrong_key: bool = False) -> None:
        """wrong_key: an altered wrapped key may look like a wrong customer key, which is AccessDenied."""
        before = len(self.house.events("integrity"))
        with pytest.raises(ClientError) as refused:
            self.get(bucket, object_key, version_id)
        status = refused.value.response["ResponseMetadata"]["HTTPStatusCode"]
        if wrong_key and self.mode.name == "sse-c":
            assert status == 403
            return
        assert (status, refused.value.response["Error"]["Code"]) == (500, "InternalError")
        assert len(self.house.events("integrity")) == before + 1

    def sound(self, bucket: str, object_key: str, version_id: str, body: bytes) -> None:
        assert self.get(bucket, object_key, version_id)["Body"].read() == body


@pytest.fixture(scope="module", params=MODES)
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with open_house(tmp_path_factory.mktemp("house")) as house:
        key = house.client("kms").create_key()["KeyMetadata"]["Arn"]
        yield Target(house, mode_of(request.param, key), key)
        assert [event["at"] for event in house.events("unforeseen")] == []


def row_of(store: StoppedStore, bucket: str, object_key: str, version_id: str) -> VersionRow:
    def read(rows: Any) -> VersionRow:
        found = catalog.find_version(rows, catalog.find_bucket(rows, bucket).bucket_id, object_key.encode(), version_id)
        assert found
        return found

    return store.database.read_now(read)


def opened(store: StoppedStore, row: VersionRow) -> PublicRecord:
    return store.records.open_public(row.bucket_id, row.object_key, row)


def forge(store: StoppedStore, row: VersionRow, record: PublicRecord) -> None:
    """Seal `record` as the record of `row`, as the server itself would."""
    sealed = store.records.seal_public(row.bucket_id, row.object_key, row.version_id, row.object_id, record)
    assert store.change("UPDATE versions SET public_record = ? WHERE object_id = ?", sealed, row.object_id) == 1


def exchange(store: StoppedStore, column: str, one: VersionRow, two: VersionRow) -> None:
    """Exchange one column between two versions. A third value in between keeps the indexes unique."""
    values = {
        row.object_id: store.all(f"SELECT {column} FROM versions WHERE object_id = ?", row.object_id)[0][0]
        for row in (one, two)
    }
    sequences = {
        row.object_id: store.all("SELECT rowid FROM versions WHERE object_id = ?", row.object_id)[0][0]
        for row in (one, two)
    }
    if column in ("version_id", "object_key"):
        store.change(f"UPDATE versions SET {column} = ? WHERE rowid = ?", b"x", sequences[one.object_id])
    store.change(f"UPDATE versions SET {column} = ? WHERE rowid = ?", values[one.object_id], sequences[two.object_id])
    store.change(f"UPDATE versions SET {column} = ? WHERE rowid = ?", values[two.object_id], sequences[one.object_id])


COLUMNS = ("public_record", "private_record", "tag_record", "object_id", "version_id")


@pytest.mark.parametrize("body_bytes", [200, LARGE])
@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_exchanged_between_two_versions_is_detected(target: Target, column: str, body_bytes: int) -> None:
    bucket = target.new_bucket(f"exchange-{column.replace('_', '-')}-{body_bytes}")
    bodies = [bytes([number]) * body_bytes for number in range(3)]
    first, second, third = target.make(bucket, "key", *bodies)
    with target.house.stopped() as store:
        exchange(store, column, row_of(store, bucket, "key", first), row_of(store, bucket, "key", second))
    target.detected(bucket, "key", first)
    target.detected(bucket, "key", second)
    target.sound(bucket, "key", third, bodies[2])


# Material id, version, nonce, ciphertext, tag; and lengths that no record has.
RECORD_ALTERATIONS: tuple[Callable[[bytes], bytes], ...] = (
    *(lambda b, at=at: b[:at] + bytes([b[at] ^ 1]) + b[at + 1 :] for at in (0, 31, 32, 33, 45, 60)),  # type: ignore[misc]
    lambda b: b[:-1] + bytes([b[-1] ^ 1]),
    lambda b: b[:-1],
    lambda b: b + b"x",
    lambda b: b[:20],
    lambda b: b"",
)


@pytest.mark.parametrize("column", ["public_record", "private_record", "tag_record"])
def test_every_region_of_a_record_is_authenticated(target: Target, column: str) -> None:
    bucket = target.new_bucket(f"regions-{column.replace('_', '-')}")
    alterations = RECORD_ALTERATIONS if column != "tag_record" else RECORD_ALTERATIONS[:-1]  # no record: no tags
    versions = target.make(bucket, "key", *(b"body" for _ in alterations))
    with target.house.stopped() as store:
        for version, alter in zip(versions, alterations, strict=True):
            row = row_of(store, bucket, "key", version)
            sealed = alter(bytes(getattr(row, column)))
            store.change(f"UPDATE versions SET {column} = ? WHERE object_id = ?", sealed, row.object_id)
    for version in versions:
        target.detected(bucket, "key", version)


@pytest.mark.parametrize("body_bytes", [200, LARGE])
def test_stream_rows_exchanged_between_two_objects_are_detected(target: Target, body_bytes: int) -> None:
    bucket = target.new_bucket(f"exchanged-streams-{body_bytes}")
    (one,), (two,) = (target.make(bucket, key, key.encode() * body_bytes) for key in "ab")
    with target.house.stopped() as store:
        rows = [row_of(store, bucket, "a", one), row_of(store, bucket, "b", two)]
        places = [
            store.all("SELECT blob_name, sealed_body FROM streams WHERE object_id = ?", row.object_id)[0]
            for row in rows
        ]
        store.change("UPDATE streams SET blob_name = NULL WHERE object_id = ?", rows[0].object_id)
        for row, place in zip(reversed(rows), places, strict=True):
            store.change("UPDATE streams SET blob_name = ?, sealed_body = ? WHERE object_id = ?", *place, row.object_id)
    target.detected(bucket, "a", one)
    target.detected(bucket, "b", two)


def test_a_version_moved_to_another_key_or_bucket_is_detected(target: Target) -> None:
    bucket, other = target.new_bucket("moved-from"), target.new_bucket("moved-to")
    (one,), (two,) = (target.make(bucket, key, b"body") for key in ("one", "two"))
    with target.house.stopped() as store:
        there = store.database.read_now(lambda rows: catalog.find_bucket(rows, other)).bucket_id
        moved = row_of(store, bucket, "one", one), row_of(store, bucket, "two", two)
        store.change("UPDATE versions SET object_key = ? WHERE object_id = ?", b"elsewhere", moved[0].object_id)
        store.change("UPDATE versions SET bucket_id = ? WHERE object_id = ?", there, moved[1].object_id)
    target.detected(bucket, "elsewhere", one)
    target.detected(other, "two", two)


def test_an_object_made_a_delete_marker_and_a_marker_made_an_object_are_detected(target: Target) -> None:
    bucket = target.new_bucket("markers")
    (version_id,) = target.make(bucket, "key", b"body")
    marker_id = target.house.client().delete_object(Bucket=bucket, Key="marked")["VersionId"]
    with target.house.stopped() as store:
        row, marker = row_of(store, bucket, "key", version_id), row_of(store, bucket, "marked", marker_id)
        store.change("UPDATE versions SET is_delete_marker = 1 WHERE object_id = ?", row.object_id)
        store.change("UPDATE versions SET is_delete_marker = 0 WHERE object_id = ?", marker.object_id)
    target.detected(bucket, "key", version_id)
    target.detected(bucket, "marked", marker_id)


def test_a_private_record_taken_away_is_detected(target: Target) -> None:
    bucket = target.new_bucket("no-private-record")
    (version_id,) = target.make(bucket, "key", b"body")
    with target.house.stopped() as store:
        row = row_of(store, bucket, "key", version_id)
        store.change("UPDATE versions SET private_record = ? WHERE object_id = ?", b"", row.object_id)
    target.detected(bucket, "key", version_id)


def test_wrapped_keys_exchanged_between_two_versions_do_not_open(target: Target) -> None:
    """The forger keeps everything else, commitments among it, or takes those along: the commitment binds the object."""
    bucket = target.new_bucket("wrapped-keys")
    versions = target.make(bucket, "key", b"one!", b"two!", b"six!", b"ten!")
    with target.house.stopped() as store:
        rows = [row_of(store, bucket, "key", version) for version in versions]
        records = [opened(store, row) for row in rows]
        envelopes = [record.envelope for record in records]
        for at, source in ((0, 1), (1, 0)):
            whole = replace(envelopes[source], commitment=envelopes[at].commitment,
                            outer_commitment=envelopes[at].outer_commitment)  # fmt: skip
            forge(store, rows[at], replace(records[at], envelope=whole))
        for at, source in ((2, 3), (3, 2)):
            forge(store, rows[at], replace(records[at], envelope=envelopes[source]))
    for version in versions:
        target.detected(bucket, "key", version, wrong_key=True)


def test_a_record_taken_over_whole_opens_no_stream_of_another_version(target: Target) -> None:
    """Envelope, stream and commitment of the second version in the record of the first, and its stream row as well."""
    bucket = target.new_bucket("whole-record")
    first, second = target.make(bucket, "key", b"one!", b"two!")
    with target.house.stopped() as store:
        one, two = row_of(store, bucket, "key", first), row_of(store, bucket, "key", second)
        forge(store, one, opened(store, two))
        store.change("DELETE FROM streams WHERE object_id = ?", one.object_id)
        store.change("UPDATE streams SET object_id = ? WHERE object_id = ?", one.object_id, two.object_id)
    target.detected(bucket, "key", first, wrong_key=True)


FALSE_MODES = ("AES256", "aws:kms", "aws:kms:dsse", "SSE-C", "", "none")


def test_no_other_mode_opens_an_object(target: Target) -> None:
    bucket = target.new_bucket("false-modes")
    versions: dict[str, str] = {}
    true_mode = target.mode.put.get("ServerSideEncryption", "SSE-C")
    for mode in FALSE_MODES:
        if mode != true_mode:
            (versions[mode],) = target.make(bucket, f"as {mode}", b"the body")
    with target.house.stopped() as store:
        for mode, version_id in versions.items():
            row = row_of(store, bucket, f"as {mode}", version_id)
            record = opened(store, row)
            forge(store, row, replace(record, envelope=replace(record.envelope, mode=mode)))
    for mode, version_id in versions.items():
        with pytest.raises(ClientError) as refused:
            target.get(bucket, f"as {mode}", version_id)
        status = refused.value.response["ResponseMetadata"]["HTTPStatusCode"]
        assert status == 400 if "SSE-C" in (mode, true_mode) else status >= 400


def test_a_deleted_buckets_objects_do_not_open_under_its_namesake(target: Target) -> None:
    bucket, s3 = target.new_bucket("namesake"), target.house.client()
    (version_id,) = target.make(bucket, "key", b"before")
    with target.house.stopped() as store:
        old = row_of(store, bucket, "key", version_id)
        old_record = opened(store, old)
        stream = store.all("SELECT stream_id, sealed_body FROM streams WHERE object_id = ?", old.object_id)[0]
    s3.delete_object(Bucket=bucket, Key="key", VersionId=version_id)
    s3.delete_bucket(Bucket=bucket)
    target.new_bucket(bucket)
    moved, sealed_anew, with_its_key = target.make(bucket, "key", b"after1", b"after2", b"after3")
    with target.house.stopped() as store:
        rows = [row_of(store, bucket, "key", version) for version in (moved, sealed_anew, with_its_key)]
        records = [opened(store, row) for row in rows]
        store.change("UPDATE versions SET public_record = ? WHERE object_id = ?", old.public_record, rows[0].object_id)
        forge(store, rows[2], replace(records[2], envelope=old_record.envelope))
        # the old object whole, with its object id and stream, its record sealed for the new bucket
        store.change("UPDATE versions SET object_id = ? WHERE object_id = ?", old.object_id, rows[1].object_id)
        store.write(lambda write: catalog.insert_streams(
            write, [catalog.StreamRow(old.object_id, stream[0], None, stream[1])]))  # fmt: skip
        forge(store, replace(rows[1], object_id=old.object_id), old_record)
    for version in (moved, sealed_anew, with_its_key):
        target.detected(bucket, "key", version, wrong_key=version != moved)


def put_parts(target: Target, bucket: str, object_key: str, *bodies: bytes) -> str:
    s3, place = target.house.client(), {"Bucket": bucket, "Key": object_key}
    place["UploadId"] = s3.create_multipart_upload(**place, ChecksumAlgorithm="SHA256", **target.mode.put)["UploadId"]
    parts = []
    for number, body in enumerate(bodies, 1):
        sent = s3.upload_part(**place, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256", **target.mode.customer)
        parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": sent["ChecksumSHA256"]})
    done = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}, **target.mode.customer)
    version_id: str = done["VersionId"]
    return version_id


MANIFEST_ALTERATIONS: dict[str, Callable[[StoppedStore, VersionRow, VersionRow], Any]] = {
    "exchanged": lambda store, row, other: store.change(
        "UPDATE manifests SET public_manifest = (SELECT public_manifest FROM manifests WHERE object_id = ?)"
        " WHERE object_id = ?", other.object_id, row.object_id),
    "removed": lambda store, row, other: store.change("DELETE FROM manifests WHERE object_id = ?", row.object_id),
    "reordered": lambda store, row, other: reorder_manifest(store, row),
}  # fmt: skip


def reorder_manifest(store: StoppedStore, row: VersionRow) -> None:
    sealed = store.all("SELECT public_manifest FROM manifests WHERE object_id = ?", row.object_id)[0][0]
    streams = store.records.open_manifest(row.bucket_id, row.object_id, sealed, opened(store, row).manifest_digest)
    forged, _ = store.records.seal_manifest(row.bucket_id, row.object_id, streams[::-1])
    store.change("UPDATE manifests SET public_manifest = ? WHERE object_id = ?", forged, row.object_id)


@pytest.mark.parametrize("alteration", MANIFEST_ALTERATIONS)
def test_an_altered_manifest_is_detected(target: Target, alteration: str) -> None:
    bucket = target.new_bucket(f"manifest-{alteration}")
    bodies = b"1" * PART, b"2" * PART
    version_id = put_parts(target, bucket, "key", *bodies)
    other = put_parts(target, bucket, "other", *bodies)
    with target.house.stopped() as store:
        rows = row_of(store, bucket, "key", version_id), row_of(store, bucket, "other", other)
        MANIFEST_ALTERATIONS[alteration](store, *rows)
    target.detected(bucket, "key", version_id)
    target.sound(bucket, "other", other, b"".join(bodies))


def test_checksums_of_parts_open_only_for_their_part(target: Target) -> None:
    bucket = target.new_bucket("part-checksums")
    version_id = put_parts(target, bucket, "key", b"1" * PART, b"2" * PART)
    customer = dict(target.mode.customer)
    if customer:  # boto3 encodes the key elsewhere, but not here
        customer["SSECustomerKey"] = b64encode(SSE_C_KEY.encode()).decode()
        customer["SSECustomerKeyMD5"] = b64encode(hashlib.md5(SSE_C_KEY.encode()).digest()).decode()
    asked = {"Bucket": bucket, "Key": "key", "ObjectAttributes": ["ObjectParts"], **customer}
    assert len(target.house.client().get_object_attributes(**asked)["ObjectParts"]["Parts"]) == 2
    with target.house.stopped() as store:
        row = row_of(store, bucket, "key", version_id)
        sealed = store.all("SELECT private_manifest FROM manifests WHERE object_id = ?", row.object_id)[0][0]
        first, second = bytes(sealed)[1:-1].split(b",")
        changed = b"[" + second + b"," + first + b"]"
        store.change("UPDATE manifests SET private_manifest = ? WHERE object_id = ?", changed, row.object_id)
    with pytest.raises(ClientError, match="InternalError"):
        target.house.client().get_object_attributes(**asked)


def test_parts_exchanged_between_two_uploads_do_not_complete(target: Target) -> None:
    bucket, s3 = target.new_bucket("two-uploads"), target.house.client()
    uploads = []
    for name in ("one", "two"):
        place = {"Bucket": bucket, "Key": name}
        place["UploadId"] = s3.create_multipart_upload(**place, **target.mode.put)["UploadId"]
        etag = s3.upload_part(**place, PartNumber=1, Body=name.encode(), **target.mode.customer)["ETag"]
        uploads.append((place, etag))
    with target.house.stopped() as store:
        ids = [place["UploadId"] for place, _ in uploads]
        store.change("UPDATE parts SET upload_id = 'x' WHERE upload_id = ?", ids[0])
        store.change("UPDATE parts SET upload_id = ? WHERE upload_id = ?", ids[0], ids[1])
        store.change("UPDATE parts SET upload_id = ? WHERE upload_id = 'x'", ids[1])
    for place, etag in uploads:
        with pytest.raises(ClientError, match="InternalError"):
            s3.complete_multipart_upload(
                **place, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}, **target.mode.customer
            )
        with pytest.raises(ClientError, match="InternalError"):
            s3.list_parts(**place)


def test_an_upload_moved_to_another_key_does_not_open(target: Target) -> None:
    bucket, s3 = target.new_bucket("moved-upload"), target.house.client()
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="one", **target.mode.put)["UploadId"]
    with target.house.stopped() as store:
        store.change("UPDATE uploads SET object_key = ? WHERE upload_id = ?", b"two", upload_id)
    with pytest.raises(ClientError, match="InternalError"):
        s3.upload_part(Bucket=bucket, Key="two", UploadId=upload_id, PartNumber=1, Body=b"x", **target.mode.customer)


def test_secrets_of_access_keys_exchanged_open_nothing(tmp_path: Any) -> None:
    with open_house(tmp_path) as house:
        with house.stopped() as store:
            store.change(
                "INSERT INTO access_keys SELECT 'AKIAEXCHANGED', account_id, principal_arn, secret, status, created_at"
                " FROM access_keys"
            )
        exchanged = house.client("sts", aws_access_key_id="AKIAEXCHANGED")
        with pytest.raises(ClientError, match="InternalFailure"):
            exchanged.get_caller_identity()
        assert len(house.events("integrity")) == 1
        assert house.client("sts").get_caller_identity()["Account"]


@pytest.mark.parametrize("column", ["wrapped", "key_id", "material_id"])
def test_materials_of_two_keys_exchanged_open_nothing(tmp_path: Any, column: str) -> None:
    with open_house(tmp_path) as house:
        kms = house.client("kms")
        keys = [kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(3)]
        blobs = [kms.encrypt(KeyId=key, Plaintext=key.encode())["CiphertextBlob"] for key in keys]
        with house.stopped() as store:
            stored = [
                store.all(f"SELECT rowid, {column} FROM kms_materials WHERE key_id = ?", key)[0] for key in keys[:2]
            ]
            store.change(f"UPDATE kms_materials SET {column} = x'00' WHERE rowid = ?", stored[0][0])
            store.change(f"UPDATE kms_materials SET {column} = ? WHERE rowid = ?", stored[0][1], stored[1][0])
            store.change(f"UPDATE kms_materials SET {column} = ? WHERE rowid = ?", stored[1][1], stored[0][0])
        for key, blob in zip(keys[:2], blobs[:2], strict=True):
            with pytest.raises(ClientError):
                kms.decrypt(CiphertextBlob=blob, KeyId=key)
        assert kms.decrypt(CiphertextBlob=blobs[2])["Plaintext"] == keys[2].encode()
        assert [event["at"] for event in house.events("unforeseen")] == []
