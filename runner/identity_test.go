package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/gguf/synth"
	"llmscale/runner/config"
	"llmscale/runner/modelfile"
	"llmscale/runner/plan"
	"llmscale/runner/record"
	"llmscale/runner/worker"
	"llmscale/runner/workertest"
)

// seededFile writes a GGUF of somebody's own; the seed makes its content.
func seededFile(t *testing.T, path string, seed uint64) {
	t.Helper()
	shape, err := synth.Lookup("tiny-gpt2")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), synth.Write(path, shape, synth.Options{Type: "f16", Seed: seed})); err != nil {
		t.Fatal(err)
	}
}

// planIn plans a config that lies in dir.
func planIn(t *testing.T, dir, text string, models *modelfile.Folder) *plan.Plan {
	t.Helper()
	cfg, err := config.ParseAt("c.yaml", dir, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := newPlan(cfg, models, &worker.Programs{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestFilesWithOneName: two models in different folders with one file name are two in
// the records, in the manifest and to a later session, wherever they lie by then.
func TestFilesWithOneName(t *testing.T) {
	const text = `run_name: t
gen_tokens: 2
replicates: 1
repetitions: 1
warmup_repetitions: 0
probe: false
scenarios: [{name: s, prompt_tokens: 4}]
backends: [{name: a, threads: 1}, {name: b, threads: 2}]
models: [{name: one, source: "v 1/m.gguf"}, {name: two, source: "v 2/m.gguf"}, {name: three, source: "v 2/n.gguf"}, {name: again, source: "v 1/m.gguf"}]
`
	root := t.TempDir()
	var sums []string
	for i, name := range []string{"v 1/m.gguf", "v 2/m.gguf", "v 2/n.gguf"} {
		for _, dir := range []string{"here", "there"} {
			seededFile(t, filepath.Join(root, dir, name), uint64(i+1))
		}
	}
	prepared := func(dir string) *plan.Plan {
		t.Helper()
		p := planIn(t, filepath.Join(root, dir), text, &modelfile.Folder{})
		if err := p.Prepare(t.Context(), &modelfile.Folder{}); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := prepared("here")
	r, dir := newRun(t, p, workertest.Command(t, ""))
	finish(t, r)
	content := map[string]string{}
	for _, rec := range readRecords(t, dir) {
		if was := content[rec.ModelFile]; was != "" && was != *rec.ModelSHA256 {
			t.Errorf("%s has two contents", rec.ModelFile)
		}
		content[rec.ModelFile] = *rec.ModelSHA256
		want := map[string]string{"one": "v 1/m.gguf", "again": "v 1/m.gguf", "two": "v 2/m.gguf", "three": "n.gguf"}[rec.Model]
		if rec.ModelFile != want {
			t.Errorf("%s is of %s, want %s", rec.CellID, rec.ModelFile, want)
		}
		if !slices.Contains(sums, *rec.ModelSHA256) {
			sums = append(sums, *rec.ModelSHA256)
		}
	}
	if len(content) != 3 || len(sums) != 3 {
		t.Errorf("files %v", content)
	}
	files := r.Manifest.ModelFiles
	for _, f := range files {
		slices.Sort(f.Pairs)
		if f.SHA256 != content[f.File] || len(f.Paths) != 1 || !strings.HasSuffix(f.Paths[0], "/"+f.File) || !filepath.IsAbs(f.Paths[0]) {
			t.Errorf("the manifest has %+v", f)
		}
		if f.File == "v 1/m.gguf" && !slices.Equal(f.Pairs, []string{"again/a", "again/b", "one/a", "one/b"}) {
			t.Errorf("%s is loaded by %q", f.File, f.Pairs)
		}
	}
	if len(files) != 3 {
		t.Errorf("%d files", len(files))
	}

	manifest, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	moved := prepared("there")
	if err := errors.Join(manifest.resumable(moved, nil), manifest.sameContents(moved)); err != nil {
		t.Errorf("the same files in another folder: %v", err)
	}
	swap := filepath.Join(root, "swap")
	for _, step := range [][2]string{{"here/v 1/m.gguf", "swap"}, {"here/v 2/m.gguf", "here/v 1/m.gguf"}, {"swap", "here/v 2/m.gguf"}} {
		if err := os.Rename(filepath.Join(root, step[0]), filepath.Join(root, step[1])); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(swap); err == nil {
		t.Fatal("not swapped")
	}
	if err := manifest.sameContents(prepared("here")); err == nil || !strings.Contains(err.Error(), "m.gguf, the file of model") {
		t.Errorf("two files of one name were swapped: %v", err)
	}
}

// TestManifestKeepsEarlierHashes: a session that does not load a model knows nothing
// of its file, and must not make the manifest forget it.
func TestManifestKeepsEarlierHashes(t *testing.T) {
	p := testPlan(t, testConfig)
	r, dir := newRun(t, p, workertest.Command(t, ""))
	finish(t, r)
	want := loadedFiles(r.Manifest, nil)
	for i := range p.Jobs {
		p.Jobs[i].Model.SHA256 = ""
	}
	later := resumeRun(t, p, dir, workertest.Command(t, ""))
	finish(t, later)
	m, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := loadedFiles(m, nil); len(got) != 4 || fmt.Sprint(got) != fmt.Sprint(want) || got["a/cpu_f32"] == "" {
		t.Errorf("%v, then %v", want, got)
	}
	// A coordinator that was killed has not completed its manifest; its records tell.
	later.Manifest.ModelFiles = nil
	if got := loadedFiles(later.Manifest, readRecords(t, dir)); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("from records: %v, want %v", got, want)
	}
}

const transientConfig = `run_name: t
gen_tokens: 2
replicates: 1
repetitions: 2
warmup_repetitions: 0
probe: false
scenarios: [{name: s, prompt_tokens: 4}, {name: r, prompt_tokens: 5}]
backends: [{name: a, dtype: f32, threads: 1}, {name: b, dtype: f16, threads: 1}, {name: c, dtype: bf16, threads: 1}]
models: [{name: m, source: "synth:tiny-gpt2"}, {name: n, source: "synth:gpt2-1m"}]
`

// TestDiscardOnResume: a later session removes what an earlier one has written and
// was kept from removing, and nothing that was there before the run or is not its own.
func TestDiscardOnResume(t *testing.T) {
	root := t.TempDir()
	var models *modelfile.Folder
	plan := func() *plan.Plan { // in a new process
		models = &modelfile.Folder{Dir: filepath.Join(root, "models [x] ä")}
		p := planIn(t, root, transientConfig, models)
		p.GroupByFile()
		return p
	}
	p := plan()
	before := p.Jobs[3].Model
	if err := models.Prepare(&before); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	r, dir := newRun(t, p, workertest.Command(t, ""))
	r.Transient, r.Progress = models, &stopAfter{n: 3, stop: stop}
	if sum := finishUntil(t, ctx, r); !sum.Interrupted {
		t.Fatalf("%+v", sum)
	}
	list := func() map[string]string {
		left := map[string]string{}
		err := filepath.WalkDir(models.Dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && d.Name() != modelfile.HashesFile { // which is of what was there before
				left[path] = d.Name()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	if left := list(); len(left) != 1 || left[before.File] == "" {
		t.Errorf("an interrupt left %d files", len(left))
	}

	// A session that is killed leaves what it has written, and the folder of its own, which the manifest names.
	manifest, err := ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(models.Dir, manifest.DiscardDir)
	last := filepath.Base(p.Jobs[len(p.Jobs)-1].Model.File)
	theirs := filepath.Join(own, "notes.txt")
	for path, text := range map[string]string{
		filepath.Join(own, last):                   "a model of the killed session",
		filepath.Join(own, "."+last+".123-0.part"): "the beginning of another",
		theirs: "not the run's",
	} {
		if err := errors.Join(os.MkdirAll(own, 0o777), os.WriteFile(path, []byte(text), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	for session := range 2 {
		later := resumeRun(t, plan(), dir, workertest.Command(t, ""))
		later.Transient = models
		if sum := finish(t, later); sum.ByStatus[record.StatusOK] != 12 {
			t.Errorf("session %d: %+v %q", session, sum, later.Progress.(*quiet).notes)
		}
		left := list()
		if len(left) != 2 || left[before.File] == "" || left[theirs] == "" {
			t.Errorf("session %d left %d files", session, len(left))
			for name := range left {
				t.Log(name)
			}
		}
	}
}

// TestDiscardFolderIsTheRunsOwn: a manifest that was edited by hand cannot make a run
// empty another folder.
func TestDiscardFolderIsTheRunsOwn(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../x", "discard-", "discard-0123456789ab/.."} {
		models := &modelfile.Folder{Dir: t.TempDir()}
		p := planIn(t, models.Dir, transientConfig, models)
		kept := p.Jobs[0].Model.File
		if err := os.WriteFile(kept, []byte("mine"), 0o666); err != nil {
			t.Fatal(err)
		}
		r := &Run{Plan: p, Transient: models, Progress: &quiet{}, Manifest: &Manifest{DiscardDir: name}}
		r.beginTransient()
		r.emptyOwnDir()
		if _, err := os.Stat(kept); err != nil || filepath.Dir(r.ownDir) != models.Dir || r.Manifest.DiscardDir != filepath.Base(r.ownDir) {
			t.Errorf("%v: %v; the folder is %s", name, err, r.ownDir)
		}
	}
}

// TestTransientFileThatChanged: a model of one's own that another session has measured
// with another content is not measured into the same cells.
func TestTransientFileThatChanged(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "own.gguf")
	seededFile(t, file, 1)
	const text = `run_name: t
gen_tokens: 2
replicates: 1
repetitions: 2
warmup_repetitions: 0
probe: false
scenarios: [{name: s, prompt_tokens: 4}]
backends: [{name: a, threads: 1}]
models: [{name: m, source: own.gguf}]
`
	ctx, stop := context.WithCancel(t.Context())
	r, dir := newRun(t, planIn(t, root, text, &modelfile.Folder{}), workertest.Command(t, ""))
	r.Transient, r.Progress = &modelfile.Folder{}, &stopAfter{n: 1, stop: stop}
	finishUntil(t, ctx, r)

	seededFile(t, file, 2)
	later := resumeRun(t, planIn(t, root, text, &modelfile.Folder{}), dir, workertest.Command(t, ""))
	later.Transient = &modelfile.Folder{}
	if sum := finish(t, later); sum.ByStatus[record.StatusError] != 1 {
		t.Errorf("%+v", sum)
	}
	records := readRecords(t, dir)
	if last := records[len(records)-1]; last.Error == nil || !strings.Contains(*last.Error, "own.gguf, the file of model m, has changed") {
		t.Errorf("%s", *last.Error)
	}

	seededFile(t, file, 1)
	third := resumeRun(t, planIn(t, root, text, &modelfile.Folder{}), dir, workertest.Command(t, ""))
	third.Transient = &modelfile.Folder{}
	if sum := finish(t, third); sum.ByStatus[record.StatusOK] != 1 {
		t.Errorf("with its content back: %+v", sum)
	}
}

// TestFilesAreAbsolute: what a worker is told to load means the same in any folder.
func TestFilesAreAbsolute(t *testing.T) {
	root := t.TempDir()
	seededFile(t, filepath.Join(root, "-own.gguf"), 1)
	store := ollamaStore(t, filepath.Join(root, "-own.gguf"))
	if err := os.Rename(store, filepath.Join(root, "store")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(root)
	t.Setenv("OLLAMA_MODELS", "store")
	p := planIn(t, ".", `gen_tokens: 2
scenarios: [{name: s, prompt_tokens: 4}]
backends: [{name: a, threads: 1}]
models: [{name: o, source: "ollama:mine"}, {name: f, source: "gguf:-own.gguf"}]
`, &modelfile.Folder{})
	for _, j := range p.Jobs {
		for _, path := range append(j.Model.Paths(), j.Load.ModelFile, j.Model.Files[0].Path) {
			if rel, err := filepath.Rel(root, path); !filepath.IsAbs(path) || err != nil || !filepath.IsLocal(rel) {
				t.Errorf("%s: %s (%v)", j.Model.Name, path, err)
			}
		}
	}
}
