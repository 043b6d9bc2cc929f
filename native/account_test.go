//go:build native

package native

import (
	"errors"
	"slices"
	"strings"

	"llmscale/gguf/archs"
	"llmscale/gguf/ledger"
)

// account asks llama.cpp for its own figures of the model at path; unless decode, for those alone that it has after a
// load.
func account(m *archs.Model, path string, decode bool) (archs.Account, error) {
	a := archs.Account{Model: m.Name()}
	model, err := Load(path, ModelParams{Mmap: true})
	if err != nil {
		return a, err
	}
	defer model.Close()
	info := model.Info()
	a.Params, a.SizeBytes = info.Params, info.SizeBytes
	a.NLayer, a.NEmbd, a.NHeadKV, a.NVocab, a.NCtxTrain = int64(info.NLayer), int64(info.NEmbd), int64(info.NHeadKV), int64(info.NVocab), int64(info.NCtxTrain)
	d, err := m.Describe()
	if err != nil || !decode {
		return a, err
	}
	var windows, plain figures
	for _, c := range []struct {
		to *figures
		p  ContextParams
	}{
		{&windows, ContextParams{NCtx: archs.WindowContext, NUBatch: archs.UBatch, Threads: 1, WindowCache: true}},
		{&plain, ContextParams{NCtx: archs.Context, NUBatch: archs.UBatch, Threads: 1, FlashAttn: "off"}},
	} {
		ctx, err := model.NewContext(c.p)
		if err != nil {
			return a, err
		}
		*c.to, err = allocated(ctx)
		ctx.Close()
		if err != nil {
			return a, err
		}
	}
	ctx, err := model.NewContext(ContextParams{NCtx: archs.Context, NUBatch: archs.UBatch, Threads: 1})
	if err != nil {
		return a, err
	}
	defer ctx.Close()
	made, err := ctx.Info()
	if err != nil {
		return a, err
	}
	a.Memory = made.Memory
	if a.Refused = d.DecodeRefusal(); a.Refused != "" {
		if made.Memory != ledger.MemoryNone && (made.Causal == nil || *made.Causal) {
			err = errors.New("llama.cpp would decode what the description refuses: " + a.Refused)
		}
		return a, err
	}
	f, err := allocated(ctx)
	if err != nil {
		return a, err
	}
	a.WindowCacheBytes, a.PlainCacheBytes = windows.context, plain.context
	a.WeightBytes, a.CacheBytes, a.ComputeBytes = f.model, f.context, f.compute
	trace, err := ctx.TraceOps([]int32{1, 2, 3}, 2)
	if err != nil {
		return a, err
	}
	read := trace.readOf(2)
	var unread []string
	for _, t := range m.Tensors {
		if _, ok := read[t.Name]; !ok {
			unread = append(unread, t.Name)
		}
		a.ReadBytes += read[t.Name]
		delete(read, t.Name)
	}
	if len(read) > 0 {
		return a, errors.New("a step reads tensors that the file does not have: " + strings.Join(names(read), ", "))
	}
	a.Unread = shortened(unread, m)
	return a, nil
}

func allocated(c *Context) (figures, error) {
	var f figures
	buffers, err := c.Memory()
	for _, b := range buffers {
		f.model += b.ModelBytes
		f.context += b.ContextBytes
		f.compute += b.ComputeBytes
	}
	return f, err
}

// shortened has one name, with a * for the layer, for tensors that are on the list in all layers that have them.
func shortened(list []string, m *archs.Model) []string {
	missing := map[string]int{} // how many layers' are not on the list
	for _, t := range m.Tensors {
		missing[generic(t.Name)]++
	}
	for _, name := range list {
		missing[generic(name)]--
	}
	short := map[string]bool{}
	for _, name := range list {
		if g := generic(name); missing[g] == 0 {
			name = g
		}
		short[name] = true
	}
	return names(short)
}

// generic is a tensor's name with a * for its layer.
func generic(name string) string {
	if prefix, l, rest := archs.SplitName(name); l >= 0 {
		return prefix + ".*." + rest
	}
	return name
}

func names[V any](set map[string]V) []string {
	var out []string
	for name := range set {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// readOf sums up what a step reads of each tensor. What several operations read of the same place counts once; rows
// that are looked up count beside a use of the whole.
func (t *Trace) readOf(step int) map[string]int64 {
	type place struct {
		tensor string
		offset int64
		lookup bool
	}
	most := map[place]int64{}
	for i := range t.Ops {
		if t.Ops[i].Step != step {
			continue
		}
		for _, r := range t.Ops[i].Reads {
			p := place{r.Tensor, r.Offset, r.Lookup}
			most[p] = max(most[p], r.Bytes)
		}
	}
	sum := map[string]int64{}
	for p, n := range most {
		sum[p.tensor] += n
	}
	return sum
}
