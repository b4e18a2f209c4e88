from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from contract.seal_suite import SealSuite
from s3al.errors import ConfigError
from s3al.kms.seals.keyfile import KeyfileSeal, check_outside, protection
from s3al.kms.seals.opening import SealChoice, SealPlace
from s3al.kms.seals.port import Seal

KEY = bytes(range(100, 132))


class TestKeyfileSeal(SealSuite):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_seal(self) -> Seal:
        return KeyfileSeal.create(self.folder / secrets.token_hex(4), secrets.token_bytes)

    def secrets_of(self, seal: Seal) -> list[bytes]:
        assert isinstance(seal, KeyfileSeal)
        return [bytes.fromhex(seal.path.read_text().strip())]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "s3al" / "store.rootkey"


def write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def check_value(seal: Seal) -> bytes:
    return seal.check_value(bytes(16), random=secrets.token_bytes)


def test_a_created_keyfile_is_private_and_opens_what_it_sealed(path: Path) -> None:
    created = KeyfileSeal.create(path, secrets.token_bytes)
    sealed = created.seal(KEY, place=b"p", random=secrets.token_bytes)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert KeyfileSeal.open(path).unseal(sealed, place=b"p") == KEY


def test_a_created_keyfile_leaves_no_draft_beside_it(path: Path) -> None:
    KeyfileSeal.create(path, secrets.token_bytes)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_keyfile_is_never_overwritten(path: Path) -> None:
    write(path, KEY)
    with pytest.raises(ConfigError, match="already"):
        KeyfileSeal.create(path, secrets.token_bytes)
    assert path.read_bytes() == KEY
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "content", [KEY, KEY.hex().encode(), KEY.hex().encode() + b"\n", KEY.hex().upper().encode() + b"\r\n"]
)
def test_raw_and_hex_keyfiles_hold_the_same_key(path: Path, content: bytes) -> None:
    reference = KeyfileSeal(path, KEY)
    assert KeyfileSeal.open(write(path, content)).recognises(check_value(reference), bytes(16))


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", KEY[:31], KEY + b"\n", KEY.hex().encode()[:-1], KEY.hex().encode() + b"0", b"zz" * 32, b" " * 64],
    ids=["empty", "newline", "31 bytes", "33 bytes", "63 digits", "65 digits", "not hex", "spaces"],
)
def test_a_file_that_is_no_key_is_refused(path: Path, content: bytes) -> None:
    with pytest.raises(ConfigError, match="holds no key"):
        KeyfileSeal.open(write(path, content))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601, 0o660, 0o777])
def test_a_keyfile_that_others_can_touch_is_refused(path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="others can read"):
        KeyfileSeal.open(write(path, KEY, mode))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_keyfile_of_another_user_is_refused(path: Path) -> None:
    os.chown(write(path, KEY), 12345, 12345)
    with pytest.raises(ConfigError, match="another user"):
        KeyfileSeal.open(path)


def test_a_missing_keyfile_says_where_it_was_looked_for(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no keyfile at .*store\.rootkey") as caught:
        KeyfileSeal.open(path)
    assert "--root-key" in caught.value.advice


def test_a_folder_is_no_keyfile(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a file"):
        KeyfileSeal.open(tmp_path)


def test_a_mounted_link_is_followed_and_its_target_judged(path: Path, tmp_path: Path) -> None:
    target = write(tmp_path / "secret", KEY)
    path.parent.mkdir(parents=True)
    path.symlink_to(target)
    assert KeyfileSeal.open(path).recognises(check_value(KeyfileSeal(path, KEY)), bytes(16))
    target.chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        KeyfileSeal.open(path)


def test_a_keyfile_inside_the_data_folder_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(ConfigError, match="inside the data folder"):
        check_outside(data / "sub" / "key", data)
    (tmp_path / "link").symlink_to(data)
    with pytest.raises(ConfigError, match="inside the data folder"):
        check_outside(tmp_path / "link" / "key", data)
    check_outside(tmp_path / "data2" / "key", data)


def test_the_operator_is_warned_when_key_and_data_share_a_filesystem(path: Path, tmp_path: Path) -> None:
    write(path, KEY)
    shared = protection(path, tmp_path)
    assert len(shared) == 2
    assert shared[1].startswith("warning: ")
    assert len(protection(path, Path("/proc"))) == 1


def test_where_a_seal_lies_is_told_without_opening_it(path: Path, tmp_path: Path) -> None:
    write(path, KEY)
    choice = SealChoice(f"keyfile:{path}", tmp_path)
    assert choice.place(bytes(16), tmp_path) == SealPlace("keyfile", beside_data=True)
    assert choice.place(bytes(16), Path("/proc")) == SealPlace("keyfile", beside_data=False)
    path.unlink()
    assert choice.place(bytes(16), tmp_path) == SealPlace("keyfile", beside_data=None)
    assert SealChoice("passphrase:", tmp_path).place(bytes(16), tmp_path) == SealPlace("passphrase", beside_data=None)
