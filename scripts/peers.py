"""Times of llmscale beside those of other programs on the same model files.

    peers.py [SET...] [--rounds 10] [--models a,b] [--plan] ...   measures; default: all sets
    peers.py [SET...] --tables                                     prints the tables of what was measured

scripts/peers builds what it needs and calls it. In each round every program runs
once on every model, in fresh processes, models and programs in a new random order;
a program's figure of a round is the median of its repetitions there, and a ratio is
taken within one round, where the two ran within seconds of each other.

Leaves behind: OUT/raw.csv, one line per repetition, written after each program's
turn. A call that finds turns of a round there leaves them out, so that an
interrupted one goes on where it was. Needs nothing but Python's standard library;
PyTorch runs under a Python of its own.
"""

import argparse
import collections
import csv
import itertools
import json
import math
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from peers_sets import BATCHED, BENCH, EQUAL, OLD, OURS, TORCH, groups

COLUMNS = ["set", "round", "order", "model", "tool", "build", "flash_attn", "phase", "at", "rep", "ms", "load_average_1m"]


class Failed(Exception):
    """A program did not measure what it was asked to."""


def run(argv, **kw):
    argv = [str(a) for a in argv]
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", timeout=900, **kw)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Failed(e) from None
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv)} ended with {done.returncode}:\n{(done.stderr or done.stdout)[-3000:]}")
    return done.stdout


# Each of the following takes a group's turn and yields (build, flash_attn, test, ms).


def llmscale(args, group, path, seed, binary):
    """One run, in which each flash attention, batch and pace is a backend, hence a process of its own; a test's
    repetitions are scenarios of one call each, as their number differs between tests."""
    calls = collections.Counter()
    for t in group.tests:
        calls[t.call] = max(calls[t.call], t.reps)
    scenarios = {f"p{p}_g{g}_d{d}_{i}": (p, g, d) for (p, g, d), n in calls.items() for i in range(n)}
    kinds = list(itertools.product(group.flash_attn, dict.fromkeys((t.batch, t.pace) for t in group.tests)))
    backends = {f"b{i}": (fa, batch, pace) for i, (fa, (batch, pace)) in enumerate(kinds)}
    lines = ["run_name: peers", "replicates: 1", "repetitions: 1", "warmup_repetitions: 0", f"seed: {seed}", "probe: false",
             "cell_timeout_s: 40",  # bounds the self-check, too: to 2 s
             "scenarios:"]
    lines += [f"  - {{name: {name}, prompt_tokens: {p}, gen_tokens: {g}{f', depth: {d}' if d else ''}}}" for name, (p, g, d) in scenarios.items()]
    lines += ["backends:"]
    lines += [f"  - {{name: {name}, kind: native, device: cpu, threads: {args.threads}, flash_attn: {fa}, batch_size: {batch}{f', {pace}' if pace else ''}}}"
              for name, (fa, batch, pace) in backends.items()]
    lines += ["models:", f'  - {{name: model, source: "{path}"}}']
    with tempfile.TemporaryDirectory(dir=args.out) as tmp:
        config = pathlib.Path(tmp) / "peers.yaml"
        config.write_text("\n".join(lines) + "\n")
        run([binary, "run", "--config", config, "--out", f"{tmp}/run"])
        records = [json.loads(line) for line in open(f"{tmp}/run/runs.jsonl")]
    for r in records:
        if r["status"] != "ok":
            raise Failed(f"{binary} on {path}: {r['status']}: {r.get('error')}")
        fa, batch, pace = backends[r["backend"]]
        for t in group.tests:
            mode, ms = {"prefill": ("prefill", "prefill_ms"), "decode": ("kv_decode", "decode_no_sampling_ms")}.get(t.phase, ("kv_decode", "kv_decode_ms"))
            if (t.batch, t.pace, t.call) == (batch, pace, scenarios[r["scenario"]]) and r["mode"] == mode and t.phase != EQUAL:
                yield r["llama_commit"], fa, t, r[ms] / (1 if mode == "prefill" else t.gen)
        if TORCH in group.tools:
            (args.out / f"{group.model}.json").write_text(json.dumps({k: r[k] for k in ("prompt_token_ids", "output_token_ids")}))


