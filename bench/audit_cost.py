"""What the audit trail costs: the same requests to a server with it and to one without, in turn.

Run it as `python bench/audit_cost.py [--seconds N] [--rounds N]`. Both servers run side by side and are loaded one at a
time in the order A-B-B-A; a ratio is that of the sums over the turns. The CPU's says the same as the rate's on a
machine that has other work to do. Needs `wrk`.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from pathlib import Path

from cases import CASES, Place, furnish
from run import machine
from targets import Target, s3al

UNAUDITED = Path(__file__).with_name("unaudited.py")
_CASES = ("GET 4 KiB SSE-KMS", "PUT 4 KiB SSE-KMS", "KMS GenerateDataKey", "KMS Decrypt")


def main() -> None:
    options = _options()
    print(machine())
    print(f"{'case':24} {'with/s':>8} {'without/s':>9} {'slower by':>9} {'CPU more by':>11}")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        with_trail = stack.enter_context(s3al(folder / "with", 1))
        without = stack.enter_context(s3al(folder / "without", 1, program=(str(UNAUDITED),)))
        places = {}
        for target in (with_trail, without):
            place = places[target.pid] = Place(folder / str(target.pid), seconds=options.seconds)
            place.folder.mkdir()
            furnish(target, place, objects=500)
        for case in CASES:
            if case.name not in _CASES:
                continue
            rates: dict[int, list[float]] = {with_trail.pid: [], without.pid: []}
            cpu = {with_trail.pid: 0.0, without.pid: 0.0}
            requests = {with_trail.pid: 0, without.pid: 0}
            for _ in range(options.rounds):
                for target in (with_trail, without, without, with_trail):
                    place = places[target.pid]
                    place.leg += 1
                    before = target.cpu_s()
                    run = case.server(target, place)
                    cpu[target.pid] += target.cpu_s() - before
                    requests[target.pid] += run.requests
                    rates[target.pid].append(run.requests / run.seconds)
            print(_line(case.name, with_trail, without, rates, cpu, requests), flush=True)


def _line(
    name: str,
    with_trail: Target,
    without: Target,
    rates: dict[int, list[float]],
    cpu: dict[int, float],
    requests: dict[int, int],
) -> str:
    ours, other = (sum(rates[target.pid]) / len(rates[target.pid]) for target in (with_trail, without))
    ours_cpu, other_cpu = (cpu[target.pid] / requests[target.pid] for target in (with_trail, without))
    return f"{name:24} {ours:8.0f} {other:9.0f} {1 - ours / other:9.1%} {ours_cpu / other_cpu - 1:11.1%}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2, help="of one turn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="where data goes; a local disk, not memory")
    return parser.parse_args()


if __name__ == "__main__":
    main()
