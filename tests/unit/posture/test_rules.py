"""Every rule on postures made by hand: it finds what it is for, and nothing where all is well."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from s3al.advice.key_policy import separated
from s3al.posture.facts import NONE, Bucket, Under
from s3al.posture.rules import RULES, SEVERITIES, judge
from unit.posture.world import ACCOUNT, good_bucket, key, objects, policy_of, posture, sound, troubled, user

KEY = key("k", 10)


def found(given, rule_id: str) -> list[str]:
    return [each.hit.where for each in judge(given) if each.rule.rule_id == rule_id]


def with_bucket(**changes):
    made = replace(good_bucket("b", KEY.arn, {Under("sse-kms", KEY.arn, "k-0"): 3}), **changes)
    return posture(made, kms_keys=(KEY,))


def with_key(**changes):
    made = replace(KEY, **changes)
    return posture(good_bucket("b", KEY.arn, {Under("sse-kms", KEY.arn, "k-0"): 3}), kms_keys=(made,))


def test_what_the_advisor_puts_in_place_has_no_findings():
    assert judge(sound()) == []


def test_every_rule_finds_something_where_everything_is_wrong():
    assert {each.rule.rule_id for each in judge(troubled())} == set(RULES)


def test_findings_come_gravest_first_with_all_that_a_reader_needs():
    order = [SEVERITIES.index(each.rule.severity) for each in judge(troubled())]
    assert order == sorted(order)
    for rule in RULES.values():
        assert rule.source.startswith("https://docs.aws.amazon.com/")
        assert rule.fix.endswith(".")
        assert not rule.title.endswith(".")


def test_the_reference_lists_the_rules_as_they_are():
    page = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "posture.md").read_text()
    rows = [f"| `{rule.rule_id}` | {rule.severity} | {rule.title} |" for rule in RULES.values()]
    assert [line for line in page.splitlines() if line.startswith("| `")] == rows


DENY_HTTP = {"Effect": "Deny", "Action": "s3:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}


def test_a_deny_of_plain_http_for_a_part_of_the_bucket_is_a_gap():
    part = DENY_HTTP | {"Resource": "arn:aws:s3:::b/secret/*"}
    assert found(with_bucket(policy=policy_of("b", part)), "plain-http") == ["arn:aws:s3:::b"]
    assert found(with_bucket(policy=policy_of("b", DENY_HTTP)), "plain-http") == []
    all_but = DENY_HTTP | {"NotResource": "arn:aws:s3:::b/public/*"}
    text = json.loads(policy_of("b", all_but))
    del text["Statement"][0]["Resource"]
    assert found(with_bucket(policy=json.dumps(text)), "plain-http") == ["arn:aws:s3:::b"]


def test_a_deny_that_only_looks_right_is_a_gap():
    wrong = DENY_HTTP | {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}
    assert found(with_bucket(policy=policy_of("b", wrong)), "plain-http") == ["arn:aws:s3:::b"]
    reads_only = DENY_HTTP | {"Action": "s3:GetObject"}
    assert found(with_bucket(policy=policy_of("b", reads_only)), "plain-http") == ["arn:aws:s3:::b"]


def test_without_default_encryption_a_deny_of_missing_headers_closes_the_gap():
    deny = {"Effect": "Deny", "Action": "s3:PutObject",
            "Condition": {"Null": {"s3:x-amz-server-side-encryption": "true"}}}  # fmt: skip
    bare = with_bucket(default_mode=NONE, default_key="", policy=policy_of("b", deny))
    assert found(bare, "default-missing") == ["arn:aws:s3:::b"]
    assert found(bare, "unencrypted-upload") == []
    assert found(with_bucket(default_mode=NONE, policy=None), "unencrypted-upload") == ["arn:aws:s3:::b"]


def test_public_policies_are_told_by_what_they_grant_and_not_where_the_bucket_is_restricted():
    public = policy_of("b", {"Effect": "Allow", "Action": "s3:GetObject"})
    named = policy_of("b", {"Effect": "Allow", "Action": "s3:GetObject", "Principal": {"AWS": user("ann")}})
    fixed = policy_of(
        "b", {"Effect": "Allow", "Action": "s3:GetObject",
              "Condition": {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}}
    )  # fmt: skip
    open_ = {"public_access_block": None}
    assert found(with_bucket(policy=public, **open_), "public-policy") == ["arn:aws:s3:::b"]
    assert found(with_bucket(policy=public), "public-policy") == []
    assert found(with_bucket(policy=named, **open_), "public-policy") == []
    assert found(with_bucket(policy=fixed, **open_), "public-policy") == []


def test_public_acls_count_where_acls_do():
    assert found(with_bucket(public_grants=("READ",), acls_disabled=False, public_access_block=None), "public-acl")
    assert not found(with_bucket(public_grants=("READ",), acls_disabled=True, public_access_block=None), "public-acl")
    assert not found(with_bucket(public_grants=("READ",), acls_disabled=False), "public-acl")


def test_sse_c_is_stopped_by_the_bucket_or_by_its_policy():
    deny = {"Effect": "Deny", "Action": "s3:PutObject", "Condition":
            {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}}}  # fmt: skip
    assert found(with_bucket(blocks_sse_c=False), "sse-c-allowed")
    assert not found(with_bucket(blocks_sse_c=False, policy=policy_of("b", deny)), "sse-c-allowed")


def test_dsse_as_default_makes_one_layer_the_weaker_choice():
    deny_sse_s3 = {"Effect": "Deny", "Action": "s3:PutObject",
                   "Condition": {"StringEquals": {"s3:x-amz-server-side-encryption": "AES256"}}}  # fmt: skip
    made = with_bucket(default_mode="dsse-kms", policy=policy_of("b", deny_sse_s3))
    assert found(made, "weaker-upload")
    assert found(made, "objects-weaker")
    assert not found(with_bucket(policy=policy_of("b", deny_sse_s3)), "weaker-upload")


def test_a_policy_that_could_not_be_read_makes_no_claim_but_is_told():
    made = with_bucket(policy=None, unread={"GetBucketPolicy": "AccessDenied"})
    assert not found(made, "plain-http")
    assert found(made, "not-looked-at") == ["arn:aws:s3:::b"]
    broken = with_bucket(policy='{"Statement": [{"Effect": "Sometimes"}]}')
    assert not found(broken, "plain-http")
    assert found(broken, "not-looked-at") == ["arn:aws:s3:::b"]


def test_who_is_named_for_both_roles_is_found_and_who_is_denied_one_is_not():
    both = json.dumps(separated(ACCOUNT, administrators=[user("a")], users=[user("b")]))
    assert not found(with_key(policy=both), "key-one-person")
    whole = policy_of("x", {"Effect": "Allow", "Principal": {"AWS": user("a")}, "Action": "kms:*", "Resource": "*"})
    assert found(with_key(policy=whole), "key-one-person") == [KEY.arn]
    role = whole.replace(":user/a", ":role/a")
    assert found(with_key(policy=role), "key-one-person") == [KEY.arn]
    assert not found(with_key(policy=whole, manager="AWS"), "key-one-person")


def test_a_use_that_is_allowed_through_s3_alone_is_a_use():
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": user("a")}, "Action": "kms:ScheduleKeyDeletion", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": user("a")}, "Action": "kms:Decrypt", "Resource": "*",
         "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}},
    ]  # fmt: skip
    assert found(with_key(policy=policy_of("x", *statements)), "key-one-person") == [KEY.arn]
    assert not found(with_key(policy=policy_of("x", statements[1])), "key-one-person")


def test_the_policy_of_every_new_key_leaves_the_roles_to_the_account():
    default = policy_of(
        "x", {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*",
              "Resource": "*"}
    )  # fmt: skip
    assert found(with_key(policy=default), "key-left-to-account") == [KEY.arn]
    assert not found(with_key(policy=default), "key-one-person")


def test_a_star_bound_to_the_account_is_not_open_to_strangers():
    star = {"Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
    bound = star | {"Condition": {"StringEquals": {"kms:CallerAccount": ACCOUNT}}}
    assert found(with_key(policy=policy_of("x", star)), "key-public") == [KEY.arn]
    assert not found(with_key(policy=policy_of("x", bound)), "key-public")


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion", "PendingImport", "Gone"])
def test_objects_under_a_key_that_does_not_open_are_found(state):
    assert found(with_key(state=state), "objects-unopenable") == [KEY.arn]
    assert not found(with_key(), "objects-unopenable")


def test_material_is_told_by_its_id_or_by_the_day_of_writing():
    rotated = key("r", 400, 30)
    old, new = Under("sse-kms", rotated.arn, "r-0"), Under("sse-kms", rotated.arn, "r-1")
    assert rotated.material_of(old).material_id == "r-0"
    written = [Under("sse-kms", rotated.arn, written=day) for day in (date(2026, 10, 1), date(2026, 11, 27))]
    assert [rotated.material_of(each).material_id for each in written] == ["r-0", "r-1"]
    assert rotated.material_of(Under("sse-kms", rotated.arn, written=date(2020, 1, 1))) is None
    for under, expected in ((old, [rotated.arn]), (new, []), (written[0], [rotated.arn]), (written[1], [])):
        given = posture(Bucket("b", objects({under: 1})), kms_keys=(rotated,))
        assert found(given, "objects-old-material") == expected


def test_a_key_that_never_rotated_by_itself_is_found_unless_that_is_not_known():
    assert found(with_key(rotates=False), "key-no-rotation") == [KEY.arn]
    assert not found(with_key(rotates=None), "key-no-rotation")
