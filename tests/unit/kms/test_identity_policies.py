"""Key policy, identity policies, boundary, session policies and grants: who of them must allow, and who can refuse.

Each row is one way to be allowed or not; the law is AWS's: the key policy opens the key to the account, and then the
account decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from s3al.auth.principal import Principal, Session
from s3al.errors import AccessError
from s3al.kms.data_keys import DataKeys
from s3al.store import identities
from support.people import allow, deny, document, give, make_role, take, trust
from unit.kms.world import ALICE, BUCKET, MALLORY, NOW, OURS, ROOT, THEIRS, World, policy, refusal, statement

DATA_KEY = {"KeySpec": "AES_256"}
TO_ALICE, TO_BOB = {"AWS": ALICE.arn}, {"AWS": ALICE.arn.replace("alice", "bob")}
TO_THEM = {"AWS": THEIRS}
USE = allow("kms:GenerateDataKey")
ROLE = f"arn:aws:iam::{OURS}:role/reader"


@pytest.fixture
def role(world: World) -> Principal:
    row = world.database.write_now(lambda rows: make_role(rows, OURS, "reader", trust({"AWS": OURS})))
    return Principal(
        "assumed-role",
        OURS,
        f"arn:aws:sts::{OURS}:assumed-role/reader/s1",
        f"{row.role_id}:s1",
        session_name="s1",
        issuer_arn=ROLE,
        session=Session(NOW, NOW + 3_600_000),
    )


def grants(world: World, arn: str, *statements: dict[str, Any]) -> None:
    world.database.write_now(lambda rows: give(rows, arn, *statements))


def allowed(world: World, operation: str = "GenerateDataKey", **params: Any) -> bool:
    try:
        world.do(operation, **params)
    except AccessError:
        return False
    return True


def bounded(world: World, name: str, *statements: dict[str, Any]) -> None:
    """Bounds the user `alice`."""
    arn = f"arn:aws:iam::{OURS}:policy/{name}"

    def write(rows: Any) -> None:
        made = identities.ManagedPolicyRow(arn, "ANPA" + name.upper(), OURS, name, "/", 1, 1)
        identities.create_managed_policy(rows, made, document(*statements))
        user = identities.find_user_by_arn(rows, ALICE.arn)
        assert user is not None
        identities.put_identity(rows, replace(user, boundary_arn=arn), replaces=user.arn)

    world.database.write_now(write)


ELSE = allow("kms:Encrypt")
TABLE = [
    # what, key policy's statements beside the account's own, whether it has that, alice's policy, her boundary, allowed
    ("the account's statement and no policy of hers", [], True, [], None, False),
    ("the account's statement and a policy of hers", [], True, [USE], None, True),
    ("the account's statement and a policy for something else", [], True, [ELSE], None, False),
    ("a policy of hers that the key policy ignores", [statement(principal=TO_BOB)], False, [USE], None, False),
    ("the key policy names her", [statement(principal=TO_ALICE)], False, [], None, True),
    ("named, and she is denied", [statement(principal=TO_ALICE)], True, [USE, deny("kms:*")], None, False),
    ("allowed, the key policy denies", [statement("Deny", TO_ALICE, "kms:GenerateDataKey")], True, [USE], None, False),
    ("both allow, within her boundary", [], True, [USE], [USE], True),
    ("both allow, beyond her boundary", [], True, [USE], [ELSE], False),
    ("the key policy names her, beyond her boundary", [statement(principal=TO_ALICE)], True, [], [ELSE], True),
    ("the key policy names her, her boundary denies", [statement(principal=TO_ALICE)], True, [], [deny("*")], False),
    ("another key alone", [], True, [allow("kms:*", "arn:aws:kms:*:*:key/0000")], None, False),
    ("through S3 alone", [], True, [allow("kms:*", Condition={"StringLike": {"kms:ViaService": "s3.*"}})], None, False),
]  # fmt: skip


@pytest.mark.parametrize(("what", "statements", "delegates", "hers", "boundary", "expected"), TABLE)
def test_the_key_policy_opens_the_key_and_the_account_decides(
    world: World, what: str, statements: Any, delegates: bool, hers: Any, boundary: Any, expected: bool
) -> None:
    text = policy(*statements, with_root=delegates)
    key_id = world.create_key(Policy=text, BypassPolicyLockoutSafetyCheck=True)
    if hers:
        grants(world, ALICE.arn, *hers)
    if boundary:
        bounded(world, "bound", *boundary)
    assert allowed(world, by=ALICE, KeyId=key_id, **DATA_KEY) is expected


def test_a_refusal_says_which_policy_was_missing(world: World) -> None:
    key_id = world.create_key()
    arn = world.row(key_id).arn
    with pytest.raises(AccessError) as raised:
        world.do("GenerateDataKey", by=ALICE, KeyId=key_id, **DATA_KEY)
    who = f"User: {ALICE.arn} is not authorized to perform: kms:GenerateDataKey on resource: {arn}"
    assert refusal(raised)[1] == f"{who} because no identity-based policy allows the kms:GenerateDataKey action"
    grants(world, ALICE.arn, USE, deny("kms:*", Sid="Never"))
    with pytest.raises(AccessError) as raised:
        world.do("GenerateDataKey", by=ALICE, KeyId=key_id, **DATA_KEY)
    assert refusal(raised)[1] == f"{who} with an explicit deny in an identity-based policy"


def test_a_policy_taken_away_refuses_the_next_request_on_every_worker(world: World) -> None:
    key_id = world.create_key()
    workers = [world.kms, world.worker()]
    grants(world, ALICE.arn, USE)
    for worker in workers:
        assert allowed(world, by=ALICE, worker=worker, KeyId=key_id, **DATA_KEY)
    world.database.write_now(lambda rows: take(rows, ALICE.arn))
    for worker in workers:
        assert not allowed(world, by=ALICE, worker=worker, KeyId=key_id, **DATA_KEY)


@pytest.mark.parametrize(
    ("statements", "theirs", "expected"),
    [
        ([], [USE], False),
        ([statement(principal=TO_THEM)], [], False),
        ([statement(principal=TO_THEM)], [USE], True),
        ([statement(principal={"AWS": MALLORY.arn})], [], False),
        ([statement(principal={"AWS": MALLORY.arn})], [USE], True),
        ([statement(principal=TO_THEM)], [USE, deny("kms:*")], False),
    ],
)
def test_across_accounts_both_sides_must_allow(world: World, statements: Any, theirs: Any, expected: bool) -> None:
    arn = world.row(world.create_key(Policy=policy(*statements))).arn
    if theirs:
        grants(world, MALLORY.arn, *theirs)
    assert allowed(world, by=MALLORY, KeyId=arn, **DATA_KEY) is expected


def test_what_concerns_no_key_is_the_accounts_to_allow(world: World) -> None:
    assert not allowed(world, "ListKeys", by=ALICE)
    grants(world, ALICE.arn, allow(["kms:ListKeys", "kms:CreateKey"]))
    assert allowed(world, "ListKeys", by=ALICE)
    assert allowed(world, "CreateKey", by=ALICE), "the default policy leaves the key to the account, so none is lost"
    assert not allowed(world, "CreateKey", by=ALICE, Tags=[{"TagKey": "a", "TagValue": "b"}])


def test_an_alias_needs_leave_on_alias_and_key(world: World) -> None:
    key_id = world.create_key()
    arn = world.row(key_id).arn
    alias = f"arn:aws:kms:us-east-1:{OURS}:alias/*"
    for resources, expected in (([arn], False), ([alias], False), ([arn, alias], True)):
        grants(world, ALICE.arn, allow("kms:CreateAlias", resources))
        assert allowed(world, "CreateAlias", by=ALICE, AliasName="alias/x", TargetKeyId=key_id) is expected


def test_a_grant_needs_no_policy_and_yields_to_a_deny(world: World) -> None:
    key_id = world.create_key()
    world.do("CreateGrant", KeyId=key_id, GranteePrincipal=ALICE.arn, Operations=["GenerateDataKey"])
    assert allowed(world, by=ALICE, KeyId=key_id, **DATA_KEY)
    grants(world, ALICE.arn, deny("kms:*"))
    assert not allowed(world, by=ALICE, KeyId=key_id, **DATA_KEY)


@pytest.mark.parametrize(
    ("to_role", "session_policy", "expected"),
    [
        (True, None, True),
        (True, document(USE), True),
        (True, document(ELSE), False),
        (False, document(ELSE), True),
    ],
)
def test_a_grant_to_a_role_is_narrowed_by_its_sessions_policy(
    world: World, role: Principal, to_role: bool, session_policy: str | None, expected: bool
) -> None:
    key_id = world.create_key()
    grantee = ROLE if to_role else role.arn
    world.do("CreateGrant", KeyId=key_id, GranteePrincipal=grantee, Operations=["GenerateDataKey"])
    assert role.session is not None
    session = replace(role, session=replace(role.session, policy=session_policy))
    assert allowed(world, by=session, KeyId=key_id, **DATA_KEY) is expected


def test_a_session_has_its_roles_policies_and_its_own_on_top(world: World, role: Principal) -> None:
    key_id = world.create_key()
    assert not allowed(world, by=role, KeyId=key_id, **DATA_KEY)
    grants(world, ROLE, USE)
    assert allowed(world, by=role, KeyId=key_id, **DATA_KEY)
    assert role.session is not None
    narrowed = replace(role, session=replace(role.session, policy=document(ELSE)))
    assert not allowed(world, by=narrowed, KeyId=key_id, **DATA_KEY)


def test_a_policy_may_let_a_key_be_used_through_s3_alone_or_directly_alone(world: World) -> None:
    key_id = world.create_key()
    data_keys = DataKeys(world.kms)

    def through_s3() -> bool:
        call = world.s3(ALICE)
        try:
            context = {"aws:s3:arn": "arn:aws:s3:::photos/x"}
            world.database.read_now(
                lambda rows: data_keys.generate(rows, call, bucket=BUCKET, kms_key=key_id, context=context)
            )
        except AccessError:
            return False
        return True

    assert not through_s3(), "leave to use S3 is no leave to use the key"
    via = {"kms:ViaService": "s3.us-east-1.amazonaws.com"}
    for condition, s3, directly in (
        ({"StringEquals": via}, True, False),
        ({"StringNotEquals": via}, False, True),
        ({"Bool": {"aws:ViaAWSService": "true"}}, True, False),
    ):
        grants(world, ALICE.arn, USE | {"Condition": condition})
        assert (through_s3(), allowed(world, by=ALICE, KeyId=key_id, **DATA_KEY)) == (s3, directly)


def test_a_key_policy_names_principals_that_exist(world: World) -> None:
    key_id = world.create_key()
    for arn, exists in (
        (ALICE.arn, True),
        (f"arn:aws:iam::{OURS}:user/nobody", False),
        (f"arn:aws:iam::{OURS}:role/none", False),
        (f"arn:aws:sts::{OURS}:assumed-role/none/session", True),
    ):
        text = policy(statement(principal={"AWS": arn}))
        if exists:
            world.do("PutKeyPolicy", KeyId=key_id, Policy=text)
            continue
        with pytest.raises(Exception, match="invalid principals"):
            world.do("PutKeyPolicy", KeyId=key_id, Policy=text)


def test_whom_only_the_account_lets_change_a_policy_may_change_it_but_not_shut_everybody_out(world: World) -> None:
    key_id = world.create_key()
    grants(world, ALICE.arn, allow("kms:PutKeyPolicy"))
    world.do("PutKeyPolicy", by=ALICE, KeyId=key_id, Policy=policy())
    with pytest.raises(Exception, match="will not allow you to update"):
        world.do("PutKeyPolicy", by=ALICE, KeyId=key_id, Policy=policy(statement(principal=TO_BOB), with_root=False))
    assert allowed(world, "GetKeyPolicy", by=ROOT, KeyId=key_id)
