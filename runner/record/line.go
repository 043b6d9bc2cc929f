package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"llmscale/internal/text"
)

// Line is a record as this version has written it, cut into its fields but not decoded: whoever copies many need not read
// them, which takes ten times as long.
type Line struct {
	data []byte
	at   [][2]int // of the fields' values
}

// names are the fields' as they stand before their values.
var names = func() (out [][]byte) {
	for _, f := range fields {
		out = append(out, []byte(`"`+f.Name+`":`))
	}
	return out
}()

// Places finds fields by name.
func Places(fieldNames ...string) (out []int) {
	for _, name := range fieldNames {
		out = append(out, slices.IndexFunc(fields, func(f Field) bool { return f.Name == name }))
	}
	return out
}

var orderAt, sessionAt = Places("order_idx")[0], Places("session_idx")[0]

// Cut cuts a line. ok is false for one that another version has written, that has blanks, or that is no JSON: these
// encoding/json reads.
func (l *Line) Cut(data []byte) (ok bool) {
	l.data, l.at = data, slices.Grow(l.at[:0], len(fields))
	pos, separator := 0, byte('{')
	for _, name := range names {
		if pos == len(data) || data[pos] != separator || !bytes.HasPrefix(data[pos+1:], name) {
			return false
		}
		begin := pos + 1 + len(name)
		if pos = valueEnd(data, begin, maxDepth); pos < 0 {
			return false
		}
		l.at, separator = append(l.at, [2]int{begin, pos}), ','
	}
	return pos == len(data)-1 && data[pos] == '}'
}

func (l *Line) raw(i int) []byte { return l.data[l.at[i][0]:l.at[i][1]] }

// Decode reads some fields into a zero r.
func (l *Line) Decode(r *Record, places []int) error {
	for _, i := range places {
		raw := l.raw(i)
		if string(raw) == "null" {
			continue
		}
		to := fields[i].Value(r).Addr().Interface()
		switch to := to.(type) { // what encoding/json would do, in a tenth of the time
		case *string:
			if plainText(raw) {
				*to = string(raw[1 : len(raw)-1])
				continue
			}
		case *int:
			if n, err := strconv.Atoi(string(raw)); err == nil {
				*to = n
				continue
			}
		}
		if err := json.Unmarshal(raw, to); err != nil {
			return fmt.Errorf("%s: %w", fields[i].Name, err)
		}
	}
	return nil
}

// plainText tells whether a value is a text without escapes or anything that a table would escape.
func plainText(raw []byte) bool {
	for _, c := range raw[1:] {
		if c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return raw[0] == '"'
}

// Moved is the line with another place in its run.
func (l *Line) Moved(to []byte, order, session int) []byte {
	to = append(to, l.data[:l.at[orderAt][0]]...)
	to = strconv.AppendInt(to, int64(order), 10)
	to = append(to, l.data[l.at[orderAt][1]:l.at[sessionAt][0]]...)
	to = strconv.AppendInt(to, int64(session), 10)
	return append(to, l.data[l.at[sessionAt][1]:]...)
}

// AppendRow appends the line's row of metrics.csv, as encoding/csv would write Field.Cell of each field of the decoded record.
func (l *Line) AppendRow(to []byte, order, session int) ([]byte, error) {
	for i := range fields {
		if i > 0 {
			to = append(to, ',')
		}
		raw := l.raw(i)
		switch typ := fields[i].Type; {
		case i == orderAt:
			to = strconv.AppendInt(to, int64(order), 10)
		case i == sessionAt:
			to = strconv.AppendInt(to, int64(session), 10)
		case string(raw) == "null":
		case typ == "string" && plainText(raw):
			to = appendCell(to, raw[1:len(raw)-1])
		case typ == "string":
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return to, fmt.Errorf("%s: %w", fields[i].Name, err)
			}
			to = appendCell(to, []byte(text.Safe(s)))
		case typ == "float" && !plain(raw):
			v, err := strconv.ParseFloat(string(raw), 64)
			if err != nil {
				return to, fmt.Errorf("%s: %w", fields[i].Name, err)
			}
			to = fmt.Append(to, v)
		default:
			to = appendCell(to, raw)
		}
	}
	return append(to, '\n'), nil
}

// appendCell appends a cell of a CSV file, in quotes where encoding/csv puts it in some.
func appendCell(to, cell []byte) []byte {
	first, _ := utf8.DecodeRune(cell)
	if !bytes.ContainsAny(cell, ",\"\r\n") && !unicode.IsSpace(first) && string(cell) != `\.` {
		return append(to, cell...)
	}
	to = append(to, '"')
	for {
		i := bytes.IndexByte(cell, '"')
		if i < 0 {
			break
		}
		to, cell = append(append(to, cell[:i]...), '"', '"'), cell[i+1:]
	}
	return append(append(to, cell...), '"')
}

// plain tells whether a number in JSON stands so in a table too: there exponents begin below 1e-4 and from 1e6 on.
func plain(raw []byte) bool {
	whole, _, _ := bytes.Cut(bytes.TrimPrefix(raw, []byte{'-'}), []byte{'.'})
	return len(whole) <= 6 && bytes.IndexByte(raw, 'e') < 0 && !bytes.Contains(raw, []byte("0.0000"))
}
