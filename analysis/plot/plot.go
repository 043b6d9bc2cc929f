package plot

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/figure"
	"llmscale/analysis/figure/draw"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// Kinds of figures, in the order in which Write returns them.
const (
	KindOverview   = "overview"    // all backends of one mode, over all scenarios
	KindScaling    = "scaling"     // one backend and mode over all scenarios
	KindBytes      = "bytes"       // decode time against weight bytes read per token
	KindWeights    = "weights"     // decode time per token against bytes read, over the weight types of one model
	KindCeilings   = "ceilings"    // reading of decode against what a device can read
	KindWall       = "memory_wall" // decode time and device memory against size, under limits of that memory
	KindTokens     = "tokens"      // decode time by position in the answer
	KindLengths    = "lengths"     // decode time per token against the length of the answer
	KindCrosscheck = "crosscheck"  // ratios of Ollama's times to native ones against size
	KindTails      = "tails"       // tail ratios against size
	KindShare      = "share"       // decode share of end-to-end time
	KindScenario   = "scenario"    // one backend, mode and scenario
)

// Write draws every figure that r has data for into dir, which it makes if need
// be, each as PNG and as SVG. Files of earlier calls are overwritten where the
// names are the same. A figure without data is not drawn.
func Write(dir string, r *analysis.Result) ([]figure.Drawn, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("plot: %w", err)
	}
	b := newBook(r)
	var sheets []drawing
	sheets = append(sheets, drawings(b.overviews())...)
	sheets = append(sheets, drawings(b.scaling(KindScaling))...)
	sheets = append(sheets, drawings(b.bytesFigure())...)
	sheets = append(sheets, drawings(b.weightFigures())...)
	sheets = append(sheets, drawings(b.ceilingFigures())...)
	sheets = append(sheets, drawings(b.wallFigures())...)
	sheets = append(sheets, drawings(b.tokenFigures())...)
	sheets = append(sheets, drawings(b.lengthFigures())...)
	sheets = append(sheets, drawings(b.tailFigure())...)
	sheets = append(sheets, drawings(b.crosscheckFigures())...)
	sheets = append(sheets, drawings(b.shareFigures())...)
	sheets = append(sheets, drawings(b.scaling(KindScenario))...)

	figs := make([]figure.Drawn, 0, len(sheets))
	taken := map[string]bool{}
	for _, s := range sheets {
		fig, err := s(dir, taken)
		if err != nil {
			return figs, fmt.Errorf("plot: %s: %w", fig.Name, err)
		}
		figs = append(figs, fig)
	}
	return figs, nil
}

// drawing puts one figure into a folder under a name that is not taken.
type drawing func(dir string, taken map[string]bool) (figure.Drawn, error)

func drawings[T *sheet | figure.Figure](fs []T) (out []drawing) {
	for _, f := range fs {
		switch f := any(f).(type) {
		case figure.Figure:
			out = append(out, func(dir string, taken map[string]bool) (figure.Drawn, error) { return draw.One(dir, f, taken) })
		case *sheet:
			out = append(out, func(dir string, taken map[string]bool) (figure.Drawn, error) {
				f.name = uniqueName(fileName(f.name), taken)
				return f.save(dir)
			})
		}
	}
	return out
}

// series names one line of points: what one backend measured at one batch size.
type series struct {
	backend string
	batch   int
}

func (s series) String() string {
	if s.batch > 1 {
		return fmt.Sprintf("%s, batch %d", clean(s.backend), s.batch)
	}
	return clean(s.backend)
}

// suffix tells the file of this series' batch size from that of batch 1.
func (s series) suffix() string {
	if s.batch > 1 {
		return "_bs" + strconv.Itoa(s.batch)
	}
	return ""
}

// book is a Result with what all its figures share.
type book struct {
	r      *analysis.Result
	series []series // in the order of first appearance, which fixes their colours
}

func newBook(r *analysis.Result) *book {
	b := &book{r: r}
	add := func(backend string, batch int) {
		if s := (series{backend, batch}); !slices.Contains(b.series, s) {
			b.series = append(b.series, s)
		}
	}
	for _, f := range r.Fits {
		add(f.Backend, f.BatchSize)
	}
	for _, c := range r.Cells {
		add(c.Backend, c.BatchSize)
	}
	for _, t := range r.Tails {
		add(t.Backend, t.BatchSize)
	}
	for _, d := range r.DecodeFractions {
		add(d.Backend, d.BatchSize)
	}
	return b
}

func (b *book) look(s series) look { return backendLook(slices.Index(b.series, s)) }

// axisLabel is what the fits have on x.
func (b *book) axisLabel() string {
	if b.r.Axis.Label != "" {
		return clean(b.r.Axis.Label)
	}
	return paramsLabel
}

const paramsLabel = "total parameters (millions)"

// genTokens is the answer length that all decode cells of a scenario, or of
// analysis.AllScenarios, have; 0 if they differ.
func (b *book) genTokens(scenario string) int {
	n := 0.0
	for _, c := range b.r.CellsOf(scenario) {
		v := c.AnswerTokens()
		if v == nil || c.Mode == record.ModePrefill {
			continue
		}
		if n != 0 && n != *v {
			return 0
		}
		n = *v
	}
	return int(n)
}

func modeTitle(mode string) string {
	switch mode {
	case record.ModePrefill:
		return "Prefill"
	case record.ModeDecode:
		return "Decode"
	case record.ModeE2E:
		return "End-to-end"
	}
	return clean(mode)
}

// latencyLabel is the y axis of a mode.
func (b *book) latencyLabel(mode, scenario string) string {
	n := b.genTokens(scenario)
	switch {
	case mode == record.ModeDecode && n > 0:
		return fmt.Sprintf("decode of %d tokens (ms)", n)
	case mode == record.ModeE2E && n > 0:
		return fmt.Sprintf("prefill and decode of %d tokens (ms)", n)
	}
	return strings.ToLower(modeTitle(mode)) + " latency (ms)"
}

func scenarioTitle(scenario string) string {
	if scenario == cells.AllScenarios {
		return "all scenarios"
	}
	return "scenario " + clean(scenario)
}

func count(n int, one, many string) string { return words.Counted(n, one, many) }

// clean makes one printable line of a name that came from a file.
func clean(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == ' ' }), " ")
}

// fileName keeps what every file system takes.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, s)
}

// uniqueName counts up names that fileName has made equal. Letter case does not
// tell them apart, because it does not on every file system.
func uniqueName(name string, taken map[string]bool) string {
	unique := name
	for k := 2; taken[strings.ToLower(unique)]; k++ {
		unique = name + "-" + strconv.Itoa(k)
	}
	taken[strings.ToLower(unique)] = true
	return unique
}

func paths(dir, name string) (png, svg string) {
	return filepath.Join(dir, name+".png"), filepath.Join(dir, name+".svg")
}
