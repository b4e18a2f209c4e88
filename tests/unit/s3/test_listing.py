"""Lists of objects, versions, uploads and parts, against a model that is a plain Python loop."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3al import app
from s3al.errors import IntegrityError
from s3al.s3 import sse
from s3al.s3.records import PublicRecord, Records
from s3al.store import catalog
from s3al.store.catalog import ListedRow
from unit.s3.world import OWNER, STRANGER, Counting, FixedKeys, World, canonical_id, open_world, refused, root_of

_TREE = ("a", "a/1", "a/2", "a/b/3", "b", "b/", "b//x", "c-1", "c/1", "ä", "日本/語", "z z+z")


@pytest.fixture
def tree(world: World) -> World:
    world.bucket()
    world.put("bucket", *_TREE)
    return world


def keys_of(output: dict[str, Any]) -> list[str]:
    return [entry["Key"] for entry in output["Contents"]]


def prefixes_of(output: dict[str, Any]) -> list[str]:
    return [entry["Prefix"] for entry in output["CommonPrefixes"]]


def pages(world: World, operation: str, follow: dict[str, str], **params: Any) -> Iterator[dict[str, Any]]:
    """All pages of a listing. follow: member of an answer -> parameter of the next request."""
    while True:
        page = world.output(operation, Bucket="bucket", **params)
        yield page
        if not page["IsTruncated"]:
            return
        params |= {parameter: page[member] for member, parameter in follow.items() if member in page}


def entries(keys: list[str], *, prefix: str = "", delimiter: str = "") -> list[str]:
    """What a listing shows, keys and common prefixes together in order, by the definition of S3's documentation."""
    shown: list[str] = []
    for key in sorted(keys, key=lambda key: key.encode()):
        if not key.startswith(prefix):
            continue
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        entry = prefix + head + found if found else key
        if not shown or shown[-1] != entry:
            shown.append(entry)
    return shown


def test_keys_are_in_the_order_of_their_utf8_bytes(tree: World) -> None:
    assert keys_of(tree.output("ListObjectsV2", Bucket="bucket")) == sorted(_TREE, key=str.encode)


