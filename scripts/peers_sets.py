"""What scripts/peers.py measures: models, tests and programs, in sets."""

import dataclasses
import itertools

OURS, OLD, BENCH, BATCHED, TORCH = "llmscale", "llmscale-ollama", "llama-bench", "llama-batched-bench", "pytorch"
EQUAL = "equal tokens"  # PyTorch's greedy ones and llmscale's, from the start


@dataclasses.dataclass(frozen=True)
class Test:
    """One phase of one call; `at` is what the table calls it. Of tests with the same
    call llmscale makes one."""

    phase: str  # prefill: ms per call; decode, decode and argmax: ms per step; equal tokens: how many
    at: int | str
    prompt: int
    gen: int = 1
    depth: int = 0
    batch: int = 1
    pace: str = ""  # keys of llmscale's backend; a test that has some is llmscale's alone
    warm: bool = True  # by llama-bench, with the whole of the test; llmscale breaks it off after 0.2 s
    reps: int = 1

    @property
    def call(self):
        return self.prompt, self.gen, self.depth


@dataclasses.dataclass(frozen=True)
class Group:
    """What a program measures in one turn."""

    set: str
    model: str
    tools: tuple
    tests: tuple
    flash_attn: tuple = ("on",)
    every: int = 1  # only in each such round
    old_every: int = 1  # and the old build only in each such one

    def tests_of(self, tool):
        return [t for t in self.tests if tool in (OURS, OLD) or not t.pace]


def ladder(size, *reps):
    """Prompts of 1, 16, 64 and 512 tokens and decode after 17 and 512."""
    gen = 8 if size == "1.2b" else 32
    short = [Test("prefill", n, n, reps=r) for n, r in zip((1, 16, 64), reps)] + [Test("decode", 17, 17, gen, reps=reps[2])]
    long = [Test(phase, 512, 512, gen, reps=reps[3], warm=size != "1.2b") for phase in ("prefill", "decode")]
    for dtype in ("f16", "q4_0"):
        common = "ladder", f"llama-{size}-{dtype}", (OURS, BENCH, OLD)
        if size == "1.2b":
            yield Group(*common, tuple(short), ("on", "off"), old_every=4)
            yield Group(*common, tuple(long), ("on", "off"), every=4)
        else:
            yield Group(*common, (*short, *long), ("on", "off"), old_every=2)


def groups():
    yield from ladder("5m", 10, 10, 5, 3)
    yield from ladder("62m", 10, 5, 3, 1)
    yield from ladder("134m", 10, 5, 2, 1)
    yield from ladder("1.2b", 3, 1, 1, 1)
    for size, reps in (("5m", 3), ("62m", 2), ("134m", 1)):
        tests = [Test(phase, b, 16, 32, batch=b, reps=reps) for b in (1, 2, 4, 8, 16, 32) for phase in ("prefill", "decode")]
        yield Group("batch", f"llama-{size}-q4_0", (OURS, BATCHED), tuple(tests))
    for size, reps in (("5m", 2), ("62m", 1)):
        tests = [Test("prefill", d, 64, depth=d, reps=reps) for d in (0, 256, 1024, 4096)]
        tests += [Test("decode", d, 1, 32, max(d - 1, 0), reps=reps) for d in (0, 256, 1024, 4096)]
        yield Group("depth", f"llama-{size}-q4_0", (OURS, BENCH), tuple(tests))
    for size, dtype in itertools.product(("5m", "62m", "134m"), ("f16", "q4_0")):
        hot = [Test("prefill", n, n, reps=r) for n, r in ((1, 20), (16, 10))]
        cold = [Test("prefill", f"{n} cold", n, pace="pace: cold", reps=r) for n, r in ((1, 20), (16, 10))]
        yield Group("hot", f"llama-{size}-{dtype}", (OURS, BENCH), (*hot, *cold))
    paces = {"hot": "pace: hot", "5 ms idle": "pace: cold, idle_ms: 5", "20 ms idle": "pace: cold, idle_ms: 20"}
    tests = [Test("prefill", at, 1, pace=pace, reps=20) for at, pace in paces.items()]
    yield Group("pace", "llama-62m-q4_0", (OURS, OLD), tuple(tests))
    for size in ("gpt2-5m", "gpt2-50m", "gpt2"):
        tests = [Test(phase, 1, 1, 64, reps=3) for phase in ("decode", "decode and argmax", EQUAL)]
        yield Group("pytorch", f"{size}-f32", (OURS, BENCH, TORCH), tuple(tests))
