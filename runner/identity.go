package runner

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/gguf/ledger"
	"llmscale/runner/plan"
	"llmscale/runner/record"
)

// ModelFile is a file that a run loads. It is one file by its path, and the same in
// a later session by its hash.
type ModelFile struct {
	Model       string             `json:"model"` // the first that stands for it
	Source      string             `json:"source"`
	File        string             `json:"file"`  // as records name it, see Model.Label
	Paths       []string           `json:"paths"` // absolute; of a model in several parts, all of them in order
	Pairs       []string           `json:"pairs"` // that load it, model/backend
	SHA256      string             `json:"sha256"`
	Description ledger.Description `json:"description"`
}

// modelFiles lists the plan's files. A hash that an earlier session has found stays:
// a file that has another one since is not measured.
func modelFiles(p *plan.Plan, earlier hashes) []ModelFile {
	out := []ModelFile{}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		m := &j.Model
		at := slices.IndexFunc(out, func(f ModelFile) bool { return f.Paths[0] == m.File })
		if at < 0 {
			at = len(out)
			out = append(out, ModelFile{Model: m.Name, Source: m.Source, File: m.Label, Paths: m.Paths(), Description: m.Desc})
		}
		f := &out[at]
		f.Pairs = append(f.Pairs, j.Pair())
		for _, sum := range []string{earlier[j.Pair()], m.SHA256} {
			if f.SHA256 == "" {
				f.SHA256 = sum
			}
		}
	}
	slices.SortFunc(out, func(a, b ModelFile) int { return strings.Compare(a.File, b.File) })
	return out
}

// hashes are the SHA-256 of the files that earlier sessions loaded, by Job.Pair.
type hashes map[string]string

// loadedFiles takes them from a manifest and from records, which know of files that
// were written for their measurement alone.
func loadedFiles(m *Manifest, records []record.Record) hashes {
	out := hashes{}
	for _, f := range m.ModelFiles {
		for _, pair := range f.Pairs {
			out[pair] = f.SHA256
		}
	}
	for i := range records {
		if r := &records[i]; r.Status == record.StatusOK && r.ModelSHA256 != nil {
			out[r.Model+"/"+r.Backend] = *r.ModelSHA256
		}
	}
	return out
}

// check compares the job's file with the one that an earlier session loaded. A file
// that did not fit then, or does not now, has no hash to compare.
func (h hashes) check(j *plan.Job) error {
	m := &j.Model
	if was := h[j.Pair()]; was != m.SHA256 && was != "" && m.SHA256 != "" {
		return fmt.Errorf("the content of %s, the file of model %s, has changed since the run was started: start a new run", m.File, m.Name)
	}
	return nil
}