def test_object_is_shown_with_all_its_members(world: World) -> None:
    world.bucket()
    world.put("bucket", "key", size_bytes=7, etag="abc-2", checksum_algorithms=("CRC32",), checksum_type="COMPOSITE")
    [entry] = world.output("ListObjectsV2", Bucket="bucket", FetchOwner=True)["Contents"]
    assert entry == {
        "Key": "key",
        "LastModified": datetime.fromtimestamp(world.now_ms // 1000, UTC),
        "ETag": '"abc-2"',
        "Size": 7,
        "StorageClass": "STANDARD",
        "ChecksumAlgorithm": ["CRC32"],
        "ChecksumType": "COMPOSITE",
        "Owner": {"ID": canonical_id(OWNER), "DisplayName": "account-0"},
    }


def test_owner_is_shown_by_version_1_always_and_by_version_2_on_request(tree: World) -> None:
    assert all("Owner" in entry for entry in tree.output("ListObjects", Bucket="bucket")["Contents"])
    assert not any("Owner" in entry for entry in tree.output("ListObjectsV2", Bucket="bucket")["Contents"])


def test_empty_bucket_lists_nothing(world: World) -> None:
    world.bucket()
    assert world.output("ListObjectsV2", Bucket="bucket") == {
        "Name": "bucket",
        "Prefix": "",
        "MaxKeys": 1000,
        "KeyCount": 0,
        "IsTruncated": False,
        "Contents": [],
        "CommonPrefixes": [],
    }
    assert world.output("ListObjects", Bucket="bucket") == {
        "Name": "bucket",
        "Prefix": "",
        "Marker": "",
        "MaxKeys": 1000,
        "IsTruncated": False,
        "Contents": [],
        "CommonPrefixes": [],
    }


def test_delimiter_rolls_up_what_lies_beyond_it(tree: World) -> None:
    output = tree.output("ListObjectsV2", Bucket="bucket", Delimiter="/")
    assert keys_of(output) == ["a", "b", "c-1", "z z+z", "ä"]
    assert prefixes_of(output) == ["a/", "b/", "c/", "日本/"]
    assert output["KeyCount"] == 9
    assert output["Delimiter"] == "/"


def test_prefix_and_delimiter_show_one_level(tree: World) -> None:
    output = tree.output("ListObjectsV2", Bucket="bucket", Delimiter="/", Prefix="a/")
    assert (keys_of(output), prefixes_of(output)) == (["a/1", "a/2"], ["a/b/"])
    assert output["Prefix"] == "a/"


def test_key_that_is_the_prefix_itself_is_a_key(tree: World) -> None:
    output = tree.output("ListObjects", Bucket="bucket", Delimiter="/", Prefix="b/")
    assert (keys_of(output), prefixes_of(output)) == (["b/"], ["b//"])


def test_empty_delimiter_is_none(tree: World) -> None:
    output = tree.output("ListObjectsV2", Bucket="bucket", Delimiter="")
    assert len(keys_of(output)) == len(_TREE)
    assert "Delimiter" not in output


@pytest.mark.parametrize("operation", ["ListObjects", "ListObjectsV2"])
def test_page_of_size_0_is_empty_and_not_truncated(tree: World, operation: str) -> None:
    output = tree.output(operation, Bucket="bucket", MaxKeys=0)
    assert (output["Contents"], output["IsTruncated"], output["MaxKeys"]) == ([], False, 0)
    assert "NextContinuationToken" not in output


@pytest.mark.parametrize("operation", ["ListObjects", "ListObjectsV2", "ListObjectVersions"])
def test_page_has_no_more_than_1000_entries(world: World, operation: str) -> None:
    world.bucket()
    world.put("bucket", *[f"{number:04}" for number in range(1001)])
    output = world.output(operation, Bucket="bucket", MaxKeys=5000)
    assert len(output.get("Contents", output.get("Versions"))) == 1000
    assert output["MaxKeys"] == 1000
    assert output["IsTruncated"]


@pytest.mark.parametrize("operation", ["ListObjects", "ListObjectsV2", "ListObjectVersions"])
def test_negative_page_size_is_an_invalid_argument(tree: World, operation: str) -> None:
    with refused("InvalidArgument"):
        tree.call(operation, Bucket="bucket", MaxKeys=-1)


def test_start_after_begins_beyond_a_key_that_need_not_exist(tree: World) -> None:
    output = tree.output("ListObjectsV2", Bucket="bucket", StartAfter="b0", MaxKeys=2)
    assert keys_of(output) == ["c-1", "c/1"]
    assert output["StartAfter"] == "b0"


def test_token_wins_over_start_after_and_both_are_shown(tree: World) -> None:
    first = tree.output("ListObjectsV2", Bucket="bucket", StartAfter="a/1", MaxKeys=1)
    assert keys_of(first) == ["a/2"]
    token = first["NextContinuationToken"]
    second = tree.output("ListObjectsV2", Bucket="bucket", StartAfter="a/1", ContinuationToken=token, MaxKeys=1)
    assert keys_of(second) == ["a/b/3"]
    assert (second["StartAfter"], second["ContinuationToken"]) == ("a/1", token)


def test_empty_token_is_none_and_shown(tree: World) -> None:
    output = tree.output("ListObjectsV2", Bucket="bucket", ContinuationToken="")
    assert len(keys_of(output)) == len(_TREE)
    assert output["ContinuationToken"] == ""


def test_token_of_another_bucket_or_of_nobody_is_refused(tree: World) -> None:
    token = tree.output("ListObjectsV2", Bucket="bucket", MaxKeys=1)["NextContinuationToken"]
    tree.bucket("other")
    for name, given_token in (("other", token), ("bucket", "nonsense"), ("bucket", token + "A")):
        with refused("InvalidArgument", "The continuation token provided is incorrect"):
            tree.call("ListObjectsV2", Bucket=name, ContinuationToken=given_token)


def test_marker_need_not_exist_and_is_shown(tree: World) -> None:
    output = tree.output("ListObjects", Bucket="bucket", Marker="a/zzz", MaxKeys=1)
    assert (keys_of(output), output["Marker"], output["IsTruncated"]) == (["b"], "a/zzz", True)
    assert "NextMarker" not in output


def test_next_marker_is_given_with_a_delimiter(tree: World) -> None:
    output = tree.output("ListObjects", Bucket="bucket", Delimiter="/", MaxKeys=2)
    assert (keys_of(output), prefixes_of(output), output["NextMarker"]) == (["a"], ["a/"], "a/")
    rest = tree.output("ListObjects", Bucket="bucket", Delimiter="/", Marker="a/")
    assert (keys_of(rest), prefixes_of(rest)) == (["b", "c-1", "z z+z", "ä"], ["b/", "c/", "日本/"])


@pytest.mark.parametrize("operation", ["ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"])
def test_encoding_type_url_encodes_every_name(world: World, operation: str) -> None:
    world.bucket()
    world.put("bucket", "p ä/a+b", "p ä/c d|e")
    for object_key in ("p ä/a+b", "p ä/c d|e"):
        world.upload("bucket", object_key)
    output = world.output(operation, Bucket="bucket", EncodingType="url", Prefix="p ä", Delimiter="|")
    assert output["EncodingType"] == "url"
    assert output["Prefix"] in ("p+%C3%A4", "p%20%C3%A4")
    assert output["Delimiter"] == "%7C"
    [entry] = output.get("Contents") or output.get("Versions") or output["Uploads"]
    assert entry["Key"] in ("p+%C3%A4/a%2Bb", "p%20%C3%A4/a%2Bb")
    assert prefixes_of(output)[0].endswith("d%7C")


def test_unknown_encoding_type_is_an_invalid_argument(tree: World) -> None:
    with refused("InvalidArgument", "Invalid Encoding Method specified in Request"):
        tree.call("ListObjectsV2", Bucket="bucket", EncodingType="rot13")


@pytest.mark.parametrize("operation", ["ListObjects", "ListObjectsV2", "ListObjectVersions", "ListMultipartUploads"])
def test_list_of_a_missing_or_foreign_bucket_is_refused(world: World, operation: str) -> None:
    world.bucket()
    with refused("NoSuchBucket"):
        world.call(operation, Bucket="missing")
    with refused("AccessDenied"):
        world.call(operation, as_=root_of(STRANGER), Bucket="bucket")


def test_deleted_keys_are_not_listed(world: World) -> None:
    world.bucket()
    world.put("bucket", "kept", "gone", version_id="one")
    world.put("bucket", "gone", version_id="two", marker=True)
    assert keys_of(world.output("ListObjectsV2", Bucket="bucket")) == ["kept"]


def test_record_moved_to_another_key_is_an_integrity_error(world: World) -> None:
    world.bucket()
    world.put("bucket", "one", "two")
    world.change(
        lambda rows: rows.run(
            "UPDATE versions SET public_record ="
            " (SELECT public_record FROM versions WHERE object_key = ?) WHERE object_key = ?",
            (b"one", b"two"),
        )
    )
    with pytest.raises(IntegrityError):
        world.call("ListObjectsV2", Bucket="bucket")


# --- the pages of a listing are the listing, whatever their size

_names = st.text(alphabet="ab/-é", min_size=1, max_size=6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    keys=st.lists(_names, unique=True, max_size=14),
    prefix=st.one_of(st.just(""), _names),
    delimiter=st.sampled_from(["", "/", "a", "/-", "é"]),
    size=st.integers(min_value=1, max_value=5),
)
def test_pages_put_together_are_the_listing_by_definition(
    keys: list[str], prefix: str, delimiter: str, size: int
) -> None:
    expected = entries(keys, prefix=prefix, delimiter=delimiter)
    with tempfile.TemporaryDirectory() as folder, open_world(Path(folder)) as world:
        world.bucket()
        world.put("bucket", *keys)
        for operation, follow in (
            ("ListObjectsV2", {"NextContinuationToken": "ContinuationToken"}),
            ("ListObjects", {"NextMarker": "Marker"} if delimiter else {}),
        ):
            if not follow:
                continue
            params = {"Prefix": prefix, "Delimiter": delimiter, "MaxKeys": size}
            shown: list[str] = []
            for page in pages(world, operation, follow, **params):
                entry_count = len(page["Contents"]) + len(page["CommonPrefixes"])
                assert entry_count == size or not page["IsTruncated"]
                shown += sorted(keys_of(page) + prefixes_of(page), key=str.encode)
            assert shown == expected


# --- versions


@pytest.fixture
def versioned(world: World) -> World:
    """a: v1, v2, marker v3 (current); b: v4; c/1: v5; c/2: v6, v7."""
    world.bucket()
    world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    for object_key, version_id, marker in (
        ("a", "v1", False),
        ("a", "v2", False),
        ("a", "v3", True),
        ("b", "v4", False),
        ("c/1", "v5", False),
        ("c/2", "v6", False),
        ("c/2", "v7", False),
    ):
        world.put("bucket", object_key, version_id=version_id, marker=marker)
    return world


def shown_versions(output: dict[str, Any]) -> list[str]:
    return [entry["VersionId"] for entry in output["Versions"]]


def test_versions_are_shown_newest_first_and_markers_apart(versioned: World) -> None:
    output = versioned.output("ListObjectVersions", Bucket="bucket")
    assert shown_versions(output) == ["v2", "v1", "v4", "v5", "v7", "v6"]
    [marker] = output["DeleteMarkers"]
    assert (marker["Key"], marker["VersionId"], marker["IsLatest"]) == ("a", "v3", True)
    assert set(marker) == {"Key", "VersionId", "IsLatest", "LastModified", "Owner"}
    latest = [entry["VersionId"] for entry in output["Versions"] if entry["IsLatest"]]
    assert latest == ["v4", "v5", "v7"]
    assert (output["KeyMarker"], output["VersionIdMarker"], output["IsTruncated"]) == ("", "", False)


def test_unversioned_object_is_the_null_version(world: World) -> None:
    world.bucket()
    world.put("bucket", "key")
    [entry] = world.output("ListObjectVersions", Bucket="bucket")["Versions"]
    assert (entry["VersionId"], entry["IsLatest"]) == ("null", True)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 100])
