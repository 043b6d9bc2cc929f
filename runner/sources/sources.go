// Package sources finds the models that a command line means: by what it names, a file, a folder or a model in Ollama's
// store, and where it names nothing, in the places where programs keep models. It reads headers and writes nothing.
package sources

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"llmscale/gguf"
	"llmscale/gguf/hf"
	"llmscale/gguf/ledger"
	"llmscale/gguf/ollamastore"
	"llmscale/gguf/synth"
	"llmscale/internal/paths"
	"llmscale/internal/text"
	"llmscale/runner/config"
)

// Model is one that a source stands for.
type Model struct {
	Name   string // no other of a Found has it
	Source string // as a config has it; its paths are absolute
	Arg    string // that it comes from; "": it was found
	Chosen bool   // it was named itself, and not what holds it
	Made   bool   // it has no file of its own: one is written, in a type that the sweep names
	Place  string // where it lies, for people

	Params int64
	Bytes  int64  // of the file; 0 for what is made
	Type   string // the file's label ("Q4_K_M"), else the type that holds most weight bytes; "" for what is made

	path string // of the file, or the first of several
	base string // what its name is made of
}

// LeftOut is something that looked like a model.
type LeftOut struct{ What, Why string }

func (l LeftOut) String() string {
	if strings.Contains(l.Why, l.What) {
		return "left out: " + l.Why
	}
	return fmt.Sprintf("left out: %s: %s", l.What, l.Why)
}

// Found is what a search found.
type Found struct {
	Models  []Model // smallest first
	LeftOut []LeftOut
	Places  []string // that were searched without being named
}

// Named finds the models of a command line's arguments. What cannot be used is an error where it was named itself, and
// left out where a folder or a store has it beside others.
func Named(args []string) (Found, error) {
	var f finder
	for _, arg := range args {
		before, left := len(f.Models)+f.again, len(f.LeftOut)
		if err := f.argument(arg); err != nil {
			if arg == "" || !strings.Contains(err.Error(), arg) {
				err = fmt.Errorf("%s: %w", text.Arg(arg), err)
			}
			return Found{}, err
		}
		if len(f.Models)+f.again == before {
			why := "there is no model in it"
			if len(f.LeftOut) > left {
				why = fmt.Sprintf("no model in it can be measured: %s", f.LeftOut[left].Why)
			}
			return Found{}, fmt.Errorf("%s: %s", text.Arg(arg), why)
		}
	}
	return f.done(), nil
}

// finder collects models and knows those that it has.
type finder struct {
	Found
	seen  map[string]int // keys of models, of which these are the places in Models
	infos []info         // of their files
	again int            // models that were named or found once more
}

type info struct {
	os.FileInfo
	model int
}

var yamlName = regexp.MustCompile(`\.ya?ml$`)

func (f *finder) argument(arg string) error {
	kind, rest, colon := strings.Cut(arg, ":")
	m, err := config.ParseSource(literal(arg), ".")
	switch {
	case arg == "":
		return errors.New("it is empty: name a model, or leave it out")
	case yamlName.MatchString(arg) && kind != config.KindGGUF:
		return fmt.Errorf("a config is no source; did you mean --config %s?", text.Arg(arg))
	case colon && kind == config.KindOllama && rest == "":
		return f.store(arg)
	case colon && err == nil && m.Kind != config.KindGGUF:
		return f.special(arg, m, rest)
	case colon && err == nil && kind == config.KindGGUF:
		return f.path(arg, rest)
	}
	_, statErr := os.Stat(arg)
	if statErr == nil || err == nil { // a word that is no source may be a folder
		return f.path(arg, arg)
	}
	if store, err := ollamastore.Default(); err == nil {
		if _, err := store.Resolve(arg); err == nil {
			return fmt.Errorf("there is no such file; did you mean ollama:%s?", text.Arg(arg))
		}
	}
	if !colon {
		return errors.New("there is no such file or folder; other sources have a kind before a colon, for example ollama:NAME or ladder:llama")
	}
	return err
}

// literal is a path as a config has it, where $ begins a variable.
func literal(path string) string { return strings.ReplaceAll(path, "$", "$$") }

// special is for a source that is neither file nor folder of files; rest is what stands behind its colon.
func (f *finder) special(arg string, m config.Model, rest string) error {
	one := Model{Source: arg, Arg: arg, Chosen: true, Made: m.NeedsDType(), base: m.Preset}
	switch m.Kind {
	case config.KindOllama:
		store, err := ollamastore.Default()
		if err != nil {
			return err
		}
		return f.stored(store, m.Preset, arg, true)
	case config.KindLadder:
		if !strings.Contains(m.Preset, "/") {
			rungs, err := synth.Rungs(m.Preset, 0)
			for _, r := range rungs {
				one.Source, one.base, one.Params, one.Chosen = r.Source(), r.Name, r.Params(), false
				f.add(one)
			}
			return err
		}
		fallthrough
	case config.KindSynth, config.KindShape:
		s, err := synth.Lookup(arg)
		if err == nil {
			one.Params = s.Params()
			f.add(one)
		}
		return err
	}
	path, err := paths.Absolute(rest)
	if err == nil {
		err = text.CheckPath("it", path)
	}
	if err != nil {
		return err
	}
	one.Source, one.path = m.Kind+":"+literal(path), path
	if m.Kind == config.KindHF {
		folder, err := hf.Open(path)
		if err != nil {
			return err
		}
		one.base = folder.Name()
		d, err := folder.Describe("f16")
		one.Params = d.ParamsTotal
		if err = errors.Join(err, folder.Close()); err == nil {
			f.add(one)
		}
		return err
	}
	// The twin of a file has its types, and so its size.
	if err := one.describe(); err != nil {
		return err
	}
	one.base += "-twin"
	f.add(one)
	return nil
}

