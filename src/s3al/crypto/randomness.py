"""Whether bytes look like ciphertext: a chi-square test of their frequencies.

What lives here: `looks_random`. What does not: which bytes to ask of (prove).

Law: it calls ciphertext something else by a chance of about one in 10^8, and it does not tell good ciphertext from bad,
nor from a file that is compressed very well: it finds text, tables, code.

Source: NIST SP 800-22 section 1 (what such tests can show); Knuth, The Art of Computer Programming 3.3.1.
"""

from __future__ import annotations

from typing import Final

ENOUGH_BYTES: Final = 1024
_VALUES: Final = 256
# With 255 degrees of freedom the sum is about normal: mean 255, deviation sqrt(510). Six deviations.
_MOST: Final = 255 + 6 * 510**0.5


def looks_random(data: bytes) -> bool:
    """False for bytes whose values are too unevenly spread. Fewer than ENOUGH_BYTES tell nothing, and pass."""
    if len(data) < ENOUGH_BYTES:
        return True
    expected = len(data) / _VALUES
    return sum((data.count(value) - expected) ** 2 for value in range(_VALUES)) / expected <= _MOST