@pytest.mark.parametrize(
    ("delimiter", "expected"), [("", ["v3", "v2", "v1", "v4", "v5", "v7", "v6"]), ("/", ["v3", "v2", "v1", "v4", "c/"])]
)
def test_pages_of_versions_put_together_are_all(
    versioned: World, size: int, delimiter: str, expected: list[str]
) -> None:
    follow = {"NextKeyMarker": "KeyMarker", "NextVersionIdMarker": "VersionIdMarker"}
    shown: list[str] = []
    for page in pages(versioned, "ListObjectVersions", follow, MaxKeys=size, Delimiter=delimiter):
        markers = [entry["VersionId"] for entry in page["DeleteMarkers"]]
        shown += markers + shown_versions(page) + prefixes_of(page)
    assert shown == expected


def test_key_marker_alone_skips_all_versions_of_its_key(versioned: World) -> None:
    output = versioned.output("ListObjectVersions", Bucket="bucket", KeyMarker="a")
    assert shown_versions(output) == ["v4", "v5", "v7", "v6"]
    assert output["DeleteMarkers"] == []


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"VersionIdMarker": "v1"}, "A version-id marker cannot be specified without a key marker."),
        ({"KeyMarker": "a", "VersionIdMarker": ""}, "A version-id marker cannot be empty."),
    ],
)
def test_version_marker_needs_a_key_and_a_value(versioned: World, params: dict[str, str], message: str) -> None:
    with refused("InvalidArgument", message):
        versioned.call("ListObjectVersions", Bucket="bucket", **params)


