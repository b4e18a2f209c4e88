"""Temporary credentials by boto3 on a server of three workers: how each kind is got, what it may do, and that whatever
ends it ends it at once on every worker."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.config import Config

from support.oidc_provider import OidcProvider, oidc_provider
from support.people import allow, document, trust
from support.server_process import ServerProcess
from support.settings import NO_RETRIES, new_account, new_bucket, refused

pytestmark = pytest.mark.client("boto3")
LIST = allow("s3:ListAllMyBuckets")
Keys = dict[str, str]


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    with oidc_provider(tmp_path_factory.mktemp("provider")) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, provider: OidcProvider) -> Iterator[ServerProcess]:
    """Three workers, which trust the provider's CA."""
    running = ServerProcess(tmp_path_factory.mktemp("server"), ("--workers", "3"), provider.environ).start()
    yield running
    running.stop()
    assert running.log_events("unforeseen") == []


@pytest.fixture
def iam(server: ServerProcess) -> Any:
    return server.client("iam")


@pytest.fixture(scope="module")
def account_id(server: ServerProcess) -> str:
    return str(server.client("sts").get_caller_identity()["Account"])


def name(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(4)}"


class User:
    """A user of the operator's account with a key, and its clients."""

    def __init__(self, server: ServerProcess, *statements: dict[str, Any]) -> None:
        self.server, self.iam, self.name = server, server.client("iam"), name("user")
        self.arn = self.iam.create_user(UserName=self.name)["User"]["Arn"]
        if statements:
            self.iam.put_user_policy(UserName=self.name, PolicyName="p", PolicyDocument=document(*statements))
        made = self.iam.create_access_key(UserName=self.name)["AccessKey"]
        self.access_key_id = made["AccessKeyId"]
        self.keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}

    def client(self, service: str) -> Any:
        return self.server.client(service, config=NO_RETRIES, **self.keys)

    def assume(self, role_arn: str, **more: Any) -> Keys:
        return keys_of(self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="work", **more))


def keys_of(answer: Any) -> Keys:
    held = answer["Credentials"]
    return {
        "aws_access_key_id": held["AccessKeyId"],
        "aws_secret_access_key": held["SecretAccessKey"],
        "aws_session_token": held["SessionToken"],
    }


