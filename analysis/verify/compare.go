package verify

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
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

func short(s string) string {
	if len(s) > maxShown {
		s = strings.ToValidUTF8(s[:maxShown], "") + "..."
	}
	return strconv.Quote(s)
}

// compare lists where a file differs, by what kind of file it is.
func compare(name string, found, want []byte) []difference {
	if bytes.Equal(found, want) {
		return nil
	}
	var out []difference
	ok := false
	switch filepath.Ext(name) {
	case ".csv":
		out, ok = compareCSV(found, want, nil)
	case ".json":
		out, ok = compareJSON(found, want)
	case ".png":
		return comparePNG(found, want)
	}
	if !ok || len(out) == 0 { // it cannot be read, or differs in its form alone
		out = compareLines(found, want)
	}
	return out
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

// compareCSV compares tables cell by cell; ok is false where found is none. A column
// that found lacks is let pass where mayLack says so.
func compareCSV(found, want []byte, mayLack func(column string) bool) (out []difference, ok bool) {
	a, errA := readCSV(found)
	b, errB := readCSV(want)
	if errA != nil || errB != nil || len(a) == 0 || len(b) == 0 {
		return nil, false
	}
	at := map[string]int{}
	for i, name := range a[0] {
		at[name] = i
	}
	for _, name := range a[0] {
		if !slices.Contains(b[0], name) {
			out = append(out, difference{"line 1", fmt.Sprintf("found a column %q that there is not", name)})
		}
	}
	for j, name := range b[0] {
		if _, there := at[name]; !there && (mayLack == nil || !mayLack(name)) {
			out = append(out, difference{"line 1", fmt.Sprintf("there is no column %q, recomputed one", name)})
		} else if there {
			for i := 1; i < min(len(a), len(b)); i++ {
				if x, y := a[i][at[name]], b[i][j]; x != y {
					out = append(out, difference{fmt.Sprintf("line %d, column %s", i+1, name), foundNot(x, y)})
				}
			}
		}
	}
	if len(a) != len(b) {
		out = append(out, difference{"", fmt.Sprintf("it has %d rows, recomputed %d", len(a)-1, len(b)-1)})
	}
	return out, true
}

func readCSV(data []byte) ([][]string, error) { return csv.NewReader(bytes.NewReader(data)).ReadAll() }

// compareJSON compares values by their paths; ok is false where found is no JSON.
func compareJSON(found, want []byte) ([]difference, bool) {
	a, errA := readJSON(found)
	b, errB := readJSON(want)
	if errA != nil || errB != nil {
		return nil, false
	}
	var out []difference
	compareValues("$", a, b, &out)
	return out, true
}

func readJSON(data []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // a number is compared as it is written
	if err = dec.Decode(&v); err == nil && dec.More() {
		err = io.ErrUnexpectedEOF
	}
	return v, err
}

func compareValues(path string, a, b any, out *[]difference) {
	switch a := a.(type) {
	case map[string]any:
		if b, ok := b.(map[string]any); ok {
			for _, key := range slices.Sorted(maps.Keys(a)) {
				if _, there := b[key]; !there {
					*out = append(*out, difference{path, fmt.Sprintf("found a key %s that there is not", short(key))})
				} else {
					compareValues(path+"."+key, a[key], b[key], out)
				}
			}
			for _, key := range slices.Sorted(maps.Keys(b)) {
				if _, there := a[key]; !there {
					*out = append(*out, difference{path, fmt.Sprintf("there is no key %s, recomputed one", short(key))})
				}
			}
			return
		}
	case []any:
		if b, ok := b.([]any); ok {
			for i := range min(len(a), len(b)) {
				compareValues(fmt.Sprintf("%s[%d]", path, i), a[i], b[i], out)
			}
			if len(a) != len(b) {
				*out = append(*out, difference{path, fmt.Sprintf("it has %d elements, recomputed %d", len(a), len(b))})
			}
			return
		}
	}
	x, _ := json.Marshal(a) // both were just read
	y, _ := json.Marshal(b)
	if !bytes.Equal(x, y) {
		*out = append(*out, difference{path, fmt.Sprintf("found %s, recomputed %s", cut(x), cut(y))})
	}
}

func cut(b []byte) string {
	if len(b) > maxShown {
		return strings.ToValidUTF8(string(b[:maxShown]), "") + "..."
	}
	return string(b)
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
	n, first := 0, image.Point{}
	for y := a.Bounds().Min.Y; y < a.Bounds().Max.Y; y++ {
		for x := a.Bounds().Min.X; x < a.Bounds().Max.X; x++ {
			ar, ag, ab, aa := a.At(x, y).RGBA()
			br, bg, bb, ba := b.At(x, y).RGBA()
			if ar != br || ag != bg || ab != bb || aa != ba {
				if n == 0 {
					first = image.Point{X: x, Y: y}
				}
				n++
			}
		}
	}
	if n == 0 {
		return nil
	}
	return []difference{{fmt.Sprintf("pixel %d,%d", first.X, first.Y), fmt.Sprintf("%d pixels differ, this is the first", n)}}
}
