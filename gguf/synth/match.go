// SPDX-License-Identifier: MIT

package synth

import "llmscale/gguf"

// Describe says what Write would make, without writing it.
func Describe(p Preset, opt Options) (gguf.Description, error) {
	typ, err := parseType(opt.Type)
	if err != nil {
		return gguf.Description{}, err
	}
	if err := p.check(); err != nil {
		return gguf.Description{}, err
	}
	entries, ts := contents(p, typ, opt.Seed)
	return gguf.DescribeSpecs(entries, specs(ts))
}

// Matches tells whether the file at path is what Write would make of p and opt: a whole file of the same preset,
// type, seed and version of this package. Weights are not compared; Write never leaves a half-written file under
// its final name.
func Matches(path string, p Preset, opt Options) bool {
	typ, err := parseType(opt.Type)
	if err != nil {
		return false
	}
	f, err := gguf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	name, err := f.Text("llmscale.synth.preset")
	if err != nil || name != p.Name || f.Size != Size(p, opt.Type) {
		return false
	}
	for key, want := range map[string]uint64{
		"llmscale.synth.seed":    opt.Seed,
		"llmscale.synth.version": version,
		"general.file_type":      uint64(fileTypes[typ]),
	} {
		kv, ok := f.KV(key)
		if !ok {
			return false
		}
		v, err := f.Value(kv)
		if err != nil {
			return false
		}
		var have uint64
		switch v := v.(type) {
		case uint64:
			have = v
		case uint32:
			have = uint64(v)
		}
		if have != want {
			return false
		}
	}
	return true
}
