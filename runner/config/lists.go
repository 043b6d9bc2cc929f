package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"llmscale/internal/text"
)

// A key whose Field says Axis takes a list of values or a range. The entry that
// has such keys becomes one for each combination, as if they stood in the file
// one by one: whatever reads a Config knows nothing of lists, except by Group.

// axisValue is one value of a list, as if it stood alone.
type axisValue struct {
	node  *yaml.Node
	place place
}

// place is where a value stands, and what it is called in an error.
type place struct {
	mark
	field string // backends[0].threads[1]
}

// entry is where a member of Config's lists comes from: several have one path where lists made them.
type entry struct {
	path string
	at   map[string]place // of keys with lists or ranges: this member's value
}

// place is where the value of a member's key stands, if the file has it.
func (d *decoder) place(e entry, key string) (place, bool) {
	if p, ok := e.at[key]; ok {
		return p, true
	}
	path := join(e.path, key)
	m, ok := d.seen[path]
	return place{m, path}, ok
}

// combined says, of a value that is wrong beside another, that a list brought the two together.
func (e entry) combined(keys ...string) string {
	for _, key := range keys {
		if _, ok := e.at[key]; ok {
			return ". Lists make every combination: give those that go together a backend of their own"
		}
	}
	return ""
}

// made is what became of an entry with lists.
type made struct {
	n       int
	product string // "threads 3 x flash_attn 2"
}

// several tells whether a value is for decodeAxis.
func (f *Field) several(n *yaml.Node) bool {
	return f.Axis && (n.Kind == yaml.SequenceNode || f.isRange(n))
}

// decodeAxis checks a list or range value by value. dst gets the first one.
func decodeAxis[T any](d *decoder, f *field[T], n *yaml.Node, dst any, path string) {
	items, list := []*yaml.Node{n}, n.Kind == yaml.SequenceNode
	if list {
		items = d.items(n, path, f.listExample())
	}
	var (
		values  []axisValue
		written = map[string]bool{}
	)
	refuse := func(m mark, field, format string, args ...any) {
		d.fail(m, field, format, args...)
		d.bad[path] = true
	}
	for i, item := range items {
		p := place{at(item), path}
		if list {
			p.field = fmt.Sprintf("%s[%d]", path, i)
		}
		if d.unusual(item, p.field) {
			d.bad[path] = true
			continue
		}
		nodes, msg := f.values(item)
		if msg != "" {
			refuse(p.mark, p.field, "%s", msg)
		}
		for _, v := range nodes {
			if msg := f.set(dst, v); msg != "" {
				refuse(p.mark, p.field, "%s", msg)
				break
			}
			value := f.valueText(dst)
			if written[value] {
				refuse(p.mark, p.field, "%s stands in this list already; remove it", value)
				break
			}
			written[value] = true
			values = append(values, axisValue{v, p})
		}
		if len(values) > maxEntries {
			refuse(p.mark, p.field, "the list has more than %d values", maxEntries)
			break
		}
	}
	if len(values) > 0 {
		f.set(dst, values[0].node)
	}
	d.axes[path] = values
}

// listExample shows how a list of the key's values is written.
func (f *Field) listExample() string {
	switch f.Type {
	case Bool:
		return "[true, false]"
	case Choice:
		return "[" + strings.Join(f.Values[:2], ", ") + "]"
	case Text:
		return "[" + strings.Join(f.Examples, ", ") + "]"
	}
	return "[1, 2]"
}

// valueText writes a value in the one way that names and messages have of it.
func (f *Field) valueText(dst any) string {
	switch v := dst.(type) {
	case *int:
		for _, w := range f.words() {
			if *v < 0 && f.Words[w] == *v {
				return w
			}
		}
		return strconv.Itoa(*v)
	case *bool:
		return strconv.FormatBool(*v)
	case *string:
		return *v
	}
	panic(fmt.Sprintf("config: no list of %T for %s", dst, f.Key))
}

