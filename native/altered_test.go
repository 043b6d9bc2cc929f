//go:build native

package native

import (
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/synth"
)

// altered writes a model like the one given whose metadata and tensor table were changed; its weights are zeros.
func altered(t testing.TB, shape synth.Shape, change func(entries map[string]any, specs []gguf.Spec) []gguf.Spec) string {
	t.Helper()
	f, err := synth.Preview(shape, synth.Options{Type: "f32"})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	var keys []string
	for i := range f.KVs {
		v, err := f.Value(&f.KVs[i])
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, f.KVs[i].Key)
		values[f.KVs[i].Key] = v
	}
	var specs []gguf.Spec
	for _, x := range f.Tensors {
		specs = append(specs, gguf.Spec{Name: x.Name, Type: x.Type, Dims: x.Dims})
	}
	specs = change(values, specs)
	var entries []gguf.Entry
	for _, k := range keys { // in the file's order, new ones after them
		if v, ok := values[k]; ok {
			entries = append(entries, gguf.Entry{Key: k, Value: v})
			delete(values, k)
		}
	}
	for k, v := range values {
		entries = append(entries, gguf.Entry{Key: k, Value: v})
	}
	out, err := gguf.Preview(entries, specs)
	if err != nil {
		t.Fatal(err)
	}
	return phantom(t, shape.Name, out)
}
