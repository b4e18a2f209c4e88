"""Opening a store's keys from its folder: where the seal is looked for, and in what order things are written."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from s3al.errors import ConfigError, IntegrityError, StoreError
from s3al.kms.seals.opening import SealChoice
from s3al.kms.store_keys import open_keys, open_or_create_keys
from s3al.store.layout import StoreFolder, create_folder

NOW = 1_700_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> StoreFolder:
    return create_folder(tmp_path / "data")


@pytest.fixture
def choice(tmp_path: Path) -> SealChoice:
    return SealChoice(None, tmp_path / "config")


def opened(folder: StoreFolder, choice: SealChoice) -> tuple[bytes, bytes]:
    keys = open_or_create_keys(folder, choice, now_ms=NOW, random=secrets.token_bytes)
    return keys.store_id, keys.catalog_key


def test_a_store_is_made_once_and_opened_after_that(folder: StoreFolder, choice: SealChoice) -> None:
    made = opened(folder, choice)
    assert opened(folder, choice) == made
    assert choice.path(made[0]).name == f"{made[0].hex()}.rootkey"
    assert open_keys(folder, choice, random=secrets.token_bytes).catalog_key == made[1]


def test_a_keyfile_that_is_there_already_is_taken_and_kept(folder: StoreFolder, tmp_path: Path) -> None:
    path = tmp_path / "keyfile"
    path.write_text("ab" * 32)
    path.chmod(0o600)
    opened(folder, SealChoice(f"keyfile:{path}", tmp_path))
    assert path.read_text() == "ab" * 32


def test_a_store_whose_document_could_not_be_written_is_made_anew(
    folder: StoreFolder, choice: SealChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_folder: StoreFolder, _document: object) -> None:
        raise StoreError("no space left on device")

    with monkeypatch.context() as context, pytest.raises(StoreError):
        context.setattr(StoreFolder, "write_document", full)
        opened(folder, choice)
    assert len(list((choice.config_home / "s3al").iterdir())) == 1, "the keyfile comes first"
    assert not folder.has_document()
    opened(folder, choice)


@pytest.mark.parametrize("exists", [False, True])
def test_a_keyfile_in_the_data_folder_is_refused(folder: StoreFolder, choice: SealChoice, exists: bool) -> None:
    if exists:
        opened(folder, choice)
    with pytest.raises(ConfigError, match="inside the data folder"):
        opened(folder, SealChoice(f"keyfile:{folder.path}/keyfile", choice.config_home))
    assert not (folder.path / "keyfile").exists()


@pytest.mark.parametrize("store_id", ["no hex", "", None, 7, "00"])
def test_a_document_with_a_damaged_store_id_is_damage(
    folder: StoreFolder, choice: SealChoice, store_id: object
) -> None:
    opened(folder, choice)
    document = folder.read_document() | {"store_id": store_id}
    folder.document.write_text(json.dumps(document))
    with pytest.raises(IntegrityError):
        opened(folder, choice)


def test_a_folder_without_a_store_is_not_opened(folder: StoreFolder, choice: SealChoice) -> None:
    with pytest.raises(ConfigError, match="holds no store"):
        open_keys(folder, choice, random=secrets.token_bytes)
