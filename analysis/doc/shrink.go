package doc

import (
	"fmt"
	"html/template"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	styleAttribute = regexp.MustCompile(`\s+style="([^"]*)"`)
	coordinates    = regexp.MustCompile(` (?:d|x|y|transform)="[^"]*"`)
	longDecimal    = regexp.MustCompile(`-?\d*\.\d\d+`)
)

// shrink makes a drawing a fraction of its size: styles, which most elements repeat,
// become classes of the page, and coordinates have a tenth of a point. Text in a
// drawing has no quotes of its own, so that no name looks like an attribute.
func (r *renderer) shrink(svg template.HTML) template.HTML {
	s := styleAttribute.ReplaceAllStringFunc(string(svg), func(attribute string) string {
		_, rules, _ := strings.Cut(attribute, `"`)
		rules = strings.TrimSuffix(rules, `"`)
		id, known := r.classes[rules]
		if !known {
			id = len(r.classes)
			r.classes[rules] = id
		}
		return fmt.Sprintf(` class="s%d"`, id)
	})
	s = coordinates.ReplaceAllStringFunc(s, func(attribute string) string {
		return longDecimal.ReplaceAllStringFunc(attribute, func(number string) string {
			v, err := strconv.ParseFloat(number, 64)
			if err != nil {
				return number
			}
			return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
		})
	})
	return template.HTML(s)
}

// css has the classes of the drawings.
func (r *renderer) css() string {
	var b strings.Builder
	for _, rules := range slices.SortedFunc(maps.Keys(r.classes), func(x, y string) int { return r.classes[x] - r.classes[y] }) {
		fmt.Fprintf(&b, ".s%d { %s }\n", r.classes[rules], rules)
	}
	return b.String()
}
