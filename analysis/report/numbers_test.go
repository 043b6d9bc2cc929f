package report

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/answer"
)

// pool is all numbers of an analysis: of its tables and its JSON.
type pool struct {
	sorted []float64
	text   []string // texts that hold numbers of their own: names, reasons, warnings
}

func poolOf(t *testing.T, r *analysis.Result) *pool {
	t.Helper()
	p := &pool{}
	add := func(v float64) {
		for _, x := range []float64{v, 1 / v, 1 - v, 1 - 1/v} { // as a share above or below 1, and turned round
			if x = math.Abs(x); x > 0 && !math.IsInf(x, 0) {
				p.sorted = append(p.sorted, x)
			}
		}
	}
	texts := map[string]bool{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case float64:
			add(v)
		case string:
			texts[v] = true
		case []any:
			add(float64(len(v)))
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	for _, x := range []any{r, answer.Of(r)} {
		data, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		var back any
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		walk(back)
	}
	for _, table := range analysis.Tables(r) {
		add(float64(table.Len()))
		for row := range table.Rows() {
			for _, cell := range row {
				if v, err := strconv.ParseFloat(cell, 64); err == nil {
					add(v)
				} else if cell != "" {
					texts[cell] = true
				}
			}
		}
	}
	slices.Sort(p.sorted)
	mixed := regexp.MustCompile(`[0-9].*[A-Za-z]|[A-Za-z].*[0-9]`)
	for s := range texts {
		if mixed.MatchString(s) {
			p.text = append(p.text, s)
		}
	}
	slices.SortFunc(p.text, func(x, y string) int { return len(y) - len(x) })
	return p
}

// has is whether a number of the pool, or a hundred times it, or a unit's thousandth or
// thousandfold, is shown so.
func (p *pool) has(v, half float64) bool {
	for _, scale := range []float64{1, 100, 1e3, 1e6, 1e9, 1e-3, 1e-6, 1 << 10, 1 << 20, 1.0 / (1 << 20)} {
		low, high := (v-half)/scale, (v+half)/scale
		if i, _ := slices.BinarySearch(p.sorted, low); i < len(p.sorted) && p.sorted[i] <= high {
			return true
		}
	}
	return false
}

var numeral = regexp.MustCompile(`[0-9]+(?:\.([0-9]+))?(?:e[-+]?[0-9]+)?`)

// TestNumbersOfThePage: every number that is open on the page of committed runs stands in
// a CSV or JSON file of theirs, to the digits shown. What is short of three digits may
// stand there by chance; the answer's numbers have their own test, which asks for the
// very column.
func TestNumbersOfThePage(t *testing.T) {
	constants := []string{"95 %", "10 %", "grows to 1.25 times", "p99/p50", "p95/p50", "p90/p50"}
	for _, name := range []string{"2026-11-30-blocks-epyc-2-cores", "2026-11-30-threads-epyc-2-cores", "2026-11-23-ladder-xeon-2-cores"} {
		r, drawn := committed(t, name)
		md, err := compose(r, answer.Of(r), drawn).Markdown("")
		if err != nil {
			t.Fatal(err)
		}
		p := poolOf(t, r)
		n := 0
		for line := range strings.Lines(md) {
			if strings.HasPrefix(line, "![") || strings.HasPrefix(line, "In [") {
				continue
			}
			rest := strings.NewReplacer("\\", "", "&lt;", "<").Replace(line)
			for _, s := range append(constants, p.text...) {
				rest = strings.ReplaceAll(rest, s, "")
			}
			for _, at := range numeral.FindAllStringSubmatchIndex(rest, -1) {
				shown := rest[at[0]:at[1]]
				v, err := strconv.ParseFloat(shown, 64)
				if err != nil || v == 0 {
					continue
				}
				decimals := 0
				if at[2] >= 0 {
					decimals = at[3] - at[2]
				}
				n++
				if half := 0.5000001 * math.Pow(10, -float64(decimals)); !p.has(v, half) && !p.has(v, v*5.000001e-4) {
					t.Errorf("%s: %s stands nowhere: %s", name, shown, strings.TrimSpace(line))
				}
			}
		}
		if n < 20 {
			t.Errorf("%s: %d numbers: the test is too weak", name, n)
		}
	}
}
