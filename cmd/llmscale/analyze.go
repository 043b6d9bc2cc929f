package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/urfave/cli/v2"

	"llmscale/analysis"
	"llmscale/analysis/answer"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/figure/draw"
	"llmscale/analysis/report"
	"llmscale/analysis/runs"
	"llmscale/analysis/verify"
	"llmscale/internal/text"
)

func analysisFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "bootstrap", Value: cells.DefaultBootstrap, Usage: "`N` resamples for confidence intervals; 0 for none"},
		&cli.Uint64Flag{Name: "analysis-seed", Value: cells.DefaultSeed, Usage: "of the bootstrap, `N` from 1"},
		&cli.BoolFlag{Name: "include-warmup", Usage: "let warm-ups into summaries and fits"},
		&cli.BoolFlag{Name: "all-cells", Usage: "fit AMBIGUOUS and INVALID cells too"},
		&cli.StringFlag{Name: "slo", Value: cells.DefaultSLO.String(), Usage: "the answer names the largest model that decodes a token within `TIME`"},
		&cli.StringFlag{Name: "x-axis", Value: axisNames()[0], Usage: "`AXIS` that stands for size: " + strings.Join(axisNames(), ", ")},
	}
}

func axisNames() (names []string) {
	for _, a := range cells.Axes() {
		names = append(names, a.Name)
	}
	return names
}

// analysisOptions reads the flags of analysisFlags. What is wrong with one is told here, so that a sweep calls it
// before it measures.
func analysisOptions(c *cli.Context) (cells.Options, error) {
	opt := cells.Options{
		IncludeWarmup: c.Bool("include-warmup"), Bootstrap: c.Int("bootstrap"), Seed: c.Uint64("analysis-seed"), XAxis: c.String("x-axis"), AllCells: c.Bool("all-cells"),
	}
	var err error
	if opt.SLO, err = cells.ParseObjective(c.String("slo")); err != nil {
		return opt, usagef("--slo %w", err)
	}
	switch {
	case opt.SLO.First:
		return opt, usagef("--slo %s: want a time for each token here, as %s", opt.SLO, cells.DefaultSLO)
	case opt.Bootstrap < 0:
		return opt, usagef("--bootstrap %d: want a number of resamples, or 0 for none", opt.Bootstrap)
	case opt.Seed == 0: // the option's zero value is the default
		return opt, usagef("--analysis-seed 0: want 1 or more")
	case opt.XAxis == "":
		return opt, usagef("--x-axis is empty; there are %s", text.List(axisNames(), "and"))
	case opt.Bootstrap == 0: // so is this one's
		opt.Bootstrap = -1
	}
	return opt, usage(opt.Check())
}

func runDirFlag() cli.Flag {
	return &cli.StringFlag{Name: "run-dir", TakesFile: true, Usage: "the run's `DIR` (required)"}
}

func analyzeCommand() *cli.Command {
	return &cli.Command{
		Name:  "analyze",
		Usage: "compute summaries, fits and plots of a run; reads TR121's Python run folders too",
		Flags: append([]cli.Flag{runDirFlag()}, analysisFlags()...),
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			a, err := analyze(c, c.String("run-dir"))
			if err != nil {
				return err
			}
			if err := a.seal(); err != nil {
				return err
			}
			fmt.Fprintln(c.App.Writer, filepath.Join(a.dir, "analysis"))
			return a.result.Unmeasured()
		},
	}
}

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:  "report",
		Usage: "analyze a run and write report.md and report.html",
		Flags: append([]cli.Flag{runDirFlag(), figuresFlag()}, analysisFlags()...),
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			path, _, err := analyzeAndReport(c, c.String("run-dir"))
			if path != "" {
				fmt.Fprintln(c.App.Writer, path)
			}
			return err
		},
	}
}

// found is what analyze found and where it put it.
type found struct {
	dir     string // holds analysis/ and takes the report
	run     *runs.Run
	result  *analysis.Result
	answer  *answer.Answer
	figures []figure.Drawn
}

// softMemoryLimit is from where on garbage is collected more often. A million records
// take less, so that what is read does not grow to twice its size before it is.
const softMemoryLimit = 1600 << 20

// boundMemory leaves GOMEMLIMIT its say.
func boundMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softMemoryLimit)
	}
}

// analyze computes the run's result and writes its tables and plots.
func analyze(c *cli.Context, dir string) (found, error) {
	run, result, err := analyzed(c, dir)
	if err != nil {
		return found{}, err
	}
	a := found{dir: verify.Home(run), run: run, result: result, answer: answer.Of(result)}
	out := filepath.Join(a.dir, "analysis")
	if err := os.MkdirAll(out, 0o777); err != nil {
		return found{}, err
	}
	if err := cmp.Or(analysis.Write(out, a.result), a.answer.Write(out)); err != nil {
		return found{}, err
	}
	a.figures, err = draw.Write(filepath.Join(out, "plots"), a.result.Figures())
	return a, err
}

// Ways in which a page has its figures.
const (
	figuresLive  = "live"
	figuresDrawn = "drawn"
)

func figuresFlag() cli.Flag {
	return &cli.StringFlag{Name: "figures", Usage: "in the page `live`: to point at, switch and filter; or drawn: without the chart library", DefaultText: "live, where the library is in the program"}
}

// pageFigures are the figures as the page that --figures asks for takes them.
func pageFigures(c *cli.Context, figs []figure.Drawn) ([]figure.Drawn, error) {
	switch way := c.String("figures"); {
	case way == figuresLive && doc.Charts() == "":
		return nil, usagef("--figures live: this program has no chart library: build it with `make build`")
	case way == figuresLive || way == "":
		return figs, nil
	case way != figuresDrawn:
		return nil, usagef("--figures %q: want live or drawn", way)
	}
	return figure.OnPaper(figs), nil
}

// analyzeAndReport returns the HTML report's path, also beside the error that nothing in it is a figure.
func analyzeAndReport(c *cli.Context, dir string) (string, *answer.Answer, error) {
	if _, err := pageFigures(c, nil); err != nil {
		return "", nil, err // before minutes of computing
	}
	a, err := analyze(c, dir)
	if err != nil {
		return "", nil, err
	}
	figs, err := pageFigures(c, a.figures)
	if err != nil {
		return "", nil, err
	}
	paths, err := report.Write(a.dir, a.result, a.answer, figs)
	if err != nil {
		return "", nil, err
	}
	if err := a.seal(); err != nil {
		return "", nil, err
	}
	return paths.HTML, a.answer, a.result.Unmeasured()
}

// seal writes the sums of what the analysis read and wrote, its last file.
func (a found) seal() error { return verify.Seal(a.run, a.result.Options, programName()) }
