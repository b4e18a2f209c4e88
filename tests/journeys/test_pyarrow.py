"""pyarrow's S3 filesystem (the C++ SDK): Parquet written and read back by column and by row group, in ranges, also
where the bucket's default encrypts."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from support.server_process import ServerProcess
from support.settings import DSSE_KMS, SSE_KMS, new_bucket, new_key, set_default

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: script/test installs it")
pytestmark = pytest.mark.client("pyarrow")
ROWS = 400_000


def _filesystem(server: ServerProcess, **options: Any) -> Any:
    from pyarrow.fs import S3FileSystem

    place = urlsplit(server.endpoint)
    if server.ca_bundle:
        options["tls_ca_file_path"] = server.ca_bundle
    return S3FileSystem(
        access_key=server.access_key_id,
        secret_key=server.secret_access_key,
        region=server.region,
        scheme=place.scheme,
        endpoint_override=place.netloc,
        **options,
    )


def _table() -> Any:
    import random

    choose = random.Random(1)
    return pa.table({"number": range(ROWS), "noise": [choose.random() for _ in range(ROWS)]})


def _there_and_back(filesystem: Any, bucket: str) -> None:
    from pyarrow import parquet

    table, path = _table(), f"{bucket}/folder/table.parquet"
    parquet.write_table(table, path, filesystem=filesystem, row_group_size=ROWS // 8)
    assert parquet.read_table(path, filesystem=filesystem).equals(table)
    with parquet.ParquetFile(filesystem.open_input_file(path)) as file:
        group = file.read_row_group(5, columns=["noise"])
    assert group.equals(table.select(["noise"]).slice(5 * ROWS // 8, ROWS // 8))
    filtered = parquet.read_table(path, filesystem=filesystem, filters=[("number", "=", 123_456)])
    assert filtered.to_pylist() == table.slice(123_456, 1).to_pylist()


def test_parquet_is_read_in_ranges(standing_server):
    bucket = new_bucket(standing_server)
    _there_and_back(_filesystem(standing_server), bucket)
    size = standing_server.client().head_object(Bucket=bucket, Key="folder/table.parquet")["ContentLength"]
    reads = [line for line in standing_server.log_events("request") if line["operation"] == "GetObject"][-3:]
    assert all(line["status"] == 206 and line["bytes"] < size for line in reads), "the filter read less than the file"


def test_parquet_over_tls(standing_tls_server):
    _there_and_back(_filesystem(standing_tls_server), new_bucket(standing_tls_server))


@pytest.mark.parametrize("mode", [SSE_KMS, DSSE_KMS])
def test_a_default_encrypts_without_any_option(standing_server, mode):
    s3, key = standing_server.client(), new_key(standing_server)
    bucket = new_bucket(standing_server, owner=s3)
    set_default(s3, bucket, mode, key)
    _there_and_back(_filesystem(standing_server), bucket)
    head = s3.head_object(Bucket=bucket, Key="folder/table.parquet")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == (mode, key)


def test_files_and_folders(any_server, bucket):
    from pyarrow.fs import FileSelector

    filesystem = _filesystem(any_server, allow_bucket_creation=True)
    with filesystem.open_output_stream(f"{bucket}/a/b/c.bin") as stream:
        for _ in range(12):
            stream.write(bytes(1 << 20))
    filesystem.copy_file(f"{bucket}/a/b/c.bin", f"{bucket}/a/d é.bin")
    filesystem.move(f"{bucket}/a/d é.bin", f"{bucket}/moved")
    found = filesystem.get_file_info(FileSelector(bucket, recursive=True))
    sizes = {info.path.removeprefix(bucket + "/"): info.size for info in found if info.is_file}
    assert sizes == {"a/b/c.bin": 12 << 20, "moved": 12 << 20}
    with filesystem.open_input_file(f"{bucket}/moved") as file:
        file.seek(5 << 20)
        assert file.read(100) == bytes(100)
    filesystem.delete_dir_contents(bucket)
    assert filesystem.get_file_info(FileSelector(bucket, recursive=True)) == []
    with pytest.raises(OSError, match=r"(?i)not exist|not found|404|NO_SUCH"):
        filesystem.open_input_file(f"{bucket}/absent").read()
