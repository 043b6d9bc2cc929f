package synth

import (
	"fmt"
	"io"
	"text/tabwriter"

	"llmscale/internal/text"
)

// List writes a table of all shapes.
func List(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "source\tparameters\tlayers\twidth\theads\tkv heads\thead size\tfeed-forward\tvocabulary\texperts\tf16 file\tq4_0 file\t")
	lists := [][]Shape{presets, shapes}
	for _, family := range Ladders() {
		rungs, err := Rungs(family, 0)
		if err != nil {
			return err
		}
		lists = append(lists, rungs)
	}
	for _, list := range lists {
		for _, s := range list {
			experts := "-"
			if s.NExpert > 0 {
				experts = fmt.Sprintf("%d of %d", s.NExpertUsed, s.NExpert)
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t", s.Source(), s.Params(), s.NLayer, s.NEmbd, s.NHead, s.NHeadKV,
				s.HeadDim, s.NFF, s.NVocab, experts)
			for _, typ := range []string{"f16", "q4_0"} {
				size, err := FileBytes(s, Options{Type: typ})
				if err != nil {
					return err
				}
				fmt.Fprintf(w, "%s\t", text.Size(size))
			}
			fmt.Fprintln(w)
		}
	}
	return w.Flush()
}
