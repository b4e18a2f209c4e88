"""Every operation, asked for by who may not, or on a key that is not there: AWS's error, and nothing is changed."""

from __future__ import annotations

import pytest

from s3al.errors import RequestError
from s3al.kms.ports import OPERATIONS
from s3al.store import catalog
from unit.kms.examples import KEYS, authorized_request, naming, on_keys
from unit.kms.world import ALICE, OURS, REGION, World, refusal

ABSENT = "00000000-0000-4000-8000-000000000000"


def counter(world: World) -> int:
    return world.database.read_now(catalog.change_counter)


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_without_a_permission_it_is_access_denied(world: World, operation: str) -> None:
    request = authorized_request(world, operation, world.create_key(**KEYS.get(operation, {})))
    if operation == "RetireGrant":  # by the grant's own parties alone; its grantee here may only describe the key
        request["KeyId"] = world.row(request["KeyId"]).arn
    before = counter(world)
    with pytest.raises(RequestError) as raised:
        world.do(operation, by=ALICE, **request)
    assert refusal(raised)[0] == "AccessDeniedException"
    assert counter(world) == before


@pytest.mark.parametrize("operation", on_keys())
def test_on_a_key_that_is_not_there_it_is_not_found(world: World, operation: str) -> None:
    world.do("CreateAlias", AliasName="alias/theirs", TargetKeyId=world.create_key())
    before = counter(world)
    for identifier in (ABSENT, f"arn:aws:kms:{REGION}:{OURS}:key/{ABSENT}"):
        with pytest.raises(RequestError) as raised:
            world.do(operation, **naming(operation, identifier))
        assert refusal(raised)[0] == "NotFoundException"
    assert counter(world) == before
