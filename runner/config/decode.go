package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"llmscale/internal/address"
	"llmscale/internal/text"
)

// mark is a place in the file, counted from 1.
type mark struct{ line, col int }

func at(n *yaml.Node) mark { return mark{n.Line, n.Column} }

// decoder walks YAML nodes, not Go values: yaml.Unmarshal would lose the
// columns, stop at the first error of some kinds, and take 010 for eight.
type decoder struct {
	file string
	dir  string // where relative model paths start
	errs Errors
	seen map[string]mark // value of each known key that the file holds, by field path
	bad  map[string]bool // field paths that were refused: what depends on them is no news
	told map[Error]bool  // each mistake once, however many entries a list makes of it

	axes    map[string][]axisValue // values of keys with lists, by field path
	entries map[string][]entry     // by list: where each of its members comes from
	made    map[string]made        // see Config
}

func newDecoder(file, dir string) *decoder {
	return &decoder{file: file, dir: dir, seen: map[string]mark{}, bad: map[string]bool{}, told: map[Error]bool{},
		axes: map[string][]axisValue{}, entries: map[string][]entry{}}
}

const (
	maxEntries = 1000 // of a list: more pairs than anyone can wait for
	maxErrors  = 1000 // after which reading stops: the file is something else
)

// full tells loops to stop looking for more errors.
func (d *decoder) full() bool { return len(d.errs) >= maxErrors }

func (d *decoder) fail(m mark, field, format string, args ...any) {
	d.bad[field] = true
	// Whatever is wrong: an address in it may hold a secret.
	e := Error{d.file, m.line, m.col, field, address.Redact(fmt.Sprintf(format, args...))}
	if !d.told[e] {
		d.told[e] = true
		d.errs = append(d.errs, &e)
	}
}

// document parses the bytes into the root mapping, or fails and returns nil.
func (d *decoder) document(data []byte) *yaml.Node {
	if len(data) > MaxBytes {
		d.fail(mark{1, 1}, "", "the file is larger than %d bytes (1 MiB); a sweep's config is a few kilobytes, is this the right file?", MaxBytes)
		return nil
	}
	if m, what := badText(data); what != "" {
		d.fail(m, "", "%s; a config is UTF-8 text", what)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	doc, err := nextDocument(dec)
	if err == io.EOF || err == nil && isNull(doc.Content[0]) {
		d.fail(mark{1, 1}, "", "the file is empty; it needs %s", text.List(sweepTable.required(), "and"))
		return nil
	}
	if err != nil {
		d.syntax(data, err)
		return nil
	}
	switch second, err := nextDocument(dec); {
	case err == nil:
		d.fail(at(second), "", "a second YAML document starts here; one file holds one sweep: remove the line ---")
		return nil
	case err != io.EOF:
		d.syntax(data, err)
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		d.fail(at(root), "", "the file must be a mapping of keys to values (run_name: ..., models: ...), not %s", describe(root))
		return nil
	}
	return root
}

// nextDocument reads one document. The library panics on comment events that it
// does not expect; a config file must not bring a program down.
func nextDocument(dec *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: the parser cannot read this file (%v)", r)
		}
	}()
	doc = new(yaml.Node)
	if err := dec.Decode(doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, io.EOF
	}
	return doc, nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// badText finds the first byte that the YAML reader would refuse without
// saying where.
func badText(data []byte) (mark, string) {
	m := mark{1, 1}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return m, fmt.Sprintf("byte 0x%02x is not UTF-8", data[i])
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f, r >= 0x80 && r < 0xa0 && r != 0x85, r == 0xfffe, r == 0xffff:
			return m, fmt.Sprintf("control character U+%04X", r)
		}
		i += size
		m.col++
		if r == '\n' {
			m = mark{m.line + 1, 1}
		}
	}
	return m, ""
}

