"""`make bench`: every case against s3al and against the bound, in turn, as a table and as JSON.

Run it as `python bench/run.py [--full] [--only TEXT] [--json PATH]`. The two servers run side by side and are loaded
one at a time in the order A-B-B-A, so that a machine whose speed drifts drifts for both; a ratio is that of the medians
over the turns. Needs `wrk` and `curl`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from cases import CASES, LARGE_BUCKET, LARGE_BYTES, LISTED, MIB, REPLAYED, Case, Place, furnish
from load import Ask, Run, curl_put, together
from targets import Target, bound, s3al

HEADER = (
    f"{'case':27} {'w':>2} {'req/s':>8} {'MB/s':>7} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} "
    f"{'cpu s/1k':>8} {'cpu s/GiB':>9} {'peak MB':>8} {'bound/s':>8} {'cpu':>5} {'ratio':>6} {'wanted':>6}"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """One row: medians over the runs; cpu of all the server's processes.

    ratio: of requests/s to the bound's. cpu_ratio: of the bound's CPU seconds for a request to ours, which says the
    same on a machine that has other work to do.
    """

    case: str
    workers: int
    requests_per_s: float
    mb_per_s: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_s_per_1000: float
    cpu_s_per_gib: float | None
    peak_mb: float
    bound_per_s: float
    bound_cpu_s_per_1000: float
    bound_p99_ms: float
    cpu_ratio: float
    ratio: float
    wanted: float | None

    def line(self) -> str:
        gib = f"{self.cpu_s_per_gib:9.2f}" if self.cpu_s_per_gib is not None else " " * 9
        wanted = f"{self.wanted:6.2f}" if self.wanted is not None else ""
        return (
            f"{self.case:27} {self.workers:2} {self.requests_per_s:8.1f} {self.mb_per_s:7.1f} {self.p50_ms:8.2f} "
            f"{self.p99_ms:8.2f} {self.max_ms:8.2f} {self.cpu_s_per_1000:8.3f} {gib} {self.peak_mb:8.1f} "
            f"{self.bound_per_s:8.1f} {self.cpu_ratio:5.2f} {self.ratio:6.2f} {wanted}"
        )


@dataclass(frozen=True, slots=True)
class _Turn:
    run: Run
    cpu_s: float
    peak_bytes: int

    @property
    def rate(self) -> float:
        return self.run.requests / self.run.seconds


def measure(case: Case, targets: tuple[Target, Target], place: Place, *, rounds: int) -> Figures:
    """A-B-B-A, `rounds` times."""
    ours: list[_Turn] = []
    bounds: list[_Turn] = []
    server, other = targets
    for _ in range(rounds):
        for target in (server, other, other, server):
            place.leg += 1
            target.forget_peak()
            before = target.cpu_s()
            run = (case.server if target is server else case.bound)(target, place)
            turn = _Turn(run, target.cpu_s() - before, target.peak_bytes())
            (ours if target is server else bounds).append(turn)
    return _figures(case, ours, bounds, place.workers)


def _figures(case: Case, ours: Sequence[_Turn], bounds: Sequence[_Turn], workers: int) -> Figures:
    rate = statistics.median(turn.rate for turn in ours)
    bound_rate = statistics.median(turn.rate for turn in bounds)
    requests, moved = sum(turn.run.requests for turn in ours), sum(turn.run.bytes for turn in ours)
    cpu = sum(turn.cpu_s for turn in ours)
    ours_cpu = cpu / requests * 1000
    bound_cpu = sum(turn.cpu_s for turn in bounds) / sum(turn.run.requests for turn in bounds) * 1000
    is_large = case.name.startswith(("GET 1 M", "PUT 1 M", "GET 64", "PUT 64", "multi"))
    payload = requests * _payload_bytes(case.name) if is_large else moved
    return Figures(
        case=case.name,
        workers=workers,
        requests_per_s=rate,
        mb_per_s=payload / sum(turn.run.seconds for turn in ours) / 1e6,
        p50_ms=statistics.median(turn.run.p50_ms or 0 for turn in ours),
        p99_ms=statistics.median(turn.run.p99_ms or 0 for turn in ours),
        max_ms=max(turn.run.max_ms or 0 for turn in ours),
        cpu_s_per_1000=ours_cpu,
        cpu_s_per_gib=cpu / (payload / 2**30) if is_large else None,
        peak_mb=max(turn.peak_bytes for turn in ours) / 1e6,
        bound_per_s=bound_rate,
        bound_cpu_s_per_1000=bound_cpu,
        bound_p99_ms=statistics.median(turn.run.p99_ms or 0 for turn in bounds),
        cpu_ratio=bound_cpu / ours_cpu,
        ratio=rate / bound_rate,
        wanted=case.target,
    )


def _payload_bytes(name: str) -> int:
    return {"GET 1": MIB, "PUT 1": MIB, "multi": 8 * MIB}.get(name[:5], LARGE_BYTES)


def memory(target: Target, place: Place, *, size: int, parallel: int = 32) -> dict[str, float]:
    """Peak resident MB of a worker while `parallel` transfers of `size` bytes run, each way."""
    file = place.file(size)
    signer = target.signer
    url = [signer.url(Ask("PUT", f"/{LARGE_BUCKET}/memory"))]
    curl_put(url, file)
    peaks = {}
    for way in ("GET", "PUT"):
        commands = []
        for number in range(parallel):
            path = f"/{LARGE_BUCKET}/memory" + ("" if way == "GET" else f"/{number}")
            upload = ["-T", str(file), "-H", "Expect:"] if way == "PUT" else []
            commands.append(["curl", "-sSf", "-o", "/dev/null", *upload, signer.url(Ask(way, path))])
        target.forget_peak()
        seconds = together(commands)
        peaks[f"{way}_peak_mb"] = target.peak_bytes() / 1e6
        peaks[f"{way}_mb_per_s"] = parallel * size / seconds / 1e6
    return peaks


def main() -> None:
    options = _options()
    rows: list[Figures] = []
    peaks: dict[str, float] = {}
    print(HEADER, flush=True)
    for workers in options.workers:
        cases = [case for case in CASES if workers in case.workers and options.only in case.name]
        cases = [case for case in cases if options.full or not case.full_only]
        if not cases:
            continue
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
            server = stack.enter_context(s3al(folder / "s3al", workers))
            other = stack.enter_context(bound(folder / "bound", workers))
            place = Place(folder, seconds=options.seconds, workers=workers)
            furnish(server, place, objects=LISTED if workers == 1 else REPLAYED)
            for case in cases:
                rows.append(measure(case, (server, other), place, rounds=3 if options.full else 1))
                print(rows[-1].line(), flush=True)
            if workers == 1 and not options.only:
                peaks = memory(server, place, size=(256 if options.full else 64) * MIB)
                print("memory:", {name: round(value, 1) for name, value in peaks.items()}, flush=True)
    document = {"machine": machine(), "rows": [asdict(row) for row in rows], "memory": peaks, "p99": _p99_of_put(rows)}
    print("p99 of 4 KiB PUT, 4 workers to 1:", document["p99"])
    options.json.write_text(json.dumps(document, indent=1))
    print(f"JSON: {options.json}")


def _p99_of_put(rows: Sequence[Figures]) -> float | None:
    found = {row.workers: row.p99_ms for row in rows if row.case == "PUT 4 KiB durable"}
    return round(found[4] / found[1], 2) if 1 in found and 4 in found else None


def machine() -> dict[str, str | int]:
    lines = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = lines[0].partition(":")[2].strip() if lines else ""
    versions = {"kernel": platform.release(), "python": platform.python_version()}
    return {"cpu": model, "cpus": os.cpu_count() or 0, **versions}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all cases, three rounds, 256 MiB for memory")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name has it")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=int, default=1, help="of one turn")
    parser.add_argument("--folder", type=Path, default=None, help="where data goes; a local disk, not memory")
    parser.add_argument("--json", type=Path, default=Path("bench-figures.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