def llama_bench(args, group, path):
    """As few processes as its options allow: one has the same lengths at all its depths."""
    tests = {}  # by what llama-bench says that it measured: prompt, gen, depth
    for t in group.tests_of(BENCH):
        if t.phase == "prefill":
            tests[t.prompt, 0, t.depth] = t
        elif t.phase == "decode":  # all of the prompt is depth to it
            tests[0, t.gen, t.depth + t.prompt] = t
    lengths = collections.defaultdict(list)
    for (p, n, d), t in tests.items():
        lengths[d, t.reps, t.warm].append((p, n))
    depths = collections.defaultdict(list)
    for (d, *how), of in lengths.items():
        depths[(*how, tuple(of))].append(d)
    for (reps, warm, of), ds in depths.items():
        p, n, d = (",".join(str(v) for v in dict.fromkeys(values)) for values in (*zip(*of), ds))  # of p and n llama-bench skips a 0
        argv = [args.llama_bench, "-m", path, "-n", n, "-d", d, "-r", reps, "-t", args.threads,
                "-fa", ",".join(group.flash_attn), "-ngl", 0, "-lm", "mmap", "-o", "jsonl"]
        # Without a warm-up one token maps the file's pages, as llmscale's self-check does.
        argv += ["-p", p] if warm else ["-p", f"1,{p}", "--no-warmup"]
        for r in map(json.loads, run(argv).splitlines()):
            t = tests.get((r["n_prompt"], r["n_gen"], r["n_depth"]))
            for ns in r["samples_ns"] if t else []:
                yield r["build_commit"], {0: "off", 1: "on"}[r["flash_attn"]], t, ns / 1e6 / (1 if t.phase == "prefill" else t.gen)


def llama_batched_bench(args, group, path):
    """Of a batch's calls in a row the first warms up: the program itself has only 16 tokens of one sequence for that."""
    calls = {(t.prompt, t.gen, t.reps) for t in group.tests}
    sizes = sorted({t.batch for t in group.tests})
    commit = (args.llama_batched_bench.parents[1] / ".commit").read_text().strip()
    for (prompt, gen, reps), fa in itertools.product(calls, group.flash_attn):
        # A sequence has a cache of its own, of at least 256 tokens.
        context = max(sizes) * 256 * math.ceil((prompt + gen) / 256)
        out = run([args.llama_batched_bench, "-m", path, "-npp", prompt, "-ntg", gen, "-npl", ",".join(str(b) for b in sizes for _ in range(reps + 1)),
                   "-c", context, "-b", 2048, "-ub", 512, "-t", args.threads, "-fa", fa, "-ngl", 0, "-lm", "mmap", "--output-format", "jsonl"])
        found = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        for b in sizes:
            for r in [r for r in found if r["pl"] == b][1:]:
                for t in group.tests:
                    if t.batch == b:
                        yield commit, fa, t, 1e3 * (r["t_pp"] if t.phase == "prefill" else r["t_tg"] / gen)


def pytorch(args, group, path, seed):
    """The calls of one process; no flash attention."""
    t = group.tests[0]
    argv = [args.python, pathlib.Path(__file__).with_name("peers_torch.py"), path, "--threads", args.threads,
            "--gen", t.gen, "--reps", t.reps, "--seed", seed]
    ours = args.out / f"{group.model}.json"
    ours = json.loads(ours.read_text()) if ours.exists() else None
    if ours:
        argv += ["--prompt-ids", ",".join(map(str, ours["prompt_token_ids"]))]
    result = json.loads(run(argv, env={**os.environ, "HF_HUB_OFFLINE": "1"}))
    for call, t in itertools.product(result["calls"], group.tests):
        if t.phase != EQUAL:
            value = call["decode_ms" if t.phase == "decode" else "kv_decode_ms"] / t.gen
        elif ours:
            same = [a == b for a, b in zip(call["output_token_ids"], ours["output_token_ids"])]
            value = (same + [False]).index(False)
        else:
            continue
        # Its rows stand beside the others' of the same setting.
        yield result["torch"], group.flash_attn[0], t, value