var (
	yamlLine      = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
	// The library prints lines of its parser's errors counted from 0, those of
	// its scanner's from 1; these are the parser's.
	parserErrors = regexp.MustCompile(`^(did not find expected (<|node content|'-' indicator|key|',' or)|found (undefined tag handle|duplicate %|incompatible YAML))`)
)

// syntax reports what the YAML library says, at the line it means.
func (d *decoder) syntax(data []byte, err error) {
	sub := yamlLine.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	line, _ := strconv.Atoi(sub[1])
	msg := sub[2]
	if a := unknownAnchor.FindStringSubmatch(msg); a != nil {
		before, _, _ := bytes.Cut(data, []byte("*"+a[1]))
		line = bytes.Count(before, []byte("\n")) + 1
		d.fail(mark{line, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1}, "", "%s", noAlias("*"+a[1]))
		return
	}
	if parserErrors.MatchString(msg) {
		line++
	}
	lines := bytes.Split(data, []byte("\n"))
	line = min(max(line, 1), len(lines))
	col := len(indent(lines[line-1])) + 1
	if strings.Contains(msg, "tab character") {
		// The library names the line where the block began.
		for i := line - 1; i < len(lines); i++ {
			if tab := bytes.IndexByte(indent(lines[i]), '\t'); tab >= 0 {
				line, col = i+1, tab+1
				break
			}
		}
	}
	hint := ""
	switch {
	case strings.Contains(msg, "tab character"), bytes.Contains(indent(lines[line-1]), []byte("\t")):
		hint = "; indent with spaces"
	case strings.Contains(msg, "mapping values are not allowed"):
		hint = `; check the indentation, and quote text that holds ": "`
	case strings.Contains(msg, "cannot start any token"):
		hint = "; quote text that starts with a special character"
	case strings.Contains(msg, "did not find expected"):
		hint = "; check the indentation and the brackets from here on"
	case strings.Contains(msg, "end of stream"):
		hint = "; a quote or bracket is not closed"
	}
	d.fail(mark{line, col}, "", "not valid YAML: %s%s", msg, hint)
}

func indent(line []byte) []byte { return line[:len(line)-len(bytes.TrimLeft(line, " \t"))] }

func noAlias(name string) string {
	return "YAML aliases (" + name + ") are not read here; write the value out. Text that starts with * needs quotes"
}

// unusual refuses the parts of YAML that a config does not need: aliases (and
// with them every bomb made of them) and explicit tags.
func (d *decoder) unusual(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.fail(at(n), path, "%s", noAlias("*"+n.Value))
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(at(n), path, "YAML tags (%s) are not read here; write the value alone", n.Tag)
	default:
		return false
	}
	return true
}

// decodeMapping fills dst from a mapping, with defaults for what it leaves out.
func decodeMapping[T any](d *decoder, t *table[T], n *yaml.Node, dst *T, path string) {
	for i := range t.fields {
		if f := &t.fields[i]; f.Default != "" {
			if msg := f.set(f.at(dst), defaultNode(&f.Field)); msg != "" {
				panic("config: default of " + f.Key + ": " + msg) // a test sets every default
			}
		}
	}
	if d.unusual(n, path) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fail(at(n), path, "must be a mapping such as {%s}, not %s", t.example, describe(n))
		return
	}
	first, meant := map[string]int{}, map[string]bool{}
	for i := 0; i+1 < len(n.Content) && !d.full(); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if d.unusual(key, path) {
			continue
		}
		if key.Kind != yaml.ScalarNode {
			d.fail(at(key), path, "a key must be a word, not %s", describe(key))
			continue
		}
		field := join(path, key.Value)
		if line, dup := first[key.Value]; dup {
			d.fail(at(key), clipField(path, key.Value), "this key was given on line %d already; keep one of the two", line)
			continue
		}
		first[key.Value] = key.Line
		f := t.find(key.Value)
		if f == nil {
			d.fail(at(key), clipField(path, key.Value), "%s", t.unknown(key))
			d.bad[path] = true
			meant[text.Nearest(key.Value, t.keys())] = true
			continue
		}
		d.seen[field] = at(val)
		if !d.unusual(val, field) {
			decodeValue(d, t, f, val, f.at(dst), field)
		}
	}
	for _, key := range t.required() {
		if _, ok := first[key]; !ok && !meant[key] {
			d.fail(at(n), join(path, key), "this key is missing; write for example %s", t.exampleOf(key))
		}
	}
}

