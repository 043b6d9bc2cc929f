package sources

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"

	"llmscale/gguf/synth"
	"llmscale/internal/text"
)

// List says what was found, one line for each model, and what was left out.
func (f *Found) List() []string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, m := range f.Models {
		size := "to be written"
		if m.Bytes > 0 {
			size = text.Size(m.Bytes)
		}
		fmt.Fprintf(w, "  %s\t%s parameters\t%s\t%s\t%s\n", m.Name, text.Count(m.Params), cmp.Or(m.Type, "-"), size, text.Safe(m.Place))
	}
	_ = w.Flush() // into memory
	out := []string{text.Counted(len(f.Models), "model", "models") + ", smallest first:"}
	out = append(out, strings.Split(strings.TrimRight(b.String(), "\n"), "\n")...)
	for _, l := range f.LeftOut {
		out = append(out, l.String())
	}
	return out
}

// Complete lists what a word of a command line can become, if it is the beginning of a source that is no path.
func Complete(word string) (out []string) {
	if word == "" {
		return nil
	}
	all := []string{"ollama:", "hf:", "like:"}
	for _, family := range synth.Ladders() {
		all = append(all, "ladder:"+family)
	}
	for _, s := range append(synth.Shapes(), synth.Presets()...) {
		all = append(all, s.Source())
	}
	for _, s := range all {
		if strings.HasPrefix(s, word) {
			out = append(out, s)
		}
	}
	return out
}
