package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"llmscale/internal/text"
	"llmscale/runner/record"
)

// check fills in what depends on several keys and refuses what contradicts
// itself. A value that was refused already is left alone: each mistake is told
// once.
func (d *decoder) check(c *Config) {
	if c.RunName == "" {
		c.RunName = runName(d.file)
	}
	for _, pair := range [][2]string{{"target_ci", "time_budget_min"}, {"time_budget_min", "target_ci"}} {
		if at, ok := d.seen[pair[0]]; ok && (c.TargetCI > 0) != (c.TimeBudgetMin > 0) && d.seen[pair[1]].line == 0 {
			d.fail(at, pair[0], "it needs %s too: blocks are added up to the target or until the time is over, since a target may be out of reach", pair[1])
		}
	}
	dupes(d, "scenarios", c.Scenarios)
	dupes(d, "backends", c.Backends)
	dupes(d, "models", c.Models)
	for i := range c.Scenarios {
		d.checkScenario(d.entries["scenarios"][i].path)
	}
	for i := range c.Backends {
		d.checkBackend(c, &c.Backends[i], d.entries["backends"][i])
	}
	d.checkDepths(c)
	file, lists := knownNames(c.Backends)
	for i := range c.Models {
		d.checkModel(c, &c.Models[i], fmt.Sprintf("models[%d]", i), file, lists)
	}
	if len(d.errs) == 0 {
		d.checkPairs(c)
		d.idleDTypes(c)
	}
}

// runName makes a legal name of the file's, if it has one.
func runName(file string) string {
	if file == stdinName || opened.MatchString(file) {
		return "sweep"
	}
	stem := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	name := regexp.MustCompile(`[^A-Za-z0-9._:+-]+`).ReplaceAllString(stem, "-")
	name = strings.TrimLeft(name, "._:+-")
	if len(name) > maxName {
		name = name[:maxName]
	}
	if name == "" {
		return "sweep"
	}
	return name
}

// dupes refuses names that stand for two things, those that lists make included.
func dupes[T named](d *decoder, list string, all []T) {
	first := map[string]string{} // path of the entry that has the name or makes it
	for i, v := range all {
		entry, name := d.entries[list][i].path, entryName(v)
		if other, ok := first[name]; name == "" || other == entry {
			continue
		} else if ok {
			d.fail(d.seen[entry+".name"], entry+".name", "%s is the name of line %d already; names in %s must differ", quote(name), d.seen[other+".name"].line, list)
			continue
		}
		first[name] = entry
	}
	for i, v := range all {
		entry := d.entries[list][i].path
		name, group := v.names()
		if group == "" {
			continue
		}
		if other, ok := first[name]; ok {
			d.fail(d.seen[entry+".name"], entry+".name", "its lists make the name %s, which line %d has or makes already; write another", quote(name), d.seen[other+".name"].line)
			continue
		}
		first[name] = entry
	}
}

func (d *decoder) checkScenario(path string) {
	_, text := d.seen[path+".prompt"]
	n, ids := d.seen[path+".prompt_tokens"]
	switch {
	case text && ids:
		d.fail(n, path+".prompt_tokens", "a scenario has either prompt or prompt_tokens, this one has both; keep one")
	case !text && !ids && !d.bad[path]:
		d.fail(d.seen[path], path, "a scenario needs prompt (a text) or prompt_tokens (a number of random tokens)")
	}
}

// checkDepths refuses a depth that a backend cannot fill in, once for each entry of scenarios.
func (d *decoder) checkDepths(c *Config) {
	i := slices.IndexFunc(c.Backends, func(b Backend) bool { return b.Kind == KindOllama })
	if i < 0 {
		return
	}
	told := map[string]bool{}
	for k, s := range c.Scenarios {
		e := d.entries["scenarios"][k]
		if n, ok := d.place(e, "depth"); ok && s.Depth > 0 && !told[e.path] && !d.bad[n.field] {
			told[e.path] = true
			d.fail(n.mark, n.field, "must be 0 beside backend %s of kind ollama, not %d: a server's cache cannot be filled outside the time; measure depths in a file of their own", entryName(c.Backends[i]), s.Depth)
		}
	}
}

// ofGPU are the keys that mean nothing on the CPU.
var ofGPU = []string{"cuda_graphs", "token_events", "vram_limit_gib"}