func clipField(path, key string) string {
	if len(key) > 40 || strings.ContainsAny(key, "\n\r") {
		return path
	}
	return join(path, key)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func decodeValue[T any](d *decoder, t *table[T], f *field[T], n *yaml.Node, dst any, path string) {
	switch dst := dst.(type) {
	case *[]Scenario:
		*dst = decodeList(d, &scenarioTable, n, path)
	case *[]Backend:
		*dst = decodeList(d, &backendTable, n, path)
	case *[]Model:
		*dst = decodeList(d, &modelTable, n, path)
	case *[]string:
		items := d.items(n, path, "["+f.example+"]")
		for i, item := range items {
			var s string
			p := fmt.Sprintf("%s[%d]", path, i)
			d.seen[p] = at(item)
			if !d.unusual(item, p) {
				if msg := f.set(&s, item); msg != "" {
					d.fail(at(item), p, "%s", msg)
				}
			}
			*dst = append(*dst, s)
		}
	default:
		if f.several(n) {
			decodeAxis(d, f, n, dst, path)
		} else if msg := f.set(dst, n); msg != "" {
			d.fail(at(n), path, "%s%s", msg, t.noList(&f.Field, n))
		}
	}
}

// items returns the entries of a list that must not be empty.
func (d *decoder) items(n *yaml.Node, path, example string) []*yaml.Node {
	if n.Kind != yaml.SequenceNode {
		d.fail(at(n), path, "must be a list such as %s, not %s", example, describe(n))
		return nil
	}
	if len(n.Content) == 0 {
		d.fail(at(n), path, "the list is empty; write for example %s", example)
	}
	if len(n.Content) > maxEntries {
		d.fail(at(n.Content[maxEntries]), path, "the list has %d entries; at most %d are read", len(n.Content), maxEntries)
		return n.Content[:maxEntries]
	}
	return n.Content
}

func decodeList[T any](d *decoder, t *table[T], n *yaml.Node, path string) []T {
	var out []T
	for i, item := range d.items(n, path, "[{"+t.example+"}]") {
		p := fmt.Sprintf("%s[%d]", path, i)
		d.seen[p] = at(item)
		var v T
		decodeMapping(d, t, item, &v, p)
		several, from := combine(d, t, v, p, maxEntries-len(out))
		out, d.entries[t.name] = append(out, several...), append(d.entries[t.name], from...)
	}
	return out
}

// describe names a node for "must be X, not ...".
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Tag == "!!null":
		return "nothing"
	case n.Tag == "!!str":
		return "the text " + quote(n.Value)
	case n.Tag == "!!int", n.Tag == "!!float":
		return "the number " + clip(n.Value)
	case n.Tag == "!!timestamp":
		return "the date " + clip(n.Value)
	}
	return clip(n.Value)
}

func clip(s string) string { q := quote(s); return q[1 : len(q)-1] }

var (
	severalNumbers = regexp.MustCompile(`^[0-9]+[^0-9.][0-9]`) // 1-8, 1,2,4
	decimalInt     = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*(_[0-9]+)*)$`)
	decimal        = regexp.MustCompile(`^[-+]?(0|[1-9][0-9]*(_[0-9]+)*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
)