// stored finds a model in Ollama's store.
func (f *finder) stored(store *ollamastore.Store, name, arg string, chosen bool) error {
	got, err := store.Resolve(name)
	if err != nil {
		return err
	}
	m := Model{Source: "ollama:" + got.Name, Arg: arg, Chosen: chosen, Place: "Ollama", path: got.Path}
	if m.path, err = paths.Absolute(m.path); err != nil {
		return err
	}
	if err := m.describe(); err != nil {
		return err
	}
	m.base = got.Name
	f.add(m)
	return nil
}

// store finds all models in Ollama's store.
func (f *finder) store(arg string) error {
	store, err := ollamastore.Default()
	if err != nil {
		return err
	}
	names, err := store.List()
	for _, n := range names {
		if err := f.stored(store, n.DisplayShortest(), arg, false); err != nil {
			f.leaveOut("ollama:"+n.DisplayShortest(), err)
		}
	}
	return err
}

// path finds the model of a file, or those of a folder.
func (f *finder) path(arg, path string) error {
	st, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return f.file(Model{Arg: arg, Chosen: true}, path)
	}
	found, left := walk(path, 0)
	if len(found) == 0 {
		found, left = walk(path, belowNamed)
	}
	f.LeftOut = append(f.LeftOut, left...)
	if len(found) == 0 && len(left) == 0 {
		if _, err := os.Stat(filepath.Join(path, "config.json")); err == nil {
			return fmt.Errorf("this folder has no GGUF file; if it is a Hugging Face model, write hf:%s", text.Arg(arg))
		}
		return errors.New("this folder has no GGUF file, nor has one below it")
	}
	f.files(Model{Arg: arg, Place: "folder " + filepath.Base(path)}, found)
	return nil
}

// files adds the models of a folder's files. Of one in parts the first stands for all.
func (f *finder) files(like Model, found []string) {
	for _, path := range found {
		if first := firstPart(path); first != path && slices.Contains(found, first) {
			continue
		}
		if err := f.file(like, path); err != nil {
			f.leaveOut(path, err)
		}
	}
}

func (f *finder) file(m Model, path string) (err error) {
	// What the system cannot open as a file, a pipe for one, must not be waited for.
	if st, err := os.Stat(path); err != nil {
		return err
	} else if !st.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", path)
	}
	if m.path, err = paths.Absolute(path); err != nil {
		return err
	}
	if err := text.CheckPath("the model", m.path); err != nil {
		return err
	}
	if err := m.describe(); err != nil {
		return err
	}
	m.Source = literal(m.path)
	f.add(m)
	return nil
}

// describe reads the header of the model's file.
func (m *Model) describe() error {
	file, err := gguf.Open(m.path)
	if err != nil {
		return err
	}
	defer file.Close()
	d, err := ledger.Describe(file)
	if err != nil {
		return err
	}
	if why := d.DecodeRefusal(); why != "" && !m.Chosen { // else the plan tells, and the run keeps the reason
		return fmt.Errorf("%s cannot be measured: %s", m.path, why)
	}
	label, err := ledger.LabelOf(file)
	if err != nil {
		return err
	}
	m.path = file.Path
	m.base = filepath.Base(gguf.Stem(m.path))
	m.Params, m.Bytes, m.Type = d.ParamsTotal, d.FileBytes, d.WeightType
	if label != nil {
		m.Type = label.Name
	}
	return nil
}

func (f *finder) leaveOut(what string, err error) {
	f.LeftOut = append(f.LeftOut, LeftOut{what, text.OneLine(paths.Explain(err))})
}

// blob is how Ollama and the Hugging Face hub call a file: by the hash of what it holds.
var blob = regexp.MustCompile(`^(?:sha256-)?([0-9a-f]{64})$`)

// add adds a model unless it is there already, under whatever name. One that a folder has and that is named itself too is
// chosen.
func (f *finder) add(m Model) {
	keys, at := []string{m.Source}, len(f.Models)
	if m.path != "" && !m.Made {
		kind, _, _ := strings.Cut(m.Source, ":")
		twin := map[bool]string{true: "like:"}[kind == config.KindLike]
		real, err := filepath.EvalSymlinks(m.path)
		if err != nil {
			real = m.path
		}
		keys = append(keys, twin+real)
		if sub := blob.FindStringSubmatch(filepath.Base(real)); sub != nil {
			keys = append(keys, twin+sub[1])
		}
		if st, err := os.Stat(real); err == nil && twin == "" {
			if i := slices.IndexFunc(f.infos, func(other info) bool { return os.SameFile(st, other.FileInfo) }); i >= 0 {
				at = f.infos[i].model
			}
			f.infos = append(f.infos, info{st, at})
		}
	}
	for _, k := range keys {
		if i, ok := f.seen[k]; ok {
			at = i
		}
	}
	if at < len(f.Models) {
		f.again++
		f.Models[at].Chosen = f.Models[at].Chosen || m.Chosen
		return
	}
	if f.seen == nil {
		f.seen = map[string]int{}
	}
	for _, k := range keys {
		f.seen[k] = at
	}
	f.Models = append(f.Models, m)
}

// done sorts the models and names them.
func (f *finder) done() Found {
	slices.SortStableFunc(f.Models, func(a, b Model) int { return cmp.Or(cmp.Compare(a.Params, b.Params), cmp.Compare(a.Bytes, b.Bytes)) })
	setNames(f.Models)
	return f.Found
}
