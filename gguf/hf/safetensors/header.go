package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// parser walks the header token by token, so that no more is kept of it than the tensors.
type parser struct {
	path    string
	dec     *json.Decoder
	tensor  string // that is being read, for errors
	tensors []Tensor
	seen    map[string]bool
}

func (p *parser) fail(want, format string, args ...any) error {
	return &FormatError{p.path, 8 + p.dec.InputOffset(), p.tensor, fmt.Sprintf(format, args...), want}
}

// header reads the whole header: one JSON object, then nothing but white space.
func (p *parser) header(r io.Reader) error {
	p.dec = json.NewDecoder(r)
	p.dec.UseNumber()
	if err := p.delim('{'); err != nil {
		return err
	}
	for p.dec.More() {
		name, err := p.text("a tensor's name")
		if err != nil {
			return err
		}
		if p.seen[name] {
			return p.fail("", "%q is there twice", name)
		}
		p.seen[name] = true
		if name == "__metadata__" {
			if err := p.skip(); err != nil {
				return err
			}
			continue
		}
		p.tensor = name
		if err := p.entry(name); err != nil {
			return err
		}
		p.tensor = ""
	}
	if err := p.delim('}'); err != nil {
		return err
	}
	if tok, err := p.dec.Token(); err != io.EOF {
		if err != nil {
			return p.broken(err)
		}
		return p.fail("white space up to the header's end", "%s follows the header's object", show(tok))
	}
	return nil
}

// entry reads what the header says of one tensor.
func (p *parser) entry(name string) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	t := Tensor{Name: name}
	var offsets []int64
	var have [3]bool
	for p.dec.More() {
		key, err := p.text("a field's name")
		if err != nil {
			return err
		}
		var field int
		switch key {
		case "dtype":
			field = 0
			t.DType, err = p.text("dtype")
		case "shape":
			field = 1
			t.Shape, err = p.numbers("shape", maxDims)
		case "data_offsets":
			field = 2
			offsets, err = p.numbers("data_offsets", 2)
		default:
			err = p.fail("dtype, shape and data_offsets", "unknown field %q", key)
		}
		if err != nil {
			return err
		}
		if have[field] {
			return p.fail("", "%s is there twice", key)
		}
		have[field] = true
	}
	if err := p.delim('}'); err != nil {
		return err
	}
	if have != [3]bool{true, true, true} {
		return p.fail("dtype, shape and data_offsets", "a field is missing")
	}
	if len(offsets) != 2 || offsets[0] > offsets[1] {
		return p.fail("the beginning and the end", "data_offsets are %v", offsets)
	}
	if what, want := t.setSize(offsets[0], offsets[1]); what != "" {
		return p.fail(want, "%s", what)
	}
	p.tensors = append(p.tensors, t)
	return nil
}

// skip moves over one value.
func (p *parser) skip() error {
	depth := 0
	for {
		tok, err := p.dec.Token()
		if err != nil {
			return p.broken(err)
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		if depth > maxDepth {
			return p.fail("strings", "__metadata__ is nested more than %d deep", maxDepth)
		}
	}
}

func (p *parser) delim(want json.Delim) error {
	tok, err := p.dec.Token()
	if err != nil {
		return p.broken(err)
	}
	if tok != want {
		return p.fail(fmt.Sprintf("%q", want.String()), "%s stands there", show(tok))
	}
	return nil
}

func (p *parser) text(what string) (string, error) {
	tok, err := p.dec.Token()
	if err != nil {
		return "", p.broken(err)
	}
	s, ok := tok.(string)
	if !ok {
		return "", p.fail("a string", "%s is %s", what, show(tok))
	}
	return s, nil
}

// numbers reads an array of at most limit numbers from 0 to 2^63-1.
func (p *parser) numbers(what string, limit int) ([]int64, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	out := []int64{}
	for p.dec.More() {
		tok, err := p.dec.Token()
		if err != nil {
			return nil, p.broken(err)
		}
		num, ok := tok.(json.Number)
		n, err := strconv.ParseUint(num.String(), 10, 63)
		if !ok || err != nil {
			return nil, p.fail("whole numbers from 0 to 2^63-1", "%s has %s", what, show(tok))
		}
		if len(out) == limit {
			return nil, p.fail(fmt.Sprintf("at most %d", limit), "%s has more than %d numbers", what, limit)
		}
		out = append(out, int64(n))
	}
	return out, p.delim(']')
}

// broken turns an error of the JSON decoder into one that says where.
func (p *parser) broken(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return p.fail("a JSON object", "the header ends in the middle")
	case errors.As(err, &syntax):
		return p.fail("a JSON object", "the header is no JSON: %v", err)
	}
	return fmt.Errorf("safetensors: %s: reading the header: %w", p.path, err)
}

// show prints a JSON token for an error, cut where it is long.
func show(tok json.Token) string {
	s := fmt.Sprint(tok)
	if text, ok := tok.(string); ok {
		s = strconv.Quote(text)
	}
	if len(s) > 60 {
		s = s[:60] + "..."
	}
	return s
}
