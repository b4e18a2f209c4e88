"""The inventory: pages of a bucket's versions in few queries, and nothing for whom the right was taken meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from s3al.auth.authorized import grant
from s3al.errors import AccessError
from s3al.s3 import own
from s3al.s3.records import Envelope
from s3al.service.operation import Call
from unit.s3.world import NOW_MS, OWNER, World, root_of


def inventory(
    world: World, bucket: str, marker: Any = None, *, stamp: int | None = None, refuse: bool = False
) -> dict[str, Any]:
    def reauthorize(rows: Any) -> Any:
        if refuse:
            raise AccessError("AccessDenied")

    call = Call(
        "s3al", "GetInventory", {"bucket": bucket, "marker": marker}, root_of(OWNER), "request", NOW_MS, "us-east-1",
        reauthorize=reauthorize,
    )  # fmt: skip
    authorized = grant(root_of(OWNER), (), world.stamp() if stamp is None else stamp)

    async def ask() -> Any:
        return await own.OPERATIONS["GetInventory"].handle(authorized, call, world.s3)

    answered: dict[str, Any] = world.runner.run(ask()).output
    return answered


def test_pages_hold_every_version_once_and_no_marker(world, monkeypatch):
    monkeypatch.setattr(own, "_INVENTORY_PAGE", 3)
    bucket = world.bucket()
    world.put(bucket, *(f"k{number}" for number in range(7)))
    world.put(bucket, "k3", version_id="second")
    world.put(bucket, "k4", version_id="gone", marker=True)
    seen, marker = [], None
    while True:
        page = inventory(world, bucket, marker)
        seen += [(each["key"], each["version_id"], each["current"]) for each in page["versions"]]
        marker = page.get("next")
        if marker is None:
            break
    assert sorted(seen) == sorted(
        [(f"k{number}", "null", number not in (3, 4)) for number in range(7)] + [("k3", "second", True)]
    )


def test_a_page_is_read_by_a_query_or_two_however_many_versions_it_has(world):
    bucket = world.bucket()
    world.put(bucket, *(f"k{number:03}" for number in range(200)))
    counted = []

    class Counted:
        def __init__(self, rows: Any) -> None:
            self._rows = rows

        def __getattr__(self, name: str) -> Any:
            counted.append(name)
            return getattr(self._rows, name)

    plain = world.s3.db.read

    async def read(fn: Any) -> Any:
        return await plain(lambda rows: fn(Counted(rows)))

    world.s3.db.read = read
    assert len(inventory(world, bucket)["versions"]) == 200
    assert len(counted) < 8


def test_what_a_version_is_under_is_told(world):
    bucket = world.bucket()
    marked = Envelope("AES256", b"w", b"c", material_id=b"\x01" * 32)
    world.put(bucket, "sealed", envelope=marked, metadata={"x-amz-key-v2": "e30="})
    (told,) = inventory(world, bucket)["versions"]
    assert (told["mode"], told["kms_key"], told["material_id"]) == ("AES256", None, "01" * 32)
    assert (told["client_side"], told["shows_md5"]) == (True, False)


def test_a_right_that_was_taken_meanwhile_ends_the_page(world):
    bucket = world.bucket()
    with pytest.raises(AccessError):
        inventory(world, bucket, stamp=-1, refuse=True)
