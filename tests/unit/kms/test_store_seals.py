"""Seals and root of a store in its folder: adding, removing, rotating, and being killed while at it."""

from __future__ import annotations

import os
import secrets
import signal
from pathlib import Path
from typing import Any

import pytest

from s3al.errors import ConfigError, IntegrityError, StoreError
from s3al.kms import root_rotation, store_seals
from s3al.kms.materials import Materials
from s3al.kms.root import open_store_keys
from s3al.kms.seals import passphrase, secret_source
from s3al.kms.seals.keyfile import KeyfileSeal
from s3al.kms.store_document import StoreDocument
from s3al.kms.store_keys import seal_of_store
from s3al.kms.store_seals import add_seal, document_lock, materials_by_root, remove_seal, rotate, shown
from s3al.store.layout import StoreFolder
from s3al.store.sqlite import SqliteDatabase
from support.key_store import NOW, KeyStoreFolder

WORDS = "correct horse battery staple"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyStoreFolder:
    monkeypatch.setattr(root_rotation.rewrap_some, "__defaults__", (3,))
    monkeypatch.setattr(passphrase, "Cost", lambda: CHEAP)
    store = KeyStoreFolder(tmp_path)
    store.add_key("00000000-0000-4000-8000-000000000001", materials=4)
    store.add_key("00000000-0000-4000-8000-000000000002", materials=3)
    return store


CHEAP = passphrase.Cost(iterations=1, lanes=1, memory_kib=8)


def add(store: KeyStoreFolder, option: str, **options: Any) -> str:
    given = {"name": None, "random": secrets.token_bytes} | options
    return add_seal(store.folder, store.choice, store.another(option), **given).name


def names(store: KeyStoreFolder) -> list[str]:
    return [seal["name"] for seal in shown(StoreDocument.from_json(store.folder.read_document()))["seals"]]


def do_rotate(store: KeyStoreFolder, *options: str | None) -> int:
    choices = [store.another(option) for option in options or [None]]
    return rotate(store.folder, choices, now_ms=NOW, random=secrets.token_bytes).document.current_root


def recovery(store: KeyStoreFolder) -> str:
    """A keyfile as second seal; returns its option."""
    option = f"keyfile:{store.place / 'safe' / 'recovery'}"
    assert add(store, option) == "recovery"
    return option


def test_either_of_two_seals_opens_the_store(store: KeyStoreFolder) -> None:
    option = recovery(store)
    assert store.opened() == store.opened(option) == store.expected
    assert names(store) == ["primary", "recovery"]