def new_role(iam: Any, trust_policy: str, *statements: dict[str, Any], **more: Any) -> str:
    role = name("role")
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust_policy, **more)["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=document(*statements))
    return str(made)


class Everywhere:
    """Clients that together meet every worker."""

    def __init__(self, server: ServerProcess, service: str, keys: Keys) -> None:
        self._clients = server.clients_on_every_worker(service, config=NO_RETRIES, **keys)

    def does(self, act: Callable[[Any], Any]) -> None:
        for client in self._clients:
            act(client)

    def is_refused(self, code: str, status: int, act: Callable[[Any], Any]) -> None:
        for client in self._clients:
            with refused(code, status):
                act(client)


def list_buckets(s3: Any) -> Any:
    return s3.list_buckets()


# --- session tokens


def test_a_session_token_does_what_its_user_does_until_the_key_behind_it_goes(server, iam):
    ann = User(server, LIST)
    token = keys_of(ann.client("sts").get_session_token(DurationSeconds=900))
    s3 = Everywhere(server, "s3", token)
    s3.does(list_buckets)
    with refused("InvalidClientTokenId", 403):  # IAM takes no such credentials without a second factor
        server.client("iam", **token).list_users()
    with refused("AccessDenied", 403):
        server.client("sts", **token).get_session_token()
    iam.update_access_key(UserName=ann.name, AccessKeyId=ann.access_key_id, Status="Inactive")
    s3.is_refused("InvalidAccessKeyId", 403, list_buckets)
    iam.update_access_key(UserName=ann.name, AccessKeyId=ann.access_key_id, Status="Active")
    s3.does(list_buckets)
    iam.delete_access_key(UserName=ann.name, AccessKeyId=ann.access_key_id)
    s3.is_refused("InvalidAccessKeyId", 403, list_buckets)


# --- roles


def test_a_third_party_takes_a_role_with_the_external_id_that_was_agreed(server, iam, account_id):
    theirs = new_account(server)
    external = {"StringEquals": {"sts:ExternalId": "agreed"}}
    role = new_role(iam, trust({"AWS": theirs.account_id}, **external), LIST)
    their_iam, user = theirs.client(server, "iam"), name("user")
    their_iam.create_user(UserName=user)
    let = document(allow("sts:AssumeRole", role))
    their_iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=let)
    made = their_iam.create_access_key(UserName=user)["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    sts = server.client("sts", **keys)
    for wrong in ({}, {"ExternalId": "guessed"}):
        with refused("AccessDenied", 403):
            sts.assume_role(RoleArn=role, RoleSessionName="work", **wrong)
    held = keys_of(sts.assume_role(RoleArn=role, RoleSessionName="work", ExternalId="agreed"))
    server.client("s3", **held).list_buckets()
    who = server.client("sts", **held).get_caller_identity()
    assert (who["Account"], who["Arn"].rpartition("/")[2]) == (account_id, "work")
    assert ":assumed-role/" in who["Arn"]
    their_iam.delete_user_policy(UserName=user, PolicyName="p")  # one side alone is not enough
    with refused("AccessDenied", 403):
        sts.assume_role(RoleArn=role, RoleSessionName="work", ExternalId="agreed")


def test_a_session_policy_narrows_and_never_widens(server, iam, account_id):
    bucket = new_bucket(server)
    ann = User(server, allow("sts:AssumeRole"))
    role = new_role(
        iam, trust({"AWS": account_id}), allow(["s3:PutObject", "s3:GetObject"], f"arn:aws:s3:::{bucket}/*")
    )
    reader = server.client("s3", **ann.assume(role, Policy=document(allow(["s3:GetObject", "s3:List*"]))))
    server.client("s3", **ann.assume(role)).put_object(Bucket=bucket, Key="x", Body=b"x")
    assert reader.get_object(Bucket=bucket, Key="x")["Body"].read() == b"x"
    for act in (lambda: reader.put_object(Bucket=bucket, Key="y", Body=b"y"), reader.list_buckets):
        with refused("AccessDenied", 403):
            act()


def test_durations_are_bounded_and_a_chain_lasts_an_hour(server, iam, account_id):
    ann = User(server, allow("sts:AssumeRole"))
    first = new_role(iam, trust({"AWS": account_id}), allow("sts:AssumeRole"), MaxSessionDuration=7200)
    second = new_role(iam, trust({"AWS": first}), LIST, MaxSessionDuration=7200)
    sts = ann.client("sts")
    answer = sts.assume_role(RoleArn=first, RoleSessionName="work", DurationSeconds=7200)
    assert 7000 < answer["Credentials"]["Expiration"].timestamp() - time.time() <= 7200
    with refused("ValidationError", 400):
        sts.assume_role(RoleArn=first, RoleSessionName="work", DurationSeconds=7201)
    with refused("AccessDenied", 403):  # the second trusts the first alone
        sts.assume_role(RoleArn=second, RoleSessionName="work")
    chained = server.client("sts", config=NO_RETRIES, **keys_of(answer))
    with refused("ValidationError", 400):
        chained.assume_role(RoleArn=second, RoleSessionName="work", DurationSeconds=3601)
    held = keys_of(chained.assume_role(RoleArn=second, RoleSessionName="work", DurationSeconds=3600))
    server.client("s3", **held).list_buckets()


# What ends a session, and how the next request is then refused.
ENDS: dict[str, tuple[Callable[[Any, User, str], Any], str]] = {
    "its role's policy is taken": (
        lambda iam, _, role: iam.delete_role_policy(RoleName=role, PolicyName="p"),
        "AccessDenied",
    ),
    "its role is bounded": (
        lambda iam, _, role: iam.put_role_permissions_boundary(
            RoleName=role, PermissionsBoundary="arn:aws:iam::aws:policy/IAMFullAccess"
        ),
        "AccessDenied",
    ),
    "its role is deleted": (
        lambda iam, _, role: [iam.delete_role_policy(RoleName=role, PolicyName="p"), iam.delete_role(RoleName=role)],
        "InvalidAccessKeyId",
    ),
}


@pytest.mark.parametrize("what", ENDS)
def test_what_ends_a_session_ends_it_at_once_on_every_worker(server, iam, account_id, what):
    ann = User(server, allow("sts:AssumeRole"))
    role = new_role(iam, trust({"AWS": account_id}), LIST)
    s3 = Everywhere(server, "s3", ann.assume(role))
    s3.does(list_buckets)
    end, code = ENDS[what]
    end(iam, ann, role.rpartition("/")[2])
    s3.is_refused(code, 403, list_buckets)


# What keeps a user from taking a role any more, and the error that says so.
BARRED: dict[str, tuple[Callable[[Any, User, str], Any], str]] = {
    "the trust policy changes": (
        lambda iam, ann, role: iam.update_assume_role_policy(
            RoleName=role, PolicyDocument=trust({"AWS": ann.arn.split(":")[4]}, StringEquals={"aws:username": "other"})
        ),
        "AccessDenied",
    ),
    "the key is deactivated": (
        lambda iam, ann, _: iam.update_access_key(UserName=ann.name, AccessKeyId=ann.access_key_id, Status="Inactive"),
        "InvalidClientTokenId",
    ),
    "the user is deleted": (
        lambda iam, ann, _: [
            iam.delete_access_key(UserName=ann.name, AccessKeyId=ann.access_key_id),
            iam.delete_user_policy(UserName=ann.name, PolicyName="p"),
            iam.delete_user(UserName=ann.name),
        ],
        "InvalidClientTokenId",
    ),
}


@pytest.mark.parametrize("what", BARRED)
def test_what_bars_a_user_from_a_role_holds_at_once_on_every_worker(server, iam, account_id, what):
    ann = User(server, allow("sts:AssumeRole"))
    role = new_role(iam, trust({"AWS": account_id}), LIST)
    sts = Everywhere(server, "sts", ann.keys)

    def take(client: Any) -> Any:
        return client.assume_role(RoleArn=role, RoleSessionName="work")

    sts.does(take)
    held = server.client("s3", **ann.assume(role))
    bar, code = BARRED[what]
    bar(iam, ann, role.rpartition("/")[2])
    sts.is_refused(code, 403, take)
    held.list_buckets()  # a role's sessions outlive whoever took them


# --- web identities


@pytest.fixture
def web_role(iam: Any, provider: OidcProvider, account_id: str) -> Iterator[str]:
    """A role for `ann` of the provider, which is registered with the account for as long."""
    arn = iam.create_open_id_connect_provider(Url=provider.url, ClientIDList=["app"])["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{account_id}:oidc-provider/{provider.name}"
    who = {"StringEquals": {f"{provider.name}:sub": "ann", f"{provider.name}:aud": "app"}}
    yield new_role(iam, trust({"Federated": arn}, "sts:AssumeRoleWithWebIdentity", **who), LIST)
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)


@pytest.fixture
def anonymous(server: ServerProcess) -> Any:
    """Nobody's credentials, as a web identity has none yet."""
    unsigned = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1})
    return server.client("sts", config=unsigned)


