"""`make bench-peers`: the same load on s3al and on other S3 servers, in their nearest encrypted mode, in turn.

What lives here: building the peers, starting them, the cases that they share with s3al. What does not: load, cases,
figures (load, cases, run).

Run it as `python bench/peers.py [--only TEXT] [--seconds N] [--json PATH]`. Peers are built once, with `go build`
through the Go module proxy, into `.venvs/peers`. Each peer runs beside s3al, and both are loaded one at a time in the
order A-B-B-A. One that cannot be built is named with the error, and the others go on.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from cases import CASES, REPLAYED, Case, Place, furnish_objects
from load import Signer
from run import HEADER, Figures, machine, measure
from targets import ACCESS_KEY_ID, SECRET, Target, await_answer, free_port, s3al, stopped

FOLDER = Path(__file__).parents[1] / ".venvs" / "peers"
SHARED = ("GET 4 KiB", "PUT 4 KiB durable", "HEAD", "LIST 1,000 of 10,000", "DELETE", "GET range 4 KiB of 64 MiB",
          "GET 1 MiB", "PUT 1 MiB", "GET 64 MiB", "PUT 64 MiB", "multipart 8 x 8 MiB")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Peer:
    """package, module and version: what `go build` is given. durability: what an answered PUT has survived."""

    name: str
    package: str
    module: str
    version: str
    mode: str
    durability: str
    start: Callable[[Path, Path], AbstractContextManager[Target]]


@contextlib.contextmanager
def _minio(binary: Path, folder: Path) -> Iterator[Target]:
    port = free_port()
    environ = dict(os.environ) | {
        "MINIO_ROOT_USER": ACCESS_KEY_ID,
        "MINIO_ROOT_PASSWORD": SECRET,
        "MINIO_KMS_SECRET_KEY": "bench:" + base64.b64encode(bytes(range(32))).decode(),
        "MINIO_KMS_AUTO_ENCRYPTION": "on",
        "MINIO_BROWSER": "off",
    }
    command = [str(binary), "server", "--quiet", "--address", f"127.0.0.1:{port}", str(folder / "data")]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environ, start_new_session=True)
    with stopped(process):
        endpoint = f"http://127.0.0.1:{port}"
        await_answer(f"{endpoint}/minio/health/live", process)
        yield Target("minio", process.pid, Signer(endpoint, ACCESS_KEY_ID, SECRET))


@contextlib.contextmanager
def _seaweedfs(binary: Path, folder: Path) -> Iterator[Target]:
    data, identities, port = folder / "data", folder / "identities.json", free_port()
    data.mkdir()
    credentials = {"accessKey": ACCESS_KEY_ID, "secretKey": SECRET}
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    identities.write_text(json.dumps({"identities": [{"name": "b", "credentials": [credentials], "actions": actions}]}))
    # Each of its servers listens once more, 10,000 above its port, unless told where.
    listeners = ("master", "volume", "filer", "s3")
    ports = [f"-{name}.port.grpc={free_port()}" for name in listeners]
    ports += [f"-{name}.port={free_port()}" for name in listeners[:-1]] + [f"-s3.port={port}"]
    command = [str(binary), "server", "-ip=127.0.0.1", f"-dir={data}", "-s3", f"-s3.config={identities}", *ports,
               "-filer.encryptVolumeData", "-master.volumeSizeLimitMB=1024", "-volume.max=0"]  # fmt: skip
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=folder)
    with stopped(process):
        endpoint = f"http://127.0.0.1:{port}"
        await_answer(endpoint, process)
        yield Target("seaweedfs", process.pid, Signer(endpoint, ACCESS_KEY_ID, SECRET))


PEERS = (
    Peer(
        name="minio",
        package="github.com/minio/minio",
        module="github.com/minio/minio",
        version="v0.0.0-20260212201848-7aac2a2c5b7c",
        mode="every object encrypted (it answers aws:kms), key from the environment, one drive",
        durability="one fdatasync a file, then a rename whose folder is not synced (seen with strace)",
        start=_minio,
    ),
    Peer(
        name="seaweedfs",
        package="github.com/seaweedfs/seaweedfs/weed",
        module="github.com/seaweedfs/seaweedfs",
        version="v0.0.0-20261109003541-7506e5f91cd6",
        mode="every chunk encrypted (filer.encryptVolumeData), its key in the filer's database, one volume server",
        durability="nothing is synced before the answer (its default)",
        start=_seaweedfs,
    ),
)


def built(peer: Peer) -> Path:
    """The peer's program. Raises RuntimeError with what `go` said."""
    binary = FOLDER / peer.name
    if binary.exists():
        return binary
    if shutil.which("go") is None:
        raise RuntimeError("there is no `go`")
    source = FOLDER / f"{peer.name}-module"
    source.mkdir(parents=True, exist_ok=True)
    (source / "go.mod").write_text("module peer\n")
    for command in (
        ["go", "get", "-tool", f"{peer.package}@{peer.version}"],
        ["go", "build", "-buildvcs=false", "-o", str(binary), peer.package],
    ):
        done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command[:2])}: {done.stderr.strip()[-400:]}")
    return binary


def _shared(case: Case) -> Case:
    """Both sides get the same requests. Wanted: at least the peer's speed, for 4 KiB half as much again."""
    return replace(case, bound=case.server, target=1.5 if "4 KiB" in case.name else 1.0)


def compare(peer: Peer, binary: Path, options: argparse.Namespace) -> list[Figures]:
    rows = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        places = [Place(folder / name, seconds=options.seconds) for name in ("ours", peer.name)]
        for place in places:
            place.folder.mkdir()
        ours = stack.enter_context(s3al(folder / "s3al", 1))
        theirs = stack.enter_context(peer.start(binary, places[1].folder))
        for target, place in zip((ours, theirs), places, strict=True):
            furnish_objects(target, place, objects=options.objects)
        for case in CASES:
            if case.name in SHARED and options.only in case.name:
                rows.append(measure(_shared(case), (ours, theirs), places[0], rounds=options.rounds))
                print(rows[-1].line(), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose name has it")
    parser.add_argument("--seconds", type=int, default=2, help="of one turn")
    parser.add_argument("--rounds", type=int, default=1, help="of A-B-B-A")
    parser.add_argument("--objects", type=int, default=REPLAYED, help="that are listed and read")
    parser.add_argument("--folder", type=Path, default=None, help="where data goes; a local disk, not memory")
    parser.add_argument("--json", type=Path, default=Path("bench-peers.json"))
    options = parser.parse_args()
    document: dict[str, object] = {"machine": machine()}
    for peer in PEERS:
        print(f"{peer.name} {peer.version}: {peer.mode}; durability: {peer.durability}", flush=True)
        try:
            binary = built(peer)
        except RuntimeError as error:
            print(f"{peer.name} cannot be built: {error}")
            document[peer.name] = str(error)
            continue
        print(HEADER.replace("bound/s", "peer/s "), flush=True)
        document[peer.name] = [asdict(row) for row in compare(peer, binary, options)]
    options.json.write_text(json.dumps(document, indent=1))
    print(f"JSON: {options.json}")


if __name__ == "__main__":
    main()
