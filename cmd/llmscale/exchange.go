package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"llmscale/analysis/exchange"
	"llmscale/internal/durable"
	"llmscale/internal/text"
)

func exportCommand() *cli.Command {
	return &cli.Command{
		Name:  "export",
		Usage: "write a run's records for benchstat, for what reads llama-bench, or as Parquet",
		Description: "gobench: a line for each call that counts, which benchstat reads; llama-bench: its JSON Lines, prefill and decode of one sequence;\n" +
			"parquet: all fields of all records, typed, for pandas, DuckDB and others.",
		Flags: []cli.Flag{
			runDirFlag(),
			&cli.StringFlag{Name: "format", Usage: "`FORMAT`: " + text.List(exchange.Formats, "or") + " (required)"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, TakesFile: true, Usage: "`FILE` to write, - for stdout (required)"},
		},
		Action: func(c *cli.Context) error {
			dir, err := runDir(c)
			if err != nil {
				return err
			}
			format, file := c.String("format"), c.String("output")
			switch near := text.Nearest(format, exchange.Formats); {
			case format == "":
				return usagef("export needs --format: %s", text.List(exchange.Formats, "or"))
			case !slices.Contains(exchange.Formats, format) && near != "":
				return usagef("no format %q; did you mean %s? There are %s", format, near, text.List(exchange.Formats, "and"))
			case !slices.Contains(exchange.Formats, format):
				return usagef("no format %q; there are %s", format, text.List(exchange.Formats, "and"))
			case file == "":
				return usagef("export needs -o FILE, or -o - for stdout")
			}
			boundMemory()
			left, err := exportTo(c, file, dir, format)
			if err != nil {
				return err
			}
			for _, l := range left {
				fmt.Fprintf(c.App.ErrWriter, "left out: %s\n", l)
			}
			return nil
		},
	}
}

// exportTo writes to a file, which appears whole or not at all, or to stdout.
func exportTo(c *cli.Context, file, dir, format string) (left []string, err error) {
	if file == "-" {
		w := c.App.Writer
		if u, ok := w.(interface{ Unwrap() io.Writer }); ok && format == exchange.Parquet {
			w = u.Unwrap() // bytes, not text
		}
		buffered := bufio.NewWriter(w)
		if left, err = exchange.Export(buffered, dir, format); err != nil {
			return nil, usage(err)
		}
		return left, buffered.Flush()
	}
	if _, err := os.Stat(dir); err != nil { // before anything is said of the output
		return nil, usagef("no run folder: %w", err)
	}
	out, err := durable.Quick.Create(file)
	if err != nil {
		return nil, usagef("cannot write %s: %w", file, err)
	}
	buffered := bufio.NewWriterSize(out, 1<<20)
	if left, err = exchange.Export(buffered, dir, format); err != nil {
		_ = out.Discard() // the first error is what counts
		return nil, usage(err)
	}
	if err = buffered.Flush(); err != nil {
		_ = out.Discard()
		return nil, fmt.Errorf("writing %s: %w", file, err)
	}
	_, err = out.Commit()
	return left, err
}

func importCommand() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "make a run folder of what llama-bench measured, which analyze, report, compare and verify read",
		ArgsUsage: "FILE.jsonl",
		Description: "FILE.jsonl is what `llama-bench -o jsonl` printed. Each repetition becomes a record; what llama-bench does not tell is null. A test that\n" +
			"comes again is of another process: its next replicate. A line that is not llama-bench's is an error, and nothing is written.",
		Flags: []cli.Flag{&cli.StringFlag{Name: "output", Aliases: []string{"o"}, TakesFile: true, Usage: "the run's folder `DIR`, a new one (required)"}},
		Action: func(c *cli.Context) error {
			file, err := oneArg(c, "llama-bench's JSON Lines")
			if err != nil {
				return err
			}
			dir := c.String("output")
			if dir == "" {
				return usagef("import needs -o DIR, the folder of the run that it makes")
			}
			n, err := exchange.Import(file, dir)
			if err != nil {
				return usage(err)
			}
			fmt.Fprintf(c.App.Writer, "%s\n%s\n", text.Counted(n, "record", "records"), filepath.Clean(dir))
			return nil
		},
	}
}
