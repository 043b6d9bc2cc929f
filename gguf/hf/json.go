package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
)

// Sizes in bytes beyond which a file cannot be what its name says.
const (
	maxSmallJSON = 16 << 20 // configurations and indexes
	maxVocabFile = 64 << 20 // tokenizer.json, vocab.json and merges.txt; GPT-2's have 1.4 MB and less
)

// read returns the content of a file of the folder and counts it among those that decide the result. A file that is
// not there gives an error that is fs.ErrNotExist.
func (m *Model) read(name string, limit int64) ([]byte, error) {
	path := filepath.Join(m.dir, name)
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("hf: %w", err)
	}
	switch {
	case !st.Mode().IsRegular():
		return nil, &Error{Path: path, What: "it is no regular file"}
	case st.Size() > limit:
		return nil, &Error{Path: path, What: fmt.Sprintf("it has %d bytes", st.Size()), Want: fmt.Sprintf("at most %d", limit)}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("hf: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, fmt.Errorf("hf: %w", err)
	}
	if bytes.HasPrefix(data, []byte("version https://git-lfs.")) {
		return nil, &Error{Path: path, What: "the file is a Git LFS pointer", Want: "the file itself: fetch it with `git lfs pull`"}
	}
	m.used = append(m.used, name)
	return data, nil
}

// object is a JSON file whose outermost value is an object.
type object struct {
	path   string
	fields map[string]json.RawMessage // nil if an optional file is not there
}

// object reads a JSON file. If it is optional and not there, the object has no fields.
func (m *Model) object(name string, optional bool) (object, error) {
	o := object{path: filepath.Join(m.dir, name)}
	data, err := m.read(name, maxSmallJSON)
	if err != nil {
		if optional && errors.Is(err, fs.ErrNotExist) {
			return o, nil
		}
		return o, err
	}
	return o, decode(o.path, data, &o.fields)
}

// decode is json.Unmarshal with errors that name the file and, where known, the line.
func decode(path string, data []byte, into any) error {
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	what := err.Error()
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		line := 1 + bytes.Count(data[:min(int(syntax.Offset), len(data))], []byte("\n"))
		return &Error{path, fmt.Sprintf("line %d", line), "it is no JSON: " + what, ""}
	case errors.As(err, &typ):
		line := 1 + bytes.Count(data[:min(int(typ.Offset), len(data))], []byte("\n"))
		where := fmt.Sprintf("line %d", line)
		if typ.Field != "" {
			where += fmt.Sprintf(", field %q", typ.Field)
		}
		return &Error{path, where, fmt.Sprintf("a JSON %s stands there", typ.Value), jsonKind(typ)}
	}
	return &Error{Path: path, What: what}
}

// jsonKind says in JSON's words what kind of value was expected.
func jsonKind(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "map", "struct":
		return "an object"
	case "slice", "array":
		return "an array"
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	}
	return "a number"
}

func (o object) fail(field, want, format string, args ...any) error {
	return &Error{o.path, fmt.Sprintf("field %q", field), fmt.Sprintf(format, args...), want}
}

// value returns the first field of these names, the later ones being other names of the same; nil if the file has
// none or it is null.
func (o object) value(names ...string) (string, json.RawMessage, error) {
	name, value := names[0], json.RawMessage(nil)
	for _, n := range names {
		v, ok := o.fields[n]
		if !ok || string(v) == "null" {
			continue
		}
		if value != nil && !bytes.Equal(value, v) {
			return name, nil, o.fail(n, fmt.Sprintf("the same as field %q, which is %s", name, show(value)), "it is %s", show(v))
		}
		if value == nil {
			name, value = n, v
		}
	}
	return name, value, nil
}

// integer returns a field from 1 to 2^31-1, or byDefault if it is absent or null.
func (o object) integer(byDefault int64, names ...string) (int64, error) {
	name, v, err := o.value(names...)
	if v == nil || err != nil {
		return byDefault, err
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err != nil || n < 1 || n > math.MaxInt32 {
		return 0, o.fail(name, fmt.Sprintf("a whole number from 1 to %d", math.MaxInt32), "it is %s", show(v))
	}
	return n, nil
}

func (o object) boolean(byDefault bool, name string) (bool, error) {
	_, v, err := o.value(name)
	if v == nil || err != nil {
		return byDefault, err
	}
	if s := string(v); s == "true" || s == "false" {
		return s == "true", nil
	}
	return false, o.fail(name, "true or false", "it is %s", show(v))
}

func (o object) text(byDefault, name string) (string, error) {
	_, v, err := o.value(name)
	if v == nil || err != nil {
		return byDefault, err
	}
	var s string
	if json.Unmarshal(v, &s) != nil {
		return "", o.fail(name, "a string", "it is %s", show(v))
	}
	return s, nil
}

// show prints a JSON value for an error, on one line and cut where it is long.
func show(v json.RawMessage) string {
	var b bytes.Buffer
	s := string(v)
	if json.Compact(&b, v) == nil {
		s = b.String()
	}
	if len(s) > 60 {
		s = s[:60] + "..."
	}
	return s
}
