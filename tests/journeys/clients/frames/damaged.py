"""Reads row groups of a damaged Parquet file through s3al://; prints which can be read. arguments: bucket, key file."""

import json
import os
import sys

import pyarrow.parquet as pq

from s3al.client import DecryptionError
from s3al.client.filesystem import S3alFileSystem

bucket, key_file = sys.argv[1:]
filesystem = S3alFileSystem(
    key=f"aes:{key_file}", client_kwargs={"endpoint_url": os.environ["AWS_ENDPOINT_URL"]}, skip_instance_cache=True
)
told = {}
for number in range(10):
    file = pq.ParquetFile(filesystem.open(f"{bucket}/pandas.parquet", cache_type="none"))
    try:
        told[number] = file.read_row_group(number, columns=["value"]).num_rows
    except DecryptionError as exc:
        told[number] = type(exc).__name__
print(json.dumps(told))
