"""Compares models with their twins in a run of configs/twins.yaml.

    twins.py RUN_DIR        prints two Markdown tables; the records may be runs.jsonl or runs.jsonl.gz

Models are called NAME.1, NAME.2, ... and their twins NAME-twin.1, ...: each is one
process, which counts by the median of its repetitions. A machine drifts by more than
what is looked for, so each process of a twin is compared with what the original's
time was at that moment: between the processes of the original before and after it,
along the line between them. The ratio is the median of those, its interval the
percentiles of 20,000 bootstrap resamples of them, seed 42. The second table is what
the processes of one file differ by: the median absolute deviation, scaled as for
normal values, of the logarithms of their decode medians, and of their p95/p50 of the
token times, each relative to the median of its call. Needs Python's standard library
alone; leaves nothing behind.
"""

import collections
import gzip
import json
import math
import pathlib
import random
import statistics
import sys


def processes(run):
    """{(model, mode): [(time, median of one process's repetitions in ms)], by time}, and
    {model: [token times relative to their call's median, of one process]}"""
    calls, tokens = collections.defaultdict(list), collections.defaultdict(list)
    path = pathlib.Path(run) / "runs.jsonl"
    with path.open(encoding="utf-8") if path.exists() else gzip.open(f"{path}.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            r = json.loads(line)
            if r["status"] != "ok":
                raise SystemExit(f"twins: {r['cell_id']} is {r['status']}: {r['error']}")
            if not r["is_warmup"]:
                calls[r["model"], r["mode"]].append((r["started_at_unix"], r["latency_ms"]))
                if r["mode"] == "kv_decode":
                    mid = statistics.median(r["token_ns"])
                    tokens[r["model"]] += [ns / mid for ns in r["token_ns"]]
    out = collections.defaultdict(list)
    for (model, mode), values in calls.items():
        at = statistics.mean(t for t, _ in values)
        out[model.rsplit(".", 1)[0], mode].append((at, statistics.median(ms for _, ms in values)))
    by_model = collections.defaultdict(list)
    for model, values in tokens.items():
        by_model[model.rsplit(".", 1)[0]].append(values)
    return {key: sorted(values) for key, values in out.items()}, by_model


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


def scatter(values):
    """The scaled median absolute deviation of the values' logarithms, in percent."""
    logs = [math.log(v) for v in values]
    mid = statistics.median(logs)
    return 100 * statistics.median(abs(v - mid) for v in logs) / statistics.NormalDist().inv_cdf(0.75)


def tail(tokens):
    """p95/p50, by linear interpolation between order statistics."""
    return statistics.quantiles(tokens, n=20, method="inclusive")[-1] / statistics.median(tokens)


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: twins.py RUN_DIR")
    groups, tokens = processes(sys.argv[1])
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
    print()
    print("| file | processes | decode differs by, % | p95/p50 differs by, % |")
    print("|---|---:|---:|---:|")
    for name in sorted(tokens):
        decode, tails = [ms for _, ms in groups[name, "kv_decode"]], [tail(t) for t in tokens[name]]
        print(f"| {name} | {len(tails)} | {scatter(decode):.1f} | {scatter(tails):.1f} |")


if __name__ == "__main__":
    main()
