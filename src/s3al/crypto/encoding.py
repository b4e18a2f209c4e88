"""One way to turn several fields into bytes, so that no two lists of fields share an encoding.

What lives here: the canonical encoding that all associated data is built from. What does not: which fields go where
(context, and the rooms that bind records of their own).

Laws: the encoding is injective, `canonical(b"a", b"bc") != canonical(b"ab", b"c")`; it is part of the stored format and
never changes.

Source: spec/object-format.md, Conventions.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

_length = struct.Struct(">I").pack


def canonical(*fields: bytes) -> bytes:
    """Each field as u32 big-endian length and bytes, one after the other; no fields give b""."""
    if len(fields) == 1:
        return _length(len(fields[0])) + fields[0]
    return b"".join([_length(len(field)) + field for field in fields])


def canonical_map(mapping: Mapping[str, str] | None) -> bytes:
    """Names and values in turn, as `canonical`, in the order of the names' UTF-8 bytes. Empty and absent give b"".

    Nothing is normalised: names that differ in case or in Unicode form are different names.
    Raises ValueError for text that has no UTF-8 form (lone surrogates, which JSON can carry).
    """
    if not mapping:
        return b""
    pairs = sorted((name.encode(), value.encode()) for name, value in mapping.items())
    return canonical(*[field for pair in pairs for field in pair])
