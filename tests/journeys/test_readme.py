"""The README's Python, run as it stands there, with the names of this server's key and bucket."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from support.settings import new_bucket, new_key

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_client_encrypts_before_upload(standing_server, tmp_path):
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    bucket, body = new_bucket(standing_server), os.urandom(100_000)
    code = code.replace("arn:aws:kms:...:key/...", new_key(standing_server)).replace('"bucket"', f'"{bucket}"')
    (tmp_path / "report.pdf").write_bytes(body)
    environ = standing_server.client_environ(tmp_path / "home") | {"AWS_REGION": standing_server.region}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environ, check=True, timeout=120)
    assert (tmp_path / "report.pdf").read_bytes() == body
    stored = standing_server.client().get_object(Bucket=bucket, Key="report.pdf")
    assert body not in stored["Body"].read()
    assert "x-amz-3" in stored["Metadata"]
