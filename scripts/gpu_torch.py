"""PyTorch on the GPU, beside llama.cpp on the same card.

    gpu_torch.py ceilings -o FILE.json
        what cuBLAS and a copy reach: an f16 product of 8192 x 8192 matrices, and 4 GiB
        copied within the device (8.6 GB read and written)
    gpu_torch.py models --shapes LIST -o FILE.jsonl NAME=SOURCE...
        prefill and greedy decode of models of the same shapes in f16 (transformers,
        eager, sdpa, KV cache), with random weights: a line for each call. LIST is the
        output of `llmscale synth --list`, SOURCE one of its shapes, NAME what
        llmscale's records call it.

Times are CUDA events' (event_ms) and the host's around synchronised phases (ms). The
phases are llmscale's: the prompt's forward with the first token, then exactly --gen
steps of a forward and an argmax; but the host does not wait for every token, as
transformers' own loop does not.
--device cpu is for seeing that the script runs, in f32 on one thread; it has no events. Needs torch and
transformers. Leaves FILE behind, whose lines are written one by one.
"""

import argparse
import json
import sys
import time

import torch


class Stopwatch:
    """Host and device time since it was made, in ms."""

    def __init__(self, device):
        self.cuda = device == "cuda"
        if self.cuda:
            torch.cuda.synchronize()
            self.begin, self.end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        self.started = time.perf_counter_ns()
        if self.cuda:
            self.begin.record()

    def read(self):
        event = None
        if self.cuda:
            self.end.record()
            torch.cuda.synchronize()
        host = (time.perf_counter_ns() - self.started) / 1e6
        if self.cuda:
            event = self.begin.elapsed_time(self.end)
        return host, event


def passes(device, work, n=20):
    """ms of each of n passes, after three that warm up: the device's where it has a clock."""
    out = []
    for i in range(n + 3):
        watch = Stopwatch(device)
        work()
        host, event = watch.read()
        if i >= 3:
            out.append(host if event is None else event)
    return out