// namesOf are the values of a list as nameOf takes them: themselves, or of paths what tells them apart.
func (f *Field) namesOf(values []string) []string {
	if f.Type != Text {
		return values
	}
	return pathNames(values)
}

// nameOf is what a value adds to the name of what a list makes: _t2, _fa-on.
func (f *Field) nameOf(value string) string {
	if f.Short == "" || value[0] >= '0' && value[0] <= '9' {
		return "_" + f.Short + value
	}
	return "_" + f.Short + "-" + value
}

// combine makes one entry of v for each combination of its lists' values, the last key's turning fastest. There is
// room for that many.
func combine[T any](d *decoder, t *table[T], v T, path string, room int) ([]T, []entry) {
	out, from := []T{v}, []entry{{path: path}}
	n, product := 1.0, []string{} // a float: lists of a thousand multiply beyond any integer
	for i := range t.fields {
		if k := len(d.axes[join(path, t.fields[i].Key)]); k > 1 {
			n *= float64(k)
			product = append(product, fmt.Sprintf("%s %d", t.fields[i].Key, k))
		}
	}
	m := made{int(min(n, maxEntries)), strings.Join(product, " x ")}
	if n > float64(room) {
		before := ""
		if room < maxEntries {
			before = fmt.Sprintf(", of which the entries before it make %d", maxEntries-room)
		}
		d.fail(d.seen[path], path, "its lists make %.0f %s: %s; a file has at most %d%s; take values out", n, t.name, m.product, maxEntries, before)
		d.bad[path] = true
		return out, from
	}
	for i := range t.fields {
		f := &t.fields[i]
		values := d.axes[join(path, f.Key)]
		if len(values) == 0 {
			continue
		}
		var texts []string
		for _, val := range values {
			one := v
			f.set(f.at(&one), val.node)
			texts = append(texts, f.valueText(f.at(&one)))
		}
		short := f.namesOf(texts)
		var next []T
		var nextFrom []entry
		for k := range out {
			for i, val := range values {
				one, e := out[k], entry{path, maps.Clone(from[k].at)}
				if e.at == nil {
					e.at = map[string]place{}
				}
				e.at[f.Key] = val.place
				dst := f.at(&one)
				if msg := f.set(dst, val.node); msg != "" {
					panic("config: " + path + ": " + msg) // decodeAxis has set it before
				}
				if name := t.find("name").at(&one).(*string); len(values) > 1 && *name != "" {
					if group := t.group(&one); *group == "" {
						*group = *name
					}
					*name += f.nameOf(short[i])
				}
				next, nextFrom = append(next, one), append(nextFrom, e)
			}
		}
		out, from = next, nextFrom
	}
	if len(out) == 1 {
		return out, from
	}
	for i := range out {
		if name := *t.find("name").at(&out[i]).(*string); len(name) > maxName {
			d.fail(d.seen[join(path, "name")], join(path, "name"), "with what its lists add, %s, it has %d characters; at most %d fit, write a shorter one", quote(name), len(name), maxName)
			break
		}
	}
	if d.made == nil {
		d.made = map[string]made{}
	}
	d.made[t.name+"/"+*t.group(&out[0])] = m
	return out, from
}

// lists names the table's keys that take a list.
func (t *table[T]) lists() (out []string) {
	for _, f := range t.fields {
		if f.Axis {
			out = append(out, f.Key)
		}
	}
	return out
}

// noList says, for a list where a key takes none, which keys of the entry do.
func (t *table[T]) noList(f *Field, n *yaml.Node) string {
	if n.Kind != yaml.SequenceNode {
		return ""
	}
	if keys := t.lists(); len(keys) > 0 {
		return "; the keys here that take a list are " + text.List(keys, "and")
	}
	if slices.Contains(scenarioTable.lists(), f.Key) {
		return "; an entry of scenarios takes a list of it"
	}
	return ""
}

// named is an entry that lists can make several of.
type named interface {
	names() (own, group string)
}

