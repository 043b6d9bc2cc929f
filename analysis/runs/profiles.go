package runs

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"

	"llmscale/analysis/profile"
)

// Profile is a profile.json of `llmscale profile` that lies in the run folder or up to
// two folders below.
type Profile struct {
	File         string `json:"-"` // from the run folder
	SHA256       string `json:"sha256"`
	Device       string `json:"device"`
	Threads      int    `json:"n_threads"`
	PromptTokens int    `json:"prompt_tokens"`

	Profile *profile.Profile `json:"profile"`
}

// readProfiles takes the profiles of models that lie in the run folder.
func (run *Run) readProfiles() {
	dir := os.DirFS(run.Dir)
	for _, below := range []string{"", "*", "*/*"} {
		files, _ := fs.Glob(dir, path.Join(below, "profile.json")) // the patterns are well-formed
		for _, file := range files {
			data, err := fs.ReadFile(dir, file)
			p := Profile{File: file}
			if err == nil {
				err = json.Unmarshal(data, &p)
			}
			if err == nil && p.Profile == nil {
				err = fmt.Errorf("it has no profile")
			}
			if err != nil {
				run.warn("broken_profile", file, err.Error(), "the operations of its model are not known; everything else holds")
				continue
			}
			run.Profiles = append(run.Profiles, p)
		}
	}
}