def ceilings(args):
    generator = torch.Generator(device=args.device).manual_seed(1)
    n = 8192 if args.device == "cuda" else 256
    a, b = (torch.randn(n, n, generator=generator, device=args.device, dtype=dtype(args.device)) for _ in range(2))
    c = torch.full_like(a, float("nan"))
    product = passes(args.device, lambda: torch.matmul(a, b, out=c))
    want = a[:8].double() @ b.double()
    error = float((c[:8].double() - want).norm() / want.norm())

    size = 4 << 30 if args.device == "cuda" else 64 << 20
    source = torch.randint(0, 255, (size,), generator=generator, device=args.device, dtype=torch.uint8)
    target = torch.zeros_like(source)
    copied = passes(args.device, lambda: target.copy_(source))
    doc = {
        "torch": torch.__version__, "device": name(args.device),
        "product_f16": {"n": n, "flop": 2 * n**3, "ms": product, "relative_error": error, "right": error < 2e-3},
        "copy": {"bytes": 2 * size, "ms": copied, "right": bool(torch.equal(source, target))},
    }
    with open(args.o, "w") as f:
        json.dump(doc, f)
    median = lambda v: sorted(v)[len(v) // 2]
    print(f"f16 product: {doc['product_f16']['flop'] / median(product) / 1e9:.0f} TFLOP/s, copy: {2 * size / median(copied) / 1e6:.0f} GB/s")
    if not (doc["product_f16"]["right"] and doc["copy"]["right"]):
        sys.exit("a wrong answer: its figure means nothing")


def dtype(device):
    return torch.float16 if device == "cuda" else torch.float32


def name(device):
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


def read_shapes(path):
    """Shapes by source: parameters, layers, width, heads, kv heads, head size, feed-forward, vocabulary."""
    out = {}
    with open(path) as f:
        for line in f:
            fields = line.split()
            if len(fields) >= 9 and ":" in fields[0]:
                out[fields[0]] = [int(x) for x in fields[1:9]]
    return out


def build(source, shape, device):
    """A model of the shape with as many parameters, on the device."""
    import transformers
    want, layers, width, heads, kv_heads, head_size, ff, vocab = shape
    for tied in (True, False):
        if source.startswith("synth:"):
            config = transformers.GPT2Config(
                vocab_size=vocab, n_positions=1024, n_embd=width, n_layer=layers, n_head=heads, n_inner=ff, activation_function="gelu_new",
                resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, tie_word_embeddings=tied, attn_implementation="sdpa")
            make = transformers.GPT2LMHeadModel
        else:
            config = transformers.LlamaConfig(
                vocab_size=vocab, hidden_size=width, intermediate_size=ff, num_hidden_layers=layers, num_attention_heads=heads,
                num_key_value_heads=kv_heads, head_dim=head_size, max_position_embeddings=8192, tie_word_embeddings=tied, attn_implementation="sdpa")
            make = transformers.LlamaForCausalLM
        with torch.device("meta"):
            have = sum(p.numel() for p in make(config).parameters())
        if abs(have - want) <= 256:  # factors of the rope are a tensor in a GGUF file
            break
    else:
        raise SystemExit(f"{source}: {have} parameters here, {want} in llmscale's list")
    torch.set_default_dtype(dtype(device))
    with torch.device(device):
        model = make(config).eval()
    torch.set_default_dtype(torch.float32)
    return model


def call(model, device, prompt, gen):
    ids = torch.randint(0, model.config.vocab_size, (1, prompt), device=device)
    watch = Stopwatch(device)
    out = model(input_ids=ids, use_cache=True, logits_to_keep=1)
    token = out.logits[:, -1].argmax(-1, keepdim=True)
    prefill = watch.read()
    watch = Stopwatch(device)
    for _ in range(gen):
        out = model(input_ids=token, past_key_values=out.past_key_values, use_cache=True)
        token = out.logits[:, -1].argmax(-1, keepdim=True)
    decode = watch.read()
    if not bool(torch.isfinite(out.logits).all()):
        raise SystemExit("logits that are not finite")
    return {"prefill_ms": prefill[0], "prefill_event_ms": prefill[1], "kv_decode_ms": decode[0], "kv_decode_event_ms": decode[1]}


def models(args):
    import transformers
    shapes = read_shapes(args.shapes)
    with open(args.o, "a") as f, torch.inference_mode():
        for item in args.models:
            label, source = item.split("=", 1)
            if source not in shapes:
                raise SystemExit(f"{source}: not in {args.shapes}")
            if args.most and shapes[source][0] > args.most:
                continue
            model = build(source, shapes[source], args.device)
            for prompt in args.prompts:
                for rep in range(-2, args.repetitions):  # two warm up
                    line = {"model": label, "source": source, "params": shapes[source][0], "torch": torch.__version__, "transformers": transformers.__version__,
                            "device": name(args.device), "dtype": str(dtype(args.device)), "attention": model.config._attn_implementation,
                            "prompt_tokens": prompt, "gen_tokens": args.gen, "rep": rep, "is_warmup": rep < 0, **call(model, args.device, prompt, args.gen)}
                    f.write(json.dumps(line) + "\n")
                f.flush()
                print(f"{label}, {prompt} tokens: prefill {line['prefill_ms']:.3f} ms, {line['kv_decode_ms'] / args.gen:.3f} ms per token", flush=True)
            del model
            if args.device == "cuda":
                torch.cuda.empty_cache()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("what", choices=["ceilings", "models"])
    ap.add_argument("models", nargs="*", metavar="NAME=SOURCE")
    ap.add_argument("-o", required=True)
    ap.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    ap.add_argument("--shapes")
    ap.add_argument("--prompts", type=int, nargs="*", default=[1, 512])
    ap.add_argument("--gen", type=int, default=32)
    ap.add_argument("--repetitions", type=int, default=3)
    ap.add_argument("--most", type=float, help="leave out models of more parameters")
    args = ap.parse_intermixed_args()
    torch.manual_seed(42)
    if args.device == "cpu":
        torch.set_num_threads(1)
    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch sees no GPU")
    {"ceilings": ceilings, "models": models}[args.what](args)


if __name__ == "__main__":
    main()
