"""Backups and their return: what they hold, what they refuse, and that deleted keys stay deleted."""

from __future__ import annotations

import json
import secrets
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from s3al.errors import ConfigError, IntegrityError
from s3al.kms import backups
from s3al.kms.backups import Restored, back_up, ledger_of, restore
from s3al.kms.destruction import Destruction
from s3al.kms.keys import tidy
from s3al.kms.ledger import return_of
from s3al.kms.own import explanation
from s3al.kms.store_seals import add_seal, rotate
from s3al.store import catalog
from s3al.store.layout import StoreFolder, lock_store
from support.key_store import NOW, KeyStoreFolder, blob_path

KEPT, DOOMED = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


@pytest.fixture
def store(tmp_path: Path) -> KeyStoreFolder:
    store = KeyStoreFolder(tmp_path)
    store.add_key(KEPT, materials=3)
    store.add_key(DOOMED)
    return store


def take(store: KeyStoreFolder, name: str = "backup", *, now_ms: int = NOW + 10, with_blobs: bool = False) -> Path:
    to = store.place / name
    back_up(store.folder, store.choice, to, with_blobs=with_blobs, now_ms=lambda: now_ms, random=secrets.token_bytes)
    return to


def bring_back(
    store: KeyStoreFolder, source: Path, name: str = "restored", **options: Any
) -> tuple[StoreFolder, Restored]:
    given: dict[str, Any] = {"without_ledger": False, "random": secrets.token_bytes} | options
    done = restore(source, store.place / name, store.choice, **given)
    return StoreFolder(store.place / name), done


def destroy(store: KeyStoreFolder, key_id: str, now_ms: int) -> None:
    with store.database() as database:
        database.write_now(
            lambda rows: rows.run("UPDATE kms_keys SET deletion_at = ? WHERE key_id = ?", (now_ms, key_id))
        )
        ledger = ledger_of(store.choice, store.keys().store_id)
        database.write_now(lambda rows: tidy(rows, now_ms, Destruction(ledger, database.truncate_wal)))


def test_every_key_comes_back(store: KeyStoreFolder) -> None:
    folder, done = bring_back(store, take(store))
    assert store.opened(folder=folder) == store.expected
    assert done.left_out == ()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.path.iterdir() if file.is_file()} == {0o600}


def test_nothing_in_a_backup_is_in_the_clear(store: KeyStoreFolder) -> None:
    content = b"".join(file.read_bytes() for file in take(store).rglob("*") if file.is_file())
    for needle in (KEPT.encode(), b"SYMMETRIC_DEFAULT", *store.expected.values(), store.keys().catalog_key):
        assert needle not in content


def test_a_backup_opens_with_any_seal_it_was_taken_under(store: KeyStoreFolder) -> None:
    option = f"keyfile:{store.place / 'safe'}"
    add_seal(store.folder, store.choice, store.another(option), name=None, random=secrets.token_bytes)
    source = take(store)
    done = restore(source, store.place / "r", store.another(option), without_ledger=False, random=secrets.token_bytes)
    assert done.left_out == ()
    assert store.opened(option, StoreFolder(store.place / "r")) == store.expected


def test_a_backup_taken_before_a_rotation_of_the_root_opens_after_it(store: KeyStoreFolder) -> None:
    source = take(store)
    rotate(store.folder, [store.choice], now_ms=NOW, random=secrets.token_bytes)
    folder, _ = bring_back(store, source)
    assert store.opened(folder=folder) == store.opened() == store.expected


def test_keys_that_were_destroyed_since_are_left_out(store: KeyStoreFolder) -> None:
    source = take(store)
    destroy(store, DOOMED, NOW + 1000)
    folder, done = bring_back(store, source)
    assert done.left_out == (DOOMED,)
    assert set(store.opened(folder=folder)) == {name for name in store.expected if name[0] == KEPT}
    restored = b"".join(file.read_bytes() for file in folder.path.glob("catalog.db*"))
    assert DOOMED.encode() not in restored


