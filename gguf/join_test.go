package gguf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// threeParts are the bytes of a model of five tensors in three parts. The first names the architecture alone.
func threeParts(t testing.TB) (parts [3][]byte) {
	t.Helper()
	specs := [3][]Spec{
		{{"token_embd.weight", F16, []int64{4, 3}}},
		{{"blk.0.attn_q.weight", F32, []int64{4, 4}}, {"blk.0.ffn_up.weight", F32, []int64{4, 8}}},
		{{"blk.0.ffn_down.weight", F32, []int64{8, 4}}, {"output_norm.weight", F32, []int64{4}}},
	}
	for i := range parts {
		var entries []Entry
		if i == 0 {
			entries = []Entry{{"general.architecture", "llama"}, {"llama.block_count", uint32(1)}, {"llama.embedding_length", uint32(4)}, {"llama.attention.head_count", uint32(2)}}
		}
		entries = append(entries, Entry{splitNo, uint16(i)}, Entry{splitCount, uint16(3)}, Entry{splitTensors, int32(5)})
		path := filepath.Join(t.TempDir(), "part.gguf")
		writeZeros(t, path, entries, specs[i])
		var err error
		if parts[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return parts
}

// joined reads the parts each by itself and makes one model of them.
func joined(parts [3][]byte) (*File, error) {
	var files []*File
	for i, b := range parts {
		f, err := read(fmt.Sprintf("part %d", i+1), bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return join(files)
}

// TestSplitKeyMutants gives each key that holds the parts together each other value and each other type. Nothing but
// what is written may be taken for a model, and the error names the part at fault.
func TestSplitKeyMutants(t *testing.T) {
	parts := threeParts(t)
	f, err := joined(parts)
	if err != nil {
		t.Fatal(err)
	}
	checkAll(t, f)
	for i := range parts {
		for _, key := range []string{splitNo, splitCount, splitTensors} {
			at := bytes.Index(parts[i], []byte(key)) + len(key) // of the type; the value follows
			mutate := func(name string, offset int, v byte) {
				t.Run(fmt.Sprintf("part %d/%s/%s", i+1, key, name), func(t *testing.T) {
					changed := parts
					changed[i] = bytes.Clone(parts[i])
					changed[i][at+offset] = v
					if bytes.Equal(changed[i], parts[i]) {
						t.Skip("as it was")
					}
					var fe *FormatError
					f, err := joined(changed)
					switch {
					case err == nil:
						t.Fatalf("no error: %d tensors", len(f.Tensors))
					case !errors.As(err, &fe) || fe.Path != fmt.Sprintf("part %d", i+1) && !(key == splitTensors && i == 0):
						t.Errorf("%v does not name part %d", err, i+1)
					case fe.Want == "" && strings.HasPrefix(name, "value"): // another type leads the walk astray
						t.Errorf("%v says nothing of what would be right", err)
					}
				})
			}
			for _, v := range []byte{0, 1, 2, 3, 4, 5, 6, 127, 255} {
				mutate(fmt.Sprintf("value %d", v), 4, v)
			}
			mutate("high byte", 5, 1)
			if key != splitTensors || i == 0 { // llama.cpp reads that of the first part alone
				mutate("no such key", -1, 'X')
			}
			for typ := range len(valueTypes) + 1 {
				mutate(fmt.Sprintf("type %d", typ), 0, byte(typ))
			}
		}
	}
}

// FuzzJoin asks of any three files that they make a model of which all can be read, or give an error with its place.
func FuzzJoin(f *testing.F) {
	p := threeParts(f)
	f.Add(p[0], p[1], p[2])
	f.Add(p[0], p[2], p[1])
	f.Add(p[0], p[0], p[0])
	f.Add(p[1], p[0], p[2])
	noArch := bytes.Replace(p[0], []byte("general.architecture"), []byte("general.architecturf"), 1)
	f.Add(noArch, bytes.Replace(p[0], []byte(splitNo+"\x02\x00\x00\x00\x00"), []byte(splitNo+"\x02\x00\x00\x00\x01"), 1), p[2])
	f.Fuzz(func(t *testing.T, a, b, c []byte) {
		if len(a)+len(b)+len(c) > 1<<20 {
			t.Skip()
		}
		takesLittle(t, bytes.Join([][]byte{a, b, c}, nil), func() {
			file, err := joined([3][]byte{a, b, c})
			var fe *FormatError
			if err == nil {
				checkAll(t, file)
			} else if !errors.As(err, &fe) || fe.Offset < 0 || fe.What == "" || fe.Path == "" {
				t.Fatalf("%#v", err)
			}
		})
	})
}

// The sum of the parts is bounded like a file's size, so that no sum over all tensors overflows.
func TestPartsTooLargeTogether(t *testing.T) {
	var files []*File
	for i, b := range threeParts(t) {
		f, err := read(fmt.Sprintf("part %d", i+1), sparse(b), maxFile/2)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	if _, err := join(files); err == nil || !strings.Contains(err.Error(), "part 3: at byte 0: with this part the model has more than 2^60 bytes") {
		t.Error(err)
	}
}
