package predict

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"llmscale/analysis/doc"
	"llmscale/internal/text"
)

func join(words []string) string { return text.List(words, "and") }

// basis says where a figure comes from.
func (f *Figure) basis() string {
	switch {
	case f.Basis == Extrapolated && f.Times > 1:
		return fmt.Sprintf("%s %.2g times", f.Basis, f.Times)
	case f.Basis == Refused:
		return "not told"
	}
	return f.Basis
}

// row is a line of the table of figures.
func (f *Figure) row(name string, number func(float64) string) []string {
	if f.Value == nil {
		return []string{name, doc.Unknown, "", f.basis(), ""}
	}
	ci, observed := "", ""
	if f.CI != nil {
		ci = number(f.CI.Low) + " to " + number(f.CI.High)
	}
	if f.Observed != nil {
		observed = number(*f.Observed)
		if f.CI != nil && (*f.Observed < f.CI.Low || *f.Observed > f.CI.High) {
			observed += ", outside"
		}
	}
	return []string{name, number(*f.Value), ci, f.basis(), observed}
}

// Print writes the answer for a terminal.
func (a *Answer) Print(w io.Writer) error {
	var b bytes.Buffer
	m := float64(a.Params) / 1e6
	fmt.Fprintf(&b, "%s: %s, %s of %s\n", a.Model, doc.Params(&m), a.WeightType, a.Architecture)
	fmt.Fprintf(&b, "on %s, batch %d, prompt %d, answer %d tokens, by %s of %s\n", a.Backend, a.Batch, a.Prompt, a.Gen, doc.Count(len(a.Fitted), "model", "models"), a.span())
	if a.FittedOf != a.Architecture {
		fmt.Fprintf(&b, "these are of architecture %s: by how much %s differs, no interval below has\n", a.FittedOf, a.Architecture)
	}
	b.WriteByte('\n')
	rows := [][]string{
		a.TTFT.row("time to first token, ms", doc.Size),
		a.Decode.row("decode, ms/token", doc.Size),
		a.Whole.row("whole answer, ms", doc.Size),
		a.PrefillTS.row("prefill, tokens/s", doc.Size),
		a.DecodeTS.row("decode, tokens/s", doc.Size),
	}
	if m := a.Memory; m != nil {
		rows = append(rows, m.PeakMiB.row("peak memory, MiB", doc.Size))
	}
	if c := a.Cost; c != nil {
		rows = append(rows, c.TokensPerHour.row("decoded tokens/h", doc.Size),
			c.PerMillion.row("price of a million tokens", doc.Size), c.PerMillionIn.row("of a prompt", doc.Size))
	}
	observed := false
	for _, r := range rows {
		observed = observed || r[4] != ""
	}
	head := []string{"", "", "95 %", "", "measured"}
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range append([][]string{head}, rows...) {
		if !observed {
			r = r[:4]
		}
		fmt.Fprintln(tw, strings.TrimRight(strings.Join(r, "\t"), "\t"))
	}
	_ = tw.Flush() // into memory
	seen := map[string]bool{}
	for _, f := range []struct {
		name string
		f    *Figure
	}{{"time to first token", &a.TTFT}, {"decode", &a.Decode}} {
		if f.f.Basis == Refused && !seen[f.f.Why] {
			seen[f.f.Why] = true
			fmt.Fprintf(&b, "%s: %s. What helps: %s\n", f.name, f.f.Why, f.f.Helps)
		}
	}
	if m := a.Memory; m != nil {
		fits := ""
		switch {
		case m.Fits != nil && *m.Fits:
			fits = fmt.Sprintf(": fits into the %s that were free", text.Size(*m.Free))
		case m.Fits != nil:
			fits = fmt.Sprintf(": DOES NOT FIT into the %s that were free, and times are of a model that fits", text.Size(*m.Free))
		}
		fmt.Fprintf(&b, "memory: weights %s, KV cache %s, in all %s, of which %s must be resident%s\n", text.Size(m.Weights), text.Size(m.KV), text.Size(m.Total), text.Size(m.Resident), fits)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Print writes the answer for a terminal.
func (s *Served) Print(w io.Writer) error {
	var b bytes.Buffer
	size := func(a *Answer) string { m := float64(a.Params) / 1e6; return doc.Params(&m) }
	a, shown := s.Smallest, s.Surely
	fmt.Fprintf(&b, "the largest model that %s serves within %s, batch %d, prompt %d, answer %d tokens, %s:\n", a.Backend, s.Objective, a.Batch, a.Prompt, a.Gen, a.WeightType)
	switch {
	case s.Guessed == nil:
		shown = a
		fmt.Fprintf(&b, "none: the smallest that can be predicted has %s", size(a))
	case s.Surely == nil:
		shown = s.Guessed
		fmt.Fprintf(&b, "none for sure; by the best guess one of %s", size(s.Guessed))
	default:
		why := "the upper end of its 95 % interval keeps it"
		switch {
		case s.Memory:
			why = "a larger one does not fit into memory"
		case s.Ends:
			why = "larger ones may do, but predictions end here"
		}
		fmt.Fprintf(&b, "%s: %s", size(s.Surely), why)
		if s.Guessed.Params > s.Surely.Params {
			fmt.Fprintf(&b, "; by the best guess %s", size(s.Guessed))
		}
	}
	b.WriteString("\n\n")
	if _, err := w.Write(b.Bytes()); err != nil {
		return err
	}
	return shown.Print(w)
}
