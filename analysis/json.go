package analysis

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"llmscale/internal/text"
)

// MarshalJSON puts the fields of all answers beside the Result's own.
func (r *Result) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	err := r.write(&b)
	return b.Bytes(), err
}

// write writes what MarshalJSON returns, indented. Of a list it holds one element at
// a time: those of a run of many models take more memory as text than as values.
func (r *Result) write(w io.Writer) error {
	type own Result // without MarshalJSON
	parts := []reflect.Value{reflect.ValueOf((*own)(r)).Elem()}
	for _, a := range r.Asked {
		parts = append(parts, reflect.ValueOf(a).Elem())
	}
	j := &jsonWriter{out: w}
	j.object(parts, "")
	j.text("\n")
	return j.err
}

// writeJSON writes what a pointer points to, indented.
func writeJSON(w io.Writer, v any) error {
	j := &jsonWriter{out: w}
	j.value(reflect.ValueOf(v).Elem(), "")
	j.text("\n")
	return j.err
}

// jsonWriter writes as json.Encoder does with the indent of one space, and without
// escapes of <, > and &. After the first error it writes nothing.
type jsonWriter struct {
	out     io.Writer
	err     error
	scratch bytes.Buffer
}

func (j *jsonWriter) text(s string) {
	if j.err == nil {
		_, j.err = io.WriteString(j.out, s)
	}
}

// member is a key of an object with its value, or with structs that are joined.
type member struct {
	name   string
	values []reflect.Value
}

// members are those of structs, in order.
func members(parts []reflect.Value) (out []member) {
	for _, part := range parts {
		for f, v := range part.Fields() {
			name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || f.Anonymous || name == "-" || option == "omitempty" && (v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0) {
				continue
			}
			name = cmp.Or(name, f.Name)
			if i := slices.IndexFunc(out, func(m member) bool { return m.name == name }); i >= 0 {
				out[i].values = append(out[i].values, v)
			} else {
				out = append(out, member{name, []reflect.Value{v}})
			}
		}
	}
	return out
}

// object writes the members of structs. Where two have a key, both values are structs,
// and these are joined.
func (j *jsonWriter) object(parts []reflect.Value, indent string) {
	deeper, before := indent+" ", "{\n"
	for _, m := range members(parts) {
		j.text(fmt.Sprintf("%s%s%q: ", before, deeper, m.name))
		before = ",\n"
		switch {
		case len(m.values) == 1:
			j.value(m.values[0], deeper)
		case slices.ContainsFunc(m.values, func(v reflect.Value) bool { return v.Kind() != reflect.Struct }):
			j.err = cmp.Or(j.err, fmt.Errorf("two have the key %q", m.name))
		default:
			j.object(m.values, deeper)
		}
	}
	j.text("\n" + indent + "}")
}

func (j *jsonWriter) value(v reflect.Value, indent string) {
	if _, own := v.Interface().(json.Marshaler); !own && v.Kind() == reflect.Slice && v.Len() > 0 {
		before := "[\n" + indent + " "
		for i := range v.Len() {
			j.text(before)
			j.value(v.Index(i), indent+" ")
			before = ",\n" + indent + " "
		}
		j.text("\n" + indent + "]")
		return
	}
	if j.err != nil {
		return
	}
	j.scratch.Reset()
	enc := json.NewEncoder(&j.scratch)
	enc.SetEscapeHTML(false)
	enc.SetIndent(indent, " ")
	if j.err = enc.Encode(v.Addr().Interface()); j.err == nil {
		_, j.err = j.out.Write(text.JSON(bytes.TrimSuffix(j.scratch.Bytes(), []byte("\n"))))
	}
}
