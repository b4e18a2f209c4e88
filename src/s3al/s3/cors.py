"""Cross-origin resource sharing: the rules of a bucket, the preflight, and the headers of other answers.

What lives here: the setting, its validation and its evaluation. What does not: routing OPTIONS (wire).

Laws: the first rule that matches decides. A preflight is never authenticated and tells nothing but whether a
rule matches. A request whose origin no rule allows is served without CORS headers: the browser then keeps the
answer from the page.

Source: S3 User Guide, "Using cross-origin resource sharing (CORS)", "Elements of a CORS configuration".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3.access import on_bucket
from s3al.s3.limits import CORS_DOCUMENT_MAX_BYTES, CORS_RULE_ID_MAX_CHARACTERS, CORS_RULES_MAX
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.s3.settings import delete_setting, encode, put_setting, read_setting
from s3al.s3.state import BucketState
from s3al.service.operation import Call, Check, Reply
from s3al.store.database import Rows

METHODS = ("GET", "PUT", "HEAD", "POST", "DELETE")
_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
_NOT_ALLOWED = (  # "evalution" is how AWS spells it
    "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method "
    "/ Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec."
)
Headers = list[tuple[str, str]]
Rule = Mapping[str, Any]


def parse_cors(configuration: Mapping[str, Any] | None) -> dict[str, Any]:
    """The setting that a PutBucketCors asks for. Raises MalformedXML or InvalidRequest."""
    rules = (configuration or {}).get("CORSRules") or []
    if not rules:
        raise RequestError("MalformedXML")
    if len(rules) > CORS_RULES_MAX:
        message = f"The number of CORS rules should not exceed allowed limit of {CORS_RULES_MAX} rules."
        raise RequestError("InvalidRequest", message)
    for rule in rules:
        _check_rule(rule)
    document = {"CORSRules": rules}
    if len(encode(document)) > CORS_DOCUMENT_MAX_BYTES:
        raise RequestError("MalformedXML")
    return document


def matching_rule(
    document: Mapping[str, Any] | None, *, origin: str, method: str, requested_headers: Iterable[str] = ()
) -> Rule | None:
    """The first rule that allows this; header names in any case."""
    names = [name.strip().lower() for name in requested_headers]
    for rule in (document or {}).get("CORSRules", ()):
        if (
            method in rule["AllowedMethods"]
            and any(_matches(pattern, origin) for pattern in rule["AllowedOrigins"])
            and all(_header_allowed(rule.get("AllowedHeaders") or (), name) for name in names)
        ):
            return rule  # type: ignore[no-any-return]
    return None


def response_headers(state: BucketState, *, method: str, headers: Mapping[str, str]) -> Headers:
    """The CORS headers of an answer that is not a preflight; none if no rule matches. Header names in lower
    case."""
    origin = headers.get("origin")
    if origin is None:
        return []
    asked = headers.get("access-control-request-method", method)
    requested = _names(headers.get("access-control-request-headers"))
    rule = matching_rule(state.document("cors"), origin=origin, method=asked, requested_headers=requested)
    return _allow(rule, origin, requested) if rule else []


def preflight_headers(document: Mapping[str, Any] | None, headers: Mapping[str, str], *, resource_type: str) -> Headers:
    """What a preflight answers. Raises BadRequest or AccessForbidden. resource_type: BUCKET or OBJECT."""
    origin, method = headers.get("origin"), headers.get("access-control-request-method")
    if not origin:
        raise RequestError("BadRequest", "Insufficient information. Origin request header needed.")
    if method not in METHODS:
        shown = "null" if method is None else method
        raise RequestError("BadRequest", f"Invalid Access-Control-Request-Method: {shown}")
    if document is None:
        message = "CORSResponse: CORS is not enabled for this bucket."
        raise RequestError("AccessForbidden", message, Method=method, ResourceType=resource_type)
    requested = _names(headers.get("access-control-request-headers"))
    rule = matching_rule(document, origin=origin, method=method, requested_headers=requested)
    if rule is None:
        raise RequestError("AccessForbidden", _NOT_ALLOWED, Method=method, ResourceType=resource_type)
    return _allow(rule, origin, requested)


def without_check(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
    """A browser sends no credentials with a preflight."""
    return ()


@OPERATIONS.operation("Preflight", checks=without_check)
async def preflight(authorized: Authorized, call: Call, s3: S3) -> Reply:
    resource_type = "OBJECT" if call.params.get("Key") else "BUCKET"

    def read(rows: Rows) -> Mapping[str, Any] | None:
        try:
            document: Mapping[str, Any] | None = s3.buckets.get(rows, call.params["Bucket"]).document("cors")
        except RequestError:
            message = "CORSResponse: Bucket not found"
            method = call.headers.get("access-control-request-method", "OPTIONS")
            raise RequestError("AccessForbidden", message, Method=method, ResourceType=resource_type) from None
        return document

    document = await s3.db.read(read)
    return Reply(status=200, headers=preflight_headers(document, call.headers, resource_type=resource_type))


@OPERATIONS.operation("PutBucketCors", checks=on_bucket("s3:PutBucketCORS"))
async def put_bucket_cors(authorized: Authorized, call: Call, s3: S3) -> Reply:
    document = parse_cors(call.params.get("CORSConfiguration"))
    await put_setting(authorized, call, s3=s3, setting="cors", document=document)
    return Reply()


@OPERATIONS.operation("GetBucketCors", checks=on_bucket("s3:GetBucketCORS"))
async def get_bucket_cors(authorized: Authorized, call: Call, s3: S3) -> Reply:
    return Reply(await read_setting(call, s3, setting="cors", unset="NoSuchCORSConfiguration"))


@OPERATIONS.operation("DeleteBucketCors", checks=on_bucket("s3:PutBucketCORS"))
async def delete_bucket_cors(authorized: Authorized, call: Call, s3: S3) -> Reply:
    await delete_setting(authorized, call, s3=s3, setting="cors")
    return Reply()


def _allow(rule: Rule, origin: str, requested: Sequence[str]) -> Headers:
    anyone = "*" in rule["AllowedOrigins"]
    headers = [
        ("Access-Control-Allow-Origin", "*" if anyone else origin),
        ("Access-Control-Allow-Methods", ", ".join(rule["AllowedMethods"])),
    ]
    if requested:
        headers.append(("Access-Control-Allow-Headers", ", ".join(name.lower() for name in requested)))
    if rule.get("ExposeHeaders"):
        headers.append(("Access-Control-Expose-Headers", ", ".join(rule["ExposeHeaders"])))
    if rule.get("MaxAgeSeconds") is not None:
        headers.append(("Access-Control-Max-Age", str(rule["MaxAgeSeconds"])))
    if not anyone:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    headers.append(("Vary", _VARY))
    return headers


def _names(header: str | None) -> list[str]:
    return [name.strip() for name in (header or "").split(",") if name.strip()]


def _header_allowed(patterns: Iterable[str], name: str) -> bool:
    return any(_matches(pattern.lower(), name) for pattern in patterns)


def _matches(pattern: str, value: str) -> bool:
    return _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    """`*` stands for any characters, at most once (checked when the rule was put)."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)


def _check_rule(rule: Rule) -> None:
    methods, origins = rule.get("AllowedMethods"), rule.get("AllowedOrigins")
    if not methods or not origins or len(rule.get("ID") or "") > CORS_RULE_ID_MAX_CHARACTERS:
        raise RequestError("MalformedXML")
    for method in methods:
        if method not in METHODS:
            message = f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            raise RequestError("InvalidRequest", message)
    for name, patterns in (("AllowedOrigin", origins), ("AllowedHeader", rule.get("AllowedHeaders") or ())):
        for pattern in patterns:
            if pattern.count("*") > 1:
                message = f'{name} "{pattern}" can not have more than one wildcard.'
                raise RequestError("InvalidRequest", message)
    for header in rule.get("ExposeHeaders") or ():
        if "*" in header:
            message = (
                f'ExposeHeader "{header}" contains wildcard. We currently do not support wildcard for ExposeHeader.'
            )
            raise RequestError("InvalidRequest", message)
    if not 0 <= rule.get("MaxAgeSeconds", 0) <= 2**31 - 1:
        raise RequestError("MalformedXML")
