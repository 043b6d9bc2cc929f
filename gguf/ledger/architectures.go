package ledger

import (
	"errors"
	"fmt"
	"strings"

	"llmscale/gguf"
)

// What llama.cpp knows of an architecture beside the file. The tables mirror llama.cpp ec98e2002 and, for those that it
// does not know yet, 0c1e57098; native/architectures_test.go compares them with both, by a small model of each.

// refusals says why a model of an architecture cannot decode token by token from a cache of what came before. The
// first list is that of llama_model::create_memory, which gives these no memory
// (https://github.com/ggml-org/llama.cpp/blob/ec98e2002/src/llama-model.cpp#L7120), with those of newer versions.
var refusals = map[string]string{
	"bert":             encodes,
	"jina-bert-v2":     encodes,
	"jina-bert-v3":     encodes,
	"nomic-bert":       encodes,
	"nomic-bert-moe":   encodes,
	"neo-bert":         encodes,
	"modern-bert":      encodes,
	"eurobert":         encodes,
	"gemma-embedding":  encodes,
	"llama-embed":      encodes,
	"wavtokenizer-dec": "it turns codes into sound: it has no cache and no logits",
	"dream":            diffuses,
	"llada":            diffuses,
	"llada-moe":        diffuses,
	"rnd1":             diffuses,

	"t5encoder": encodes,
	"t5":        "it is an encoder with a decoder: a prompt is encoded before anything is decoded, which this program does not do",
	"clip":      "it is the encoder of images or sound that belongs to a language model, not a language model",
	"gptj":      "llama.cpp knows its name and has no code for it",
}

const (
	encodes  = "it only embeds: the whole text is encoded at once, without a cache and without logits of a next token"
	diffuses = "it writes by diffusion: all tokens are computed anew in each step, without a cache"
)

// known are the architectures of LLM_ARCH_NAMES, of each of which there is a small model in package archs.
var known = words(`
	afmoe apertus arcee arctic arwkv7 baichuan bailingmoe bailingmoe2 bert bitnet bloom chameleon chatglm clip codeshell
	cogvlm cohere2 command-r dbrx deci deepseek deepseek2 dots1 dream ernie4_5 ernie4_5-moe exaone exaone4 falcon
	falcon-h1 gemma gemma-embedding gemma2 gemma3 gemma3n glm4 glm4moe gpt-oss gpt2 gptj gptneox granite granitehybrid
	granitemoe grok grovemoe hunyuan-dense hunyuan-moe internlm2 jais jamba jina-bert-v2 jina-bert-v3 lfm2 lfm2moe llada
	llada-moe llama llama4 mamba mamba2 minicpm minicpm3 minimax-m2 mistral3 mpt nemotron nemotron_h nemotron_h_moe
	neo-bert nomic-bert nomic-bert-moe olmo olmo2 olmoe openelm orion pangu-embedded phi2 phi3 phimoe plamo plamo2 plm
	qwen qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3next qwen3vl qwen3vlmoe refact rnd1 rwkv6 rwkv6qwen2 rwkv7 seed_oss
	smallthinker smollm3 solar stablelm starcoder starcoder2 t5 t5encoder wavtokenizer-dec xverse
	cohere2moe deepseek2-ocr eurobert exaone-moe gemma4 granite_swa hunyuan_vl hy_v3 jais2 maincoder maple mellum mimo2
	mistral4 modern-bert muse-glimmer nanbeige paddleocr plamo3 qwen35 qwen35moe qwen3tts spark2_5 step35 talkie`)

