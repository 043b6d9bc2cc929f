//go:build native

package native

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"llmscale/gguf"
	"llmscale/gguf/archs"
	"llmscale/gguf/ledger"
)

var discover = flag.String("discover", "", "write gguf/archs/models.txt anew for the architectures that match this regular expression")

// TestDiscover writes the small models of gguf/archs by asking llama.cpp what it misses:
//
//	native=$(scripts/native) && . $native/go.env && go test -run TestDiscover ./native -discover=.+
//
// It starts with a few keys of metadata (discover_keys_test.go) and no tensor, and adds what the loader's errors name
// until the model loads; a tensor's shape is that which the loader expected. Then every tensor that the loader knows
// for the architecture but can do without is tried, and kept if the model decodes with it and reads no less than before.
func TestDiscover(t *testing.T) {
	if *discover == "" {
		t.Skip("only with -discover")
	}
	wanted := regexp.MustCompile("^(" + *discover + ")$")
	source := readArchSource(t)
	if len(source.tensors) == 0 {
		t.Fatal("the sources have another form: no tensors of architectures are found in them")
	}
	build, err := Build()
	if err != nil {
		t.Fatal(err)
	}
	ours := func(m *archs.Model) bool {
		by, ok := madeBy[m.Name()]
		return wanted.MatchString(m.Arch) && slices.Contains(source.names, m.Arch) && (!ok || by == ledger.RulesOf(build.LlamaSource))
	}
	models := archs.Models(t)
	models = slices.DeleteFunc(models, func(m archs.Model) bool { return ours(&m) })
	c := &prober{t: t}
	defer c.end()
	for _, arch := range source.names {
		if !wanted.MatchString(arch) {
			continue
		}
		for _, v := range variantsOf(arch) {
			if !ours(&v) {
				continue
			}
			d := &discovery{prober: c, model: v, source: source}
			if err := d.require(); err != nil {
				t.Logf("%s: %v", v.Name(), err)
				if len(d.model.Tensors) > 0 {
					continue
				}
			}
			d.widen()
			d.shapeUnloaded()
			models = append(models, d.model)
		}
	}
	if err := os.WriteFile("../gguf/archs/models.txt", []byte(modelsHeader+archs.Format(models)), 0o666); err != nil {
		t.Fatal(err)
	}
}

const modelsHeader = "# Written by `go test -run TestDiscover ./native -discover=.+`, see native/discover_test.go. Package archs says how to read it.\n"

// discovery makes one model.
type discovery struct {
	*prober
	model  archs.Model
	source *archSource
}

var (
	missingKey    = regexp.MustCompile(`key not found in model: ([^\s;)]+)`)
	missingTensor = regexp.MustCompile(`missing tensor '([^']+)'|tensor '([^']+)' not found`)
	wrongShape    = regexp.MustCompile(`tensor '([^']+)' has wrong shape; expected ([0-9 ,]+), got`)
	wrongNumber   = regexp.MustCompile(`wrong number of tensors`)
)

// step adds to the model what the reply says is missing. It is false if that cannot be told.
func (d *discovery) step(r reply) bool {
	m := &d.model
	if f := missingKey.FindStringSubmatch(r.Err); f != nil {
		name := strings.TrimPrefix(f[1], m.Arch+".")
		value, ok := keyValues[name]
		if !ok || slices.ContainsFunc(m.Keys, func(k archs.Key) bool { return k.Name == name }) {
			return false
		}
		m.Keys = append(m.Keys, archs.Key{Name: name, Value: value})
		return true
	}
	if f := missingTensor.FindStringSubmatch(r.Err); f != nil {
		m.Tensors = append(m.Tensors, d.guess(f[1]+f[2]))
		return true
	}
	if name, dims, ok := expected(r.Err); ok {
		i := slices.IndexFunc(m.Tensors, func(s gguf.Spec) bool { return s.Name == name })
		if i < 0 {
			return false
		}
		m.Tensors[i].Dims = dims
		m.Tensors[i].Type = typeFor(name, dims)
		return true
	}
	return false
}

func expected(err string) (name string, dims []int64, ok bool) {
	f := wrongShape.FindStringSubmatch(err)
	if f == nil {
		return "", nil, false
	}
	for s := range strings.SplitSeq(f[2], ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
		if err != nil {
			return "", nil, false
		}
		dims = append(dims, n)
	}
	return f[1], dims, true
}

// require adds what the loader insists on.
func (d *discovery) require() error {
	for range 2000 {
		r := d.probe(&d.model, false)
		if r.Err == "" || strings.Contains(r.Err, "not a decoder-only model") {
			return nil
		}
		if !d.step(r) {
			return fmt.Errorf("%s", r.Err)
		}
	}
	return fmt.Errorf("no end")
}

