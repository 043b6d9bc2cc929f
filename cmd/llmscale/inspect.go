package main

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"llmscale/gguf"
	"llmscale/gguf/ledger"
	"llmscale/gguf/ollamastore"
	"llmscale/gguf/synth"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:  "inspect",
		Usage: "say what GGUF files hold: parameters and bytes by component, bytes per token, memory",
		Description: "FILE is a GGUF file, any part of a model in several, or ollama:NAME[:TAG] for the file that Ollama serves\n" +
			"under that name. Several are compared in a table, a line each; with --json they are an array. The memory is\n" +
			"what a load on the CPU takes by llama.cpp's own count; docs/ledger.md says how it is computed.",
		ArgsUsage: "FILE|ollama:NAME...",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			&cli.Int64Flag{Name: "context", Usage: "memory: `TOKENS` of context", DefaultText: "what the model was made for"},
			&cli.Int64Flag{Name: "batch", Value: ledger.DefaultBatch, Usage: "memory: `TOKENS` handed over at once"},
			&cli.Int64Flag{Name: "ubatch", Value: ledger.DefaultUBatch, Usage: "memory: `TOKENS` computed at once"},
			&cli.StringFlag{Name: "kv-type", Value: "f16", Usage: "memory: `TYPE` of the KV cache"},
			&cli.StringFlag{Name: "flash-attn", Value: "on", Usage: "memory: flash attention, `on or off`"},
			&cli.BoolFlag{Name: "window-cache", Usage: "memory: layers with a sliding window keep that window alone"},
			&cli.BoolFlag{Name: "no-mmap", Usage: "memory: weights are read, not mapped"},
			&cli.BoolFlag{Name: "no-repack", Usage: "memory: no matrices in the CPU's own order, which it has otherwise as this machine's CPU does"},
			&cli.StringFlag{Name: "llama", Usage: "memory: by the rules of llama.cpp's `newest or ollama`, the older one that Ollama serves", DefaultText: "of the one in this program"},
			&cli.BoolFlag{Name: "tensors", Usage: "list the tensors too; of several models with --json alone"},
		},
		Action: inspect,
	}
}

// inspection is what inspect says of a model, and its JSON.
type inspection struct {
	File          string             `json:"file"`  // the first, where the model lies in several
	Parts         []inspectedPart    `json:"parts"` // all files, in order
	Version       uint32             `json:"gguf_version"`
	Ollama        *ollamastore.Model `json:"ollama,omitempty"`
	Random        string             `json:"random_weights,omitempty"` // of what, where the file says that its weights are random
	Refusal       string             `json:"refusal,omitempty"`        // why it cannot be measured
	Description   ledger.Description `json:"description"`
	BitsPerWeight float64            `json:"bits_per_weight"` // of the file's bytes, over all parameters
	Label         *ledger.Label      `json:"label"`           // null: nothing calls the file by a quantization
	Components    []ledger.Component `json:"components"`
	KVPerToken    int64              `json:"kv_bytes_per_token"`
	Memory        ledger.Memory      `json:"memory"`
	Tensors       []gguf.Tensor      `json:"tensors,omitempty"`

	kvType string
}

// inspectedPart is one file of a model.
type inspectedPart struct {
	File    string `json:"file"`
	Bytes   int64  `json:"file_bytes"`
	Tensors int    `json:"n_tensor"`
}

func inspect(c *cli.Context) error {
	args := c.Args().Slice()
	switch {
	case len(args) == 0:
		return usagef("inspect takes GGUF files or ollama:NAME. See `llmscale inspect --help`")
	case len(args) > 1 && c.Bool("tensors") && !c.Bool("json"):
		return usagef("inspect: --tensors prints the list of one model: name one, or add --json")
	}
	opt, err := memoryOptions(c)
	if err != nil {
		return usage(err)
	}
	var all []*inspection
	var errs []error
	seen := map[string]bool{}
	for _, arg := range args {
		in, err := inspectOne(arg, opt, c.Bool("tensors"))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		// The shell makes of model-* all parts of one model.
		if len(in.Parts) == 1 || !seen[in.File] {
			all = append(all, in)
		}
		seen[in.File] = true
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	switch {
	case all == nil:
	case c.Bool("json") && len(args) == 1:
		err = printJSON(c.App.Writer, all[0])
	case c.Bool("json"):
		err = printJSON(c.App.Writer, all)
	case len(all) == 1:
		err = all[0].print(w)
	default:
		err = printInspections(w, all)
	}
	if err != nil {
		return err
	}
	return usage(errors.Join(errs...))
}

func inspectOne(arg string, opt ledger.MemoryOptions, tensors bool) (*inspection, error) {
	in := &inspection{kvType: opt.TypeK}
	path := arg
	if name, ok := strings.CutPrefix(arg, "ollama:"); ok {
		store, err := ollamastore.Default()
		if err != nil {
			return nil, err
		}
		m, err := store.Resolve(name)
		if err != nil {
			return nil, err
		}
		path, in.Ollama = m.Path, &m
	}
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in.File, in.Version, in.Random = f.Path, f.Version, synth.Origin(f)
	for _, p := range f.Parts() {
		in.Parts = append(in.Parts, inspectedPart{File: p.Path, Bytes: p.Size})
	}
	for i := range f.Tensors {
		in.Parts[f.Tensors[i].Part].Tensors++
	}
	if in.Label, err = ledger.LabelOf(f); err != nil {
		return nil, err
	}
	d, err := ledger.Describe(f)
	if err != nil {
		return nil, err
	}
	in.Description, in.Components, in.Refusal = d, d.Components(), d.DecodeRefusal()
	in.BitsPerWeight = d.BitsPerWeight()
	if in.Memory, err = d.Memory(opt); err != nil {
		return nil, fmt.Errorf("%s: %w", in.File, err)
	}
	if in.KVPerToken, err = d.KVBytesPerToken(opt.TypeK, opt.TypeV, opt.Rules); err != nil {
		return nil, fmt.Errorf("%s: %w", in.File, err)
	}
	if tensors {
		in.Tensors = f.Tensors
	}
	return in, nil
}

func memoryOptions(c *cli.Context) (ledger.MemoryOptions, error) {
	kv := c.String("kv-type")
	o := ledger.MemoryOptions{
		Context: c.Int64("context"), Batch: c.Int64("batch"), UBatch: c.Int64("ubatch"), TypeK: kv, TypeV: kv,
		NoMmap: c.Bool("no-mmap"), WindowCache: c.Bool("window-cache"), Rules: linkedRules(),
	}
	switch flash := c.String("flash-attn"); flash {
	case "on":
	case "off":
		o.NoFlashAttention = true
	default:
		return o, fmt.Errorf("inspect: flash attention %q; want on or off", flash)
	}
	switch llama := c.String("llama"); llama {
	case "":
	case "newest":
		o.Rules = ledger.Newest
	case "ollama":
		o.Rules = ledger.Ollama
	default:
		return o, fmt.Errorf("inspect: llama.cpp %q; want newest or ollama", llama)
	}
	if c.Bool("no-repack") {
		o.Repack = []gguf.Type{}
	}
	return o, nil
}
