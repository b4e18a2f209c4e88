"""Facts about KMS keys: state, policy, rotation, and since when each material is in use.

What lives here: `look_up`. What does not: which keys (gathering).

Law: a key that may not be looked at is a key nonetheless, with what is unread of it.

Source: KMS API Reference, DescribeKey, GetKeyPolicy, GetKeyRotationStatus, ListKeyRotations.
"""

from __future__ import annotations

from typing import Any, Final

from s3al.posture.asking import Asking
from s3al.posture.facts import KmsKey, Material

_NO_ROTATION: Final = ("UnsupportedOperationException", "UnsupportedOperation")
_GONE: Final = ("NotFoundException", "NotFound")


def look_up(kms: Any, name: str) -> KmsKey:
    """name: as an object or a bucket's default calls the key: an id, an ARN or an alias."""
    asking = Asking()
    told = asking.ask("DescribeKey", lambda: kms.describe_key(KeyId=name), *_GONE)
    if told is None:
        state = "" if asking.unread else "Gone"
        return KmsKey(name, frozenset({name}), state=state, unread=asking.unread)
    found = told["KeyMetadata"]
    arn = found["Arn"]
    policy = asking.ask("GetKeyPolicy", lambda: kms.get_key_policy(KeyId=arn, PolicyName="default"))
    rotation = asking.ask("GetKeyRotationStatus", lambda: kms.get_key_rotation_status(KeyId=arn), *_NO_ROTATION)
    can_rotate = found.get("KeySpec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"
    return KmsKey(
        arn,
        frozenset({name, arn, found["KeyId"]}),
        manager=found.get("KeyManager", ""),
        state=found.get("KeyState", ""),
        origin=found.get("Origin", ""),
        created=found.get("CreationDate"),
        policy=policy["Policy"] if policy else None,
        rotates=bool(rotation.get("KeyRotationEnabled")) if rotation and can_rotate else None,
        rotation_days=rotation.get("RotationPeriodInDays") if rotation else None,
        materials=_materials(kms, found, asking),
        unread=asking.unread,
    )


def _materials(kms: Any, metadata: dict[str, Any], asking: Asking) -> tuple[Material, ...]:
    """Oldest first. The first material came with the key; each later one by a rotation."""
    arn, created = metadata["Arn"], metadata.get("CreationDate")
    entries: list[dict[str, Any]] = []
    more: dict[str, str] = {}
    while True:
        page = asking.ask(
            "ListKeyRotations",
            lambda: kms.list_key_rotations(KeyId=arn, IncludeKeyMaterial="ALL_KEY_MATERIAL", **more),  # noqa: B023
            *_NO_ROTATION,
        )
        if page is None:
            break
        entries += page.get("Rotations", [])
        if not page.get("Truncated"):
            break
        more = {"Marker": page["NextMarker"]}
    found = [
        Material(
            entry.get("KeyMaterialId", ""), entry.get("RotationDate", created),
            entry.get("KeyMaterialState", "CURRENT") == "CURRENT",
        )
        for entry in entries
        if entry.get("KeyMaterialState") != "PENDING_ROTATION"
    ]  # fmt: skip
    if found:
        return tuple(sorted(found, key=lambda each: (each.since is not None, each.since)))
    # Never rotated, or a server that keeps no list: what the key was made with.
    current = metadata.get("CurrentKeyMaterialId", "")
    return (Material(current, created, current=True),) if "ListKeyRotations" not in asking.unread else ()
