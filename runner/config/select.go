package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"llmscale/internal/text"
)

// Pair is a model under a backend: what one worker process measures, with all
// scenarios.
type Pair struct {
	Model   Model
	Backend Backend
}

// Runs tells whether the model runs under the backend. A model with a backends
// list runs under those. Without one, a model that has its own types runs under
// every backend, and one that is written in a type under every backend that
// names one it can be written in.
func (c *Config) Runs(m Model, b Backend) bool {
	if !m.writable(b) {
		return false
	}
	return m.Backends == nil || slices.ContainsFunc(m.Backends, func(name string) bool { return called(b, name) })
}

// Pairs lists what is to be run: models in the file's order, each with its
// backends in the file's order.
func (c *Config) Pairs() []Pair {
	var out []Pair
	for _, m := range c.Models {
		for _, b := range c.Backends {
			if c.Runs(m, b) {
				out = append(out, Pair{m, b})
			}
		}
	}
	return out
}

// Filter keeps the named models, backends and scenarios, in the file's order;
// an empty list keeps all. The name of an entry with lists keeps all that they
// make, a name that they make that one. A name that the file does not have is an error that
// lists those it has. Models and backends that are left without a partner go
// too, except those that were asked for by name: that is an error. After an
// error c is unchanged.
func (c *Config) Filter(models, backends, scenarios []string) error {
	var errs Errors
	fail := func(field, format string, args ...any) {
		errs = append(errs, &Error{File: c.file, Field: field, Msg: fmt.Sprintf(format, args...)})
	}
	next := c.clone()
	next.Models = pick(c.Models, models, "model", fail)
	next.Backends = pick(c.Backends, backends, "backend", fail)
	next.Scenarios = pick(c.Scenarios, scenarios, "scenario", fail)
	if err := errs.orNil(); err != nil {
		return err
	}
	hasModel, hasBackend := map[string]bool{}, map[string]bool{}
	for _, p := range next.Pairs() {
		hasModel[p.Model.Name], hasBackend[p.Backend.Name], hasBackend[entryName(p.Backend)] = true, true, true
	}
	for _, name := range models {
		if !hasModel[name] {
			fail("models", "%s runs under none of the chosen backends; in the file it runs under %s", name, text.List(c.partners(name, ""), "and"))
		}
	}
	for _, name := range backends {
		if !hasBackend[name] {
			fail("backends", "%s runs none of the chosen models; in the file it runs %s", name, text.List(c.partners("", name), "and"))
		}
	}
	if err := errs.orNil(); err != nil {
		return err
	}
	next.Models = slices.DeleteFunc(next.Models, func(m Model) bool { return !hasModel[m.Name] })
	next.Backends = slices.DeleteFunc(next.Backends, func(b Backend) bool { return !hasBackend[b.Name] })
	*c = next
	return nil
}

// partners lists the backends of a model, or the models of a backend.
func (c *Config) partners(model, backend string) (out []string) {
	for _, p := range c.Pairs() {
		switch {
		case p.Model.Name == model:
			out = append(out, p.Backend.Name)
		case called(p.Backend, backend) && !slices.Contains(out, p.Model.Name):
			out = append(out, p.Model.Name)
		}
	}
	return out
}

func pick[T named](all []T, names []string, what string, fail func(field, format string, args ...any)) []T {
	if len(names) == 0 {
		return slices.Clone(all)
	}
	file, lists := knownNames(all)
	for _, name := range names {
		if !slices.Contains(file, name) && !slices.Contains(lists, name) {
			fail(what+"s", "%s", noSuch(what, name, file, lists...))
		}
	}
	var out []T
	for _, v := range all {
		if slices.ContainsFunc(names, func(name string) bool { return called(v, name) }) {
			out = append(out, v)
		}
	}
	return out
}

// Expand puts what expand makes of each model in its place. Names must stay
// different. After an error c is unchanged.
func (c *Config) Expand(expand func(Model) ([]Model, error)) error {
	var out []Model
	seen := map[string]bool{}
	for _, m := range c.Models {
		list, err := expand(m)
		if err != nil {
			return &Error{c.file, m.at.line, m.at.col, "model " + m.Name, err.Error()}
		}
		for _, x := range list {
			if seen[x.Name] {
				return &Error{c.file, m.at.line, m.at.col, "model " + m.Name, "makes a second model " + quote(x.Name) + "; give one of them another name"}
			}
			seen[x.Name] = true
		}
		out = append(out, list...)
	}
	c.Models = out
	return nil
}

// Overrides are values that stand in for the file's. Nil keeps the file's.
type Overrides struct {
	Replicates        *int
	Repetitions       *int
	WarmupRepetitions *int
	GenTokens         *int
	Seed              *int64
}

// Override puts o's values in place of the file's, under the same rules as in
// the file. After an error c is unchanged.
func (c *Config) Override(o Overrides) error {
	var errs Errors
	next := c.clone()
	set := func(key string, v int64) {
		f := sweepTable.find(key)
		n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v, 10)}
		if msg := f.set(f.at(&next), n); msg != "" {
			errs = append(errs, &Error{File: c.file, Field: key, Msg: msg})
		}
	}
	if o.Replicates != nil {
		set("replicates", int64(*o.Replicates))
	}
	if o.Repetitions != nil {
		set("repetitions", int64(*o.Repetitions))
	}
	if o.WarmupRepetitions != nil {
		set("warmup_repetitions", int64(*o.WarmupRepetitions))
	}
	if o.GenTokens != nil {
		set("gen_tokens", int64(*o.GenTokens))
	}
	if o.Seed != nil {
		set("seed", *o.Seed)
	}
	for _, b := range next.Backends {
		if msg := next.contextTooShort(b); msg != "" && len(errs) == 0 {
			errs = append(errs, &Error{c.file, b.at.line, b.at.col, "context_tokens of " + b.Name, msg})
		}
	}
	if err := errs.orNil(); err != nil {
		return err
	}
	*c = next
	return nil
}

func (c *Config) clone() Config {
	out := *c
	out.Scenarios = slices.Clone(c.Scenarios)
	out.Backends = slices.Clone(c.Backends)
	out.Models = slices.Clone(c.Models)
	for i, m := range out.Models {
		out.Models[i].Backends = slices.Clone(m.Backends)
	}
	return out
}

// Warnings says what is allowed but probably not meant, one line each with its
// place in the file: a dtype that changes nothing, a model that does the same work
// under two backends.
func (c *Config) Warnings() []string {
	var out []string
	for _, w := range c.idle {
		if slices.ContainsFunc(c.Backends, func(b Backend) bool { return b.Name == w.backend }) {
			out = append(out, w.line)
		}
	}
	for _, m := range c.Models {
		same := map[Backend][]string{}
		var order []Backend
		for _, b := range c.Backends {
			if !c.Runs(m, b) {
				continue
			}
			key := b
			key.Name, key.Group, key.at = "", "", mark{}
			if !m.NeedsDType() {
				key.DType = "" // the file's own types count
			}
			if same[key] == nil {
				order = append(order, key)
			}
			same[key] = append(same[key], b.Name)
		}
		for _, key := range order {
			names := same[key]
			if len(names) < 2 {
				continue
			}
			why := "which have the same settings"
			if !m.NeedsDType() {
				why = "which differ at most in dtype, and the model keeps its own types"
			}
			out = append(out, (&Error{c.file, m.at.line, m.at.col, "", fmt.Sprintf(
				"model %s does the same work under %s, %s; to measure it once, give it backends: [%s]",
				m.Name, strings.Join(names, " and "), why, names[0])}).Error())
		}
	}
	return out
}
