"""Compares models with their twins in a run of configs/twins.yaml.

    twins.py RUN_DIR        prints a Markdown table

Models are called NAME.1, NAME.2, ... and their twins NAME-twin.1, ...: each is one
process. A process counts by the median of its repetitions, a model by the median of
its processes. The interval is of the ratio twin / original: percentiles of 20,000
bootstrap resamples of the processes on both sides, seed 42. Needs Python's standard
library alone; leaves nothing behind.
"""

import collections
import json
import pathlib
import random
import statistics
import sys


def processes(run):
    """{(model, mode): [median of one process's repetitions, ms]}"""
    calls = collections.defaultdict(list)
    with open(pathlib.Path(run) / "runs.jsonl", encoding="utf-8") as lines:
        for line in lines:
            r = json.loads(line)
            if r["status"] != "ok":
                raise SystemExit(f"twins: {r['cell_id']} is {r['status']}: {r['error']}")
            if not r["is_warmup"]:
                calls[r["model"], r["mode"]].append(r["latency_ms"])
    out = collections.defaultdict(list)
    for (model, mode), values in sorted(calls.items()):
        out[model.rsplit(".", 1)[0], mode].append(statistics.median(values))
    return out


def interval(a, b, draws=20_000):
    """95 % bootstrap interval of median(b) / median(a)."""
    rng = random.Random(42)
    ratios = sorted(
        statistics.median(rng.choices(b, k=len(b))) / statistics.median(rng.choices(a, k=len(a))) for _ in range(draws))
    return ratios[round(draws * 0.025)], ratios[round(draws * 0.975) - 1]


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: twins.py RUN_DIR")
    groups = processes(sys.argv[1])
    names = sorted({m for m, _ in groups if not m.endswith("-twin")})
    print("| model | phase | processes | original, median ms | twin, median ms | twin / original | 95 % interval |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for name in names:
        for mode in ("prefill", "kv_decode", "e2e_kv"):
            a, b = groups[name, mode], groups[name + "-twin", mode]
            low, high = interval(a, b)
            ma, mb = statistics.median(a), statistics.median(b)
            print(f"| {name} | {mode} | {len(a)} + {len(b)} | {ma:.2f} | {mb:.2f} | {mb / ma:.4f} | {low:.4f} to {high:.4f} |")


if __name__ == "__main__":
    main()