func (d *decoder) checkBackend(c *Config, b *Backend, e entry) {
	path := e.path
	b.at = d.seen[path]
	if n, ok := d.place(e, "n_gpu_layers"); !ok {
		if b.Device == DeviceCUDA {
			b.NGPULayers = AllLayers
		}
	} else if b.Device == DeviceCPU && b.NGPULayers != 0 && !d.bad[path+".device"] {
		d.fail(n.mark, n.field, "must be 0 on device cpu, not %s; for layers on the GPU write device: cuda", backendTable.find("n_gpu_layers").valueText(&b.NGPULayers))
	}
	for _, key := range ofGPU {
		if n, ok := d.seen[path+"."+key]; ok && b.Device == DeviceCPU && !d.bad[path+".device"] {
			d.fail(n, path+"."+key, "means nothing on device cpu; remove it, or write device: cuda")
		}
	}
	if n, ok := d.place(e, "memory_limit_mib"); ok && b.Device == DeviceCUDA && b.MemoryLimitMiB > 0 && b.Kind == KindNative {
		d.fail(n.mark, n.field, "must be 0 on device cuda, where vram_limit_gib limits the card, not %d", b.MemoryLimitMiB)
	}
	d.checkKind(b, path)
	d.checkURL(b, path)
	d.checkProgram(b, e)
	if n, ok := d.place(e, "ubatch_tokens"); !ok {
		b.UBatchTokens = min(512, b.BatchTokens)
	} else if b.UBatchTokens > b.BatchTokens && !d.bad[path+".batch_tokens"] {
		d.fail(n.mark, n.field, "must be at most batch_tokens (%d), not %d; llama.cpp would take %d without a word%s", b.BatchTokens, b.UBatchTokens, b.BatchTokens, e.combined("batch_tokens", "ubatch_tokens"))
	}
	if n, ok := d.place(e, "batch_size"); ok && b.Kind == KindOllama && b.BatchSize > 1 {
		d.fail(n.mark, n.field, "must be 1 for kind ollama, not %d: each sequence is a request of its own, and which of them the server decodes together is its affair%s", b.BatchSize, e.combined("batch_size"))
	} else if ok && b.Kind == KindNative && b.BatchSize > b.UBatchTokens && b.UBatchTokens <= b.BatchTokens && !d.bad[n.field] {
		d.fail(n.mark, n.field, "must be at most ubatch_tokens (%d), not %d: a step decodes one token of each sequence, all at once%s", b.UBatchTokens, b.BatchSize, e.combined("batch_size", "batch_tokens", "ubatch_tokens"))
	}
	if b.KVType == "q8_0" && b.FlashAttn == "off" {
		n, _ := d.place(e, "flash_attn")
		d.fail(n.mark, n.field, "must be auto or on where kv_type is q8_0, not off; llama.cpp refuses a quantised value cache without flash attention%s", e.combined("kv_type", "flash_attn"))
	}
	if b.Pace != record.PaceCold {
		if n, ok := d.seen[path+".idle_ms"]; ok && b.Kind == KindNative && len(d.axes[path+".pace"]) == 0 && !d.bad[path+".pace"] {
			d.fail(n, path+".idle_ms", "means nothing with pace hot; remove it, or write pace: cold")
		}
		b.IdleMS = 0
	}
	if msg := c.contextTooShort(*b); msg != "" {
		d.fail(d.seen[path+".context_tokens"], path+".context_tokens", "%s", msg)
	}
}

// ofServer says, for keys that mean nothing through Ollama's API, what decides there.
var ofServer = map[string]string{
	"flash_attn":     "the server's environment decides (OLLAMA_FLASH_ATTENTION), and the API cannot change it",
	"kv_type":        "the server's environment decides (OLLAMA_KV_CACHE_TYPE), and the API cannot change it",
	"threads_batch":  "the API has one number of threads for prefill and decode",
	"batch_tokens":   "the API has one number for the batch and what is computed at once: ubatch_tokens",
	"cuda_graphs":    "the server decides",
	"program":        "the server computes",
	"token_events":   "the server has no such clock",
	"vram_limit_gib": "the server sees the whole card",
	"pace":           "what lies between two requests is the server's",
	"idle_ms":        "what lies between two requests is the server's",
	"cpu_affinity":   "the server's threads are its own",
	"prio":           "the server's threads are its own",

	"memory_limit_mib": "the server is no process of this program",
}