# --- uploads and parts


@pytest.fixture
def uploading(world: World) -> dict[str, Any]:
    world.bucket()
    ids = {name: world.upload("bucket", object_key) for name, object_key in (
        ("a1", "a"), ("a2", "a"), ("b1", "b/1"), ("b2", "b/2"), ("c1", "c"),
    )}  # fmt: skip
    return {"world": world, "ids": ids}


def test_uploads_are_shown_by_key_then_oldest_first(uploading: dict[str, Any]) -> None:
    world, ids = uploading["world"], uploading["ids"]
    output = world.output("ListMultipartUploads", Bucket="bucket")
    assert [entry["UploadId"] for entry in output["Uploads"]] == [ids[name] for name in ("a1", "a2", "b1", "b2", "c1")]
    first = output["Uploads"][0]
    owner = {"ID": canonical_id(OWNER), "DisplayName": "account-0"}
    assert (first["Key"], first["Owner"], first["Initiator"], first["StorageClass"]) == ("a", owner, owner, "STANDARD")
    assert (output["Bucket"], output["MaxUploads"], output["IsTruncated"]) == ("bucket", 1000, False)
    assert (output["KeyMarker"], output["UploadIdMarker"]) == ("", "")


@pytest.mark.parametrize("size", [1, 2, 3, 9])
@pytest.mark.parametrize(
    ("delimiter", "expected"), [("", ["a1", "a2", "b1", "b2", "c1"]), ("/", ["a1", "a2", "c1", "b/"])]
)
def test_pages_of_uploads_put_together_are_all(
    uploading: dict[str, Any], size: int, delimiter: str, expected: list[str]
) -> None:
    world, ids = uploading["world"], uploading["ids"]
    names = {upload_id: name for name, upload_id in ids.items()}
    follow = {"NextKeyMarker": "KeyMarker", "NextUploadIdMarker": "UploadIdMarker"}
    shown, rolled = [], []
    for page in pages(world, "ListMultipartUploads", follow, MaxUploads=size, Delimiter=delimiter):
        shown += [names[entry["UploadId"]] for entry in page["Uploads"]]
        rolled += prefixes_of(page)
    assert shown + rolled == expected