def model_file(args, model):
    """The path of a model of random weights, which is written where it is not there."""
    path = (args.models_dir / f"{model}.gguf").resolve()
    if not path.exists():
        args.models_dir.mkdir(parents=True, exist_ok=True)
        shape, dtype = model.rsplit("-", 1)
        say(f"writing {path}")
        run([args.llmscale, "synth", "--force", "--type", dtype, "-o", f"{path}.new", shape.replace("llama-", "ladder:llama/")])
        os.rename(f"{path}.new", path)
    return path


def turn(args, group, tool, seed):
    path = model_file(args, group.model)
    if tool == BENCH:
        return list(llama_bench(args, group, path))
    if tool == BATCHED:
        return list(llama_batched_bench(args, group, path))
    if tool == TORCH:
        return list(pytorch(args, group, path, seed))
    return list(llmscale(args, group, path, seed, args.llmscale if tool == OURS else args.llmscale_ollama))


def guess(args, group, tool):
    """Seconds of a turn, by what a model of this size computes and reads on 2 cores; good to a factor of two."""
    size = model_file(args, group.model).stat().st_size
    bytes_each, flops = {"f32": (4, 100e9), "f16": (2, 150e9), "q4_0": (0.5625, 220e9)}[group.model.rsplit("-", 1)[1]]

    def forward(tokens):
        return max(2 * size / bytes_each * tokens / flops, size / 20e9) + 3e-4

    ours = tool in (OURS, OLD)
    start = 8 if tool == TORCH else 0.5 + size / 2e9 + (min(2, 41 * forward(1)) if ours else 0)  # with llmscale's self-check
    seconds = start * (1 if tool == TORCH else len({(t.batch, t.pace) for t in group.tests}) if ours else 2)
    for (prompt, gen, depth, batch, _, warm), reps in {(*t.call, t.batch, t.pace, t.warm): t.reps for t in group.tests}.items():
        once = forward(prompt * batch)
        warm = min(max(once, 0.02), 0.2) if ours else once if warm else 0
        again = forward(prompt) if tool == BENCH and gen > 1 else 0  # the depth of its decode
        seconds += (warm + once + gen * forward(batch)) * reps + forward(depth) + again
    return seconds * len(group.flash_attn)


def read(path):
    if not path.exists():
        return []
    with path.open(newline="") as f:
        return list(csv.DictReader(f))


def plan(args, wanted, rows):
    """The turns that are left: round, group, tool."""
    done = {(r["set"], int(r["round"]), r["model"], r["tool"], r["at"]) for r in rows}
    for rnd in range(args.rounds):
        rng = random.Random(f"{args.seed} {rnd}")
        for g in rng.sample(wanted, len(wanted)):
            for tool in rng.sample(g.tools, len(g.tools)):
                if rnd % g.every == 0 and (tool != OLD or rnd % g.old_every == 0) and not all((g.set, rnd, g.model, tool, str(t.at)) in done for t in g.tests_of(tool)):
                    yield rnd, g, tool


