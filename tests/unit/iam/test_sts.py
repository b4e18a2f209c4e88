"""Temporary credentials: who gets them, what they may do, and when that ends; over two workers of one store."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from s3al.iam.accounts import AccessKey, create_account, replace_root_key, root_arn
from s3al.store import accounts, identities
from support.house import House, open_house
from support.people import Person, allow, deny, document, give, make_role, make_user, take, trust
from support.settings import refused


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house"), workers=2) as opened:
        yield opened


@dataclass
class Place:
    """An account of its own for each test."""

    house: House
    account_id: str
    root: AccessKey

    def write(self, fn: Callable[[Any], Any]) -> Any:
        return self.house.workers[0].s3.db.write_now(fn)

    @property
    def server_key(self) -> Any:
        return self.house.workers[0].gateway.services["sts"].ports.server_key

    def user(self, name: str, *statements: dict[str, Any], **more: Any) -> Person:
        person: Person = self.write(lambda rows: make_user(rows, self.server_key, self.account_id, name, **more))
        if statements:
            self.write(lambda rows: give(rows, person.arn, *statements))
        return person

    def role(self, name: str, trust_policy: str, *statements: dict[str, Any], **more: Any) -> Any:
        role = self.write(lambda rows: make_role(rows, self.account_id, name, trust_policy, **more))
        if statements:
            self.write(lambda rows: give(rows, role.arn, *statements))
        return role

    def client(self, service: str, keys: dict[str, str], worker: int = 0) -> Any:
        return self.house.client(service, worker=worker, **keys)

    def root_client(self, service: str) -> Any:
        keys = {"aws_access_key_id": self.root.access_key_id, "aws_secret_access_key": self.root.secret}
        return self.client(service, keys)

    def sts(self, person: Person) -> Any:
        return self.client("sts", person.keys)


def new_place(house: House) -> Place:
    key = AccessKey("AKIA" + secrets.token_hex(8).upper(), secrets.token_hex(20))
    server_key = house.workers[0].gateway.services["sts"].ports.server_key

    def write(rows: Any) -> str:
        account = create_account(rows, f"place-{secrets.token_hex(4)}", now_ms=1, random=os.urandom)
        replace_root_key(rows, server_key, account, key, now_ms=1)
        return account.account_id

    return Place(house, house.workers[0].s3.db.write_now(write), key)


@pytest.fixture
def here(house: House) -> Place:
    return new_place(house)


@pytest.fixture
def there(house: House) -> Place:
    return new_place(house)


def keys_of(credentials: dict[str, Any]) -> dict[str, str]:
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }


def assume(sts: Any, role: Any, **more: Any) -> dict[str, str]:
    return keys_of(sts.assume_role(RoleArn=role.arn, RoleSessionName="work", **more)["Credentials"])


def names_account(place: Place) -> str:
    return trust({"AWS": root_arn(place.account_id)})


# --- who is who


def test_users_and_sessions_are_told_who_they_are(here: Place) -> None:
    ann = here.user("ann", allow("sts:AssumeRole"), path="/team/")
    role = here.role("reader", names_account(here), path="/jobs/")
    who = here.sts(ann).get_caller_identity()
    assert (who["Arn"], who["UserId"], who["Account"]) == (ann.arn, ann.user_id, here.account_id)
    answer = here.sts(ann).assume_role(RoleArn=role.arn, RoleSessionName="work")
    session = here.client("sts", keys_of(answer["Credentials"])).get_caller_identity()
    arn = f"arn:aws:sts::{here.account_id}:assumed-role/reader/work"
    assert (session["Arn"], session["UserId"]) == (arn, f"{role.role_id}:work")
    assert answer["AssumedRoleUser"] == {"AssumedRoleId": f"{role.role_id}:work", "Arn": arn}
    assert answer["Credentials"]["AccessKeyId"].startswith("ASIA") and "PackedPolicySize" not in answer
    token = here.sts(ann).get_session_token()["Credentials"]
    assert here.client("sts", keys_of(token)).get_caller_identity()["Arn"] == ann.arn


def test_the_account_of_a_key_is_told_to_whom_a_policy_lets(here: Place) -> None:
    ann, bob = here.user("ann", allow("sts:GetAccessKeyInfo")), here.user("bob")
    wanted = {"AccessKeyId": bob.access_key.access_key_id}
    assert here.sts(ann).get_access_key_info(**wanted)["Account"] == here.account_id
    with refused("AccessDenied", 403):
        here.sts(bob).get_access_key_info(**wanted)
    with refused("ValidationError", 400):
        here.sts(ann).get_access_key_info(AccessKeyId="AKIANOBODYHASTHISKEY")


# --- who may take a role


def test_a_role_of_the_account_needs_trust_and_a_policy_or_trust_by_name(here: Place) -> None:
    ann, bob = here.user("ann", allow("sts:AssumeRole")), here.user("bob")
    by_account = here.role("by-account", names_account(here))
    by_name = here.role("by-name", trust({"AWS": bob.arn}))
    assume(here.sts(ann), by_account)
    assume(here.sts(bob), by_name)
    for person, role in ((bob, by_account), (ann, by_name)):
        with refused("AccessDenied", 403) as refusal:
            assume(here.sts(person), role)
        what = f"sts:AssumeRole on resource: {role.arn}"
        assert f"User: {person.arn} is not authorized to perform: {what}" in refusal.message


def test_a_role_of_another_account_needs_both_sides(here: Place, there: Place) -> None:
    ann, bob = here.user("ann", allow("sts:AssumeRole", "arn:aws:iam::*:role/open*")), here.user("bob")
    open_, shut = there.role("open", names_account(here)), there.role("open-not", names_account(there))
    named = there.role("open-to-bob", trust({"AWS": bob.arn}))
    assume(here.sts(ann), open_)
    absent = type("Absent", (), {"arn": f"arn:aws:iam::{there.account_id}:role/open-absent"})
    told = []
    for person, role in ((bob, open_), (ann, shut), (bob, named), (ann, absent)):
        with refused("AccessDenied", 403) as refusal:
            assume(here.sts(person), role)
        told.append(refusal.message.replace(person.arn, "P").replace(role.arn, "R"))
    assert set(told) == {"User: P is not authorized to perform: sts:AssumeRole on resource: R"}


def test_an_explicit_deny_wins_wherever_it_stands(here: Place) -> None:
    ann = here.user("ann", allow("sts:*"), deny("sts:AssumeRole", "*/secret"))
    bob = here.user("bob", allow("sts:*"))
    with refused("AccessDenied") as refusal:
        assume(here.sts(ann), here.role("secret", names_account(here)))
    assert "with an explicit deny in an identity-based policy" in refusal.message
    statement = {"Effect": "Deny", "Principal": {"AWS": bob.arn}, "Action": "*"}
    policy = json.loads(names_account(here))
    policy["Statement"].append(statement)
    with refused("AccessDenied") as refusal:
        assume(here.sts(bob), here.role("not-for-bob", json.dumps(policy)))
    assert "with an explicit deny in a role trust policy" in refusal.message


def test_a_root_takes_no_role(here: Place) -> None:
    role = here.role("any", trust({"AWS": "*"}))
    with refused("AccessDenied") as refusal:
        assume(here.root_client("sts"), role)
    assert "root accounts" in refusal.message


def test_an_external_id_must_be_the_one_that_was_agreed(here: Place, there: Place) -> None:
    ann = here.user("ann", allow("sts:AssumeRole"))
    condition = {"StringEquals": {"sts:ExternalId": "agreed"}}
    role = there.role("partner", trust({"AWS": here.account_id}, **condition))
    assume(here.sts(ann), role, ExternalId="agreed")
    for given in ({}, {"ExternalId": "other"}):
        with refused("AccessDenied"):
            assume(here.sts(ann), role, **given)


# --- what a session may do


def test_a_session_has_what_its_role_has_and_no_more(here: Place) -> None:
    ann = here.user("ann", allow("sts:AssumeRole"), allow("s3:*"))
    role = here.role("maker", names_account(here), allow("s3:CreateBucket"), allow("s3:ListAllMyBuckets"))
    s3 = here.client("s3", assume(here.sts(ann), role))
    name = f"maker-{secrets.token_hex(4)}"
    s3.create_bucket(Bucket=name)
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == [name]
    with refused("AccessDenied", 403) as refusal:
        s3.put_object(Bucket=name, Key="k", Body=b"x")
    who = f"arn:aws:sts::{here.account_id}:assumed-role/maker/work"
    assert refusal.message == (
        f'User: {who} is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::{name}/k" '
        "because no identity-based policy allows the s3:PutObject action"
    )


def test_session_policies_only_narrow(here: Place) -> None:
    ann = here.user("ann", allow("sts:AssumeRole"))
    role = here.role("all", names_account(here), allow("s3:*"))
    reading = document(allow("s3:List*"))
    answer = here.sts(ann).assume_role(RoleArn=role.arn, RoleSessionName="work", Policy=reading)
    assert 0 < answer["PackedPolicySize"] <= 100
    s3 = here.client("s3", keys_of(answer["Credentials"]))
    s3.list_buckets()
    with refused("AccessDenied") as refusal:
        s3.create_bucket(Bucket="narrowed-away")
    assert "because no session policy allows the s3:CreateBucket action" in refusal.message
    wide = here.client("kms", assume(here.sts(ann), role, Policy=document(allow("*"))))
    with refused("AccessDeniedException"):
        wide.list_keys()


def managed(place: Place, name: str, *statements: dict[str, Any]) -> str:
    arn = f"arn:aws:iam::{place.account_id}:policy/{name}"
    row = identities.ManagedPolicyRow(arn, f"ANPA{name.upper()}", place.account_id, name, "/", 1, 1)
    place.write(lambda rows: identities.create_managed_policy(rows, row, document(*statements)))
    return arn


def test_managed_session_policies_narrow_as_they_stand_now(here: Place, there: Place) -> None:
    ann = here.user("ann", allow("sts:AssumeRole"))
    role = here.role("all", names_account(here), allow("s3:*"))
    arn = managed(here, "listing", allow("s3:List*"))
    s3 = here.client("s3", assume(here.sts(ann), role, PolicyArns=[{"arn": arn}]))
    s3.list_buckets()
    with refused("AccessDenied"):
        s3.create_bucket(Bucket="narrowed-away")
    here.write(lambda rows: identities.delete_managed_policy(rows, arn))
    with refused("AccessDenied"):
        s3.list_buckets()
    for wrong in (arn, managed(there, "foreign", allow("*"))):
        with refused("ValidationError", 400):
            assume(here.sts(ann), role, PolicyArns=[{"arn": wrong}])


def test_a_policy_that_names_the_session_itself_is_not_narrowed(here: Place) -> None:
    ann = here.user("ann", allow("sts:AssumeRole"))
    role = here.role("none", names_account(here))
    name = f"open-{secrets.token_hex(4)}"
    s3 = here.root_client("s3")
    s3.create_bucket(Bucket=name)
    session_arn = f"arn:aws:sts::{here.account_id}:assumed-role/none/work"
    for principal, policy, allowed in (
        (session_arn, document(allow("kms:*")), True),
        (role.arn, document(allow("kms:*")), False),
        (role.arn, None, True),
        (here.account_id, None, False),
    ):
        statement = allow("s3:ListBucket", f"arn:aws:s3:::{name}") | {"Principal": {"AWS": principal}}
        s3.put_bucket_policy(Bucket=name, Policy=document(statement))
        session = here.client("s3", assume(here.sts(ann), role, **({"Policy": policy} if policy else {})), worker=1)
        if allowed:
            session.list_objects_v2(Bucket=name)
        else:
            with refused("AccessDenied"):
                session.list_objects_v2(Bucket=name)


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ("no json", "MalformedPolicyDocument"),
        (document(allow("s3:*") | {"Principal": "*"}), "MalformedPolicyDocument"),
        (document(*(allow("s3:*", f"arn:aws:s3:::{n:040}") for n in range(60))), "PackedPolicyTooLarge"),
    ],
    ids=["no json", "with a principal", "too long"],
)
def test_a_session_policy_must_be_one(here: Place, policy: str, code: str) -> None:
    ann = here.user("ann", allow("sts:AssumeRole"))
    with refused(code, 400):
        assume(here.sts(ann), here.role("any", names_account(here)), Policy=policy)


# --- tags and source identity


def test_session_tags_need_leave_and_become_tags_of_the_principal(here: Place) -> None:
    ann = here.user("ann", allow("sts:*"), tags={"team": "red"})
    condition = {"StringEquals": {"aws:RequestTag/team": "${aws:PrincipalTag/team}"}}
    trusting = trust({"AWS": ann.arn}, ["sts:AssumeRole", "sts:TagSession"], **condition)
    making = allow("s3:CreateBucket", "arn:aws:s3:::${aws:PrincipalTag/team}-*")
    tagging = here.role("tagging", trusting, making, tags={"team": "of-role"})
    untagged = here.role("untagged", trust({"AWS": ann.arn}))
    s3 = here.client("s3", assume(here.sts(ann), tagging, Tags=[{"Key": "team", "Value": "red"}]))
    suffix = secrets.token_hex(4)
    s3.create_bucket(Bucket=f"red-{suffix}")
    with refused("AccessDenied"):
        s3.create_bucket(Bucket=f"of-role-{suffix}")
    for role, value in ((tagging, "blue"), (untagged, "red")):
        with refused("AccessDenied"):
            assume(here.sts(ann), role, Tags=[{"Key": "team", "Value": value}])


def test_transitive_tags_and_source_identity_pass_on_unchanged(here: Place) -> None:
    ann = here.user("ann", allow("sts:*"))
    every = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    first = here.role("first", trust({"AWS": here.account_id}, every), allow("sts:*"))
    condition = {"StringEquals": {"aws:RequestTag/team": "red", "aws:SourceIdentity": "ann"}}
    second = here.role("second", trust({"AWS": here.account_id}, every, **condition))
    given = {"Tags": [{"Key": "team", "Value": "red"}, {"Key": "once", "Value": "x"}], "TransitiveTagKeys": ["team"]}
    sts = here.client("sts", assume(here.sts(ann), first, SourceIdentity="ann", **given))
    assert sts.assume_role(RoleArn=second.arn, RoleSessionName="work")["SourceIdentity"] == "ann"
    with refused("InvalidParameterValue", 400):
        assume(sts, second, Tags=[{"Key": "TEAM", "Value": "blue"}])
    with refused("AccessDenied"):
        assume(sts, second, SourceIdentity="bob")
    with refused("InvalidParameterValue", 400):
        assume(here.sts(ann), first, TransitiveTagKeys=["team"])


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([("a", "1"), ("A", "2")], "InvalidParameterValue"),
        ([("aws:team", "1")], "InvalidParameterValue"),
        ([("a", "<")], "ValidationError"),
        ([(os.urandom(60).hex(), os.urandom(120).hex()) for _ in range(40)], "PackedPolicyTooLarge"),
    ],
    ids=["twice", "reserved", "character", "too much"],
)
def test_session_tags_must_be_tags(here: Place, tags: list[tuple[str, str]], code: str) -> None:
    ann = here.user("ann", allow("sts:*"))
    role = here.role("any", trust({"AWS": ann.arn}, ["sts:AssumeRole", "sts:TagSession"]))
    with refused(code, 400):
        assume(here.sts(ann), role, Tags=[{"Key": name, "Value": value} for name, value in tags])


# --- how long


def expires_in_s(answer: dict[str, Any]) -> float:
    seconds: float = (answer["Credentials"]["Expiration"] - datetime.now(UTC)).total_seconds()
    return seconds


def test_a_session_lasts_as_long_as_was_asked_and_the_role_lets(here: Place) -> None:
    ann = here.user("ann", allow("sts:*"))
    role = here.role("long", names_account(here), allow("sts:*"), max_session_duration=7200)
    sts = here.sts(ann)
    for asked, lasts_s in (({}, 3600), ({"DurationSeconds": 900}, 900), ({"DurationSeconds": 7200}, 7200)):
        answer = sts.assume_role(RoleArn=role.arn, RoleSessionName="work", **asked)
        assert lasts_s - 60 < expires_in_s(answer) <= lasts_s
    with refused("ValidationError", 400):
        assume(sts, role, DurationSeconds=7201)
    chained = here.client("sts", assume(sts, role))
    assume(chained, role, DurationSeconds=3600)
    with refused("ValidationError", 400):
        assume(chained, role, DurationSeconds=3601)
    assert 43_100 < expires_in_s(sts.get_session_token()) <= 43_200
    assert expires_in_s(here.root_client("sts").get_session_token(DurationSeconds=129_600)) <= 3600


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [("s3", "ExpiredToken", 400), ("kms", "ExpiredTokenException", 400), ("sts", "ExpiredToken", 403)],
)
def test_an_expired_token_is_refused_in_the_words_of_each_service(
    here: Place, monkeypatch: pytest.MonkeyPatch, service: str, code: str, status: int
) -> None:
    ann = here.user("ann", allow("*"))
    role = here.role("any", names_account(here), allow("*"))
    client = here.client(service, assume(here.sts(ann), role, DurationSeconds=900), worker=1)
    ask = {"s3": "list_buckets", "kms": "list_keys", "sts": "get_caller_identity"}[service]
    getattr(client, ask)()
    gateway = here.house.workers[1].gateway
    later = gateway.now_ms() + 900_001
    monkeypatch.setattr(type(gateway), "now_ms", property(lambda _: lambda: later), raising=False)
    with refused(code, status):
        getattr(client, ask)()


# --- the end


ENDS: dict[str, Callable[[Any, Any, Person], None]] = {
    "the role is deleted": lambda rows, role, ann: identities.delete_identity(rows, role.arn),
    "its policy is taken away": lambda rows, role, ann: take(rows, role.arn),
    "sessions begun so far are revoked": lambda rows, role, ann: give(
        rows, role.arn, deny("*", Condition={"DateLessThan": {"aws:TokenIssueTime": "2100-01-01T00:00:00Z"}}),
        name="AWSRevokeOlderSessions",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ENDS)
def test_a_session_ends_at_once_on_every_worker(here: Place, what: str) -> None:
    ann = here.user("ann", allow("sts:*"))
    role = here.role("any", names_account(here), allow("s3:ListAllMyBuckets"))
    keys = assume(here.sts(ann), role)
    clients = [here.client("s3", keys, worker) for worker in (0, 1)]
    for client in clients:
        client.list_buckets()
    here.write(lambda rows: ENDS[what](rows, role, ann))
    for client in clients:
        with refused("InvalidAccessKeyId" if what == "the role is deleted" else "AccessDenied", 403):
            client.list_buckets()


def test_a_namesake_of_a_deleted_role_does_not_inherit_its_sessions(here: Place) -> None:
    ann = here.user("ann", allow("sts:*"))
    role = here.role("again", names_account(here), allow("s3:*"))
    s3 = here.client("s3", assume(here.sts(ann), role))
    s3.list_buckets()
    here.write(lambda rows: identities.delete_identity(rows, role.arn))
    here.role("again", names_account(here), allow("s3:*"))
    with refused("InvalidAccessKeyId", 403):
        s3.list_buckets()


@pytest.mark.parametrize("what", ["deactivated", "deleted", "replaced"])
def test_a_session_token_does_not_outlive_the_key_that_asked_for_it(here: Place, what: str) -> None:
    ann = here.user("ann", allow("s3:*"))
    keys = keys_of(here.sts(ann).get_session_token()["Credentials"])
    clients = [here.client("s3", keys, worker) for worker in (0, 1)]
    for client in clients:
        client.list_buckets()
    key_id = ann.access_key.access_key_id

    def end(rows: Any) -> None:
        row = accounts.find_access_key(rows, key_id)
        assert row is not None
        if what == "deactivated":
            accounts.put_access_key_status(rows, key_id, "Inactive")
            return
        accounts.delete_access_key(rows, key_id)
        if what == "replaced":
            fresh = accounts.AccessKeyRow(key_id, row.account_id, row.principal_arn, os.urandom(60), "Active", 2)
            accounts.create_access_key(rows, fresh)

    here.write(end)
    for client in clients:
        with refused("InvalidAccessKeyId", 403):
            client.list_buckets()


def test_session_tokens_do_little_with_identities_and_sts(here: Place) -> None:
    ann = here.user("ann", allow("*"))
    role = here.role("any", names_account(here))
    sts = here.client("sts", keys_of(here.sts(ann).get_session_token()["Credentials"]))
    sts.get_caller_identity()
    assume(sts, role)
    for ask in (sts.get_session_token, lambda: sts.get_access_key_info(AccessKeyId="A" * 20)):
        with refused("AccessDenied", 403):
            ask()
    with refused("AccessDenied", 403):
        here.client("sts", assume(here.sts(ann), role)).get_session_token()


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [("s3", "InvalidToken", 400), ("kms", "UnrecognizedClientException", 400), ("sts", "InvalidClientTokenId", 403)],
)
def test_a_token_goes_with_its_key_alone(here: Place, service: str, code: str, status: int) -> None:
    ann = here.user("ann", allow("*"))
    role = here.role("any", names_account(here), allow("*"))
    one, other = assume(here.sts(ann), role), assume(here.sts(ann), role)
    ask = {"s3": "list_buckets", "kms": "list_keys", "sts": "get_caller_identity"}[service]
    for wrong in (
        one | {"aws_session_token": other["aws_session_token"]},
        one | {"aws_session_token": one["aws_session_token"][:-8] + "AAAAAAA="},
        ann.keys | {"aws_session_token": one["aws_session_token"]},
    ):
        with refused(code, status):
            getattr(here.client(service, wrong), ask)()
    bare = {name: value for name, value in one.items() if name != "aws_session_token"}
    with refused({"s3": "InvalidAccessKeyId"}.get(service, code)):
        getattr(here.client(service, bare), ask)()


def test_what_a_session_has_not_is_refused_and_not_ignored(here: Place) -> None:
    ann = here.user("ann", allow("sts:*"))
    role = here.role("any", names_account(here))
    sts = here.sts(ann)
    with refused("AccessDenied"):
        assume(sts, role, SerialNumber="arn:aws:iam::1:mfa/x", TokenCode="123456")
    with refused("AccessDenied"):
        sts.get_session_token(SerialNumber="arn:aws:iam::1:mfa/x", TokenCode="123456")
    provided = {"ProviderArn": "arn:aws:iam::aws:contextProvider/x", "ContextAssertion": "xxxx"}
    with refused("ValidationError"):
        assume(sts, role, ProvidedContexts=[provided])
    least = {"MinimumSessionTokenSize": 4000}
    if "MinimumSessionTokenSize" in sts.meta.service_model.operation_model("AssumeRole").input_shape.members:
        keys = assume(sts, role, **least)
        assert len(keys["aws_session_token"]) >= 4000
        here.client("sts", keys).get_caller_identity()
