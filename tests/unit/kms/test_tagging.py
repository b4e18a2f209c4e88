from __future__ import annotations

from typing import Any

import pytest

from s3al.errors import RequestError
from unit.kms.world import World, refusal


def tags(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": key, "TagValue": value} for key, value in pairs]


def refuses(world: World, operation: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(RequestError) as raised:
        world.do(operation, **params)
    return refusal(raised)


def test_tags_are_set_replaced_removed_and_listed_in_pages(world: World) -> None:
    key_id = world.create_key(Tags=tags(("b", "1"), ("a", "1")))
    world.do("TagResource", KeyId=key_id, Tags=tags(("b", "2"), ("c", "")))
    world.do("UntagResource", KeyId=key_id, TagKeys=["a", "never there"])
    first = world.do("ListResourceTags", KeyId=key_id, Limit=1)
    assert first["Tags"] == tags(("b", "2"))
    assert first["Truncated"]
    second = world.do("ListResourceTags", KeyId=key_id, Limit=1, Marker=first["NextMarker"])
    assert second == {"Tags": tags(("c", "")), "Truncated": False}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (tags(("aws:x", "")), "Tags beginning with aws: are reserved"),
        (tags(("AWS:x", "")), "Tags beginning with aws: are reserved"),
        (tags(("a", "1"), ("a", "1")), "Duplicate tag keys"),
        (tags(*((str(n), "") for n in range(51))), "Too many tags"),
    ],
)
def test_tags_that_are_not_allowed_change_nothing(world: World, given: list[dict[str, str]], message: str) -> None:
    key_id = world.create_key(Tags=tags(("kept", "1")))
    assert refuses(world, "TagResource", KeyId=key_id, Tags=given) == ("TagException", message)
    assert world.do("ListResourceTags", KeyId=key_id)["Tags"] == tags(("kept", "1"))


def test_a_key_has_at_most_fifty_tags(world: World) -> None:
    key_id = world.create_key(Tags=tags(*((f"{n:02d}", "") for n in range(50))))
    assert refuses(world, "TagResource", KeyId=key_id, Tags=tags(("x", "")))[0] == "LimitExceededException"
    world.do("TagResource", KeyId=key_id, Tags=tags(("00", "changed")))
    assert len(world.do("ListResourceTags", KeyId=key_id)["Tags"]) == 50


def test_reserved_tags_cannot_be_removed(world: World) -> None:
    assert refuses(world, "UntagResource", KeyId=world.create_key(), TagKeys=["aws:x"])[0] == "TagException"