func (s Scenario) names() (own, group string) { return s.Name, s.Group }
func (b Backend) names() (own, group string)  { return b.Name, b.Group }
func (m Model) names() (own, group string)    { return m.Name, "" }

// called tells whether v has that name, or is one of those that the entry of that name became.
func called[T named](v T, name string) bool {
	own, group := v.names()
	return name != "" && (name == own || name == group)
}

// entryName is the name that v has in the file.
func entryName[T named](v T) string {
	own, group := v.names()
	if group == "" {
		return own
	}
	return group
}

// knownNames are the names that the file has, and those that its lists make.
func knownNames[T named](all []T) (file, lists []string) {
	for _, v := range all {
		if name := entryName(v); !slices.Contains(file, name) {
			file = append(file, name)
		}
		if own, group := v.names(); group != "" {
			lists = append(lists, own)
		}
	}
	return file, lists
}

// Lists says what the file's lists make, one line for each entry that has some: "backend native makes 6: threads 3 x
// flash_attn 2".
func (c *Config) Lists() []string {
	return append(listLines(c, backendTable.name, c.Backends), listLines(c, scenarioTable.name, c.Scenarios)...)
}

func listLines[T named](c *Config, table string, all []T) (out []string) {
	left := map[string]int{}
	var order []string
	for _, v := range all {
		if _, group := v.names(); group != "" {
			if left[group] == 0 {
				order = append(order, group)
			}
			left[group]++
		}
	}
	for _, group := range order {
		m := c.made[table+"/"+group]
		of := ""
		if left[group] < m.n {
			of = fmt.Sprintf("%d of ", left[group])
		}
		out = append(out, fmt.Sprintf("%s %s makes %s%d: %s", strings.TrimSuffix(table, "s"), group, of, m.n, m.product))
	}
	return out
}

// Product is the number of cells and what multiplies to it.
func (c *Config) Product() string {
	pairs := len(c.Pairs())
	what := text.Counted(len(c.Models), "model", "models") + " x " + text.Counted(len(c.Backends), "backend", "backends")
	if pairs != len(c.Models)*len(c.Backends) {
		what = text.Counted(pairs, "pair", "pairs") + " of model and backend"
	}
	return fmt.Sprintf("%s: %s x %s", text.Counted(pairs*len(c.Scenarios), "cell", "cells"), what, text.Counted(len(c.Scenarios), "scenario", "scenarios"))
}

// CheckCells refuses more cells than the file allows.
func (c *Config) CheckCells() error {
	n := len(c.Pairs()) * len(c.Scenarios)
	if n <= c.MaxCells {
		return nil
	}
	msg := fmt.Sprintf("%s, more than %d", c.Product(), c.MaxCells)
	for _, line := range c.Lists() {
		msg += "; " + line
	}
	return Errors{{File: c.file, Field: "max_cells", Msg: fmt.Sprintf("%s. Choose some with --models, --backends or --scenarios, or write max_cells: %d", msg, n)}}
}

// SameWork is the error for two backends that lists made and that come to the same on this machine; why says how.
func (c *Config) SameWork(a, b Backend, why string) error {
	return &Error{c.file, b.at.line, b.at.col, "backend " + b.Group,
		fmt.Sprintf("%s and %s would do the same work: %s; take one of the two out of its list", a.Name, b.Name, why)}
}

// Differing are the keys with lists in which two backends differ, with both values.
func Differing(a, b Backend) (keys []string, values map[string][2]string) {
	values = map[string][2]string{}
	for i := range backendTable.fields {
		f := &backendTable.fields[i]
		if !f.Axis {
			continue
		}
		va, vb := f.valueText(f.at(&a)), f.valueText(f.at(&b))
		if f.Key == "program" {
			va, vb = cmp.Or(va, selfProgram), cmp.Or(vb, selfProgram)
		}
		if va != vb {
			keys = append(keys, f.Key)
			values[f.Key] = [2]string{va, vb}
		}
	}
	return keys, values
}
