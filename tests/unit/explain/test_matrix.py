"""Who may do what with a key: whom the matrix shows, and that its cells are what requests meet."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from s3al.advice.key_policy import separated
from s3al.kms.key_specs import SPECS, grantable
from support.people import allow, trust
from unit.explain.world import World


def test_everybody_is_shown_once_with_whom_policy_and_grants_name(world: World) -> None:
    place = world.place()
    ann, outside, guest = place.user("ann"), world.there.user("named"), world.there.user("granted")
    role = place.role("worker", trust({"AWS": place.root}))
    gone = f"arn:aws:iam::{place.account_id}:user/gone"
    key = place.key()
    named = {"AWS": [place.root, outside.arn, gone, "*"]}
    statements = [allow("kms:DescribeKey", Principal=named), allow("kms:CreateGrant", Principal=named)]
    world.key_policy(key, {"Version": "2012-10-17", "Statement": statements})
    place.client("kms").create_grant(KeyId=key, GranteePrincipal=guest.arn, Operations=["Decrypt"])
    matrix = world.matrix(key)
    names = [row.person.name for row in matrix.rows]
    assert names == [place.root, ann.arn, role.arn, *sorted([outside.arn, guest.arn, gone]), "anonymous"]
    assert [row.person.exists for row in matrix.rows] == [name != gone for name in names]


def test_pages_of_a_matrix_hold_everybody_once(world: World) -> None:
    place = world.place()
    for number in range(5):
        place.user(f"user-{number}")
    key = place.key()
    whole = [row.person.name for row in world.matrix(key).rows]
    seen, after = [], ""
    while True:
        page = world.matrix(key, after=after, limit=2)
        seen += [row.person.name for row in page.rows]
        after = page.following
        if not after:
            break
    assert seen == whole and len(whole) == 6


def test_what_another_account_allows_its_own_is_left_out_for_the_keys_owner(world: World) -> None:
    place = world.place()
    with_policy, without = world.there.user("with", allow("kms:*")), world.there.user("without")
    key = place.key()
    named = {"AWS": [with_policy.arn, without.arn]}
    world.key_policy(key, {"Version": "2012-10-17", "Statement": [allow("kms:Decrypt", Sid="Both", Principal=named)]})
    whole, half = world.matrix(key), world.matrix(key, sees_all=False)
    assert whole.cell(with_policy.arn, "kms:Decrypt").allowed
    assert not whole.cell(without.arn, "kms:Decrypt").allowed
    cells = [half.cell(name, "kms:Decrypt") for name in named["AWS"]]
    assert [cell.allowed for cell in cells] == [True, True]
    assert all(cell.by and cell.by.sid == "Both" for cell in cells)
    assert [row.key_side_alone for row in half.rows if row.person.name in named["AWS"]] == [True, True]


def test_a_key_whose_roles_are_held_apart_is_precisely_that(world: World) -> None:
    place = world.place()
    admin, user, auditor = (place.user(name, allow("kms:*")) for name in ("admin", "user", "auditor"))
    key = place.key()
    roles = {"administrators": [admin.arn], "users": [user.arn], "auditors": [auditor.arn]}
    groups = {}
    for changing in (False, True):
        world.key_policy(key, separated(place.account_id, **roles, administrators_change_policy=changing))
        matrix = world.matrix(key)
        allowed = {
            name: {
                (column.group, column.action)
                for column, cell in zip(matrix.columns, row.cells, strict=True)
                if cell.allowed
            }
            for row in matrix.rows
            for name in [row.person.name]
        }
        groups = {column.action: column.group for column in matrix.columns}
        of = {group: {(group, action) for action, in_ in groups.items() if in_ == group} for group in groups.values()}
        widening = {("widen", "kms:PutKeyPolicy")} if changing else set()
        assert allowed[admin.arn] == of["manage"] | of["look"] | widening
        assert allowed[user.arn] == of["use"] | {("look", "kms:DescribeKey")}
        assert allowed[auditor.arn] == of["look"]
        assert allowed[place.root] == of["look"] | {("widen", "kms:PutKeyPolicy")}
        denied = matrix.cell(admin.arn, "kms:Decrypt", through_s3=True)
        assert denied.effect == "explicit-deny" and denied.by and denied.by.sid == "AdministratorsNeitherUseNorShare"
    assert len(groups) == 23


@pytest.mark.parametrize(
    ("spec", "usage", "uses"),
    [
        ("RSA_2048", "SIGN_VERIFY", {"kms:Sign", "kms:Verify"}),
        ("RSA_2048", "ENCRYPT_DECRYPT", {"kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"}),
        ("HMAC_256", "GENERATE_VERIFY_MAC", {"kms:GenerateMac", "kms:VerifyMac"}),
        ("ECC_NIST_P256", "KEY_AGREEMENT", {"kms:DeriveSharedSecret"}),
    ],
)
def test_administrators_are_denied_the_use_of_every_kind_of_key(
    world: World, spec: str, usage: str, uses: set[str]
) -> None:
    place = world.place()
    admin = place.user("admin", allow("kms:*"))
    key = place.key(KeySpec=spec, KeyUsage=usage)
    world.key_policy(key, separated(place.account_id, administrators=[admin.arn]))
    matrix = world.matrix(key)
    assert {column.action for column in matrix.columns if column.group == "use"} == uses
    assert {matrix.cell(admin.arn, use).effect for use in uses} == {"explicit-deny"}


def test_every_cryptographic_operation_is_denied_to_administrators() -> None:
    """What a grant may let somebody do with a key of any kind, less what is no use of it."""
    policy = separated("111122223333", administrators=["arn:aws:iam::111122223333:user/a"])
    [denied] = [one for one in policy["Statement"] if one["Effect"] == "Deny"]
    used = {name for spec, usages in SPECS.items() for usage in usages for name in grantable(spec, usage)}
    used -= {"RetireGrant", "DescribeKey", "GetPublicKey"}
    assert used >= {"CreateGrant", "Decrypt", "Encrypt", "GenerateDataKeyPair", "ReEncryptTo", "Sign", "VerifyMac"}
    for name in used:
        assert any(fnmatchcase(f"kms:{name}", pattern) for pattern in denied["Action"]), name
