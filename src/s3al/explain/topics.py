"""What the words of the field mean, in plain words: a table.

What lives here: questions and answers, which hold for every store. What does not: this store's own example of each
(examples), rendering (words).

Laws: an answer says nothing of a particular store, so that it can be given without one; `example` names what the server
adds. Imports nothing, so that the command line answers without a server.

Sources: S3 User Guide, "Protecting data with encryption"; KMS Developer Guide, "Concepts", "Rotate AWS KMS keys", "Key
policies"; spec/key-hierarchy.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Topic:
    """answer: paragraphs. example: of examples.EXAMPLES, or "" for none."""

    topic: str
    question: str
    answer: tuple[str, ...]
    see_also: tuple[str, ...]
    example: str = ""

    def document(self, example: list[str] | None = None) -> dict[str, Any]:
        return {
            "explains": "topic",
            "topic": self.topic,
            "question": self.question,
            "answer": list(self.answer),
            "example": example or [],
            "see_also": list(self.see_also),
        }


_TOPICS: Final = (
    Topic(
        "envelope",
        "What is envelope encryption?",
        (
            (
                "An object is encrypted under a data key that is drawn for it alone. The data key is encrypted in turn "
                "(wrapped) under a key that outlives it, a master key, and lies wrapped beside the object."
            ),
            (
                "To read, the master key opens the data key, and the data key opens the object. The master key never "
                "touches the bytes, so it can stay where it is guarded, and a gigabyte need not travel to it."
            ),
            (
                "In s3al the chain goes on: materials of master keys are wrapped by the root key, and the root key is "
                "opened by a seal, which lies outside the data folder."
            ),
        ),
        ("data-key", "master-key", "bucket-key", "seal"),
        "hierarchy",
    ),
    Topic(
        "data-key",
        "What is a data key?",
        (
            (
                "256 random bits, drawn for one object version when its upload begins. Nothing else is ever encrypted "
                "under it, so its loss costs one object."
            ),
            (
                "It is stored only wrapped. Beside it stands a commitment, by which no other key can pass for it. From "
                "it come, each by a label of its own, the keys of the streams and of the record of checksums."
            ),
            "UpdateObjectEncryption and re-wrapping wrap the same data key anew; only copying the object draws one.",
        ),
        ("envelope", "commitment", "master-key"),
    ),
    Topic(
        "master-key",
        "What is a master key, and who holds it?",
        (
            (
                "The key that wraps data keys. Who holds it decides who can read: that is the whole difference between "
                "the ways of encrypting."
            ),
            (
                "SSE-S3: the server's own service key. SSE-KMS and DSSE-KMS: a KMS key of yours, which only those use "
                "whom its key policy lets. SSE-C: you send it with each request. Client-side: a KMS key or a key of "
                "the application, and the server never sees even the data key."
            ),
        ),
        ("sse-s3", "sse-kms", "sse-c", "client-side"),
        "keys",
    ),
    Topic(
        "server-side",
        "What is server-side encryption?",
        (
            (
                "The client sends plaintext, over TLS; the server encrypts it before it reaches the disk and decrypts "
                "it for whoever may read. It is encryption at rest, done after the upload."
            ),
            (
                "There are three kinds, by who holds the key that opens the data key: S3 itself (SSE-S3), a KMS key "
                "(SSE-KMS, and DSSE-KMS with two layers), or the customer, who sends it with each request (SSE-C)."
            ),
            "It does not meet a demand that objects be encrypted before they are uploaded: only client-side does.",
        ),
        ("sse-s3", "sse-kms", "dsse-kms", "sse-c", "client-side"),
        "defaults",
    ),
    Topic(
        "client-side",
        "What is client-side encryption, and is it encryption at rest?",
        (
            (
                "The client encrypts before the upload, under a data key that a KMS key or a key of the application "
                "wraps. The server stores ciphertext and can never read it."
            ),
            (
                "Is that encryption at rest? At rest the bytes are ciphertext, yes; but the words name different "
                "things. At rest and in transit say where data is protected; client-side and server-side say who "
                "encrypts. Client-side protects in transit, in the server and at rest, all with one encryption."
            ),
            "Keys that S3 manages cannot be used for it: they never leave the server.",
        ),
        ("encrypted-before-upload", "server-side", "at-rest", "in-transit"),
    ),
    Topic(
        "encrypted-before-upload",
        "Objects must be encrypted before they are uploaded. Which way?",
        (
            "Client-side encryption, with a master key in KMS or one kept in the application.",
            (
                "Not client-side with S3-managed keys: that does not exist, those keys never leave the server. Not "
                "SSE-C and not SSE-KMS, nor SSE-S3: there the server encrypts, after the upload."
            ),
            "s3al advise --encrypt-before-upload says the same, and puts it in place.",
        ),
        ("client-side", "server-side"),
    ),
    Topic(
        "in-transit",
        "What is encryption in transit?",
        (
            (
                "TLS between client and server: who listens sees sizes and times, no content. It ends where the "
                "connection ends: behind it the server has the plaintext, unless the client encrypted."
            ),
            (
                "It is no choice beside the others but a layer of its own. A bucket policy that denies requests with "
                "aws:SecureTransport false refuses whatever comes without it. SSE-C is refused without it anyway, "
                "because its key is in the request."
            ),
        ),
        ("at-rest", "client-side"),
        "connection",
    ),
    Topic(
        "at-rest",
        "What is encryption at rest?",
        (
            (
                "What lies on the disk is ciphertext. A thief of the disk has nothing, as long as the key does not lie "
                "on it too."
            ),
            (
                "In s3al there is nothing to switch on: every object of every bucket is encrypted, and so are names, "
                "metadata, policies and secrets, in a database that is encrypted as a whole. What holds it together is "
                "the seal: keep it elsewhere."
            ),
        ),
        ("seal", "server-side", "client-side"),
        "seals",
    ),
    Topic(
        "default-encryption",
        "How is an object encrypted if the request says nothing?",
        (
            "As the bucket's default says; and until somebody changes that, by SSE-S3 with AES-256.",
            (
                "PutBucketEncryption changes it to SSE-KMS or DSSE-KMS, with a KMS key and, for SSE-KMS, a Bucket Key. "
                "It holds for new objects. To hold people to it, a bucket policy denies uploads that name another way."
            ),
        ),
        ("sse-s3", "sse-kms", "bucket-key"),
        "defaults",
    ),
    Topic(
        "sse-s3",
        "What is SSE-S3?",
        (
            (
                "The server encrypts with AES-256, and the server owns the key: its service key, which rotates by "
                "itself. It is the default, and costs nothing."
            ),
            (
                "Whoever may read the object may read it; no second permission is asked. There is no key policy, no "
                "record of each use of a key, and nobody but the server holds the key."
            ),
        ),
        ("sse-kms", "default-encryption", "master-key"),
        "service",
    ),
    Topic(
        "sse-kms",
        "What is SSE-KMS?",
        (
            (
                "The server encrypts; the data key is wrapped by a KMS key of yours. Who reads needs two permissions: "
                "s3:GetObject on the object, and kms:Decrypt on the key."
            ),
            (
                "That gives what SSE-S3 does not: a key policy apart from the bucket policy (role separation), "
                "rotation on your schedule, a key that can be disabled, and a record of each use."
            ),
            "It still encrypts after the upload: it is not for data that the server must not see.",
        ),
        ("role-separation", "rotation-control", "bucket-key", "encryption-context", "dsse-kms"),
        "keys",
    ),
    Topic(
        "dsse-kms",
        "What is DSSE-KMS?",
        (
            (
                "Two layers of server-side encryption, one inside the other, under two data keys drawn independently: "
                "one from your KMS key, one from the server's own service key."
            ),
            "It is for rules that demand two layers. It withstands a flaw in one of them; both hang from one root.",
        ),
        ("sse-kms", "envelope"),
    ),
    Topic(
        "sse-c",
        "What is SSE-C?",
        (
            (
                "The server encrypts with a key that you send with each request and that it forgets after it. It "
                "stores neither the key nor anything made from it, but a wrapped data key that only this key opens."
            ),
            (
                "You guard the keys; lose one, and its objects are lost. It takes TLS. As on AWS since April 2026, a "
                "new bucket refuses it until PutBucketEncryption unblocks it."
            ),
            "It encrypts after the upload, and the server sees key and plaintext during each request.",
        ),
        ("client-side", "sse-kms"),
    ),
    Topic(
        "bucket-key",
        "What is an S3 Bucket Key?",
        (
            (
                "One more step in the chain of SSE-KMS: the KMS gives a key for the bucket, and that key wraps the "
                "data keys of many objects. The KMS is asked now and then, not for each object."
            ),
            (
                "It is faster and cheaper, and costs something: the KMS sees fewer uses, and the encryption context "
                "names the bucket, not the object. s3al still asks the key policy for each request, also where it does "
                "not ask the KMS for a key."
            ),
        ),
        ("sse-kms", "encryption-context", "envelope"),
        "defaults",
    ),
    Topic(
        "rotation-control",
        "What is rotation control?",
        (
            (
                "The say over when a master key gets new material. Rotating adds a material: from then on the newest "
                "wraps, and the older ones stay to open what they wrapped. No object is encrypted again, none becomes "
                "unreadable, and the key keeps its id, alias and policy."
            ),
            (
                "What it gains: less hangs from any one material, and a material that leaked opens nothing that was "
                "made after the next rotation. What it does not do: protect what was already under a leaked material. "
                "For that, copy the objects, which draws new data keys; s3al key rewrap only moves the old data keys."
            ),
            (
                "You have it with a KMS key of yours: by the clock (every 90 to 2560 days) or on demand. With SSE-S3 "
                "the server rotates its own key, and you have no say. With SSE-C, and client-side with a key of the "
                "application, rotating is your work: new keys for new objects, and keeping the old."
            ),
        ),
        ("master-key", "sse-kms", "data-key"),
        "rotation",
    ),
    Topic(
        "role-separation",
        "What is role separation?",
        (
            (
                "That nobody alone can do everything. Who administers a KMS key (its policy, rotation, deletion) shall "
                "not use it; who administers the bucket shall not thereby read what is in it."
            ),
            (
                "SSE-KMS makes it possible, because reading takes two permissions from two policies: s3:GetObject by "
                "bucket policy or identity policy, kms:Decrypt by the key policy. An S3 administrator without "
                "kms:Decrypt sees names, no content. A key administrator without s3:GetObject gets at no ciphertext."
            ),
            (
                "It has a limit: who may change a key policy can let himself in. That is why the change is recorded, "
                "and why both hats should not sit on one head."
            ),
        ),
        ("sse-kms", "key-policy", "rotation-control"),
        "roles",
    ),
    Topic(
        "key-policy",
        "What is a key policy?",
        (
            (
                "The policy of one KMS key. Unlike a bucket policy it is the ground of all rights: nobody, not even "
                "the account's root, has a right over the key that it does not give."
            ),
            (
                "Its statement for the account (arn:aws:iam::ACCOUNT:root) hands the decision to identity policies; "
                "without that statement they count for nothing here. Grants add to it, explicit denies win over all."
            ),
        ),
        ("role-separation", "sse-kms"),
        "keys",
    ),
    Topic(
        "encryption-context",
        "What is an encryption context?",
        (
            (
                "Names and values that are no secret, bound into a KMS ciphertext: it opens only under exactly the "
                "same ones. They stand in policies' conditions and in the record of each use."
            ),
            (
                "S3 adds aws:s3:arn: the object's ARN, or with a Bucket Key the bucket's. So a wrapped data key cannot "
                "be tried elsewhere, and a key policy can be for one bucket alone."
            ),
        ),
        ("sse-kms", "bucket-key"),
    ),
    Topic(
        "commitment",
        "What is a key commitment?",
        (
            (
                "A value that only one data key gives. It stands beside the ciphertext and is compared before the key "
                "is used."
            ),
            (
                "AES-GCM alone does not have it: who knows two keys can make one ciphertext that opens under both, to "
                "two contents. Every object of s3al commits, and so do V3 and the stream format of client-side "
                "encryption; V2 does not."
            ),
        ),
        ("data-key", "client-side"),
    ),
    Topic(
        "seal",
        "What is a seal?",
        (
            (
                "What opens the root key when the server starts: a keyfile, a passphrase, a key in a token, or a key "
                "in another KMS. It lies outside the data folder: that is what makes a stolen data folder worthless."
            ),
            "Two may stand side by side, a daily one and one for recovery. Without any of them nothing opens again.",
        ),
        ("at-rest", "root-key"),
        "seals",
    ),
    Topic(
        "root-key",
        "What is the root key?",
        (
            (
                "The key that wraps the materials of all KMS keys, of the service key, and the key of the database. It "
                "is in the memory of one process that serves no network, and on the disk only as each seal sealed it."
            ),
            "s3al seal rotate-root makes a new one and wraps all materials anew; no object is touched.",
        ),
        ("seal", "envelope"),
        "hierarchy",
    ),
)
TOPICS: Final[Mapping[str, Topic]] = {topic.topic: topic for topic in _TOPICS}
