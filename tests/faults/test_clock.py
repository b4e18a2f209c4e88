"""The machine's clock set forward and back under a server and between two starts.

What lives here: what clients see. What does not: the clock itself (unit/service/test_clock), key states
(unit/kms/test_states). Signatures are checked against the real clock throughout.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

from s3al import app
from s3al.kms.rotation import rotate_all_due
from s3al.service.clock import Clock, wall_ms
from support.house import House, open_house
from support.processes import eventually

DAY_MS = 24 * 3600 * 1000
BUCKET = "clocked"


class Wall:
    """The wall clock, off by `ahead_ms`."""

    ahead_ms = 0

    def __call__(self) -> int:
        return wall_ms() + self.ahead_ms


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr(app, "Clock", lambda: Clock(wall))
    return wall


@pytest.fixture
def house(wall: Wall, tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path) as house:
        house.client().create_bucket(Bucket=BUCKET)
        yield house
        assert house.events("unforeseen") == []


@contextmanager
def refused(*codes: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] in codes


def doomed_key(house: House) -> tuple[str, bytes]:
    """A key that will be deleted in seven days, and a ciphertext of it; an object lies under it too."""
    kms = house.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    house.client().put_object(
        Bucket=BUCKET, Key="doomed", Body=b"secret", ServerSideEncryption="aws:kms", SSEKMSKeyId=key
    )
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    return key, blob


def _is_gone(house: House, key: str, blob: bytes) -> None:
    kms: Any = house.client("kms")
    with refused("NotFoundException", "KMSInvalidStateException", "AccessDeniedException"):
        kms.decrypt(CiphertextBlob=blob)
    with refused("NotFoundException"):
        kms.cancel_key_deletion(KeyId=key)
    with refused("KMS.NotFoundException", "KMS.KMSInvalidStateException", "AccessDenied"):
        house.client().get_object(Bucket=BUCKET, Key="doomed")
    assert house.client().head_object(Bucket=BUCKET, Key="doomed")["ContentLength"] == len(b"secret")


def test_a_key_past_its_deletion_date_stays_refused_when_the_clock_is_set_back(house: House, wall: Wall) -> None:
    key, blob = doomed_key(house)
    house.client("kms").cancel_key_deletion(KeyId=key)
    house.client("kms").enable_key(KeyId=key)
    assert house.client("kms").decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"
    house.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    wall.ahead_ms = 8 * DAY_MS
    _is_gone(house, key, blob)  # though no job has run since
    wall.ahead_ms = -DAY_MS
    _is_gone(house, key, blob)


def test_a_key_past_its_deletion_date_stays_refused_when_the_clock_is_set_back_before_a_start(
    house: House, wall: Wall
) -> None:
    key, blob = doomed_key(house)
    wall.ahead_ms = 8 * DAY_MS
    eventually("the jump is kept", lambda: _kept_ms(house) >= wall() - DAY_MS)
    house.close()
    wall.ahead_ms = 0
    house.open()
    _is_gone(house, key, blob)


def test_a_clock_set_back_neither_reorders_versions_nor_stops_anything(house: House, wall: Wall) -> None:
    s3 = house.client()
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    written = []
    for ahead_days in (0, -400, 3, -3):
        wall.ahead_ms = ahead_days * DAY_MS
        written.append(s3.put_object(Bucket=BUCKET, Key="key", Body=b"%d" % ahead_days)["VersionId"])
    listed = s3.list_object_versions(Bucket=BUCKET, Prefix="key")["Versions"]
    assert [entry["VersionId"] for entry in listed] == written[::-1]
    assert [entry["IsLatest"] for entry in listed] == [True, False, False, False]
    times = [entry["LastModified"] for entry in listed]
    assert times == sorted(times, reverse=True)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=b"part")
    s3.complete_multipart_upload(
        Bucket=BUCKET, Key="parts", UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )  # fmt: skip
    assert s3.get_object(Bucket=BUCKET, Key="parts")["Body"].read() == b"part"
    assert s3.get_object(Bucket=BUCKET, Key="key")["Body"].read() == b"-3"


def test_replaced_blobs_go_whatever_the_clock_does(house: House, wall: Wall) -> None:
    s3 = house.client()
    for number, ahead_days in enumerate((2, -2, 0)):
        wall.ahead_ms = ahead_days * DAY_MS
        s3.put_object(Bucket=BUCKET, Key="replaced", Body=b"%d" % number * 100_000)
    wall.ahead_ms = 3 * DAY_MS
    blobs = house.config.data / "blobs"
    eventually("one blob is left", lambda: len(list(blobs.glob("*/??/*"))) == 1)
    assert s3.get_object(Bucket=BUCKET, Key="replaced")["Body"].read() == b"2" * 100_000


def _kept_ms(house: House) -> int:
    """The high water as a new start would find it."""
    clock = Clock(lambda: 0)
    house.workers[0].s3.db.read_now(clock.load)  # type: ignore[attr-defined]
    return clock()


def test_expired_material_and_sessions_stay_refused_when_the_clock_is_set_back(house: House, wall: Wall) -> None:
    kms, iam = house.client("kms"), house.client("iam")
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["Arn"]
    _import_until(kms, key, wall_ms() // 1000 + 3600)
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    session = _session(house, iam)
    session.list_keys()
    wall.ahead_ms = 2 * 3600 * 1000
    for _ in range(2):
        with refused("KMSInvalidStateException"):
            kms.decrypt(CiphertextBlob=blob)
        with refused("ExpiredTokenException"):
            session.list_keys()
        wall.ahead_ms = -DAY_MS
    _import_until(kms, key, None)  # the same material again: the key works on
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"


def _import_until(kms: Any, key: str, valid_to_s: int | None) -> None:
    given = kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    terms: dict[str, Any] = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
    if valid_to_s is not None:
        terms = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": valid_to_s}
    wrapped = load_der_public_key(given["PublicKey"]).encrypt(b"m" * 32, oaep)  # type: ignore[union-attr, call-arg]
    kms.import_key_material(KeyId=key, ImportToken=given["ImportToken"], EncryptedKeyMaterial=wrapped, **terms)


def _session(house: House, iam: Any) -> Any:
    """KMS as a user of this account sees it with a session token of a quarter of an hour."""
    iam.create_user(UserName="ann")
    iam.attach_user_policy(UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    held = house.client("sts", **keys).get_session_token(DurationSeconds=900)["Credentials"]
    keys = {"aws_access_key_id": held["AccessKeyId"], "aws_secret_access_key": held["SecretAccessKey"]}
    return house.client("kms", **keys, aws_session_token=held["SessionToken"])


def test_a_key_rotates_once_for_its_period_however_the_clock_moves(house: House, wall: Wall) -> None:
    kms, gateway = house.client("kms"), house.workers[0].gateway
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    for ahead_days, rotations in ((89, 0), (91, 1), (-91, 1), (0, 1), (92, 1), (200, 2), (-200, 2)):
        wall.ahead_ms = ahead_days * DAY_MS
        gateway.db.write_now(  # type: ignore[attr-defined]
            lambda rows: rotate_all_due(rows, gateway.services["kms"].ports, gateway.now_ms())
        )
        assert len(_rotations(kms, key)) == rotations, ahead_days
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"


def _rotations(kms: Any, key: str) -> list[Any]:
    found: list[Any] = kms.list_key_rotations(KeyId=key)["Rotations"]
    return found
