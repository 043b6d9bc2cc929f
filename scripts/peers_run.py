"""llama-bench as a witness of a finished run: its times on the same model files.

    peers --run RUN_DIR [--rounds 3] [--repetitions N] [--models a,b] [--models-dir DIR]

For each file that a native backend of the run measured, with that backend's
threads, batches, flash attention, cache types and mapping, llama-bench times the
prefill of each prompt length (-p N -n 0) and the decoding that followed it
(-p 0 -n GEN -d N). Every test is a process of its own; a round has each test once,
in a new random order, so that a machine that drifts does not do so for one file.

Leaves behind: RUN_DIR/llama-bench.jsonl, one line for each test and round, as
llama-bench printed it; a table on stdout. While it measures, and after an
interrupt, the lines are in RUN_DIR/llama-bench.jsonl.part. Exit status: 0 done,
1 nothing measured, 2 bad usage, 3 some tests failed, 130 interrupted.
"""

import argparse
import collections
import dataclasses
import hashlib
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import time

import runfolder

RESULT = "llama-bench.jsonl"


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


@dataclasses.dataclass(frozen=True)
class Test:
    """One call of llama-bench, but for how often it repeats."""

    file: str
    device: str
    threads: int
    gpu_layers: int
    flash_attn: str
    batch: int
    ubatch: int
    type_k: str
    type_v: str
    mmap: bool
    prompt: int
    gen: int
    depth: int

    @classmethod
    def of(cls, r):
        """The test that repeats what the record measured; None: there is none, as llama-bench has one sequence."""
        prefill = r["mode"] == "prefill"
        if not prefill and r["mode"] != "kv_decode" or r.get("batch_size_config", 1) != 1:
            return None
        tokens, gen, depth = r["prompt_tokens_raw"], r["gen_tokens_raw"], r.get("depth", 0)
        return cls(
            r["model_file"], r["device"], r["n_threads_batch"] if prefill else r["n_threads"], r["n_gpu_layers"],
            r["flash_attn"], r["n_batch"], r["n_ubatch"], r["kv_type_k"], r["kv_type_v"], r["use_mmap"],
            *((tokens, 0, depth) if prefill else (0, gen, depth + tokens)))

    def argv(self, repetitions):
        # Only the file's name in the records: what comes before is the process's folder,
        # so that no line says where on this machine the models lie.
        argv = ["-m", self.file, "-p", self.prompt, "-n", self.gen, "-d", self.depth, "-r", repetitions, "-o", "jsonl",
                "-t", self.threads, "-fa", self.flash_attn, "-b", self.batch, "-ub", self.ubatch,
                "-ctk", self.type_k, "-ctv", self.type_v, "-lm", "mmap" if self.mmap else "none", "-ngl", self.gpu_layers]
        if self.device == "cpu":
            argv += ["-dev", "none"]  # without it a build for GPUs computes long prompts there
        return [str(a) for a in argv]

    def __str__(self):
        what = f"prefill {self.prompt}" if self.prompt else f"decode {self.gen}"
        return f"{self.file} {what}" + (f" after {self.depth}" if self.depth else "")


class Failed(Exception):
    """llama-bench did not measure a test."""


