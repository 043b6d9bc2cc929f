package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func backendNames(c *Config) (out []string) {
	for _, b := range c.Backends {
		out = append(out, b.Name)
	}
	return out
}

func scenarioNames(c *Config) (out []string) {
	for _, s := range c.Scenarios {
		out = append(out, s.Name)
	}
	return out
}

func TestListsMultiply(t *testing.T) {
	c := parse(t, `
scenarios: [{name: p, prompt_tokens: [16, 64], gen_tokens: 8}, {name: text, prompt: Hi}]
backends: [{name: cpu, threads: [4, 1, 2], ubatch_tokens: [64, 128, 256, 512], dtype: [fp16, q4_0], mmap: [false]}, {name: plain, dtype: f32}]
models: [{name: m, source: synth:gpt2}, {name: n, source: synth:gpt2-5m, backends: [plain]}]
`)
	var want []string
	for _, dtype := range []string{"f16", "q4_0"} { // keys in the table's order, values in the file's
		for _, threads := range []int{4, 1, 2} {
			for _, ubatch := range []int{64, 128, 256, 512} {
				want = append(want, fmt.Sprintf("cpu_%s_t%d_ub%d", dtype, threads, ubatch))
			}
		}
	}
	if got := backendNames(c); !slices.Equal(got, append(want, "plain")) {
		t.Errorf("backends %q", got)
	}
	if got := scenarioNames(c); !slices.Equal(got, []string{"p_p16", "p_p64", "text"}) {
		t.Errorf("scenarios %q", got)
	}
	for _, b := range c.Backends[:24] {
		if name := fmt.Sprintf("cpu_%s_t%d_ub%d", b.DType, b.Threads, b.UBatchTokens); b.Name != name || b.Group != "cpu" || b.Mmap {
			t.Errorf("%+v, want what its name says", b)
		}
	}
	if s := c.Scenarios[1]; s.PromptTokens != 64 || s.GenTokens != 8 || s.Group != "p" {
		t.Errorf("%+v", s)
	}
	// m under all 25, n under one, three scenarios each.
	if got, want := c.Product(), "78 cells: 26 pairs of model and backend x 3 scenarios"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := strings.Join(c.Lists(), "\n"), "backend cpu makes 24: dtype 2 x threads 3 x ubatch_tokens 4\nscenario p makes 2: prompt_tokens 2"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if err := c.CheckCells(); err != nil {
		t.Error(err)
	}
	if err := c.Filter(nil, []string{"cpu_f16_t1_ub64", "cpu_f16_t2_ub64", "plain"}, []string{"text"}); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(c.Lists(), "\n"), "backend cpu makes 2 of 24: dtype 2 x threads 3 x ubatch_tokens 4"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := c.Product(), "4 cells: 4 pairs of model and backend x 1 scenario"; got != want {
		// m under three of them, n under plain
		t.Errorf("%q, want %q", got, want)
	}
}

