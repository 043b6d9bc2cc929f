"""Holds the folder that scripts/gpu-check leaves behind against what was expected of the
GPU.

    gpu_report.py DIR

Writes gpu-check.md and gpu-check.json into DIR, and prints what is not as expected. It
measures nothing and assumes nothing: what is not in the folder is "not measured". It
reads the records and the tables that `llmscale analyze` made of each run. docs/gpu.md
says where the expectations come from. What differs from one is no failure of the script.

Needs nothing but Python's standard library: it travels to a machine without Go.
"""

import csv
import json
import pathlib
import re
import statistics
import sys

AS_EXPECTED, DIFFERS, NOT_MEASURED, STATED = "as expected", "differs", "not measured", "stated"

# The run folders; some have no ceilings of their own.
SWEEPS = [("8b", "8B shape", True), ("gpt2", "GPT-2 set", True), ("ladder", "ladder", True), ("f16", "f16 rungs", True),
          ("f16-20b", "20B in f16", True), ("modes", "modes", False), ("batches", "batches", False), ("pace", "hot and cold", False)]

# The vendor's bandwidths, bytes/s, by the driver's name of the card. What is known of such
# cards is told in shares of these; by clock and width a driver reckons some per cent more.
DATASHEETS = {"NVIDIA H200": 4.8e12, "NVIDIA H100 80GB HBM3": 3.35e12}  # the latter SXM

READ_SHARE, LAUNCH_US, SHARE_OF_8B = 0.92, 3, 0.60
GAP_SHARE = 0.03  # of prefill's host time
LONG_MS = 10  # a prefill that is shorter is as much the host's work as the GPU's
LONG_PROMPT = 512  # tokens: below it a launch is as long as the phase
BEYOND_CACHES = 1 << 30  # bytes of a working set that no cache holds

# What is asked by name, and what of it.
EIGHT_B = ("decode of the 8B shape in q4_0", f"at least {100 * SHARE_OF_8B:.0f} % of the read ceiling in bytes per token")
PROFILE = ("profile by CUPTI", "kernels recorded in every decode step")
READ = ("read bandwidth", f"at least {100 * READ_SHARE:.0f} % of the datasheet's peak")
LAUNCH = ("back-to-back launch", f"near 2 us, at most {LAUNCH_US}")
TORCH = ("PyTorch f16 on the same shapes", "")
WALL = ("memory wall", "full offload, partial offload and failure all show")
SANITIZER = ("compute-sanitizer", "no errors")


class Missing(Exception):
    """Why something was not measured."""


class Report:
    """What the folder says, a finding for each thing asked or stated."""

    def __init__(self, folder):
        self.dir = folder
        self.device = None  # as the whole probe found it
        self.findings = []
        self.rows = {}  # of each run that was read
        self.steps = []
        for line in self.lines("steps.tsv"):
            name, code, seconds = line.split("\t")
            self.steps.append({"name": name, "exit_code": int(code), "seconds": float(seconds)})

    def add(self, what, measured="", verdict=STATED, where="", asked="", why=""):
        self.findings.append({"what": what, "asked": asked, "measured": measured, "verdict": verdict, "where": str(where), "why": why})

    def judge(self, what, asked, measured, where, why=""):
        """A finding that differs where there is a reason why."""
        self.add(what, measured, DIFFERS if why else AS_EXPECTED, where, asked, why)

    def text(self, name):
        try:
            return (self.dir / name).read_text(errors="replace")
        except OSError as e:
            raise Missing(f"{name}: {e.strerror}") from None

    def lines(self, name):
        return [line for line in self.text(name).splitlines() if line.strip()]

    def json(self, name):
        try:
            return json.loads(self.text(name))
        except ValueError as e:
            raise Missing(f"{name}: {e}") from None

    def table(self, name):
        return list(csv.DictReader(self.lines(name)))

    def records(self, run):
        if run not in self.rows:
            lines = self.lines(f"{run}/runs.jsonl")
            if lines and not lines[-1].endswith("}"):
                del lines[-1]  # of a run that was killed
            self.rows[run] = [json.loads(line) for line in lines]
        return self.rows[run]

    def files(self, pattern, why):
        found = sorted(self.dir.glob(pattern))
        if not found:
            raise Missing(why)
        return [str(path.relative_to(self.dir)) for path in found]

    def times(self, run):
        """Medians over the measured calls on the GPU, by (model, backend, prompt tokens)."""
        samples = {}
        for r in self.records(run):
            steps = r.get("gen_tokens_raw")
            if r["device"] == "cuda" and r["status"] == "ok" and not r["is_warmup"] and r["mode"] == "kv_decode" and steps:
                samples.setdefault((r["model"], r["backend"], r["seq_len"]), []).append(
                    (r["prefill_ms"], r["kv_decode_ms"] / steps, r["decode_no_sampling_ms"] / steps, r["tokens_per_s"]))
        names = ("prefill_ms", "token_ms", "no_sampling_ms", "tokens_per_s")
        return {key: dict(zip(names, map(statistics.median, zip(*calls)))) for key, calls in samples.items()}

    def all_times(self, runs):
        """The times of several runs, of those that are there, by (model, prompt tokens)."""
        out = {}
        for run in runs:
            try:
                out.update({(model, prompt): t for (model, _, prompt), t in self.times(run).items()})
            except Missing:
                pass  # as the finding about the sweep says
        return out


