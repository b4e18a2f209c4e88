"""Whether bytes look like ciphertext: a chi-square test of their frequencies.

What lives here: `unevenness`, `looks_random`. What does not: which bytes to ask of (prove).

Law: it calls ciphertext something else by a chance of about one in 10^10 for each call, so that a terabyte asked about
by the megabyte is not called so by chance; it does not tell good ciphertext from bad, nor from a file that is
compressed very well: it finds text, tables, code, whose unevenness is in the thousands.

Source: NIST SP 800-22 section 1 (what such tests can show); Knuth, The Art of Computer Programming 3.3.1.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

ENOUGH_BYTES: Final = 1024
_VALUES: Final = 256
# With 255 degrees of freedom the sum is about normal, its right tail somewhat heavier: mean 255, deviation sqrt(510).
_FREEDOM: Final = _VALUES - 1
MOST_DEVIATIONS: Final = 8.0


def unevenness(data: bytes) -> float:
    """How many standard deviations the sum of squares lies above that of random bytes; 0.0 for fewer than ENOUGH_BYTES,
    which tell nothing."""
    if len(data) < ENOUGH_BYTES:
        return 0.0
    expected = len(data) / _VALUES
    counts = Counter(data)  # measured: four times as quick as counting each value
    squares = sum((counts[value] - expected) ** 2 for value in range(_VALUES)) / expected
    return float((squares - _FREEDOM) / (2 * _FREEDOM) ** 0.5)


def looks_random(data: bytes) -> bool:
    """False for bytes whose values are too unevenly spread. Fewer than ENOUGH_BYTES tell nothing, and pass."""
    return unevenness(data) <= MOST_DEVIATIONS
