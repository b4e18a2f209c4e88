"""The rules as one table: what is looked for, how grave it is, what mends it, and which page says so.

What lives here: `Rule`, `RULES`, `judge`. What does not: how a rule finds (bucket_rules, object_rules, key_rules).

Laws: an id is stable, and is what reports, requirements and SARIF call the rule; a finding says where, with evidence
that can be checked by hand; findings come gravest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from s3al.posture import bucket_rules, key_rules, object_rules
from s3al.posture.facts import Posture
from s3al.posture.hits import Hit

_S3: Final = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/"
_KMS: Final = "https://docs.aws.amazon.com/kms/latest/developerguide/"

SEVERITIES: Final = ("critical", "high", "medium", "low", "info")
CRITICAL, HIGH, MEDIUM, LOW, INFO = SEVERITIES


@dataclass(frozen=True, slots=True)
class Rule:
    """fix: a sentence that says what to do."""

    rule_id: str
    severity: str
    title: str
    fix: str
    source: str
    find: Callable[[Posture], Iterator[Hit]]


@dataclass(frozen=True, slots=True)
class Finding:
    rule: Rule
    hit: Hit


_RULES = (
    Rule(
        "public-policy", CRITICAL, "The bucket's policy lets everyone in",
        "Name principals in the statement, or add a condition that fixes who asks; turn on RestrictPublicBuckets.",
        _S3 + "access-control-block-public-access.html", bucket_rules.public_policy,
    ),
    Rule(
        "public-acl", CRITICAL, "The bucket's ACL lets everyone in",
        "Disable ACLs (PutBucketOwnershipControls, BucketOwnerEnforced), or remove the grants to all users.",
        _S3 + "about-object-ownership.html", bucket_rules.public_acl,
    ),
    Rule(
        "key-public", CRITICAL, "A KMS key is open to accounts that its policy does not name",
        "Name principals instead of *, or add a condition on kms:CallerAccount.",
        _KMS + "key-policy-overview.html", key_rules.open_to_strangers,
    ),
    Rule(
        "objects-unencrypted", HIGH, "Objects are stored without encryption",
        "Copy them onto themselves (CopyObject); a bucket with default encryption encrypts what is written.",
        _S3 + "default-encryption-faq.html", object_rules.unencrypted,
    ),
    Rule(
        "default-missing", HIGH, "The bucket has no default encryption",
        "Set one: `s3al advise --apply s3://BUCKET`, or PutBucketEncryption.",
        _S3 + "bucket-encryption.html", bucket_rules.default_missing,
    ),
    Rule(
        "unencrypted-upload", HIGH, "An upload without an encryption header is stored as it is",
        "Set default encryption, or deny PutObject where s3:x-amz-server-side-encryption is null.",
        _S3 + "UsingServerSideEncryption.html", bucket_rules.unencrypted_upload,
    ),
    Rule(
        "objects-unopenable", HIGH, "Objects lie under a KMS key that does not open them now",
        "Enable the key or cancel its deletion; when it is gone, what it encrypted is gone.",
        _KMS + "key-state.html", object_rules.unopenable,
    ),
    Rule(
        "key-one-person", HIGH, "One principal may both administer and use a KMS key",
        "Give administrators and users separate statements: `s3al key create --admin ARN --user ARN` writes them.",
        _KMS + "best-practices.html", key_rules.one_person,
    ),
    Rule(
        "plain-http", MEDIUM, "Plain HTTP is allowed",
        "Deny requests where aws:SecureTransport is false: `s3al advise --documents` prints the statement.",
        _S3 + "security-best-practices.html", bucket_rules.plain_http,
    ),
    Rule(
        "public-not-blocked", MEDIUM, "Public access is not blocked",
        "PutPublicAccessBlock with all four settings.",
        _S3 + "access-control-block-public-access.html", bucket_rules.public_not_blocked,
    ),
    Rule(
        "weaker-upload", MEDIUM, "An upload may choose weaker encryption than the bucket's default",
        "Deny PutObject with another x-amz-server-side-encryption: `s3al advise --documents` prints the statement.",
        _S3 + "specifying-kms-encryption.html", bucket_rules.weaker_upload,
    ),
    Rule(
        "wrong-key-upload", MEDIUM, "An upload may choose another KMS key than the bucket's",
        "Deny PutObject with another key id: `s3al advise --documents` prints the statement.",
        _S3 + "amazon-s3-policy-keys.html", bucket_rules.wrong_key_upload,
    ),
    Rule(
        "objects-weaker", MEDIUM, "Objects are encrypted more weakly than the bucket's default",
        "Encrypt them anew: UpdateObjectEncryption, or CopyObject onto themselves.",
        _S3 + "bucket-encryption.html", object_rules.weaker,
    ),
    Rule(
        "objects-other-key", MEDIUM, "Objects lie under another KMS key than the bucket's",
        "Encrypt them anew under the bucket's key: UpdateObjectEncryption, or CopyObject onto themselves.",
        _S3 + "specifying-kms-encryption.html", object_rules.other_key,
    ),
    Rule(
        "objects-sse-c", MEDIUM, "Objects are encrypted with keys that their senders keep (SSE-C)",
        "Nobody can rotate, revoke or audit such keys: copy the objects to SSE-KMS, and block SSE-C.",
        _S3 + "ServerSideEncryptionCustomerKeys.html", object_rules.customer_keys,
    ),
    Rule(
        "objects-show-md5", MEDIUM, "Objects under a KMS key still show the MD5 of their content as ETag",
        "Copy them onto themselves: UpdateObjectEncryption keeps the ETag.",
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html", object_rules.shown_md5,
    ),
    Rule(
        "key-no-rotation", MEDIUM, "A KMS key does not rotate",
        "EnableKeyRotation, with a period.",
        _KMS + "rotate-keys.html", key_rules.no_rotation,
    ),
    Rule(
        "key-left-to-account", MEDIUM, "A key policy leaves to the account who administers and who uses the key",
        "Narrow the statement for the account's root: `s3al key create` writes a policy that keeps the roles apart.",
        _KMS + "key-policy-default.html", key_rules.left_to_account,
    ),
    Rule(
        "objects-old-material", LOW, "Objects lie under key material that was rotated out",
        "On s3al: `s3al key rewrap KEY` moves no data; elsewhere copy them onto themselves.",
        _KMS + "rotate-keys.html", object_rules.old_material,
    ),
    Rule(
        "sse-c-allowed", LOW, "Uploads with a customer's own key (SSE-C) are not blocked",
        "PutBucketEncryption with BlockedEncryptionTypes SSE-C.",
        _S3 + "blocking-unblocking-s3-c-encryption-gpb.html", bucket_rules.sse_c_allowed,
    ),
    Rule(
        "not-looked-at", INFO, "Something could not be looked at",
        "Ask again with the permission that is missing; nothing is claimed of what was not seen.",
        _S3 + "security-iam.html", bucket_rules.not_looked_at,
    ),
)  # fmt: skip

RULES: Final[dict[str, Rule]] = {rule.rule_id: rule for rule in _RULES}


def judge(posture: Posture) -> list[Finding]:
    """Gravest first; of one gravity in the order of the table."""
    found = [Finding(rule, hit) for rule in _RULES for hit in rule.find(posture)]
    return sorted(found, key=lambda each: SEVERITIES.index(each.rule.severity))