def failures(r):
    """Each step that failed, with the last line of its log. Exit code 3 is a sweep in which
    models ran out of memory, which is a result."""
    for s in r.steps:
        code, name = s["exit_code"], s["name"]
        if code in (0, 3) or name.startswith(("tests-", "sanitizer-")):
            continue  # those have findings of their own
        if code in (124, 137):
            why = "there was not enough time for it"
        else:
            try:
                why = r.lines(f"{name}.log")[-1]
            except (Missing, IndexError) as e:
                why = str(e)
        r.judge(f"step {name}", "done", f"exit code {code} after {s['seconds']:.0f} s", f"{name}.log", why)


def tests(r):
    for log in r.files("tests/*.txt", "no test ran"):
        text = r.text(log)
        passed, failed, skipped = (re.findall(rf"^\s*--- {how}: (\S+)", text, re.M) for how in ("PASS", "FAIL", "SKIP"))
        what, measured = f"tests: {pathlib.Path(log).stem}", f"{len(passed)} passed, {len(failed)} failed, {len(skipped)} skipped"
        if failed:
            why = "failed: " + ", ".join(failed)
        elif not re.search(r"^(PASS|FAIL)$", text, re.M):
            why = "the log ends before the tests did"
        elif not passed:
            r.add(what, measured, NOT_MEASURED, log, "all pass", "every test was skipped: the log says why")
            continue
        else:
            why = ""
        r.judge(what, "all pass", measured, log, why)


def eight_b(r):
    """The headline's cell, by its shortest prompt, against the read ceiling."""
    where = "8b/analysis/regimes.csv"
    for row in r.table(where):
        if row["mode"] == "kv_decode" and row["share_of_ceiling"]:
            share = float(row["share_of_ceiling"])
            why = "the profile says where the rest goes: kernels that do not stream weights, gaps between kernels, the host"
            r.judge(EIGHT_B[0], EIGHT_B[1], f"{100 * share:.1f} % ({row['scenario']}, {float(row['time_ms']):.3g} ms per token)", where,
                    why if share < SHARE_OF_8B else "")
            return
    raise Missing("no such cell with a share of the ceiling")


def profile(r):
    where = "profile/profile.json"
    doc = r.json(where)
    p = doc.get("profile") or {}
    if doc.get("device") != "cuda" or len(p.get("phases", [])) < 2:
        raise Missing("the file holds no profile of decode steps on a GPU")
    d = p["phases"][1]
    measured = f"{d['activities_per_step_min']} to {d['activities_per_step_max']} kernels per token of {doc['model']}, GPU busy {100 * d['busy_share']:.1f} % of the profiled steps"
    if d.get("activities") and d.get("work_ns"):
        most = d["activities"][0]
        measured += f"; {most['name']} takes {100 * most['total_ns'] / d['work_ns']:.1f} % of the work"
    lost = d["activities_per_step_min"] == 0 or not p.get("complete")
    r.judge(PROFILE[0], PROFILE[1], measured, where, "records are missing: " + "; ".join(p.get("warnings", [])) if lost else "")


