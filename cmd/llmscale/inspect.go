package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"llmscale/gguf"
	"llmscale/gguf/inspect"
	"llmscale/gguf/ledger"
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
		Action: inspectAction,
	}
}

func inspectAction(c *cli.Context) error {
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
	var all []*inspect.Model
	var errs []error
	seen := map[string]bool{}
	for _, arg := range args {
		in, err := inspect.Open(arg, opt, c.Bool("tensors"))
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
		err = all[0].Print(w)
	default:
		err = inspect.PrintAll(w, all)
	}
	if err != nil {
		return err
	}
	return usage(errors.Join(errs...))
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
