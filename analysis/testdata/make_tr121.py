"""Writes testdata/tr121: a SYNTHETIC run folder in the format of the TR121 Python
harness, made so that its aggregates are the published tables. The tables give
one latency for each model, backend and mode; here the three scenarios scatter
around it by factors whose product is 1, so the geometric mean gives it back, and
the three repetitions scatter around the scenario's, which is their median.
Warm-up times, Ollama's answer lengths and CUDA gaps are invented within the
published ranges. Weight types are invented where the report names none.

    python3 make_tr121.py
"""
import json, os, random
from reference_tables import HF, OL, LAYERS, WIDTH, HEADS, HF_NAMES, OL_NAMES, SERIES

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tr121")
os.makedirs(os.path.join(here, "analysis"), exist_ok=True)
NAN = float("nan")
MODES = ["prefill", "kv_decode", "e2e_kv"]
SCENARIOS = [("micro", "Hello", 1, 11, 0.8), ("short", "Summarize RLHF in one sentence.", 9, 19, 1.0),
             ("medium", "Explain how backpressure works in an inference service and when to enable queueing.", 17, 27, 1.25)]
REPS = [1.0, 1.05, 0.97]
WARM = {"prefill": 2.0, "kv_decode": 1.04, "e2e_kv": 1.08}
GAP = {"prefill": 0.0094, "kv_decode": 0.00013, "e2e_kv": 0.00031}
STOP = {"gemma3:270m": 10, "gemma3:1b-it-qat": 23, "qwen2.5:7b": 36, "llama3.1:8b-instruct-q4_0": 57}
BACKENDS = [("hf_cpu_fp32", "hf", "cpu", "fp32", "cpu"), ("hf_gpu_fp16", "hf", "cuda", "fp16", "gpu"), ("ollama", "ollama", None, None, "ollama")]
GEN = 64

tasks = []
for bname, bkind, device, dtype, series in BACKENDS:
    names, sizes = (OL_NAMES, OL) if bkind == "ollama" else (HF_NAMES, HF)
    for i, (model, p) in enumerate(zip(names, sizes)):
        for sc in SCENARIOS:
            tasks.append((bname, bkind, series, i, model, p, sc))
rng = random.Random(42)
rng.shuffle(tasks)

t, first = 1766535709.0, {}
with open(os.path.join(here, "runs.jsonl"), "w") as f:
    for task_idx, (bname, bkind, series, i, model, p, (sname, prompt, hf_tokens, ol_tokens, factor)) in enumerate(tasks):
        for call in range(4):
            warm = call == 0
            ms = {m: SERIES[f"{series} {m}"][1][i] * factor * (WARM[m] if warm else REPS[call - 1]) for m in MODES}
            raw = STOP.get(model, GEN) if sname != "medium" else GEN
            tokens = ol_tokens if bkind == "ollama" else hf_tokens
            t += 1.5
            row = dict(task_idx=task_idx, scenario=sname, backend=bname, backend_kind=bkind, model=model, model_kind=bkind,
                       params_millions=p, params_millions_config=p, prompt=prompt, prompt_chars=len(prompt), gen_tokens_target=GEN,
                       batch_size_config=1, call_idx=call, sample_idx=call, is_warmup=warm, warmup_idx=0 if warm else None,
                       rep=None if warm else call - 1)
            if bkind == "hf":
                cuda = {m: ms[m] * (1 - GAP[m]) if series == "gpu" else None for m in MODES}
                meas = dict(batch_size=1, seq_len=tokens, prompt_tokens_raw=tokens, gen_tokens_raw=GEN, prefill_ms=ms["prefill"],
                            prefill_cuda_event_ms=cuda["prefill"], kv_decode_ms=ms["kv_decode"],
                            kv_decode_cuda_event_ms=cuda["kv_decode"], gpu_peak_mb=250.0 if series == "gpu" else NAN,
                            params_millions_measured=p)
                if (bname, model) not in first:
                    first[bname, model] = True
                    meas["hf_load_ms"] = 321.5
            else:
                cuda = dict.fromkeys(MODES)
                meas = dict(batch_size=1, seq_len=None, prompt_tokens_raw=tokens, prefill_ms=ms["prefill"],
                            kv_decode_ms=ms["kv_decode"] * raw / GEN, kv_decode_ms_equiv=ms["kv_decode"],
                            kv_decode_ms_per_token=ms["kv_decode"] / GEN, gen_tokens_raw=raw, gen_tokens_equiv=GEN,
                            ollama_wall_ms=ms["e2e_kv"] + 150, ollama_total_duration_ms=ms["e2e_kv"] + 140,
                            ollama_load_ms=4000.0 if warm else 150.0, ollama_done_reason="length" if raw == GEN else "stop",
                            params_millions_measured=p, prefill_cuda_event_ms=None, kv_decode_cuda_event_ms=None)
            total = {"prefill": tokens, "kv_decode": GEN, "e2e_kv": tokens + GEN}
            for m in MODES:
                f.write(json.dumps({**row, "mode": m, "status": "ok", "error": None, "started_at_unix": t, **meas,
                                    "latency_ms": ms[m], "cuda_event_ms": cuda[m], "tokens_total": total[m],
                                    "tokens_per_s": total[m] / (ms[m] / 1000), "gen_tokens": GEN}) + "\n")

