package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"llmscale/gguf/synth"
	"llmscale/internal/interrupt"
	"llmscale/internal/output"
	"llmscale/internal/text"
	"llmscale/runner/modelfile"
	"llmscale/runner/terminal"
)

// defaultType is the weight type of a model that is written, where no flag names one.
const defaultType = "f32"

func synthCommand() *cli.Command {
	return &cli.Command{
		Name:  "synth",
		Usage: "write a model with seeded random weights, for measuring speed",
		Description: "SOURCE is a GPT-2 shape (gpt2-5m), the shape of a published model (shape:llama3.1-8b), a rung of a ladder\n" +
			"(ladder:llama/1.2b), a whole ladder (ladder:llama; -o is then a folder), or like:FILE.gguf for the twin of a file:\n" +
			"its metadata, vocabulary, tensors and types with new weights.",
		ArgsUsage: "SOURCE",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "o", Aliases: []string{"output"}, TakesFile: true, Usage: "`FILE` to write", DefaultText: "named after shape, type and seed"},
			forceFlag(),
			&cli.StringFlag{Name: "type", Usage: "weight `TYPE`: " + strings.Join(synth.Types(), ", "), DefaultText: defaultType + "; a twin has its original's"},
			&cli.Uint64Flag{Name: "seed", Value: modelfile.WeightSeed, Usage: "of the weights"},
			&cli.Int64Flag{Name: "vocab", Usage: "vocabulary of `N` tokens", DefaultText: fmt.Sprintf("the shape's own; of a ladder %d", synth.LadderVocab)},
			&cli.Int64Flag{Name: "layers", Usage: "only `N` layers", DefaultText: "the shape's own"},
			&cli.BoolFlag{Name: "list", Usage: "list the shapes"},
			&cli.BoolFlag{Name: "dry-run", Usage: "say how large the file would be, write nothing"},
		},
		Action: func(c *cli.Context) error {
			if c.Bool("list") {
				if err := noArgs(c); err != nil {
					return err
				}
				return synth.List(c.App.Writer)
			}
			source, err := oneArg(c, "a shape (see --list) or like:FILE.gguf")
			if err != nil {
				return err
			}
			opt, err := synthOptions(c)
			if err != nil {
				return usage(err)
			}
			models, err := synthModels(c, source, &opt)
			if err != nil {
				return usage(err)
			}
			return writeSynth(c, models, opt, strings.HasPrefix(source, "ladder:") && len(models) > 1)
		},
	}
}

func synthOptions(c *cli.Context) (synth.Options, error) {
	opt := synth.Options{Seed: c.Uint64("seed")}
	var err error
	if c.IsSet("type") {
		opt.Type, err = synth.ParseType(c.String("type"))
	}
	return opt, err
}

// synthModels returns what source means: one model, or the rungs of a ladder.
func synthModels(c *cli.Context, source string, opt *synth.Options) ([]synth.Model, error) {
	if path, ok := strings.CutPrefix(source, "like:"); ok {
		for _, f := range []string{"type", "vocab", "layers"} {
			if c.IsSet(f) {
				return nil, fmt.Errorf("synth: a twin has what its original has: leave out --%s", f)
			}
		}
		twin, err := synth.OpenTwin(path)
		return []synth.Model{twin}, err
	}
	if opt.Type == "" {
		opt.Type = defaultType
	}
	var shapes []synth.Shape
	if family, ok := strings.CutPrefix(source, "ladder:"); ok && !strings.Contains(family, "/") {
		vocab := int64(synth.LadderVocab)
		if c.IsSet("vocab") {
			vocab = c.Int64("vocab")
		}
		rungs, err := synth.Rungs(family, vocab)
		if err != nil {
			return nil, err
		}
		if c.IsSet("layers") {
			return nil, fmt.Errorf("synth: the rungs of a ladder have the depth that its rule gives: leave out --layers")
		}
		shapes = rungs
	} else {
		s, err := synth.Lookup(source)
		if err != nil {
			return nil, err
		}
		if c.IsSet("vocab") {
			s = s.WithVocab(c.Int64("vocab"))
		}
		if c.IsSet("layers") {
			s = s.WithLayers(c.Int64("layers"))
		}
		shapes = []synth.Shape{s}
	}
	models := make([]synth.Model, len(shapes))
	for i, s := range shapes {
		models[i] = s
	}
	return models, nil
}

// writeSynth writes the models, or says how large they would be. The output is a folder for several; nothing is
// written unless all of them can be.
func writeSynth(c *cli.Context, models []synth.Model, opt synth.Options, folder bool) error {
	paths := make([]string, len(models))
	total := int64(0)
	for i, m := range models {
		paths[i] = c.String("o")
		if paths[i] == "" || folder {
			paths[i] = filepath.Join(paths[i], modelfile.SynthFileName(m, opt))
		}
		d, err := synth.Describe(m, opt)
		if err != nil {
			return usage(err)
		}
		total += d.FileBytes
		if c.Bool("dry-run") {
			fmt.Fprintf(c.App.Writer, "%s\t%d parameters\t%d bytes (%s)\n", paths[i], d.ParamsTotal, d.FileBytes, text.Size(d.FileBytes))
		}
	}
	if c.Bool("dry-run") {
		if len(models) > 1 {
			fmt.Fprintf(c.App.Writer, "%d files\t%d bytes (%s)\n", len(models), total, text.Size(total))
		}
		return nil
	}
	// What is in the way of one of them is told before the disk is: room would not help.
	for i, m := range models {
		if err := cmp.Or(synth.CheckTarget(paths[i], m), output.Check(paths[i], 0, c.Bool("force"))); err != nil {
			return usage(err)
		}
	}
	if err := output.Check(paths[0], total, c.Bool("force")); err != nil {
		return usage(err)
	}
	p := terminal.New(c.App.ErrWriter)
	defer p.Close()
	ctx, release := interrupt.Signals(c.Context)
	defer release()
	for i, m := range models {
		path := paths[i]
		opt.Progress = func(done, total int64) { p.File("writing "+path, done, total) }
		if err := writing(ctx, filepath.Dir(path), "interrupted: "+path+" was not written", func() error { return synth.Write(path, m, opt) }); err != nil {
			return err
		}
		p.Clear()
		fmt.Fprintln(c.App.Writer, path)
	}
	return nil
}
