"""The keys of users as S3 uses them: as the requester, at once, and counted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from s3al.auth.principal import ANONYMOUS, Principal
from s3al.errors import AccessError, IntegrityError, RequestError
from s3al.kms.data_keys import DataKeys
from s3al.kms.envelope import DataKey
from s3al.store.buckets import BucketRow
from unit.kms.world import (
    ALICE,
    BUCKET,
    DAY,
    MALLORY,
    NOW,
    OTHER_ROOT,
    OURS,
    REGION,
    ROOT,
    THEIRS,
    World,
    policy,
    refusal,
    statement,
)

OBJECT = {"aws:s3:arn": "arn:aws:s3:::photos/cat"}
OF_BUCKET = {"aws:s3:arn": "arn:aws:s3:::photos"}
USE = ["kms:GenerateDataKey", "kms:Decrypt"]


class S3:
    """One worker of S3: its own caches over the world's rows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.keys = DataKeys(world.worker())

    def generate(self, kms_key: str | None, *, by: Principal = ROOT, bucket: BucketRow = BUCKET) -> DataKey:
        call = self.world.s3(by)
        return self.world.database.read_now(
            lambda rows: self.keys.generate(rows, call, bucket=bucket, kms_key=kms_key, context=OBJECT)
        )

    def open(self, made: DataKey, *, by: Principal = ROOT, bucket: BucketRow = BUCKET, **changes: Any) -> bytes:
        given = {"key_arn": made.key_arn, "blob": made.blob, "context": OBJECT} | changes
        call = self.world.s3(by)
        return self.world.database.read_now(lambda rows: self.keys.open(rows, call, bucket=bucket, **given))

    def bucket_key(
        self, kms_key: str | None, *, by: Principal = ROOT, bucket: BucketRow = BUCKET, context: Any = None
    ) -> DataKey:
        call, pairs = self.world.s3(by), context or OF_BUCKET
        return self.world.database.read_now(
            lambda rows: self.keys.bucket_key(rows, call, bucket=bucket, kms_key=kms_key, context=pairs)
        )

    def open_bucket_key(
        self, made: DataKey, *, by: Principal = ROOT, bucket: BucketRow = BUCKET, **changes: Any
    ) -> bytes:
        given = {"key_arn": made.key_arn, "blob": made.blob, "context": OF_BUCKET} | changes
        call = self.world.s3(by)
        return self.world.database.read_now(lambda rows: self.keys.open_bucket_key(rows, call, bucket=bucket, **given))

    def needs_managed_key(self, kms_key: str | None, *, by: Principal = ROOT) -> bool:
        call = self.world.s3(by)
        return self.world.database.read_now(
            lambda rows: self.keys.needs_managed_key(rows, call, bucket=BUCKET, kms_key=kms_key)
        )

    def create_managed_key(self, *, by: Principal = ROOT) -> None:
        call = self.world.s3(by)
        self.world.database.write_now(lambda rows: self.keys.create_managed_key(rows, call, bucket=BUCKET))


@pytest.fixture
def s3(world: World) -> S3:
    return S3(world)


def refuses(act: Any, *arguments: Any, **keywords: Any) -> str:
    with pytest.raises(RequestError) as raised:
        act(*arguments, **keywords)
    return refusal(raised)[0]


def test_a_data_key_is_made_and_opened_as_the_requester(world: World, s3: S3) -> None:
    key_id = world.create_key()
    made = s3.generate(key_id)
    row = world.row(key_id)
    assert (made.key_arn, made.key_id, made.material_id) == (row.arn, key_id, row.current_material)
    assert len(made.plaintext) == 32
    assert S3(world).open(made) == made.plaintext
    assert world.counted == {"GenerateDataKey": 1, "Decrypt": 1}
    assert made.plaintext.hex() not in repr(made)
    assert repr(made.plaintext) not in repr(made)


def test_every_form_of_identifier_names_the_key(world: World, s3: S3) -> None:
    key_id = world.create_key()
    world.do("CreateAlias", AliasName="alias/a", TargetKeyId=key_id)
    arn = world.row(key_id).arn
    for form in (key_id, arn, "alias/a", arn.replace(f"key/{key_id}", "alias/a")):
        assert s3.generate(form).key_arn == arn


