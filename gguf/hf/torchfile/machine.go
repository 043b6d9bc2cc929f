package torchfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// Limits of the interpreter. A state dict needs a stack of some thousand places, since Python's pickler sets a
// dict's items in batches of a thousand.
const (
	maxStack  = 1 << 16
	maxMemory = 32 << 20 // bytes of all objects made
	maxGlobal = 256      // bytes of a module's or an object's name
)

// What the pickle's values become. None is nil; the others are bool, int64, float64 and string.
type (
	tuple  []any
	list   struct{ items []any }
	dict   struct{ keys, values []any }
	global string // "module.name", one of globals
)

// machine interprets the opcodes of pickle protocols 2 to 5 that a state dict is made of.
type machine struct {
	archive *archive
	code    []byte
	pos     int // of the next byte
	at      int // of the opcode being interpreted

	stack  []any
	marks  []int // lengths of the stack where MARK was met
	memo   map[uint32]any
	memory int // bytes of objects made, about
}

func (m *machine) fail(want, format string, args ...any) error {
	return &FormatError{m.archive.path, m.archive.prefix + "data.pkl", int64(m.at), "", fmt.Sprintf(format, args...), want}
}

// charge counts bytes against maxMemory.
func (m *machine) charge(bytes int) error {
	if m.memory += bytes; m.memory > maxMemory {
		return m.fail(fmt.Sprintf("at most %d MiB", maxMemory>>20), "the pickle makes too many objects")
	}
	return nil
}

// take returns the next n bytes.
func (m *machine) take(n uint64) ([]byte, error) {
	if n > uint64(len(m.code)-m.pos) {
		return nil, m.fail("the whole pickle", "opcode %s needs %d bytes, but %d are left", opcode(m.code[m.at]), n, len(m.code)-m.pos)
	}
	b := m.code[m.pos : m.pos+int(n)]
	m.pos += int(n)
	return b, nil
}

// uint reads a little-endian number of n bytes, at most 4.
func (m *machine) uint(n uint64) (uint32, error) {
	b, err := m.take(n)
	if err != nil {
		return 0, err
	}
	v := uint32(0)
	for i, x := range b {
		v |= uint32(x) << (8 * i)
	}
	return v, nil
}

func (m *machine) push(v any) error {
	if len(m.stack) == maxStack {
		return m.fail(fmt.Sprintf("at most %d", maxStack), "the pickle's stack is too deep")
	}
	m.stack = append(m.stack, v)
	return nil
}

// pop takes n values off the stack, but none from below the last mark. The result is valid until the next push.
func (m *machine) pop(n int) ([]any, error) {
	floor := 0
	if len(m.marks) > 0 {
		floor = m.marks[len(m.marks)-1]
	}
	if len(m.stack)-floor < n {
		return nil, m.fail("a valid pickle", "opcode %s needs %d values on the stack, which has %d", opcode(m.code[m.at]), n, len(m.stack)-floor)
	}
	v := m.stack[len(m.stack)-n:]
	m.stack = m.stack[:len(m.stack)-n]
	return v, nil
}

// popMark takes all values down to the last mark.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, m.fail("a valid pickle", "opcode %s needs a mark on the stack", opcode(m.code[m.at]))
	}
	from := m.marks[len(m.marks)-1]
	m.marks = m.marks[:len(m.marks)-1]
	v := m.stack[from:]
	m.stack = m.stack[:from]
	return v, nil
}

// top returns the value that stays on the stack under what an opcode has taken.
func (m *machine) top() (any, error) {
	v, err := m.pop(1)
	if err != nil {
		return nil, err
	}
	m.stack = m.stack[:len(m.stack)+1]
	return v[0], nil
}

// run interprets the pickle up to its STOP and returns what it leaves.
func (m *machine) run() (any, error) {
	for {
		m.at = m.pos
		if m.pos == len(m.code) {
			return nil, m.fail("the whole pickle", "the pickle ends without STOP")
		}
		op := m.code[m.pos]
		m.pos++
		if op == '.' {
			v, err := m.pop(1)
			if err != nil {
				return nil, err
			}
			return v[0], nil
		}
		if err := m.step(op); err != nil {
			return nil, err
		}
	}
}

