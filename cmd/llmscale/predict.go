package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"llmscale/analysis/cells"
	"llmscale/analysis/predict"
	"llmscale/analysis/q/intervals"
	"llmscale/gguf/inspect"
	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
	"llmscale/internal/text"
)

func predictCommand() *cli.Command {
	return &cli.Command{
		Name:  "predict",
		Usage: "say what a model that was not measured would take on a run's machine, with intervals",
		Description: "SOURCE is a shape (shape:llama3.1-8b, ladder:llama/1.2b, synth:gpt2-xl), a GGUF file, ollama:NAME, or a model of the run.\n" +
			"--params stands for a shape with the ladder's proportions. Beyond five times the largest measured model nothing is told.\n" +
			"docs/predict.md says what the figures stand on.",
		ArgsUsage: "SOURCE",
		Flags: []cli.Flag{
			runDirFlag(),
			&cli.StringFlag{Name: "params", Usage: "instead of SOURCE: `N` parameters, for example 8B or 500M"},
			&cli.StringFlag{Name: "type", Usage: "weight `TYPE` of a shape", DefaultText: "the run's, where that is one"},
			&cli.IntFlag{Name: "prompt", Usage: "`TOKENS` of the prompt", DefaultText: "of the run's longest"},
			&cli.IntFlag{Name: "gen", Usage: "`TOKENS` of the answer", DefaultText: "of the same scenario"},
			&cli.IntFlag{Name: "batch", Value: 1, Usage: "`N` sequences decoded together"},
			&cli.StringFlag{Name: "backend", Usage: "by the models that `NAME` measured", DefaultText: "the only one of the weight type"},
			&cli.StringFlag{Name: "without", Usage: "leave `MODELS` of the run out of all laws, a comma between two: what it measured of them stands beside their prediction"},
			&cli.StringFlag{Name: "slo", Usage: "the largest model that keeps `TIME`: 50ms/token, or 2s/first for the first token"},
			&cli.Float64Flag{Name: "price-per-hour", Usage: "of the machine, `PRICE` in any currency: what tokens cost then", DefaultText: "price_per_hour of the run's config"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
		},
		Action: predictAction,
	}
}

func predictAction(c *cli.Context) error {
	found, err := predicted(c)
	if err != nil {
		return usage(err)
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, found)
	}
	switch found := found.(type) {
	case *predict.Served:
		return found.Print(c.App.Writer)
	case *predict.Answer:
		return found.Print(c.App.Writer)
	}
	return nil
}

// predicted is a *predict.Answer, with --slo a *predict.Served. Its errors are the
// input's fault.
func predicted(c *cli.Context) (any, error) {
	switch {
	case c.String("run-dir") == "":
		return nil, fmt.Errorf("predict needs --run-dir DIR, the folder of the run that measured this machine")
	case c.Int("prompt") < 0 || c.Int("gen") < 0 || c.Int("batch") < 1:
		return nil, fmt.Errorf("--prompt, --gen and --batch: want numbers above 0")
	case c.IsSet("price-per-hour") && !(c.Float64("price-per-hour") > 0):
		return nil, fmt.Errorf("--price-per-hour %v: want a price above 0", c.Float64("price-per-hour"))
	}
	set := 0
	for _, given := range []bool{c.NArg() > 0, c.IsSet("params"), c.IsSet("slo")} {
		if given {
			set++
		}
	}
	if set != 1 || c.NArg() > 1 {
		return nil, fmt.Errorf("predict takes one of SOURCE, --params N and --slo TIME. See `llmscale predict --help`")
	}
	boundMemory()
	run, err := load(c.String("run-dir"))
	if err != nil {
		return nil, err
	}
	asked := predict.Asked{Prompt: c.Int("prompt"), Gen: c.Int("gen"), Batch: c.Int("batch"), Backend: c.String("backend"), PricePerHour: c.Float64("price-per-hour")}
	if !c.IsSet("price-per-hour") {
		run.Run.Manifest.Decode(&asked.PricePerHour, "resolved", "config", "price_per_hour")
	}
	if c.IsSet("without") {
		asked.Without = strings.Split(c.String("without"), ",")
	}
	typ, err := typeOf(c, run)
	if err != nil {
		return nil, err
	}
	sized := func(params int64) (*predict.Target, error) { return predict.Ladder(params, typ) }
	if c.IsSet("slo") {
		o, err := cells.ParseObjective(c.String("slo"))
		if err != nil {
			return nil, fmt.Errorf("--slo %w", err)
		}
		like, err := sized(1e9)
		if err != nil {
			return nil, err
		}
		p, err := predict.New(run, intervals.Ask(run), describeSource, like, asked)
		if err != nil {
			return nil, err
		}
		return p.Serve(o, sized)
	}
	var target *predict.Target
	if c.IsSet("params") {
		n, err := text.ParseCount(c.String("params"))
		if err != nil {
			return nil, fmt.Errorf("--params: %w", err)
		}
		target, err = sized(n)
		if err != nil {
			return nil, err
		}
	} else if target, err = targetOf(c.Args().First(), typ, run); err != nil {
		return nil, err
	}
	p, err := predict.New(run, intervals.Ask(run), describeSource, target, asked)
	if err != nil {
		return nil, err
	}
	return p.Of(target)
}

// typeOf is the weight type that is asked for, else the only one of the run or of the
// backend; "" where there are several.
func typeOf(c *cli.Context, run *cells.Set) (string, error) {
	if b := c.String("backend"); b != "" && !slices.Contains(run.Backends(), b) {
		return "", fmt.Errorf("the run has no backend %q; it has %s", b, text.List(run.Backends(), "and"))
	}
	if c.IsSet("type") {
		return synth.ParseType(c.String("type"))
	}
	var types []string
	for _, m := range run.Models {
		if b := c.String("backend"); m.WeightType != "" && (b == "" || b == m.Backend) && !slices.Contains(types, m.WeightType) {
			types = append(types, m.WeightType)
		}
	}
	if len(types) != 1 {
		return "", nil
	}
	return synth.ParseType(types[0])
}

// targetOf is a model by its source, or by its name in the run.
func targetOf(source, typ string, run *cells.Set) (*predict.Target, error) {
	if i := slices.IndexFunc(run.Models, func(m cells.Model) bool { return m.Name == source && m.Source != "" }); i >= 0 {
		if typ == "" {
			typ = run.Models[i].WeightType
		}
		t, err := targetOf(run.Models[i].Source, typ, &cells.Set{})
		if err != nil {
			return nil, err
		}
		t.Name = source
		return t, nil
	}
	kind, _, named := strings.Cut(source, ":")
	if named && slices.Contains([]string{"shape", "ladder", "synth"}, kind) {
		return predict.Shape(source, typ)
	}
	m, err := inspect.Open(source, ledger.MemoryOptions{TypeK: "f16", TypeV: "f16"}, false)
	if err != nil {
		return nil, err
	}
	if m.Refusal != "" {
		return nil, fmt.Errorf("%s: %s", source, m.Refusal)
	}
	return &predict.Target{Name: source, Desc: m.Description}, nil
}

// describeSource is predict.Describe.
func describeSource(source, typ string) (ledger.Description, bool) {
	t, err := targetOf(source, typ, &cells.Set{})
	if err != nil {
		return ledger.Description{}, false
	}
	return t.Desc, true
}
