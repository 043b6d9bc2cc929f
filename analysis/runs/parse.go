package runs

import (
	"bytes"
	"encoding/json"
	"errors"
	"sync"
	"unique"

	"llmscale/runner/record"
)

// line is a line of runs.jsonl as encoding/json reads it.
type line struct {
	record.Record
	ParamsMillionsMeasured *float64 `json:"params_millions_measured"`
}

// ParseRow reads one line. badField names a field whose value had the wrong
// type and was skipped.
func ParseRow(data []byte) (row Row, badField string, err error) {
	var l line
	err = json.Unmarshal(Sanitize(data), &l)
	var typeErr *json.UnmarshalTypeError
	if errors.As(err, &typeErr) && typeErr.Field != "" {
		badField, err = typeErr.Field, nil // encoding/json has gone on with the other fields
	}
	row = RowOf(l.Record)
	row.ParamsMillionsMeasured = l.ParamsMillionsMeasured
	if err == nil {
		err = row.incomplete()
	}
	return row, badField, err
}

func (r *Row) incomplete() error {
	switch {
	case r.Backend == "" || r.Model == "" || r.Mode == "":
		return errors.New("no backend, model or mode")
	case r.Status == "":
		return errors.New("no status")
	}
	return nil
}

// The keys with which the pieces of a line begin that llmscale writes, in their
// order: the parts of record.Record.
var pieceKeys = [][]byte{
	[]byte(`,"order_idx":`), []byte(`,"scenario":`), []byte(`,"call_idx":`), // behind Origin: Order, Subject, Outcome
	[]byte(`,"batch_size":`), []byte(`,"prompt_token_ids":`), []byte(`,"prefill_cold_ms":`), // Phases, Answer, Costs
	[]byte(`,"telemetry_samples":`), []byte(`,"ollama_wall_ms":`), []byte(`,"weight_type":`), // DeviceWindow, OllamaCall, the facts
	[]byte(`,"latency_ms":`), []byte(`,"null_reasons":`), // Times, Nulls
}

// parser reads lines of llmscale faster than ParseRow, by what they repeat. Most of
// a line stands in others too, to the byte: each such piece is parsed once, and the
// rows share what came of it. Each goroutine has its own.
type parser struct {
	*shared
	key  []byte // scratch
	text []byte // of call
	call *Call  // of the line before: a call's records come one behind the other
}

// shared is what the records of a run have in common.
type shared struct {
	cells   memo[Cell]
	answers memo[record.Answer]
	facts   memo[Facts]
	windows memo[record.DeviceWindow]
	served  memo[record.OllamaCall]
	nulls   memo[struct {
		Nulls map[string]string `json:"null_reasons"`
	}]
}

func (p *parser) row(line []byte) (Row, string, error) {
	if row, ok := p.pieces(line); ok {
		return row, "", row.incomplete()
	}
	return ParseRow(line)
}

// pieces reads a line whose pieces are in their order and hold nothing but the
// fields of their parts, each of the right type; ok is false for any other.
func (p *parser) pieces(line []byte) (row Row, ok bool) {
	if line[0] != '{' || line[len(line)-1] != '}' {
		return row, false
	}
	rest := line[1 : len(line)-1]
	var piece [12][]byte
	for i, key := range pieceKeys {
		at := bytes.Index(rest, key)
		if at < 0 {
			return row, false
		}
		piece[i], rest = rest[:at], rest[at+1:]
	}
	piece[len(pieceKeys)] = rest

	var own struct {
		record.Order
		record.Outcome
		record.Times
	}
	if !p.parse(&own, piece[1], piece[3], piece[10]) {
		return row, false
	}
	row.Order, row.Outcome, row.Times = own.Order, own.Outcome, own.Times
	row.Mode, row.Status = unique.Make(own.Mode).Value(), unique.Make(own.Status).Value()
	if p.call == nil || !bytes.Equal(p.text, p.object(piece[4], piece[6])) {
		p.call = new(Call)
		if !p.parse(p.call, piece[4], piece[6]) {
			p.call = nil
			return row, false
		}
		p.text = append(p.text[:0], p.key...)
	}
	row.Call = p.call
	row.Cell = get(p, &p.cells, piece[0], piece[2])
	row.Answer = get(p, &p.answers, piece[5])
	row.DeviceWindow = get(p, &p.windows, piece[7])
	row.OllamaCall = get(p, &p.served, piece[8])
	row.Facts = get(p, &p.facts, piece[9])
	known := get(p, &p.nulls, piece[11])
	return row, row.Cell != nil && row.Answer != nil && row.DeviceWindow != nil && row.OllamaCall != nil && row.Facts != nil && known != nil
}

// object is the JSON object of the members in pieces; it lasts until the next call.
func (p *parser) object(pieces ...[]byte) []byte {
	p.key = p.key[:0]
	opening := byte('{')
	for _, piece := range pieces {
		p.key = append(append(p.key, opening), piece...)
		opening = ','
	}
	p.key = append(p.key, '}')
	return p.key
}

// parse reads pieces into v. It is false where they are no members of one object, or
// hold something that v has no field for.
func (p *parser) parse(v any, pieces ...[]byte) bool {
	object := Sanitize(p.object(pieces...))
	dec := json.NewDecoder(bytes.NewReader(object))
	dec.DisallowUnknownFields()
	return dec.Decode(v) == nil && dec.InputOffset() == int64(len(object))
}

// memo has what texts were parsed to. It forgets all when they become too many, as
// where each is another one.
type memo[T any] struct {
	mu    sync.Mutex
	seen  map[string]*T
	bytes int
}

const memoBytes = 64 << 20

// get is what the pieces say, nil where parse fails.
func get[T any](p *parser, m *memo[T], pieces ...[]byte) *T {
	text := p.object(pieces...)
	m.mu.Lock()
	v := m.seen[string(text)]
	m.mu.Unlock()
	if v != nil {
		return v
	}
	key := string(text)
	v = new(T)
	if !p.parse(v, pieces...) {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bytes += len(key); m.seen == nil || m.bytes > memoBytes {
		m.seen, m.bytes = map[string]*T{}, len(key)
	}
	m.seen[key] = v
	return v
}
