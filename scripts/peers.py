"""Decode time of llmscale beside llama-bench and PyTorch, on the same f32 weights.

    peers.py --out DIR [--rounds 7] [--reps 5] [--sizes gpt2-5m,gpt2] [--tools a,b] ...

scripts/peers builds what it needs and calls it. In each round every size is run
once with every tool, each in a fresh process, sizes and tools in a new random
order; a process gives the median of its repetitions, and a ratio is taken within
one round, where the two processes ran within seconds of each other. At the end
PyTorch is given llmscale's prompt, and their greedy tokens are compared.

Leaves behind: DIR/raw.csv, one line per repetition, and DIR/table.md. Needs
nothing but Python's standard library; PyTorch runs under --python.
"""

import argparse
import csv
import json
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

UPSTREAM, BENCH, PINNED, TORCH = "llmscale-upstream", "llama-bench", "llmscale", "pytorch"
TOOLS = [UPSTREAM, BENCH, PINNED, TORCH]
SIZES = ["gpt2-5m", "gpt2-25m", "gpt2-45m", "gpt2-50m", "gpt2-75m", "gpt2-100m", "gpt2"]

CONFIG = """\
run_name: peers
gen_tokens: {gen}
repetitions: {reps}
warmup_repetitions: 1
seed: {seed}
scenarios:
  - {{name: one, prompt_tokens: 1}}
backends:
  - {{name: cpu, kind: native, device: cpu, threads: {threads}, flash_attn: auto, mmap: false}}
models:
  - {{name: {name}, source: "{path}"}}
"""


def call(argv, **kw):
    """The command's stdout; on failure ends the program with what it said."""
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
    if done.returncode != 0:
        sys.exit(f"peers: {' '.join(str(a) for a in argv)} failed ({done.returncode}):\n{done.stderr[-3000:]}")
    return done.stdout


def run_llmscale(binary, args, name, path, seed):
    """Milliseconds per token for each repetition, and the records."""
    with tempfile.TemporaryDirectory(dir=args.out) as tmp:
        tmp = pathlib.Path(tmp)
        config = tmp / "peers.yaml"
        config.write_text(CONFIG.format(gen=args.gen, reps=args.reps, threads=args.threads, seed=seed, name=name, path=path))
        call([binary, "run", "--config", config, "--out", tmp / "out"])
        records = [json.loads(line) for f in sorted(tmp.glob("out/**/runs.jsonl")) for line in f.open()]
    records = [r for r in records if r["mode"] == "kv_decode" and not r["is_warmup"]]
    bad = [r for r in records if r["status"] != "ok"]
    if bad or len(records) != args.reps:
        sys.exit(f"peers: {binary} on {path}: {len(records)} of {args.reps} calls, {bad[:1]}")
    rows = [{"ms": r["decode_no_sampling_ms"] / r["gen_tokens"], "ms_sampled": r["kv_decode_ms"] / r["gen_tokens"]} for r in records]
    return rows, records


def run_bench(args, path):
    out = call([args.llama_bench, "-m", path, "-p", 0, "-n", args.gen, "-t", args.threads, "-r", args.reps,
                "-ngl", 0, "-fa", "auto", "-lm", "none", "-o", "json"])
    (result,) = json.loads(out)
    return [{"ms": ns / 1e6 / args.gen, "ms_sampled": None} for ns in result["samples_ns"]]


def run_torch(args, path, seed, prompt=None):
    argv = [args.python, pathlib.Path(__file__).with_name("peers_torch.py"), path, "--threads", args.threads,
            "--gen", args.gen, "--reps", 1 if prompt else args.reps, "--seed", seed]
    if prompt:
        argv += ["--prompt-ids", ",".join(map(str, prompt))]
    result = json.loads(call(argv, env={**os.environ, "HF_HUB_OFFLINE": "1"}))
    rows = [{"ms": c["decode_ms"] / args.gen, "ms_sampled": c["kv_decode_ms"] / args.gen} for c in result["calls"]]
    return rows, result


