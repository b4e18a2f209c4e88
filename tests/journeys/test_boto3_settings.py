"""boto3 on what buckets are set to: versions, tags, policies, CORS, public access, and what AWS answers where nothing
is set."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest
from botocore import UNSIGNED
from botocore.config import Config

from support.settings import new_account, new_bucket, own_api, put_policy, refused

pytestmark = pytest.mark.client("boto3")


def test_versions_are_kept_hidden_and_removed(s3, bucket):
    first = s3.put_object(Bucket=bucket, Key="key", Body=b"before versions")
    assert "VersionId" not in first
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    one = s3.put_object(Bucket=bucket, Key="key", Body=b"one")["VersionId"]
    two = s3.put_object(Bucket=bucket, Key="key", Body=b"two")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="key")
    assert marker["DeleteMarker"] is True
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="key")
    for version, content in ((one, b"one"), (two, b"two"), ("null", b"before versions")):
        assert s3.get_object(Bucket=bucket, Key="key", VersionId=version)["Body"].read() == content
    with refused("MethodNotAllowed", 405):
        s3.get_object(Bucket=bucket, Key="key", VersionId=marker["VersionId"])
    listed = s3.list_object_versions(Bucket=bucket)
    assert [entry["VersionId"] for entry in listed["Versions"]] == [two, one, "null"]
    assert [entry["IsLatest"] for entry in listed["DeleteMarkers"]] == [True]
    s3.delete_object(Bucket=bucket, Key="key", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"two"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.put_object(Bucket=bucket, Key="key", Body=b"null again")
    assert s3.get_object(Bucket=bucket, Key="key", VersionId="null")["Body"].read() == b"null again"
    objects = [{"Key": "key", "VersionId": version} for version in (one, two, "null")]
    assert len(s3.delete_objects(Bucket=bucket, Delete={"Objects": objects})["Deleted"]) == 3
    s3.delete_bucket(Bucket=bucket)


def test_tags_of_objects_and_buckets(s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Tagging="a=1&b=%20two")
    assert s3.head_object(Bucket=bucket, Key="key")["TagCount"] == 2
    tags = [{"Key": "c", "Value": "ü"}]
    s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": tags})
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == tags
    s3.delete_object_tagging(Bucket=bucket, Key="key")
    assert s3.get_object_tagging(Bucket=bucket, Key="key")["TagSet"] == []
    with refused("BadRequest", 400):
        many = [{"Key": str(number), "Value": ""} for number in range(11)]
        s3.put_object_tagging(Bucket=bucket, Key="key", Tagging={"TagSet": many})
    with refused("NoSuchTagSet", 404):
        s3.get_bucket_tagging(Bucket=bucket)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags


def test_what_is_not_set_answers_as_on_aws(s3, bucket):
    empty = {
        "get_bucket_logging": "LoggingEnabled",
        "get_bucket_accelerate_configuration": "Status",
        "get_bucket_notification_configuration": "QueueConfigurations",
        "get_bucket_versioning": "Status",
    }
    for call, member in empty.items():
        assert member not in getattr(s3, call)(Bucket=bucket)
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    absent = {
        "get_bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
        "get_bucket_website": "NoSuchWebsiteConfiguration",
        "get_bucket_replication": "ReplicationConfigurationNotFoundError",
        "get_object_lock_configuration": "ObjectLockConfigurationNotFoundError",
        "get_bucket_cors": "NoSuchCORSConfiguration",
        "get_bucket_policy": "NoSuchBucketPolicy",
    }
    for call, code in absent.items():
        with refused(code, 404):
            getattr(s3, call)(Bucket=bucket)
    grants = s3.get_bucket_acl(Bucket=bucket)
    assert [one["Permission"] for one in grants["Grants"]] == ["FULL_CONTROL"]
    assert grants["Grants"][0]["Grantee"]["ID"] == grants["Owner"]["ID"]
    with refused("AccessControlListNotSupported", 400):
        s3.put_object(Bucket=bucket, Key="key", ACL="public-read")
    with refused("NotImplemented", 501):
        s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"})


def test_locked_versions_outlive_deletes_until_the_lock_gives_way(any_server, s3):
    bucket, until = f"locked-{secrets.token_hex(6)}", datetime(2099, 1, 1, tzinfo=UTC)
    s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    default = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=default)
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == default
    with refused("InvalidBucketState", 409):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    version = {"Bucket": bucket, "Key": "key", "VersionId": s3.put_object(Bucket=bucket, Key="key")["VersionId"]}
    retention = {"Mode": "GOVERNANCE", "RetainUntilDate": until}
    s3.put_object_retention(Retention=retention, **version)
    assert s3.get_object_retention(**version)["Retention"] == retention
    s3.put_object_legal_hold(LegalHold={"Status": "ON"}, **version)
    with refused("MalformedXML", 400):
        s3.put_object_legal_hold(LegalHold={"Status": "on"}, **version)
    with refused("MalformedXML", 400):
        s3.put_object_retention(Retention={"Mode": "governance", "RetainUntilDate": until}, **version)
    shown = s3.head_object(**version)
    assert (shown["ObjectLockMode"], shown["ObjectLockRetainUntilDate"]) == ("GOVERNANCE", until)
    assert shown["ObjectLockLegalHoldStatus"] == "ON"
    s3.delete_object(Bucket=bucket, Key="key")
    with refused("AccessDenied", 403):
        s3.delete_object(BypassGovernanceRetention=True, **version)
    s3.put_object_legal_hold(LegalHold={"Status": "OFF"}, **version)
    named = {"Objects": [{"Key": "key", "VersionId": version["VersionId"]}]}
    assert s3.delete_objects(Bucket=bucket, Delete=named)["Errors"][0]["Code"] == "AccessDenied"
    assert s3.get_object(**version)["Body"].read() == b""
    assert "Errors" not in s3.delete_objects(Bucket=bucket, Delete=named, BypassGovernanceRetention=True)
    with refused("InvalidArgument", 400):
        s3.put_object(Bucket=bucket, Key="key", ObjectLockMode="COMPLIANCE")


def test_lifecycle_rules_are_kept_and_announced(s3, bucket):
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    rules = [
        {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 1}},
        {"ID": "date", "Status": "Disabled", "Filter": {}, "Expiration": {"Date": datetime(2030, 1, 1, tzinfo=UTC)}},
        {"ID": "all", "Status": "Enabled", "Filter": {"And": {"Prefix": "x", "Tags": tags}}, "Expiration": {"Days": 9}},
        {
            "ID": "rest",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 2},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        },
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules
    assert 'rule-id="logs"' in s3.put_object(Bucket=bucket, Key="logs/a")["Expiration"]
    assert 'rule-id="logs"' in s3.head_object(Bucket=bucket, Key="logs/a")["Expiration"]
    assert s3.create_multipart_upload(Bucket=bucket, Key="upload")["AbortRuleId"] == "rest"
    unlike = {"Rules": [{"ID": "one", "Status": "on", "Filter": {}, "Expiration": {"Days": 1}}]}
    with refused("MalformedXML", 400):
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=unlike)
    moved = {"Status": "Enabled", "Filter": {}, "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}
    with refused("NotImplemented", 501):
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [moved]})
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with refused("NoSuchLifecycleConfiguration", 404):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert "Expiration" not in s3.head_object(Bucket=bucket, Key="logs/a")


def test_a_public_bucket_takes_lifting_the_block_and_a_policy(any_server, s3, bucket):
    anyone = any_server.client(config=Config(signature_version=UNSIGNED))
    s3.put_object(Bucket=bucket, Key="key", Body=b"public")
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    with refused("AccessDenied", 403):
        put_policy(s3, bucket, statement)
    s3.delete_public_access_block(Bucket=bucket)
    put_policy(s3, bucket, statement)
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True
    assert anyone.get_object(Bucket=bucket, Key="key")["Body"].read() == b"public"
    with refused("AccessDenied", 403):
        anyone.list_objects_v2(Bucket=bucket)
    with refused("AccessDenied", 403):
        anyone.put_object(Bucket=bucket, Key="key", Body=b"changed")
    s3.delete_bucket_policy(Bucket=bucket)
    with refused("AccessDenied", 403):
        anyone.get_object(Bucket=bucket, Key="key")


def test_a_policy_can_demand_tls_and_a_mode(standing_server, standing_tls_server):
    for server, secure in ((standing_server, False), (standing_tls_server, True)):
        s3 = server.client()
        bucket = new_bucket(server)
        everything = {"Effect": "Deny", "Principal": "*", "Resource": f"arn:aws:s3:::{bucket}/*"}
        put_policy(
            s3,
            bucket,
            everything | {"Action": "s3:GetObject", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            everything
            | {
                "Action": "s3:PutObject",
                "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}},
            },
        )
        with refused("AccessDenied", 403):
            s3.put_object(Bucket=bucket, Key="key", Body=b"no header")
        with refused("AccessDenied", 403):
            s3.put_object(Bucket=bucket, Key="key", Body=b"another", ServerSideEncryption="AES256")
        s3.put_object(Bucket=bucket, Key="key", Body=b"as demanded", ServerSideEncryption="aws:kms")
        if secure:
            assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"as demanded"
        else:
            with refused("AccessDenied", 403):
                s3.get_object(Bucket=bucket, Key="key")


def test_cors_answers_browsers(standing_server):
    s3 = standing_server.client()
    bucket = new_bucket(standing_server)
    rule = {
        "AllowedOrigins": ["https://*.example.org"],
        "AllowedMethods": ["GET", "PUT"],
        "AllowedHeaders": ["x-*"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": 60,
    }
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == [rule]

    def ask(origin: str, method: str) -> tuple[int, str | None]:
        headers = {"Origin": origin, "Access-Control-Request-Method": method}
        asked = urllib.request.Request(f"{standing_server.endpoint}/{bucket}/key", headers=headers, method="OPTIONS")
        try:
            with urllib.request.urlopen(asked) as answer:
                return answer.status, answer.headers["Access-Control-Allow-Origin"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None

    assert ask("https://app.example.org", "PUT") == (200, "https://app.example.org")
    assert ask("https://app.example.org", "DELETE") == (403, None)
    assert ask("https://example.com", "GET") == (403, None)


def test_accounts_share_names_of_buckets_and_nothing_else(any_server, s3, bucket):
    account = new_account(any_server)
    assert account.account_id in [one["account_id"] for one in own_api(any_server, "ListAccounts")["accounts"]]
    theirs = account.client(any_server)
    identity = account.client(any_server, "sts").get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (account.account_id, account.root_arn)
    assert theirs.list_buckets()["Buckets"] == []
    with refused("BucketAlreadyExists", 409):
        theirs.create_bucket(Bucket=bucket)
    with refused("AccessDenied", 403):
        theirs.list_objects_v2(Bucket=bucket)
    with refused("403", 403):
        theirs.head_bucket(Bucket=bucket)
    shared = {
        "Effect": "Allow",
        "Principal": {"AWS": account.account_id},
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": f"arn:aws:s3:::{bucket}/shared/*",
    }
    put_policy(s3, bucket, shared)
    theirs.put_object(Bucket=bucket, Key="shared/key", Body=b"from theirs", ExpectedBucketOwner=_me(any_server))
    assert theirs.get_object(Bucket=bucket, Key="shared/key")["Body"].read() == b"from theirs"
    with refused("AccessDenied", 403):
        theirs.get_object(Bucket=bucket, Key="shared/key", ExpectedBucketOwner=account.account_id)
    with refused("AccessDenied", 403):
        theirs.put_object(Bucket=bucket, Key="elsewhere")
    with refused("AccessDenied", 403):
        theirs.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [shared]}))


def test_only_the_operator_may_use_our_own_api(any_server):
    account = new_account(any_server)
    any_server_of_theirs = _Credentials(any_server, account)
    with pytest.raises(urllib.error.HTTPError) as caught:
        own_api(any_server_of_theirs, "ListAccounts")
    with caught.value as error:
        assert (error.code, json.load(error)["error"]["code"]) == (403, "AccessDenied")


def test_a_reset_of_a_root_ends_its_old_access_key(any_server):
    account = new_account(any_server)
    bucket = new_bucket(any_server, owner=account.client(any_server))
    made = own_api(any_server, "ResetAccountRoot", account=account.account_id)
    with refused("InvalidAccessKeyId", 403):
        account.client(any_server).list_buckets()
    keys = {"aws_access_key_id": made["access_key_id"], "aws_secret_access_key": made["secret_access_key"]}
    assert [one["Name"] for one in any_server.client(**keys).list_buckets()["Buckets"]] == [bucket]


def test_what_an_account_gives_its_new_buckets_can_be_changed(any_server):
    account = new_account(any_server)
    theirs = account.client(any_server)
    before = new_bucket(any_server, owner=theirs)
    settings = {"block_public_access": False, "block_sse_c": False}
    own_api(any_server, "SetAccount", account=account.account_id, settings=settings)
    after = new_bucket(any_server, owner=theirs)
    assert theirs.get_public_access_block(Bucket=before)["PublicAccessBlockConfiguration"]["BlockPublicPolicy"]
    with refused("NoSuchPublicAccessBlockConfiguration", 404):
        theirs.get_public_access_block(Bucket=after)
    blocked = {
        name: theirs.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0][
            "BlockedEncryptionTypes"
        ]["EncryptionType"]
        for name in (before, after)
    }
    assert blocked == {before: ["SSE-C"], after: ["NONE"]}


class _Credentials:
    """A server as another account signs to it."""

    def __init__(self, server, account) -> None:
        self.endpoint, self.region = server.endpoint, server.region
        self.access_key_id, self.secret_access_key = account.access_key_id, account.secret_access_key
        self.ca_bundle = server.ca_bundle


def _me(server) -> str:
    account: str = server.client("sts").get_caller_identity()["Account"]
    return account
