package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"llmscale/gguf"
	"llmscale/gguf/ollamastore"
	"llmscale/gguf/synth"
	"llmscale/internal/text"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:  "inspect",
		Usage: "say what a GGUF file holds: parameters and bytes by component, bytes per token, memory",
		Description: "FILE is a GGUF file, or ollama:NAME[:TAG] for the file that Ollama serves under that name. The memory is\n" +
			"what a load on the CPU takes by llama.cpp's own count; docs/ledger.md says how it is computed.",
		ArgsUsage: "FILE|ollama:NAME",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			&cli.Int64Flag{Name: "context", Usage: "memory: `TOKENS` of context", DefaultText: "what the model was made for"},
			&cli.Int64Flag{Name: "batch", Value: gguf.DefaultBatch, Usage: "memory: `TOKENS` handed over at once"},
			&cli.Int64Flag{Name: "ubatch", Value: gguf.DefaultUBatch, Usage: "memory: `TOKENS` computed at once"},
			&cli.StringFlag{Name: "kv-type", Value: "f16", Usage: "memory: `TYPE` of the KV cache"},
			&cli.StringFlag{Name: "flash-attn", Value: "on", Usage: "memory: flash attention, `on or off`"},
			&cli.BoolFlag{Name: "window-cache", Usage: "memory: layers with a sliding window keep that window alone"},
			&cli.BoolFlag{Name: "no-mmap", Usage: "memory: weights are read, not mapped"},
			&cli.BoolFlag{Name: "no-repack", Usage: "memory: no matrices in the CPU's own order, which it has otherwise as this machine's CPU does"},
			&cli.BoolFlag{Name: "upstream", Usage: "memory: by the rules of upstream's llama.cpp instead of the pinned one"},
			&cli.BoolFlag{Name: "tensors", Usage: "list the tensors too"},
		},
		Action: inspect,
	}
}

// inspection is what inspect says, and its JSON.
type inspection struct {
	File        string             `json:"file"`
	Version     uint32             `json:"gguf_version"`
	Ollama      *ollamastore.Model `json:"ollama,omitempty"`
	Random      string             `json:"random_weights,omitempty"` // of what, where the file says that its weights are random
	Description gguf.Description   `json:"description"`
	Components  []gguf.Component   `json:"components"`
	KVPerToken  int64              `json:"kv_bytes_per_token"`
	Memory      gguf.Memory        `json:"memory"`
	Tensors     []gguf.Tensor      `json:"tensors,omitempty"`

	kvType string
}

func inspect(c *cli.Context) error {
	path, err := oneArg(c, "a GGUF file or ollama:NAME")
	if err != nil {
		return err
	}
	opt, err := memoryOptions(c)
	if err != nil {
		return usage(err)
	}
	in := inspection{File: path, kvType: opt.TypeK}
	if name, ok := strings.CutPrefix(path, "ollama:"); ok {
		store, err := ollamastore.Default()
		if err != nil {
			return usage(err)
		}
		m, err := store.Resolve(name)
		if err != nil {
			return usage(err)
		}
		in.File, in.Ollama = m.Path, &m
	}
	f, err := gguf.Open(in.File)
	if err != nil {
		return usage(err)
	}
	defer f.Close()
	in.Random = synth.Origin(f)
	d, err := gguf.Describe(f)
	if err != nil {
		return usage(err)
	}
	in.Version, in.Description, in.Components = f.Version, d, d.Components()
	if in.Memory, err = d.Memory(opt); err != nil {
		return usage(err)
	}
	if in.KVPerToken, err = d.KVBytesPerToken(opt.TypeK, opt.TypeV); err != nil {
		return usage(err)
	}
	if c.Bool("tensors") {
		in.Tensors = f.Tensors
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, in)
	}
	return in.print(tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0))
}

func memoryOptions(c *cli.Context) (gguf.MemoryOptions, error) {
	kv := c.String("kv-type")
	o := gguf.MemoryOptions{
		Context: c.Int64("context"), Batch: c.Int64("batch"), UBatch: c.Int64("ubatch"), TypeK: kv, TypeV: kv,
		NoMmap: c.Bool("no-mmap"), WindowCache: c.Bool("window-cache"), Upstream: c.Bool("upstream"),
	}
	switch flash := c.String("flash-attn"); flash {
	case "on":
	case "off":
		o.NoFlashAttention = true
	default:
		return o, fmt.Errorf("inspect: flash attention %q; want on or off", flash)
	}
	if c.Bool("no-repack") {
		o.Repack = []gguf.Type{}
	}
	return o, nil
}

