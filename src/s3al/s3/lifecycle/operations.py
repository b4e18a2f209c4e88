"""The lifecycle configuration of a bucket.

What lives here: the operations. What does not: what rules say (rules), carrying them out (expiring).

Law: a new configuration is looked at at once, not only on the next day.

Source: S3 API Reference, PutBucketLifecycleConfiguration, GetBucketLifecycleConfiguration, DeleteBucketLifecycle.
"""

from __future__ import annotations

from base64 import b64encode

from s3al.auth.authorized import Authorized
from s3al.s3.access import on_bucket
from s3al.s3.lifecycle.expiring import SETTING, begin_anew
from s3al.s3.lifecycle.rules import read_rules, shown_rules
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.s3.settings import change_bucket, delete_setting, encode, read_setting
from s3al.service.operation import Call, Reply
from s3al.store import catalog
from s3al.store.catalog import BucketRow
from s3al.store.database import Rows

_MINIMUM = "TransitionDefaultMinimumObjectSize"
_DEFAULT_MINIMUM = "all_storage_classes_128K"
_ID_BYTES = 36


@OPERATIONS.operation("PutBucketLifecycleConfiguration", checks=on_bucket("s3:PutLifecycleConfiguration"))
async def put_bucket_lifecycle_configuration(authorized: Authorized, call: Call, s3: S3) -> Reply:
    rules = read_rules(call.params.get("LifecycleConfiguration"), lambda: b64encode(s3.random(_ID_BYTES)).decode())
    minimum = call.params.get(_MINIMUM) or _DEFAULT_MINIMUM

    def change(rows: Rows, bucket: BucketRow) -> None:
        catalog.put_setting(rows, bucket.bucket_id, SETTING, encode({"Rules": rules, _MINIMUM: minimum}))
        begin_anew(rows)

    await change_bucket(authorized, call, s3=s3, change=change)
    return Reply({_MINIMUM: minimum})


@OPERATIONS.operation("GetBucketLifecycleConfiguration", checks=on_bucket("s3:GetLifecycleConfiguration"))
async def get_bucket_lifecycle_configuration(authorized: Authorized, call: Call, s3: S3) -> Reply:
    document = await read_setting(call, s3, setting=SETTING, unset="NoSuchLifecycleConfiguration")
    return Reply({"Rules": shown_rules(document), _MINIMUM: document[_MINIMUM]})


@OPERATIONS.operation("DeleteBucketLifecycle", checks=on_bucket("s3:PutLifecycleConfiguration"))
async def delete_bucket_lifecycle(authorized: Authorized, call: Call, s3: S3) -> Reply:
    await delete_setting(authorized, call, s3=s3, setting=SETTING)
    return Reply()
