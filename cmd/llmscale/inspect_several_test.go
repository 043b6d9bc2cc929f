package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/gguftest"
	"llmscale/gguf/inspect"
	"llmscale/gguf/synth"
)

func synthFile(t *testing.T, path, source, typ string) string {
	t.Helper()
	s, err := synth.Lookup(source)
	if err == nil {
		err = synth.Write(path, s.WithVocab(300), synth.Options{Type: typ, Seed: 1})
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestInspectParts(t *testing.T) {
	dir := t.TempDir()
	path := synthFile(t, filepath.Join(dir, "m.gguf"), "gpt2-1m", "q8_0")
	parts := gguftest.Split(t, path, dir, 0, 10, -1)
	_, whole, _ := llmscale("inspect", path)
	var want string
	for i, p := range parts {
		code, stdout, stderr := llmscale("inspect", p)
		if code != exitDone || stderr != "" {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		if i == 0 {
			want = stdout
		}
		if stdout != want {
			t.Errorf("%s is told as\n%s\nthe first part as\n%s", p, stdout, want)
		}
	}
	if !strings.Contains(want, "3 parts of one model (GGUF v3, ") || !strings.Contains(want, parts[0]) || !strings.Contains(want, parts[2]) || !strings.Contains(want, "10 tensors") {
		t.Errorf("the parts are not listed:\n%s", want)
	}
	// All that is not of the files is that of the whole model.
	from := func(s string) string {
		return strings.Join(strings.Fields(s[strings.Index(s, "\narchitecture"):]), " ")
	}
	if a, b := from(want), from(whole); a[:strings.Index(a, "memory")] != b[:strings.Index(b, "memory")] {
		t.Errorf("in parts\n%s\nwhole\n%s", want, whole)
	}
	code, stdout, stderr := llmscale("inspect", "--json", "--tensors", parts[1])
	var out inspect.Model
	if err := json.Unmarshal([]byte(stdout), &out); code != exitDone || err != nil {
		t.Fatalf("exit code %d, %v: %s", code, err, stderr)
	}
	sum, tensors := int64(0), 0
	for i, p := range out.Parts {
		if p.File != parts[i] {
			t.Errorf("part %d is %s", i, p.File)
		}
		sum, tensors = sum+p.Bytes, tensors+p.Tensors
	}
	if out.File != parts[0] || sum != out.Description.FileBytes || tensors != len(out.Tensors) || out.Tensors[9].Part != 1 || out.Tensors[10].Part != 2 {
		t.Errorf("%+v", out.Parts)
	}
	if _, stdout, _ := llmscale("inspect", "--tensors", parts[1]); strings.Count(stdout, " of part 2\n") != 10 {
		t.Errorf("the list does not say in which part a tensor lies:\n%s", stdout)
	}
	if err := os.Rename(parts[1], parts[1]+".part"); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := llmscale("inspect", parts[2]); code != exitUsage || stdout != "" || !strings.Contains(stderr, parts[2]+" is part 3 of 3, but there is no "+parts[1]) {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

func TestInspectSeveral(t *testing.T) {
	dir := t.TempDir()
	small := synthFile(t, filepath.Join(dir, "small f32.gguf"), "tiny-gpt2", "f32")
	quant := synthFile(t, filepath.Join(dir, "quant-q4_0.gguf"), "gpt2-1m", "q8_0") // its name is wrong
	parts := gguftest.SplitEvenly(t, synthFile(t, filepath.Join(t.TempDir(), "big.gguf"), "gpt2-5m", "f16"), dir, 3)
	code, stdout, stderr := llmscale(slices.Concat([]string{"inspect", "--context", "512", small, quant}, parts)...)
	if code != exitDone || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], "file ") {
		t.Fatalf("want a head, three models and a note:\n%s", stdout)
	}
	for i, want := range [][]string{
		{small, "gpt2", "f32", "32.00", "F32", "2 of 2", "100 %", "512"},
		{quant, "gpt2", "11.52", "Q8_0", "3 of 3", "512"},
		{filepath.Join(dir, "big") + " (3 parts)", "17.45", "F16", "12 of 12", "512"},
		{quant + ": by the file name it is Q4_0, by general.file_type Q8_0"},
	} {
		for _, w := range want {
			if !strings.Contains(lines[i+1], w) {
				t.Errorf("no %q in %s", w, lines[i+1])
			}
		}
	}

	// As JSON: an array if more than one was asked for, even if they turn out to be one.
	decode := func(args ...string) (out []inspect.Model) {
		t.Helper()
		_, stdout, stderr := llmscale(append([]string{"inspect", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(stdout), &out); err != nil {
			t.Fatalf("%v: %v: %s", args, err, stderr)
		}
		return out
	}
	if out := decode(parts...); len(out) != 1 || len(out[0].Parts) != 3 {
		t.Errorf("three parts give %d models", len(out))
	}
	out := decode(small, quant)
	if len(out) != 2 || out[0].File != small || out[1].Label.Others[0].Name != "Q4_0" || out[1].Label.LayersOfType != 3 {
		t.Errorf("%+v", out)
	}
	for _, in := range out {
		if d := in.Description; in.BitsPerWeight != 8*float64(d.WeightBytes)/float64(d.ParamsTotal) {
			t.Errorf("%s: %v bits per weight", in.File, in.BitsPerWeight)
		}
	}

	// One that cannot be read keeps the others from nothing but a good end.
	missing, folder := filepath.Join(dir, "nosuch.gguf"), dir
	code, stdout, stderr = llmscale("inspect", small, missing, quant, folder)
	if code != exitUsage || !strings.Contains(stdout, quant) || !strings.Contains(stderr, missing) || !strings.Contains(stderr, folder+" is a folder; want a GGUF file") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d, %q\n%s", code, stderr, stdout)
	}
	code, stdout, _ = llmscale("inspect", "--json", missing, small)
	var one []inspect.Model
	if err := json.Unmarshal([]byte(stdout), &one); code != exitUsage || err != nil || len(one) != 1 {
		t.Errorf("exit code %d, %v: %s", code, err, stdout)
	}
	for want, args := range map[string][]string{
		"takes GGUF files or ollama:NAME": {}, "--tensors prints the list of one model": {"--tensors", small, quant}, "nosuch.gguf": {"--json", missing},
	} {
		if code, stdout, stderr := llmscale(append([]string{"inspect"}, args...)...); code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%v: exit code %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

// A store has no names by which a part's others could be found.
func TestInspectPartInStore(t *testing.T) {
	dir := t.TempDir()
	part := gguftest.SplitEvenly(t, synthFile(t, filepath.Join(dir, "m.gguf"), "tiny-gpt2", "f16"), dir, 2)[0]
	t.Setenv("OLLAMA_MODELS", writeStoreOf(t, part))
	code, stdout, stderr := llmscale("inspect", "ollama:small:f16")
	if code != exitUsage || stdout != "" || !strings.Contains(stderr, "is part 1 of 2, which its name does not say") {
		t.Errorf("exit code %d, %q", code, stderr)
	}
}

// Names out of a file stay on their line and in their cell; sizes have no exponent however large.
func TestInspectPrintsSafely(t *testing.T) {
	path := synthFile(t, filepath.Join(t.TempDir(), "m.gguf"), "tiny-gpt2", "f32")
	evil := gguftest.Alter(t, path, func(v map[string]any, specs []gguf.Spec) []gguf.Spec {
		v["general.name"] = "a\tb\nc\x1b[31m\u202e"
		specs[len(specs)-1].Name = "e\n\x1b[2J"
		return specs
	})
	code, stdout, stderr := llmscale("inspect", "--tensors", "--context", fmt.Sprint(int64(1)<<37), evil)
	if code != exitDone {
		t.Fatal(stderr)
	}
	if strings.ContainsAny(stdout, "\x1b\u202e\t") || !strings.Contains(stdout, `a\tb\nc\x1b[31m\u202e`) || !strings.Contains(stdout, `e\n\x1b[2J`) {
		t.Errorf("%q", stdout)
	}
	if strings.Contains(stdout, "e+") || !strings.Contains(stdout, " TiB") {
		t.Errorf("a cache of 2^37 tokens is told as\n%s", stdout)
	}
}

// Every name in the JSON is in snake case, with a unit where it has one.
func TestInspectJSONNames(t *testing.T) {
	path := synthFile(t, filepath.Join(t.TempDir(), "m.gguf"), "tiny-gpt2", "f16")
	inspected := func(arg string) (out map[string]any) {
		t.Helper()
		_, stdout, stderr := llmscale("inspect", "--json", "--tensors", arg)
		if err := json.Unmarshal([]byte(stdout), &out); err != nil {
			t.Fatal(err, stderr)
		}
		return out
	}
	out := inspected(path)
	t.Setenv("OLLAMA_MODELS", writeStoreOf(t, path))
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(at+"[]", x)
			}
		case map[string]any:
			for name, x := range v {
				if name != strings.ToLower(name) && at != "description.weight_types" {
					t.Errorf("%s has a field %q", at, name)
				}
				walk(strings.TrimPrefix(at+"."+name, "."), x)
			}
		}
	}
	walk("", out)
	walk("", inspected("ollama:small:f16"))
	x := out["tensors"].([]any)[0].(map[string]any)
	for _, name := range []string{"name", "type", "dims", "elements", "part", "offset_bytes", "size_bytes"} {
		if _, ok := x[name]; !ok {
			t.Errorf("a tensor has no %q: %v", name, x)
		}
	}
	if x["type"] != "f16" || len(x) != 7 {
		t.Errorf("%v", x)
	}
}
