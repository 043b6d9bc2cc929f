package verify

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image/color"
	"image/png"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// difference is a place at which a file is not what was computed.
type difference struct{ place, text string }

func foundNot(found, want string) string {
	return fmt.Sprintf("found %s, recomputed %s", short(found), short(want))
}

// maxShown bounds what is shown of a text, in bytes.
const maxShown = 120

func short(s string) string { return strconv.Quote(cut(s)) }

func cut(s string) string {
	if len(s) > maxShown {
		return strings.ToValidUTF8(s[:maxShown], "") + "..."
	}
	return s
}

// compare lists where a file differs, by what kind of file it is.
func compare(name string, found, want []byte) []difference {
	if bytes.Equal(found, want) {
		return nil
	}
	if filepath.Ext(name) == ".png" {
		return comparePNG(found, want)
	}
	values := map[string]func([]byte) ([]value, error){".csv": csvValues, ".json": jsonValues}[filepath.Ext(name)]
	if values != nil {
		a, errA := values(found)
		b, errB := values(want)
		if out := compareValues(a, b); errA == nil && errB == nil && len(out) > 0 {
			return out
		}
	}
	return compareLines(found, want) // it cannot be read, or differs in its form alone
}

// compareLines compares texts line by line, up to the first line that one has and the
// other has not.
func compareLines(found, want []byte) (out []difference) {
	a, b := strings.SplitAfter(string(found), "\n"), strings.SplitAfter(string(want), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		at := 0
		for at < min(len(a[i]), len(b[i])) && a[i][at] == b[i][at] {
			at++
		}
		from := max(0, at-40)
		out = append(out, difference{fmt.Sprintf("line %d, column %d", i+1, at+1), foundNot(a[i][from:], b[i][from:])})
		if len(a) != len(b) {
			break // those behind it are shifted
		}
	}
	if len(a) != len(b) {
		out = append(out, difference{"", fmt.Sprintf("it has %d lines, recomputed %d", len(a)-1, len(b)-1)})
	}
	return out
}

// value is what stands at a place of a file.
type value struct{ place, column, text string } // column: of a table

// compareValues compares files place by place.
func compareValues(found, want []value) (out []difference) {
	there := map[string]string{}
	for _, v := range found {
		there[v.place] = v.text
	}
	for _, v := range want {
		text, ok := there[v.place]
		if !ok {
			out = append(out, difference{v.place, "found nothing, recomputed " + short(v.text)})
		} else if text != v.text {
			out = append(out, difference{v.place, foundNot(text, v.text)})
		}
		delete(there, v.place)
	}
	for _, v := range found {
		if _, more := there[v.place]; more {
			out = append(out, difference{v.place, fmt.Sprintf("found %s, recomputed nothing", short(v.text))})
		}
	}
	return out
}

// csvValues are the cells of a table.
func csvValues(data []byte) (out []value, err error) {
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	for i, row := range rows {
		for j, text := range row {
			column := rows[0][j]
			out = append(out, value{fmt.Sprintf("line %d, column %s", i+1, column), column, text})
		}
	}
	return out, err
}

// jsonValues are the numbers, texts and empty lists of a JSON file by their paths.
func jsonValues(data []byte) (out []value, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // a number is compared as it is written
	var whole any
	if err := dec.Decode(&whole); err != nil {
		return nil, err
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(path+"."+key, v[key])
			}
			if len(v) > 0 {
				return
			}
		case []any:
			for i := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), v[i])
			}
			if len(v) > 0 {
				return
			}
		}
		out = append(out, value{path, "", fmt.Sprint(v)})
	}
	walk("$", whole)
	return out, nil
}

// comparePNG compares pictures pixel by pixel.
func comparePNG(found, want []byte) []difference {
	a, err := png.Decode(bytes.NewReader(found))
	if err != nil {
		return []difference{{"", "cannot be read: " + err.Error()}}
	}
	b, err := png.Decode(bytes.NewReader(want))
	if err != nil {
		return []difference{{"", "recomputed, it cannot be read: " + err.Error()}}
	}
	if a.Bounds() != b.Bounds() {
		return []difference{{"", fmt.Sprintf("it has %v pixels, recomputed %v", a.Bounds().Size(), b.Bounds().Size())}}
	}
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x++ {
			if p, q := color.RGBA64Model.Convert(a.At(x, y)), color.RGBA64Model.Convert(b.At(x, y)); p != q {
				return []difference{{fmt.Sprintf("pixel %d,%d", x, y), "differs, the first that does"}}
			}
		}
	}
	return nil
}
