package main

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// canary is the reason that the canary gives, and meanwhile are all that say what else
// went on on the machine.
const canary = "disturbed"

var meanwhile = []string{canary, "cpu_wait", "cpu_stolen", "cpu_others", "cpu_throttled"}

// doubts counts what cells say of themselves.
type doubts struct {
	name                      string
	all, meanwhile, canary, n int // cells: all, in doubt by what went on meanwhile, the canary among the reasons, in doubt at all
	invalid                   int
	reasons                   map[string]int
}

func newDoubts(name string) *doubts { return &doubts{name: name, reasons: map[string]int{}} }

const doubtsHeader = "| cells | all | the machine did other work meanwhile | the canary among the reasons | AMBIGUOUS for any reason | INVALID | by reason |\n" +
	"|---|---:|---:|---:|---:|---:|---|"

func (d *doubts) add(verdict string, reasons []string) {
	d.all++
	has := func(r string) bool { return slices.Contains(reasons, r) }
	if slices.ContainsFunc(meanwhile, has) {
		d.meanwhile++
	}
	if has(canary) {
		d.canary++
	}
	switch verdict {
	case "AMBIGUOUS":
		d.n++
	case "INVALID":
		d.invalid++
	}
	for _, r := range reasons {
		d.reasons[r]++
	}
}

func (d *doubts) row() string {
	share := func(n int) string { return fmt.Sprintf("%d (%.1f %%)", n, 100*float64(n)/float64(max(1, d.all))) }
	var by []string
	for _, r := range slices.SortedFunc(maps.Keys(d.reasons), func(x, y string) int { return cmp.Or(d.reasons[y]-d.reasons[x], strings.Compare(x, y)) }) {
		by = append(by, fmt.Sprintf("%s %d", r, d.reasons[r]))
	}
	return fmt.Sprintf("| %s | %d | %s | %s | %s | %s | %s |", d.name, d.all, share(d.meanwhile), share(d.canary), share(d.n), share(d.invalid), strings.Join(by, ", "))
}

// readDoubts counts the cells of a run's table where of says, by their model.
func readDoubts(file string, of func(model string) *doubts) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) == 0 {
		return fmt.Errorf("%s: no table: %w", file, err)
	}
	at := map[string]int{}
	for i, name := range rows[0] {
		at[name] = i
	}
	for _, name := range []string{"model", "scenario", "verdict", "reasons"} {
		if _, has := at[name]; !has {
			return fmt.Errorf("%s: no column %s", file, name)
		}
	}
	for _, row := range rows[1:] {
		if row[at["scenario"]] != "__all__" {
			of(row[at["model"]]).add(row[at["verdict"]], strings.Fields(row[at["reasons"]]))
		}
	}
	return nil
}
