package torchfile

import (
	"fmt"
	"math/bits"
)

const maxDims = 8

// storageTypes are the globals that name a storage's element type.
var storageTypes = map[global]struct {
	dtype string
	bytes int64 // of one element
}{
	"torch.FloatStorage": {"F32", 4}, "torch.HalfStorage": {"F16", 2}, "torch.BFloat16Storage": {"BF16", 2}, "torch.DoubleStorage": {"F64", 8},
	"torch.LongStorage": {"I64", 8}, "torch.IntStorage": {"I32", 4}, "torch.ShortStorage": {"I16", 2}, "torch.CharStorage": {"I8", 1},
	"torch.ByteStorage": {"U8", 1}, "torch.BoolStorage": {"BOOL", 1},
}

// The functions that a state dict calls.
const (
	orderedDict      global = "collections.OrderedDict"
	rebuildTensor    global = "torch._utils._rebuild_tensor_v2"
	rebuildParameter global = "torch._utils._rebuild_parameter"
	parameter        global = "torch.nn.parameter.Parameter"
)

func (g global) allowed() bool {
	if _, ok := storageTypes[g]; ok {
		return true
	}
	return g == orderedDict || g == rebuildTensor || g == rebuildParameter || g == parameter
}

// storage is one entry of the archive seen as elements of one type.
type storage struct {
	key      string
	dtype    string
	width    int64 // bytes of one element
	offset   int64 // bytes from the start of the file
	elements int64
}

// storage resolves a persistent id: ("storage", type, key, location, number of elements).
func (m *machine) storage(id any) (any, error) {
	const want = `("storage", type, key, location, elements)`
	t, ok := id.(tuple)
	if !ok || len(t) != 5 || t[0] != "storage" {
		return nil, m.fail(want, "a persistent id is %s", kind(id))
	}
	g, ok1 := t[1].(global)
	key, ok2 := t[2].(string)
	n, ok3 := t[4].(int64)
	typ, ok4 := storageTypes[g]
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil, m.fail(want, "a persistent id holds %s, %s and %s", kind(t[1]), kind(t[2]), kind(t[4]))
	}
	p, err := m.archive.find(m.archive.prefix + "data/" + key)
	if err != nil {
		return nil, err
	}
	if n < 0 || n > p.size || n*typ.bytes != p.size {
		return nil, m.fail(fmt.Sprintf("%d", p.size/typ.bytes), "storage %q is said to have %d elements of %s, but its entry has %d bytes", key, n, typ.dtype, p.size)
	}
	return &storage{key, typ.dtype, typ.bytes, p.offset, n}, m.charge(128)
}

// call runs one of the functions that a state dict calls.
func (m *machine) call(f, args any) (any, error) {
	g, ok := f.(global)
	t, ok2 := args.(tuple)
	if !ok || !ok2 {
		return nil, m.fail("a valid pickle", "REDUCE calls %s with %s", kind(f), kind(args))
	}
	switch g {
	case orderedDict:
		if len(t) == 0 {
			return &dict{}, m.charge(64)
		}
	case rebuildTensor:
		return m.tensor(t)
	case rebuildParameter, parameter:
		if len(t) > 0 {
			if x, ok := t[0].(*Tensor); ok {
				return x, nil
			}
		}
	}
	return nil, m.fail("what a state dict needs", "%s is called with %d arguments", g, len(t))
}

