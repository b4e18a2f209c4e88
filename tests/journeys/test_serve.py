"""`s3al serve` as a user meets it: starting, refusing to start, being killed, being watched."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from support.processes import eventually
from support.raw_http import request
from support.server_process import ServerProcess

MIB = 1 << 20


def test_objects_outlive_every_kind_of_end(start_server):
    server = start_server("--workers", "2")
    s3 = server.client()
    s3.create_bucket(Bucket="bucket")
    ends = [server.kill_main, server.kill_group, server.stop]
    for number, end in enumerate(ends):
        s3.put_object(Bucket="bucket", Key=f"key-{number}", Body=os.urandom(100_000))
        end()
        server.start()
    server.kill_worker(0)
    server.kill_worker(1)
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="bucket")["Contents"]]
    assert keys == ["key-0", "key-1", "key-2"]
    assert all(len(s3.get_object(Bucket="bucket", Key=key)["Body"].read()) == 100_000 for key in keys)


def test_a_second_server_on_the_same_folder_is_refused(server):
    done = _serve(server, "--listen", "127.0.0.1:0")
    assert done.returncode != 0
    assert done.stderr.startswith("s3al: ")
    assert len(done.stderr.splitlines()) <= 2
    assert server.client().list_buckets()["Buckets"] == []


def test_a_second_server_on_the_same_port_is_refused_before_it_makes_anything(server, tmp_path):
    other = ServerProcess(tmp_path / "other")
    done = _serve(other, "--listen", f"127.0.0.1:{server.port}")
    assert done.returncode == 2
    assert "address already in use" in done.stderr
    assert not other.data.exists()


def test_it_serves_on_ipv6_loopback(start_server):
    server = start_server("--workers", "1", "--listen", "[::1]:0")
    assert server.endpoint.startswith("http://[::1]:")
    assert server.client().list_buckets()["Buckets"] == []


def test_tls_with_the_local_ca_serves_boto3(tls_server):
    assert tls_server.endpoint.startswith("https://")
    assert tls_server.client().list_buckets()["Buckets"] == []


def test_keys_certificates_and_logs_lie_outside_the_data_folder(tls_server):
    tls_server.client().create_bucket(Bucket="bucket")
    names = {path.name for path in tls_server.data.rglob("*")}
    assert not {name for name in names if name.endswith((".key", ".pem", ".rootkey", ".log"))}
    (rootkey,) = (tls_server.config_home / "s3al").glob("*.rootkey")
    assert stat.S_IMODE(rootkey.stat().st_mode) == 0o600
    for path in (tls_server.config_home / "s3al" / "tls").glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_everything_in_the_data_folder_is_for_its_owner_alone(server):
    s3 = server.client()
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="key", Body=bytes(MIB))
    for path in (server.data, *server.data.rglob("*")):
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0, path


def test_no_secret_stands_in_arguments_or_environment(server):
    secret = server.secret_access_key.encode()
    for pid in (server.process.pid, *server.worker_pids()):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            assert secret not in file.read()


def test_health_needs_no_signature_and_says_ready(server):
    for path, body in (("live", b"live\n"), ("ready", b"ready\n")):
        with server.connection() as connection:
            connection.send(request("GET", f"/_s3al/health/{path}"))
            response = connection.receive()
        assert (response.status, response.body) == (200, body)


def test_metrics_count_requests_of_all_workers(server_with_workers):
    server = server_with_workers
    s3 = server.client()
    s3.create_bucket(Bucket="a-telling-name")
    for _ in range(20):
        # A client each: connections spread over workers.
        server.client().head_bucket(Bucket="a-telling-name")
    text = _metrics(server)
    assert re.search(r's3al_requests_total\{[^}]*operation="HeadBucket"[^}]*status="200"[^}]*\} 20\b', text)
    assert "a-telling-name" not in text


def test_the_log_tells_requests_and_no_names_or_query_strings(server):
    s3 = server.client()
    s3.create_bucket(Bucket="a-telling-bucket")
    s3.put_object(Bucket="a-telling-bucket", Key="a-telling-key", Body=b"x", Metadata={"m": "a-telling-value"})
    s3.list_objects_v2(Bucket="a-telling-bucket", Prefix="a-telling-prefix")
    with pytest.raises(ClientError):
        s3.get_object(Bucket="a-telling-bucket", Key="a-telling-absence")
    lines = eventually("all are logged", lambda: len(found := server.log_events("request")) >= 4 and found)
    assert {"request_id", "account", "operation", "status", "bytes", "ms", "time"} <= set(lines[0])
    assert [line["operation"] for line in lines] == ["CreateBucket", "PutObject", "ListObjectsV2", "GetObject"]
    assert lines[-1]["error"] == "NoSuchKey"
    text = server.log_path.read_text()
    assert "a-telling" not in text
    assert server.secret_access_key not in text
    assert "Signature" not in text


def test_log_names_shows_buckets_and_keys(start_server):
    server = start_server("--workers", "1", "--log-names")
    s3 = server.client()
    s3.create_bucket(Bucket="a-telling-bucket")
    s3.put_object(Bucket="a-telling-bucket", Key="a-telling-key", Body=b"x")
    lines = eventually("both are logged", lambda: len(found := server.log_events("request")) >= 2 and found)
    assert (lines[1]["bucket"], lines[1]["object_key"]) == ("a-telling-bucket", "a-telling-key")


@pytest.mark.client("boto3")
@pytest.mark.parametrize("size", [1, MIB, 20 * MIB])
def test_a_refused_upload_reaches_boto3_as_its_error(server, size):
    stranger = server.client(
        aws_secret_access_key="not-the-secret-of-this-key", config=Config(retries={"max_attempts": 0})
    )
    server.client().create_bucket(Bucket="bucket")
    with pytest.raises(ClientError) as caught:
        stranger.put_object(Bucket="bucket", Key="key", Body=bytes(size))
    assert caught.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_a_refused_upload_that_waits_for_100_continue_is_not_invited(server):
    with server.connection() as connection:
        connection.send(request("PUT", "/bucket/key", f"Content-Length: {MIB}", "Expect: 100-continue"))
        status, _ = connection.receive_head()
    assert status in (403, 404)


def test_a_large_download_survives_sigterm(server):
    s3 = server.client()
    s3.create_bucket(Bucket="bucket")
    content = os.urandom(16 * MIB)
    s3.put_object(Bucket="bucket", Key="key", Body=content)
    body = s3.get_object(Bucket="bucket", Key="key")["Body"]
    received = body.read(MIB)
    server.process.send_signal(signal.SIGTERM)
    eventually("it stops", lambda: server.log_events("stopping"))
    assert received + body.read() == content
    assert server.process.wait() == 0


def test_the_plain_banner_goes_to_standard_output_without_a_secret_to_a_file(tmp_path):
    server = ServerProcess(tmp_path / "server")
    server.folder.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("S3AL_")}
    command = [sys.executable, "-m", "s3al", "serve", "--data", str(server.data), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environ | {"XDG_CONFIG_HOME": str(server.config_home)},
    )
    assert process.stdout is not None
    with process.stdout:
        first = process.stdout.readline()
        process.terminate()
        rest = process.stdout.read()
    assert process.wait() == 0
    assert re.match(r"s3al \S+ serves http://127\.0\.0\.1:\d+ with \d+ workers?\n", first)
    files = [path for path in (server.config_home / "s3al").iterdir() if path.suffix != ".rootkey"]
    assert files, "the first access key is written beside the keyfile"
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    for path in files:
        for value in re.findall(r"[A-Za-z0-9/+]{40}", path.read_text()):
            assert value not in rest


def _serve(server: ServerProcess, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run `s3al serve` on the folders of `server` to its end, which should come at once."""
    server.folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "s3al", "serve", "--json", "--data", str(server.data), *flags],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"XDG_CONFIG_HOME": str(server.config_home)},
    )


def _metrics(server: ServerProcess) -> str:
    with server.connection() as connection:
        connection.send(request("GET", "/_s3al/metrics"))
        return connection.receive().body.decode()
