"""A posture made by hand: buckets good and bad, keys young and old, names as hostile as they come."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from s3al.advice.documents import Place, documents_for
from s3al.advice.key_policy import separated
from s3al.posture.facts import NONE, Bucket, KmsKey, Material, Objects, Posture, Under

ACCOUNT = "111122223333"
AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
HOSTILE = '<script>alert(1)</script>\u202egnp.exe\x1b[31m"\'&'
ALL_BLOCKED = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)


def days_ago(days: int) -> datetime:
    return AT - timedelta(days=days)


def arn(name: str) -> str:
    return f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{name}"


def user(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:user/{name}"


def key(name: str, *ages: int, **changes: Any) -> KmsKey:
    """A key of separated roles that rotates. ages: of its materials, in days, oldest first."""
    policy = separated(ACCOUNT, administrators=[user("admin")], users=[user("ann")])
    materials = tuple(
        Material(f"{name}-{number}", days_ago(age), current=number == len(ages) - 1) for number, age in enumerate(ages)
    )
    made = KmsKey(
        arn(name), frozenset({name, arn(name)}), "CUSTOMER", "Enabled", "AWS_KMS",
        created=days_ago(ages[0]) if ages else None, policy=json.dumps(policy), rotates=True, rotation_days=365,
        materials=materials,
    )  # fmt: skip
    return replace(made, **changes)


def objects(counts: dict[Under, int], *names: str, how: str = "inventory", listed: int | None = None) -> Objects:
    examples = {under: list(names or (f"{under.mode}.bin",)) for under in counts}
    return Objects(how, Counter(counts), examples, sum(counts.values()) if listed is None else listed)


def good_bucket(name: str, kms_key: str, counts: dict[Under, int], **changes: Any) -> Bucket:
    """As `s3al advise --apply` leaves it, with public access blocked."""
    policy = documents_for("sse-kms", Place(bucket=name, kms_key=kms_key)).bucket_policy
    made = Bucket(
        name, objects(counts), "sse-kms", kms_key, bucket_key=True, blocks_sse_c=True, policy=json.dumps(policy),
        public_access_block=ALL_BLOCKED, acls_disabled=True,
    )  # fmt: skip
    return replace(made, **changes)


def policy_of(bucket: str, *statements: dict[str, Any]) -> str:
    whole = {"Principal": "*", "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**whole, **each} for each in statements]})


def posture(*buckets: Bucket, kms_keys: tuple[KmsKey, ...] = (), **changes: Any) -> Posture:
    made = Posture("https://s3.example:9000", AT, True, ACCOUNT, buckets, kms_keys)
    return replace(made, **changes)


def sound() -> Posture:
    ledger = key("ledger", 700, 335, 20)
    counts = {Under("sse-kms", ledger.arn, "ledger-2"): 400}
    return posture(good_bucket("ledger", ledger.arn, counts), kms_keys=(ledger,))


def troubled() -> Posture:
    """Something for every rule but those of a key that is gone."""
    ledger = key("ledger", 700, 335, 20)
    shared = key(
        "shared", 980, rotates=False, rotation_days=None,
        policy=policy_of(
            "x",
            {"Effect": "Allow", "Principal": {"AWS": user("both")}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*",
             "Resource": "*"},
            {"Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"},
        ),
    )  # fmt: skip
    off = key("retired", 1200, 500, state="Disabled")
    kept = {
        Under("sse-kms", ledger.arn, "ledger-2"): 61_200,
        Under("sse-kms", ledger.arn, "ledger-1"): 8_400,
        Under("dsse-kms", ledger.arn, "ledger-2"): 12_850,
    }
    mixed = {
        Under("sse-s3"): 4_320,
        Under("sse-kms", shared.arn, "shared-0", shows_md5=True): 17,
        Under("sse-kms", off.arn, "retired-0"): 240,
        Under("sse-c"): 1_180,
        Under("sse-s3", client_side=True): 95,
        Under("sse-kms", ledger.arn, "ledger-0"): 2_010,
    }
    public = {"Effect": "Allow", "Action": "s3:GetObject"}
    return posture(
        good_bucket("ledger", ledger.arn, kept),
        good_bucket(
            "team-share", shared.arn, {}, objects=objects(mixed, "reports/2025.csv", HOSTILE), blocks_sse_c=False,
            policy=policy_of("team-share", public), public_access_block=None,
        ),
        Bucket(
            "legacy", objects({Under(NONE): 88, Under("unknown"): 2}, how="heads", listed=9_000), NONE,
            public_grants=("READ",), public_access_block=None, unread={"GetBucketPolicy": "AccessDenied"},
        ),
        Bucket("scratch", objects({}), NONE, public_access_block=ALL_BLOCKED),
        kms_keys=(ledger, shared, off),
        seconds=3.2,
    )  # fmt: skip
