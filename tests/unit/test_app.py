"""Starting: the first time, again, with other credentials, after a crash at any step, and beside another server."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from s3al import app
from s3al.config import RootCredentials
from s3al.errors import ConfigError, IntegrityError
from s3al.server.logs import Log
from s3al.service import clock
from s3al.store import accounts
from s3al.store.layout import StoreFolder, StoreLock, lock_store
from s3al.store.sqlite import SqliteDatabase
from support.house import House, RootHere, open_house, stopped_store


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Not opened yet; its credentials are drawn."""
    return House(tmp_path, root_credentials=None)


@contextmanager
def prepared(house: House) -> Iterator[app.Prepared]:
    ready = app.prepare(house.config, RootHere())
    try:
        yield ready
    finally:
        ready.store_lock.release()


@pytest.fixture
def processes_end(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """What the kernel does to the lock of a start that failed, when its process ends."""
    taken: list[StoreLock] = []

    def take(folder: StoreFolder) -> StoreLock:
        taken.append(lock_store(folder))
        return taken[-1]

    def release() -> None:
        while taken:
            taken.pop().release()

    monkeypatch.setattr(app, "lock_store", take)
    return release


def with_credentials(house: House, access_key_id: str, secret: str) -> None:
    house.config = replace(house.config, root_credentials=RootCredentials(access_key_id, secret))


def who(house: House, access_key_id: str, secret: str) -> str:
    sts = house.client("sts", aws_access_key_id=access_key_id, aws_secret_access_key=secret)
    account: str = sts.get_caller_identity()["Account"]
    return account


def credentials_file(house: House) -> Path:
    (found,) = house.config.config_home.glob("*.credentials")
    return found


def read_credentials(path: Path) -> tuple[str, str]:
    found = re.findall(r"^export AWS_[A-Z_]+=(.+)$", path.read_text(), re.MULTILINE)
    return found[0], found[1]


def test_the_first_start_draws_a_key_and_shows_it_to_its_owner_alone(house: House) -> None:
    with prepared(house) as ready:
        lines = "\n".join(ready.banner_lines)
    path = credentials_file(house)
    access_key_id, secret = read_credentials(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f". {path}" in lines and secret not in lines
    assert not path.is_relative_to(house.config.data)
    house.open()
    assert re.fullmatch("[0-9]{12}", who(house, access_key_id, secret))
    house.close()


def test_a_terminal_is_shown_the_key_once_and_no_file_is_written(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with prepared(house) as ready:
        first = ready.banner_lines
    assert [line for line in first if line.startswith("export AWS_SECRET_ACCESS_KEY=")]
    assert list(house.config.config_home.glob("*.credentials")) == []
    with prepared(house) as ready:
        assert not [line for line in ready.banner_lines if "SECRET" in line]


def test_a_second_start_keeps_everything(house: House) -> None:
    with prepared(house) as ready:
        store_id = ready.store_id
    key = read_credentials(credentials_file(house))
    with prepared(house) as ready:
        assert ready.store_id == store_id
    assert read_credentials(credentials_file(house)) == key
    with house.open().stopped():
        pass
    assert who(house, *key)
    house.close()


def test_other_credentials_of_the_environment_replace_the_key_and_it_is_said(house: House) -> None:
    with prepared(house):
        drawn = read_credentials(credentials_file(house))
    with_credentials(house, "ENVKEY0000000001", "a secret of the environment")
    with prepared(house) as ready:
        lines = "\n".join(ready.banner_lines)
    assert "now ENVKEY0000000001" in lines and "a secret" not in lines
    assert list(house.config.config_home.glob("*.credentials")) == [] and ".credentials" not in lines
    house.open()
    account = who(house, "ENVKEY0000000001", "a secret of the environment")
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        who(house, *drawn)
    house.close()
    for secret in ("a secret of the environment", "another secret"):  # the same again, then only the secret differs
        with_credentials(house, "ENVKEY0000000001", secret)
        house.open()
        assert who(house, "ENVKEY0000000001", secret) == account
        house.close()
    with prepared(house) as ready:
        assert "now ENVKEY" not in "\n".join(ready.banner_lines)


def test_a_key_of_another_account_is_not_taken_for_the_operators(house: House) -> None:
    with_credentials(house, "ENVKEY0000000001", "a secret of the environment")
    house.open()
    asked = house.client("sts", aws_access_key_id="ENVKEY0000000001",
                         aws_secret_access_key="a secret of the environment")  # fmt: skip
    operator = asked.get_caller_identity()["Account"]
    house.close()
    with stopped_store(house.config) as store:
        store.change("INSERT INTO accounts SELECT '000000000001', 'c', 'other', 1, 0, settings FROM accounts")
        store.change("UPDATE access_keys SET account_id = '000000000001'")
    with pytest.raises(ConfigError, match="another account"), prepared(house):
        pass
    assert operator


def test_a_second_server_is_refused_and_the_first_unharmed(tmp_path: Path) -> None:
    with open_house(tmp_path) as house:
        with pytest.raises(ConfigError, match="in use"):
            app.prepare(house.config, RootHere())
        house.client().create_bucket(Bucket="unharmed")


STEPS = {
    "after the folder": ("s3al.kms.store_keys", "new_seal"),
    "after the keyfile": ("s3al.kms.store_keys", "create_store_keys"),
    "after the document": ("s3al.store.schema", "prepare"),
    "after the catalog": ("s3al.app", "ensure_service_key"),
    "after the service key": ("s3al.iam.accounts", "create_account"),
    "within the operator's account": ("s3al.iam.accounts", "replace_root_key"),
    "before the credentials are written": ("s3al.app", "store_credentials"),
    "after the operator's account": ("s3al.app", "banner"),
}


class Crash(BaseException):
    pass


@pytest.mark.parametrize("step", STEPS)
def test_a_start_that_crashed_is_finished_by_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch, processes_end: Callable[[], None], step: str
) -> None:
    module, name = STEPS[step]

    class Failing:
        def __call__(self, *_: Any, **__: Any) -> Any:
            raise Crash

        def __getattr__(self, name: str) -> Any:
            raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(sys.modules[module], name, Failing())
        with pytest.raises(Crash):
            app.prepare(house.config, RootHere())
    processes_end()
    house.open()
    assert who(house, *read_credentials(credentials_file(house)))
    house.close()


def test_without_its_keyfile_a_store_does_not_open_and_is_not_made_anew(
    house: House, processes_end: Callable[[], None]
) -> None:
    with prepared(house):
        pass
    (keyfile,) = house.config.config_home.glob("*.rootkey")
    kept = keyfile.read_bytes()
    keyfile.unlink()
    with pytest.raises(ConfigError):
        app.prepare(house.config, RootHere())
    processes_end()
    assert not list(house.config.config_home.glob("*.rootkey"))
    keyfile.write_bytes(os.urandom(len(kept)))
    keyfile.chmod(0o600)
    with pytest.raises((ConfigError, IntegrityError)):
        app.prepare(house.config, RootHere())
    keyfile.write_bytes(kept)
    processes_end()
    with prepared(house):
        pass


def test_a_keyfile_that_others_can_read_is_refused(house: House) -> None:
    with prepared(house):
        pass
    (keyfile,) = house.config.config_home.glob("*.rootkey")
    keyfile.chmod(0o644)
    with pytest.raises(ConfigError):
        app.prepare(house.config, RootHere())


def test_a_machine_whose_clock_fell_back_is_told_of(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with prepared(house):
        pass
    log = tmp_path / "start.jsonl"
    fd = os.open(log, os.O_WRONLY | os.O_CREAT)
    real = clock.wall_ms()
    monkeypatch.setattr(clock.Clock.__init__, "__defaults__", (lambda: real - 3_600_000,))
    monkeypatch.setattr(app, "Log", lambda **_: Log(fd=fd))
    with prepared(house):
        pass
    os.close(fd)
    assert '"clock_behind"' in log.read_text()


def test_nothing_secret_is_in_what_is_handed_to_workers_or_said_of_it(house: House) -> None:
    with prepared(house) as ready:
        text = repr(ready)
        assert ready.catalog_key.hex() not in text and repr(ready.catalog_key)[2:-1] not in text
        database: SqliteDatabase = app.open_database(ready.folder, ready.catalog_key)
        operator = database.read_now(accounts.find_operator)
        database.close()
    assert operator is not None and operator.is_operator


def test_the_plans_hold_what_is_served() -> None:
    for service in ("s3", "kms", "sts"):
        assert app.compile_plan(service).missing == ()


def test_the_printed_lines_name_the_endpoint_that_is_served(house: House) -> None:
    house.config = replace(house.config, host="127.0.0.1", port=9123)
    with prepared(house) as ready:
        lines = ready.banner_lines
    assert any("AWS_ENDPOINT_URL=http://127.0.0.1:9123" in line for line in lines)
    assert any("boto3" in line for line in lines)
