"""What every `RootPort` must do, run on the root in this process and on the one behind a socket."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from s3al.errors import IntegrityError
from s3al.kms.materials import material_place
from s3al.kms.root import Root, RootPort, Wrapped
from s3al.kms.root_socket import RemoteRoot, door, serve_root

PLACE = material_place("00000000-0000-4000-8000-000000000000", bytes(32))
OTHER_PLACE = material_place("00000000-0000-4000-8000-000000000001", bytes(32))


def new_root() -> Root:
    versions = {1: secrets.token_bytes(32), 2: secrets.token_bytes(32)}
    return Root(bytes(16), versions, 2, random=secrets.token_bytes)


@pytest.fixture(params=["here", "behind a socket"])
def root(request: pytest.FixtureRequest) -> Iterator[RootPort]:
    if request.param == "here":
        yield new_root()
        return
    outer, inner = door()
    server = threading.Thread(target=serve_root, args=(inner, new_root()))
    server.start()
    remote = RemoteRoot(outer)
    yield remote
    remote.close()
    outer.close()
    server.join(5)
    inner.close()
    assert not server.is_alive()


def test_a_material_comes_back_in_its_place(root: RootPort) -> None:
    assert root.current_version == 2
    for version in (1, 2):
        wrapped = root.wrap(b"m" * 32, version=version, place=PLACE)
        assert wrapped.root_version == version
        assert root.unwrap(wrapped, place=PLACE) == b"m" * 32


def test_the_longest_private_key_fits(root: RootPort) -> None:
    wrapped = root.wrap(b"k" * 8192, version=1, place=PLACE)
    assert root.unwrap(wrapped, place=PLACE) == b"k" * 8192


def test_everything_else_is_one_integrity_error(root: RootPort) -> None:
    wrapped = root.wrap(b"m" * 32, version=1, place=PLACE)
    for altered, place in (
        (wrapped, OTHER_PLACE),
        (Wrapped(2, wrapped.sealed), PLACE),
        (Wrapped(3, wrapped.sealed), PLACE),
        (Wrapped(1, wrapped.sealed[:-1]), PLACE),
        (Wrapped(1, b""), PLACE),
        (Wrapped(1, wrapped.sealed + bytes(20_000)), PLACE),
    ):
        with pytest.raises(IntegrityError):
            root.unwrap(altered, place=place)
    assert root.unwrap(wrapped, place=PLACE) == b"m" * 32


def test_threads_do_not_take_each_others_answers(root: RootPort) -> None:
    materials = [secrets.token_bytes(32) for _ in range(200)]
    wrapped = [root.wrap(material, version=1, place=PLACE) for material in materials]
    with ThreadPoolExecutor(8) as threads:
        opened = list(threads.map(lambda one: root.unwrap(one, place=PLACE), wrapped))
    assert opened == materials
