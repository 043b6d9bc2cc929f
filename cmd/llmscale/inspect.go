package main

import (
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"llmscale/gguf"
	"llmscale/runner"
)

func inspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "say what a GGUF file holds: parameters, bytes per token, memory",
		ArgsUsage: "FILE",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			&cli.Int64Flag{Name: "context", Usage: "`TOKENS` of context for the memory estimate (default: what the model was made for)"},
			&cli.StringFlag{Name: "kv-type", Value: "f16", Usage: "`TYPE` of the KV cache"},
			&cli.BoolFlag{Name: "tensors", Usage: "list the tensors too"},
		},
		Action: inspect,
	}
}

func inspect(c *cli.Context) error {
	path, err := oneArg(c, "a GGUF file")
	if err != nil {
		return err
	}
	f, err := gguf.Open(path)
	if err != nil {
		return usage(err)
	}
	defer f.Close()
	d, err := gguf.Describe(f)
	if err != nil {
		return usage(err)
	}
	kv := c.String("kv-type")
	mem, err := d.Memory(gguf.MemoryOptions{Context: c.Int64("context"), TypeK: kv, TypeV: kv})
	if err != nil {
		return usage(err)
	}
	perToken, err := d.KVBytesPerToken(kv, kv)
	if err != nil {
		return usage(err)
	}
	if c.Bool("json") {
		out := struct {
			File        string           `json:"file"`
			Version     uint32           `json:"gguf_version"`
			Description gguf.Description `json:"description"`
			KVPerToken  int64            `json:"kv_bytes_per_token"`
			Memory      gguf.Memory      `json:"memory"`
			Tensors     []gguf.Tensor    `json:"tensors,omitempty"`
		}{path, f.Version, d, perToken, mem, nil}
		if c.Bool("tensors") {
			out.Tensors = f.Tensors
		}
		return printJSON(c.App.Writer, out)
	}
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("file", "%s (GGUF v%d, %s)", path, f.Version, runner.GiB(d.FileBytes))
	row("architecture", "%s", d.Architecture)
	row("name", "%s", d.Name)
	row("layers", "%d", d.NLayer)
	row("width", "%d (feed-forward %d)", d.NEmbd, d.NFF)
	row("heads", "%d (%d key/value, size %d)", d.NHead, d.NHeadKV, d.HeadDim)
	row("vocabulary", "%d", d.NVocab)
	row("context", "%d tokens", d.NCtxTrain)
	if d.NExpert > 0 {
		row("experts", "%d of %d used", d.NExpertUsed, d.NExpert)
	}
	row("parameters", "%d (%.4g M)", d.ParamsTotal, float64(d.ParamsTotal)/1e6)
	row("  non-embedding", "%d", d.ParamsNonEmbedding)
	row("  active per token", "%d", d.ParamsActive)
	row("weights", "%d bytes (%s), mostly %s", d.WeightBytes, runner.GiB(d.WeightBytes), d.WeightType)
	for _, t := range slices.Sorted(maps.Keys(d.WeightTypes)) {
		row("  "+t, "%d bytes", d.WeightTypes[t])
	}
	row("read per decoded token", "%d bytes (%s)", d.BytesReadPerToken, runner.GiB(d.BytesReadPerToken))
	row("KV cache per token", "%d bytes in %s", perToken, kv)
	row(fmt.Sprintf("memory for %d tokens", mem.Context), "%s: weights %s, KV cache %s, compute about %s, output %s", runner.GiB(mem.Total),
		runner.GiB(mem.Weights), runner.GiB(mem.KV), runner.GiB(mem.Compute), runner.GiB(mem.Output))
	for _, n := range d.Notes {
		row("note", "%s", n)
	}
	if c.Bool("tensors") {
		fmt.Fprintln(w)
		for _, t := range f.Tensors {
			row(t.Name, "%s %v\t%d bytes at %d", t.Type, t.Dims, t.Size, t.Offset)
		}
	}
	return w.Flush()
}