func (in *inspection) print(w *tabwriter.Writer) error {
	d := &in.Description
	row := func(name, format string, args ...any) {
		for i, arg := range args {
			if s, ok := arg.(string); ok { // of the file: it must not end its line or column
				args[i] = text.Safe(s)
			}
		}
		fmt.Fprintf(w, "%s\t%s\n", text.Safe(name), fmt.Sprintf(format, args...))
	}
	if m := in.Ollama; m != nil {
		row("ollama", "%s in %s: %s, %s, %s by its config", m.Name, m.Store, orUnknown(m.Family), orUnknown(m.ParameterSize), orUnknown(m.Quantization))
		for _, l := range m.Layers {
			row("  "+l.Kind, "%d bytes\t%s", l.Size, l.Digest)
		}
		for _, n := range m.Notes {
			row("  note", "%s", n)
		}
	}
	row("file", "%s (GGUF v%d, %s)", in.File, in.Version, text.Size(d.FileBytes))
	row("architecture", "%s", d.Architecture)
	row("name", "%s", d.Name)
	if in.Random != "" {
		row("weights' values", "random: %s", in.Random)
	}
	row("layers", "%d", d.NLayer)
	row("width", "%d (feed-forward %d)", d.NEmbd, d.NFF)
	row("heads", "%d (%d key/value, size %d)", d.NHead, d.NHeadKV, d.HeadDim)
	if d.NWindowLayer > 0 {
		row("sliding window", "%d tokens in %d of the layers", d.Window, d.NWindowLayer)
	}
	row("vocabulary", "%d", d.NVocab)
	row("context", "%d tokens", d.NCtxTrain)
	if d.NExpert > 0 {
		row("experts", "%d of %d used", d.NExpertUsed, d.NExpert)
	}
	row("parameters", "%d (%.4g M)", d.ParamsTotal, float64(d.ParamsTotal)/1e6)
	row("  non-embedding", "%d", d.ParamsNonEmbedding)
	row("  active per token", "%d", d.ParamsActive)
	row("weights", "%d bytes (%s), mostly %s", d.WeightBytes, text.Size(d.WeightBytes), d.WeightType)
	for _, t := range slices.Sorted(maps.Keys(d.WeightTypes)) {
		row("  "+t, "%d bytes", d.WeightTypes[t])
	}
	row("read per decoded token", "%d bytes (%s)", d.BytesReadPerToken, text.Size(d.BytesReadPerToken))
	row("KV cache per token", "%d bytes in %s", in.KVPerToken, in.kvType)
	for _, n := range d.Notes {
		row("note", "%s", n)
	}
	if why := d.DecodeRefusal(); why != "" {
		row("cannot be measured", "%s", why)
	}
	if err := w.Flush(); err != nil {
		return err
	}

	fmt.Fprintln(w, "\ncomponent\tparameters\tactive\tbytes\tread per token")
	for _, p := range in.Components {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", p.Name, p.Params, p.ParamsActive, p.Bytes, p.BytesRead)
	}
	if err := w.Flush(); err != nil {
		return err
	}

	m := &in.Memory
	fmt.Fprintf(w, "\nmemory for %d tokens, %d computed at once\n", m.Context, m.UBatch)
	part := func(name string, bytes int64, what string) {
		fmt.Fprintf(w, "%s\t%d bytes\t%s\t%s\n", name, bytes, text.Size(bytes), what)
	}
	part("weights", m.Weights, "")
	if m.Repacked > 0 {
		part("repacked", m.Repacked, "copies of matrices in the CPU's own order")
	}
	kept := ""
	if m.KVWindow > 0 {
		kept = fmt.Sprintf("%d in layers with a sliding window, which keep %d tokens", m.KVWindow, m.WindowCells)
	}
	part("KV cache", m.KV, kept)
	if m.State > 0 {
		part("state", m.State, "of recurrent layers, for one sequence")
	}
	part("compute", m.Compute, "")
	part("output", m.Output, "")
	part("total", m.Total, "")
	if m.Resident != m.Total {
		part("resident", m.Resident, "without the mapped pages whose copies are used")
	}
	if len(in.Tensors) > 0 {
		fmt.Fprintln(w)
	}
	for _, t := range in.Tensors {
		row(t.Name, "%s %v\t%d bytes at %d", t.Type, t.Dims, t.Size, t.Offset)
	}
	return w.Flush()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
