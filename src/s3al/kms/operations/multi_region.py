"""Multi-Region keys: ReplicateKey, UpdatePrimaryRegion.

What lives here: these two. What does not: the id and the first region (creation), the deletion of a primary that
waits for its replicas (keys, kms.keys), rotation, which the primary does for all (rotation).

Laws: a region is a name in the signature's scope; id, material, spec, usage and rotation are one for all regions;
policy, grants, tags, aliases, description and state each region has of its own.

Source: KMS Developer Guide, "Multi-Region keys in AWS KMS".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.kms.access import key_check, on_key
from s3al.kms.identifiers import NamedKey, existing_key, key_of
from s3al.kms.keys import require_primary
from s3al.kms.metadata import metadata
from s3al.kms.operations.creation import create_checks, insert_key
from s3al.kms.operations.tagging import check_tags
from s3al.kms.policies import default_policy
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.states import KeyState, state_after
from s3al.service.operation import Call, Check, Reply
from s3al.store import keystore
from s3al.store.catalog import bump
from s3al.store.database import Rows


def _replicate_checks(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
    yield from on_key("kms:ReplicateKey")(call, rows, kms)
    yield from create_checks(call, rows, kms)


@OPERATIONS.operation("ReplicateKey", _replicate_checks)
async def replicate_key(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    params = call.params
    tags = check_tags(params.get("Tags") or ())

    def write(rows: Rows) -> Reply:
        primary = key_of(rows, call)
        require_primary(primary)
        state_after(call.operation, primary, call.now_ms)
        region = params["ReplicaRegion"]
        if keystore.find_key(rows, primary.key_id, region) is not None:
            arn = replace(primary, region=region).arn
            raise RequestError("AlreadyExistsException", f"Key '{arn}' already exists")
        replica = replace(
            primary,
            region=region,
            state=KeyState.ENABLED.value,
            description=params.get("Description") or "",
            policy=params.get("Policy") or default_policy(primary.account_id),
            created_at=call.now_ms,
        )
        insert_key(rows, call, replica, tags)
        output = {
            "ReplicaKeyMetadata": metadata(rows, replica, call.now_ms),
            "ReplicaPolicy": replica.policy,
            "ReplicaTags": [{"TagKey": name, "TagValue": value} for name, value in tags.items()],
        }
        return Reply(output)

    return await call.commit(kms.db, authorized, write)


def _move_checks(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
    """On the primary and on the replica that is to take its place."""
    yield from on_key("kms:UpdatePrimaryRegion")(call, rows, kms)
    replica = existing_key(rows, key_of(rows, call).key_id, call.params["PrimaryRegion"], call.now_ms)
    if replica is not None:
        yield key_check(rows, call, "kms:UpdatePrimaryRegion", NamedKey(replica))


@OPERATIONS.operation("UpdatePrimaryRegion", _move_checks)
async def update_primary_region(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def write(rows: Rows) -> Reply:
        primary = key_of(rows, call)
        require_primary(primary)
        state_after(call.operation, primary, call.now_ms)
        region = call.params["PrimaryRegion"]
        if region == primary.region:
            raise RequestError("UnsupportedOperationException", f"{primary.arn} is the primary key already.")
        replica = existing_key(rows, primary.key_id, region, call.now_ms)
        if replica is None:
            arn = replace(primary, region=region).arn
            raise RequestError("NotFoundException", f"Key '{arn}' does not exist")
        state_after(call.operation, replica, call.now_ms)
        keystore.set_primary_region(rows, primary.key_id, region)
        bump(rows)
        return Reply()

    return await call.commit(kms.db, authorized, write)
