//go:build native

package native

import (
	"slices"
	"strconv"
	"strings"

	"llmscale/gguf/archs"
	"llmscale/gguf/ledger"
)

// baseKeys are the metadata that every model begins with. Widths are unlike each other, lest one is taken for another.
const baseKeys = `tokenizer.ggml.model="none" vocab_size=160 context_length=512 embedding_length=64 block_count=3 feed_forward_length=96 ` +
	`attention.head_count=4 attention.head_count_kv=2`

const moeKeys = " expert_count=8 expert_used_count=2 expert_feed_forward_length=48"

const ssmKeys = " ssm.conv_kernel=4 ssm.inner_size=128 ssm.state_size=16 ssm.time_step_rank=4 ssm.group_count=2"

// variants are what is to be added to, or set otherwise than in, the base keys, by architecture; several texts are
// several models, whose variants are named before a colon. +NAME is a tensor that is there from the start, in which
// the first % stands for each of three layers. An architecture that is not listed needs no more.
var variants = map[string][]string{
	"llama":     {"", "moe:" + moeKeys, "wide heads: attention.key_length=32 attention.value_length=32 rope.dimension_count=32"},
	"llama4":    {"interleave_moe_layer_step=2 block_count=4" + moeKeys},
	"deci":      {"block_count=4 attention.head_count=[4,0,4,4] attention.head_count_kv=[0,0,2,2] feed_forward_length=[96,80,0,96]"},
	"openelm":   {"attention.head_count=[4,2,4] attention.head_count_kv=[2,1,2] feed_forward_length=[96,80,96] attention.key_length=16 attention.value_length=16"},
	"grok":      {"+blk.%.ffn_gate.weight +blk.%.ffn_up.weight +blk.%.ffn_down.weight" + moeKeys},
	"dbrx":      {moeKeys},
	"baichuan":  {"block_count=32"},
	"phi2":      {"+blk.%.attn_qkv.weight"},
	"chatglm":   {"+blk.%.attn_qkv.weight"},
	"chameleon": {"attention.head_count_kv=4 vocab_size=8448"},
	"solar":     {"", "skips: attention.block_skip_connection.0=[1,0,0] attention.block_skip_connection.1=[0,1,0] attention.block_skip_connection.2=[0,0,1] attention.block_skip_connection.3=[0,0,1] +bskcn_tv.weight"},
	"gptj":      {""},
	"bert":      {bertKeys}, "nomic-bert": {bertKeys + " +blk.%.attn_qkv.weight"}, "neo-bert": {bertKeys}, "jina-bert-v2": {bertKeys}, "jina-bert-v3": {bertKeys + " +blk.%.attn_qkv.weight"},
	"nomic-bert-moe": {bertKeys + " moe_every_n_layers=2 +blk.%.attn_qkv.weight" + moeKeys},
	"qwen2moe":       {moeKeys + " expert_shared_feed_forward_length=80"},
	"qwen3moe":       {moeKeys}, "qwen3vlmoe": {moeKeys}, "phimoe": {"+blk.%.attn_qkv.weight" + moeKeys}, "olmoe": {"attention.head_count_kv=4" + moeKeys}, "arctic": {moeKeys}, "llada-moe": {moeKeys},
	"rnd1": {moeKeys}, "minimax-m2": {moeKeys + " expert_gating_func=2"}, "granitemoe": {moeKeys + " expert_shared_feed_forward_length=80"},
	"qwen3vl":        {"n_deepstack_layers=1"},
	"qwen3next":      {"block_count=4 ssm.conv_kernel=4 ssm.inner_size=64 ssm.state_size=16 ssm.time_step_rank=4 ssm.group_count=2 expert_shared_feed_forward_length=80" + moeKeys},
	"plamo2":         {"attention.head_count_kv=[0,2,0] attention.key_length=16 attention.value_length=16 ssm.conv_kernel=4 ssm.inner_size=128 ssm.state_size=16 ssm.time_step_rank=4 ssm.group_count=0"},
	"mamba":          {"attention.head_count=0 attention.head_count_kv=0 feed_forward_length=0" + ssmKeys},
	"mamba2":         {"attention.head_count=0 attention.head_count_kv=0 feed_forward_length=0" + ssmKeys},
	"jamba":          {"attention.head_count_kv=[0,2,0]" + ssmKeys, "moe: attention.head_count_kv=[0,2,0] +blk.1.ffn_gate_inp.weight" + ssmKeys + moeKeys},
	"falcon-h1":      {ssmKeys},
	"granitehybrid":  {"attention.head_count_kv=[0,2,0]" + ssmKeys, "moe: attention.head_count_kv=[0,2,0] expert_shared_feed_forward_length=80" + ssmKeys + moeKeys},
	"nemotron_h":     {"attention.head_count_kv=[0,2,0] feed_forward_length=[0,0,96] attention.key_length=16 attention.value_length=16 expert_feed_forward_length=48 attention.layer_norm_epsilon=1e-05" + ssmKeys},
	"nemotron_h_moe": {"attention.head_count_kv=[0,2,0] feed_forward_length=[0,0,96] attention.key_length=16 attention.value_length=16 expert_shared_count=1 expert_shared_feed_forward_length=80 attention.layer_norm_epsilon=1e-05" + ssmKeys + moeKeys},
	"lfm2":           {"attention.head_count_kv=[0,2,0]", "2026: attention.head_count_kv=[0,2,0]"},
	"lfm2moe":        {"attention.head_count_kv=[0,2,0]" + moeKeys, "2026: attention.head_count_kv=[0,2,0]" + moeKeys},
	"rwkv6":          {rwkvKeys + " +blk.%.time_mix_lerp_fused.weight"}, "rwkv6qwen2": {rwkvKeys + " token_shift_count=1"}, "rwkv7": {rwkv7Keys + " attention.gate_lora_rank=40 attention.layer_norm_epsilon=1e-05"}, "arwkv7": {rwkv7Keys + " token_shift_count=1 attention.layer_norm_rms_epsilon=1e-05"},
	"gemma2": {"attention.sliding_window=128"}, "gemma3": {"block_count=7 attention.sliding_window=128"}, "cohere2": {"block_count=4"},
	"gemma3n": {"block_count=22"}, "olmo2": {"", "window: block_count=4 attention.sliding_window=128"}, "phi3": {"+blk.%.attn_qkv.weight", "window: attention.sliding_window=128 +blk.%.attn_qkv.weight"},
	"exaone4":  {"", "window: block_count=64"},
	"afmoe":    {"block_count=4 attention.sliding_window=128" + moeKeys},
	"deepseek": {moeKeys},
	"deepseek2": {"mla: attention.head_count_kv=1 attention.key_length=40 attention.value_length=32 attention.key_length_mla=24 attention.value_length_mla=16 rope.dimension_count=8" + moeKeys,
		"old: attention.head_count_kv=4 attention.key_length=24 attention.value_length=16 rope.dimension_count=8" + moeKeys,
		"lite: block_count=27 attention.head_count_kv=1 attention.key_length=40 attention.value_length=32 attention.key_length_mla=24 attention.value_length_mla=16 rope.dimension_count=8" + moeKeys},
	"minicpm3":   {"attention.head_count_kv=4 attention.key_length=24 attention.value_length=16 rope.dimension_count=8"},
	"plm":        {"attention.head_count_kv=4 attention.key_length=24 attention.value_length=16 rope.dimension_count=8"},
	"glm4moe":    {moeKeys + " leading_dense_block_count=1", "prediction layers: block_count=4 nextn_predict_layers=1 leading_dense_block_count=1" + moeKeys},
	"bailingmoe": {moeKeys}, "dots1": {"attention.head_count_kv=4 expert_gating_func=2" + moeKeys},
	"bailingmoe2":  {moeKeys, "prediction layers: block_count=4 nextn_predict_layers=1" + moeKeys},
	"ernie4_5-moe": {moeKeys + " expert_shared_feed_forward_length=80"}, "hunyuan-moe": {moeKeys}, "gpt-oss": {moeKeys},
	"smallthinker": {moeKeys + " attention.sliding_window=128 expert_gating_func=2"}, "grovemoe": {moeKeys},
	"t5":               {"attention.head_count_kv=4 decoder_block_count=2"},
	"t5encoder":        {"attention.head_count_kv=4"},
	"wavtokenizer-dec": {"embedding_length=48 block_count=6"},
	// These only newer versions of llama.cpp know.
	"qwen35":    {hybridKeys},
	"qwen35moe": {hybridKeys + " expert_shared_feed_forward_length=80" + moeKeys},
	"gemma4": {"block_count=4 attention.sliding_window=128 attention.sliding_window_pattern=[1,1,1,0] attention.head_count_kv=[2,2,2,1] attention.key_length=32 attention.value_length=32 " +
		"attention.key_length_swa=16 attention.value_length_swa=16 rope.dimension_count=32 rope.dimension_count_swa=16 embedding_length_per_layer_input=0"},
	"exaone-moe": {"block_count=4 attention.sliding_window=128" + moeKeys}, "hy_v3": {moeKeys + " leading_dense_block_count=1"},
	"paddleocr": {"rope.dimension_sections=[4,2,2,0]"}, "mellum": {moeKeys, "window: block_count=4 attention.sliding_window=128" + moeKeys},
	"muse-glimmer": {"block_count=4"}, "plamo3": {"attention.key_length=16 attention.value_length=16", "window: block_count=9 attention.sliding_window=128 attention.key_length=16 attention.value_length=16"},
	"cohere2moe": {"block_count=4 attention.layer_norm_epsilon=1e-05" + moeKeys}, "granite_swa": {"attention.sliding_window_pattern=[1,1,0]"},
	"mimo2":    {"attention.sliding_window_pattern=[1,1,0]" + moeKeys},
	"step35":   {"attention.sliding_window_pattern=[1,1,0] attention.key_length=16 attention.value_length=16" + moeKeys},
	"spark2_5": {"attention.sliding_window_pattern=[1,1,0]" + moeKeys}, "maple": {"attention.sliding_window_pattern=[1,1,0] swiglu_clamp_exp=[7.0,7.0,7.0]" + moeKeys},
	"deepseek2-ocr": {"attention.head_count_kv=4" + moeKeys}, "modern-bert": {bertKeys}, "eurobert": {bertKeys},
	"mistral4": {"attention.head_count_kv=1 attention.key_length=40 attention.value_length=32 attention.key_length_mla=24 attention.value_length_mla=16 rope.dimension_count=8" + moeKeys},

	"gemma-embedding": {"", "dense: dense_2_feat_in=64 dense_2_feat_out=96 dense_3_feat_in=96 dense_3_feat_out=64"},
}

