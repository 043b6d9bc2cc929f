package inspect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"llmscale/gguf"
	"llmscale/internal/text"
)

// line writes cells of a table. Most of what they say comes out of a file.
func line(w *tabwriter.Writer, cells ...string) {
	for i, c := range cells {
		cells[i] = text.Safe(c)
	}
	fmt.Fprintln(w, strings.Join(cells, "\t"))
}

func bytesText(n int64) string { return fmt.Sprintf("%d bytes", n) }

// Print writes a model as tables.
func (in *Model) Print(w *tabwriter.Writer) error {
	d := &in.Description
	row := func(name, format string, args ...any) { line(w, name, fmt.Sprintf(format, args...)) }
	if m := in.Ollama; m != nil {
		row("ollama", "%s in %s: %s, %s, %s by its config", m.Name, m.Store, orUnknown(m.Family), orUnknown(m.ParameterSize), orUnknown(m.Quantization))
		for _, l := range m.Layers {
			line(w, "  "+l.Kind, bytesText(l.Size), l.Digest)
		}
		for _, n := range m.Notes {
			row("  note", "%s", n)
		}
	}
	if len(in.Parts) == 1 {
		row("file", "%s (GGUF v%d, %s)", in.File, in.Version, text.Size(d.FileBytes))
	} else {
		row("files", "%d parts of one model (GGUF v%d, %s)", len(in.Parts), in.Version, text.Size(d.FileBytes))
		for i, p := range in.Parts {
			line(w, fmt.Sprintf("  %d", i+1), p.File, text.Size(p.Bytes), fmt.Sprintf("%d tensors", p.Tensors))
		}
	}
	row("architecture", "%s", d.Architecture)
	row("name", "%s", d.Name)
	if in.Random != "" {
		row("weights' values", "random: %s", in.Random)
	}
	row("layers", "%d", d.NLayer)
	row("width", "%d (feed-forward %d)", d.NEmbd, d.NFF)
	row("heads", "%d (%d key/value, size %d)", d.NHead, d.NHeadKV, d.HeadDim)
	if d.NWindowLayer > 0 {
		row("sliding window", "%d tokens in %d of the layers", d.Window, d.NWindowLayer)
	}
	row("vocabulary", "%d", d.NVocab)
	row("context", "%d tokens", d.NCtxTrain)
	if d.NExpert > 0 {
		row("experts", "%d of %d used", d.NExpertUsed, d.NExpert)
	}
	row("parameters", "%d (%s)", d.ParamsTotal, text.Count(d.ParamsTotal))
	row("  non-embedding", "%d", d.ParamsNonEmbedding)
	row("  active per token", "%d", d.ParamsActive)
	row("weights", "%d bytes (%s), %s bits per weight, mostly %s", d.WeightBytes, text.Size(d.WeightBytes), bits(in.BitsPerWeight), d.WeightType)
	for _, t := range slices.Sorted(maps.Keys(d.WeightTypes)) {
		row("  "+t, "%d bytes", d.WeightTypes[t])
	}
	in.printLabel(row)
	row("read per decoded token", "%d bytes (%s)", d.BytesReadPerToken, text.Size(d.BytesReadPerToken))
	row("KV cache per token", "%d bytes in %s", in.KVPerToken, in.kvType)
	for _, n := range in.notes() {
		row("note", "%s", n)
	}
	if in.Refusal != "" {
		row("cannot be measured", "%s", in.Refusal)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := in.printComponents(w); err != nil {
		return err
	}
	if err := in.printMemory(w); err != nil {
		return err
	}
	return in.printTensors(w)
}

// notes are the description's, but for one that only says the refusal again.
func (in *Model) notes() []string {
	return slices.DeleteFunc(slices.Clone(in.Description.Notes), func(n string) bool { return in.Refusal != "" && strings.Contains(n, in.Refusal) })
}

func bits(perWeight float64) string { return fmt.Sprintf("%.2f", perWeight) }

func (in *Model) printLabel(row func(name, format string, args ...any)) {
	l := in.Label
	if l == nil {
		row("label", "none: neither general.file_type nor a name says a quantization")
		return
	}
	row("label", "%s (%s); %s is the main type of %d of %d layers, %s of their weights, %s of all weights",
		l.Name, l.Source, l.Type, l.LayersOfType, l.Layers, percent(l.ShareOfLayers), percent(l.ShareOfAll))
	for _, o := range in.otherLabels() {
		row("note", "%s", o)
	}
}

func (in *Model) otherLabels() (notes []string) {
	if l := in.Label; l != nil {
		for _, o := range l.Others {
			notes = append(notes, fmt.Sprintf("by the %s it is %s, by %s %s", o.Source, o.Name, l.Source, l.Name))
		}
	}
	return notes
}

// percent leaves 0 and 100 to what is all or nothing.
func percent(share float64) string {
	switch p := 100 * share; {
	case p > 0 && p < 1:
		return "< 1 %"
	case p > 99 && p < 100:
		return "> 99 %"
	default:
		return fmt.Sprintf("%.0f %%", p)
	}
}

func (in *Model) printComponents(w *tabwriter.Writer) error {
	fmt.Fprintln(w, "\ncomponent\tparameters\tactive\tbytes\tread per token")
	for _, p := range in.Components {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", p.Name, p.Params, p.ParamsActive, p.Bytes, p.BytesRead)
	}
	return w.Flush()
}

func (in *Model) printMemory(w *tabwriter.Writer) error {
	m := &in.Memory
	fmt.Fprintf(w, "\nmemory for %d tokens, %d computed at once\n", m.Context, m.UBatch)
	part := func(name string, bytes int64, what string) { line(w, name, bytesText(bytes), text.Size(bytes), what) }
	part("weights", m.Weights, "")
	if m.Repacked > 0 {
		part("repacked", m.Repacked, "copies of matrices in the CPU's own order")
	}
	kept := ""
	if m.KVWindow > 0 {
		kept = fmt.Sprintf("%d in layers with a sliding window, which keep %d tokens", m.KVWindow, m.WindowCells)
	}
	part("KV cache", m.KV, kept)
	if m.State > 0 {
		part("state", m.State, "of recurrent layers, for one sequence")
	}
	part("compute", m.Compute, "")
	part("output", m.Output, "")
	part("total", m.Total, "")
	if m.Resident != m.Total {
		part("resident", m.Resident, "without the mapped pages whose copies are used")
	}
	return w.Flush()
}

func (in *Model) printTensors(w *tabwriter.Writer) error {
	if len(in.Tensors) > 0 {
		fmt.Fprintln(w)
	}
	for _, t := range in.Tensors {
		at := fmt.Sprintf("%d bytes at %d", t.Size, t.Offset)
		if len(in.Parts) > 1 {
			at += fmt.Sprintf(" of part %d", t.Part+1)
		}
		line(w, t.Name, fmt.Sprintf("%s %v", t.Type, t.Dims), at)
	}
	return w.Flush()
}

// PrintAll compares models, a line each.
func PrintAll(w *tabwriter.Writer, all []*Model) error {
	line(w, "file", "architecture", "parameters", "active", "weights", "bits/weight", "label", "of its layers", "of all weights", "read/token", "KV/token", "context", "memory")
	for _, in := range all {
		d := &in.Description
		name := in.File
		if in.Ollama != nil {
			name = "ollama:" + in.Ollama.Name
		} else if len(in.Parts) > 1 {
			name = fmt.Sprintf("%s (%d parts)", gguf.Stem(in.File), len(in.Parts))
		}
		called, layers, share := "-", "-", "-"
		if l := in.Label; l != nil {
			called, layers, share = l.Name, fmt.Sprintf("%d of %d", l.LayersOfType, l.Layers), percent(l.ShareOfAll)
		}
		line(w, name, d.Architecture, text.Count(d.ParamsTotal), text.Count(d.ParamsActive), text.Size(d.WeightBytes), bits(in.BitsPerWeight), called, layers, share,
			text.Size(d.BytesReadPerToken), text.Size(in.KVPerToken), fmt.Sprint(in.Memory.Context), text.Size(in.Memory.Resident))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, in := range all {
		notes := append(in.otherLabels(), in.notes()...)
		if in.Refusal != "" {
			notes = append([]string{"cannot be measured: " + in.Refusal}, notes...)
		}
		for _, n := range notes {
			line(w, in.File+": "+n)
		}
	}
	return w.Flush()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}
