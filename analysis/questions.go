package analysis

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/figure"
	"llmscale/analysis/finding"
	"llmscale/analysis/q/calls"
	"llmscale/analysis/q/ceilings"
	"llmscale/analysis/q/crosscheck"
	"llmscale/analysis/q/device"
	"llmscale/analysis/q/failures"
	"llmscale/analysis/q/firstchange"
	"llmscale/analysis/q/lengths"
	"llmscale/analysis/q/ollama"
	"llmscale/analysis/q/policy"
	"llmscale/analysis/q/scaling"
	"llmscale/analysis/q/speedups"
	"llmscale/analysis/q/summary"
	"llmscale/analysis/q/tails"
	"llmscale/analysis/q/wall"
	"llmscale/analysis/q/weights"
)

// Answer is what a question found in a run. Its exported fields stand in
// analysis.json, at the top level; a field "answers" is joined with that of others.
type Answer interface {
	Tables() []finding.Table
	Warnings() []finding.Warning
	Sentences() []string     // for the opening of the report, Markdown
	Sections() []doc.Section // those without blocks are left out
}

// ask puts all questions to the cells of a run, in the order in which the report has
// their answers. A question that builds on another's answer is handed it.
func ask(c *cells.Set) []Answer {
	slow, failed := tails.Ask(c), failures.Ask(c)
	settings, beside := policy.Ask(c), crosscheck.Ask(c)
	return []Answer{
		calls.Ask(c),
		slow,
		failed,
		firstchange.Ask(c, slow, failed),
		settings,
		summary.Ask(c),
		weights.Ask(c),
		scaling.Ask(c),
		ceilings.Ask(c),
		device.Ask(c),
		wall.Ask(c),
		lengths.Ask(c),
		speedups.Ask(c, settings, beside),
		beside,
		ollama.Ask(c),
	}
}

// Get is the answer of type T; an empty one where its question was not asked.
func Get[T any](r *Result) *T {
	for _, a := range r.Asked {
		if x, ok := a.(any).(*T); ok {
			return x
		}
	}
	return new(T)
}

// place is where a kind of figures stands; those that it does not name stand at 0.
var place = map[string]int{scaling.KindOverview: -3, scaling.KindScaling: -2, tails.KindTokens: -1,
	tails.KindTails: 1, summary.KindShare: 2, scaling.KindScenario: 3}

// Figures are those of all answers that draw some, by their kind.
func (r *Result) Figures() []figure.Figure {
	var out []figure.Figure
	for _, a := range r.Asked {
		if d, draws := a.(interface{ Figures() []figure.Figure }); draws {
			out = append(out, d.Figures()...)
		}
	}
	slices.SortStableFunc(out, func(x, y figure.Figure) int { return cmp.Compare(place[x.Kind], place[y.Kind]) })
	return out
}

// MarshalJSON puts the fields of all answers beside the Result's own.
func (r *Result) MarshalJSON() ([]byte, error) {
	type own Result // without this method
	var all object
	for _, part := range append([]any{(*own)(r)}, anys(r.Asked)...) {
		data, err := plainJSON(part)
		if err != nil {
			return nil, err
		}
		if err := all.join(data); err != nil {
			return nil, fmt.Errorf("%T: %w", part, err)
		}
	}
	return all.MarshalJSON()
}

// plainJSON leaves <, > and & as they are.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

func anys(answers []Answer) (out []any) {
	for _, a := range answers {
		out = append(out, a)
	}
	return out
}

// object is a JSON object whose keys keep their order.
type object struct {
	keys   []string
	values map[string]json.RawMessage
}

// join adds the keys of another object. Where both have one, it is an object in
// both, and these are joined.
func (o *object) join(data []byte) error {
	if o.values == nil {
		o.values = map[string]json.RawMessage{}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return cmp.Or(err, errors.New("not an object"))
	}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		have, twice := o.values[key]
		if twice {
			var both object
			if err := errors.Join(both.join(have), both.join(value)); err != nil {
				return fmt.Errorf("two have the key %q: %w", key, err)
			}
			if value, err = both.MarshalJSON(); err != nil {
				return err
			}
		} else {
			o.keys = append(o.keys, key)
		}
		o.values[key] = value
	}
	return nil
}

// MarshalJSON implements json.Marshaler.
func (o *object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, k := range o.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(k)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(o.values[k])
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
