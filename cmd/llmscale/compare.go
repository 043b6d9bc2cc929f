package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"llmscale/analysis/cells"
	"llmscale/analysis/compare"
	"llmscale/analysis/figure"
	"llmscale/analysis/figure/draw"
	"llmscale/analysis/runs"
	"llmscale/internal/durable"
	"llmscale/internal/text"
)

func compareCommand() *cli.Command {
	return &cli.Command{
		Name:      "compare",
		Usage:     "say whether one backend is faster than another, over all sizes",
		ArgsUsage: "RUN | BASE_RUN[,RUN...] OTHER_RUN[,RUN...]",
		Description: "Of one run, two backends that it measured in turns: the way to compare builds, flags and settings.\n" +
			"Of two, a backend of each; several runs of a side are separated by commas, and without several\n" +
			"a small effect is AMBIGUOUS. docs/compare.md says how to read a verdict.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "backends", Usage: "`BASE,OTHER`; of two runs also one name for both; not needed where there is no choice"},
			&cli.StringFlag{Name: "threshold", Value: strconv.FormatFloat(100*compare.DefaultThreshold, 'g', -1, 64), Usage: "smallest effect that matters, in `PERCENT`"},
			&cli.BoolFlag{Name: "cells", Usage: "list each cell"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON"},
			&cli.StringFlag{Name: "html", TakesFile: true, Usage: "write a page into `FILE`"},
			figuresFlag(),
			&cli.StringFlag{Name: "plot", Usage: "draw the effect over size into `DIR`: compare.png and compare.svg"},
		},
		Action: func(c *cli.Context) error {
			if _, err := pageFigures(c, nil); err != nil {
				return err
			}
			if err := checkPage(c); err != nil {
				return err
			}
			found, err := compareRuns(c)
			if err != nil {
				return usage(err)
			}
			if file := c.String("html"); file != "" {
				if err := comparisonPage(c, file, found); err != nil {
					return err
				}
			}
			if dir := c.String("plot"); dir != "" {
				if err := plotComparison(dir, found); err != nil {
					return err
				}
			}
			if !c.Bool("json") {
				return found.Print(c.App.Writer, c.Bool("cells"))
			}
			data, err := json.MarshalIndent(found, "", "  ")
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.App.Writer, "%s\n", text.JSON(data))
			return err
		},
	}
}

// checkPage refuses a page's file that cannot be written, before anything is computed.
func checkPage(c *cli.Context) error {
	if !c.IsSet("html") {
		return nil
	}
	file := c.String("html")
	if file == "" {
		return usagef("--html is empty: name a file, or leave the flag out")
	}
	if st, err := os.Stat(file); err == nil && st.IsDir() {
		return usagef("--html %s is a folder: name a file in it", text.Arg(file))
	}
	if _, err := os.Stat(filepath.Dir(file)); err != nil {
		return usagef("--html %s: there is no folder %s", text.Arg(file), text.Arg(filepath.Dir(file)))
	}
	return nil
}

// comparisonPage writes the page, whose figure is inside.
func comparisonPage(c *cli.Context, file string, found *compare.Comparison) error {
	var figs []figure.Drawn
	if f, ok := found.Figure(); ok {
		dir, err := os.MkdirTemp("", "llmscale-compare-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if figs, err = draw.Write(dir, []figure.Figure{f}); err != nil {
			return err
		}
		if figs, err = pageFigures(c, figs); err != nil {
			return err
		}
		figs[0].PNGPath = "" // which goes with dir
	}
	page, err := found.Page(figs).HTML(filepath.Dir(file))
	if err != nil {
		return err
	}
	return durable.Quick.WriteFile(file, page)
}

func plotComparison(dir string, found *compare.Comparison) error {
	f, ok := found.Figure()
	if !ok {
		return fmt.Errorf("no plot: the size of no model is known")
	}
	_, err := draw.Write(dir, []figure.Figure{f})
	return err
}

// compareRuns reads the runs that the arguments name. Its errors are the input's fault.
func compareRuns(c *cli.Context) (*compare.Comparison, error) {
	percent, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(c.String("threshold"), "%")), 64)
	if err != nil {
		return nil, fmt.Errorf("--threshold %q: want a number of percent, as 1", c.String("threshold"))
	}
	opt := compare.Options{Threshold: percent / 100}
	if err := opt.Check(); err != nil {
		return nil, err
	}
	var names []string
	if c.IsSet("backends") {
		names = strings.Split(c.String("backends"), ",")
	}
	if len(names) > 2 || slices.Contains(names, "") {
		return nil, fmt.Errorf("--backends %q: want two names with a comma between", c.String("backends"))
	}
	boundMemory()
	switch c.NArg() {
	case 1:
		set, err := load(c.Args().First())
		if err != nil {
			return nil, err
		}
		if names == nil {
			names = set.Backends()
		}
		if len(names) != 2 {
			return nil, fmt.Errorf("one run: name two of its backends, --backends BASE,OTHER; %s has %s", text.Arg(set.Run.Dir), text.List(set.Backends(), "and"))
		}
		return compare.InRun(set, names[0], names[1], opt)
	case 2:
		base, err := side(c.Args().Get(0), names, 0)
		if err != nil {
			return nil, err
		}
		other, err := side(c.Args().Get(1), names, 1)
		if err != nil {
			return nil, err
		}
		return compare.Runs(base, other, opt)
	}
	return nil, fmt.Errorf("compare takes one run and --backends, or two runs (of a side with several: RUN_1,RUN_2), not %s. See `llmscale compare --help`", text.Counted(c.NArg(), "argument", "arguments"))
}

// side reads the runs of one side, separated by commas, and finds its backend: the one
// that is named, else the only one that the runs have.
func side(arg string, names []string, at int) (s compare.Side, err error) {
	dirs := []string{arg}
	if _, err := os.Stat(arg); err != nil { // a folder's name may hold a comma
		dirs = strings.Split(arg, ",")
	}
	for _, dir := range dirs {
		set, err := load(dir)
		if err != nil {
			return s, err
		}
		s.Runs = append(s.Runs, set)
	}
	have := s.Runs[0].Backends()
	switch {
	case len(names) > 0:
		s.Backend = names[min(at, len(names)-1)]
	case len(have) == 1:
		s.Backend = have[0]
	default:
		return s, fmt.Errorf("%s has the backends %s: say which by --backends NAME, or --backends BASE,OTHER", text.Arg(dirs[0]), text.List(have, "and"))
	}
	return s, nil
}

func load(dir string) (*cells.Set, error) {
	if dir == "" {
		return nil, fmt.Errorf("a run's folder has no name; RUN_1,RUN_2 has one comma between two")
	}
	run, err := runs.Load(filepath.Clean(dir))
	if err != nil {
		return nil, err
	}
	if err := run.Nothing(); err != nil {
		return nil, err
	}
	return cells.New(run, cells.Options{})
}