def test_without_the_ledger_or_with_an_old_one_nothing_is_restored(store: KeyStoreFolder) -> None:
    first = take(store, "first")
    ledger = ledger_of(store.choice, store.keys().store_id)
    old = ledger.path.read_bytes()
    second = take(store, "second", now_ms=NOW + 500)
    destroy(store, DOOMED, NOW + 1000)
    ledger.path.write_bytes(old)
    with pytest.raises(ConfigError, match="older than this backup"):
        bring_back(store, second)
    ledger.path.unlink()
    with pytest.raises(ConfigError, match="is gone") as caught:
        bring_back(store, first)
    assert "--without-ledger" in caught.value.advice
    assert not (store.place / "restored").exists()
    folder, done = bring_back(store, first, without_ledger=True)
    assert done.left_out == ()
    assert store.opened(folder=folder) == store.expected, "this is what remains: see the threat model"


def test_the_explanation_names_the_oldest_backup_from_which_a_key_could_return(store: KeyStoreFolder) -> None:
    take(store, "early", now_ms=NOW - 5)
    oldest, _ = take(store, "oldest", now_ms=NOW + 5), take(store, "newer", now_ms=NOW + 50)
    destroy(store, DOOMED, NOW + 1000)
    ledger = ledger_of(store.choice, store.keys().store_id)
    (tombstone,) = ledger.tombstones()
    text = explanation(tombstone, return_of(tombstone, ledger.backups()))
    assert str(oldest) in text
    assert "newer" not in text
    assert "2023-11-14" in text
    assert "No backup" in explanation(tombstone, None)


