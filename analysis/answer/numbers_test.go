package answer

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"llmscale/analysis"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/stats"
	"llmscale/internal/text"
)

// files are those of an analysis, to look numbers up in.
type files struct {
	tables map[string]finding.Table
	json   map[string]any
}

func filesOf(t *testing.T, r *analysis.Result, a *Answer) *files {
	t.Helper()
	f := &files{map[string]finding.Table{}, map[string]any{}}
	for _, table := range analysis.Tables(r) {
		f.tables[table.File] = table
	}
	for name, v := range map[string]any{"analysis.json": r, "warnings.json": r.Warnings, File: a} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var back any
		if err := json.Unmarshal(data, &back); err != nil {
			t.Fatal(err)
		}
		f.json[name] = back
	}
	return f
}

// column has the values of a table's column, in the rows for which all conditions hold:
// name=value or name!=value, with ; between.
func (f *files) column(file, column, where string) (out []string, ok bool) {
	t, ok := f.tables[file]
	at := func(name string) int {
		return slices.IndexFunc(t.Columns, func(c finding.Column) bool { return c.Name == name })
	}
	i := at(column)
	if !ok || column != "" && i < 0 {
		return nil, false
	}
rows:
	for row := range t.Rows() {
		for _, condition := range strings.FieldsFunc(where, func(r rune) bool { return r == ';' }) {
			name, value, _ := strings.Cut(condition, "=")
			name, not := strings.CutSuffix(name, "!")
			if at(name) < 0 {
				return nil, false
			}
			if (row[at(name)] == value) == not {
				continue rows
			}
		}
		if i < 0 {
			out = append(out, "")
		} else {
			out = append(out, row[i])
		}
	}
	return out, true
}

// atPath are the values at a path, in which [] stands for all elements.
func atPath(v any, path string) []any {
	if path == "" {
		return []any{v}
	}
	key, rest, _ := strings.Cut(path, ".")
	key, list := strings.CutSuffix(key, "[]")
	if key != "" {
		m, is := v.(map[string]any)
		if !is {
			return nil
		}
		v = m[key]
	}
	if !list {
		return atPath(v, rest)
	}
	var out []any
	elements, _ := v.([]any)
	for _, e := range elements {
		out = append(out, atPath(e, rest)...)
	}
	return out
}

// find looks for a value where it is said to stand.
func (f *files) find(n prose.Number) bool {
	same := func(v float64) bool { return math.Abs(v-n.Value) <= 1e-12*math.Abs(n.Value) }
	if what, is := strings.CutPrefix(n.From, "rows of "); is {
		file, where, _ := strings.Cut(what, " ")
		if doc, is := f.json[file]; is {
			list, _ := atPath(doc, where)[0].([]any)
			return same(float64(len(list)))
		}
		rows, ok := f.column(file, "", where)
		return ok && same(float64(len(rows)))
	}
	if what, is := strings.CutPrefix(n.From, "different "); is {
		column, file, _ := strings.Cut(what, " of ")
		values, ok := f.column(file, column, "")
		return ok && same(float64(stats.Distinct(hashes(values))))
	}
	from, inverse := strings.CutPrefix(n.From, "1 / ")
	file, place, _ := strings.Cut(from, " ")
	if doc, is := f.json[file]; is {
		return slices.ContainsFunc(atPath(doc, place), func(v any) bool { x, is := v.(float64); return is && same(x) })
	}
	values, ok := f.column(file, place, "")
	return ok && slices.ContainsFunc(values, func(s string) bool {
		v, err := strconv.ParseFloat(s, 64)
		if inverse {
			v = 1 / v
		}
		return err == nil && same(v)
	})
}

func hashes(values []string) (out []float64) {
	seen := map[string]float64{}
	for _, v := range values {
		if _, is := seen[v]; !is {
			seen[v] = float64(len(seen))
		}
		out = append(out, seen[v])
	}
	return out
}

var shownNumber = regexp.MustCompile(`^(over )?(-?[0-9]+(?:\.([0-9]+))?) ?(.*)$`)

// rounded is whether a number is shown to the digits that it has.
func rounded(n prose.Number) bool {
	m := shownNumber.FindStringSubmatch(n.Shown)
	if m == nil {
		return false
	}
	scale, known := map[string]float64{"": 1, "M": 1, "B": 1000, "%": 0.01, "KiB": 1.0 / 1024, "MiB": 1, "GiB": 1024}[m[4]]
	v, err := strconv.ParseFloat(m[2], 64)
	if m[1] != "" {
		return err == nil && n.Value >= v
	}
	return known && err == nil && math.Abs(v*scale-n.Value) <= 0.5000001*scale*math.Pow(10, -float64(len(m[3])))+5e-4*math.Abs(n.Value)*float64(len(m[4])%2)
}

