"""Reads a run's Parquet file with pandas and DuckDB and compares the medians of its cells with the run's own table.

Usage: scripts/exchange does it. The run is one without replicates: then a cell's median is that of its calls.
"""
import gzip
import json
import pathlib
import sys

import duckdb
import pandas

run, file = pathlib.Path(sys.argv[1]), sys.argv[2]
keys = ["backend", "model", "scenario", "mode"]

frame = pandas.read_parquet(file)
packed = run / "runs.jsonl.gz"
lines = gzip.open(packed, "rt") if packed.exists() else open(run / "runs.jsonl")
records = [json.loads(line) for line in lines]
assert len(frame) == len(records), f"{len(frame)} rows of {len(records)} records"
for i in (0, len(records) - 1):  # a list is a list, null is null
    ids = frame["token_ns"][i]
    assert (None if ids is None else list(ids)) == records[i]["token_ns"], f"row {i}: token_ns {ids}"
counts = frame[(frame.status == "ok") & ~frame.is_warmup & frame.verdict.isna()]
by_pandas = counts.groupby(keys).latency_ms.median()

by_duckdb = duckdb.sql(f"""select {', '.join(keys)}, median(latency_ms) as ms from '{file}'
    where status = 'ok' and not is_warmup and verdict is null group by all""").df().set_index(keys).ms

table = pandas.read_csv(run / "analysis" / "summary_by_model_backend_mode.csv").set_index(keys).latency_median_ms
worst = 0.0
for name, medians in ("pandas", by_pandas), ("DuckDB", by_duckdb):
    assert len(medians) == len(table), f"{name}: {len(medians)} cells, the table has {len(table)}"
    off = ((medians / table.reindex(medians.index)) - 1).abs().max()
    assert off < 1e-12, f"{name}: a median is off by {off}"
    worst = max(worst, off)
print(f"{len(frame)} rows, {len(frame.columns)} columns; pandas {pandas.__version__} and DuckDB {duckdb.__version__}: "
      f"{len(table)} medians as in the table (off by {worst:.1g} at most)")