def bench(program, test, path, repetitions, env):
    """llama-bench's line for the test, and its samples."""
    argv = [str(program), *test.argv(repetitions)]
    folder = path.parents[len(pathlib.PurePath(test.file).parts) - 1]
    done = subprocess.run(argv, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace")
    if done.returncode != 0:
        tail = "\n".join(done.stderr.strip().splitlines()[-15:]) or "it said nothing"
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        raise Failed(f"{' '.join(argv)} ended with {how}:\n{tail}")
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    try:
        (line,) = lines
        samples = json.loads(line)["samples_ns"]
    except (ValueError, KeyError):
        raise Failed(f"{' '.join(argv)} printed no line with samples_ns:\n{done.stdout[-1000:]}") from None
    return line, samples


def sha256(paths):
    h = hashlib.sha256()
    for path in paths:
        with path.open("rb") as f:
            while chunk := f.read(1 << 20):
                h.update(chunk)
    return h.hexdigest()


def find_files(calls, files):
    """Paths of the files that the calls loaded, all with the content that was
    measured."""
    paths, wrong = {}, []
    contents = collections.defaultdict(set)
    for r in calls:
        contents[r["model_file"]].add(r["model_sha256"])
    dtypes = {b["name"]: b.get("dtype") for b in files.manifest["resolved"]["backends"]}
    for r in calls:
        name = r["model_file"]
        if name in paths:
            continue
        paths[name] = None
        if len(contents[name]) > 1:
            # Records of an older version, which had a file's name alone.
            wrong.append(f"the run has several files called {name}, which llama-bench's lines could not tell apart; choose one with --models")
            continue
        try:
            path = files.find(name, dtypes.get(r["backend"]))
        except runfolder.Error as e:
            wrong.append(str(e))
            continue
        if sha256(files.parts(name, path)) != files.sha256(name):
            wrong.append(f"{path} is not the file that the run measured: its SHA-256 is not the manifest's, {files.sha256(name)}")
        paths[name] = path
    if wrong:
        raise runfolder.Error("\n".join([*wrong, "nothing was measured; --models a,b measures only the models named"]))
    return paths


def has_gpu(program):
    done = subprocess.run([program, "--list-devices"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.returncode == 0 and "(none)" not in done.stdout


def environment(manifest):
    """This process's environment with the OpenMP settings of the run."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    return env | manifest.get("environment", {}).get("openmp_variables", {})


def by_test(calls):
    """What the run has of each test: by backend, ms of what llama-bench counts, without sampling."""
    tests = collections.defaultdict(lambda: collections.defaultdict(list))
    for r in calls:
        test = Test.of(r)
        if test:
            tests[test][r["backend"]].append(r["prefill_ms"] if test.prompt else r["decode_no_sampling_ms"])
    return tests


def measure(program, tests, paths, args, repetitions, env, out):
    """Appends llama-bench's lines to out; returns samples in ms of each test, and the
    tests that failed. A test that fails costs its own lines only."""
    rng = random.Random(args.seed)
    samples, failed = collections.defaultdict(list), set()
    began = time.monotonic()
    for rnd in range(args.rounds):
        # Repetitions that do not divide evenly go to the first rounds.
        count = repetitions // args.rounds + (rnd < repetitions % args.rounds)
        for test in rng.sample(tests, len(tests)):
            if test in failed:
                continue
            started = time.monotonic()
            try:
                line, ns = bench(program, test, paths[test.file], count, env)
            except Failed as e:
                failed.add(test)
                say(f"{test}: {e}\npeers: this test is left out of the rounds to come")
                continue
            out.write(line + "\n")
            out.flush()
            os.fsync(out.fileno())
            samples[test] += [n / 1e6 for n in ns]
            now = time.monotonic()
            print(f"round {rnd + 1}/{args.rounds} {str(test):60} {statistics.median(ns) / 1e6:10.3f} ms  "
                  f"(took {now - started:.1f} s, {now - began:.0f} s in all)", file=sys.stderr, flush=True)
    return samples, failed


def table(native, samples):
    lines = ["Medians; below 1 llmscale is faster.", "",
             "| test | backend | llmscale, ms | llama-bench, ms | llmscale/llama-bench | samples |", "|---|---|---:|---:|---:|---:|"]
    for test in sorted(samples, key=lambda t: (t.file, t.gen > 0, t.prompt + t.depth, t.gen, sorted(native[t]))):
        b = statistics.median(samples[test])
        for backend, ms in sorted(native[test].items()):
            a = statistics.median(ms)
            lines.append(f"| {test} | {backend} | {a:.3f} | {b:.3f} | {a / b:.3f} | {len(ms)} and {len(samples[test])} |")
    return "\n".join(lines)


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def arguments():
    ap = argparse.ArgumentParser(prog="peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--run", type=pathlib.Path, required=True, metavar="RUN_DIR", help="folder of a finished run")
    ap.add_argument("--rounds", type=positive, help="over which the repetitions are spread (default: 3, or as many as repetitions)")
    ap.add_argument("--repetitions", type=positive, help="of each test in all, at least one a round (default: the run's, of all its processes)")
    ap.add_argument("--models", type=lambda s: s.split(","), help="only these models of the run")
    ap.add_argument("--models-dir", type=pathlib.Path, help="where the model files are (default: where the run had them)")
    ap.add_argument("--seed", type=int, help="of the order (default: the run's)")
    ap.add_argument("--llama-bench", type=pathlib.Path, metavar="PROGRAM", help="another build of it, for instance for a GPU (default: scripts/llama-bench builds it)")
    return ap.parse_args()


def prepare(args):
    """What there is to measure, and with what; all that can be wrong is found here,
    before the first measurement."""
    for name in (RESULT, RESULT + ".part"):
        if (args.run / name).exists():
            what = "holds what was measured before an interrupt" if name.endswith(".part") else "was measured already"
            raise runfolder.Error(f"{args.run / name} {what}: move it away to measure again")
    manifest, records = runfolder.read(args.run)
    calls = runfolder.native_calls(records)
    if not calls:
        raise runfolder.Error(f"{args.run} has no calls of a native backend that succeeded, which llama-bench could repeat")
    if args.models:
        there = {r["model"] for r in calls}
        if unknown := set(args.models) - there:
            raise runfolder.Error(f"the run measured no model {', '.join(sorted(unknown))}; it has {', '.join(sorted(there))}")
        calls = [r for r in calls if r["model"] in args.models]
    program = args.llama_bench and args.llama_bench.resolve()
    if program and not os.access(program, os.X_OK):
        raise runfolder.Error(f"{program} is no program that can be run")
    on_gpu = {r["backend"] for r in calls if r["device"] != "cpu"}
    if on_gpu and not (program and has_gpu(program)):
        calls = [r for r in calls if r["device"] == "cpu"]
        why = f"{', '.join(sorted(on_gpu))} ran on a GPU, for which this llama-bench is not built: give one that is with --llama-bench"
        if not calls:
            raise runfolder.Error(f"{args.run} has no native backend on the CPU; {why}")
        say(f"left out: {why}")
    paths = find_files(calls, runfolder.Files(manifest, args.run, args.models_dir))
    if program is None:
        built = subprocess.run([runfolder.ROOT / "scripts/llama-bench"], stdout=subprocess.PIPE, text=True)
        if built.returncode != 0:
            raise runfolder.Error("llama-bench could not be built, see above")
        program = pathlib.Path(built.stdout.strip())
    return manifest, calls, paths, program


def keep(part):
    """Says what is left of a measurement that did not come to its end."""
    if part.stat().st_size:
        # Its lines are whole: llama-bench prints one after its last repetition.
        say(f"what was measured is kept in {part}")
    else:
        part.unlink()
        say("nothing had been measured")


def run(args):
    manifest, calls, paths, program = prepare(args)
    native = by_test(calls)
    tests = list(native)
    if not tests:
        raise runfolder.Error(f"{args.run} has no calls that llama-bench could repeat: it decodes one sequence at a time")
    if cold := sorted({r["backend"] for r in calls if r.get("pace") != "hot"}):
        say(f"calls of {', '.join(cold)} came after pauses (pace cold, or a run from before there was a pace), llama-bench's follow each other: short ones are faster for that")
    repetitions = args.repetitions or manifest["repetitions"] * (manifest.get("replicates") or 1)
    args.rounds = args.rounds or min(3, repetitions)
    repetitions = max(repetitions, args.rounds)
    if args.seed is None:
        args.seed = int(manifest["seed"])
    if os.getloadavg()[0] > 0.3:
        say(f"the load average is {os.getloadavg()[0]:.1f}: stop what else is running, or the figures mean little")
    say(f"tests: {len(tests)}; files: {len(paths)}; repetitions of each: {repetitions}, in rounds: {args.rounds}")

    part = args.run / (RESULT + ".part")
    with part.open("x") as out:
        try:
            samples, failed = measure(program, tests, paths, args, repetitions, environment(manifest), out)
        except BaseException:
            keep(part)
            raise
    if not samples:
        part.unlink()
        raise runfolder.Error("llama-bench failed in every test, see above; nothing was written")
    part.rename(args.run / RESULT)

    print(table(native, samples))
    say(f"wrote {args.run / RESULT}")
    if failed:
        say(f"llama-bench failed in {len(failed)} of {len(tests)} tests: {'; '.join(sorted(map(str, failed)))}")
    return 3 if failed else 0


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it, too, keeps what was measured
    try:
        sys.exit(run(args))
    except (runfolder.Error, OSError) as e:
        sys.exit(f"peers: {e}")
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)


if __name__ == "__main__":
    main()
