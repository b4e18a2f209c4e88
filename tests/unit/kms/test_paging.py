from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import pytest

from s3al.errors import RequestError
from unit.kms.world import World, refusal


def refuses(world: World, operation: str, **params: Any) -> str:
    with pytest.raises(RequestError) as raised:
        world.do(operation, **params)
    return refusal(raised)[0]


@pytest.mark.parametrize(
    ("operation", "greatest", "needs_key"),
    [
        ("ListKeys", 1000, False),
        ("ListAliases", 100, False),
        ("ListKeyPolicies", 1000, True),
        ("ListKeyRotations", 1000, True),
        ("ListResourceTags", 50, True),
    ],
)
def test_limits_at_and_beyond_the_greatest(world: World, operation: str, greatest: int, needs_key: bool) -> None:
    params = {"KeyId": world.create_key()} if needs_key else {}
    assert not world.do(operation, Limit=greatest, **params)["Truncated"]
    assert refuses(world, operation, Limit=greatest + 1, **params) == "ValidationException"


def marker(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "bad",
    ["x", "*", "é", "AAAA", marker("ListAliases\nalias/a"), marker("ListKeys\n"), marker("ListKeys"), marker("")],
)
def test_a_marker_that_the_operation_did_not_give_is_refused(world: World, bad: str) -> None:
    assert refuses(world, "ListKeys", Marker=bad) == "InvalidMarkerException"


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "1" * 30, "٣"])
def test_a_marker_of_a_numbered_list_holds_a_number(world: World, after: str) -> None:
    bad = marker(f"ListKeyRotations\n{after}")
    assert refuses(world, "ListKeyRotations", KeyId=world.create_key(), Marker=bad) == "InvalidMarkerException"


def test_the_last_page_when_it_is_exactly_full_is_not_truncated(world: World) -> None:
    for _ in range(4):
        world.create_key()
    first = world.do("ListKeys", Limit=2)
    second = world.do("ListKeys", Limit=2, Marker=first["NextMarker"])
    assert (first["Truncated"], second["Truncated"], "NextMarker" in second) == (True, False, False)
