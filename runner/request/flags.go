// Package request makes the config that a command line amounts to: the models that it names or that were found, and its
// flags, each of which is a key of a config. The text is read like a file, so that what is refused is refused in the same
// words, and a run's copy of it repeats the run.
package request

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"llmscale/internal/text"
	"llmscale/runner/config"
)

// Flag is a flag that stands for a key of a config.
type Flag struct {
	Name  string // as in --prompt-tokens
	Short string // another name, llama-bench's; "": it has none
	Usage string
	Help  string // its default
	Key   string
	List  bool // it takes several values

	field config.Field
}

// Defaults of keys that a config must state, or that a sweep of somebody's own models has otherwise.
const (
	defaultPrompt = "512" // as llama-bench's
	defaultType   = "f16"
)

// The two flags by which llama-bench's users set the cache's type.
const (
	typeK = "cache-type-k"
	typeV = "cache-type-v"
)

// Flags are those of the keys that take lists, except paths, and of the device.
func Flags() (out []Flag) {
	for _, t := range config.Tables() {
		for _, f := range t.Fields {
			if f.Axis && f.Type != config.Text || t.Name == "backends" && f.Key == "device" {
				out = append(out, flagOf(f))
			}
		}
	}
	for name, what := range map[string]string{typeK: "keys", typeV: "values"} {
		f := Find(out, "kv-type")
		f.Name, f.Short, f.Help, f.Usage = name, map[string]string{typeK: "ctk", typeV: "ctv"}[name], "", "Type of the cache's "+what+", the same for both: --kv-type sets them at once"
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b Flag) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Short is the other name of a flag that stands for a key of the file itself, if it has one.
func Short(key string) []string {
	for _, f := range config.Tables()[0].Fields {
		if f.Key == key && f.Flag != "" {
			return []string{f.Flag}
		}
	}
	return nil
}

// Find is the flag of a name, short or long; its Name is empty where there is none.
func Find(all []Flag, name string) Flag {
	i := slices.IndexFunc(all, func(f Flag) bool { return f.Name == name || f.Short == name && name != "" })
	if i < 0 {
		return Flag{}
	}
	return all[i]
}

// inDocs is what a text for a page has beside its words: marks, and links to other pages.
var inDocs = regexp.MustCompile("`| \\(\\[[^]]*\\]\\([^)]*\\)\\)")

func flagOf(f config.Field) Flag {
	out := Flag{Name: strings.ReplaceAll(f.Key, "_", "-"), Short: f.Flag, Key: f.Key, List: f.Axis, field: f}
	doc, _, _ := strings.Cut(inDocs.ReplaceAllString(f.Doc, ""), ". ")
	doc = strings.TrimSuffix(doc, ".")
	if f.Unit != "" {
		doc += " (" + f.Unit + ")"
	}
	if f.Values != nil {
		doc += ": " + text.List(f.Values, "or")
	}
	out.Usage = doc
	if out.Help = inDocs.ReplaceAllString(f.Default+f.DefaultDoc, ""); out.Help == "0" { // which the text explains
		out.Help = ""
	}
	switch f.Key {
	case "prompt_tokens":
		out.Help = defaultPrompt
	case "gen_tokens":
		out.Help = sweepDefault("gen_tokens")
	case "dtype":
		out.Help = defaultType
	case "device":
		out.Help = "cuda where this program can use a GPU, else cpu"
	}
	return out
}

// sweepDefault is the default of a key of the file itself.
func sweepDefault(key string) string {
	for _, f := range config.Tables()[0].Fields {
		if f.Key == key {
			return f.Default
		}
	}
	return ""
}

// shown is the flag as a message names it, with both of its names.
func (f Flag) shown() string {
	switch {
	case f.Short == "":
		return "--" + f.Name
	case len(f.Short) > len("ngl"):
		return "--" + f.Short + ", --" + f.Name
	}
	return "-" + f.Short + ", --" + f.Name
}

// benchRange is how llama-bench writes a range.
var benchRange = regexp.MustCompile(`^(\d+)-(\d+)([+*]\d+)?$`)

// Values are those of the flags that were given, by key, as a config has them. given returns a flag's values, and whether it
// was given.
func Values(given func(f Flag) ([]string, bool)) (map[string][]string, error) {
	out := map[string][]string{}
	all := Flags()
	for _, f := range all {
		values, ok := given(f)
		if !ok {
			continue
		}
		if slices.Contains(values, "") {
			return nil, fmt.Errorf("%s is empty, or has an empty value between two commas", f.shown())
		}
		for i, v := range values {
			switch {
			case f.field.Type == config.Int:
				values[i] = benchRange.ReplaceAllString(v, "$1..$2$3")
			case f.field.Type == config.Bool && v == "0":
				values[i] = "false"
			case f.field.Type == config.Bool && v == "1":
				values[i] = "true"
			}
		}
		key := f.Key
		if f.Name == typeK || f.Name == typeV {
			key = f.Name
		}
		out[key] = values
	}
	k, v := out[typeK], out[typeV]
	delete(out, typeK)
	delete(out, typeV)
	switch {
	case k == nil && v == nil:
	case out["kv_type"] != nil:
		return nil, errors.New("--kv-type says what -ctk and -ctv say: keep one")
	case !slices.Equal(k, v):
		return nil, fmt.Errorf("the cache has one type for keys and values here: give -ctk and -ctv the same (%s), or --kv-type alone", text.List(slices.Concat(k, v), "or"))
	default:
		out["kv_type"] = k
	}
	return out, nil
}