// estimated are those of them whose compute buffer graph.go does not reckon to the byte by the rules of Ollama: their
// layers have results that it does not know, or that llama.cpp does not know them.
var estimated = words(`
	bloom jais phi2 deci refact grok llama4 cogvlm chameleon olmo2 exaone4 smallthinker deepseek2 minicpm3 gemma3n
	qwen2vl qwen3vl qwen3vlmoe qwen3next lfm2 lfm2moe mamba mamba2 rwkv6 rwkv6qwen2 rwkv7 arwkv7 jamba granitehybrid
	nemotron_h nemotron_h_moe plamo2 falcon-h1
	cohere2moe deepseek2-ocr exaone-moe gemma4 granite_swa hunyuan_vl hy_v3 jais2 maincoder maple mellum mimo2 mistral4
	muse-glimmer nanbeige paddleocr plamo3 qwen35 qwen35moe qwen3tts spark2_5 step35 talkie`)

func words(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}

// noteArchitecture says how far a description of the architecture can be trusted.
func (d *Description) noteArchitecture() {
	if r := d.DecodeRefusal(); r != "" {
		d.note("tokens cannot be decoded one by one: %s", r)
	}
	switch {
	case !known[d.Architecture]:
		d.note("the architecture is not among those that were compared with llama.cpp: its layers are described as ordinary ones")
	case estimated[d.Architecture]:
		d.note("the compute buffer of this architecture is an estimate")
	}
}

// windowPattern says which layers of an architecture have a sliding window: of each period layers all but the last,
// or, with fullFirst, all but the first. The list mirrors llama.cpp ec98e2002, src/llama-model.cpp, load_hparams
// (https://github.com/ggml-org/llama.cpp/blob/ec98e2002/src/llama-model.cpp#L544).
type windowPattern struct {
	period     int64
	fullFirst  bool
	preset     int64 // tokens, where the file states none
	needsKey   bool  // without attention.sliding_window in the file (or with 0) no layer has a window
	onlyLayers int64 // only models of so many layers have windows; 0: any
	ignoresKey bool  // the file's figure is not used, only whether it is 0
}

var windowPatterns = map[string]windowPattern{
	"gemma2":       {period: 2, preset: 4096},
	"gemma3":       {period: 6, needsKey: true},
	"gemma3n":      {period: 5, needsKey: true},
	"gpt-oss":      {period: 2, needsKey: true},
	"cohere2":      {period: 4, needsKey: true},
	"olmo2":        {period: 4, needsKey: true},
	"afmoe":        {period: 4, needsKey: true},
	"exaone4":      {period: 4, preset: 4096, onlyLayers: 64},
	"llama4":       {period: 4, preset: 8192, ignoresKey: true},
	"smallthinker": {period: 4, fullFirst: true, preset: 4096, needsKey: true, ignoresKey: true},

	// From here on as in 0c1e57098; those of one layer have windows only where the file says in which (windowPatternKey).
	"exaone-moe":   {period: 4, needsKey: true},
	"cohere2moe":   {period: 4, fullFirst: true, needsKey: true},
	"mellum":       {period: 4, needsKey: true},
	"muse-glimmer": {period: 4, needsKey: true},
	"plamo3":       {period: 8, needsKey: true},
	"gemma4":       {period: 1, needsKey: true},
	"granite_swa":  {period: 1, needsKey: true},
	"maple":        {period: 1, needsKey: true},
	"mimo2":        {period: 1, needsKey: true},
	"spark2_5":     {period: 1, needsKey: true},
	"step35":       {period: 1, needsKey: true},
}

// windowPatternKey holds a period in place of the table's, or an entry for each layer: whether it has a window. Ollama's
// llama.cpp does not read it.
const windowPatternKey = ".attention.sliding_window_pattern"

// ownCaches is how many layers from the first have a cache of their own: in gemma3n and gemma4 the last ones use those
// of others (https://github.com/ggml-org/llama.cpp/blob/0c1e57098/src/models/gemma3n.cpp, gemma4.cpp).
func (d *Description) ownCaches(f *gguf.File) (int64, error) {
	switch d.Architecture {
	case "gemma3n":
		return 20, nil
	case "gemma4":
		n, err := f.IntWithin(d.Architecture+".attention.shared_kv_layers", 0, d.NLayer, fmt.Sprintf("0 to the %d layers", d.NLayer))
		if errors.Is(err, gguf.ErrNoKey) {
			return maxLayers, nil
		}
		return d.NLayer - n, err
	}
	return maxLayers, nil
}