// checkKind refuses keys that belong to another kind of backend.
func (d *decoder) checkKind(b *Backend, path string) {
	if d.bad[path+".kind"] {
		return
	}
	if b.Kind != KindOllama {
		for _, key := range []string{"url", "import", "ban_repeats"} {
			if n, ok := d.seen[path+"."+key]; ok {
				d.fail(n, path+"."+key, "means nothing for kind %s; remove it, or write kind: ollama", b.Kind)
			}
		}
		b.BanRepeats = ""
		return
	}
	for _, key := range slices.Sorted(maps.Keys(ofServer)) {
		// What is wrong on the CPU anyway has been told.
		if n, ok := d.seen[path+"."+key]; ok && !(b.Device == DeviceCPU && slices.Contains(ofGPU, key)) {
			d.fail(n, path+"."+key, "means nothing for kind ollama: %s; remove it", ofServer[key])
		}
	}
	b.Pace, b.CPUAffinity = "", ""
}

// contextTooShort says which scenario does not fit into a context of fixed
// length. How long a text is, only the model's tokeniser knows: it is taken
// for one token here, and the worker checks it again.
func (c *Config) contextTooShort(b Backend) string {
	if b.ContextTokens == 0 {
		return ""
	}
	for _, s := range c.Scenarios {
		if prompt, gen := max(s.PromptTokens, 1), c.Gen(s); s.Depth+prompt+gen > b.ContextTokens {
			before := ""
			if s.Depth > 0 {
				before = fmt.Sprintf("%d of depth, ", s.Depth)
			}
			return fmt.Sprintf("%d tokens are too few for scenario %s: %s%d of the prompt and %d generated make %d; write 0 to fit it",
				b.ContextTokens, quote(s.Name), before, prompt, gen, s.Depth+prompt+gen)
		}
	}
	return ""
}

// checkModel has the names of the backends in the file, and of those that its lists make.
func (d *decoder) checkModel(c *Config, m *Model, path string, file, lists []string) {
	m.at = d.seen[path]
	if n, ok := d.seen[path+".vocab"]; ok && m.Source != "" && !strings.HasPrefix(m.Source, KindLadder+":") && !strings.HasPrefix(m.Source, KindShape+":") {
		d.fail(n, path+".vocab", "only a ladder: or shape: model has a vocabulary to choose; remove it")
	}
	if n, ok := d.seen[path+".params_millions"]; ok && strings.HasPrefix(m.Source, KindLadder+":") && !strings.Contains(m.Source, "/") {
		d.fail(n, path+".params_millions", "a whole ladder has a size for each rung; remove the claim")
	}
	if m.Source != "" {
		if msg := m.resolve(d.dir); msg != "" {
			d.fail(d.seen[path+".source"], path+".source", "%s", msg)
		}
	}
	for i, name := range m.Backends {
		if d.full() {
			return
		}
		p := fmt.Sprintf("%s.backends[%d]", path, i)
		switch {
		case name == "":
			if !d.bad[p] {
				d.fail(d.seen[p], p, "must not be empty")
			}
		case slices.Contains(m.Backends[:i], name):
			d.fail(d.seen[p], p, "%s stands in this list already; remove it", quote(name))
		case !slices.Contains(file, name) && !slices.Contains(lists, name):
			d.fail(d.seen[p], p, "%s", noSuch("backend", name, file, lists...))
		default:
			for _, b := range c.Backends {
				if b.Group != "" && b.Group != name && b.Name == name && slices.Contains(m.Backends, b.Group) {
					d.fail(d.seen[p], p, "%s is one of %s, which stands in this list too; keep one of the two", quote(name), b.Group)
				}
			}
		}
	}
}

// noSuch says that a name points nowhere, and what it could have been: one of the file, or one that its lists make.
func noSuch(what, name string, known []string, lists ...string) string {
	known = slices.DeleteFunc(slices.Clone(known), func(s string) bool { return s == "" })
	msg, has := fmt.Sprintf("no %s is called %s", what, quote(name)), "; the file has "
	if hint := didYouMean(name, append(slices.Clone(known), lists...)); hint != "" {
		msg, has = msg+hint, " The file has "
	}
	if len(known) == 0 {
		return msg
	}
	msg += has + text.List(known, "and")
	if len(lists) > 0 {
		msg += fmt.Sprintf(" (lists make %d names, for example %s)", len(lists), lists[0])
	}
	return msg
}

