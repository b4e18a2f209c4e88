"""The objects of a bucket by how they are encrypted: by s3al's inventory, else by asking for each.

What lives here: `by_inventory`, `by_heads`. What does not: settings of buckets (gathering).

Laws: an inventory is whole, and of every version; heads are of current objects, all or a sample that is drawn evenly
from the whole listing and is the same at the next run. A HEAD of an SSE-C object without its key is answered 400.

Source: S3 API Reference, HeadObject, ListObjectsV2.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from s3al.advice.options import DSSE_KMS, ENVELOPE_MARKS, SSE_C, SSE_KMS
from s3al.own_api_client import OwnApi
from s3al.posture.facts import BY_HEADER, NONE, UNKNOWN, Objects, Under

_AT_ONCE: Final = 1000
_MODES: Final[Mapping[str, str]] = {**BY_HEADER, "SSE-C": SSE_C}

# Told after each page: objects looked at, and how many there are (None: not known).
Seen = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class Sampling:
    """sample: heads for a bucket; 0: every object. parallel: heads at once."""

    sample: int = 1000
    parallel: int = 16


def by_inventory(api: OwnApi, bucket: str, seen: Seen) -> Objects:
    """Raises S3alError if the server refuses."""
    objects, marker = Objects("inventory"), None
    known: dict[tuple[Any, ...], Under] = {}
    while True:
        page = api.call("GetInventory", {"bucket": bucket, "marker": marker})
        for version in page["versions"]:
            what = (
                version["mode"], version["kms_key"], version["material_id"], version["client_side"],
                version["shows_md5"],
            )  # fmt: skip
            under = known.get(what)
            if under is None:
                mode, kms_key, material, client_side, shows_md5 = what
                under = known[what] = Under(
                    _MODES.get(mode, UNKNOWN), kms_key or "", material or "", None, client_side, shows_md5
                )
            objects.add(under, version["key"])
        objects.listed = objects.looked_at
        seen(objects.looked_at, None)
        marker = page.get("next")
        if marker is None:
            return objects


def by_heads(s3: Any, bucket: str, sampling: Sampling, seen: Seen) -> Objects:
    objects = Objects("heads")
    wanted = _sampled(s3, bucket, sampling.sample, objects)
    expected = min(objects.listed, sampling.sample) if sampling.sample else None

    def head(object_key: str) -> tuple[str, Under]:
        return object_key, _headed(s3, bucket, object_key)

    with ThreadPoolExecutor(sampling.parallel) as threads:
        for names in _groups(wanted):
            for object_key, under in threads.map(head, names):
                objects.add(under, object_key)
            seen(objects.looked_at, expected)
    return objects


def _sampled(s3: Any, bucket: str, sample: int, objects: Objects) -> Iterator[str]:
    """Every key, or `sample` of them: one pass over the listing that keeps each key with the same chance."""
    listing = _listed(s3, bucket, objects)
    if not sample:
        return listing
    chance = random.Random(bucket)  # noqa: S311  a choice that shall repeat, not a secret
    kept: list[str] = []
    for number, object_key in enumerate(listing):
        if number < sample:
            kept.append(object_key)
        elif (place := chance.randrange(number + 1)) < sample:
            kept[place] = object_key
    return iter(kept)


def _listed(s3: Any, bucket: str, objects: Objects) -> Iterator[str]:
    token: dict[str, str] = {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, **token)
        for entry in page.get("Contents", []):
            objects.listed += 1
            yield entry["Key"]
        if not page.get("IsTruncated"):
            return
        token = {"ContinuationToken": page["NextContinuationToken"]}


def _groups(names: Iterator[str]) -> Iterator[list[str]]:
    group: list[str] = []
    for name in names:
        group.append(name)
        if len(group) == _AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _headed(s3: Any, bucket: str, object_key: str) -> Under:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        head = s3.head_object(Bucket=bucket, Key=object_key)
    except ClientError as error:
        refused = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return Under(SSE_C if refused == 400 else UNKNOWN)
    except BotoCoreError:  # a key that cannot be sent
        return Under(UNKNOWN)
    if head.get("SSECustomerAlgorithm"):
        return Under(SSE_C)
    mode = _MODES.get(head.get("ServerSideEncryption", ""), NONE)
    is_kms = mode in (SSE_KMS, DSSE_KMS)
    return Under(
        mode,
        head.get("SSEKMSKeyId", "") if is_kms else "",
        written=head["LastModified"].date() if is_kms else None,
        client_side=not ENVELOPE_MARKS.isdisjoint(name.lower() for name in head.get("Metadata", {})),
    )
