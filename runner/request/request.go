package request

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/sources"
)

// Name is what a config that a command line makes is called, in messages and in a run's manifest.
const Name = "command line"

// Request is what a command line asks for.
type Request struct {
	Args   []string            // the command line without the program, for the config's head
	Dir    string              // the current folder
	Values map[string][]string // of flags, by key; see Values
	Sweep  map[string]int64    // of keys of the file itself: replicates, seed, ...
	Device string              // where Values has none
	Quick  bool
	Models []sources.Model // set by Make

	blocks int // that --quick has time for; 0: no more than it must have

	MaxParams *int64 // larger models are left out; nil: none is
}

// quick has what --quick puts in the place of defaults; Choose may find time for more blocks.
var quick = map[string]string{"prompt_tokens": "128", "gen_tokens": "32", "replicates": "3", "repetitions": "2", "remeasure_blocks": "0"}

// values of a key: the flag's, or the default of this request; nil: the config's own.
func (q *Request) values(key string) []string {
	if v := q.Values[key]; v != nil {
		return v
	}
	if v, ok := q.Sweep[key]; ok {
		return []string{strconv.FormatInt(v, 10)}
	}
	if key == "replicates" && q.blocks > 0 {
		return []string{strconv.Itoa(q.blocks)}
	}
	if v, ok := quick[key]; ok && q.Quick {
		return []string{v}
	}
	switch key {
	case "prompt_tokens":
		return []string{defaultPrompt}
	case "device":
		return []string{q.Device}
	}
	return nil
}

var wholeNumber = regexp.MustCompile(`^[0-9]+$`)

// one is a key's value where it is one number.
func (q *Request) one(key string) (string, bool) {
	v := q.values(key)
	if len(v) != 1 || !wholeNumber.MatchString(v[0]) {
		return "", false
	}
	return v[0], true
}

func (q *Request) anyModel(made bool) bool {
	return slices.ContainsFunc(q.Models, func(m sources.Model) bool { return m.Made == made })
}

// Config is the config of the request. Its errors name flags and arguments.
func (q *Request) Config() (*config.Config, error) {
	if types := q.Values["dtype"]; types != nil && !q.anyModel(true) {
		return nil, fmt.Errorf("%s %s: no model here has to be written; the others keep the types of their files", shown("dtype"), strings.Join(types, ","))
	}
	cfg, err := config.ParseAt(Name, q.Dir, q.text())
	return cfg, q.Explain(err)
}

// text is the config as a file.
func (q *Request) text() []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	words := []string{"llmscale"}
	for _, a := range q.Args {
		words = append(words, text.Arg(a))
	}
	line("# Written by llmscale for this command line. `llmscale sweep --config` with this file does the same again.")
	line("#   %s", text.OneLine(strings.Join(words, " ")))
	line("run_name: sweep")
	keys := func(table, indent string, has func(key string) bool) {
		for _, t := range config.Tables() {
			for _, f := range t.Fields {
				if v := q.values(f.Key); t.Name == table && v != nil && has(f.Key) {
					line("%s%s: %s", indent, f.Key, scalars(v))
				}
			}
		}
	}
	_, ofAll := q.one("gen_tokens")
	keys("", "", func(key string) bool { return key != "gen_tokens" || ofAll })

	name := "prompt"
	if p, ok := q.one("prompt_tokens"); ok {
		name = "p" + p
	}
	line("\nscenarios:\n  - name: %s", name)
	keys("scenarios", "    ", func(key string) bool { return key != "gen_tokens" || !ofAll })

	line("\nbackends:")
	device := q.values("device")[0]
	backend := func(name string, types ...string) {
		line("  - name: %s", scalars([]string{name}))
		if types != nil {
			line("    dtype: %s", scalars(types))
		}
		keys("backends", "    ", func(key string) bool { return key != "dtype" })
	}
	if q.anyModel(false) {
		backend(device)
	}
	if q.anyModel(true) {
		types := q.Values["dtype"]
		if types == nil {
			types = []string{defaultType}
		}
		for _, t := range types { // one each, since a list would take the name of the backend of files
			backend(device+"_"+t, t)
		}
	}
	line("\nmodels:")
	for _, m := range q.Models {
		about := text.Count(m.Params) + " parameters"
		if m.Bytes > 0 {
			about += ", " + m.Type + ", " + text.Size(m.Bytes)
		}
		line("  - name: %s\n    source: %s # %s", nameText(m.Name), strconv.Quote(m.Source), about)
		if !m.Made && q.anyModel(true) {
			line("    backends: [%s]", scalars([]string{device}))
		}
	}
	return b.Bytes()
}

// plain is a scalar that needs no quotes.
var plain = regexp.MustCompile(`^-?[A-Za-z0-9][A-Za-z0-9_.:+*-]*$`)

// scalars are values as YAML has them: one, or a list.
func scalars(values []string) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v
		if !plain.MatchString(v) || strings.HasSuffix(v, ":") {
			out[i] = strconv.Quote(v)
		}
	}
	if len(out) == 1 {
		return out[0]
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// nameText is a name as YAML has it: of 123 or true it would make something else.
func nameText(name string) string {
	out, err := yaml.Marshal(name)
	if err != nil {
		panic("request: " + err.Error()) // it is a text
	}
	return strings.TrimSpace(string(out))
}

// field takes apart where an error of a config is.
var field = regexp.MustCompile(`^(?:(\w+)\[(\d+)\](?:$|\.))?(\w*)(?:\[\d+\])?$`)

// Explain makes an error of the config one of the command line: it names the flag or the argument, and no line of a file that
// nobody wrote.
func (q *Request) Explain(err error) error {
	var list config.Errors
	if one := (*config.Error)(nil); !errors.As(err, &list) && errors.As(err, &one) {
		list = config.Errors{one}
	}
	var out config.Errors
	for _, e := range list {
		if e.File != Name {
			return err
		}
		said := config.Error{Field: q.where(e.Field), Msg: e.Msg}
		if e.Field == "max_cells" {
			msg, _, _ := strings.Cut(e.Msg, ". Choose")
			said = config.Error{Msg: msg + "; name fewer models, or fewer values of flags"}
		}
		// A flag is in each entry of backends.
		if !slices.ContainsFunc(out, func(o *config.Error) bool { return *o == said }) {
			out = append(out, &said)
		}
	}
	if out == nil {
		return err
	}
	return out
}

func (q *Request) where(at string) string {
	sub := field.FindStringSubmatch(at)
	if sub == nil {
		return "flags"
	}
	if i, err := strconv.Atoi(sub[2]); err == nil && sub[1] == "models" && i < len(q.Models) {
		if m := q.Models[i]; m.Arg != "" {
			return text.Arg(m.Arg)
		}
		return q.Models[i].Name
	}
	if sub[3] == "" {
		return "flags"
	}
	return shown(sub[3])
}

// shown is the flag of a key as a message names it.
func shown(key string) string {
	name := strings.ReplaceAll(key, "_", "-")
	if f := Find(Flags(), name); f.Name != "" {
		return f.shown()
	}
	if short := Short(key); short != nil {
		return "-" + short[0] + ", --" + name
	}
	return "--" + name
}