def probe(r):
    where = "ceilings.json"
    gpus = [d for d in r.json(where).get("devices", []) if d["kind"] == "cuda"]
    if not gpus:
        raise Missing("the probe has no GPU in it")
    d = r.device = gpus[-1]
    peaks = [(DATASHEETS.get(d["name"]), "datasheet"), (d.get("peak_bytes_per_s"), "driver")]
    known = [(peak, whose) for peak, whose in peaks if peak]
    for op in ("read", "write", "copy", "triad"):
        asked = READ[1] if op == "read" else ""
        rates = [b["bytes_per_s"] for b in d.get("bandwidth") or [] if b["op"] == op and b["working_set_bytes"] >= BEYOND_CACHES]
        if not rates:
            r.add(f"{op} bandwidth", "", NOT_MEASURED, where, asked, "no working set of 1 GiB or more: " + d.get("not_measured", {}).get("bandwidth", ""))
            continue
        rate = max(rates)
        measured = f"{rate / 1e9:.0f} GB/s" + "".join(f", {100 * rate / peak:.1f} % of the {whose}'s {peak / 1e9:.0f}" for peak, whose in known)
        if op != "read":
            r.add(f"{op} bandwidth", measured, STATED, where)
        elif not known:
            r.add("read bandwidth", measured, NOT_MEASURED, where, asked,
                  "neither is the card's datasheet known nor gives the driver a memory clock to reckon the peak from")
        else:
            low = "below what tuned read kernels reach on such cards: the kernel, its launch shape, or the memory clock (in the file)"
            r.judge("read bandwidth", asked, measured, where, low if rate < READ_SHARE * known[0][0] else "")
    launches = {how["how"]: how["us"] for how in d.get("launch") or []}
    for how in ("back_to_back", "graph", "isolated"):
        what = "launch, " + how.replace("_", " ")
        if how not in launches:
            r.add(what, "", NOT_MEASURED, where, LAUNCH[1] if how == "back_to_back" else "", "not in the file")
        elif how == "back_to_back":
            slow = "a slower driver path or host than those the expectation comes from"
            r.judge(what, LAUNCH[1], f"{launches[how]:.2f} us", where, slow if launches[how] > LAUNCH_US else "")
        else:
            r.add(what, f"{launches[how]:.2f} us", STATED, where)
    wrong = d.get("wrong") or []
    r.judge("kernels' answers", "right", "wrong: " + ", ".join(wrong) if wrong else "all right", where, "their figures are left out" if wrong else "")


def llama_bench(r):
    """llama-bench's decode beside llmscale's of the same file, without sampling, which it has none of."""
    ours = r.all_times(["8b", "gpt2"])
    for line in map(json.loads, r.lines("llama-bench.jsonl")):
        if not line["n_gen"]:
            continue
        file = pathlib.PurePath(line["model_filename"]).name.removeprefix("shape-")
        measured = f"decode {line['avg_ts']:.4g} tokens/s"
        for (model, prompt), t in ours.items():
            if prompt == 1 and re.fullmatch(re.escape(model) + "-[^-]*-[^-]*", file):  # TYPE-SEED.gguf
                measured += f", llmscale {1e3 / t['no_sampling_ms']:.4g}"
        r.add(f"llama-bench, {file}", measured, STATED, "llama-bench.jsonl")


def torch_ceilings(r):
    """PyTorch's product and its copy on the same card."""
    where = "torch-ceilings.json"
    doc = r.json(where)
    product, copy = doc.get("product_f16", {}), doc.get("copy", {})
    if not product.get("ms") or not copy.get("ms"):
        raise Missing("the file has no times")
    for what, one, measured in (
            ("f16 product by cuBLAS (PyTorch)", product, f"{product['flop'] / statistics.median(product['ms']) / 1e9:.0f} TFLOP/s"),
            ("copy of 4 GiB (PyTorch)", copy, f"{copy['bytes'] / statistics.median(copy['ms']) / 1e6:.0f} GB/s")):
        if one["right"]:
            r.add(what, measured, STATED, where)
        else:
            r.add(what, "", DIFFERS, where, why="the answer is wrong: its figure means nothing")