def with_token(sts: Any, role: str, token: str, **more: Any) -> Any:
    return sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="web", WebIdentityToken=token, **more)


def test_a_web_identity_takes_the_role_that_trusts_its_provider(server, provider, anonymous, web_role):
    answer = with_token(anonymous, web_role, provider.token())
    assert (answer["SubjectFromWebIdentityToken"], answer["Audience"]) == ("ann", "app")
    Everywhere(server, "s3", keys_of(answer)).does(list_buckets)
    narrowed = with_token(anonymous, web_role, provider.token(), Policy=document(allow("s3:GetObject")))
    with refused("AccessDenied", 403):
        server.client("s3", **keys_of(narrowed)).list_buckets()


TOKENS: dict[str, tuple[dict[str, Any], str, int]] = {
    "of somebody else": ({"sub": "bob"}, "AccessDenied", 403),
    "for another application": ({"aud": "elsewhere"}, "InvalidIdentityToken", 400),
    "of another issuer": ({"iss": "https://127.0.0.1:1"}, "InvalidIdentityToken", 400),
    "expired": ({"exp": int(time.time()) - 10}, "ExpiredTokenException", 400),
    "without subject": ({"sub": None}, "InvalidIdentityToken", 400),
}


@pytest.mark.parametrize("what", TOKENS)
def test_a_token_that_is_not_right_gets_nothing(provider, anonymous, web_role, what):
    claims, code, status = TOKENS[what]
    with refused(code, status):
        with_token(anonymous, web_role, provider.token(**claims))


