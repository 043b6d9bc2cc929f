package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"llmscale/internal/text"
)

// Line is a record as this version has written it, cut into its fields but not decoded: whoever copies many need not read
// them, which takes ten times as long.
type Line struct {
	data []byte
	at   [][2]int // of the fields' values
}

// names are the fields' as they stand before their values.
var names = func() (out []string) {
	for _, f := range fields {
		out = append(out, `"`+f.Name+`":`)
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

// Cut cuts a line. ok is false for one that another version has written, or that is no JSON: these encoding/json reads.
func (l *Line) Cut(data []byte) (ok bool) {
	if !json.Valid(data) {
		return false
	}
	l.data, l.at = data, slices.Grow(l.at[:0], len(fields))
	pos := 0
	for i, name := range names {
		if pos++; i == 0 && data[0] != '{' || !bytes.HasPrefix(data[pos:], []byte(name)) {
			return false
		}
		begin := pos + len(name)
		if pos = endOf(data, begin); pos < 0 {
			return false
		}
		l.at = append(l.at, [2]int{begin, pos})
		if i < len(names)-1 && data[pos] != ',' {
			return false
		}
	}
	return pos == len(data)-1
}

// endOf is where the value that begins there ends, in valid JSON; -1 where it has blanks.
func endOf(data []byte, i int) int {
	depth := 0
	for ; ; i++ {
		switch data[i] {
		case '"':
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		case ' ', '\t', '\r', '\n':
			return -1
		}
	}
}

func (l *Line) raw(i int) []byte { return l.data[l.at[i][0]:l.at[i][1]] }

// Decode reads some fields into r.
func (l *Line) Decode(r *Record, places []int) error {
	for _, i := range places {
		if err := json.Unmarshal(l.raw(i), fields[i].Value(r).Addr().Interface()); err != nil {
			return fmt.Errorf("%s: %w", fields[i].Name, err)
		}
	}
	return nil
}

// Moved is the line with another place in its run.
func (l *Line) Moved(to []byte, order, session int) []byte {
	to = append(to, l.data[:l.at[orderAt][0]]...)
	to = strconv.AppendInt(to, int64(order), 10)
	to = append(to, l.data[l.at[orderAt][1]:l.at[sessionAt][0]]...)
	to = strconv.AppendInt(to, int64(session), 10)
	return append(to, l.data[l.at[sessionAt][1]:]...)
}

// cell is what Field.Cell gives of the decoded field.
func (l *Line) cell(i int) (string, error) {
	raw := l.raw(i)
	switch typ := fields[i].Type; {
	case string(raw) == "null":
		return "", nil
	case typ == "string":
		s := string(raw[1 : len(raw)-1])
		if strings.IndexByte(s, '\\') >= 0 {
			if err := json.Unmarshal(raw, &s); err != nil {
				return "", err
			}
		}
		return text.Safe(s), nil
	case typ == "float" && !plain(raw):
		v, err := strconv.ParseFloat(string(raw), 64)
		return fmt.Sprint(v), err
	}
	return string(raw), nil
}

// plain tells whether a number in JSON stands so in a table too: there exponents begin below 1e-4 and from 1e6 on.
func plain(raw []byte) bool {
	whole, _, _ := bytes.Cut(bytes.TrimPrefix(raw, []byte{'-'}), []byte{'.'})
	return len(whole) <= 6 && bytes.IndexByte(raw, 'e') < 0 && !bytes.Contains(raw, []byte("0.0000"))
}

// WriteLine writes the row of a line that has moved.
func (m *Metrics) WriteLine(l *Line, order, session int) error {
	for i := range fields {
		var err error
		if m.row[i], err = l.cell(i); err != nil {
			return fmt.Errorf("%s: %w", fields[i].Name, err)
		}
	}
	m.row[orderAt], m.row[sessionAt] = strconv.Itoa(order), strconv.Itoa(session)
	_ = m.out.Write(m.row)
	return nil
}
