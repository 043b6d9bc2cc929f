"""GPT-2 decode in PyTorch (transformers), from the weights of a GGUF file.

    peers_torch.py MODEL.gguf --threads 2 --gen 64 --reps 5      prints one JSON object
    peers_torch.py MODEL.gguf --prompt-ids 1,2,3 ...             starts from these tokens

float32, eager, KV cache, greedy, torch.inference_mode. The phases are llmscale's:
the prompt's forward gives the first token, then exactly --gen steps follow, each
one forward of one token and an argmax; decode_ms counts the steps' forwards,
kv_decode_ms also the argmax. Needs torch, transformers, gguf, numpy (scripts/peers
makes an environment with them). Leaves nothing behind.
"""

import argparse
import json
import time

import numpy as np
import torch
from gguf import GGUFReader
from transformers import GPT2Config, GPT2LMHeadModel


def load(path):
    """The model of a GGUF file, and how long building it took."""
    reader = GGUFReader(path)
    meta = {name: field.contents() for name, field in reader.fields.items()
            if name.startswith("gpt2.") or name == "general.architecture"}
    if meta["general.architecture"] != "gpt2":
        raise SystemExit(f"{path}: architecture {meta['general.architecture']}, this harness reads gpt2")
    tensors = {}
    for t in reader.tensors:
        if t.tensor_type.name != "F32":
            raise SystemExit(f"{path}: tensor {t.name} is {t.tensor_type.name}; this harness compares f32 files")
        tensors[t.name] = t.data

    n_embd = int(meta["gpt2.embedding_length"])
    n_layer = int(meta["gpt2.block_count"])
    config = GPT2Config(
        vocab_size=tensors["token_embd.weight"].shape[0],
        n_positions=tensors["position_embd.weight"].shape[0],
        n_embd=n_embd,
        n_layer=n_layer,
        n_head=int(meta["gpt2.attention.head_count"]),
        n_inner=int(meta["gpt2.feed_forward_length"]),
        layer_norm_epsilon=float(meta["gpt2.attention.layer_norm_epsilon"]),
        activation_function="gelu_new",
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        tie_word_embeddings="output.weight" not in tensors,
    )

    state = {
        "transformer.wte.weight": tensors["token_embd.weight"],
        "transformer.wpe.weight": tensors["position_embd.weight"],
        "transformer.ln_f.weight": tensors["output_norm.weight"],
        "transformer.ln_f.bias": tensors["output_norm.bias"],
        "lm_head.weight": tensors.get("output.weight", tensors["token_embd.weight"]),
    }
    names = {"attn_norm": "ln_1", "attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj",
             "ffn_norm": "ln_2", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}
    for i in range(n_layer):
        for ours, theirs in names.items():
            weight = tensors[f"blk.{i}.{ours}.weight"]
            if weight.ndim == 2:  # transformers' Conv1D keeps its weights the other way round
                weight = weight.T
            state[f"transformer.h.{i}.{theirs}.weight"] = weight
            state[f"transformer.h.{i}.{theirs}.bias"] = tensors[f"blk.{i}.{ours}.bias"]

    model = GPT2LMHeadModel(config).eval()
    torch_state = {k: torch.from_numpy(np.array(v, order="C")) for k, v in state.items()}
    missing, unexpected = model.load_state_dict(torch_state, strict=False)
    missing = [k for k in missing if not k.endswith((".attn.bias", ".attn.masked_bias"))]
    if missing or unexpected:
        raise SystemExit(f"{path}: weights do not fit: missing {missing}, unexpected {unexpected}")
    return model


def generate(model, prompt, gen):
    """One call: times in ns of each step's forward and argmax, and the tokens."""
    clock = time.perf_counter_ns
    ids = torch.tensor([prompt])
    started = clock()
    out = model(input_ids=ids, use_cache=True, logits_to_keep=1)
    prefill = clock() - started
    cache = out.past_key_values
    token = out.logits[:, -1].argmax(-1, keepdim=True)
    tokens, forwards = [token], []
    started = clock()
    for _ in range(gen):
        t0 = clock()
        out = model(input_ids=token, past_key_values=cache, use_cache=True)
        forwards.append(clock() - t0)
        token = out.logits[:, -1].argmax(-1, keepdim=True)
        tokens.append(token)
    whole = clock() - started
    return {
        "prefill_ms": prefill / 1e6,
        "decode_ms": sum(forwards) / 1e6,
        "kv_decode_ms": whole / 1e6,
        "output_token_ids": [int(t) for t in tokens],
    }


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("model")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--gen", type=int, default=64)
    ap.add_argument("--reps", type=int, default=5)
    ap.add_argument("--seed", type=int, default=42)
    ap.add_argument("--prompt-ids", help="comma-separated; default: one random token for each repetition")
    args = ap.parse_args()

    torch.set_num_threads(args.threads)
    model = load(args.model)
    rng = np.random.default_rng(args.seed)
    calls = []
    with torch.inference_mode():
        for rep in range(args.reps + 1):  # the first one warms up
            if args.prompt_ids:
                prompt = [int(x) for x in args.prompt_ids.split(",")]
            else:
                prompt = [int(rng.integers(model.config.vocab_size))]
            call = generate(model, prompt, args.gen)
            if rep > 0:
                calls.append(call)
    print(json.dumps({
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "attention": model.config._attn_implementation,
        "params": sum(p.numel() for p in model.parameters()),
        "calls": calls,
    }))


if __name__ == "__main__":
    main()
