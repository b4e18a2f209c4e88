"""What one may require of encryption, and which option fails it why, as a table.

What lives here: `Requirement` and `REQUIREMENTS`. What does not: the choice among options (choice), the flags that ask
(commands.advise makes them of this table).

Laws: an option without a reason meets the requirement; a reason is one sentence that tells how things are, not a
grade; each line names the documentation that it rests on. The option that does not exist fails a requirement of its
own, which is always asked.

Sources: S3, KMS and S3 Encryption Client documentation, page by page in `source`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from s3al.advice.options import CLIENT_KMS, CLIENT_OWN_KEY, CLIENT_S3_MANAGED, DSSE_KMS, SSE_C, SSE_KMS, SSE_S3

_S3 = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/"
_KMS = "https://docs.aws.amazon.com/kms/latest/developerguide/"
_CLIENT = "https://docs.aws.amazon.com/amazon-s3-encryption-client/latest/developerguide/"


@dataclass(frozen=True, slots=True)
class Requirement:
    """requirement_id: stable, and the name of the flag. question: as one would ask a person. fails: option -> reason.
    note: what those who meet it should know."""

    requirement_id: str
    question: str
    source: str
    fails: Mapping[str, str]
    note: str = ""


EXISTS: Final = Requirement(
    "exists",
    "Is there such a way to encrypt at all?",
    _CLIENT + "concepts.html",
    {
        CLIENT_S3_MANAGED: "Keys that S3 manages never leave the server, which uses them after it has received the "
        "plaintext: a client cannot encrypt with them."
    },
)

_AFTER = "The server encrypts after the upload: it receives plaintext, and writes ciphertext."
_AFTER_C = "You bring the key, but the server does the encrypting, after it has received key and plaintext."
_HOLDS = "The server holds, for the time of the request, plaintext and data key."
_NO_POLICY = "No policy guards the key: whoever has a copy can use it, and a copy cannot be called back."
_NO_RIGHT = "Its key has no permission of its own: whoever may get the object gets plaintext."
_NO_RECORD_C = "The server keeps no record of a key that it forgets after the request."
_NO_RECORD_OWN = "Only the application knows when it uses its key; no service records it."
_NEEDS_KMS = "Its data keys are opened by a KMS."
_SOFTWARE = "Readers need software that decrypts, and the right to the key."
_BY_CLIENTS = "Every program that uploads must be changed: a bucket cannot ask for it by default."
_REENCRYPT = "There is no master key to rotate behind the objects: a new key means to write every object again."

REQUIREMENTS: Final[Mapping[str, Requirement]] = {
    requirement.requirement_id: requirement
    for requirement in (
        Requirement(
            "encrypt-before-upload",
            "Must objects be encrypted before they are uploaded?",
            _S3 + "UsingClientSideEncryption.html",
            {SSE_S3: _AFTER, SSE_KMS: _AFTER, DSSE_KMS: _AFTER, SSE_C: _AFTER_C},
        ),
        Requirement(
            "storage-never-sees-plaintext",
            "Must whoever runs the storage be unable to read, even with all that the server holds?",
            _S3 + "UsingClientSideEncryption.html",
            {SSE_S3: _HOLDS, SSE_KMS: _HOLDS, DSSE_KMS: _HOLDS, SSE_C: _HOLDS},
        ),
        Requirement(
            "key-never-leaves-application",
            "Must the application alone hold the master key?",
            _CLIENT + "concepts.html",
            {
                SSE_S3: "The server owns the key.",
                SSE_KMS: "The KMS holds the key.",
                DSSE_KMS: "The KMS holds one key, the server the other.",
                SSE_C: "The key travels to the server with each request.",
                CLIENT_KMS: "The KMS holds the key that opens the data keys.",
            },
        ),
        Requirement(
            "separate-permission",
            "Must using the key be a permission of its own, given and taken by policy, apart from access to objects?",
            _S3 + "UsingKMSEncryption.html",
            {SSE_S3: _NO_RIGHT, SSE_C: _NO_POLICY, CLIENT_OWN_KEY: _NO_POLICY},
        ),
        Requirement(
            "role-separation",
            "Must those who administer keys, and those who administer data, each be unable to read by themselves?",
            _KMS + "key-policy-default.html",
            {
                SSE_S3: "There are no administrators of keys: whoever administers the data can read it.",
                SSE_C: "Whoever hands the key out can use it; no service holds the two roles apart.",
                CLIENT_OWN_KEY: "Whoever hands the key out can use it; no service holds the two roles apart.",
            },
        ),
        Requirement(
            "rotation-control",
            "Must you decide when the key is rotated, on a schedule of yours or on demand?",
            _KMS + "rotate-keys.html",
            {SSE_S3: "The server rotates its key when it sees fit; nobody else can."},
            note="With SSE-C and own keys, rotation is your program's work.",
        ),
        Requirement(
            "rotation-without-rewriting",
            "Must a rotated master key leave stored objects as they are, and readable?",
            _KMS + "rotate-keys.html",
            {SSE_C: _REENCRYPT},
            note="With own keys, old objects need the old key, or their data keys wrapped anew (`s3al cse rekey`).",
        ),
        Requirement(
            "automatic-rotation",
            "Must the master key rotate by itself?",
            _KMS + "rotate-keys.html",
            {
                SSE_C: "Keys are yours: nothing rotates unless you do it.",
                CLIENT_OWN_KEY: "The key is the application's: nothing rotates unless it does it.",
            },
        ),
        Requirement(
            "audit",
            "Must each use of the key be recorded, with who used it?",
            _S3 + "UsingKMSEncryption.html",
            {
                SSE_S3: "Uses of the server's own key are not recorded per requester.",
                SSE_C: _NO_RECORD_C,
                CLIENT_OWN_KEY: _NO_RECORD_OWN,
            },
            note="An S3 Bucket Key makes fewer records: one for many objects.",
        ),
        Requirement(
            "revoke-at-once",
            "Must one act lock every reader out, objects unchanged?",
            _KMS + "enabling-keys.html",
            {
                SSE_S3: "The server's own key cannot be disabled.",
                SSE_C: _NO_POLICY,
                CLIENT_OWN_KEY: _NO_POLICY,
            },
        ),
        Requirement(
            "two-layers",
            "Must the storage apply two independent layers of encryption?",
            _S3 + "UsingDSSEncryption.html",
            {
                SSE_S3: "It is one layer.",
                SSE_KMS: "It is one layer.",
                SSE_C: "It is one layer.",
                CLIENT_KMS: "The client applies one layer; the storage adds only that of the bucket's default.",
                CLIENT_OWN_KEY: "The client applies one layer; the storage adds only that of the bucket's default.",
            },
        ),
        Requirement(
            "no-kms",
            "Must it work without a KMS?",
            _S3 + "serv-side-encryption.html",
            {SSE_KMS: _NEEDS_KMS, DSSE_KMS: _NEEDS_KMS, CLIENT_KMS: _NEEDS_KMS},
        ),
        Requirement(
            "own-key-material",
            "Must the key be made by you, outside the service?",
            _KMS + "importing-keys.html",
            {SSE_S3: "The server makes its key; none can be imported."},
            note="With the KMS options: a KMS key of origin EXTERNAL, whose material you import.",
        ),
        Requirement(
            "no-key-management",
            "Must nobody have to look after keys?",
            _S3 + "UsingServerSideEncryption.html",
            {
                SSE_C: "You keep every key, and which object it opens; a lost key is lost data.",
                CLIENT_KMS: "It needs a KMS key of yours: the managed key aws/s3 serves S3 alone.",
                CLIENT_OWN_KEY: "The application keeps the master key; a lost key is lost data.",
            },
            note="With SSE-KMS and DSSE-KMS: by the managed key aws/s3.",
        ),
        Requirement(
            "bucket-default",
            "Must it be set once, for a bucket, without changing the programs that upload?",
            _S3 + "bucket-encryption.html",
            {
                SSE_C: "A bucket cannot have it as its default: each request must bring the key.",
                CLIENT_KMS: _BY_CLIENTS,
                CLIENT_OWN_KEY: _BY_CLIENTS,
            },
        ),
        Requirement(
            "any-reader",
            "Must readers with nothing but a plain S3 tool or a presigned URL be able to read?",
            _S3 + "ServerSideEncryptionCustomerKeys.html",
            {
                SSE_C: "Every reader must send the key in headers, which a browser cannot do for a presigned URL.",
                CLIENT_KMS: _SOFTWARE,
                CLIENT_OWN_KEY: _SOFTWARE,
            },
        ),
        Requirement(
            "public-readers",
            "Must anonymous readers be able to read?",
            _S3 + "UsingKMSEncryption.html",
            {
                SSE_KMS: "The KMS refuses anonymous requests.",
                DSSE_KMS: "The KMS refuses anonymous requests.",
                SSE_C: "Every reader must send the key.",
                CLIENT_KMS: _SOFTWARE,
                CLIENT_OWN_KEY: "Every reader would have to hold the application's key.",
            },
        ),
        Requirement(
            "no-kms-call-per-object",
            "Must reading and writing cost no call of a KMS for each object?",
            _S3 + "bucket-key.html",
            {
                DSSE_KMS: "S3 Bucket Keys do not serve DSSE-KMS: each object is a call of the KMS.",
                CLIENT_KMS: "Each object has a data key that the KMS makes and opens.",
            },
            note="With SSE-KMS: with an S3 Bucket Key.",
        ),
        Requirement(
            "etag-is-md5",
            "Must the ETag of an object uploaded in one piece be the MD5 of its content?",
            "https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html",
            {
                SSE_KMS: "Its ETags are not an MD5 digest of the content.",
                DSSE_KMS: "Its ETags are not an MD5 digest of the content.",
                SSE_C: "Its ETags are not an MD5 digest of the content.",
                CLIENT_KMS: "The ETag is that of the ciphertext.",
                CLIENT_OWN_KEY: "The ETag is that of the ciphertext.",
            },
        ),
    )
}