// widen adds the tensors that the loader knows and does not insist on.
func (d *discovery) widen() {
	base := d.probe(&d.model, true)
	layers := map[string]int{}
	has, required := map[string]bool{}, map[string]bool{}
	for _, s := range d.model.Tensors {
		has[s.Name], required[s.Name] = true, true
		if prefix, l, _ := archs.SplitName(s.Name); l >= 0 {
			layers[prefix] = max(layers[prefix], l+1)
		}
	}
	for _, name := range d.source.tensors[d.model.Arch] {
		for _, suffix := range []string{".weight", ".bias", ".scale", ""} {
			if suffix == ".bias" && d.model.Variant == "wide heads" {
				continue // of which versions expect other widths
			}
			if suffix == ".scale" && d.model.Arch != "bitnet" {
				continue // elsewhere of nvfp4 alone
			}
			var group []gguf.Spec // of all layers
			if prefix, rest, ok := strings.Cut(name, ".%d."); ok {
				var s gguf.Spec
				var ok bool
				for l := range layers[prefix] {
					full := fmt.Sprintf("%s.%d.%s%s", prefix, l, rest, suffix)
					if strings.Contains(full, "%") || has[full] {
						continue
					}
					// In models of many layers those beyond the second are taken to be like it.
					if l > 1 && layers[prefix] > 8 {
						s.Name = full
					} else {
						s, ok = d.optional(full)
					}
					if ok {
						group = append(group, s)
					}
				}
			} else if full := name + suffix; !has[full] {
				if s, ok := d.optional(full); ok {
					group = append(group, s)
				}
			}
			if len(group) == 0 {
				continue
			}
			with := d.model
			with.Tensors = append(slices.Clip(with.Tensors), group...)
			r := d.probe(&with, true)
			lost := slices.DeleteFunc(slices.Clone(r.Account.Unread), func(n string) bool {
				return slices.Contains(base.Account.Unread, n) || slices.ContainsFunc(group, func(s gguf.Spec) bool { return generic(s.Name) == n })
			})
			switch {
			case r.Err == "" && base.Err != "":
				d.model, base = with, r
			case r.Err == "" && len(lost) > 0:
				d.t.Logf("%s: with %s no step reads %v: left out", d.model.Name(), group[0].Name, lost)
			case r.Err == "" && slices.Contains(r.Account.Unread, generic(group[0].Name)) && !realUnread.MatchString(group[0].Name):
				d.t.Logf("%s: no step reads %s: left out", d.model.Name(), group[0].Name)
			case r.Err == "" || r.Err == base.Err:
				d.model, base = with, r
			default:
				d.t.Logf("%s: not with %s: %s", d.model.Name(), group[0].Name, r.Err)
			}
		}
	}
	d.model.Tensors = slices.DeleteFunc(d.model.Tensors, func(s gguf.Spec) bool {
		name := generic(s.Name)
		return !required[s.Name] && slices.Contains(base.Account.Unread, name) && !realUnread.MatchString(name)
	})
	if base.Err != "" {
		d.t.Logf("%s: FAILS: %s", d.model.Name(), base.Err)
	}
	if len(base.Account.Unread) > 0 {
		d.t.Logf("%s: UNREAD %v", d.model.Name(), base.Account.Unread)
	}
}

// realUnread are tensors that real files have though no step reads them; others that the loader takes and the graph
// does not use are left out.
var realUnread = regexp.MustCompile(`nextn|^cls|^dense_|rope_factors|\.vis_|bskcn|rel_b|time_mix_[vg]`)

// shapeUnloaded gives the tensors of prediction layers, whose shapes the loader does not look at, those that they have
// in other layers.
func (d *discovery) shapeUnloaded() {
	shape := map[string][]int64{
		"nextn.eh_proj.weight": {128, 64}, "nextn.embed_tokens.weight": {64, 160}, "nextn.shared_head_head.weight": {64, 160},
		"layer_output_norm.weight": {64}, "nextn.enorm.weight": {64}, "nextn.hnorm.weight": {64}, "nextn.shared_head_norm.weight": {64},
	}
	for i := range d.model.Tensors {
		s := &d.model.Tensors[i]
		_, layer, part := archs.SplitName(s.Name)
		if layer < 0 {
			continue
		}
		if len(s.Dims) > 1 || s.Dims[0] > 1 {
			shape[part] = s.Dims
		} else if dims, ok := shape[part]; ok {
			s.Dims, s.Type = dims, typeFor(s.Name, dims)
		}
	}
}

// optional tells whether the loader would take a tensor of this name, and of which shape.
func (d *discovery) optional(name string) (gguf.Spec, bool) {
	with := d.model
	s := oneElement(name)
	with.Tensors = append(slices.Clip(with.Tensors), s)
	r := d.probe(&with, false)
	if n, dims, ok := expected(r.Err); ok && n == name {
		s.Dims, s.Type = dims, typeFor(name, dims)
		return s, true
	}
	if strings.Contains(r.Err, "not a decoder-only model") {
		return s, true
	}
	if r.Err != "" && !wrongNumber.MatchString(r.Err) {
		d.t.Logf("%s: %s cannot be tried: %s", d.model.Name(), name, r.Err)
	}
	return s, r.Err == ""
}

// typeFor is f16 for what real files have in 16 bits or less, f32 for the rest.
func typeFor(name string, dims []int64) gguf.Type {
	if len(dims) < 2 || !strings.HasSuffix(name, ".weight") || keepF32.MatchString(name) {
		return gguf.F32
	}
	return gguf.F16
}

var keepF32 = regexp.MustCompile(`norm|ffn_gate_inp|conv|time_mix|ssm_|channel_mix_lerp|altup|laurel|rel_b|position_embd|token_types|conv|posnet|_embd\.[0-9]`)

// guess is a tensor to begin with: like that of the layer before, else of one element, until the loader says what it
// expects.
func (d *discovery) guess(name string) gguf.Spec {
	if prefix, l, part := archs.SplitName(name); l > 0 {
		before := fmt.Sprintf("%s.%d.%s", prefix, l-1, part)
		for _, s := range d.model.Tensors {
			if s.Name == before {
				s.Name = name
				return s
			}
		}
	}
	return oneElement(name)
}

func oneElement(name string) gguf.Spec {
	return gguf.Spec{Name: name, Type: gguf.F32, Dims: []int64{1}}
}
