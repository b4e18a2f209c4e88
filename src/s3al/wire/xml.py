"""XML at the edge: bounded reading, escaped writing.

What lives here: the parser settings, the bounds, and escaping. What does not: which elements mean what (parse,
serialize).

Laws: documents are UTF-8 whatever they declare; no DTD, so no entity but the five of XML; elements nest at most
32 deep and carry at most 32 attributes, and there are at most 300,000 tags; nothing is fetched. The size is bounded
by the caller before.
Written text keeps every character: those XML 1.0 cannot express become character references, as S3 writes them
("&#x1;"). Such an answer is not well-formed XML 1.0 and Python's expat refuses it; S3 therefore offers
encoding-type=url, which boto3 always asks for in listings. In error documents they become U+FFFD instead, because a
client must be able to read the code.

Source: XML 1.0, 2.2 Characters and 2.11 End-of-Line Handling; S3 User Guide, "XML related object key constraints".
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from s3al.errors import RequestError

MAX_DEPTH = 32
MAX_ATTRIBUTES = 32
MAX_TAGS = 300_000  # 10,000 parts with every checksum, opening and closing

XSI = "http://www.w3.org/2001/XMLSchema-instance"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

Element = Any  # lxml has no annotations; the element API used is tag, text, attrib and iteration

_ILLEGAL = "\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff"
_SPECIAL = re.compile(f'[&<>"\r{_ILLEGAL}]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}
_UNREADABLE = re.compile(f"[{_ILLEGAL}]")

_too_deep = etree.XPath("boolean(" + "/*" * (MAX_DEPTH + 1) + ")")
_too_many_attributes = etree.XPath(f"boolean(//*[count(@*) > {MAX_ATTRIBUTES}])")


def read_document(body: bytes) -> Element:
    """The root element. Raises MalformedXML for what is not well-formed, not UTF-8 or out of bounds."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body or body.count(b"<") > MAX_TAGS:
        raise RequestError("MalformedXML")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise RequestError("MalformedXML") from exc
    if root is None or _too_deep(root) or _too_many_attributes(root):
        raise RequestError("MalformedXML")
    return root


def local_name(tag: str) -> str:
    """The tag without its namespace: clients send S3's namespace, an old one, or none."""
    return tag.rpartition("}")[2]


def escape(text: str) -> str:
    """Text as element content or attribute value, every character kept."""
    if not text.isprintable():  # every character XML 1.0 cannot express is unprintable
        return _SPECIAL.sub(_reference, text)
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    if '"' in text:
        text = text.replace('"', "&quot;")
    return text


def _reference(match: re.Match[str]) -> str:
    character = match.group()
    return _ESCAPES.get(character) or f"&#x{ord(character):x};"


def escape_readable(text: str) -> str:
    """Text that every XML 1.0 parser reads; characters it cannot express become U+FFFD."""
    return escape(_UNREADABLE.sub("\ufffd", text))