// names of the opcodes for errors, as Python's pickletools has them.
var names = map[byte]string{
	0x80: "PROTO", 0x95: "FRAME", '}': "EMPTY_DICT", ']': "EMPTY_LIST", ')': "EMPTY_TUPLE", '(': "MARK", 't': "TUPLE",
	0x85: "TUPLE1", 0x86: "TUPLE2", 0x87: "TUPLE3", 'X': "BINUNICODE", 0x8c: "SHORT_BINUNICODE", 'K': "BININT1", 'M': "BININT2",
	'J': "BININT", 0x8a: "LONG1", 'G': "BINFLOAT", 'N': "NONE", 0x88: "NEWTRUE", 0x89: "NEWFALSE", 'q': "BINPUT",
	'r': "LONG_BINPUT", 0x94: "MEMOIZE", 'h': "BINGET", 'j': "LONG_BINGET", 'c': "GLOBAL", 0x93: "STACK_GLOBAL", 'R': "REDUCE",
	'Q': "BINPERSID", 's': "SETITEM", 'u': "SETITEMS", 'a': "APPEND", 'e': "APPENDS", 'b': "BUILD", '.': "STOP",
}

func opcode(op byte) string {
	if name, ok := names[op]; ok {
		return name
	}
	return fmt.Sprintf("%#02x", op)
}

func (m *machine) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := m.uint(1)
		if err == nil && (v < 2 || v > 5) {
			return m.fail("2 to 5", "pickle protocol %d", v)
		}
		return err
	case 0x95: // FRAME: a hint for reading ahead
		_, err := m.take(8)
		return err
	case 'N':
		return m.push(nil)
	case 0x88:
		return m.push(true)
	case 0x89:
		return m.push(false)
	case 'K', 'M', 'J', 0x8a, 'G':
		return m.number(op)
	case 'X', 0x8c:
		return m.text(op)
	case '}', ']', ')', '(', 't', 0x85, 0x86, 0x87:
		return m.container(op)
	case 's', 'u', 'a', 'e', 'b':
		return m.fill(op)
	case 'q', 'r', 0x94, 'h', 'j':
		return m.remember(op)
	case 'c', 0x93:
		return m.global(op)
	case 'R':
		v, err := m.pop(2)
		if err != nil {
			return err
		}
		out, err := m.call(v[0], v[1])
		if err != nil {
			return err
		}
		return m.push(out)
	case 'Q':
		v, err := m.pop(1)
		if err != nil {
			return err
		}
		out, err := m.storage(v[0])
		if err != nil {
			return err
		}
		return m.push(out)
	}
	return m.fail("a state dict as torch.save writes it", "pickle opcode %#02x, which a state dict does not need", op)
}

func (m *machine) number(op byte) error {
	if err := m.charge(8); err != nil {
		return err
	}
	switch op {
	case 'K':
		v, err := m.uint(1)
		if err != nil {
			return err
		}
		return m.push(int64(v))
	case 'M':
		v, err := m.uint(2)
		if err != nil {
			return err
		}
		return m.push(int64(v))
	case 'J':
		v, err := m.uint(4)
		if err != nil {
			return err
		}
		return m.push(int64(int32(v)))
	case 'G':
		b, err := m.take(8)
		if err != nil {
			return err
		}
		return m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	}
	n, err := m.uint(1) // LONG1: two's complement of n bytes
	if err != nil {
		return err
	}
	b, err := m.take(uint64(n))
	if err != nil {
		return err
	}
	if n > 8 {
		return m.fail("at most 8", "a number of %d bytes", n)
	}
	v := int64(0)
	for i, x := range b {
		v |= int64(x) << (8 * i)
	}
	if n > 0 && n < 8 && b[n-1]&0x80 != 0 {
		v -= 1 << (8 * n)
	}
	return m.push(v)
}

func (m *machine) text(op byte) error {
	width := uint64(4)
	if op == 0x8c {
		width = 1
	}
	n, err := m.uint(width)
	if err != nil {
		return err
	}
	b, err := m.take(uint64(n))
	if err != nil {
		return err
	}
	if err := m.charge(32 + len(b)); err != nil {
		return err
	}
	return m.push(string(b))
}

