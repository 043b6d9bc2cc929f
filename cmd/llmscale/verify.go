package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"llmscale/analysis/verify"
	"llmscale/internal/text"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "compute a run's report and tables anew and compare: does every figure follow from the records",
		Description: "Checks also the records against each other, files against the sums that were written of them, the config's hash and those of the models'\n" +
			"files that are still there. Reads records packed by gzip too. The options of the analysis are found in the folder, unless flags are given.\n" +
			"Exit code 1 where something does not match; each place is named.",
		Flags: append([]cli.Flag{
			runDirFlag(),
			&cli.IntFlag{Name: "places", Value: 10, Usage: "name at most `N` places of a file, 0 for all"},
			&cli.BoolFlag{Name: "json", Usage: "as JSON, with all places"},
		}, analysisFlags()...),
		Action: func(c *cli.Context) error {
			dir, err := runDir(c)
			if err != nil {
				return err
			}
			if c.Int("places") < 0 {
				return usagef("--places %d: want a number of places, or 0 for all", c.Int("places"))
			}
			var opt verify.Options
			if slices.ContainsFunc(analysisFlags(), func(f cli.Flag) bool { return c.IsSet(f.Names()[0]) }) {
				asked, err := analysisOptions(c)
				if err != nil {
					return err
				}
				opt.Analysis = &asked
			}
			boundMemory()
			v, err := verify.Folder(dir, opt)
			if err != nil {
				return usage(err)
			}
			if c.Bool("json") {
				data, err := json.MarshalIndent(v, "", "  ")
				if err != nil {
					return err
				}
				fmt.Fprintf(c.App.Writer, "%s\n", text.JSON(data))
			} else {
				printVerdict(c.App.Writer, v, c.Int("places"))
			}
			if n := len(v.Mismatches); n > 0 {
				return fmt.Errorf("%s: %s", dir, text.Counted(n, "place does not match", "places do not match"))
			}
			return nil
		},
	}
}

// runDir is the run's folder that a command was given.
func runDir(c *cli.Context) (string, error) {
	if err := noArgs(c); err != nil {
		return "", err
	}
	dir := c.String("run-dir")
	if dir == "" {
		return "", usagef("%s needs --run-dir DIR, a run's folder", c.Command.Name)
	}
	return dir, nil
}

func printVerdict(w io.Writer, v *verify.Verdict, places int) {
	shown, left := map[string]int{}, map[string]int{}
	var order []string
	for _, m := range v.Mismatches {
		if shown[m.File]++; places > 0 && shown[m.File] > places {
			if left[m.File]++; left[m.File] == 1 {
				order = append(order, m.File)
			}
			continue
		}
		fmt.Fprintln(w, text.Safe(m.String()))
	}
	for _, file := range order {
		fmt.Fprintf(w, "%s: %s\n", text.Safe(file), text.Counted(left[file], "place more", "places more"))
	}
	if len(v.AsWritten) > 0 {
		by := v.WrittenBy
		if by == "" {
			by = "the run"
		}
		fmt.Fprintf(w, "not changed since %s wrote them: %s; this is %s, which may compute them otherwise\n", by, strings.Join(v.AsWritten, ", "), programName())
	}
	fmt.Fprintf(w, "%s, %s recomputed, %s by their sums alone\n", text.Counted(v.Records, "record", "records"),
		text.Counted(len(v.Recomputed), "file", "files"), text.Counted(len(v.Summed), "file", "files"))
	for _, u := range v.Unchecked {
		fmt.Fprintf(w, "not checked: %s: %s\n", text.Safe(u.What), u.Why)
	}
	if v.Matches {
		fmt.Fprintln(w, "all that was checked matches")
	}
}

// programName is this program with its version.
func programName() string {
	v := versionInfo()
	name := strings.TrimSpace("llmscale " + v.Version + " " + v.Commit)
	if v.Modified {
		name += ", modified"
	}
	return name
}
