package doc

import (
	"embed"
	"encoding/json"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"llmscale/analysis/figure"
)

// chartFiles hold the chart library, where the build fetched it (scripts/charts).
//
//go:embed charts
var chartFiles embed.FS

// library is its text, "" where it is not in this program.
var library = func() string {
	text, err := chartFiles.ReadFile("charts/library.js")
	if err != nil {
		return ""
	}
	// So that it can stand in a script element.
	return strings.ReplaceAll(string(text), "</script", `<\/script`)
}()

// Charts names the chart library with its version, "" where it is not in this program:
// then pages have drawings for figures.
func Charts() string {
	name, _, _ := strings.Cut(strings.TrimPrefix(library, "// "), "\n")
	return name
}

// Live reports whether the figures of a page are drawn by the page.
func Live(page []byte) bool { return strings.Contains(string(page), liveMark) }

// liveMark is in the head of a page with figures that it draws.
const liveMark = `<meta name="figures" content="live">`

// chartData is a figure as the page's script takes it: its texts are printable lines,
// its numbers have the digits that a screen can show. Nothing in it can end a script
// element: json writes < as an escape.
func chartData(f *figure.Figure) (template.JS, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return "", err
	}
	data, err = json.Marshal(plain(v))
	return template.JS(data), err
}

// chartDigits are the significant digits of a chart's numbers.
const chartDigits = 6

func plain(v any) any {
	switch v := v.(type) {
	case string:
		return Clean(v)
	case float64:
		if r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', chartDigits, 64), 64); err == nil && math.Abs(v) < 1e15 {
			return r
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	}
	return v
}

// drawable reports whether the page can draw b.
func drawable(b Picture) bool { return library != "" && b.Figure != nil }

// hasLive reports whether the page draws one of blocks.
func hasLive(blocks []Block) bool {
	return slices.ContainsFunc(blocks, func(b Block) bool {
		switch b := b.(type) {
		case Picture:
			return drawable(b)
		case details:
			return hasLive(b.blocks)
		}
		return false
	})
}
