"""Coverage-guided fuzzing of one of the TARGETS with atheris: what hypothesis is too blind for. Run by `make fuzz`.

    python -m fuzz.atheris_targets TARGET [options of libFuzzer]      (with tests/ on PYTHONPATH)

An input that raises what nobody answers, or that takes longer than `-timeout`, ends the run and is printed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["s3al"]):
    from .targets import TARGETS, Target


def _corpus(target: Target) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="s3al-fuzz-"))
    for number, seed in enumerate(target.seeds):
        (folder / str(number)).write_bytes(seed)
    return folder


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit("which of: " + ", ".join(f"'{name}'" for name in TARGETS))
    target = TARGETS[sys.argv[1]]

    def once(data: bytes) -> None:
        try:
            target.run(data)
        except target.expected:
            return

    once(b"")  # whatever is made once is made now
    corpus = _corpus(target)
    options = [
        f"-artifact_prefix={corpus}/",
        "-timeout=5",
        "-rss_limit_mb=1024",
        "-max_len=4096",
        *sys.argv[2:],
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
