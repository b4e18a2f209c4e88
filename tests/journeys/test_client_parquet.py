"""Real data frames on s3al://: pandas, pyarrow, DuckDB and dask, a million rows, and a flipped byte that is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from journeys.client_programs import CLIENTS, MADE, ROOT
from support.server_process import ServerProcess
from support.settings import new_bucket

ROWS = 1_000_000


@pytest.fixture(scope="module")
def frames_python() -> Path:
    """A virtualenv with the libraries, made if it is missing."""
    python = MADE / "frames/bin/python"
    if not python.exists():
        needed = ["-e", f"{ROOT}[fsspec]", "pandas", "pyarrow", "duckdb", "dask[dataframe]"]
        for command in (
            [sys.executable, "-m", "venv", str(MADE / "frames")],
            [str(python), "-m", "pip", "install", "-q", *needed],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"the libraries could not be installed: {done.stderr[-300:]}")
    return python


def run(python: Path, server: ServerProcess, home: Path, script: str, *arguments: str) -> dict[str, object]:
    done = subprocess.run(
        [str(python), str(CLIENTS / "frames" / script), *arguments],
        env=server.client_environ(home), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, object] = json.loads(done.stdout)
    return told


@pytest.mark.timeout(600)
def test_four_libraries_write_and_read_a_million_rows_and_a_flipped_byte_is_found(
    standing_server: ServerProcess, frames_python: Path, tmp_path: Path
) -> None:
    bucket, key_file = new_bucket(standing_server), tmp_path / "key"
    key_file.write_bytes(os.urandom(32))
    key_file.chmod(0o600)
    told = run(frames_python, standing_server, tmp_path, "parquet.py", bucket, str(key_file), str(ROWS))
    assert [told[name] for name in ("pandas", "pyarrow", "duckdb", "dask")] == [ROWS] * 4

    s3 = standing_server.client()
    stored = s3.get_object(Bucket=bucket, Key="pandas.parquet")
    ciphertext = bytearray(stored["Body"].read())
    assert b"PAR1" not in ciphertext
    assert stored["Metadata"]["s3al-stream"] == "1"
    ciphertext[int(str(told["byte_in_group_3"]))] ^= 1
    s3.put_object(Bucket=bucket, Key="pandas.parquet", Body=bytes(ciphertext), Metadata=stored["Metadata"])
    groups = run(frames_python, standing_server, tmp_path, "damaged.py", bucket, str(key_file))
    assert groups["3"] == "DecryptionError"
    assert groups["0"] == groups["9"] == 100_000, "a range that does not touch the damage still opens"
