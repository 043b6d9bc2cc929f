package runs

import (
	"os"
	"path/filepath"
	"testing"
)

// TestProfiles: in the run folder and below it; a broken one is a warning.
func TestProfiles(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{
		"profile.json":              `{"sha256":"a","device":"cpu","n_threads":2,"prompt_tokens":16,"profile":{"phases":[{"name":"decode"}]}}`,
		"profiles/one/profile.json": `{"sha256":"b","profile":{"phases":[]}}`,
		"profiles/two/profile.json": `{"sha256":`,
		"other/profile.json":        `{}`,
	} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	run := &Run{Dir: dir}
	run.readProfiles()
	if len(run.Profiles) != 2 || run.Profiles[0].Threads != 2 || run.Profiles[0].Profile.Phases[0].Name != "decode" || run.Profiles[1].SHA256 != "b" {
		t.Errorf("%+v", run.Profiles)
	}
	if len(run.Warnings) != 2 || run.Warnings[0].Code != "broken_profile" || run.Warnings[1].Code != "broken_profile" {
		t.Errorf("%+v", run.Warnings)
	}
}
