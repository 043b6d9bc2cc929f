package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/modelfile"
	"llmscale/runner/record"
	"llmscale/runner/worker"
	"llmscale/runner/workertest"
)

// TestTransientModels: each model is there while it is measured, one after the
// other, and gone afterwards, but for a file that was there before.
func TestTransientModels(t *testing.T) {
	cfg, err := config.Parse("c.yaml", []byte(`
run_name: t
gen_tokens: 2
replicates: 2
repetitions: 1
scenarios: [{name: s, prompt_tokens: 4}, {name: r, prompt_tokens: 5}]
backends: [{name: a, dtype: f32, threads: 1}, {name: b, dtype: f32, threads: 2}, {name: c, dtype: f16, threads: 1}, {name: d, dtype: bf16, threads: 1}]
models: [{name: m, source: "synth:tiny-gpt2"}, {name: n, source: "synth:tiny-gpt2"}]
`))
	if err != nil {
		t.Fatal(err)
	}
	models := &modelfile.Folder{Dir: t.TempDir()}
	p, err := newPlan(cfg, models, &worker.Programs{})
	if err != nil {
		t.Fatal(err)
	}
	p.GroupByFile()
	for _, b := range p.Blocks {
		left := map[string]bool{}
		for i := 1; i < len(b); i++ {
			if was, is := b[i-1].Job.Model.File, b[i].Job.Model.File; was != is {
				left[was] = true
				if left[is] {
					t.Errorf("%s comes back after another file", is)
				}
			}
		}
	}
	before := &p.Jobs[0].Model
	if err := models.Prepare(before); err != nil {
		t.Fatal(err)
	}
	most := 0
	models.Progress = func(string, int64, int64) {
		files, _ := filepath.Glob(filepath.Join(models.Dir, "*.gguf"))
		own, _ := filepath.Glob(filepath.Join(models.Dir, "*", "*.gguf"))
		most = max(most, len(files)+len(own))
	}
	r, dir := newRun(t, p, workertest.Command(t, ""))
	r.Transient = models
	if sum := finish(t, r); sum.ByStatus[record.StatusOK] != 16 {
		t.Fatalf("%v", sum)
	}
	behind, _ := filepath.Glob(filepath.Join(models.Dir, "*"))
	behind = slices.DeleteFunc(behind, func(path string) bool { return filepath.Base(path) == modelfile.HashesFile })
	kept, err := os.ReadFile(filepath.Join(models.Dir, modelfile.HashesFile))
	if err != nil || strings.Count(string(kept), `"path"`) != 1 || !strings.Contains(string(kept), before.File) {
		t.Errorf("hashes are kept of %s, want of what stays; %v", kept, err)
	}
	if len(behind) != 1 || behind[0] != before.File {
		t.Errorf("left behind: %v, want %s, which was there before", behind, before.File)
	}
	if most < 1 || most > 2 { // that one, and one at a time
		t.Errorf("%d files at once", most)
	}
	for _, f := range r.Manifest.ModelFiles {
		if len(f.SHA256) != 64 || filepath.Dir(f.Paths[0]) != models.Dir {
			t.Errorf("the manifest has %+v", f)
		}
	}
	for _, rec := range readRecords(t, dir) {
		if rec.ModelSHA256 == nil {
			t.Errorf("%s: a record without its model's hash", rec.CellID)
		}
	}
}

// TestTransientModelsNeedTheLargest: what must fit on the disk is the largest of
// transient models, and all of others.
func TestTransientModelsNeedTheLargest(t *testing.T) {
	p := testPlan(t, testConfig)
	models := &modelfile.Folder{Dir: t.TempDir()} // where none of them is
	for i := range p.Jobs {
		p.Jobs[i].Model.File = filepath.Join(models.Dir, fmt.Sprint(i))
		p.Jobs[i].Model.Desc.FileBytes = 1 << 60 / int64(len(p.Jobs))
	}
	for _, transient := range []bool{false, true} {
		err := models.CheckDisk(p.Models(), transient)
		want := text.Size(map[bool]int64{false: 1 << 60 / int64(len(p.Jobs)) * int64(len(p.Jobs)), true: 1 << 60 / int64(len(p.Jobs))}[transient])
		if err == nil || !strings.Contains(err.Error(), "take "+want) {
			t.Errorf("transient %v: %v, want %s", transient, err, want)
		}
	}
}

// TestWaivedJobs: what this machine has no device for is on record, costs no
// worker and no file.
func TestWaivedJobs(t *testing.T) {
	cfg, err := config.Parse("c.yaml", []byte(strings.Replace(testConfig, "device: cpu, dtype: f16", "device: cuda, dtype: f16", 1)))
	if err != nil {
		t.Fatal(err)
	}
	models := &modelfile.Folder{Dir: t.TempDir()}
	p, err := newPlan(cfg, models, &worker.Programs{})
	if err != nil {
		t.Fatal(err)
	}
	p.Waive(config.DeviceCUDA, errors.New("no driver"))
	if err := p.Prepare(t.Context(), models); err != nil {
		t.Fatal(err)
	}
	files, _ := os.ReadDir(models.Dir)
	for _, f := range files {
		if strings.Contains(f.Name(), "f16") {
			t.Errorf("%s was written for nothing", f.Name())
		}
	}
	_, sum, records, _ := execute(t, p, workertest.Command(t, ""))
	if sum.ByStatus[record.StatusWaived] != 6 || sum.ByStatus[record.StatusOK] != 6 || sum.Failed() != 0 {
		t.Fatalf("%v", sum.ByStatus)
	}
	for _, r := range records {
		if (r.Status == record.StatusWaived) != (r.Device == config.DeviceCUDA) {
			t.Errorf("%s is %s", r.CellID, r.Status)
		}
		if r.Status == record.StatusWaived && (r.Attempted || *r.Error != "device cuda: no driver" || r.LatencyMS != nil) {
			t.Errorf("%s: attempted %v, error %q, latency %v", r.CellID, r.Attempted, *r.Error, r.LatencyMS)
		}
	}
}