// The names that values of every kind make; they are in artifacts, so they must stay.
func TestNamesOfLists(t *testing.T) {
	t.Setenv("LLMSCALE_A", "/opt/one")
	t.Setenv("LLMSCALE_B", "/opt/two")
	for _, tc := range []struct{ keys, want string }{
		{"dtype: [f32, fp16]", "x_f32 x_f16"},
		{"dtype: f32, threads: [0, 12]", "x_t0 x_t12"},
		{"dtype: f32, batch_size: 1..32*2", "x_bs1 x_bs2 x_bs4 x_bs8 x_bs16 x_bs32"},
		{"dtype: f32, threads_batch: 1..3", "x_tb1 x_tb2 x_tb3"},
		{"dtype: f32, batch_tokens: [1_024, 512]", "x_b1024 x_b512"},
		{"dtype: f32, batch_tokens: [64, 128], ubatch_tokens: [32, 64]", "x_b64_ub32 x_b64_ub64 x_b128_ub32 x_b128_ub64"},
		{"dtype: f32, flash_attn: [true, off, auto]", "x_fa-on x_fa-off x_fa-auto"},
		{"dtype: f32, kv_type: [f16, q8_0]", "x_kv-f16 x_kv-q8_0"},
		{"dtype: f32, mmap: [true, false]", "x_mmap-true x_mmap-false"},
		{"dtype: f32, device: cuda, n_gpu_layers: [none, 4, fit, -1]", "x_ngl0 x_ngl4 x_ngl-fit x_ngl-all"},
		{"dtype: f32, device: cuda, cuda_graphs: [false, true]", "x_graphs-false x_graphs-true"},
		{"dtype: f32, pace: [hot, cold], idle_ms: 5", "x_hot x_cold"},
		{"dtype: [f32], threads: [2], mmap: [false]", "x"},
		{"dtype: [f32], threads: [2, 3]", "x_t2 x_t3"},
		{"dtype: f32, program: [self, ../bin/llmscale-ollama]", "x_self x_llmscale-ollama"},
		{"dtype: f32, program: [old/bin/llmscale, new/bin/llmscale, /opt/other], threads: [1, 2]",
			"x_t1_old-bin-llmscale x_t1_new-bin-llmscale x_t1_other x_t2_old-bin-llmscale x_t2_new-bin-llmscale x_t2_other"},
		{"dtype: f32, program: [llmscale, a/llmscale, 'b c/d é']", "x_llmscale x_a-llmscale x_d"},
		{"dtype: f32, program: ['${LLMSCALE_A}', '${LLMSCALE_B}']", "x_one x_two"},
	} {
		c := parse(t, s+"backends: [{name: x, "+tc.keys+"}]\n"+m)
		if got := strings.Join(backendNames(c), " "); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.keys, got, tc.want)
		}
	}
	c := parse(t, "scenarios: [{name: x, prompt: Hi, gen_tokens: [8, 32]}, {name: y, prompt_tokens: [1, 9], gen_tokens: [8, 32]}]\n"+b+m)
	if got := strings.Join(scenarioNames(c), " "); got != "x_g8 x_g32 y_p1_g8 y_p1_g32 y_p9_g8 y_p9_g32" {
		t.Error(got)
	}
	if c.Lists()[0] != "scenario x makes 2: gen_tokens 2" {
		t.Errorf("%q", c.Lists())
	}
	c = parse(t, s+"backends: [{name: x, dtype: f32, pace: [hot, cold], idle_ms: 5}]\n"+m)
	if c.Backends[0].IdleMS != 0 || c.Backends[1].IdleMS != 5 {
		t.Errorf("%+v", c.Backends)
	}
	// A default that depends on another key follows each value of that.
	c = parse(t, s+"backends: [{name: x, dtype: f32, batch_tokens: [128, 1024]}]\n"+m)
	if c.Backends[0].UBatchTokens != 128 || c.Backends[1].UBatchTokens != 512 {
		t.Errorf("%+v", c.Backends)
	}
}

func TestRanges(t *testing.T) {
	for _, tc := range []struct {
		text string
		want []int
	}{
		{"1..4", []int{1, 2, 3, 4}},
		{"7..8", []int{7, 8}},
		{"5..17+4", []int{5, 9, 13, 17}},
		{"1..64*4", []int{1, 4, 16, 64}},
		{"3..48*2", []int{3, 6, 12, 24, 48}},
		{"3..9*3", []int{3, 9}},
		{"1_000..2_000+500", []int{1000, 1500, 2000}},
		{"1..16777216*4096", []int{1, 4096, 16777216}},
		{"[2..6+2, 100, 1]", []int{2, 4, 6, 100, 1}},
		{`["1..2", 9]`, []int{1, 2, 9}},
	} {
		c := parse(t, "scenarios: [{name: x, prompt_tokens: "+tc.text+"}]\n"+b+m)
		var got []int
		for _, s := range c.Scenarios {
			got = append(got, s.PromptTokens)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v, want %v", tc.text, got, tc.want)
		}
	}
}

// oneBackend is a file whose only backend has these keys, from column 27 of line 3 on.
func oneBackend(keys string) string {
	return s + "backends:\n  - {name: b, dtype: f32, " + keys + "}\n" + m
}