def torch_models(r):
    """PyTorch's decode after one token and prefill of 512 beside llama.cpp's of the same name."""
    where = "torch.jsonl"
    ours, samples = r.all_times(["gpt2", "f16"]), {}
    for text in r.lines(where):
        try:
            line = json.loads(text)
        except ValueError as e:  # of a script that was stopped
            r.add(TORCH[0], "", NOT_MEASURED, where, why=str(e))
            break
        if not line.get("is_warmup") and line["gen_tokens"] >= 1:
            ms = line["kv_decode_ms"] / line["gen_tokens"] if line["prompt_tokens"] == 1 else line["prefill_ms"]
            samples.setdefault((line["model"], line["prompt_tokens"]), []).append(ms)
    for (model, prompt), ms in samples.items():
        label, field = ("decode of a token", "token_ms") if prompt == 1 else (f"prefill of {prompt} tokens", "prefill_ms")
        measured = f"{label} {statistics.median(ms):.3g} ms"
        if (model, prompt) in ours:
            measured += f", llama.cpp {ours[model, prompt][field]:.3g}"
        r.add(f"PyTorch f16, {model}", measured, STATED, where)


def sweep(r, run, title, ceilings):
    """Device times, captures and the share of the ceilings in one sweep."""
    cells, measured, gaps, short, captured = set(), set(), {}, set(), []
    for x in r.records(run):
        if x["device"] != "cuda":
            continue
        cell = x["cell_id"]
        cells.add(cell)
        if x["status"] != "ok":
            continue
        measured.add(cell)
        if x["is_warmup"]:
            continue
        if x["mode"] == "prefill" and (x.get("seq_len") or 0) >= LONG_PROMPT and x.get("host_gap_ms") is not None and x.get("latency_ms"):
            if x["latency_ms"] < LONG_MS:
                short.add(cell)
            else:
                gaps.setdefault(cell, []).append(x["host_gap_ms"] / x["latency_ms"])
        if x.get("cuda_graph_captures") and cell not in captured:
            captured.append(cell)
    r.add(f"{title}: cells measured", f"{len(measured)} of {len(cells)}", STATED, f"{run}/report.html")
    if not measured:
        return
    what, asked, where = f"{title}: prefill of 512 tokens", f"event and host time within {100 * GAP_SHARE:.0f} %, from {LONG_MS} ms on", f"{run}/runs.jsonl"
    if gaps:
        medians = {cell: statistics.median_high(g) for cell, g in gaps.items()}
        worst = max(medians, key=medians.get)
        wide = sum(abs(m) > GAP_SHARE for m in medians.values())
        why = "the host's part of the prefill, building the graph and submitting it, is larger than that: see the cells"
        r.judge(what, asked, f"largest gap {100 * medians[worst]:.1f} % ({worst}); {wide} of {len(gaps)} cells beyond; {len(short)} shorter", where, why if wide else "")
    else:
        r.add(what, "", NOT_MEASURED, where, asked, f"no such cell has device times; {len(short)} are shorter than {LONG_MS} ms")
    why = "the KV cache passed a multiple of 256 positions in these cells, or a graph changes with every step: token_ns shows which"
    r.judge(f"{title}: CUDA graphs captured in timed repetitions", "0", f"in {len(captured)} cells: {', '.join(sorted(captured))}" if captured else "0", where,
            why if captured else "")
    if ceilings:
        envelope(r, run, title)


def envelope(r, run, title):
    what, where = f"{title}: cells above the measured envelope", f"{run}/analysis/regimes.csv"
    try:
        shares = [float(row["share_of_ceiling"]) for row in r.table(where) if row["share_of_ceiling"]]
        if not shares:
            raise Missing("the run has no ceilings")
    except Missing as e:
        r.add(what, "", NOT_MEASURED, where, "none", str(e))
        return
    above = sum(s > 1 for s in shares)
    why = "a roof that can be exceeded is no roof: the read probe is too slow at that working set"
    r.judge(what, "none", f"{above}; the highest reaches {100 * max(shares):.1f} %", where, why if above else "")


def batches(r):
    """What decoding sequences together gives."""
    times = r.times("batches")
    for (model, backend, prompt), one in sorted(times.items()):
        most = times.get((model, "q4_0_bs32", prompt))
        if backend == "q4_0_bs1" and most:
            r.add(f"32 sequences together, {model}", f"{most['tokens_per_s']:.4g} tokens/s, {most['tokens_per_s'] / one['tokens_per_s']:.2g} times those of one",
                  STATED, "batches/runs.jsonl")


