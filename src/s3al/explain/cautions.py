"""What may surprise whoever relies on the encryption of an object or a key: one table.

What lives here: the sentences, each with an id that does not change, and `caution`. What does not: when one applies
(envelopes, keys).

Laws: `warning` is what may cost data or secrecy, `note` what one should know. A sentence says what is, then what helps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from s3al.service.operation import Params

_WARNING, _NOTE = "warning", "note"

TABLE: Final[Mapping[str, tuple[str, str]]] = {
    "etag-is-md5": (
        _WARNING,
        (
            "The ETag {etag} is the MD5 of the plaintext, kept from before the object was under a KMS key: it confirms "
            "a guessed content to whoever may list the bucket. Copy the object onto itself to give it another."
        ),
    ),
    "data-key-kept": (
        _WARNING,
        (
            "The data key was kept when the object was put under this key (UpdateObjectEncryption or a re-wrap): who "
            "had it before has it still. Copy the object onto itself to encrypt it under a new one."
        ),
    ),
    "customer-key": (
        _WARNING,
        (
            "Nobody here has the customer's key: if it is lost, so is the object; and the server knew it during each "
            "request."
        ),
    ),
    "key-disabled": (_WARNING, "The KMS key is disabled: nobody can read what is under it until EnableKey."),
    "key-pending-deletion": (
        _WARNING,
        (
            "The KMS key is to be deleted on {when}: from then on nothing opens what is under it. CancelKeyDeletion, "
            "then EnableKey, keeps it."
        ),
    ),
    "key-pending-import": (
        _WARNING,
        "The KMS key lacks imported material: nobody can read what is under it until the material is imported again.",
    ),
    "key-gone": (_WARNING, "The KMS key is gone: nothing opens this object any more."),
    "material-gone": (
        _WARNING,
        "The material that wrapped the data key is gone from the KMS key: nothing opens this object any more.",
    ),
    "material-expires": (_WARNING, "Imported material expires on {when}: what is under it is then closed."),
    "no-rotation": (
        _NOTE,
        (
            "The KMS key does not rotate by itself: all it ever wraps hangs from one material. EnableKeyRotation adds "
            "a new one at each period and keeps the old for reading."
        ),
    ),
    "older-material": (
        _NOTE,
        (
            "The data key hangs from material {sequence} of {newest_sequence}: rotation does not rewrite what exists. "
            "s3al key rewrap wraps data keys anew under the newest."
        ),
    ),
    "foreign-key": (_NOTE, "The KMS key belongs to account {account}, which decides who uses it, and for how long."),
    "one-root": (
        _NOTE,
        (
            "Both layers' keys hang from one root: who opens the root opens both. Two layers withstand a flaw in one "
            "key or one stream, not the loss of the root."
        ),
    ),
    "seal-beside-data": (
        _WARNING,
        (
            "A keyfile that opens this store lies on the filesystem of its data: whoever takes the disk, or a backup "
            "of all of it, reads everything that hangs from the root. Move it, or add another seal and remove this "
            "one."
        ),
    ),
    "one-seal": (
        _NOTE,
        "The store has one seal, {seal}: without it nothing of this store opens again. s3al seal add makes a second.",
    ),
    "client-unauthenticated": (
        _WARNING,
        (
            "The client encrypted with CBC, which does not notice alteration: whoever may write the object can change "
            "what it decrypts to. Encrypt it again with a current client."
        ),
    ),
    "client-uncommitted": (
        _NOTE,
        (
            "The client's format does not commit to its key: one ciphertext can be made to open under two. V3 and the "
            "stream format do commit."
        ),
    ),
    "client-claims": (
        _NOTE,
        "That the client encrypted is what the metadata says; no server can verify it without the key.",
    ),
    "client-key-here": (
        _WARNING,
        (
            "The client's data key is wrapped by a KMS key of this same server: S3 never uses it, but whoever runs the "
            "server could. A KMS elsewhere, or a key of the application, keeps the content from the server altogether."
        ),
    ),
    "damaged": (_WARNING, "A stored stream of this object is missing or cut short: s3al prove names what is damaged."),
    "one-person": (
        _WARNING,
        "{who} may both administer and use the key: nobody else is needed to read what is under it, or to let others.",
    ),
}


def caution(caution_id: str, **facts: object) -> Params:
    severity, sentence = TABLE[caution_id]
    return {"id": caution_id, "severity": severity, "says": sentence.format(**facts)}