// sentences are all of an answer.
func (a *Answer) sentences() (out []prose.Sentence) {
	out = append(out, a.Of, a.Goal.Sentence, a.Trust)
	out = append(append(out, a.Verdict...), a.Advice...)
	if a.Law != nil {
		out = append(out, *a.Law)
	}
	for _, c := range a.Changes {
		out = append(out, c.Sentence)
	}
	for _, c := range a.Caveats {
		out = append(out, c.Sentence)
	}
	return out
}

// without is a text without the first times that a number stands in it, as a whole.
func without(s, number string, times int) string {
	whole := regexp.MustCompile(`(^|[^0-9.])` + regexp.QuoteMeta(number) + `($|[^0-9.]|\.($|[^0-9]))`)
	for ; times != 0 && whole.MatchString(s); times-- {
		at := whole.FindStringSubmatchIndex(s)
		s = s[:at[3]] + s[at[4]:]
	}
	return s
}

// constants are numbers of this program and no result.
var constants = []string{"10 %", "95 %"}

var (
	digit = regexp.MustCompile(`[0-9]`)
	plain = regexp.MustCompile(`^[0-9]+$`) // a name that is a number
	typed = regexp.MustCompile("`[^`]*`")  // what a reader is to type
)

// checkNumbers walks every number of an answer.
func checkNumbers(t *testing.T, r *analysis.Result, a *Answer) {
	t.Helper()
	f := filesOf(t, r, a)
	names := []string{text.Elide(a.Run.Machine, longestMachine)}
	for _, m := range r.Models {
		names = append(names, prose.Name(m.Name), prose.Name(m.Backend), prose.Name(m.WeightType), prose.Name(m.Architecture))
	}
	for _, s := range r.Set.Series {
		names = append(names, prose.Name(s.Title()))
	}
	for _, p := range analysis.Get[policy.Answer](r).Policies {
		names = append(names, prose.Name(p.Value), prose.Name(p.Base), strings.TrimPrefix(behind(p.At), " at "), p.Choice)
	}
	slices.SortFunc(names, func(x, y string) int { return len(y) - len(x) })
	seen := 0
	for _, s := range a.sentences() {
		rest := s.Text
		for _, q := range s.Quotes {
			file, place, _ := strings.Cut(q.From, " ")
			there := false
			if doc, is := f.json[file]; is {
				there = slices.ContainsFunc(atPath(doc, place), func(v any) bool { x, is := v.(string); return is && strings.Contains(x, q.Text) })
			} else if values, ok := f.column(file, place, ""); ok {
				there = slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, q.Text) })
			}
			if !there {
				t.Errorf("%q is not in %s", q.Text, q.From)
			}
			rest = strings.ReplaceAll(rest, q.Text, "")
		}
		for _, n := range names {
			if digit.MatchString(n) && !plain.MatchString(n) {
				rest = strings.ReplaceAll(rest, n, "")
			}
		}
		rest = typed.ReplaceAllString(rest, "")
		for _, c := range constants {
			rest = strings.ReplaceAll(rest, c, "")
		}
		for _, n := range s.Numbers {
			seen++
			if !f.find(n) {
				t.Errorf("%s (%v) is not %s: %q", n.Shown, n.Value, n.From, s.Text)
			}
			if !rounded(n) {
				t.Errorf("%v is shown as %s: %q", n.Value, n.Shown, s.Text)
			}
			if !strings.Contains(s.Text, n.Shown) {
				t.Errorf("%s is not in %q", n.Shown, s.Text)
			}
			rest = without(rest, n.Shown, 1)
		}
		for _, n := range names { // a setting's value
			if plain.MatchString(n) {
				rest = without(rest, n, -1)
			}
		}
		if digit.MatchString(rest) {
			t.Errorf("%q has a number that stands nowhere: %q", s.Text, rest)
		}
	}
	for _, row := range a.Table.Rows {
		for from, v := range map[string]*float64{aggregates + " params_millions_effective": row.ParamsM, aggregates + " tokens_per_s_geomean": row.Decode,
			"analysis.json aggregates[].ms_per_token_geomean": row.MSPerToken, "regimes.csv share_of_ceiling": row.Share} {
			if v != nil && !f.find(prose.Number{Value: *v, From: from}) {
				t.Errorf("%s: %v is not %s", row.Model, *v, from)
			}
		}
		if row.Prefill != nil && !f.find(prose.Number{Value: *row.Prefill, From: aggregates + " tokens_per_s_geomean"}) {
			t.Errorf("%s: %v is no rate of prefill", row.Model, *row.Prefill)
		}
	}
	if len(r.Aggregates) > 0 && seen < 3 {
		t.Errorf("%d numbers: the test is too weak", seen)
	}
}