BAD_NAMES = [
    ("00000000-0000-4000-8000-000000000000", "KMS.NotFoundException"),
    ("nonsense", "KMS.NotFoundException"),
    ("alias/nobody", "KMS.NotFoundException"),
    (f"arn:aws:kms:eu-west-1:{OURS}:key/00000000-0000-4000-8000-000000000000", "KMS.NotFoundException"),
    ("arn:aws:s3:::x", "KMS.NotFoundException"),
    (f"arn:aws:kms:{REGION}:{THEIRS}:key/00000000-0000-4000-8000-000000000000", "AccessDenied"),
]


@pytest.mark.parametrize(("name", "code"), BAD_NAMES)
def test_what_names_no_key_is_refused_as_s3_says_it(s3: S3, name: str, code: str) -> None:
    assert refuses(s3.generate, name) == code


def test_ids_and_aliases_mean_the_requesters_account_and_arns_what_they_say(world: World, s3: S3) -> None:
    admits = statement(principal={"AWS": THEIRS}, action=USE)
    ours = world.create_key(Policy=policy(admits))
    world.do("CreateAlias", AliasName="alias/a", TargetKeyId=ours)
    assert refuses(s3.generate, ours, by=OTHER_ROOT) == "KMS.NotFoundException"
    assert refuses(s3.generate, "alias/a", by=OTHER_ROOT) == "KMS.NotFoundException"
    assert s3.generate(world.row(ours).arn, by=OTHER_ROOT).key_id == ours
    assert refuses(s3.generate, world.row(ours).arn, by=MALLORY) == "AccessDenied"


def test_a_key_of_another_region_than_the_buckets_is_not_there(world: World, s3: S3) -> None:
    key_id = world.create_key(region="eu-west-1")
    assert refuses(s3.generate, key_id) == "KMS.NotFoundException"
    assert refuses(s3.generate, world.row(key_id, "eu-west-1").arn) == "KMS.NotFoundException"
    assert s3.generate(key_id, bucket=replace(BUCKET, region="eu-west-1"))


def test_the_requester_needs_the_right_and_not_the_server(world: World, s3: S3) -> None:
    key_id = world.create_key(Policy=policy(statement(principal={"AWS": ALICE.arn}, action="kms:GenerateDataKey")))
    made = s3.generate(key_id, by=ALICE)
    assert refuses(s3.open, made, by=ALICE) == "AccessDenied"
    assert s3.open(made, by=ROOT) == made.plaintext
    assert refuses(s3.generate, key_id, by=ANONYMOUS) == "AccessDenied"
    assert refuses(s3.open, made, by=ANONYMOUS) == "AccessDenied"


