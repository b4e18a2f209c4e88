"""The KMS on the real store: the document in its folder, the encrypted database, two workers on it."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from s3al.auth.decision import Weighed
from s3al.errors import RequestError
from s3al.kms import access
from s3al.kms.data_keys import DataKeys
from s3al.kms.root import create_store_keys, open_store_keys
from s3al.kms.root_rotation import RootRotation, rotate_root
from s3al.kms.seals.keyfile import KeyfileSeal
from s3al.service.identities import Identity
from s3al.store import schema
from s3al.store.database import Rows
from s3al.store.layout import create_folder
from s3al.store.sqlite import SqliteDatabase
from unit.kms.world import ALICE, BUCKET, MALLORY, NOW, OURS, World, policy, refusal, statement

STORE_ID = bytes(range(16))


class Store:
    def __init__(self, folder: Path) -> None:
        self.seal = KeyfileSeal.create(folder / "elsewhere" / "key", secrets.token_bytes)
        self.folder = create_folder(folder / "data")
        keys = create_store_keys(STORE_ID, [self.seal], now_ms=NOW, random=secrets.token_bytes)
        self.folder.write_document(keys.document.to_json())
        schema.prepare(self.folder, keys.catalog_key)
        self.opened: list[SqliteDatabase] = []

    def start(self) -> World:
        """A process that opens the store from its folder and its keyfile alone."""
        seal = KeyfileSeal.open(self.seal.path)
        keys = open_store_keys(
            self.folder.read_document(), seal, random=secrets.token_bytes, read_document=self.folder.read_document
        )
        database = SqliteDatabase(self.folder.catalog, keys.catalog_key, self.folder.locks)
        self.opened.append(database)
        return World(database, keys)

    def close(self) -> None:
        for database in self.opened:
            database.close()


@pytest.fixture
def store(tmp_path: Path):  # type: ignore[no-untyped-def]
    store = Store(tmp_path)
    yield store
    store.close()


CONTEXT = {"aws:s3:arn": "arn:aws:s3:::photos"}


def test_what_one_process_encrypted_the_next_opens(store: Store) -> None:
    first = store.start()
    key_id = first.create_key(Description="the description")
    blob = first.do("Encrypt", KeyId=key_id, Plaintext=b"plaintext", EncryptionContext=CONTEXT)["CiphertextBlob"]
    second = store.start()
    assert second.do("Decrypt", CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] == b"plaintext"
    store.close()
    names = json.dumps(store.folder.read_document()) + (store.folder.catalog).read_bytes().decode("latin-1")
    for seen in ("the description", key_id, "SYMMETRIC_DEFAULT"):
        assert seen not in names


def test_what_one_worker_revokes_the_other_refuses_on_its_next_request(store: Store) -> None:
    one, two = store.start(), store.start()
    admits = statement(principal={"AWS": ALICE.arn}, action=["kms:GenerateDataKey", "kms:Decrypt"])
    key_id = one.create_key(Policy=policy(admits))
    keys = DataKeys(two.kms)

    def bucket_key() -> bytes:
        call = two.s3(ALICE)
        return two.database.read_now(
            lambda rows: keys.bucket_key(rows, call, bucket=BUCKET, kms_key=key_id, context=CONTEXT)
        ).plaintext

    assert bucket_key() == bucket_key()
    one.do("DisableKey", KeyId=key_id)
    with pytest.raises(RequestError) as raised:
        bucket_key()
    assert refusal(raised)[0] == "KMS.DisabledException"
    one.do("EnableKey", KeyId=key_id)
    assert bucket_key()
    one.do("PutKeyPolicy", KeyId=key_id, Policy=policy())
    with pytest.raises(RequestError) as raised:
        bucket_key()
    assert refusal(raised)[0] == "AccessDenied"


def test_the_root_is_rotated_under_a_running_worker(store: Store) -> None:
    running = store.start()
    key_id = running.create_key()
    blob = running.do("Encrypt", KeyId=key_id, Plaintext=b"before")["CiphertextBlob"]
    rotator = store.start()
    rotation = RootRotation(rotator.database, [store.seal], store.folder.write_document, secrets.token_bytes)
    rotated = rotate_root(rotation, rotator.keys, now_ms=NOW)
    assert rotated.document.versions == (2,)
    running.do("RotateKeyOnDemand", KeyId=key_id)
    after = running.do("Encrypt", KeyId=key_id, Plaintext=b"after")["CiphertextBlob"]
    fresh = store.start()
    assert fresh.keys.document.versions == (2,)
    for world in (running, fresh):
        opened = [world.do("Decrypt", CiphertextBlob=one)["Plaintext"] for one in (blob, after)]
        assert opened == [b"before", b"after"]
    assert fresh.row(key_id).account_id == OURS


def test_a_decision_that_looked_at_no_condition_is_kept_until_the_counter_moves(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = store.start(), store.start()
    key_id = one.create_key(Policy=policy(statement(principal={"AWS": ALICE.arn}, action="kms:GenerateDataKey")))
    weighed: list[str] = []

    def watched(rows: Rows, question: access.Question, identity: Identity) -> Weighed:
        weighed.append(question.action)
        return weigh(rows, question, identity)

    weigh = access.weigh
    monkeypatch.setattr(access, "weigh", watched)
    for _ in range(3):
        two.do("GenerateDataKey", by=ALICE, KeyId=key_id, KeySpec="AES_256")
    assert weighed == ["kms:GenerateDataKey"]
    for principal, operation in ((MALLORY, "GenerateDataKey"), (ALICE, "GenerateDataKeyWithoutPlaintext")):
        with pytest.raises(RequestError):
            two.do(operation, by=principal, KeyId=f"arn:aws:kms:us-east-1:{OURS}:key/{key_id}", KeySpec="AES_256")
    one.do("PutKeyPolicy", KeyId=key_id, Policy=policy())
    with pytest.raises(RequestError) as raised:
        two.do("GenerateDataKey", by=ALICE, KeyId=key_id, KeySpec="AES_256")
    assert refusal(raised)[0] == "AccessDeniedException"


def test_a_decision_that_looked_at_a_condition_is_made_for_each_request(store: Store) -> None:
    world = store.start()
    of_others = {"StringNotEquals": {"kms:EncryptionContext:of": "alice"}}
    key_id = world.create_key(
        Policy=policy(
            statement("Deny", {"AWS": ALICE.arn}, "kms:Encrypt", **of_others),
            statement(principal={"AWS": ALICE.arn}, action="kms:Encrypt"),
        )
    )
    for _ in range(2):
        assert world.do("Encrypt", by=ALICE, KeyId=key_id, Plaintext=b"p", EncryptionContext={"of": "alice"})
        with pytest.raises(RequestError) as raised:
            world.do("Encrypt", by=ALICE, KeyId=key_id, Plaintext=b"p", EncryptionContext={"of": "bob"})
        assert refusal(raised)[0] == "AccessDeniedException"


def test_what_a_grant_allows_is_asked_for_each_request(store: Store) -> None:
    world = store.start()
    key_id = world.create_key(Policy=policy())
    constraints = {"EncryptionContextSubset": {"of": "alice"}}
    world.do(
        "CreateGrant", KeyId=key_id, GranteePrincipal=ALICE.arn, Operations=["Encrypt"], Constraints=constraints
    )  # fmt: skip
    assert world.do("Encrypt", by=ALICE, KeyId=key_id, Plaintext=b"p", EncryptionContext={"of": "alice"})
    with pytest.raises(RequestError):
        world.do("Encrypt", by=ALICE, KeyId=key_id, Plaintext=b"p", EncryptionContext={"of": "bob"})
