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

// TestModelsThatDoNotFit: of models that are kept all must fit on the disk together; of transient ones each that does not
// costs its own cells, and a run of which none fits is refused.
func TestModelsThatDoNotFit(t *testing.T) {
	p := testPlan(t, testConfig)
	models := &modelfile.Folder{Dir: t.TempDir()} // where none of them is
	file := func(i int, bytes int64) {
		p.Jobs[i].Model.File = filepath.Join(models.Dir, fmt.Sprint(i))
		p.Jobs[i].Model.Desc.FileBytes = bytes
	}
	const much = 1 << 60
	each := int64(much / len(p.Jobs))
	for i := range p.Jobs {
		file(i, each)
	}
	want := text.Size(each * int64(len(p.Jobs)))
	if err := models.CheckDisk(p.Models()); err == nil || !strings.Contains(err.Error(), "take "+want) {
		t.Errorf("all that are kept: %v, want %s", err, want)
	}
	for i := range p.Jobs {
		file(i, 1)
	}
	file(1, much)
	left, err := p.WaiveTooLarge(models)
	if err != nil || len(left) != 1 || !strings.Contains(left[0], p.Jobs[1].Model.Name+": its file takes "+text.Size(much)) {
		t.Errorf("%q, %v", left, err)
	}
	for i := range p.Jobs {
		if j := &p.Jobs[i]; j.Tried() != (i != 1) {
			t.Errorf("job %d of a file of %d bytes is tried: %v", i, j.Model.Desc.FileBytes, j.Tried())
		}
	}
	for i := range p.Jobs {
		file(i, much)
	}
	if _, err := p.WaiveTooLarge(models); err == nil || !strings.Contains(err.Error(), "no model can be written") {
		t.Errorf("none fits: %v", err)
	}
}

// TestTooLargeModelCostsItsCells: the others of a run with transient models are measured.
func TestTooLargeModelCostsItsCells(t *testing.T) {
	cfg, err := config.Parse("c.yaml", []byte(testConfig))
	if err != nil {
		t.Fatal(err)
	}
	models := &modelfile.Folder{Dir: t.TempDir()}
	p, err := newPlan(cfg, models, &worker.Programs{})
	if err != nil {
		t.Fatal(err)
	}
	p.GroupByFile()
	large, cells := p.Jobs[0].Model.File, 0
	for i := range p.Jobs {
		if j := &p.Jobs[i]; j.Model.File == large {
			j.Model.Desc.FileBytes = 1 << 60
			cells += len(j.Cells)
		}
	}
	r, dir := newRun(t, p, workertest.Command(t, ""))
	r.Transient = models
	sum := finish(t, r)
	if sum.ByStatus[record.StatusWaived] != cells || sum.ByStatus[record.StatusOK] != 12-cells || sum.Failed() != 0 {
		t.Fatalf("%v", sum.ByStatus)
	}
	for _, rec := range readRecords(t, dir) {
		if rec.Status == record.StatusWaived && (rec.Backend != "cpu_f32" || !strings.Contains(*rec.Error, "its file takes")) {
			t.Errorf("%s is waived: %s", rec.CellID, *rec.Error)
		}
	}
	if w := r.Manifest.Warnings; len(w) == 0 || w[0].Code != "model_too_large" {
		t.Errorf("warnings %+v", w)
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
