// Package merge makes one run folder of the shards of a plan, which other machines or earlier jobs have measured.
//
// A shard is read as it lies there and never written to, so that it may still be measured, resumed and merged again. The
// same shards give the same bytes, in whatever order they are named.
package merge

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"llmscale/internal/text"
	"llmscale/runner"
	"llmscale/runner/plan"
)

// source is a shard that is read.
type source struct {
	dir      string
	m        *runner.Manifest
	sessions int // of the shards before it
}

func (s *source) shard() *runner.ShardNote { return s.m.Shard }

// open reads what a folder says of itself.
func open(dir string) (*source, error) {
	m, err := runner.ReadManifest(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("no shard: %w", err)
	case m.Merged != nil:
		return nil, fmt.Errorf("%s is no shard: it was merged of some", dir)
	case m.Shard == nil:
		return nil, fmt.Errorf("%s is no shard: it is a run of a whole plan", dir)
	case m.Shard.Index < 1 || m.Shard.Index > m.Shard.Of || len(m.Shard.Parts) == 0 || m.Shard.PlanSHA256 == "":
		return nil, fmt.Errorf("%s: its manifest does not say which shard it is", dir)
	}
	return &source{dir: dir, m: m}, nil
}

// openAll reads shards that belong together, in their order.
func openAll(dirs []string) ([]*source, error) {
	var all []*source
	for _, dir := range dirs {
		s, err := open(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	slices.SortStableFunc(all, func(a, b *source) int {
		return cmp.Or(a.shard().Index-b.shard().Index, cmp.Compare(a.dir, b.dir))
	})
	for i, s := range all {
		if why := differs(all[0], s); why != "" {
			return nil, fmt.Errorf("%s and %s are not of one sweep: %s", all[0].dir, s.dir, why)
		}
		if i > 0 && s.shard().Index == all[i-1].shard().Index {
			return nil, fmt.Errorf("%s and %s overlap: both are shard %s", all[i-1].dir, s.dir, s.shard().Shard)
		}
	}
	return all, cmp.Or(overlaps(all), otherFiles(all))
}

// differs says why two shards are not of one plan, measured by one build; "": they are.
func differs(a, b *source) string {
	x, y := a.m, b.m
	switch {
	case x.Seed != y.Seed:
		return fmt.Sprintf("their seeds are %s and %s", x.Seed, y.Seed)
	case x.ConfigSHA256 != y.ConfigSHA256:
		return fmt.Sprintf("their configs differ (SHA-256 %.12s and %.12s)", x.ConfigSHA256, y.ConfigSHA256)
	case !text.SameJSON(portable(x.Build), portable(y.Build)):
		return "they were measured by two builds of llmscale (their manifests say which)"
	case !samePrograms(x, y):
		return "a program that backends name is not the same (their manifests say which)"
	case a.shard().PlanSHA256 != b.shard().PlanSHA256:
		return fmt.Sprintf("they are of two plans (%.12s and %.12s): what flags changed, or what the models hold, differs", a.shard().PlanSHA256, b.shard().PlanSHA256)
	case a.shard().Of != b.shard().Of || a.shard().Split != b.shard().Split:
		return fmt.Sprintf("the plan was split into %d by %s, and into %d by %s", a.shard().Of, a.shard().Split, b.shard().Of, b.shard().Split)
	}
	return ""
}

// portable is a build without what each machine makes of it.
func portable(build json.RawMessage) map[string]any {
	var all map[string]any
	if json.Unmarshal(build, &all) != nil {
		return nil
	}
	if native, ok := all["native"].(map[string]any); ok {
		delete(native, "system_info")
	}
	return all
}

func samePrograms(x, y *runner.Manifest) bool {
	return slices.EqualFunc(x.Programs, y.Programs, func(a, b runner.ProgramEntry) bool {
		return a.Program == b.Program && a.SHA256 == b.SHA256
	})
}

// overlaps refuses shards that have the same model of the same block.
func overlaps(all []*source) error {
	type owner struct {
		s    *source
		part *plan.Part
	}
	blocks := map[int][]owner{}
	for _, s := range all {
		for i := range s.shard().Parts {
			part := &s.shard().Parts[i]
			for _, o := range blocks[part.Replicate] {
				if part.Models == nil || o.part.Models == nil || slices.ContainsFunc(part.Models, func(m string) bool { return slices.Contains(o.part.Models, m) }) {
					return fmt.Errorf("%s and %s overlap: both have measured block %d", o.s.dir, s.dir, part.Replicate)
				}
			}
			blocks[part.Replicate] = append(blocks[part.Replicate], owner{s, part})
		}
	}
	return nil
}

// otherFiles refuses shards that have loaded different files for one model.
func otherFiles(all []*source) error {
	type file struct {
		sum string
		s   *source
	}
	seen := map[string]file{}
	for _, s := range all {
		for _, f := range s.m.ModelFiles {
			for _, pair := range f.Pairs {
				was, ok := seen[pair]
				switch {
				case f.SHA256 == "":
				case !ok:
					seen[pair] = file{f.SHA256, s}
				case was.sum != f.SHA256:
					return fmt.Errorf("%s and %s are not of one sweep: the file of model %s holds something else in each (SHA-256 %.12s and %.12s)", was.s.dir, s.dir, f.Model, was.sum, f.SHA256)
				}
			}
		}
	}
	return nil
}

// modelFiles are those of all shards, with what each knows.
func modelFiles(all []*source) (out []runner.ModelFile) {
	for _, s := range all {
		for _, f := range s.m.ModelFiles {
			at := slices.IndexFunc(out, func(o runner.ModelFile) bool { return o.Model == f.Model && o.File == f.File })
			switch {
			case at < 0:
				out = append(out, f)
			case out[at].SHA256 == "":
				out[at] = f
			}
		}
	}
	return out
}

// base is a folder's own name, also of ".".
func base(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return filepath.Base(dir)
}