def test_a_token_of_keys_that_the_provider_has_not_is_refused(provider, anonymous, web_role, tmp_path):
    forged = OidcProvider(tmp_path, provider.url)
    forged.new_key("one")
    with refused("InvalidIdentityToken", 400):
        with_token(anonymous, web_role, forged.token())


def test_a_provider_that_is_taken_away_lets_nobody_in_on_any_worker(server, iam, provider, account_id):
    arn = iam.create_open_id_connect_provider(Url=provider.url, ClientIDList=["app"])["OpenIDConnectProviderArn"]
    role = new_role(iam, trust({"Federated": arn}, "sts:AssumeRoleWithWebIdentity"), LIST)
    sts = Everywhere(server, "sts", User(server).keys)
    sts.does(lambda client: with_token(client, role, provider.token()))
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="app")
    sts.is_refused("InvalidIdentityToken", 400, lambda client: with_token(client, role, provider.token()))
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    sts.is_refused("InvalidIdentityToken", 400, lambda client: with_token(client, role, provider.token()))
    assert {"/.well-known/openid-configuration", "/keys"} == set(provider.asked)


# --- policies that may not be


NOBODY = "arn:aws:iam::{account_id}:user/nobody"
LONG = "a" * 2048


def put_key_policy(kms: Any, text: str) -> Any:
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    return kms.put_key_policy(KeyId=key_id, Policy=text)


# What is wrong -> the service, what is done with the text, the text, the error.
BAD_POLICIES: dict[str, tuple[str, Callable[[Any, str], Any], str, str, int]] = {
    "a user's that is no JSON": (
        "iam", lambda iam, text: iam.create_policy(PolicyName=name("p"), PolicyDocument=text),
        "{", "MalformedPolicyDocument", 400,
    ),
    "a user's that is too long": (
        "iam", lambda iam, text: iam.create_policy(PolicyName=name("p"), PolicyDocument=text),
        document(allow("s3:GetObject", f"arn:aws:s3:::{LONG * 3}")), "LimitExceeded", 409,
    ),
    "a trust in nobody": (
        "iam", lambda iam, text: iam.create_role(RoleName=name("r"), AssumeRolePolicyDocument=text),
        trust({"AWS": NOBODY}), "MalformedPolicyDocument", 400,
    ),
    "a trust that is too long": (
        "iam", lambda iam, text: iam.create_role(RoleName=name("r"), AssumeRolePolicyDocument=text),
        trust("*", StringEquals={"sts:ExternalId": LONG}), "LimitExceeded", 409,
    ),
    "a key's that names nobody": (
        "kms", put_key_policy, document({"Effect": "Allow", "Principal": {"AWS": NOBODY}, "Action": "kms:*",
        "Resource": "*"}), "MalformedPolicyDocumentException", 400,
    ),
    "a key's that locks everybody out": (
        "kms", put_key_policy, document({"Effect": "Allow", "Principal": {"AWS": "{account_id}"},
        "Action": "kms:Encrypt", "Resource": "*"}), "MalformedPolicyDocumentException", 400,
    ),
    "a key's that is too long": (
        "kms", put_key_policy, document({"Effect": "Allow", "Principal": {"AWS": "{account_id}"},
        "Action": "kms:*", "Resource": "*", "Sid": "a" * 32768}), "LimitExceededException", 400,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD_POLICIES)
def test_a_policy_that_may_not_be_is_refused_in_the_services_words(server, account_id, what):
    service, act, text, code, status = BAD_POLICIES[what]
    with refused(code, status):
        act(server.client(service), text.replace("{account_id}", account_id))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*"}}),
         "MalformedPolicyDocument"),
        (document(allow("s3:GetObject", f"arn:aws:s3:::{LONG}")), "PackedPolicyTooLarge"),
        (document(allow("s3:GetObject", Principal="*")), "MalformedPolicyDocument"),
    ],
    ids=["no resource", "too long", "a principal"],
)  # fmt: skip
def test_a_session_policy_that_may_not_be_gives_no_session(server, iam, account_id, text, code):
    ann = User(server, allow("sts:AssumeRole"))
    role = new_role(iam, trust({"AWS": account_id}), LIST)
    with refused(code, 400):
        ann.assume(role, Policy=text)
