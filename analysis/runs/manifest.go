package runs

import (
	"encoding/json"
	"fmt"
	"strings"

	"llmscale/runner/record"
)

// Manifest is manifest.json as it was found: every field is kept, known or not,
// so that a report can quote what this package has never heard of.
type Manifest struct {
	raw map[string]json.RawMessage
}

// ParseManifest reads manifest.json. The NaN and Infinity that Python's json
// module writes become null.
func ParseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(Sanitize(data), &m.raw); err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

// Raw returns the JSON at a path of object keys; ok is false where there is none.
func (m Manifest) Raw(path ...string) (value json.RawMessage, ok bool) {
	obj := m.raw
	for i, key := range path {
		value, ok = obj[key]
		if !ok {
			return nil, false
		}
		if i < len(path)-1 {
			obj = nil
			if json.Unmarshal(value, &obj) != nil {
				return nil, false
			}
		}
	}
	return value, ok
}

// Decode puts the JSON at path into v and reports whether that was possible.
func (m Manifest) Decode(v any, path ...string) bool {
	raw, ok := m.Raw(path...)
	return ok && string(raw) != "null" && json.Unmarshal(raw, v) == nil
}

// Text is the value at path for a reader: a string without its quotes, a list
// of strings joined by spaces, anything else as its JSON; "" where there is none
// or null.
func (m Manifest) Text(path ...string) string {
	raw, ok := m.Raw(path...)
	if !ok || string(raw) == "null" {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(list, " ")
	}
	return string(raw)
}

// Int is the whole number at path; nil where there is none.
func (m Manifest) Int(path ...string) *int {
	var f float64
	if !m.Decode(&f, path...) || f != float64(int(f)) {
		return nil
	}
	n := int(f)
	return &n
}

// Machines are those that measured, by the id that records have.
func (m Manifest) Machines() (out map[string]record.Machine) {
	m.Decode(&out, "machines")
	return out
}

// Empty reports whether there was no manifest.
func (m Manifest) Empty() bool { return len(m.raw) == 0 }

// MarshalJSON writes the manifest back, with sorted keys.
func (m Manifest) MarshalJSON() ([]byte, error) { return json.Marshal(m.raw) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Manifest) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &m.raw) }

// Sanitize makes JSON of what Python's json module writes: NaN, Infinity and
// -Infinity outside strings become null, and 9.0 becomes 9, so that counts that
// went through a float (as pandas does to columns with gaps) still read as
// counts. Valid JSON without these is returned as it is.
func Sanitize(data []byte) []byte {
	var out []byte // nil until something changes
	kept := 0      // data[:kept] is in out
	replace := func(from, to int, with string) {
		out = append(append(out, data[kept:from]...), with...)
		kept = to
	}
	for i := 0; i < len(data); {
		switch c := data[i]; {
		case c == '"':
			i++
			for i < len(data) && data[i] != '"' {
				if data[i] == '\\' {
					i++
				}
				i++
			}
			i++
		case c == 'N' && hasPrefix(data[i:], "NaN"):
			replace(i, i+3, "null")
			i += 3
		case c == 'I' && hasPrefix(data[i:], "Infinity"):
			replace(i, i+8, "null")
			i += 8
		case c == '-' && hasPrefix(data[i:], "-Infinity"):
			replace(i, i+9, "null")
			i += 9
		case c == '-' || c >= '0' && c <= '9':
			j := i
			for j < len(data) && numeral(data[j]) {
				j++
			}
			if j-i > 2 && data[j-1] == '0' && data[j-2] == '.' {
				replace(j-2, j, "")
			}
			i = j
		default:
			i++
		}
	}
	if out == nil {
		return data
	}
	return append(out, data[min(kept, len(data)):]...)
}

func numeral(c byte) bool {
	return c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E'
}

func hasPrefix(b []byte, s string) bool { return len(b) >= len(s) && string(b[:len(s)]) == s }