def spread(values, digits=2):
    values = sorted(values)
    return f"{statistics.median(values):.{digits}f} ({values[0]:.{digits}f}-{values[-1]:.{digits}f})"


def cpu_name():
    try:
        for line in open("/proc/cpuinfo"):
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()


def table(args, medians, facts, agreement, loads, rates):
    """The markdown page: medians is {(tool, size): [per round {"ms", "ms_sampled"}]}."""
    head = {UPSTREAM: "llmscale, same llama.cpp as llama-bench", BENCH: "llama-bench", PINNED: "llmscale, pinned llama.cpp", TORCH: "PyTorch"}
    pairs = [(a, b) for a, b in ((UPSTREAM, BENCH), (PINNED, BENCH), (UPSTREAM, TORCH), (PINNED, TORCH)) if a in args.tools and b in args.tools]
    short = {UPSTREAM: "llmscale/", PINNED: "pinned/"}
    lines = [
        f"CPU: {cpu_name()}, {os.cpu_count()} cores seen, {args.threads} threads. f32 weights, batch 1, {args.gen} tokens decoded "
        f"from a near-empty context, {args.rounds} rounds of {args.reps} repetitions each, order shuffled, every tool a fresh process.",
        f"Load average before a process: median {statistics.median(loads):.2f}, greatest {max(loads):.2f}.",
        "",
        "Decode, ms per token without sampling: median over rounds (least-greatest)",
        "",
        "| model | params, M | " + " | ".join(head[t] for t in args.tools) + " |",
        "|---|---:|" + "---:|" * len(args.tools),
    ]
    for s in args.sizes:
        lines.append(f"| {s} | {facts[s]['params'] / 1e6:.1f} | " + " | ".join(spread([m["ms"] for m in medians[t, s]]) for t in args.tools) + " |")
    if pairs:
        lines += [
            "",
            "Ratios of times, taken within each round: median (least-greatest); below 1 the first is faster.",
            "Against PyTorch both sides count their argmax.",
            "",
            "| model | " + " | ".join(short[a] + b for a, b in pairs) + " |",
            "|---|" + "---:|" * len(pairs),
        ]
        for s in args.sizes:
            cells = []
            for a, b in pairs:
                key = "ms_sampled" if b == TORCH else "ms"
                cells.append(spread([x[key] / y[key] for x, y in zip(medians[a, s], medians[b, s])], 3))
            lines.append(f"| {s} | " + " | ".join(cells) + " |")
    ours = next((t for t in (PINNED, UPSTREAM) if t in args.tools), None)
    if ours:
        measured = statistics.median(rates) if rates else None
        lines += ["", f"Weights read per second: bytes read per token over the median of {head[ours]}."]
        if measured:
            lines.append(f"Reading memory alone, {args.threads} threads over 512 MiB, gave {spread(rates, 1)} GB/s, measured once a round; "
                         "weights that stay in the caches can come faster.")
        lines += ["", "| model | bytes per token, MB | GB/s |" + (" share of the read bandwidth |" if measured else ""),
                  "|---|---:|---:|" + ("---:|" if measured else "")]
        for s in args.sizes:
            nbytes = facts[s]["bytes_per_token"]
            rate = nbytes / 1e6 / statistics.median(m["ms"] for m in medians[ours, s])
            lines.append(f"| {s} | {nbytes / 1e6:.1f} | {rate:.1f} |" + (f" {100 * rate / measured:.0f} % |" if measured else ""))
    if agreement:
        lines += ["", "Greedy tokens of llmscale and PyTorch from the same prompt, equal from the start: "
                  + ", ".join(f"{s} {agreement[s][0]} of {agreement[s][1]}" for s in args.sizes)
                  + ". llama.cpp keeps keys and values in f16, PyTorch in f32: where two tokens score almost alike, the smaller ones part."]
    return "\n".join(lines) + "\n"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=pathlib.Path, required=True, help="folder for raw.csv and table.md")
    ap.add_argument("--models", type=pathlib.Path, required=True, help="folder with SIZE.gguf files, f32")
    ap.add_argument("--llmscale", default="bin/llmscale")
    ap.add_argument("--llmscale-upstream", default="bin/llmscale-upstream")
    ap.add_argument("--llama-bench", default="llama-bench")
    ap.add_argument("--python", default=sys.executable)
    ap.add_argument("--tools", type=lambda s: s.split(","), default=TOOLS)
    ap.add_argument("--sizes", type=lambda s: s.split(","), default=SIZES)
    ap.add_argument("--rounds", type=int, default=7)
    ap.add_argument("--reps", type=int, default=5)
    ap.add_argument("--gen", type=int, default=64)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--seed", type=int, default=42)
    ap.add_argument("--bandwidth", help="program that prints this machine's read bandwidth in GB/s, run once a round")
    args = ap.parse_args()
    for t in args.tools:
        if t not in TOOLS:
            ap.error(f"no tool is called {t}; there are {', '.join(TOOLS)}")
    args.tools = [t for t in TOOLS if t in args.tools]
    args.out.mkdir(parents=True, exist_ok=True)

    rng = random.Random(args.seed)
    medians = {(t, s): [] for t in args.tools for s in args.sizes}
    facts = {s: {"params": 0, "bytes_per_token": 0} for s in args.sizes}
    sample, loads, rates = {}, [], []
    if os.getloadavg()[0] > 0.3:
        print(f"peers: the load average is {os.getloadavg()[0]:.1f}: stop what else is running, or the figures mean little", file=sys.stderr)
    started = time.monotonic()
    with (args.out / "raw.csv").open("w", newline="") as f:
        raw = csv.writer(f, lineterminator="\n")
        raw.writerow(["round", "order", "model", "tool", "rep", "decode_ms_per_token", "decode_and_sampling_ms_per_token", "load_average_1m"])
        order = 0
        for rnd in range(args.rounds):
            if args.bandwidth:
                rates.append(float(call([args.bandwidth, "-threads", args.threads])))
            for size in rng.sample(args.sizes, len(args.sizes)):
                path = (args.models / f"{size}.gguf").resolve()
                for tool in rng.sample(args.tools, len(args.tools)):
                    seed = args.seed + rnd
                    load = os.getloadavg()[0]
                    if tool == BENCH:
                        rows = run_bench(args, path)
                    elif tool == TORCH:
                        rows, _ = run_torch(args, path, seed)
                    else:
                        binary = args.llmscale if tool == PINNED else args.llmscale_upstream
                        rows, records = run_llmscale(binary, args, size, path, seed)
                        sample[size] = records[0]
                        facts[size] = {"params": records[0]["params_total"], "bytes_per_token": records[0]["bytes_read_per_token"]}
                    for rep, row in enumerate(rows):
                        raw.writerow([rnd, order, size, tool, rep, f"{row['ms']:.6f}", "" if row["ms_sampled"] is None else f"{row['ms_sampled']:.6f}", f"{load:.2f}"])
                    f.flush()
                    order += 1
                    loads.append(load)
                    median = {k: None if rows[0][k] is None else statistics.median(r[k] for r in rows) for k in ("ms", "ms_sampled")}
                    medians[tool, size].append(median)
                    print(f"round {rnd + 1}/{args.rounds} {size:10} {tool:18} {median['ms']:8.3f} ms/token  "
                          f"({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)

    agreement = {}
    if TORCH in args.tools:
        for size, record in sample.items():
            path = (args.models / f"{size}.gguf").resolve()
            _, result = run_torch(args, path, args.seed, record["prompt_token_ids"])
            theirs, ours = result["calls"][0]["output_token_ids"], record["output_token_ids"]
            total = min(len(theirs), len(ours))
            agreement[size] = (next((i for i in range(total) if theirs[i] != ours[i]), total), total)
    text = table(args, medians, facts, agreement, loads, rates)
    (args.out / "table.md").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
