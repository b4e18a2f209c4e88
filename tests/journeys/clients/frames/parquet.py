"""pandas, pyarrow, DuckDB and dask on s3al://, each writing and reading a million rows; prints one JSON document.

arguments: bucket, key file, rows.
"""

import json
import os
import sys

import dask.dataframe as dd
import duckdb
import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from s3al.client.filesystem import S3alFileSystem, register

bucket, key_file, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
register()
options = {"key": f"aes:{key_file}", "client_kwargs": {"endpoint_url": os.environ["AWS_ENDPOINT_URL"]}}
base = f"s3al://{bucket}"
told = {}

random = np.random.default_rng(7)
frame = pd.DataFrame({
    "number": np.arange(rows, dtype="int64"),
    "value": random.random(rows),
    "group": pd.Series([f"group-{one}" for one in random.integers(0, 50, rows)]),
})
total = int(frame["number"].sum())

frame.to_parquet(f"{base}/pandas.parquet", storage_options=options, row_group_size=100_000)
back = pd.read_parquet(f"{base}/pandas.parquet", storage_options=options)
pd.testing.assert_frame_equal(frame, back, check_dtype=False)
told["pandas"] = len(back)

filesystem = fsspec.filesystem("s3al", **options)
assert isinstance(filesystem, S3alFileSystem)
ds.write_dataset(
    pa.Table.from_pandas(frame), f"{bucket}/dataset", filesystem=filesystem, format="parquet",
    max_rows_per_file=250_000, max_rows_per_group=50_000,
)
dataset = ds.dataset(f"{bucket}/dataset", filesystem=filesystem, format="parquet")
filtered = dataset.to_table(filter=ds.field("number") >= rows - 10, columns=["number"])
assert filtered.num_rows == 10
told["pyarrow"] = dataset.count_rows()
assert sum(dataset.to_table(columns=["number"])["number"].to_pylist()) == total

database = duckdb.connect()
database.register_filesystem(filesystem)
found = database.execute(f"SELECT count(*), sum(number) FROM read_parquet('{base}/pandas.parquet')").fetchone()
assert int(found[1]) == total
told["duckdb"] = found[0]
database.execute(f"COPY (SELECT number FROM frame) TO '{base}/duck.parquet' (FORMAT parquet)")
assert pq.read_table(f"{bucket}/duck.parquet", filesystem=filesystem).num_rows == rows

dd.from_pandas(frame, npartitions=4).to_parquet(f"{base}/dask", storage_options=options)
told["dask"] = len(dd.read_parquet(f"{base}/dask", storage_options=options))

footer = pq.ParquetFile(filesystem.open(f"{bucket}/pandas.parquet")).metadata
told["row_groups"] = footer.num_row_groups
group = footer.row_group(3).column(1)
start = min(one for one in (group.dictionary_page_offset, group.data_page_offset) if one)
told["byte_in_group_3"] = start + group.total_compressed_size // 2
print(json.dumps(told))
