"""Where passphrases and PINs come from: the environment, a systemd credential, or the terminal, in this order.

What lives here: reading them in the process that opens the seal. What does not: what they open.

Laws: never from an argument; never shown; a file that others can read is refused; the terminal is asked only from its
foreground, so that a server in the background is not stopped by the question.

    secret                 environment               credential in $CREDENTIALS_DIRECTORY
    passphrase:            S3AL_PASSPHRASE           s3al.passphrase
    passphrase:NAME        S3AL_PASSPHRASE_NAME      s3al.passphrase.name
    PIN of a token         S3AL_PIN                  s3al.pin

Source: systemd.exec(5), LoadCredential=.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from s3al.errors import ConfigError

_MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class SecretSource:
    """environ: of this process."""

    environ: Mapping[str, str] = field(repr=False)

    def passphrase(self, name: str, *, is_new: bool = False) -> str:
        """is_new: a person at the terminal is asked twice. Raises ConfigError if there is none anywhere."""
        what = f"passphrase ({name})" if name else "passphrase"
        return self._read("passphrase" + (f".{name}" if name else ""), what, is_new=is_new)

    def pin(self, file: Path | None) -> str:
        """file: as `pin-source` named it."""
        return _from_file(file) if file else self._read("pin", "PIN of the token", is_new=False)

    def _read(self, secret: str, what: str, *, is_new: bool) -> str:
        variable = f"S3AL_{secret.upper().replace('.', '_')}"
        if self.environ.get(variable):
            return self.environ[variable]
        folder = self.environ.get("CREDENTIALS_DIRECTORY", "")
        credential = Path(folder) / f"s3al.{secret}"
        if folder and credential.exists():
            return _from_file(credential)
        if not _has_terminal():
            raise ConfigError(
                f"there is no {what}, and no terminal to ask for it",
                advice=f"set {variable}, or have systemd load the credential s3al.{secret}",
            )
        return _asked(what, is_new=is_new)


def secret_source() -> SecretSource:
    """Of this process."""
    return SecretSource(os.environ)


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if mode & 0o007:
        raise ConfigError(f"others can read {path}", advice=f"chmod 600 {path}")
    try:
        text = content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if not text or len(content) > _MOST_BYTES:
        raise ConfigError(f"{path} holds no line of text")
    return text


def _has_terminal() -> bool:
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _asked(what: str, *, is_new: bool) -> str:
    try:
        given = getpass.getpass(f"s3al: {'new ' if is_new else ''}{what}: ")
        if is_new and getpass.getpass(f"s3al: new {what}, once more: ") != given:
            raise ConfigError("these were not the same", advice="try again")
    except EOFError:
        given = ""
    if not given:
        raise ConfigError(f"no {what} was given")
    return given