var badLists = []struct{ name, text, want string }{
	{"empty", oneBackend("threads: []"),
		"x.yaml:3:36: backends[0].threads: the list is empty; write for example [1, 2]"},
	{"empty list of a choice", oneBackend("kv_type: []"),
		"x.yaml:3:36: backends[0].kv_type: the list is empty; write for example [f16, f32]"},
	{"a text among numbers", oneBackend("threads: [1, two, 4]"),
		`x.yaml:3:40: backends[0].threads[1]: must be a whole number, not the text "two"`},
	{"too large", oneBackend("threads: [1, 2, 1000]"),
		"x.yaml:3:43: backends[0].threads[2]: must be at most 512, not 1000"},
	{"nothing", oneBackend("threads: [1, ~]"),
		"x.yaml:3:40: backends[0].threads[1]: must be a whole number, not nothing"},
	{"a list in a list", oneBackend("threads: [[1, 2], 4]"),
		"x.yaml:3:37: backends[0].threads[0]: must be a whole number, not a list"},
	{"a mapping", oneBackend("threads: {from: 1, to: 4}"),
		"x.yaml:3:36: backends[0].threads: must be a whole number, not a mapping"},
	{"a misspelt choice", oneBackend("flash_attn: [on, offf]"),
		`x.yaml:3:44: backends[0].flash_attn[1]: must be auto, on or off, not "offf"; did you mean off?`},
	{"yes for true", oneBackend("mmap: [true, yes]"),
		`x.yaml:3:40: backends[0].mmap[1]: must be true or false, not the text "yes"`},
	{"twice", oneBackend("threads: [1, 2, 1]"),
		"x.yaml:3:43: backends[0].threads[2]: 1 stands in this list already; remove it"},
	{"twice in two spellings", s + "backends:\n  - {name: b, dtype: [f16, f32, fp16]}\n" + m,
		"x.yaml:3:33: backends[0].dtype[2]: f16 stands in this list already; remove it"},
	{"twice as a word", oneBackend("device: cuda, n_gpu_layers: [all, 3, -1]"),
		"x.yaml:3:64: backends[0].n_gpu_layers[2]: all stands in this list already; remove it"},
	{"in a range already", oneBackend("threads: [1..4, 3]"),
		"x.yaml:3:43: backends[0].threads[1]: 3 stands in this list already; remove it"},
	{"half a range", oneBackend("threads: 1.."),
		`x.yaml:3:36: backends[0].threads: a range is FROM..TO, FROM..TO+STEP or FROM..TO*FACTOR in whole numbers without blanks, for example 1..8 or 1..4096*2, not "1.."`},
	{"three dots", oneBackend("threads: [2, 1...8]"),
		`x.yaml:3:40: backends[0].threads[1]: a range is FROM..TO, FROM..TO+STEP or FROM..TO*FACTOR in whole numbers without blanks, for example 1..8 or 1..4096*2, not "1...8"`},
	{"negative range", oneBackend("device: cuda, n_gpu_layers: -1..4"),
		`x.yaml:3:55: backends[0].n_gpu_layers: a range is FROM..TO, FROM..TO+STEP or FROM..TO*FACTOR in whole numbers without blanks, for example 1..8 or 1..4096*2, not "-1..4"`},
	{"octal in a range", oneBackend("threads: 01..8"),
		`x.yaml:3:36: backends[0].threads: a range is FROM..TO, FROM..TO+STEP or FROM..TO*FACTOR in whole numbers without blanks, for example 1..8 or 1..4096*2, not "01..8"`},
	{"falling", oneBackend("threads: 8..1"),
		`x.yaml:3:36: backends[0].threads: a range rises, "8..1" does not; write its smaller end first`},
	{"of one value", oneBackend("threads: 4..4"),
		`x.yaml:3:36: backends[0].threads: "4..4" is one value; write 4`},
	{"beyond the key's largest", oneBackend("threads: 1..1024*2"),
		"x.yaml:3:36: backends[0].threads: must be at most 512, not 1024"},
	{"factor of one", oneBackend("threads: 1..8*1"),
		"x.yaml:3:36: backends[0].threads: the factor of a range must be at least 2, not 1"},
	{"step of nothing", oneBackend("threads: 1..8+0"),
		"x.yaml:3:36: backends[0].threads: the step of a range must be at least 1, not 0"},
	{"from nothing", oneBackend("threads: 0..8*2"),
		"x.yaml:3:36: backends[0].threads: 0 times 2 stays 0; start at 1 and write the 0 before it: [0, 1..8*2]"},
	{"steps over its end", oneBackend("ubatch_tokens: 1..300*2"),
		`x.yaml:3:42: backends[0].ubatch_tokens: "1..300*2" steps over its end: its last value is 256; write 1..256*2, and 300 beside it if you want that too`},
	{"adds over its end", oneBackend("threads: [1..8+3]"),
		`x.yaml:3:37: backends[0].threads[0]: "1..8+3" steps over its end: its last value is 7; write 1..7+3, and 8 beside it if you want that too`},
	{"only its start", oneBackend("threads: 5..8*2"),
		`x.yaml:3:36: backends[0].threads: "5..8*2" has no second value; write [5, 8]`},
	{"a step beyond any integer", oneBackend("threads: 1..8+9223372036854775807"),
		`x.yaml:3:36: backends[0].threads: "1..8+9223372036854775807" has no second value; write [1, 8]`},
	{"a factor beyond any integer", oneBackend("threads: 2..8*9223372036854775807"),
		`x.yaml:3:36: backends[0].threads: "2..8*9223372036854775807" has no second value; write [2, 8]`},
	{"an end beyond any integer", oneBackend("threads: 1..99999999999999999999"),
		`x.yaml:3:36: backends[0].threads: must be at most 512, not 99999999999999999999`},
	{"too many values", "scenarios: [{name: s, prompt_tokens: 1..4096}]\n" + b + m,
		`x.yaml:1:38: scenarios[0].prompt_tokens: "1..4096" has 4096 values; a list has at most 1000, write for example a factor, FROM..TO*2`},
	{"commas without brackets", oneBackend("threads: '1,2,4'"),
		`x.yaml:3:36: backends[0].threads: must be a whole number, not the text "1,2,4"; several values are written [1, 2], 1..8 or 1..4096*2`},
	{"a dash", oneBackend("threads: 1-8"),
		`x.yaml:3:36: backends[0].threads: must be a whole number, not the text "1-8"; several values are written [1, 2], 1..8 or 1..4096*2`},
	{"a key without lists", oneBackend("context_tokens: [512, 1024]"),
		"x.yaml:3:43: backends[0].context_tokens: must be a whole number, not a list; the keys here that take a list are dtype, batch_size, threads, threads_batch, n_gpu_layers, cuda_graphs, flash_attn, batch_tokens, ubatch_tokens, kv_type, mmap, program, memory_limit_mib, pace and prio"},
	{"prompts", "scenarios: [{name: s, prompt: [Hi, Ho]}]\n" + b + m,
		"x.yaml:1:31: scenarios[0].prompt: must be text, not a list; the keys here that take a list are prompt_tokens, gen_tokens and depth"},
	{"gen_tokens of the file", sbm + "gen_tokens: [8, 32]\n",
		"x.yaml:4:13: gen_tokens: must be a whole number, not a list; an entry of scenarios takes a list of it"},
	{"a tag", oneBackend("threads: [1, !!int 2]"),
		"x.yaml:3:40: backends[0].threads[1]: YAML tags (!!int) are not read here; write the value alone"},
	{"pairs that cannot be", oneBackend("kv_type: [f16, q8_0], flash_attn: [on, off], threads: [1, 2]"),
		"x.yaml:3:66: backends[0].flash_attn[1]: must be auto or on where kv_type is q8_0, not off; llama.cpp refuses a quantised value cache without flash attention. Lists make every combination: give those that go together a backend of their own"},
	{"ubatch beyond a batch", oneBackend("batch_tokens: [128, 512], ubatch_tokens: 256"),
		"x.yaml:3:68: backends[0].ubatch_tokens: must be at most batch_tokens (128), not 256; llama.cpp would take 128 without a word. Lists make every combination: give those that go together a backend of their own"},
	{"sequences beyond a ubatch", oneBackend("batch_size: 8..32*2, ubatch_tokens: [16, 512]"),
		"x.yaml:3:39: backends[0].batch_size: must be at most ubatch_tokens (16), not 32: a step decodes one token of each sequence, all at once. Lists make every combination: give those that go together a backend of their own"},
	{"a server among sequences", oneBackend("kind: ollama, import: true, batch_size: [1, 4]"),
		"x.yaml:3:71: backends[0].batch_size[1]: must be 1 for kind ollama, not 4: each sequence is a request of its own, and which of them the server decodes together is its affair. Lists make every combination: give those that go together a backend of their own"},
	{"depths from nothing", "scenarios: [{name: s, prompt: Hi, depth: 0..4096*2}]\n" + b + m,
		"x.yaml:1:42: scenarios[0].depth: 0 times 2 stays 0; start at 1 and write the 0 before it: [0, 1..4096*2]"},
	{"a depth twice", "scenarios: [{name: s, prompt: Hi, depth: [0, 512, 512..4096*2]}]\n" + b + m,
		"x.yaml:1:51: scenarios[0].depth[2]: 512 stands in this list already; remove it"},
	{"depths beside a server", "scenarios: [{name: s, prompt: Hi, depth: [0, 8, 16]}]\nbackends: [{name: b, kind: ollama, import: true, dtype: f32}]\n" + m,
		"x.yaml:1:46: scenarios[0].depth[1]: must be 0 beside backend b of kind ollama, not 8: a server's cache cannot be filled outside the time; measure depths in a file of their own"},
	{"layers on the CPU", oneBackend("n_gpu_layers: [0, 8]"),
		"x.yaml:3:45: backends[0].n_gpu_layers[1]: must be 0 on device cpu, not 8; for layers on the GPU write device: cuda"},
	{"graphs on the CPU", oneBackend("cuda_graphs: [true, false]"),
		"x.yaml:3:40: backends[0].cuda_graphs: means nothing on device cpu; remove it, or write device: cuda"},
	{"of a server", oneBackend("kind: ollama, import: true, flash_attn: [on, off]"),
		"x.yaml:3:67: backends[0].flash_attn: means nothing for kind ollama: the server's environment decides (OLLAMA_FLASH_ATTENTION), and the API cannot change it; remove it"},
	{"too many backends", oneBackend("threads: 1..500, threads_batch: 1..500, ubatch_tokens: 1..256*2"),
		"x.yaml:3:5: backends[0]: its lists make 2250000 backends: threads 500 x threads_batch 500 x ubatch_tokens 9; a file has at most 1000; take values out"},
	{"too many scenarios together", "scenarios:\n  - {name: a, prompt_tokens: 1..600}\n  - {name: b, prompt_tokens: 1..600}\n" + b + m,
		"x.yaml:3:5: scenarios[1]: its lists make 600 scenarios: prompt_tokens 600; a file has at most 1000, of which the entries before it make 600; take values out"},
	{"a name that is there", s + "backends:\n  - {name: b, dtype: f32, threads: [1, 2]}\n  - {name: b_t2, dtype: f32}\n" + m,
		`x.yaml:3:12: backends[0].name: its lists make the name "b_t2", which line 4 has or makes already; write another`},
	{"names of two lists", "scenarios:\n  - {name: a, prompt_tokens: [1, 2], gen_tokens: [3, 4]}\n  - {name: a_p1, prompt: Hi, gen_tokens: [4, 5]}\n" + b + m,
		`x.yaml:3:12: scenarios[1].name: its lists make the name "a_p1_g4", which line 2 has or makes already; write another`},
	{"one name for two lists", s + "backends:\n  - {name: b, dtype: f32, threads: [1, 2]}\n  - {name: b, dtype: f32, threads: [3, 4]}\n" + m,
		`x.yaml:4:12: backends[1].name: "b" is the name of line 3 already; names in backends must differ`},
	{"too long a name", s + "backends:\n  - {name: " + strings.Repeat("n", 60) + ", dtype: f32, threads: [1, 128], mmap: [true, false]}\n" + m,
		`x.yaml:3:12: backends[0].name: with what its lists add, "` + strings.Repeat("n", 60) + `...", it has 73 characters; at most 64 fit, write a shorter one`},
	{"a member that is not made", s + "backends: [{name: b, dtype: f32, threads: [1, 2]}]\nmodels: [{name: m, source: synth:gpt2, backends: [b_t3]}]\n",
		`x.yaml:3:51: models[0].backends[0]: no backend is called "b_t3"; did you mean b_t1? The file has b (lists make 2 names, for example b_t1)`},
	{"a member beside its group", s + "backends: [{name: b, dtype: f32, threads: [1, 2]}]\nmodels: [{name: m, source: synth:gpt2, backends: [b, b_t2]}]\n",
		`x.yaml:3:54: models[0].backends[1]: "b_t2" is one of b, which stands in this list too; keep one of the two`},
	{"a type that a folder cannot have", s + "backends: [{name: b, dtype: [f16, q4_0]}]\nmodels: [{name: m, source: 'hf:x', backends: [b]}, {name: n, source: synth:gpt2}]\n",
		`x.yaml:3:47: models[0].backends[0]: backend b_q4_0 has dtype q4_0, in which a hf: model cannot be written; name the others of b one by one`},
	{"a context too short for the longest", "scenarios: [{name: s, prompt_tokens: [8, 500]}]\nbackends:\n  - {name: b, dtype: f32, context_tokens: 512, threads: [1, 2]}\n" + m,
		`x.yaml:3:43: backends[0].context_tokens: 512 tokens are too few for scenario "s_p500": 500 of the prompt and 64 generated make 564; write 0 to fit it`},
}

