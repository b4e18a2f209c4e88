"""What may be a bucket name, an object key, an upload id or a page size.

What lives here: the rules of S3's names, each as a function that answers the value or raises AWS's error.
What does not: finding what a name names (access), routing (wire).

Laws: nothing is normalised: `a//b`, `.` and `..` are ordinary object keys, and two keys are equal when their
UTF-8 bytes are. Keys are handled as bytes below this point, so that their order is the order of their bytes.

Sources: Amazon S3 User Guide, "Bucket naming rules", "Naming Amazon S3 objects".
"""

from __future__ import annotations

import re
from urllib.parse import quote

from s3al.errors import RequestError
from s3al.s3.limits import BUCKET_NAME_MAX_BYTES, BUCKET_NAME_MIN_BYTES, OBJECT_KEY_MAX_BYTES

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]*[a-z0-9]")
_IP_ADDRESS = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
_ADJACENT = ("..", ".-", "-.")
# Reserved for punycode, documentation, access points, Object Lambda, directory and table buckets.
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_ACCOUNT_REGIONAL = "-an"


def is_bucket_name(name: str) -> bool:
    """Whether a bucket of the global namespace may have this name."""
    if not BUCKET_NAME_MIN_BYTES <= len(name) <= BUCKET_NAME_MAX_BYTES or not _BUCKET.fullmatch(name):
        return False
    if any(pair in name for pair in _ADJACENT) or _IP_ADDRESS.fullmatch(name):
        return False
    return not name.startswith(_RESERVED_PREFIXES) and not name.endswith(_RESERVED_SUFFIXES)


def new_bucket_name(name: str, *, account_id: str, region: str, namespace: str | None = None) -> str:
    """The name, if the account may create a bucket under it; InvalidBucketName otherwise.

    namespace: "account-regional" demands `<prefix>-<account>-<region>-an`; without it that ending is refused.
    Source: User Guide, "Namespaces for general purpose buckets".
    """
    regional = namespace == "account-regional"
    if namespace not in (None, "global", "account-regional"):
        raise RequestError(
            "InvalidArgument",
            "Invalid bucket namespace.",
            ArgumentName="x-amz-bucket-namespace",
            ArgumentValue=namespace,
        )
    ending = f"-{account_id}-{region}{_ACCOUNT_REGIONAL}" if regional else ""
    fits = name.endswith(ending) and len(name) > len(ending) if regional else not name.endswith(_ACCOUNT_REGIONAL)
    if not fits or not is_bucket_name(name):
        raise RequestError("InvalidBucketName", BucketName=name)
    return name


def object_key_bytes(object_key: str) -> bytes:
    """UTF-8 of an object key, at most 1,024 bytes.

    KeyTooLongError over the limit; InvalidURI for an empty key and for what UTF-8 cannot carry.
    """
    try:
        encoded = object_key.encode("utf-8")
    except UnicodeEncodeError:
        raise RequestError("InvalidURI") from None
    if not encoded:
        raise RequestError("InvalidURI")
    if len(encoded) > OBJECT_KEY_MAX_BYTES:
        raise RequestError("KeyTooLongError", Size=str(len(encoded)), MaxSizeAllowed=str(OBJECT_KEY_MAX_BYTES))
    return encoded


def object_url(bucket: str, object_key: str, *, host: str, secure: bool) -> str:
    """The Location that answers name, path-style: the key percent-encoded, slashes too, as S3 does."""
    return f"{'https' if secure else 'http'}://{host}/{bucket}/{quote(object_key, safe='')}"


def bounded_integer(value: int | None, *, name: str, maximum: int) -> int:
    """A page size: default and ceiling are `maximum`; negative is InvalidArgument, as AWS words it."""
    if value is None:
        return maximum
    if not 0 <= value <= 2**31 - 1:
        message = f"Argument {name} must be an integer between 0 and 2147483647"
        raise RequestError("InvalidArgument", message, ArgumentName=name, ArgumentValue=str(value))
    return min(value, maximum)
