"""Block Public Access of a bucket: four switches.

What lives here: the setting, and what a new bucket has. What does not: what makes a policy public
(auth.publicness), enforcement of RestrictPublicBuckets (access) and BlockPublicPolicy (bucket_policy).
BlockPublicAcls and IgnorePublicAcls have nothing left to do: no ACL but the owner's is ever accepted
(ownership).

Source: S3 User Guide, "Blocking public access to your Amazon S3 storage".
"""

from __future__ import annotations

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3.access import on_bucket
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.s3.settings import delete_setting, put_setting, read_setting
from s3al.service.operation import Call, Reply

SWITCHES = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
BLOCK_ALL = dict.fromkeys(SWITCHES, True)


@OPERATIONS.operation("PutPublicAccessBlock", checks=on_bucket("s3:PutBucketPublicAccessBlock"))
async def put_public_access_block(authorized: Authorized, call: Call, s3: S3) -> Reply:
    configuration = call.params.get("PublicAccessBlockConfiguration")
    if configuration is None:
        raise RequestError("MalformedXML")
    document = {switch: bool(configuration.get(switch, False)) for switch in SWITCHES}
    await put_setting(authorized, call, s3=s3, setting="public_access_block", document=document)
    return Reply()


@OPERATIONS.operation("GetPublicAccessBlock", checks=on_bucket("s3:GetBucketPublicAccessBlock"))
async def get_public_access_block(authorized: Authorized, call: Call, s3: S3) -> Reply:
    unset = "NoSuchPublicAccessBlockConfiguration"
    document = await read_setting(call, s3, setting="public_access_block", unset=unset)
    return Reply({"PublicAccessBlockConfiguration": document})


@OPERATIONS.operation("DeletePublicAccessBlock", checks=on_bucket("s3:PutBucketPublicAccessBlock"))
async def delete_public_access_block(authorized: Authorized, call: Call, s3: S3) -> Reply:
    await delete_setting(authorized, call, s3=s3, setting="public_access_block")
    return Reply()