def test_a_passphrase_beside_a_keyfile(store: KeyStoreFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3AL_PASSPHRASE", WORDS)
    add(store, "passphrase:")
    assert store.opened("passphrase:") == store.expected
    assert WORDS not in store.folder.document.read_text()
    monkeypatch.setenv("S3AL_PASSPHRASE", "no such passphrase")
    with pytest.raises(ConfigError, match="not the passphrase of this store"):
        store.opened("passphrase:")
    assert store.opened() == store.expected


def test_a_wrong_passphrase_is_told_apart_from_a_damaged_store(
    store: KeyStoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3AL_PASSPHRASE", WORDS)
    add(store, "passphrase:")
    whole = store.folder.document.read_bytes()
    at = whole.index(b'"salt": "') + 12
    store.folder.document.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    for given in (WORDS, "no such passphrase"):
        monkeypatch.setenv("S3AL_PASSPHRASE", given)
        with pytest.raises(IntegrityError, match="damaged"):
            store.opened("passphrase:")


def test_two_passphrases_have_names(store: KeyStoreFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3AL_PASSPHRASE", WORDS)
    monkeypatch.setenv("S3AL_PASSPHRASE_SAFE", "quite another passphrase")
    add(store, "passphrase:")
    add(store, "passphrase:safe", name="safe")
    remove_seal(store.folder, store.another("passphrase:safe"), "primary", random=secrets.token_bytes)
    assert do_rotate(store, "passphrase:", "passphrase:safe") == 2
    assert store.opened("passphrase:") == store.opened("passphrase:safe") == store.expected


def test_a_store_may_be_made_with_a_passphrase_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "Cost", lambda: CHEAP)
    monkeypatch.setattr(secret_source, "_has_terminal", lambda: False)
    monkeypatch.setenv("S3AL_PASSPHRASE", WORDS)
    store = KeyStoreFolder(tmp_path, "passphrase:")
    store.add_key("k")
    assert store.opened() == store.expected
    with pytest.raises(ConfigError, match="no keyfile at"):
        store.keys("keyfile:/nowhere/at/all")
    with pytest.raises(ConfigError, match="no pkcs11 seal, but passphrase"):
        monkeypatch.setenv("S3AL_PIN", "1")
        list_error_of_another_kind(store)


def list_error_of_another_kind(store: KeyStoreFolder) -> None:
    store.keys("pkcs11:token=t;object=k?module-path=/nowhere.so")


def test_the_same_seal_is_not_added_twice(store: KeyStoreFolder) -> None:
    with pytest.raises(ConfigError, match="already"):
        add(store, f"keyfile:{store.choice.path(store.keys().store_id)}")


def test_names_are_taken_once_and_a_third_seal_needs_one(store: KeyStoreFolder) -> None:
    recovery(store)
    with pytest.raises(ConfigError, match="third seal"):
        add(store, f"keyfile:{store.place / 'third'}")
    with pytest.raises(ConfigError, match="has a seal recovery"):
        add(store, f"keyfile:{store.place / 'third'}", name="recovery")
    assert add(store, f"keyfile:{store.place / 'third'}", name="office") == "office"
    assert names(store) == ["primary", "recovery", "office"]


def test_a_seal_in_the_data_folder_is_refused(store: KeyStoreFolder) -> None:
    with pytest.raises(ConfigError, match="inside the data folder"):
        add(store, f"keyfile:{store.folder.path / 'key'}")


def test_the_last_seal_stays(store: KeyStoreFolder) -> None:
    with pytest.raises(ConfigError, match="last seal"):
        remove_seal(store.folder, store.choice, "primary", random=secrets.token_bytes)
    assert store.opened() == store.expected


def test_a_seal_is_removed_by_whoever_opens_the_store_with_another(store: KeyStoreFolder) -> None:
    option = recovery(store)
    with pytest.raises(ConfigError, match="by itself"):
        remove_seal(store.folder, store.choice, "primary", random=secrets.token_bytes)
    with pytest.raises(ConfigError, match="no seal office"):
        remove_seal(store.folder, store.choice, "office", random=secrets.token_bytes)
    remove_seal(store.folder, store.another(option), "primary", random=secrets.token_bytes)
    assert names(store) == ["recovery"]
    assert store.opened(option) == store.expected
    with pytest.raises(ConfigError, match="not one of this store's"):
        store.opened()


def test_a_removed_seal_does_not_open_the_root_that_comes_after(store: KeyStoreFolder) -> None:
    """Not even with the store.json of before, and the rows of now."""
    option, old = recovery(store), store.folder.read_document()
    old_seal = seal_of_store(store.folder, store.choice)
    remove_seal(store.folder, store.another(option), "primary", random=secrets.token_bytes)
    do_rotate(store, option)
    keys = open_store_keys(old, old_seal, random=secrets.token_bytes)
    with store.database(store.keys(option)) as database:
        materials = Materials(keys.root, random=secrets.token_bytes)
        for key_id, material_id in store.expected:
            with pytest.raises(IntegrityError):
                database.read_now(lambda rows, k=key_id, m=material_id: materials.open(rows, k, m))  # type: ignore[misc]


def test_rotation_needs_every_seal_and_changes_nothing_without(store: KeyStoreFolder) -> None:
    option = recovery(store)
    before = store.folder.document.read_bytes()
    with pytest.raises(ConfigError, match=r"recovery seal \(keyfile\) is needed too"):
        do_rotate(store)
    assert store.folder.document.read_bytes() == before
    assert do_rotate(store, None, option) == 2
    assert store.opened() == store.opened(option) == store.expected


def test_materials_are_counted_by_the_root_that_wraps_them(store: KeyStoreFolder) -> None:
    with store.database() as database:
        assert database.read_now(materials_by_root) == {"1": 8}
    do_rotate(store)
    with store.database() as database:
        assert database.read_now(materials_by_root) == {"2": 8}


def test_one_change_at_a_time(store: KeyStoreFolder) -> None:
    with document_lock(store.folder), pytest.raises(ConfigError, match="another command"):
        do_rotate(store)
    assert do_rotate(store) == 2


def test_an_added_seal_that_does_not_open_what_it_sealed_is_not_published(
    store: KeyStoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(KeyfileSeal):
        def unseal(self, sealed: bytes, *, place: bytes) -> bytes:
            raise StoreError("the token is gone")

    monkeypatch.setattr(store_seals, "new_seal", lambda *_, **__: Broken(Path("x"), secrets.token_bytes(32)))
    before = store.folder.document.read_bytes()
    with pytest.raises(StoreError):
        add(store, "keyfile:x")
    assert store.folder.document.read_bytes() == before


class Steps:
    """Kills this process at the step of a given number: before and after each publication and each transaction."""

    def __init__(self, kill_at: int) -> None:
        self.left = kill_at

    def step(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def around(self, method: Any) -> Any:
        def stepped(*arguments: Any) -> Any:
            self.step()
            result = method(*arguments)
            self.step()
            return result

        return stepped


def killed_at(store: KeyStoreFolder, number: int, *options: str | None) -> bool:
    """Rotate in a process that is killed at this step; False if it ended before."""
    pid = os.fork()
    if pid == 0:
        steps = Steps(number)
        StoreFolder.write_document = steps.around(StoreFolder.write_document)  # type: ignore[method-assign]
        SqliteDatabase.write_now = steps.around(SqliteDatabase.write_now)  # type: ignore[method-assign]
        code = 1
        try:
            do_rotate(store, *options)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_killed_between_any_two_steps_the_store_opens_with_either_seal_and_the_rotation_ends(
    store: KeyStoreFolder,
) -> None:
    option = recovery(store)
    number = 0
    while killed_at(store, number, None, option):
        assert store.opened() == store.opened(option) == store.expected
        do_rotate(store, None, option)
        document = StoreDocument.from_json(store.folder.read_document())
        assert len(document.versions) == 1
        with store.database() as database:
            assert list(database.read_now(materials_by_root)) == [str(document.current_root)]
        assert store.opened() == store.opened(option) == store.expected
        number += 1
    assert number >= 14, "two publications, the new root made current, three batches and one that finds none, a check"


def test_killed_again_and_again_a_rotation_still_ends(store: KeyStoreFolder) -> None:
    for number in (3, 5, 1, 6, 0, 4):
        killed_at(store, number)
        assert store.opened() == store.expected
    do_rotate(store)
    assert store.opened() == store.expected
    assert len(StoreDocument.from_json(store.folder.read_document()).versions) == 1


@pytest.mark.parametrize("failing", range(9))
def test_a_storage_error_at_any_step_of_a_rotation_leaves_every_key_usable(
    store: KeyStoreFolder, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    left = [failing]

    def fails(method: Any) -> Any:
        def stepped(*arguments: Any) -> Any:
            if left[0] == 0:
                raise StoreError("the disk is full")
            left[0] -= 1
            return method(*arguments)

        return stepped

    with monkeypatch.context() as patched:
        patched.setattr(StoreFolder, "write_document", fails(StoreFolder.write_document))
        patched.setattr(SqliteDatabase, "write_now", fails(SqliteDatabase.write_now))
        try:
            do_rotate(store)
        except StoreError:
            assert left[0] == 0
    assert store.opened() == store.expected
    do_rotate(store)
    assert store.opened() == store.expected