// tensor makes a tensor of (storage, offset, shape, strides, requires_grad, hooks[, metadata]).
func (m *machine) tensor(t tuple) (any, error) {
	if len(t) != 6 && len(t) != 7 {
		return nil, m.fail("6", "%s is called with %d arguments", rebuildTensor, len(t))
	}
	s, ok := t[0].(*storage)
	offset, ok2 := t[1].(int64)
	shape, ok3 := integers(t[2])
	stride, ok4 := integers(t[3])
	if !ok || !ok2 || !ok3 || !ok4 || len(shape) != len(stride) || len(shape) > maxDims {
		return nil, m.fail(fmt.Sprintf("a storage, an offset, and shape and strides of at most %d whole numbers", maxDims),
			"%s is called with %s, %s, %s and %s", rebuildTensor, kind(t[0]), kind(t[1]), kind(t[2]), kind(t[3]))
	}
	if len(t) == 7 {
		// Bits such as "negative" or "conjugate", by which the stored numbers are not the tensor's.
		if d, ok := t[6].(*dict); t[6] != nil && (!ok || len(d.keys) > 0) {
			return nil, m.fail("a plain tensor", "a tensor carries metadata")
		}
	}
	x := &Tensor{DType: s.dtype, Shape: shape, Stride: stride, Elements: 1, Contiguous: true}
	last := offset // index of the last element in the storage
	okSize := offset >= 0
	for i := len(shape) - 1; i >= 0 && okSize; i-- {
		n, step := shape[i], stride[i]
		if n != 1 && step != x.Elements {
			x.Contiguous = false
		}
		hi, lo := bits.Mul64(uint64(x.Elements), uint64(n))
		hi2, lo2 := bits.Mul64(uint64(max(n, 1)-1), uint64(step))
		okSize = n >= 0 && step >= 0 && hi == 0 && lo <= 1<<56 && hi2 == 0 && lo2 <= 1<<56 && last <= 1<<56
		x.Elements, last = int64(lo), last+int64(lo2)
	}
	if x.Elements == 0 {
		last, x.Contiguous = offset-1, true
	}
	if !okSize || last >= s.elements {
		return nil, m.fail("a tensor that lies inside its storage", "shape %v with strides %v from element %d on does not fit into storage %q of %d elements", shape, stride, offset, s.key, s.elements)
	}
	// A view may repeat elements, so that its size can exceed the storage's; only a contiguous one can be read.
	x.Offset, x.Size = s.offset+offset*s.width, x.Elements*s.width
	return x, m.charge(256)
}

func integers(v any) ([]int64, bool) {
	t, ok := v.(tuple)
	out := make([]int64, 0, min(len(t), maxDims))
	for _, x := range t {
		n, isInt := x.(int64)
		if !isInt || len(out) == maxDims {
			return nil, false
		}
		out = append(out, n)
	}
	return out, ok
}

// stateDict turns the pickle's outermost object into the tensor table.
func (m *machine) stateDict(v any) ([]Tensor, error) {
	const want = "a state dict: {name: tensor, ...}"
	fail := func(tensor, want, format string, args ...any) ([]Tensor, error) {
		return nil, &FormatError{m.archive.path, m.archive.prefix + "data.pkl", -1, tensor, fmt.Sprintf(format, args...), want}
	}
	d, ok := v.(*dict)
	if !ok {
		return fail("", want, "the file holds %s", kind(v))
	}
	out := make([]Tensor, 0, len(d.keys))
	seen := make(map[string]bool, len(d.keys))
	for i, k := range d.keys {
		name, ok := k.(string)
		if !ok {
			return fail("", want, "a key of the file's dict is %s", kind(k))
		}
		x, ok := d.values[i].(*Tensor)
		if !ok {
			return fail("", want+"; of a training checkpoint, save the state dict alone", "entry %q of the file's dict is %s", cut(name), kind(d.values[i]))
		}
		if seen[name] {
			return fail(cut(name), "", "it is there twice")
		}
		seen[name] = true
		named := *x // one tensor may stand under several names
		named.Name = name
		out = append(out, named)
	}
	return out, nil
}

// cut shortens a name for an error.
func cut(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}

// kind says in words what a value is.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case int64, float64:
		return fmt.Sprintf("the number %v", v)
	case string:
		return fmt.Sprintf("the string %q", cut(v))
	case tuple:
		return fmt.Sprintf("a tuple of %d", len(v))
	case *list:
		return fmt.Sprintf("a list of %d", len(v.items))
	case *dict:
		return fmt.Sprintf("a dict of %d", len(v.keys))
	case global:
		return string(v)
	case *storage:
		return "a storage"
	case *Tensor:
		return "a tensor"
	}
	return fmt.Sprintf("a %T", v)
}
