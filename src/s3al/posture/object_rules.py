"""What is looked for in the objects of buckets.

What lives here: one function a rule. What does not: the table (rules), how objects were looked at (objects).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from s3al.advice.options import DSSE_KMS, SSE_C, SSE_KMS, SSE_S3
from s3al.posture.facts import EXAMPLES, NONE, Bucket, KmsKey, Posture, Under
from s3al.posture.hits import Hit

# The more, the more it takes to read; SSE-C is neither weaker nor stronger, and has a rule of its own.
_STRENGTH: Final[Mapping[str, int]] = {NONE: 0, SSE_S3: 1, SSE_KMS: 2, DSSE_KMS: 3}
_CANNOT_OPEN: Final = ("Disabled", "PendingDeletion", "PendingReplicaDeletion", "PendingImport", "Unavailable", "Gone")


def _gathered(bucket: Bucket, meets: Callable[[Under], bool]) -> tuple[int, tuple[str, ...]]:
    """How many objects, and a few of their names."""
    found = [under for under in bucket.objects.counts if meets(under)]
    names = [name for under in found for name in bucket.objects.examples.get(under, ())]
    return sum(bucket.objects.counts[under] for under in found), tuple(names[:EXAMPLES])


def _each(posture: Posture, meets: Callable[[Bucket, Under], bool], words: str) -> Iterator[Hit]:
    for bucket in posture.buckets:
        count, names = _gathered(bucket, lambda under: meets(bucket, under))  # noqa: B023  called at once
        if count:
            evidence = f"{count} of {bucket.objects.looked_at} objects looked at {words}"
            yield Hit(bucket.arn, evidence, count, names)


def unencrypted(posture: Posture) -> Iterator[Hit]:
    return _each(posture, lambda _, under: under.mode == NONE, "have no server-side encryption")


def customer_keys(posture: Posture) -> Iterator[Hit]:
    return _each(posture, lambda _, under: under.mode == SSE_C, "are under a key that came with the request")


def shown_md5(posture: Posture) -> Iterator[Hit]:
    return _each(posture, lambda _, under: under.shows_md5, "have an ETag that is an MD5 of their plaintext")


def weaker(posture: Posture) -> Iterator[Hit]:
    for bucket in posture.buckets:
        wanted = _STRENGTH.get(bucket.default_mode, 0)
        count, names = _gathered(bucket, lambda under: 0 < _STRENGTH.get(under.mode, 9) < wanted)  # noqa: B023
        if count:
            evidence = f"the default is {bucket.default_mode}; {count} of {bucket.objects.looked_at} objects have less"
            yield Hit(bucket.arn, evidence, count, names)


def other_key(posture: Posture) -> Iterator[Hit]:
    for bucket in posture.buckets:
        default = posture.kms_key(bucket.default_key)
        if default is None:
            continue
        count, names = _gathered(bucket, lambda under: bool(under.kms_key) and under.kms_key not in default.names)  # noqa: B023
        if count:
            evidence = f"the bucket's key is {default.arn}; {count} of {bucket.objects.looked_at} lie under another"
            yield Hit(bucket.arn, evidence, count, names)


def unopenable(posture: Posture) -> Iterator[Hit]:
    for key in posture.kms_keys:
        if key.state in _CANNOT_OPEN:
            yield from _under(posture, key, lambda _: True, f"the key is {key.state}")


def old_material(posture: Posture) -> Iterator[Hit]:
    for key in posture.kms_keys:
        def rotated_out(under: Under, key: KmsKey = key) -> bool:
            material = key.material_of(under)
            return material is not None and not material.current

        yield from _under(posture, key, rotated_out, "the key was rotated after they were wrapped")


def _under(posture: Posture, key: KmsKey, meets: Callable[[Under], bool], why: str) -> Iterator[Hit]:
    """One hit for a key, over all buckets."""
    total, names, places = 0, list[str](), []
    for bucket in posture.buckets:
        count, found = _gathered(bucket, lambda under: under.kms_key in key.names and meets(under))
        if count:
            total += count
            names += [f"{bucket.name}/{name}" for name in found]
            places.append(bucket.name)
    if total:
        yield Hit(key.arn, f"{why}: {total} objects in {', '.join(places[:EXAMPLES])}", total, tuple(names[:EXAMPLES]))