// set stores a scalar in dst after checking its type, range and rule. It
// returns what is wrong, or "".
func (f *field[T]) set(dst any, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return fmt.Sprintf("must be %s, not %s", f.wants(), describe(n))
	}
	text := strings.ReplaceAll(n.Value, "_", "")
	switch dst := dst.(type) {
	case *int:
		if v, ok := f.Words[n.Value]; ok {
			*dst = v
			return ""
		}
		v, msg := f.integer(n, text)
		if msg == "" {
			*dst = int(v)
		}
		return msg
	case *int64:
		v, msg := f.integer(n, text)
		if msg == "" {
			*dst = v
		}
		return msg
	case *float64:
		return f.number(dst, n, text)
	case **float64:
		v := new(float64)
		msg := f.number(v, n, text)
		if msg == "" {
			*dst = v
		}
		return msg
	case *bool:
		if n.Tag != "!!bool" {
			return fmt.Sprintf("must be true or false, not %s", describe(n))
		}
		*dst = strings.EqualFold(n.Value, "true")
		return ""
	case *string:
		if f.Type == Choice {
			return f.choice(dst, n)
		}
		if n.Tag != "!!str" {
			return fmt.Sprintf("must be text, not %s; quote it: %q", describe(n), n.Value)
		}
		if f.rule != nil {
			if msg := f.rule(n.Value); msg != "" {
				return msg
			}
		}
		*dst = n.Value
		return ""
	}
	panic(fmt.Sprintf("config: no decoder for %T of %s", dst, f.Key))
}

func (f *field[T]) integer(n *yaml.Node, text string) (int64, string) {
	if n.Tag != "!!int" && n.Tag != "!!float" || !decimalInt.MatchString(n.Value) {
		if n.Tag == "!!int" {
			return 0, fmt.Sprintf("must be a whole number in plain decimal digits, not %s", describe(n))
		}
		return 0, fmt.Sprintf("must be %s, not %s%s%s%s", f.wants(), describe(n), unquote(n), didYouMean(n.Value, f.words()), f.asList(n))
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) || f.Min > float64(v) || float64(v) > f.Max {
		return 0, f.outOfRange(clip(n.Value), strings.HasPrefix(text, "-") || err == nil && float64(v) < f.Min)
	}
	return v, ""
}

// asList tells whoever wrote several values in another way how they are written.
func (f *Field) asList(n *yaml.Node) string {
	if f.Axis && n.Tag == "!!str" && severalNumbers.MatchString(n.Value) {
		return "; several values are written " + f.listExample() + ", 1..8 or 1..4096*2"
	}
	return ""
}

// unquote tells whoever put a number into quotes to take them off.
func unquote(n *yaml.Node) string {
	if n.Tag == "!!str" && decimal.MatchString(n.Value) {
		return "; write it without quotes"
	}
	return ""
}

func (f *field[T]) number(dst *float64, n *yaml.Node, text string) string {
	if n.Tag != "!!int" && n.Tag != "!!float" || !decimal.MatchString(n.Value) {
		return fmt.Sprintf("must be a number such as 12.5, not %s%s", describe(n), unquote(n))
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v < f.Min || v > f.Max {
		return f.outOfRange(clip(n.Value), v < f.Min)
	}
	*dst = v
	return ""
}

func (f *Field) outOfRange(got string, low bool) string {
	bound := "at most " + plain(f.Max)
	switch {
	case f.Min == f.Max:
		bound = plain(f.Min)
	case low:
		bound = "at least " + plain(f.Min)
	}
	msg := fmt.Sprintf("must be %s, not %s", bound, got)
	if f.Why != "" {
		msg += "; " + f.Why
	}
	return msg
}

func (f *field[T]) choice(dst *string, n *yaml.Node) string {
	for _, v := range f.Values {
		if n.Value == v {
			*dst = v
			return ""
		}
	}
	if v, ok := f.Aliases[n.Value]; ok {
		*dst = v
		return ""
	}
	msg := fmt.Sprintf("must be %s, not %s", text.List(f.Values, "or"), quote(n.Value))
	if why, ok := f.refuse[n.Value]; ok {
		return msg + "; " + why
	}
	return msg + didYouMean(n.Value, f.Values)
}
