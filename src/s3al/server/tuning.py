"""How the interpreter and the allocator of a worker are set: measured, and only about speed.

What lives here: the collector, the allocator's thresholds, the interval at which threads change. What does not: limits
and secrets (hardening), HTTP (worker).

Figures: with glibc's own thresholds a unit of 1 MiB is mapped and unmapped each time, and its pages are faulted in
anew: three times the cost of sealing it. The thresholds are fixed, which also stops glibc from moving them.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MMAP_BYTES = 32 << 20  # larger than anything a request holds at once
_TRIM_BYTES = 64 << 20  # free memory that stays with the process
_ARENAS = 2  # with one for each thread, 32 uploads at once held 380 MB; so they hold 250 MB, and are no slower
_YOUNG_OBJECTS = 5_000


def tune_threads_and_memory() -> None:
    """At the start of a worker, before its threads."""
    # The writer's thread gets its turn sooner beside a busy event loop (measured: twice the writes).
    sys.setswitchinterval(0.0005)
    with contextlib.suppress(OSError, AttributeError):  # musl and macOS have no mallopt
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
        mallopt(_M_ARENA_MAX, _ARENAS)


def settle_collector() -> None:
    """Once a worker's application is made: what exists now stays, so the collector need not look at it again.

    A request leaves a few small cycles behind, so that young objects are looked at less often than by default.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)


def give_back_memory() -> None:
    """Return what was freed to the system: the thresholds above keep it, which a burst of transfers may leave high."""
    with contextlib.suppress(OSError, AttributeError):  # as above
        ctypes.CDLL(None).malloc_trim(0)