func (m *machine) container(op byte) error {
	if err := m.charge(64); err != nil {
		return err
	}
	switch op {
	case '}':
		return m.push(&dict{})
	case ']':
		return m.push(&list{})
	case ')':
		return m.push(tuple(nil))
	case '(':
		if len(m.marks) == maxStack {
			return m.fail(fmt.Sprintf("at most %d", maxStack), "the pickle has too many marks")
		}
		m.marks = append(m.marks, len(m.stack))
		return nil
	}
	var v []any
	var err error
	if op == 't' {
		v, err = m.popMark()
	} else {
		v, err = m.pop(int(op - 0x84))
	}
	if err != nil {
		return err
	}
	if err := m.charge(16 * len(v)); err != nil {
		return err
	}
	return m.push(tuple(append([]any(nil), v...)))
}

// fill puts values into the container below them on the stack.
func (m *machine) fill(op byte) error {
	var v []any
	var err error
	switch op {
	case 's':
		v, err = m.pop(2)
	case 'a', 'b':
		v, err = m.pop(1)
	default:
		v, err = m.popMark()
	}
	if err != nil {
		return err
	}
	if err := m.charge(80 * len(v)); err != nil { // five times an interface: a slice that grows is copied over and over
		return err
	}
	// The values stay where they are behind the stack's end until the next push.
	into, err := m.top()
	if err != nil {
		return err
	}
	switch into := into.(type) {
	case *dict:
		switch {
		case op == 'b':
			return nil // attributes of the dict itself, _metadata: not needed
		case op == 'a' || op == 'e' || len(v)%2 != 0:
		default:
			for i := 0; i < len(v); i += 2 {
				into.keys, into.values = append(into.keys, v[i]), append(into.values, v[i+1])
			}
			return nil
		}
	case *list:
		if op == 'a' || op == 'e' {
			into.items = append(into.items, v...)
			return nil
		}
	}
	return m.fail("a valid pickle", "opcode %s on %s with %d values", opcode(op), kind(into), len(v))
}

func (m *machine) remember(op byte) error {
	switch op {
	case 'h', 'j':
		width := uint64(1)
		if op == 'j' {
			width = 4
		}
		i, err := m.uint(width)
		if err != nil {
			return err
		}
		v, ok := m.memo[i]
		if !ok {
			return m.fail("a valid pickle", "it recalls value %d, which it has not stored", i)
		}
		return m.push(v)
	}
	i := uint32(len(m.memo)) // MEMOIZE
	var err error
	switch op {
	case 'q':
		i, err = m.uint(1)
	case 'r':
		i, err = m.uint(4)
	}
	if err != nil {
		return err
	}
	if err := m.charge(96); err != nil {
		return err
	}
	v, err := m.top()
	if err != nil {
		return err
	}
	m.memo[i] = v
	return nil
}

// line reads up to a newline, of which it is the argument of GLOBAL that has two.
func (m *machine) line() (string, error) {
	n := bytes.IndexByte(m.code[m.pos:min(len(m.code), m.pos+maxGlobal)], '\n')
	if n < 0 {
		return "", m.fail(fmt.Sprintf("a name of less than %d bytes", maxGlobal), "GLOBAL has no end of line")
	}
	b, _ := m.take(uint64(n) + 1)
	return string(b[:n]), nil
}

func (m *machine) global(op byte) error {
	var module, name string
	var err error
	if op == 'c' {
		if module, err = m.line(); err == nil {
			name, err = m.line()
		}
	} else {
		var v []any
		if v, err = m.pop(2); err == nil {
			var ok, ok2 bool
			module, ok = v[0].(string)
			name, ok2 = v[1].(string)
			if !ok || !ok2 || len(module) > maxGlobal || len(name) > maxGlobal {
				err = m.fail("two names", "STACK_GLOBAL on %s and %s", kind(v[0]), kind(v[1]))
			}
		}
	}
	if err != nil {
		return err
	}
	g := global(module + "." + name)
	if !g.allowed() {
		return m.fail("a state dict, made of OrderedDict and torch tensors alone: nothing in the file was run",
			"the pickle names %q, which could run code or is no part of a state dict", string(g))
	}
	if err := m.charge(64); err != nil {
		return err
	}
	return m.push(g)
}