def test_upload_marker_without_a_key_marker_is_ignored(uploading: dict[str, Any]) -> None:
    output = uploading["world"].output("ListMultipartUploads", Bucket="bucket", UploadIdMarker=uploading["ids"]["c1"])
    assert len(output["Uploads"]) == 5


def test_upload_shows_the_checksum_it_was_begun_with(world: World) -> None:
    world.bucket()
    world.upload("bucket", "key", checksum_algorithm="CRC64NVME", checksum_type="FULL_OBJECT")
    [entry] = world.output("ListMultipartUploads", Bucket="bucket")["Uploads"]
    assert (entry["ChecksumAlgorithm"], entry["ChecksumType"]) == ("CRC64NVME", "FULL_OBJECT")


def test_parts_are_shown_by_number_and_paged(world: World) -> None:
    world.bucket()
    upload_id = world.upload("bucket", "key")
    for number in (7, 1, 10_000, 3):
        world.part(upload_id, number, size=number)
    where = {"Bucket": "bucket", "Key": "key", "UploadId": upload_id}
    first = world.output("ListParts", **where, MaxParts=3)
    assert [(part["PartNumber"], part["Size"], part["ETag"]) for part in first["Parts"]] == [
        (1, 1, '"etag-1"'),
        (3, 3, '"etag-3"'),
        (7, 7, '"etag-7"'),
    ]
    assert (first["IsTruncated"], first["NextPartNumberMarker"], first["MaxParts"], first["PartNumberMarker"]) == (
        True,
        7,
        3,
        0,
    )
    second = world.output("ListParts", **where, PartNumberMarker=7)
    assert [part["PartNumber"] for part in second["Parts"]] == [10_000]
    assert (second["IsTruncated"], second["PartNumberMarker"]) == (False, 7)
    assert (second["Key"], second["UploadId"], second["StorageClass"]) == ("key", upload_id, "STANDARD")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"Key": "other"}, "NoSuchUpload"),
        ({"UploadId": "unknown"}, "NoSuchUpload"),
        ({"Bucket": "other"}, "NoSuchUpload"),
        ({"Bucket": "missing"}, "NoSuchBucket"),
        ({"MaxParts": -1}, "InvalidArgument"),
        ({"PartNumberMarker": -1}, "InvalidArgument"),
    ],
)
def test_parts_of_another_upload_are_refused(world: World, change: dict[str, Any], code: str) -> None:
    world.bucket()
    world.bucket("other")
    upload_id = world.upload("bucket", "key")
    with refused(code):
        world.call("ListParts", **({"Bucket": "bucket", "Key": "key", "UploadId": upload_id} | change))


def test_no_parts_and_pages_of_size_0_are_empty(world: World) -> None:
    world.bucket()
    upload_id = world.upload("bucket", "key")
    where = {"Bucket": "bucket", "Key": "key", "UploadId": upload_id}
    assert world.output("ListParts", **where)["Parts"] == []
    world.part(upload_id, 1)
    output = world.output("ListParts", **where, MaxParts=0)
    assert (output["Parts"], output["IsTruncated"]) == ([], False)


def test_checksums_of_parts_are_opened_with_the_data_key_of_the_upload(world: World) -> None:
    world.bucket()
    upload_id = world.upload("bucket", "key", checksum_algorithm="CRC32", checksum_type="COMPOSITE")
    upload = world.rows(lambda rows: catalog.find_upload(rows, upload_id))
    record = world.s3.records.open_upload(upload)
    bucket = world.rows(lambda rows: catalog.find_bucket(rows, "bucket"))
    place = sse.Place(bucket, "key", upload.object_id)
    keys = sse.open_keys(None, world.s3, None, place, record.envelope, customer=None)  # type: ignore[arg-type]
    world.part(upload_id, 1)
    [part] = world.rows(lambda rows: catalog.list_parts(rows, upload_id))
    sealed = world.s3.records.seal_private(
        keys.record_key, upload.bucket_id, upload.object_id, part.stream_id, {"CRC32": b"\x01\x02\x03\x04"}
    )
    row = catalog.PartRow(upload_id, 1, part.stream_id, part.last_modified, part.public_record, sealed)
    world.change(lambda rows: catalog.put_part(rows, row))
    output = world.output("ListParts", Bucket="bucket", Key="key", UploadId=upload_id)
    assert output["Parts"][0]["ChecksumCRC32"] == "AQIDBA=="
    assert (output["ChecksumAlgorithm"], output["ChecksumType"]) == ("CRC32", "COMPOSITE")