// madeBy has the models that llama.cpp of one version alone loads, by which TestDiscover makes them: the last norm of
// LFM 2 has another name in each, and solar is not known any more.
var madeBy = map[string]ledger.Rules{"lfm2": ledger.Ollama, "lfm2 2026": ledger.Newest, "lfm2moe": ledger.Ollama, "lfm2moe 2026": ledger.Newest, "solar": ledger.Ollama, "solar skips": ledger.Ollama}

const (
	hybridKeys = "+blk.%.attn_qkv.weight +blk.%.attn_gate.weight block_count=4 ssm.conv_kernel=4 ssm.inner_size=64 ssm.state_size=16 ssm.time_step_rank=4 ssm.group_count=2"
	bertKeys   = "tokenizer.ggml.token_type_count=2 attention.head_count_kv=4"
	rwkvKeys   = "attention.head_count=0 attention.head_count_kv=0"
	// Of these llama.cpp leaves the epsilon unset where the file has none, and its CPU kernel goes by whole vectors past
	// the end of a head of 16. Published models have heads of 64.
	rwkv7Keys = rwkvKeys + " wkv.head_size=64"
)

// keyValues are the values of keys that an architecture may ask for.
var keyValues = map[string]string{
	"attention.layer_norm_rms_epsilon": "1e-05", "attention.layer_norm_epsilon": "1e-05", "attention.group_norm_epsilon": "1e-06", "attention.group_norm_groups": "8",
	"attention.causal": "false", "pooling_type": "1", "attention.sliding_window": "128", "attention.max_alibi_bias": "8.0", "attention.clamp_kqv": "8.0",
	"attention.scale": "0.25", "attention.q_lora_rank": "24", "attention.kv_lora_rank": "32", "attention.relative_buckets_count": "32",
	"attention.decay_lora_rank": "24", "attention.iclr_lora_rank": "24", "attention.value_residual_mix_lora_rank": "24", "attention.gate_lora_rank": "40",
	"logit_scale": "0.5", "residual_scale": "0.5", "embedding_scale": "2.0", "use_parallel_residual": "true", "swin_norm": "false",
	"rope.dimension_sections": "[4,2,2,0]", "interleave_moe_layer_step": "1", "leading_dense_block_count": "1", "expert_shared_count": "1",
	"expert_weights_scale": "1.0", "expert_gating_func": "2", "expert_feed_forward_length": "48", "expert_shared_feed_forward_length": "80", "moe_every_n_layers": "2",
	"expert_chunk_feed_forward_length": "40", "expert_group_scale": "0.05", "experts_per_group": "2",
	"wkv.head_size": "16", "time_mix_extra_dim": "32", "time_decay_extra_dim": "40", "shortconv.l_cache": "3",
	"xielu.alpha_n": "0.8", "xielu.alpha_p": "0.8", "xielu.beta": "0.5", "xielu.eps": "1e-06",
	"features_length": "40", "attention.sliding_window_pattern": "[1,1,0]", "posnet.embedding_length": "48", "posnet.block_count": "6", "convnext.embedding_length": "48", "convnext.block_count": "3",
}

func variantsOf(arch string) []archs.Model {
	texts, ok := variants[arch]
	if !ok {
		texts = []string{""}
	}
	var out []archs.Model
	for _, text := range texts {
		m := archs.Model{Arch: arch}
		if name, keys, ok := strings.Cut(text, ":"); ok {
			m.Variant, text = name, keys
		}
		for _, word := range append(strings.Fields(baseKeys), strings.Fields(text)...) {
			if name, ok := strings.CutPrefix(word, "+"); ok {
				for l := range 3 {
					if l > 0 && !strings.Contains(name, "%") {
						break
					}
					m.Tensors = append(m.Tensors, oneElement(strings.Replace(name, "%", strconv.Itoa(l), 1)))
				}
				continue
			}
			k, v, _ := strings.Cut(word, "=")
			if i := slices.IndexFunc(m.Keys, func(have archs.Key) bool { return have.Name == k }); i >= 0 {
				m.Keys[i].Value = v
			} else {
				m.Keys = append(m.Keys, archs.Key{Name: k, Value: v})
			}
		}
		out = append(out, m)
	}
	return out
}
