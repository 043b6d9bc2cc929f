package ledger

// Kinds of memory: what a context keeps of the text before.
const (
	MemoryNone      = "none"
	MemoryKV        = "kv"        // keys and values of every token
	MemoryRecurrent = "recurrent" // a state of one size
	MemoryHybrid    = "hybrid"    // the one in some layers, the other in others
)

// MemoryKind says which kind the model's layers ask for. Whether the runtime makes such a memory at all is
// [Description.DecodeRefusal]'s.
func (d *Description) MemoryKind() string {
	if !d.recurrent {
		return MemoryKV
	}
	s := d.layout()
	for i := range s.layers {
		if s.layers[i].cached {
			return MemoryHybrid
		}
	}
	return MemoryRecurrent
}

// Unloaded is how many tensors llama.cpp leaves in the file.
func (d *Description) Unloaded() int {
	n := 0
	if d.structure != nil {
		for i := range d.structure.tensors {
			if d.structure.tensors[i].unloaded {
				n++
			}
		}
	}
	return n
}