def measure(args, wanted):
    rows = read(args.out / "raw.csv")
    builds = {r["tool"]: r["build"] for r in rows}
    turns = list(plan(args, wanted, rows))
    guesses = {(g, tool): guess(args, g, tool) for _, g, tool in turns}
    took = collections.defaultdict(list)

    def minutes(turns):
        return sum(statistics.mean(took[g, t] or [guesses[g, t]]) for _, g, t in turns) / 60

    by_set = {name: minutes([t for t in turns if t[1].set == name]) for name in dict.fromkeys(g.set for _, g, _ in turns)}
    say(f"{len(turns)} turns, about {minutes(turns):.0f} minutes ({', '.join(f'{s} {n:.0f}' for s, n in by_set.items())})")
    if args.plan:
        return 0
    if os.getloadavg()[0] > 0.3:
        say(f"the load average is {os.getloadavg()[0]:.1f}: stop what else is running, or the figures mean little")
    failed = collections.Counter()
    with (args.out / "raw.csv").open("a", newline="") as f:
        raw = csv.writer(f, lineterminator="\n")
        if not rows:
            raw.writerow(COLUMNS)
        for i, (rnd, g, tool) in enumerate(turns):
            if failed[g, tool] == 2:
                continue
            started, load = time.monotonic(), os.getloadavg()[0]
            reps, lines = collections.Counter(), []
            try:
                for build, fa, test, ms in turn(args, g, tool, args.seed + rnd):
                    if builds.setdefault(tool, build) != build:
                        raise Failed(f"{tool} is of {build}, and {args.out / 'raw.csv'} has figures of {builds[tool]}: move it away")
                    reps[fa, test] += 1
                    lines.append([g.set, rnd, i, g.model, tool, build, fa, test.phase, test.at, reps[fa, test], f"{ms:.6f}", f"{load:.2f}"])
            except Failed as e:
                failed[g, tool] += 1
                say(f"{e}\npeers: no figures of {tool} on {g.model} ({g.set}) in round {rnd + 1}; after two such rounds it is left out")
                continue
            raw.writerows(lines)
            f.flush()
            took[g, tool].append(time.monotonic() - started)
            say(f"round {rnd + 1}/{args.rounds} {g.set:7} {g.model:15} {tool:19} {took[g, tool][-1]:6.1f} s; {minutes(turns[i + 1:]):.1f} minutes left")
    return 3 if failed else 0


def interval(values, digits):
    """The median and between which of the values it lies: where there are six or more, with at least 95 %
    (order statistics); else the least and the greatest."""
    values, n = sorted(values), len(values)
    k = 0
    while n >= 6 and 2 * sum(math.comb(n, i) for i in range(k + 2)) / 2**n <= 0.05:
        k += 1
    return f"{statistics.median(values):.{digits}f} ({values[k]:.{digits}f}–{values[n - 1 - k]:.{digits}f})"


class Measured:
    def __init__(self, rows):
        self.rounds = collections.defaultdict(lambda: collections.defaultdict(list))  # by cell and tool, then by round
        for r in rows:
            cell = r["set"], r["model"], r["flash_attn"], r["phase"], r["at"]
            self.rounds[cell, r["tool"]][int(r["round"])].append(float(r["ms"]))

    def medians(self, cell, tool):
        return {rnd: statistics.median(ms) for rnd, ms in self.rounds[cell, tool].items()}

    def ms(self, cell, tool):
        found = self.medians(cell, tool).values()
        return f"{statistics.median(found):.4g}" if found else ""

    def ratios(self, cell, a, b):
        a, b = self.medians(cell, a), self.medians(cell, b)
        return [a[rnd] / b[rnd] for rnd in sorted(a.keys() & b.keys())]

    def ratio(self, cell, a, b):
        found = self.ratios(cell, a, b)
        return interval(found, 3) if found else ""


def table(name, wanted, cell_text, by_fa):
    """Models (and flash attention, or phases) by tests."""
    rows, columns = {}, {}
    for g in wanted:
        for fa, t in itertools.product(g.flash_attn, g.tests):
            row = (g.model, f"flash attention {fa}") if by_fa else (g.model, t.phase)
            column = f"{t.phase} {t.at}" if by_fa else str(t.at)
            columns[column] = None
            rows.setdefault(row, {})[column] = cell_text((name, g.model, fa, t.phase, str(t.at)))
    lines = ["| model | | " + " | ".join(columns) + " |", "|---|---|" + "---:|" * len(columns)]
    return lines + [f"| {' | '.join(row)} | " + " | ".join(found.get(c, "") for c in columns) + " |" for row, found in rows.items() if any(found.values())]