def test_parts_of_a_customers_upload_are_listed_without_the_key_but_without_checksums(world: World) -> None:
    world.bucket()
    customer = sse.CustomerKey(b"c" * 32, "md5")
    upload_id = world.upload("bucket", "key", wish=sse.Wish(sse.SSE_C, customer=customer), checksum_algorithm="CRC32")
    world.part(upload_id, 1, private=b"sealed under a key that is not here")
    [part] = world.output("ListParts", Bucket="bucket", Key="key", UploadId=upload_id)["Parts"]
    assert set(part) == {"PartNumber", "LastModified", "ETag", "Size"}


def test_what_was_listed_before_is_listed_as_it_is_now_on_every_worker(world: World) -> None:
    world.bucket()
    world.put("bucket", "a", "b c")
    other = World(replace(world.s3, records=Records(b"s" * 16, FixedKeys(), Counting())), world.runner)
    plan = app.compile_plan("s3").operations["ListObjectsV2"]

    def shown(worker: World, **params: Any) -> bytes:
        output = worker.output("ListObjectsV2", Bucket="bucket", **params)
        return plan.serialize(output, request_id="", host_id="").body

    first, encoded = shown(world), shown(world, EncodingType="url")
    assert shown(world) == shown(other) == first
    assert shown(world, EncodingType="url") == encoded
    assert b"<Key>b%20c</Key>" in encoded
    assert b"<Key>b c</Key>" in first
    assert b"<Owner>" in shown(world, FetchOwner=True)
    assert shown(world) == first
    other.put("bucket", "a", size_bytes=77)
    for worker in (world, other):
        assert b"<Size>77</Size>" in shown(worker)
    world.call("DeleteObject", Bucket="bucket", Key="a")
    for worker in (world, other):
        assert b"<Key>a</Key>" not in shown(worker)


def test_an_altered_record_is_noticed_though_it_was_listed_before(world: World) -> None:
    world.bucket()
    world.put("bucket", "a")
    world.call("ListObjectsV2", Bucket="bucket")
    altered = "CAST(substr(public_record, 1, 60) || zeroblob(99) AS BLOB)"
    world.change(lambda rows: rows.run(f"UPDATE versions SET public_record = {altered}"))
    with pytest.raises(IntegrityError):
        world.call("ListObjectsV2", Bucket="bucket")


def test_remembered_entries_have_a_bound() -> None:
    known = Records(b"s" * 16, FixedKeys(), Counting())
    for bucket_id in (b"b" * 16, b"c" * 16):
        rows = []
        for number in range(3000):
            place = (bucket_id, b"%d" % number, "null", b"o" * 16)
            sealed = known.seal_public(*place, PublicRecord(number, "etag", sse.Envelope("AES256", b"w", b"c")))
            rows.append(ListedRow(place[1], "null", 0, False, True, sealed, place[3]))
        listed = known.listed(bucket_id, rows, lambda _, record: record["size"] + 1)
        assert listed == list(range(1, 3001))
        assert 0 < len(known._listed) <= 4096


def test_listing_opens_a_record_only_in_the_place_it_was_sealed_for(world: World) -> None:
    world.bucket()
    world.put("bucket", "a", "b")
    bucket_id = world.bucket_id("bucket")
    a, b = world.rows(
        lambda rows: catalog.list_page(rows, bucket_id, prefix=b"", delimiter=b"", start_after=b"", max_keys=2).rows
    )
    opener = world.s3.records.listed_opener(bucket_id)
    assert opener(a)["etag"] == world.s3.records.open_public(bucket_id, b"a", a).etag
    for moved in (
        a._replace(object_key=b"b"),
        a._replace(version_id="other"),
        a._replace(object_id=b.object_id),
        a._replace(public_record=b.public_record),
        a._replace(public_record=a.public_record[:-1]),
        a._replace(public_record=b""),
    ):
        with pytest.raises(IntegrityError):
            opener(moved)
    with pytest.raises(IntegrityError):
        world.s3.records.listed_opener(b"x" * 16)(a)
