"""How a server is reached: IPv6, bucket names as host names, behind a proxy; and what it lets end when told to stop."""

from __future__ import annotations

import os
import re
import signal
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config

from support.processes import eventually
from support.raw_http import request
from support.settings import NO_RETRIES, allow_sse_c, new_bucket, put_policy, refused

pytestmark = pytest.mark.client("boto3")
MIB = 1 << 20
DOMAIN = "s3.journey.test"


@pytest.fixture
def resolved(monkeypatch) -> None:
    """Names below DOMAIN lead to this machine."""
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        mine = isinstance(host, str) and (host == DOMAIN or host.endswith("." + DOMAIN))
        return real("127.0.0.1" if mine else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_objects_over_ipv6(start_server):
    server = start_server("--workers", "1", "--listen", "[::1]:0")
    s3 = server.client(config=NO_RETRIES)
    bucket = new_bucket(server, owner=s3)
    content = os.urandom(3 * MIB)
    s3.put_object(Bucket=bucket, Key="key", Body=content)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == content
    here = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*",
            "Condition": {"IpAddress": {"aws:SourceIp": "::1/128"}}}  # fmt: skip
    put_policy(s3, bucket, here)
    with refused("AccessDenied", 403):
        s3.get_object(Bucket=bucket, Key="key")


@pytest.mark.parametrize("tls", [(), ("--tls", "auto")], ids=["http", "tls"])
def test_buckets_as_host_names(start_server, resolved, tls):
    server = start_server("--workers", "1", "--domain", DOMAIN, *tls)
    endpoint = server.endpoint.replace("127.0.0.1", DOMAIN)
    styled = Config(s3={"addressing_style": "virtual"}, signature_version="s3v4", retries={"total_max_attempts": 1})
    s3 = server.client(endpoint_url=endpoint, config=styled)
    hosts: set[str] = set()

    def note(request: Any, **_: Any) -> None:
        hosts.add(urlsplit(request.url).hostname or "")

    s3.meta.events.register("before-send.s3", note)
    s3.create_bucket(Bucket="virtual")
    content = os.urandom(6 * MIB)
    s3.put_object(Bucket="virtual", Key="a key/é", Body=content)
    assert s3.get_object(Bucket="virtual", Key="a key/é")["Body"].read() == content
    assert hosts == {f"virtual.{DOMAIN}"}
    assert [one["Key"] for one in s3.list_objects_v2(Bucket="virtual")["Contents"]] == ["a key/é"]
    assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == ["virtual"]
    assert hosts == {f"virtual.{DOMAIN}", DOMAIN}
    with refused("NoSuchBucket", 404):
        s3.get_object(Bucket="absent", Key="key")
    by_path = server.client(config=NO_RETRIES)
    assert by_path.head_object(Bucket="virtual", Key="a key/é")["ContentLength"] == 6 * MIB


def _forwarded(server, **headers: str) -> Any:
    """boto3 behind a proxy that adds these headers to what was signed."""
    s3 = server.client(config=NO_RETRIES)

    def add(request: Any, **_: Any) -> None:
        for name, value in headers.items():
            request.headers[name.replace("_", "-")] = value

    s3.meta.events.register("before-send.s3", add)
    return s3


def test_only_a_trusted_proxy_says_who_asks_and_how(start_server):
    for flags, believed in ((("--trusted-proxy", "127.0.0.0/8"), True), ((), False)):
        server = start_server("--workers", "1", *flags)
        plain = server.client(config=NO_RETRIES)
        bucket = new_bucket(server, owner=plain)
        plain.put_object(Bucket=bucket, Key="key", Body=b"x")
        everything = {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        put_policy(
            plain,
            bucket,
            everything | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}},
            everything | {"Condition": {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}},
        )
        right = _forwarded(server, X_Forwarded_Proto="https", X_Forwarded_For="198.51.100.1, 203.0.113.9")
        wrongs = [
            plain,
            _forwarded(server, X_Forwarded_Proto="https", X_Forwarded_For="203.0.113.9, 198.51.100.1"),
            _forwarded(server, X_Forwarded_Proto="http", X_Forwarded_For="203.0.113.9"),
        ]
        if believed:
            assert right.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"
        else:
            wrongs.append(right)
        for wrong in wrongs:
            with refused("AccessDenied", 403):
                wrong.get_object(Bucket=bucket, Key="key")


def test_sse_c_behind_a_proxy_that_ended_tls(start_server):
    server = start_server("--workers", "1", "--trusted-proxy", "127.0.0.1/32")
    s3 = server.client(config=NO_RETRIES)
    bucket = new_bucket(server, owner=s3)
    allow_sse_c(s3, bucket)
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(32))}
    with refused("InvalidRequest", 400):
        s3.put_object(Bucket=bucket, Key="key", Body=b"x", **customer)
    behind = _forwarded(server, X_Forwarded_Proto="https", X_Forwarded_For="203.0.113.9")
    behind.put_object(Bucket=bucket, Key="key", Body=b"x", **customer)
    assert behind.get_object(Bucket=bucket, Key="key", **customer)["Body"].read() == b"x"


def test_sigterm_lets_an_upload_in_flight_end(start_server):
    server = start_server("--workers", "2")
    s3 = server.client(config=Config(signature_version="s3v4"))
    bucket = new_bucket(server, owner=s3)
    url = urlsplit(s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "key"}))
    content = os.urandom(8 * MIB)
    head = request("PUT", f"{url.path}?{url.query}", f"Content-Length: {len(content)}", host=url.netloc)
    with server.connection() as connection:
        connection.send(head, content[: 4 * MIB])
        eventually("the upload is in flight", lambda: _in_flight(server) == 1)
        server.process.send_signal(signal.SIGTERM)
        eventually("it stops", lambda: server.log_events("stopping"))
        connection.send(content[4 * MIB :])
        assert connection.receive().status == 200
    assert server.process.wait(30) == 0
    server.start()
    assert server.client().get_object(Bucket=bucket, Key="key")["Body"].read() == content


def _in_flight(server) -> int:
    """Requests that the server is working on, as its metrics tell."""
    with server.connection() as connection:
        connection.send(request("GET", "/_s3al/metrics"))
        found = re.search(rb"^s3al_requests_in_flight (\d+)$", connection.receive().body, re.MULTILINE)
    return int(found[1]) if found else 0
