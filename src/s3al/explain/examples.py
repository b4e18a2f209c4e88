"""This store's own example of a topic: a few lines that are true of it now.

What lives here: the examples by name. What does not: the answers (topics).

Laws: a line names only what the caller may see by the S3 or KMS operation that shows it; no more buckets and keys are
looked at than fit on a screen; where there is nothing to show, that is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from s3al.explain import hierarchy
from s3al.explain.envelopes import MODE_NAMES
from s3al.explain.readers import people_of_key
from s3al.explain.topics import Topic
from s3al.explain.visible import Visible
from s3al.explain.words import day, key_name, node_words
from s3al.kms.rotation import next_rotation
from s3al.kms.states import shown_state
from s3al.service.operation import Params
from s3al.store import catalog, key_labels, keystore
from s3al.store.keystore import KeyRow

_MOST: Final = 8


def explain_topic(visible: Visible, topic: Topic) -> Params:
    example = EXAMPLES[topic.example](visible) if topic.example else []
    return topic.document(example)


def _keys(visible: Visible) -> list[KeyRow]:
    """The first few symmetric keys that the caller may describe."""
    call = visible.call
    account = call.principal.account_id or ""
    found = keystore.list_keys(visible.rows, account, call.region, now_ms=call.now_ms, limit=_MOST)
    return [key for key in found if visible.may_kms("DescribeKey", key.arn)]


def _name(visible: Visible, key: KeyRow) -> str:
    return key_name({"aliases": key_labels.aliases_of(visible.rows, key), "key_arn": key.arn})


def _of_keys(visible: Visible) -> list[str]:
    keys = _keys(visible)
    if not keys:
        return ["You have no KMS key here that you may describe: s3al key and CreateKey make one."]
    return [f"{_name(visible, key)}: {shown_state(key, visible.call.now_ms)}, {key.key_spec}" for key in keys]


def _of_rotation(visible: Visible) -> list[str]:
    found = []
    for key in _keys(visible):
        if not visible.may_kms("GetKeyRotationStatus", key.arn):
            continue
        count = keystore.last_sequence(visible.rows, key.key_id)
        due = next_rotation(key)
        clock = f"next by the clock {day(due)}" if due is not None else "not by the clock"
        found.append(f"{_name(visible, key)}: {count} material{'' if count == 1 else 's'}, {clock}")
    service = _of_service(visible)
    return [*found, *service] if found else ["You have no KMS key here that rotates.", *service]


def _of_service(visible: Visible) -> list[str]:
    node = hierarchy.service_node(visible.rows, hierarchy.current_service_material(visible.rows))
    return [f"the service key: {'; '.join(node_words(node)[1])}"]


def _of_defaults(visible: Visible) -> list[str]:
    account = visible.call.principal.account_id or ""
    found = []
    for bucket in catalog.list_buckets(visible.rows, account, limit=_MOST):
        if not visible.may_s3("GetBucketEncryption", Bucket=bucket.name):
            continue
        document = visible.ports.s3.buckets.get(visible.rows, bucket.name).document("encryption") or {}
        rule = (document.get("Rules") or [{}])[0]
        default = rule.get("ApplyServerSideEncryptionByDefault") or {}
        mode = MODE_NAMES.get(default.get("SSEAlgorithm", "AES256"), "SSE-S3")
        key = f" under {default['KMSMasterKeyID']}" if default.get("KMSMasterKeyID") else ""
        bucket_key = ", with a Bucket Key" if rule.get("BucketKeyEnabled") else ""
        found.append(f"{bucket.name}: {mode}{key}{bucket_key}")
    return found or ["You have no bucket here whose default you may see: it would be SSE-S3."]


def _of_seals(visible: Visible) -> list[str]:
    if not visible.may_know_seals():
        return ["Which seals this store has is for the operator to tell."]
    document = hierarchy.document_of(visible.ports.store.read_document())
    seals = hierarchy.seals_of(document, visible.ports.store.seal_place())
    return [f"the seal {'; '.join(node_words(hierarchy.seal_node(seal))[1])}" for seal in seals]


def _of_hierarchy(visible: Visible) -> list[str]:
    document = hierarchy.document_of(visible.ports.store.read_document())
    root = "; ".join(node_words(hierarchy.root_node(document, None))[1])
    return [*_of_service(visible), f"the root key: {root}", *_of_seals(visible)]


def _of_connection(visible: Visible) -> list[str]:
    if visible.call.secure:
        return ["Your request came over TLS: who listened saw its size and time."]
    return ["Your request came over plain HTTP: who listened saw all of it, and sees the objects that you send so."]


def _of_roles(visible: Visible) -> list[str]:
    found = []
    for key in _keys(visible):
        people = people_of_key(visible, key)
        if people is None:
            continue
        name = _name(visible, key)
        for title, member in (("administered by", "administrators"), ("used by", "users")):
            who = ", ".join(one["principal"] for one in people[member]) or "nobody of this account"
            found.append(f"{name} is {title} {who}")
        found.append(f"{name}: {'both at once: ' + ', '.join(people['both']) if people['both'] else 'nobody is both'}")
    return found or ["There is no KMS key here whose policy you may read."]


EXAMPLES: Final[Mapping[str, Callable[[Visible], list[str]]]] = {
    "keys": _of_keys,
    "rotation": _of_rotation,
    "service": _of_service,
    "defaults": _of_defaults,
    "seals": _of_seals,
    "hierarchy": _of_hierarchy,
    "connection": _of_connection,
    "roles": _of_roles,
}