ALTERED = {
    "the manifest": ("backup.json", b'"blobs": 0', b'"blobs": 1'),
    "the catalog": ("catalog.db", None, None),
    "the document": ("store.json", b'"current_root": 1', b'"current_root": 2'),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_backup_is_not_restored(store: KeyStoreFolder, what: str) -> None:
    source = take(store)
    name, old, new = ALTERED[what]
    content = (source / name).read_bytes()
    changed = content.replace(old, new) if old and new else content[:-1] + bytes([content[-1] ^ 1])
    assert changed != content
    (source / name).write_bytes(changed)
    with pytest.raises(IntegrityError):
        bring_back(store, source)
    assert not (store.place / "restored").exists()


def test_files_of_two_backups_do_not_make_one(store: KeyStoreFolder) -> None:
    first, second = take(store, "first"), take(store, "second", now_ms=NOW + 99)
    shutil.copy(first / "catalog.db", second / "catalog.db")
    store.add_key("00000000-0000-4000-8000-000000000003")
    third = take(store, "third", now_ms=NOW + 999)
    shutil.copy(third / "catalog.db", first / "catalog.db")
    with pytest.raises(IntegrityError, match=r"catalog\.db of the backup"):
        bring_back(store, first)


def test_a_backup_of_another_store_or_without_its_seal_is_not_opened(store: KeyStoreFolder, tmp_path: Path) -> None:
    other = KeyStoreFolder(tmp_path / "other")
    with pytest.raises(ConfigError, match="no keyfile"):
        restore(take(store), tmp_path / "r", other.choice, without_ledger=True, random=secrets.token_bytes)


def test_a_backup_that_was_not_finished_says_so(store: KeyStoreFolder) -> None:
    source = take(store)
    (source / "backup.json").unlink()
    with pytest.raises(ConfigError, match="no whole backup"):
        bring_back(store, source)


def test_nothing_is_overwritten(store: KeyStoreFolder) -> None:
    source = take(store)
    with pytest.raises(ConfigError, match="not empty"):
        take(store)
    with pytest.raises(ConfigError, match="inside the data folder"):
        take(store, "data/backup")
    before = store.folder.document.read_bytes()
    with pytest.raises(ConfigError, match="there already"):
        bring_back(store, source, "data")
    assert store.folder.document.read_bytes() == before
    store.folder.document.unlink()
    with pytest.raises(ConfigError, match="there already"):
        bring_back(store, source, "data")


def test_blobs_come_along_if_asked_for(store: KeyStoreFolder) -> None:
    names = {store.add_blob(bytes([number]) * 1000): bytes([number]) * 1000 for number in range(5)}
    source = take(store, with_blobs=True)
    shutil.rmtree(store.folder.path)
    folder, done = bring_back(store, source)
    assert (done.blobs, done.missing_blobs) == (5, 0)
    assert {name: blob_path(folder, name).read_bytes() for name in names} == names


def test_without_blobs_those_that_are_left_in_the_data_folder_are_taken(store: KeyStoreFolder) -> None:
    name, lost = store.add_blob(b"here"), store.add_blob(b"lost")
    source = take(store)
    for file in store.folder.path.iterdir():
        if file.is_file():
            file.unlink()
    blob_path(store.folder, lost).unlink()
    folder, done = bring_back(store, source, "data")
    assert (done.blobs, done.missing_blobs) == (1, 1)
    assert blob_path(folder, name).read_bytes() == b"here"
    assert store.opened() == store.expected


def test_a_blob_that_is_deleted_during_the_copy_is_still_copied(
    store: KeyStoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copier counts as a reader: what is buried after its snapshot is not exhumed."""
    name = store.add_blob(b"here")
    real, exhumed = backups.copy_with_blobs, []
    from s3al.store import copying

    copy_blobs = copying.copy_blobs

    def meanwhile(source: Path, target: Path, names: list[str]) -> Any:
        with store.database() as database:
            row = database.read_now(lambda rows: rows.one("SELECT object_id FROM streams"))
            assert row is not None
            database.write_now(lambda rows: catalog.bury_object(rows, row[0], NOW + 20))
            exhumed.extend(database.write_now(lambda rows: catalog.exhume(rows, NOW + 10**9, 10)))
        return copy_blobs(source, target, names)

    monkeypatch.setattr(copying, "copy_blobs", meanwhile)
    source = take(store, with_blobs=True)
    assert backups.copy_with_blobs is real
    assert exhumed == []
    assert blob_path(StoreFolder(source), name).read_bytes() == b"here"
    with store.database() as database:
        assert database.write_now(lambda rows: catalog.exhume(rows, NOW + 10**9, 10)) == [name]


def test_it_is_as_of_one_moment_while_keys_are_made_and_the_root_waits(store: KeyStoreFolder) -> None:
    """Pairs of keys, each made in one transaction: a backup holds both or none."""
    stop, pairs = threading.Event(), [0]

    def work() -> None:
        with store.database() as database:
            while not stop.is_set():
                number = pairs[0] + 1
                database.write_now(
                    lambda rows, n=number: [  # type: ignore[misc]
                        rows.run("INSERT INTO meta (name, value) VALUES (?, ?)", (f"{side} {n}", "x"))
                        for side in ("left", "right")
                    ]
                )
                pairs[0] = number

    thread = threading.Thread(target=work)
    thread.start()
    try:
        sources = [take(store, f"backup-{number}", now_ms=NOW + number) for number in range(4)]
    finally:
        stop.set()
        thread.join()
    counts = []
    for number, source in enumerate(sources):
        folder, _ = bring_back(store, source, f"restored-{number}")
        database = store.keys()
        from s3al.store.sqlite import SqliteDatabase

        opened = SqliteDatabase(folder.catalog, database.catalog_key, folder.locks)
        sides = [
            opened.read_now(lambda rows, s=side: rows.one("SELECT count(*) FROM meta WHERE name LIKE ?", (f"{s} %",)))  # type: ignore[misc]
            for side in ("left", "right")
        ]
        opened.close()
        assert sides[0] == sides[1]
        counts.append(sides[0])
    assert counts[-1] > counts[0], "writers went on"


@pytest.mark.parametrize("failing", ["copy_file", "copy_blobs", "_leave_out", "sync_file"])
def test_a_restore_that_was_killed_is_no_store_and_is_done_again(
    store: KeyStoreFolder, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> Any:
        raise Killed

    store.add_blob(b"here")
    source = take(store, with_blobs=True)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(backups, failing, killed)
        bring_back(store, source)
    assert not (store.place / "restored" / "store.json").exists()
    folder, done = bring_back(store, source)
    assert store.opened(folder=folder) == store.expected
    assert done.missing_blobs == 0


def test_a_folder_in_use_is_not_restored_into(store: KeyStoreFolder) -> None:
    source = take(store)
    for file in store.folder.path.iterdir():
        if file.is_file():
            file.unlink()
    lock = lock_store(store.folder)
    with pytest.raises(ConfigError, match="in use"):
        bring_back(store, source, "data")
    lock.release()


def test_a_manifest_of_another_format_is_refused(store: KeyStoreFolder) -> None:
    source = take(store)
    document = json.loads((source / "backup.json").read_text())
    (source / "backup.json").write_text(json.dumps(document | {"format": 2}))
    with pytest.raises(ConfigError, match="another format"):
        bring_back(store, source)