// DecodeRefusal says in one sentence's end why decoding token by token from a cache means nothing for this model, by
// its architecture and its metadata; "" if nothing speaks against it.
func (d *Description) DecodeRefusal() string {
	if r := refusals[d.Architecture]; r != "" {
		return r
	}
	return d.refusal
}

// examineAttention looks for metadata that say that no next token follows from the ones before.
func (d *Description) examineAttention(f *gguf.File) error {
	key := d.Architecture + ".pooling_type"
	pooling, err := f.Int(key)
	if err != nil && !errors.Is(err, gguf.ErrNoKey) {
		return err
	}
	if pooling > 0 {
		d.refusal = fmt.Sprintf("it only embeds: its tokens are pooled into one embedding (%s is %d)", key, pooling)
	}
	key = d.Architecture + ".attention.causal"
	causal, err := f.Bool(key)
	if errors.Is(err, gguf.ErrNoKey) {
		return nil
	}
	if err == nil && !causal {
		d.refusal = fmt.Sprintf("its attention is not causal (%s is false): every token sees those behind it, so that no cache of earlier ones can be kept", key)
	}
	return err
}

// recurrence says of a layer, by its index, its key/value heads and its feed-forward's width in the metadata, whether
// it attends to a cache and whether it keeps a state (one per sequence, of a size that no token adds to).
type recurrence func(layer, headsKV, ff int64) (attends, state bool)

// recurrences has the architectures of which layers keep a state: llm_arch_is_recurrent and llm_arch_is_hybrid, the
// latter with what load_hparams and create_memory say of the layers
// (https://github.com/ggml-org/llama.cpp/blob/ec98e2002/src/llama-model.cpp#L7156).
var recurrences = map[string]recurrence{
	"mamba": allRecurrent, "mamba2": allRecurrent, "rwkv6": allRecurrent, "rwkv6qwen2": allRecurrent, "rwkv7": allRecurrent, "arwkv7": allRecurrent,
	"jamba": headless, "plamo2": headless, "granitehybrid": headless, "lfm2": headless, "lfm2moe": headless,
	"nemotron_h": bareHeadless, "nemotron_h_moe": bareHeadless,
	"falcon-h1": func(_, _, _ int64) (bool, bool) { return true, true },
	"qwen3next": oneOf(4), "qwen35": oneOf(4), "qwen35moe": oneOf(4),
}

// oneOf is for architectures of whose layers the last of each n attends. A file may state another n
// (fullAttentionKey), which Ollama's llama.cpp does not read.
func oneOf(n int64) recurrence {
	return func(layer, _, _ int64) (bool, bool) { return layer%n == n-1, layer%n != n-1 }
}

const fullAttentionKey = ".full_attention_interval"

// recurrence is that of the model's architecture; nil where no layer keeps a state.
func (d *Description) recurrence(f *gguf.File) (recurrence, error) {
	kind := recurrences[d.Architecture]
	if kind == nil {
		return nil, nil
	}
	n, err := f.IntWithin(d.Architecture+fullAttentionKey, 1, maxLayers, fmt.Sprintf("1 to %d", maxLayers))
	switch {
	case errors.Is(err, gguf.ErrNoKey):
		return kind, nil
	case err != nil:
		return nil, err
	}
	return oneOf(n), nil
}

func allRecurrent(_, _, _ int64) (attends, state bool) { return false, true }

func headless(_, headsKV, _ int64) (attends, state bool) { return headsKV > 0, headsKV == 0 }

// bareHeadless is for layers that are one of three: attention, recurrent, or a feed-forward alone.
func bareHeadless(_, headsKV, ff int64) (attends, state bool) {
	return headsKV > 0 && ff == 0, headsKV == 0 && ff == 0
}
