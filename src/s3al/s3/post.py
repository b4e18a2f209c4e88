"""PostObject: a browser's form becomes an object.

What lives here: which form fields are which parameters, the answer. What does not: reading the form
(wire.form), the signed policy (auth.post_policy), storing (put).

Laws: the fields mean what the headers of PutObject mean; a field that changes meaning and is not known is
refused by the signed policy, which must name every field.

Source: S3 API Reference, "POST Object".
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from lxml import etree

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3.limits import OBJECT_TAGS_MAX, PUT_MAX_BYTES
from s3al.s3.names import object_url
from s3al.s3.ports import S3
from s3al.s3.put import Incoming, write_checks, write_object
from s3al.s3.registry import OPERATIONS
from s3al.s3.tag_set import validate_tags
from s3al.service.operation import Call, Params, Reply
from s3al.wire.xml import escape_readable, read_document

_FIELDS: Mapping[str, str] = {
    "key": "Key",
    "acl": "ACL",
    "x-amz-grant-full-control": "GrantFullControl",
    "x-amz-grant-read": "GrantRead",
    "x-amz-grant-read-acp": "GrantReadACP",
    "x-amz-grant-write-acp": "GrantWriteACP",
    "x-amz-object-lock-mode": "ObjectLockMode",
    "x-amz-object-lock-retain-until-date": "ObjectLockRetainUntilDate",
    "x-amz-object-lock-legal-hold": "ObjectLockLegalHoldStatus",
    "cache-control": "CacheControl",
    "content-type": "ContentType",
    "content-disposition": "ContentDisposition",
    "tagging": "Tagging",
    "x-amz-storage-class": "StorageClass",
    "x-amz-website-redirect-location": "WebsiteRedirectLocation",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "x-amz-server-side-encryption-context": "SSEKMSEncryptionContext",
    "x-amz-server-side-encryption-customer-algorithm": "SSECustomerAlgorithm",
    "x-amz-server-side-encryption-customer-key": "SSECustomerKey",
    "x-amz-server-side-encryption-customer-key-md5": "SSECustomerKeyMD5",
}
_META = "x-amz-meta-"
# Fields that PutObject reads as headers.
_AS_HEADERS = ("content-encoding", "expires", "content-md5")


def parameters(bucket: str, fields: Mapping[str, str], file_name: str) -> Params:
    """The parameters of PutObject that a form stands for. Raises InvalidArgument or
    UserKeyMustBeSpecified."""
    params: Params = {"Bucket": bucket, "Metadata": {}}
    for name, value in fields.items():
        if name.startswith(_META):
            params["Metadata"][name[len(_META) :]] = value
        elif name in _FIELDS:
            params[_FIELDS[name]] = value
    if not params.get("Key"):
        message = (
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields."
        )
        raise RequestError("InvalidArgument", message, ArgumentName="key", ArgumentValue="")
    params["Key"] = params["Key"].replace("${filename}", file_name)
    if params.get("Tagging"):
        params["Tagging"] = _tag_set(params["Tagging"])
    bucket_key = fields.get("x-amz-server-side-encryption-bucket-key-enabled")
    if bucket_key is not None:
        params["BucketKeyEnabled"] = bucket_key.lower() == "true"
    return params


def headers(fields: Mapping[str, str]) -> dict[str, str]:
    """The form fields that PutObject would read as headers."""
    return {name: value for name, value in fields.items() if name in _AS_HEADERS or name.startswith("x-amz-checksum-")}


def _tag_set(document: str) -> Params:
    try:
        root = read_document(document.encode())
    except (RequestError, etree.LxmlError):
        raise RequestError("MalformedXML") from None
    tags = []
    for tag in root.iter("{*}Tag"):
        name, value = tag.findtext("{*}Key"), tag.findtext("{*}Value")
        tags.append({"Key": name or "", "Value": value or ""})
    return {"TagSet": tags}


@OPERATIONS.operation("PostObject", checks=write_checks)
async def post_object(authorized: Authorized, call: Call, s3: S3) -> Reply:
    """call.params: of PutObject, and `Form`: the fields; `Most`: the largest file that the signed policy
    allows."""
    fields: Mapping[str, str] = call.params["Form"]
    tag_set = (call.params.get("Tagging") or {}).get("TagSet", ())
    tags = validate_tags([(tag["Key"], tag["Value"]) for tag in tag_set], most=OBJECT_TAGS_MAX)
    assert call.body is not None
    most = min(call.params.get("Most") or PUT_MAX_BYTES, PUT_MAX_BYTES)
    stored = await write_object(authorized, call, s3, Incoming(call.body, most, tags))
    return _answer(call, fields, stored)


def _redirect(wanted: str) -> str:
    """The URL to go on to; "" for what is no URL, which S3 ignores too."""
    try:
        return wanted if wanted.isprintable() and urlsplit(wanted).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def _answer(call: Call, fields: Mapping[str, str], stored: Params) -> Reply:
    bucket, object_key, etag = call.params["Bucket"], call.params["Key"], stored["ETag"]
    redirect = _redirect(fields.get("success_action_redirect") or fields.get("redirect") or "")
    if redirect:
        joiner = "&" if urlsplit(redirect).query else "?"
        target = redirect + joiner + urlencode({"bucket": bucket, "key": object_key, "etag": etag})
        return Reply(stored, status=303, headers=[("location", target)])
    if fields.get("success_action_status") == "201":
        # A form cannot ask for encoding-type=url. What XML cannot express is unreadable in Key; Location has it all.
        location = object_url(bucket, object_key, host=call.headers.get("host", ""), secure=call.secure)
        elements = {"Location": location, "Bucket": bucket, "Key": object_key, "ETag": etag}
        inner = "".join(f"<{name}>{escape_readable(text)}</{name}>" for name, text in elements.items())
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{inner}</PostResponse>'
        return Reply(stored, body=body.encode(), status=201, headers=[("content-type", "application/xml")])
    status = 200 if fields.get("success_action_status") == "200" else 204
    return Reply(stored, status=status)