def memory_wall(r):
    """Which ways of running its sweep saw."""
    whole, part, failed = set(), set(), set()
    for x in r.records("memory-wall"):
        pair = (x["model"], x["backend"])
        if x["status"] == "oom":
            failed.add(pair)
        elif x["status"] == "ok":
            (whole if x["n_gpu_layers"] > x["n_layer"] else part).add(pair)
    all_show = whole and part and failed
    r.judge(WALL[0], WALL[1], f"{len(whole)} pairs of model and backend whole on the GPU, {len(part)} in part, {len(failed)} did not fit", "memory-wall/report.html",
            "" if all_show else "one of the three does not show: the card, the limits or the models that were chosen")


def sanitizer(r):
    for log in r.files("sanitizer-*.txt", "compute-sanitizer did not run"):
        text, what = r.text(log), "compute-sanitizer " + log.removeprefix("sanitizer-").removesuffix(".txt")
        summaries = re.findall(r"SUMMARY: (.*)", text)
        if not summaries:
            r.add(what, "", NOT_MEASURED, log, SANITIZER[1], "the log has no summary")
            continue
        summary = summaries[-1].strip()
        if not summary.startswith("0 errors") and "(0 errors" not in summary:
            why = "see the log"
        elif "--- PASS: TestProbe" not in text:  # kernels that never ran have no errors either
            why = "the probe did not pass under it: see the log"
        else:
            why = ""
        r.judge(what, SANITIZER[1], summary, log, why)


# The parts of the report in their order: how each is read, and what is missing without it.
PARTS = [(tests, [("tests on the GPU", "all pass")]), (eight_b, [EIGHT_B]), (profile, [PROFILE]), (probe, [READ, LAUNCH]), (llama_bench, [("llama-bench", "")]),
         (torch_ceilings, [("cuBLAS and copy by PyTorch", "")]), (torch_models, [TORCH]),
         *((lambda r, s=s: sweep(r, *s), [(f"{s[1]}: sweep", "")]) for s in SWEEPS),
         (batches, []), (memory_wall, [WALL]), (sanitizer, [SANITIZER])]


def read(folder):
    report = Report(folder)
    failures(report)
    for part, asked in PARTS:
        try:
            part(report)
        except Missing as e:
            for what, of in asked:
                report.add(what, "", NOT_MEASURED, "", of, str(e))
    return report


def cell(text):
    """Text for one cell of a table."""
    return " ".join(text.split()).replace("|", r"\|")


def markdown(r):
    out = ["# GPU check", "", "Written by scripts/gpu_report.py from what lies in this folder; `make gpu-check` makes the folder. What was asked, and",
           "where the expectations come from, is in docs/gpu.md.", ""]
    if r.device:
        out += [f"GPU: {r.device['name']}", ""]
    out += ["| what | asked | measured | verdict | where |", "|---|---|---|---|---|"]
    for f in r.findings:
        verdict = f"**{f['verdict']}**: {f['why']}" if f["why"] else f["verdict"]
        out.append(f"| {cell(f['what'])} | {cell(f['asked'])} | {cell(f['measured'])} | {cell(verdict)} | `{f['where']}` |")
    out += ["", "| step | exit code | seconds |", "|---|---|---|"]
    out += [f"| {cell(s['name'])} | {s['exit_code']} | {s['seconds']:.1f} |" for s in r.steps]
    out.append(f"| together | | {sum(s['seconds'] for s in r.steps):.1f} |")
    return "\n".join(out) + "\n"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    try:
        r = read(folder)
    except (Missing, ValueError) as e:
        sys.exit(f"gpu_report: {folder} is not a folder of gpu-check: {e}")
    (folder / "gpu-check.md").write_text(markdown(r))
    (folder / "gpu-check.json").write_text(json.dumps({"device": r.device, "steps": r.steps, "findings": r.findings}, indent=2) + "\n")
    for f in r.findings:
        if f["verdict"] != AS_EXPECTED:
            print(f"{f['verdict']}: {f['what']}: {f['measured']} {f['why']}")
    differ = sum(f["verdict"] == DIFFERS for f in r.findings)
    print(f"{differ} of {len(r.findings)} findings differ from what was expected\n{folder / 'gpu-check.md'}")


if __name__ == "__main__":
    main()