def tables(args, wanted):
    rows = read(args.out / "raw.csv")
    if not rows:
        raise Failed(f"{args.out / 'raw.csv'} has no figures yet")
    measured = Measured(rows)
    loads = [float(r["load_average_1m"]) for r in rows]
    print(f"CPU: {cpu_name()}, {os.cpu_count()} cores, {args.threads} threads. Load average before a turn: median {statistics.median(loads):.2f}, greatest {max(loads):.2f}.")
    builds = sorted({(r["tool"], r["build"]) for r in rows})
    print("Builds: " + ", ".join(" ".join(b) for b in builds) + ".")
    bounds = {"ladder": 0.02, "batch": 0.03, "depth": 0.03, "hot": 0.05}
    for name in dict.fromkeys(g.set for g in wanted):
        of = [g for g in wanted if g.set == name]
        by_fa = name == "ladder"
        pairs = {"ladder": [(OURS, BENCH), (OLD, OURS)], "batch": [(OURS, BATCHED)], "depth": [(OURS, BENCH)], "hot": [(OURS, BENCH)], "pace": [(OLD, OURS)],
                 "pytorch": [(OURS, BENCH), (OURS, TORCH)]}[name]
        print(f"\n## {name}")
        for tool in dict.fromkeys(t for g in of for t in g.tools if t in (OURS, TORCH)):
            print(f"\n{tool}, ms, median of rounds:\n")
            print("\n".join(table(name, of, lambda cell: measured.ms(cell, tool), by_fa)))
        for a, b in pairs:
            print(f"\n{a} / {b}, within rounds:\n")
            print("\n".join(table(name, of, lambda cell: measured.ratio(cell, a, b), by_fa)))
            cells = [(name, g.model, fa, t.phase, str(t.at)) for g in of for fa in g.flash_attn for t in g.tests]
            found = {c: statistics.median(r) for c in cells if (r := measured.ratios(c, a, b))}
            if (a, b) == pairs[0] and name in bounds and found:
                off = {c: m for c, m in found.items() if abs(m - 1) > bounds[name]}
                print(f"\nWithin {bounds[name]:.0%}: {len(found) - len(off)} of {len(found)}. Beyond: "
                      + ("; ".join(f"{' '.join(c[1:])} {m:.3f}" for c, m in off.items()) or "none"))


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


def cpu_name():
    try:
        return next(line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown"


def main():
    sets = list(dict.fromkeys(g.set for g in groups()))
    ap = argparse.ArgumentParser(prog="peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(sets)}")
    ap.add_argument("--out", type=pathlib.Path, required=True, help="folder of raw.csv")
    ap.add_argument("--models-dir", type=pathlib.Path, required=True, help="folder with the models' GGUF files")
    ap.add_argument("--llmscale", default="bin/llmscale")
    ap.add_argument("--llmscale-ollama", default="bin/llmscale-ollama", help="build for the llama.cpp that Ollama serves")
    ap.add_argument("--llama-bench", type=pathlib.Path, required=True)
    ap.add_argument("--python", default=sys.executable, help="with PyTorch")
    ap.add_argument("--rounds", type=int, default=10)
    ap.add_argument("--models", type=lambda s: s.split(","), help="only these, e.g. llama-5m-f16,gpt2-f32")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--seed", type=int, default=42)
    ap.add_argument("--plan", action="store_true", help="say how long it would take, measure nothing")
    ap.add_argument("--tables", action="store_true", help="print the tables of what was measured")
    args = ap.parse_args()
    for name in args.sets:
        if name not in sets:
            ap.error(f"no set is called {name}; there are {', '.join(sets)}")
    args.llama_batched_bench = args.llama_bench.with_name(BATCHED)
    args.out.mkdir(parents=True, exist_ok=True)
    wanted = [g for g in groups() if g.set in (args.sets or sets) and (not args.models or g.model in args.models)]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(tables(args, wanted) if args.tables else measure(args, wanted))
    except Failed as e:
        sys.exit(f"peers: {e}")
    except KeyboardInterrupt:
        say("interrupted; the same call goes on from here")
        sys.exit(130)


if __name__ == "__main__":
    main()