CONDITIONS: list[tuple[str, dict[str, Any], bool]] = [
    ("through S3 of this region", {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}}, True),
    ("through S3 of another region", {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}, False),
    ("directly", {"Null": {"kms:ViaService": "true"}}, False),
    ("for this object", {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": OBJECT["aws:s3:arn"]}}, True),
    ("for another object", {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::photos/dog"}}, False),
    ("for objects below a prefix", {"StringLike": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::photos/*"}}, True),
    ("from the account", {"StringEquals": {"kms:CallerAccount": OURS}}, True),
    ("from the address", {"IpAddress": {"aws:SourceIp": "192.0.2.7/32"}}, True),
    ("by a service", {"Bool": {"aws:ViaAWSService": "true"}}, True),
]


@pytest.mark.parametrize(("name", "condition", "allowed"), CONDITIONS)
def test_the_key_policy_sees_the_service_the_context_and_the_caller(
    world: World, s3: S3, name: str, condition: dict[str, Any], allowed: bool
) -> None:
    key_id = world.create_key(Policy=policy(statement(principal={"AWS": ALICE.arn}, action=USE, **condition)))
    if allowed:
        made = s3.generate(key_id, by=ALICE)
        assert s3.open(made, by=ALICE) == made.plaintext
    else:
        assert refuses(s3.generate, key_id, by=ALICE) == "AccessDenied"


STATES = [
    ("DisableKey", {}, "KMS.DisabledException"),
    ("ScheduleKeyDeletion", {"PendingWindowInDays": 7}, "KMS.KMSInvalidStateException"),
]


@pytest.mark.parametrize(("operation", "params", "code"), STATES)
def test_a_key_that_may_not_be_used_is_closed_at_once_on_every_worker(
    world: World, operation: str, params: dict[str, Any], code: str
) -> None:
    key_id = world.create_key()
    workers = [S3(world), S3(world)]
    made = workers[0].generate(key_id)
    wrapping = workers[0].bucket_key(key_id)
    for worker in workers:
        assert worker.open(made)
        assert worker.open_bucket_key(wrapping)
    world.do(operation, KeyId=key_id, **params)
    for worker in workers:
        assert refuses(worker.generate, key_id) == code
        assert refuses(worker.open, made) == code
        assert refuses(worker.bucket_key, key_id) == code
        assert refuses(worker.open_bucket_key, wrapping) == code
    if operation == "ScheduleKeyDeletion":
        world.now = NOW + 7 * DAY
        assert refuses(workers[1].open, made) == "KMS.NotFoundException"
        assert refuses(workers[1].open_bucket_key, wrapping) == "KMS.NotFoundException"


TAMPER = {
    "another context": {"context": {"aws:s3:arn": "arn:aws:s3:::photos/dog"}},
    "no context": {"context": {}},
    "an empty blob": {"blob": b""},
    "foreign bytes": {"blob": b"x" * 150},
}


@pytest.mark.parametrize("name", TAMPER)
def test_stored_ciphertext_that_does_not_open_is_an_integrity_error(world: World, s3: S3, name: str) -> None:
    made = s3.generate(world.create_key())
    with pytest.raises(IntegrityError):
        s3.open(made, **TAMPER[name])


def test_a_blob_beside_another_keys_arn_is_an_integrity_error(world: World, s3: S3) -> None:
    one, other = s3.generate(world.create_key()), s3.generate(world.create_key())
    with pytest.raises(IntegrityError):
        s3.open(one, key_arn=other.key_arn)
    with pytest.raises(IntegrityError):
        s3.open(one, blob=one.blob[:-1])
    with pytest.raises(IntegrityError):
        s3.open(one, blob=one.blob[:-1] + bytes((one.blob[-1] ^ 1,)))


def test_data_keys_of_twenty_materials_all_open(world: World, s3: S3) -> None:
    key_id = world.create_key()
    made = []
    for _ in range(20):
        made.append((s3.generate(key_id), s3.bucket_key(key_id)))
        world.do("RotateKeyOnDemand", KeyId=key_id)
    fresh = S3(world)
    for data_key, bucket_key in made:
        assert fresh.open(data_key) == data_key.plaintext
        assert fresh.open_bucket_key(bucket_key) == bucket_key.plaintext
    assert len({data_key.material_id for data_key, _ in made}) == 20
    assert len({bucket_key.plaintext for _, bucket_key in made}) == 20


# --- Bucket Keys


def test_a_bucket_key_saves_the_calls_of_a_thousand_requests(world: World, s3: S3) -> None:
    key_id = world.create_key()
    made = {s3.bucket_key(key_id).plaintext for _ in range(1000)}
    assert len(made) == 1
    assert world.counted == {"GenerateDataKey": 1}
    bucket_key = s3.bucket_key(key_id)
    reader = S3(world)
    assert {reader.open_bucket_key(bucket_key) for _ in range(1000)} == made
    assert world.counted == {"GenerateDataKey": 1, "Decrypt": 1}


def test_a_cached_bucket_key_does_not_outlive_a_right(world: World) -> None:
    key_id = world.create_key(Policy=policy(statement(principal={"AWS": ALICE.arn}, action=USE)))
    one, two = S3(world), S3(world)
    bucket_key = one.bucket_key(key_id, by=ALICE)
    assert two.open_bucket_key(bucket_key, by=ALICE)
    assert refuses(two.open_bucket_key, bucket_key, by=MALLORY) == "AccessDenied"
    world.do("PutKeyPolicy", KeyId=key_id, Policy=policy(statement("Deny", {"AWS": ALICE.arn})))
    for worker in (one, two):
        assert refuses(worker.bucket_key, key_id, by=ALICE) == "AccessDenied"
        assert refuses(worker.open_bucket_key, bucket_key, by=ALICE) == "AccessDenied"
        assert worker.open_bucket_key(bucket_key, by=ROOT) == bucket_key.plaintext


def test_bucket_keys_differ_by_bucket_id_key_material_and_context(world: World, s3: S3) -> None:
    key_id = world.create_key()
    namesake = replace(BUCKET, bucket_id=bytes(16))
    made = [
        s3.bucket_key(key_id),
        s3.bucket_key(key_id, bucket=namesake),
        s3.bucket_key(world.create_key()),
        s3.bucket_key(key_id, context={**OF_BUCKET, "team": "a"}),
    ]
    world.do("RotateKeyOnDemand", KeyId=key_id)
    made.append(s3.bucket_key(key_id))
    assert len({one.plaintext for one in made}) == 5
    assert made[-1].material_id != made[0].material_id


def test_a_cached_bucket_key_opens_only_with_its_context_and_its_key(world: World, s3: S3) -> None:
    bucket_key, other = s3.bucket_key(world.create_key()), s3.bucket_key(world.create_key())
    assert s3.open_bucket_key(bucket_key)
    for changes in ({"context": OBJECT}, {"context": {}}, {"key_arn": other.key_arn}, {"blob": bucket_key.blob + b"x"}):
        with pytest.raises(IntegrityError):
            s3.open_bucket_key(bucket_key, **changes)


def test_a_bucket_key_shows_the_bucket_in_the_context(world: World, s3: S3) -> None:
    for_bucket = {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": OF_BUCKET["aws:s3:arn"]}}
    key_id = world.create_key(Policy=policy(statement(principal={"AWS": ALICE.arn}, action=USE, **for_bucket)))
    assert s3.bucket_key(key_id, by=ALICE)
    assert refuses(s3.generate, key_id, by=ALICE) == "AccessDenied"


def test_asking_whether_a_key_may_be_used_uses_nothing(world: World, s3: S3) -> None:
    key_id = world.create_key()

    def ask(by: Principal) -> str:
        call = world.s3(by)
        return world.database.read_now(
            lambda rows: s3.keys.authorize_use(rows, call, bucket=BUCKET, kms_key=key_id, context=OBJECT)
        )

    assert ask(ROOT) == world.row(key_id).arn
    assert refuses(ask, ALICE) == "AccessDenied"
    assert world.counted == {}


# --- aws/s3


def test_the_managed_key_is_made_on_first_use_and_opens_through_s3_alone(world: World, s3: S3) -> None:
    assert s3.needs_managed_key(None)
    assert s3.needs_managed_key("alias/aws/s3")
    assert not s3.needs_managed_key("alias/mine")
    assert refuses(s3.generate, None) == "KMS.NotFoundException"
    s3.create_managed_key()
    assert not s3.needs_managed_key(None)
    made = s3.generate(None)
    s3.create_managed_key()
    assert s3.generate("alias/aws/s3").key_arn == made.key_arn
    assert s3.open(made, by=ALICE) == made.plaintext
    with pytest.raises(AccessError):
        world.do("Decrypt", CiphertextBlob=made.blob, EncryptionContext=OBJECT)


def test_the_managed_key_belongs_to_one_account_and_admits_only_it(world: World, s3: S3) -> None:
    s3.create_managed_key()
    made = s3.generate(None)
    assert s3.needs_managed_key(None, by=OTHER_ROOT)
    assert refuses(s3.open, made, by=OTHER_ROOT) == "AccessDenied"
    assert refuses(s3.generate, made.key_arn, by=OTHER_ROOT) == "AccessDenied"
    s3.create_managed_key(by=OTHER_ROOT)
    assert s3.generate(None, by=OTHER_ROOT).key_arn != made.key_arn
    assert refuses(s3.create_managed_key, by=ANONYMOUS) == "AccessDenied"
    assert not s3.needs_managed_key(None, by=ANONYMOUS)


def test_the_service_key_cannot_be_asked_for(world: World, s3: S3) -> None:
    from s3al.store import keystore

    service = world.database.read_now(keystore.find_service_key)
    assert service is not None
    for name in (service.key_id, f"arn:aws:kms:{REGION}:{OURS}:key/{service.key_id}"):
        assert refuses(s3.generate, name) == "KMS.NotFoundException"