var (
	scheme   = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_+-]*):(.*)$`)
	preset   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	rung     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?$`)
	anything = regexp.MustCompile(`.`)
	variable = regexp.MustCompile(`\$(\$|\{[^{}]*\}|[A-Za-z_][A-Za-z0-9_]*)?`)
	varName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// source is a kind of source and what follows its colon.
type source struct {
	kind          string
	form, example string
	rest          *regexp.Regexp
	path          bool // rest is a path
	doc           string
}

var sources = []source{
	{KindSynth, "synth:PRESET", "synth:gpt2-5m", preset, false,
		"a GPT-2 shape with seeded random weights, written in the backend's `dtype` (`llmscale synth --list`)"},
	{KindShape, "shape:NAME", "shape:llama3.1-8b", preset, false,
		"the shape of a published model, with seeded random weights in the backend's `dtype`; not the trained model"},
	{KindLadder, "ladder:FAMILY[/RUNG]", "ladder:llama", rung, false,
		"one architecture with fixed proportions from 5M to 20B parameters, random weights in the backend's `dtype`: all rungs, as models NAME-5m, NAME-9m, ..., or one"},
	{KindLike, "like:FILE.gguf", "like:models/mine.gguf", anything, true,
		"the twin of a GGUF file: its metadata, vocabulary, tensors and types, with random weights"},
	{KindHF, "hf:FOLDER", "hf:models/gpt2", anything, true,
		"a Hugging Face folder of the GPT-2 family, converted to the backend's `dtype` once and kept by its content (docs/hugging-face.md)"},
	{KindOllama, "ollama:NAME[:TAG]", "ollama:gemma3:270m", anything, false,
		"the file that Ollama serves under that name, out of its store (docs/ollama-store.md)"},
	{KindGGUF, "gguf:PATH", "gguf:model.gguf", anything, true,
		"a GGUF file, or any part of a model in several; the prefix may be left out where the path ends in `.gguf` or has a `/`"},
}

func findSource(kind string) *source {
	for i := range sources {
		if sources[i].kind == kind {
			return &sources[i]
		}
	}
	return nil
}

// listSources returns one text of each source.
func listSources(of func(source) string) []string {
	var out []string
	for _, s := range sources {
		out = append(out, of(s))
	}
	return out
}

// resolve takes a source apart. A path's variables are expanded, and a relative
// one starts at dir, the config file's folder: a config means the same from
// wherever it is run.
func (m *Model) resolve(dir string) string {
	path, bare := m.Source, true
	m.Kind = KindGGUF
	if s := scheme.FindStringSubmatch(m.Source); s != nil {
		src := findSource(s[1])
		if src == nil {
			if best := text.Nearest(s[1], listSources(func(s source) string { return s.kind })); best != "" {
				return fmt.Sprintf("unknown source %q; did you mean %s:%s?", s[1]+":", best, clip(s[2]))
			}
			return fmt.Sprintf("unknown source %q; there are %s (which is for a path with a colon too)", s[1]+":", text.List(listSources(func(s source) string { return s.form }), "and"))
		}
		if !src.rest.MatchString(s[2]) {
			return fmt.Sprintf("must be %s, for example %s, not %s", src.form, src.example, quote(m.Source))
		}
		m.Kind = s[1]
		if !src.path {
			m.Preset = s[2]
			return ""
		}
		path, bare = s[2], false
	}
	path, msg := expand(path, "the GGUF file")
	if msg != "" {
		return msg
	}
	if bare && !strings.Contains(path, "/") && !strings.HasSuffix(path, ".gguf") {
		return fmt.Sprintf("%s is no source; write synth:%s for a GPT-2 preset (or shape:, ladder:, like:, hf:, ollama: before a name), or gguf:%s for a file of that name", quote(path), clip(path), clip(path))
	}
	m.Path, msg = from(dir, path)
	return msg
}

