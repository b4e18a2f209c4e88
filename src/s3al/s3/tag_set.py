"""Tags as S3 takes them: the x-amz-tagging header and TagSet lists, and their rules.

What lives here: parsing and validation, pure. What does not: the operations (tagging), where tags are stored
(records).

Sources: S3 User Guide, "Categorizing your storage using tags"; API reference, PutObjectTagging.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

from s3al.errors import RequestError
from s3al.s3.limits import OBJECT_TAGS_MAX, TAG_KEY_MAX_CHARACTERS, TAG_VALUE_MAX_CHARACTERS

_ALLOWED = re.compile(r"[\w\s+\-=._:/@]*", re.UNICODE)


def parse_tagging_header(header: str) -> dict[str, str]:
    """x-amz-tagging: `a=b&c=d&e`, percent-encoded; a bare name has the empty value. Raises InvalidArgument or
    InvalidTag."""
    try:
        pairs = parse_qsl(header, keep_blank_values=True, errors="strict") if header else []
    except ValueError:
        raise RequestError(
            "InvalidArgument",
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "
            "without tag name duplicates.",
            ArgumentName="x-amz-tagging",
            ArgumentValue=header,
        ) from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise RequestError(
            "InvalidArgument",
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "
            "without tag name duplicates.",
            ArgumentName="x-amz-tagging",
            ArgumentValue=header,
        )
    return validate_tags(pairs, most=OBJECT_TAGS_MAX)


def parse_tag_set(tag_set: Iterable[Mapping[str, str]], *, most: int) -> dict[str, str]:
    """From the model's TagSet list."""
    return validate_tags([(tag["Key"], tag.get("Value", "")) for tag in tag_set], most=most)


def validate_tags(pairs: list[tuple[str, str]], *, most: int) -> dict[str, str]:
    """The rules of S3 tags, as one dict. Raises BadRequest (too many) or InvalidTag."""
    if len(pairs) > most:
        noun = "Object" if most == OBJECT_TAGS_MAX else "Bucket"
        raise RequestError("BadRequest", f"{noun} tags cannot be greater than {most}")
    tags: dict[str, str] = {}
    for name, value in pairs:
        if name in tags:
            raise RequestError("InvalidTag", "Cannot provide multiple Tags with the same key", TagKey=name)
        if not name or len(name) > TAG_KEY_MAX_CHARACTERS or not _ALLOWED.fullmatch(name):
            raise RequestError("InvalidTag", "The TagKey you have provided is invalid", TagKey=name)
        if len(value) > TAG_VALUE_MAX_CHARACTERS or not _ALLOWED.fullmatch(value):
            raise RequestError("InvalidTag", "The TagValue you have provided is invalid", TagKey=name, TagValue=value)
        if name.lower().startswith("aws:"):
            raise RequestError("InvalidTag", "System tags cannot be added/updated by requester", TagKey=name)
        tags[name] = value
    return tags
