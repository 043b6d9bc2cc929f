package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"llmscale/gguf"
	"llmscale/gguf/synth"
	"llmscale/runner"
)

func synthCommand() *cli.Command {
	return &cli.Command{
		Name:      "synth",
		Usage:     "write a model with seeded random weights, for measuring speed",
		ArgsUsage: "PRESET",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "o", Aliases: []string{"output"}, Usage: "`FILE` to write (default: PRESET-TYPE-seedN.gguf)"},
			&cli.StringFlag{Name: "type", Value: "f32", Usage: "weight `TYPE`: f32, f16 or q8_0"},
			&cli.Uint64Flag{Name: "seed", Value: runner.WeightSeed, Usage: "of the weights"},
			&cli.BoolFlag{Name: "list", Usage: "list the presets"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say how large the file would be, write nothing"},
		},
		Action: func(c *cli.Context) error {
			if c.Bool("list") {
				return listPresets(c)
			}
			name, err := oneArg(c, "a preset (see --list)")
			if err != nil {
				return err
			}
			preset, err := synth.Lookup(strings.TrimPrefix(name, "synth:"))
			if err != nil {
				return usage(err)
			}
			opt := synth.Options{Type: c.String("type"), Seed: c.Uint64("seed")}
			size := synth.Size(preset, opt.Type)
			if size == 0 {
				return usagef("synth: cannot write weights as %q; want f32, f16 or q8_0", opt.Type)
			}
			path := c.String("o")
			if path == "" {
				path = runner.SynthFileName(preset.Name, opt)
			}
			if c.Bool("dry-run") {
				fmt.Fprintf(c.App.Writer, "%s\t%d bytes (%s)\n", path, size, runner.GiB(size))
				return nil
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				return usage(err)
			}
			p := newProgress(c.App.ErrWriter)
			defer p.Close()
			opt.Progress = func(done, total int64) { p.File("writing "+path, done, total) }
			if err := synth.Write(path, preset, opt); err != nil {
				return err
			}
			p.Close()
			fmt.Fprintln(c.App.Writer, path)
			return nil
		},
	}
}

func listPresets(c *cli.Context) error {
	w := tabwriter.NewWriter(c.App.Writer, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "preset\tparameters\tlayers\twidth\theads\tcontext\tf32 file\tf16 file\t")
	for _, p := range synth.Presets() {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t\n", p.Name, p.Params(), p.NLayer, p.NEmbd, p.NHead, p.NCtx,
			runner.GiB(synth.Size(p, "f32")), runner.GiB(synth.Size(p, "f16")))
	}
	return w.Flush()
}

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
	for _, t := range sortedKeys(d.WeightTypes) {
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

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
