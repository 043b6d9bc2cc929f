"""Makes testdata/tiny, a GPT-2 folder as transformers and torch write it, with random weights.

    python make_tiny.py          in this folder; writes tiny/, some 100 KB

Made with torch 2.15.0, transformers 5.23.0, tokenizers 0.23.3, safetensors 0.8.0. tiny/expected.json has what
transformers makes of some texts: the token ids, and the logits that follow the last of them, in float64.
"""

import json
import os
import shutil

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

OUT = "tiny"
TEXT = ["The model grows, and the time of one token grows with the size of the model.",
        "Größe und Zeit: 12 345 tokens, 6.7 ms!", "the other theory then they", "it's what we've measured; they'll see"]
PROMPTS = ["The time of the tokens", "Größe 12: they'll  see\n\n the  model's  size ", "<|endoftext|>then<|endoftext|> 世界"]

shutil.rmtree(OUT, ignore_errors=True)
os.mkdir(OUT)

bpe = ByteLevelBPETokenizer()
bpe.train_from_iterator(TEXT, vocab_size=300, min_frequency=2, special_tokens=["<|endoftext|>"], show_progress=False)
bpe.save_model(OUT)  # vocab.json, merges.txt
tokenizer = GPT2Tokenizer.from_pretrained(OUT)
tokenizer.save_pretrained(OUT)  # tokenizer.json, tokenizer_config.json

end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
torch.manual_seed(1)
config = GPT2Config(vocab_size=len(tokenizer), n_positions=32, n_embd=8, n_layer=2, n_head=2, initializer_range=0.4,
                    bos_token_id=end, eos_token_id=end)
model = GPT2LMHeadModel(config).eval()
with torch.no_grad():
    for name, p in model.named_parameters():
        if name.endswith("bias") or ".ln_" in name:
            p += 0.1 * torch.randn_like(p)
model.save_pretrained(OUT)

# As older versions of transformers saved it: tied head, attention masks.
state = model.state_dict()
for i in range(config.n_layer):
    state[f"transformer.h.{i}.attn.bias"] = torch.tril(torch.ones(32, 32, dtype=torch.uint8)).view(1, 1, 32, 32)
    state[f"transformer.h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
torch.save(state, f"{OUT}/pytorch_model.bin")

model = model.double()
expected = []
for text in PROMPTS:
    ids = tokenizer(text)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1]
    expected.append({"text": text, "ids": ids, "logits": [round(x, 6) for x in logits.tolist()]})
with open(f"{OUT}/expected.json", "w") as f:
    json.dump(expected, f)
