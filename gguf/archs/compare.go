package archs

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
)

// Comparison is what a description says beside what llama.cpp tells.
type Comparison struct {
	Refused     string   // why no token is decoded; figures that come after a load are then not told
	Compute     float64  // the reckoned compute buffer, as a multiple of llama.cpp's
	Differences []string // in sentences; none if all figures that llama.cpp tells are equal
}

// Compare describes the model and compares every figure that llama.cpp, the one that rules names, tells of it.
func Compare(m *Model, a Account, rules ledger.Rules) (Comparison, error) {
	c := Comparison{Refused: a.Refused}
	f, err := m.Preview()
	if err != nil {
		return c, err
	}
	d, err := ledger.Describe(f)
	if err != nil {
		return c, err
	}
	if why := d.DecodeRefusal(); why != "" && !strings.Contains(a.Refused, unknownArchitecture) {
		c.Refused = why
	}
	same := func(what string, described, told int64) {
		if described != told {
			c.Differences = append(c.Differences, fmt.Sprintf("%s: described %d, llama.cpp tells %d (%+d)", what, described, told, described-told))
		}
	}
	if a.Params > 0 {
		same("parameters", d.ParamsTotal+ledger.RopeElements(f), a.Params)
		same("bytes of weights", d.WeightBytes, a.SizeBytes)
		same("layers", d.NLayer, a.NLayer)
		if m.Arch != "wavtokenizer-dec" || rules == ledger.Ollama { // the newest tells how wide its sound is
			same("width", d.NEmbd, a.NEmbd)
		}
		same("vocabulary", d.NVocab, a.NVocab)
		same("trained context", d.NCtxTrain, a.NCtxTrain)
		if d.HeadsKV == nil {
			same("key/value heads", d.NHeadKV, a.NHeadKV)
		}
	}
	if c.Refused != "" {
		return c, nil
	}
	if kind := d.MemoryKind(); kind != a.Memory {
		c.Differences = append(c.Differences, fmt.Sprintf("memory: described %s, llama.cpp makes %s", kind, a.Memory))
	}
	same("bytes read per token", d.BytesReadPerToken, a.ReadBytes)
	o := ledger.MemoryOptions{Context: WindowContext, UBatch: UBatch, WindowCache: true, Repack: []gguf.Type{}, Rules: rules}
	mem, err := d.Memory(o)
	if err != nil {
		return c, err
	}
	same("cache of windows alone, and state", mem.KV+mem.State, a.WindowCacheBytes)
	o.Context, o.WindowCache, o.NoFlashAttention = Context, false, true
	if mem, err = d.Memory(o); err != nil {
		return c, err
	}
	same("cache without flash attention, and state", mem.KV+mem.State, a.PlainCacheBytes)
	o.NoFlashAttention = false
	if mem, err = d.Memory(o); err != nil {
		return c, err
	}
	same("cache and state", mem.KV+mem.State, a.CacheBytes)
	same("mapped weights", mem.Weights, a.WeightBytes)
	perToken, err := d.KVBytesPerToken("f16", "f16", rules)
	if err != nil {
		return c, err
	}
	same("bytes of the cache per token", perToken*Context+d.StateBytes, a.CacheBytes)
	c.Compute = float64(mem.Compute) / float64(a.ComputeBytes)
	return c, nil
}

// Table is the outcome for all models as rows of Markdown, one for each architecture: by the newest llama.cpp, and in
// one column by Ollama's.
func Table() (string, error) {
	models, err := All()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| architecture | models | parameters | bytes read per token | cache and state | by Ollama's | why no more is told |\n|---|---|---|---|---|---|---|\n")
	for len(models) > 0 {
		n := 1
		for n < len(models) && models[n].Arch == models[0].Arch {
			n++
		}
		var variants []string
		for i := range models[:n] {
			if v := models[i].Variant; v != "" {
				variants = append(variants, v)
			}
		}
		newest, err := newRow(models[:n], ledger.Newest)
		if err != nil {
			return "", err
		}
		ollamas, err := newRow(models[:n], ledger.Ollama)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", models[0].Arch, strings.Join(variants, ", "), newest.params, newest.read, newest.cache, ollamas.whole(), newest.why)
		models = models[n:]
	}
	return b.String(), nil
}

const (
	equal    = "equal"
	differ   = "differ"
	notTold  = "not told"
	notKnown = "not known"
)

// row is what all models of an architecture that one llama.cpp loads have in common; where it loads none of them, of all.
type row struct{ params, read, cache, why string }

func newRow(models []Model, rules ledger.Rules) (*row, error) {
	accounts, err := Accounts(rules)
	if err != nil {
		return nil, err
	}
	loaded := slices.DeleteFunc(slices.Clone(models), func(m Model) bool { return accounts[m.Name()].Refused != "" })
	if len(loaded) == 0 {
		loaded = models
	}
	r := &row{params: equal, read: equal, cache: equal}
	for i := range loaded {
		if err := r.add(&loaded[i], accounts[loaded[i].Name()], rules); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// whole is the row in a word.
func (r *row) whole() string {
	switch {
	case strings.Contains(r.why, unknownArchitecture):
		return notKnown
	case r.params == differ || r.read == differ || r.cache == differ:
		return differ
	case r.why != "":
		return notTold
	}
	return equal
}

// unknownArchitecture is how llama.cpp refuses one.
const unknownArchitecture = "unknown model architecture"

func (r *row) add(m *Model, a Account, rules ledger.Rules) error {
	c, err := Compare(m, a, rules)
	if err != nil {
		return err
	}
	if a.Params == 0 {
		r.params = notTold
	}
	if c.Refused != "" {
		r.read, r.cache, r.why = notTold, notTold, c.Refused
	}
	for _, d := range c.Differences {
		switch what, _, _ := strings.Cut(d, ":"); {
		case strings.Contains(what, "cache") || what == "memory":
			r.cache = differ
		case strings.Contains(what, "read"):
			r.read = differ
		default:
			r.params = differ
		}
	}
	return nil
}