manifest = dict(
    run_id="20251224_002149", run_name="tr121_synthetic", argv=["run_scaling.py", "--config", "scaling.yaml"], config_path="scaling.yaml",
    config_sha256="0" * 64, git_head=None, platform=dict(python="3.13.1", os="synthetic", machine="", processor=""),
    torch=dict(torch="2.8.0+cu128", transformers="4.57.0", cuda="12.8"), nvml=dict(name="RTX 4080 Laptop", memory_total_mb=12282),
    cuda_available=True, repetitions=3, warmup_repetitions=1, gen_tokens=GEN, seed=42, ollama_timeout_s=300,
    resolved=dict(scenarios=[dict(name=s[0], prompt=s[1]) for s in SCENARIOS],
                  models=[dict(name=n, kind="hf", params_millions=p) for n, p in zip(HF_NAMES, HF)] +
                         [dict(name=n, kind="ollama", params_millions=p) for n, p in zip(OL_NAMES, OL)],
                  backends=[dict(name=b[0], kind=b[1], device=b[2], dtype=b[3], batch_size=1) for b in BACKENDS],
                  filters=dict(models_allowlist=None, backends_allowlist=None, scenarios_allowlist=None)),
    task_count=57, modes=MODES, records_expected=684,
    measured_params=dict(
        hf_params_millions=[dict(model=n, device=d, dtype=q, params_millions_measured=p) for d, q in (("cpu", "fp32"), ("cuda", "fp16"))
                            for n, p in zip(HF_NAMES, HF)],
        ollama_params_millions=[dict(model=n, params_millions_measured=p, parameter_size_raw="", quantization_level=q, family=fam)
                                for n, p, q, fam in zip(OL_NAMES, OL, ["Q8_0", "Q4_0", "Q4_K_M", "Q4_0", "MXFP4"],
                                                        ["gemma3", "gemma3", "qwen2", "llama", "gptoss"])]),
    clock_resolution=NAN)
with open(os.path.join(here, "manifest.json"), "w") as f:
    json.dump(manifest, f, indent=2, sort_keys=True)
    f.write("\n")

with open(os.path.join(here, "analysis", "hf_model_architecture.csv"), "w") as f:
    f.write("model,config_path,n_layer,n_embd,n_head,n_inner,vocab_size,n_positions\n")
    for n, l, d, h in zip(HF_NAMES, LAYERS, WIDTH, HEADS):
        f.write(f"{n},models/{n}/config.json,{l},{d},{h},{4 * d},50257,1024\n")
