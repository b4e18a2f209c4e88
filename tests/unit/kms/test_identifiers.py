from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.errors import RequestError
from s3al.kms.identifiers import Asker, find_named_key
from unit.kms.world import NOW, OURS, REGION, THEIRS, World, refusal

ABSENT = "00000000-0000-4000-8000-000000000000"
MRK = "mrk-d3b95762d3b95762d3b95762d3b95762"
PREFIX = f"arn:aws:kms:{REGION}:{OURS}:"
NOT_FOUND = "NotFoundException"

REFUSED = [
    (ABSENT, NOT_FOUND, f"Key '{PREFIX}key/{ABSENT}' does not exist"),
    (MRK, NOT_FOUND, f"Key '{PREFIX}key/{MRK}' does not exist"),
    (f"{PREFIX}key/{ABSENT}", NOT_FOUND, f"Key '{PREFIX}key/{ABSENT}' does not exist"),
    ("fake-key-id", NOT_FOUND, "Invalid keyId 'fake-key-id'"),
    ("134f2428cec14b25a1ae9048164dba47", NOT_FOUND, "Invalid keyId '134f2428cec14b25a1ae9048164dba47'"),
    ("mrk-fake-key-id", NOT_FOUND, "Invalid keyId 'mrk-fake-key-id'"),
    (ABSENT.upper() + "x", NOT_FOUND, f"Invalid keyId '{ABSENT.upper()}x'"),
    (f"{PREFIX}key/nonsense", NOT_FOUND, "Invalid keyId 'nonsense'"),
    (f"key/{ABSENT}", NOT_FOUND, f"Invalid keyId 'key/{ABSENT}'"),
    (f"arn:aws:kms:ap-southeast-1:{OURS}:key/{ABSENT}", NOT_FOUND, "Invalid arn ap-southeast-1"),
    ("alias/nobody", NOT_FOUND, f"Alias {PREFIX}alias/nobody is not found."),
    (f"{PREFIX}alias/nobody", NOT_FOUND, f"Alias {PREFIX}alias/nobody is not found."),
    ("arn:aws:s3:::bucket", "InvalidArnException", "Invalid arn arn:aws:s3:::bucket"),
    ("arn:aws:kms", "InvalidArnException", "Invalid arn arn:aws:kms"),
    (f"{PREFIX}store/{ABSENT}", "InvalidArnException", f"Invalid arn {PREFIX}store/{ABSENT}"),
    (f"arn:aws-cn:kms:{REGION}:{OURS}:key/{ABSENT}", "InvalidArnException", None),
    (f"arn:aws:kms:{REGION}:1:key/{ABSENT}", "InvalidArnException", None),
    (f"arn:aws:kms:{REGION}:{THEIRS}:key/{ABSENT}", "AccessDeniedException", None),
    (f"arn:aws:kms:{REGION}:{THEIRS}:alias/nobody", "AccessDeniedException", None),
]


@pytest.mark.parametrize(("identifier", "code", "message"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_names_no_key_is_refused_in_awss_words(
    world: World, identifier: str, code: str, message: str | None
) -> None:
    with pytest.raises(RequestError) as raised:
        world.do("DescribeKey", KeyId=identifier)
    assert refusal(raised)[0] == code
    assert message is None or refusal(raised)[1] == message


def test_all_four_forms_name_the_same_key(world: World) -> None:
    key_id = world.create_key()
    world.do("CreateAlias", AliasName="alias/team/a_1-b", TargetKeyId=key_id)
    forms = (key_id, f"{PREFIX}key/{key_id}", "alias/team/a_1-b", f"{PREFIX}alias/team/a_1-b")
    assert {world.do("DescribeKey", KeyId=form)["KeyMetadata"]["KeyId"] for form in forms} == {key_id}


@pytest.mark.parametrize("operation", ["DisableKey", "GetKeyPolicy", "ListKeyRotations", "ListResourceTags"])
def test_management_operations_take_no_alias(world: World, operation: str) -> None:
    key_id = world.create_key()
    world.do("CreateAlias", AliasName="alias/a", TargetKeyId=key_id)
    for identifier in ("alias/a", f"{PREFIX}alias/a"):
        with pytest.raises(RequestError) as raised:
            world.do(operation, KeyId=identifier)
        assert refusal(raised) == (NOT_FOUND, f"Invalid keyId '{identifier}'")


def test_a_key_lives_in_one_region(world: World) -> None:
    key_id = world.create_key(region="eu-west-1")
    assert world.do("DescribeKey", region="eu-west-1", KeyId=key_id)
    with pytest.raises(RequestError) as raised:
        world.do("DescribeKey", KeyId=key_id)
    assert refusal(raised) == (NOT_FOUND, f"Key '{PREFIX}key/{key_id}' does not exist")
    with pytest.raises(RequestError) as raised:
        world.do("DescribeKey", KeyId=f"{PREFIX}key/{key_id}")
    assert refusal(raised)[0] == NOT_FOUND


def test_an_arn_with_the_wrong_account_names_nothing(world: World) -> None:
    key_id = world.create_key()
    with pytest.raises(RequestError) as raised:
        world.do("DescribeKey", KeyId=f"arn:aws:kms:{REGION}:{THEIRS}:key/{key_id}")
    assert refusal(raised)[0] == "AccessDeniedException"


WORLD = World()


@given(identifier=st.one_of(st.text(max_size=80), st.text(max_size=60).map(lambda text: "arn:aws:kms:" + text)))
def test_no_text_names_a_key_by_accident(identifier: str) -> None:
    asker = Asker(OURS, REGION, NOW)
    with pytest.raises(RequestError):
        WORLD.database.read_now(lambda rows: find_named_key(rows, identifier, asker, aliases=True))