// from is a path whose variables are expanded, as seen from dir.
func from(dir, path string) (out, problem string) {
	if path == "~" || strings.HasPrefix(path, "~/") {
		return "", "~ is not expanded; write $HOME" + clip(strings.TrimPrefix(path, "~"))
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return path, ""
}

// expand replaces $VAR and ${VAR} by the environment's values, and $$ by $. what is the thing whose path it is.
func expand(path, what string) (out, problem string) {
	out = variable.ReplaceAllStringFunc(path, func(ref string) string {
		name := strings.Trim(ref[1:], "{}")
		switch {
		case name == "$":
			return "$"
		case !varName.MatchString(name):
			problem = fmt.Sprintf("%s names no variable; write $NAME or ${NAME}, and $$ for a dollar sign", quote(ref))
		case os.Getenv(name) == "" && problem == "":
			problem = fmt.Sprintf("the environment variable %s is not set; set it to the path of %s", name, what)
		}
		return os.Getenv(name)
	})
	return out, problem
}

// idleDTypes notes the backends whose dtype changes nothing, because every model that they run has types of its own:
// whoever wrote it may believe that the files are measured in that type. Of the whole file, whatever is chosen from it.
func (d *decoder) idleDTypes(c *Config) {
	for i, b := range c.Backends {
		n, ok := d.place(d.entries["backends"][i], "dtype")
		if !ok || slices.ContainsFunc(c.Models, func(m Model) bool { return m.NeedsDType() && c.Runs(m, b) }) {
			continue
		}
		c.idle = append(c.idle, idleDType{b.Name, (&Error{c.file, n.line, n.col, "", fmt.Sprintf(
			"dtype %s of backend %s changes nothing: the models that it runs keep the types that their files have; remove it", b.DType, b.Name)}).Error()})
	}
}

// checkPairs refuses a model that nothing runs and a backend that runs nothing:
// whoever wrote it expects rows that would never come.
func (d *decoder) checkPairs(c *Config) {
	told := map[string]bool{} // backends that cannot get at a model
	for i, m := range c.Models {
		if d.full() {
			return
		}
		path := fmt.Sprintf("models[%d]", i)
		runs := false
		for k, b := range c.Backends {
			listed := slices.IndexFunc(m.Backends, func(name string) bool { return called(b, name) })
			if p := fmt.Sprintf("%s.backends[%d]", path, listed); listed >= 0 && !m.writable(b) {
				switch {
				case b.DType == "":
					d.fail(d.seen[p], p, "backend %s has no dtype, so it does not say in which type to write a %s: model; give it one, or take it off this list", b.Name, m.Kind)
				case m.Backends[listed] == b.Group:
					d.fail(d.seen[p], p, "backend %s has dtype %s, in which a %s: model cannot be written; name the others of %s one by one", b.Name, b.DType, m.Kind, b.Group)
				default:
					d.fail(d.seen[p], p, "backend %s has dtype %s, in which a %s: model cannot be written; take it off this list", b.Name, b.DType, m.Kind)
				}
			}
			if c.Runs(m, b) {
				runs = true
				if path := d.entries["backends"][k].path; b.Kind == KindOllama && !b.Import && m.Kind != KindOllama && !told[path] {
					told[path] = true
					d.fail(b.at, path, "model %s is not one of Ollama's own: write import: true, so that it is made on the server for the time of measuring, or give the model a backends list without %s", m.Name, entryName(b))
				}
			}
		}
		if !runs && m.Backends == nil {
			d.fail(m.at, path, "model %s runs under no backend: a %s: model needs one with a dtype that it can be written in; add for example {%s}", m.Name, m.Kind, backendTable.example)
		}
	}
	for i, b := range c.Backends {
		if !slices.ContainsFunc(c.Models, func(m Model) bool {
			return c.Runs(m, b) || slices.ContainsFunc(m.Backends, func(name string) bool { return called(b, name) })
		}) {
			why := "every model's backends list leaves it out"
			if b.DType == "" && !slices.ContainsFunc(c.Models, func(m Model) bool { return !m.NeedsDType() }) {
				why = "without a dtype it runs only models that have their own types"
			}
			d.fail(b.at, d.entries["backends"][i].path, "no model runs under %s: %s; change that or remove the backend", b.Name, why)
		}
	}
}
