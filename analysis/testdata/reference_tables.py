"""The published tables of the TR121 report (model-scaling study, run 20251224_002149)."""

# x: millions of parameters; y: ms, aggregated over the three scenarios, gen 64.
HF = [.103, 5.037, 25.016, 45.171, 51.476, 74.825, 96.088]
OL = [268.1, 999.89, 7600, 8000, 20900]
LAYERS = [2, 12, 3, 6, 8, 5, 8]
WIDTH = [2, 80, 384, 512, 512, 768, 768]
HEADS = [2, 2, 2, 8, 2, 2, 2]
HF_NAMES = ["tiny-gpt2", "gpt2-5m", "gpt2-25m", "gpt2-45m", "gpt2-50m", "gpt2-75m", "gpt2-100m"]
OL_NAMES = ["gemma3:270m", "gemma3:1b-it-qat", "qwen2.5:7b", "llama3.1:8b-instruct-q4_0", "gpt-oss-20b:latest"]
SERIES = {
    "cpu prefill": (HF, [3.49, 20.71, 15.75, 18.08, 25.35, 27.80, 26.98]),
    "cpu kv_decode": (HF, [166.32, 1042.44, 783.67, 799.82, 1267.69, 1600.77, 1374.22]),
    "cpu e2e_kv": (HF, [169.76, 1063.47, 799.73, 818.73, 1289.54, 1634.74, 1402.22]),
    "gpu prefill": (HF, [4.30, 13.07, 3.24, 7.63, 5.85, 6.34, 7.37]),
    "gpu kv_decode": (HF, [224.95, 626.09, 173.13, 385.33, 331.40, 336.59, 410.32]),
    "gpu e2e_kv": (HF, [228.87, 639.85, 176.39, 393.07, 337.44, 343.01, 417.92]),
    "ollama prefill": (OL, [2.32, 4.51, 11.57, 11.53, 50.85]),
    "ollama kv_decode": (OL, [121.57, 260.90, 709.04, 699.44, 2914.22]),
    "ollama e2e_kv": (OL, [123.90, 265.53, 720.60, 711.17, 2965.75]),
}