func TestBadLists(t *testing.T) {
	for _, tc := range badLists {
		c, err := Parse("x.yaml", []byte(tc.text))
		if err == nil {
			t.Errorf("%s: accepted: %q, %q", tc.name, backendNames(c), scenarioNames(c))
			continue
		}
		if err.Error() != tc.want {
			t.Errorf("%s:\ngot  %s\nwant %s", tc.name, err, tc.want)
		}
		var first *Error
		if !errors.As(err, &first) || first.Line < 1 || first.Column < 1 {
			t.Errorf("%s: an error without a place: %v", tc.name, err)
		}
	}
}

// The name of an entry stands for all that its lists make, wherever a name points to one.
func TestListsByName(t *testing.T) {
	const text = `
scenarios: [{name: p, prompt_tokens: [1, 16]}, {name: hi, prompt: Hi}]
backends: [{name: cpu, dtype: [f16, q4_0], threads: [1, 2]}, {name: other, dtype: f32}]
models:
  - {name: all, source: synth:gpt2}
  - {name: group, source: synth:gpt2-5m, backends: [cpu]}
  - {name: one, source: synth:gpt2-25m, backends: [other, cpu_q4_0_t2]}
`
	pairs := func(list ...string) string { return strings.Join(list, " ") }
	for _, tc := range []struct {
		models, backends, scenarios []string
		want, scenarioWant          string
		err                         string
	}{
		{want: pairs("all/cpu_f16_t1", "all/cpu_f16_t2", "all/cpu_q4_0_t1", "all/cpu_q4_0_t2", "all/other",
			"group/cpu_f16_t1", "group/cpu_f16_t2", "group/cpu_q4_0_t1", "group/cpu_q4_0_t2", "one/cpu_q4_0_t2", "one/other"),
			scenarioWant: "p_p1 p_p16 hi"},
		{backends: []string{"cpu"}, scenarios: []string{"p"}, models: []string{"all", "one"},
			want: pairs("all/cpu_f16_t1", "all/cpu_f16_t2", "all/cpu_q4_0_t1", "all/cpu_q4_0_t2", "one/cpu_q4_0_t2"), scenarioWant: "p_p1 p_p16"},
		{backends: []string{"cpu_q4_0_t2", "cpu_f16_t1"}, scenarios: []string{"p_p16", "hi"},
			want: pairs("all/cpu_f16_t1", "all/cpu_q4_0_t2", "group/cpu_f16_t1", "group/cpu_q4_0_t2", "one/cpu_q4_0_t2"), scenarioWant: "p_p16 hi"},
		{models: []string{"one"}, backends: []string{"cpu_f16_t1"}, err: "x.yaml: backends: cpu_f16_t1 runs none of the chosen models; in the file it runs all and group\n" +
			"x.yaml: models: one runs under none of the chosen backends; in the file it runs under cpu_q4_0_t2 and other"},
		{backends: []string{"cpu_f16_t3"}, err: `x.yaml: backends: no backend is called "cpu_f16_t3"; did you mean cpu_f16_t1? The file has cpu and other (lists make 4 names, for example cpu_f16_t1)`},
		{scenarios: []string{"summarise"}, err: `x.yaml: scenarios: no scenario is called "summarise"; the file has p and hi (lists make 2 names, for example p_p1)`},
	} {
		c, err := Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		err = c.Filter(tc.models, tc.backends, tc.scenarios)
		if err != nil || tc.err != "" {
			lines := strings.Split(fmt.Sprint(err), "\n")
			slices.Sort(lines)
			if got := strings.Join(lines, "\n"); got != tc.err {
				t.Errorf("%v %v %v:\ngot  %s\nwant %s", tc.models, tc.backends, tc.scenarios, got, tc.err)
			}
			continue
		}
		if got := strings.Join(pairNames(c), " "); got != tc.want {
			t.Errorf("%v %v: %s, want %s", tc.models, tc.backends, got, tc.want)
		}
		if got := strings.Join(scenarioNames(c), " "); got != tc.scenarioWant {
			t.Errorf("%v: %s, want %s", tc.scenarios, got, tc.scenarioWant)
		}
	}
}

