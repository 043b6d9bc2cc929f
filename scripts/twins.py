"""Compares models with their twins in a run of configs/twins.yaml.

    twins.py RUN_DIR        prints a Markdown table; the records may be runs.jsonl or runs.jsonl.gz

Models are called NAME.1, NAME.2, ... and their twins NAME-twin.1, ...: each is one
process, which counts by the median of its repetitions. A machine drifts by more than
what is looked for, so each process of a twin is compared with what the original's
time was at that moment: between the processes of the original before and after it,
along the line between them. The ratio is the median of those, its interval the
percentiles of 20,000 bootstrap resamples of them, seed 42. Needs Python's standard
library alone; leaves nothing behind.
"""

import collections
import gzip
import json
import pathlib
import random
import statistics
import sys


def processes(run):
    """{(model, mode): [(time, median of one process's repetitions in ms)], by time}"""
    calls = collections.defaultdict(list)
    path = pathlib.Path(run) / "runs.jsonl"
    with path.open(encoding="utf-8") if path.exists() else gzip.open(f"{path}.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            r = json.loads(line)
            if r["status"] != "ok":
                raise SystemExit(f"twins: {r['cell_id']} is {r['status']}: {r['error']}")
            if not r["is_warmup"]:
                calls[r["model"], r["mode"]].append((r["started_at_unix"], r["latency_ms"]))
    out = collections.defaultdict(list)
    for (model, mode), values in calls.items():
        at = statistics.mean(t for t, _ in values)
        out[model.rsplit(".", 1)[0], mode].append((at, statistics.median(ms for _, ms in values)))
    return {key: sorted(values) for key, values in out.items()}


def at_time(series, t):
    """The series' value at time t: between its neighbours, at its ends the nearest."""
    before = [p for p in series if p[0] <= t]
    after = [p for p in series if p[0] > t]
    if not before or not after:
        return (before or after)[-1 if before else 0][1]
    (t0, y0), (t1, y1) = before[-1], after[0]
    return y0 + (y1 - y0) * (t - t0) / (t1 - t0)


def interval(values, draws=20_000):
    """95 % bootstrap interval of the median."""
    rng = random.Random(42)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(draws))
    return medians[round(draws * 0.025)], medians[round(draws * 0.975) - 1]


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
            ratios = [ms / at_time(a, t) for t, ms in b]
            low, high = interval(ratios)
            ma, mb = (statistics.median(ms for _, ms in g) for g in (a, b))
            print(f"| {name} | {mode} | {len(a)} + {len(b)} | {ma:.2f} | {mb:.2f} | {statistics.median(ratios):.4f} | {low:.4f} to {high:.4f} |")


if __name__ == "__main__":
    main()
