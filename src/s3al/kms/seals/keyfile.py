"""The keyfile seal: a file with a random 256-bit key, readable by its owner alone.

What lives here: the file, and what it may look like. What does not: sealing (port), where the default file lies
(addresses).

Laws: a keyfile that others can read, or that lies in the data folder, is refused; a keyfile is never overwritten.
Not detected: who copied the keyfile before.

Source: spec/key-hierarchy.md, Seals.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from s3al.errors import ConfigError
from s3al.kms.seals.port import SEAL_KEY_BYTES, KeyedSeal, Parameters, Random

_HEX_DIGITS = 2 * SEAL_KEY_BYTES


@dataclass(frozen=True, slots=True)
class KeyfileSeal(KeyedSeal):

    path: Path
    _key: bytes = field(repr=False)

    @property
    def kind(self) -> str:
        return "keyfile"

    @property
    def parameters(self) -> Parameters:
        return {}

    @classmethod
    def open(cls, path: Path) -> KeyfileSeal:
        """Raises ConfigError: missing, readable by others, owned by somebody else, or not a key."""
        return cls(path, _read_keyfile(path))

    @classmethod
    def create(cls, path: Path, random: Random) -> KeyfileSeal:
        """Write a new key; never replaces a file. It is durable when this returns."""
        key = random(SEAL_KEY_BYTES)
        _write_keyfile(path, key)
        return cls(path, key)

    def describe(self) -> str:
        return f"keyfile {self.path}"


def check_outside(path: Path, data_folder: Path) -> None:
    """Raises ConfigError if the keyfile lies in the folder that it protects."""
    if path.resolve().is_relative_to(data_folder.resolve()):
        raise ConfigError(
            f"the keyfile {path} lies inside the data folder",
            advice="move it elsewhere, best to another filesystem, and name it with --root-key keyfile:PATH",
        )


def protection(path: Path, data_folder: Path) -> list[str]:
    """What this seal protects, in lines for the operator at each start."""
    lines = [f"the data folder alone, without {path}, shows neither bytes nor names"]
    if beside(path, data_folder):
        lines.append(
            "warning: key and data share one filesystem: whoever takes this disk, or its backup, opens the store"
        )
    return lines


def beside(path: Path, data_folder: Path) -> bool | None:
    """Whether keyfile and data share one filesystem; None if one of them cannot be looked at."""
    try:
        return path.stat().st_dev == data_folder.stat().st_dev
    except OSError:
        return None


def _read_keyfile(path: Path) -> bytes:
    # No O_NOFOLLOW: secrets are mounted as links by Kubernetes and systemd. What counts is the file that was opened.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not block the start
    except FileNotFoundError as error:
        raise ConfigError(
            f"no keyfile at {path}", advice="name the store's keyfile with --root-key keyfile:PATH"
        ) from error
    except OSError as error:
        raise ConfigError(f"the keyfile {path} cannot be opened: {error.strerror}") from error
    try:
        _check_private(path, os.fstat(descriptor))
        return _parse_key(path, os.read(descriptor, _HEX_DIGITS + 3))
    finally:
        os.close(descriptor)


def _check_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"the keyfile {path} is not a file")
    if status.st_mode & 0o077:
        raise ConfigError(f"others can read the keyfile {path}", advice=f"chmod 600 {path}")
    if status.st_uid not in (os.geteuid(), 0):
        raise ConfigError(f"the keyfile {path} belongs to another user", advice=f"chown it to user id {os.geteuid()}")


def _parse_key(path: Path, content: bytes) -> bytes:
    """32 raw bytes, or 64 hex digits with or without a newline."""
    if len(content) == SEAL_KEY_BYTES:
        return content
    digits = content.rstrip(b"\r\n")
    with suppress(ValueError):
        key = bytes.fromhex(digits.decode("ascii"))
        if len(digits) == _HEX_DIGITS and len(key) == SEAL_KEY_BYTES:
            return key
    raise ConfigError(f"the keyfile {path} holds no key", advice="it must be 64 hex digits or 32 raw bytes")


def _write_keyfile(path: Path, key: bytes) -> None:
    """A whole file or none: written beside, synced, then linked to its name, which fails if the name is taken."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(key.hex().encode("ascii") + b"\n")
                file.flush()
                os.fsync(descriptor)
            os.link(draft, path)
        finally:
            draft.unlink()
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise ConfigError(f"a keyfile is already at {path}", advice="it is never overwritten; move it first") from error
    except OSError as error:
        raise ConfigError(f"the keyfile {path} cannot be written: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