func TestCellsAreBounded(t *testing.T) {
	const text = "scenarios: [{name: p, prompt_tokens: 1..8}]\nbackends: [{name: cpu, dtype: f32, threads: 1..12, mmap: [true, false]}]\n" +
		"models: [{name: l, source: ladder:llama/5m}, {name: m, source: synth:gpt2}, {name: n, source: synth:gpt2-5m}, {name: o, source: synth:gpt2-25m}, {name: q, source: synth:gpt2-45m}, {name: r, source: synth:gpt2-50m}]\n"
	c := parse(t, text)
	const want = "dir/x.yaml: max_cells: 1152 cells: 6 models x 24 backends x 8 scenarios, more than 1000; backend cpu makes 24: threads 12 x mmap 2; " +
		"scenario p makes 8: prompt_tokens 8. Choose some with --models, --backends or --scenarios, or write max_cells: 1152"
	if err := c.CheckCells(); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if err := parse(t, text+"max_cells: 1152\n").CheckCells(); err != nil {
		t.Error(err)
	}
	if err := parse(t, text+"max_cells: 1151\n").CheckCells(); err == nil {
		t.Error("more than max_cells are accepted")
	}
	if err := c.Filter([]string{"l", "m", "n", "o", "q"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.CheckCells(); err != nil { // 960
		t.Error(err)
	}
}

// Whatever is found out of a list's place must be told of the value, and every mistake of a file once.
func TestListsKeepTheirPlaces(t *testing.T) {
	c := parse(t, s+"backends:\n  - name: b\n    dtype:\n      - f32\n      - f16\n  - {name: own, dtype: f16}\nmodels: [{name: f, source: f.gguf, backends: [b]}, {name: m, source: synth:gpt2, backends: [own]}]\n")
	want := []string{
		"dir/x.yaml:5:9: dtype f32 of backend b_f32 changes nothing: the models that it runs keep the types that their files have; remove it",
		"dir/x.yaml:6:9: dtype f16 of backend b_f16 changes nothing: the models that it runs keep the types that their files have; remove it",
		"dir/x.yaml:8:10: model f does the same work under b_f32 and b_f16, which differ at most in dtype, and the model keeps its own types; to measure it once, give it backends: [b_f32]",
	}
	if got := c.Warnings(); !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	_, err := Parse("x.yaml", []byte(s+"backends: [{name: b, dtype: f32, thread: 1, url: x, threads: [1, 2, 3]}]\n"+m))
	var all Errors
	if !errors.As(err, &all) || len(all) != 2 {
		t.Errorf("%v, want two mistakes, each once", err)
	}
}
