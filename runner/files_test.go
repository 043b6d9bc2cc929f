package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"llmscale/gguf/gguftest"
	"llmscale/gguf/synth"
	"llmscale/runner/config"
	"llmscale/runner/modelfile"
	"llmscale/runner/plan"
	"llmscale/runner/record"
	"llmscale/runner/worker"
	"llmscale/runner/workertest"
)

// ownFile writes a model that is somebody's own, of a number of layers.
func ownFile(t *testing.T, path string, layers int64) {
	t.Helper()
	if err := synth.Write(path, synth.GPT2("own", layers, 32, 2), synth.Options{Type: "f16", Seed: 1}); err != nil {
		t.Fatal(err)
	}
}

// ownPlan plans a sweep of the model at path and of one that this program makes, but does not prepare it.
func ownPlan(t *testing.T, path string) (*plan.Plan, *modelfile.Folder) {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(t.TempDir(), "test.yaml"), fmt.Appendf(nil, `run_name: test
gen_tokens: 1
replicates: 1
repetitions: 1
warmup_repetitions: 0
probe: false
scenarios: [{name: one, prompt: "one"}]
backends: [{name: cpu, kind: native, device: cpu, dtype: f32, threads: 1}]
models:
  - {name: a, source: "synth:tiny-gpt2"}
  - {name: b, source: %q}
`, path))
	if err != nil {
		t.Fatal(err)
	}
	models := testModels()
	p, err := newPlan(cfg, models, &worker.Programs{})
	if err != nil {
		t.Fatal(err)
	}
	return p, models
}

// whatHappens is what may become of a file while a sweep is at work, and how it is told; "" where its content stays.
// Before it is hashed it need only be as it was described, which the weights' values are not part of.
var whatHappens = []struct {
	name  string
	do    func(t *testing.T, path string)
	want  string
	early bool // also before it is hashed
}{
	{"linked by a backup", func(t *testing.T, path string) {
		if err := os.Link(path, path+".backup"); err != nil {
			t.Fatal(err)
		}
	}, "", true},
	{"made read-only", func(t *testing.T, path string) {
		if err := os.Chmod(path, 0o444); err != nil {
			t.Fatal(err)
		}
	}, "", true},
	{"replaced by another model", func(t *testing.T, path string) {
		ownFile(t, path+".new", 3)
		rename(t, path+".new", path)
	}, "was replaced", true},
	{"replaced by its own copy", func(t *testing.T, path string) {
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path+".new", data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
		rename(t, path+".new", path)
	}, "", true},
	{"written to in place, with its time set back", changeUnseen, "was changed at", false},
	{"touched", func(t *testing.T, path string) {
		later := time.Now().Add(time.Hour)
		if err := os.Chtimes(path, later, later); err != nil {
			t.Fatal(err)
		}
	}, "", true},
	{"written to in place", func(t *testing.T, path string) {
		data, err := os.ReadFile(path)
		if err == nil {
			data[len(data)-1]++
			err = os.WriteFile(path, data, 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}, "was written to at", false},
	{"appended to", func(t *testing.T, path string) {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = f.WriteString("more")
			f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}, "was written to: it has", true},
	{"truncated", func(t *testing.T, path string) {
		if err := os.Truncate(path, 1000); err != nil {
			t.Fatal(err)
		}
	}, "was truncated: it has 1000 bytes, it had", true},
	{"removed", func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}, "is gone", true},
	{"a folder in its place", func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}, "cannot be read any more", true},
	{"a pipe in its place that nobody writes to", func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(path, 0o666); err != nil {
			t.Fatal(err)
		}
	}, "is no regular file", true},
	{"a name that leads nowhere", func(t *testing.T, path string) {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Base(path), path); err != nil {
			t.Fatal(err)
		}
	}, "cannot be read any more", true},
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// checkOwn is checkOnlyOwnFails, or with no words that must be said the opposite: both models were measured.
func checkOwn(t *testing.T, sum Summary, records []record.Record, attempted bool, path, want string) {
	t.Helper()
	if want != "" {
		checkOnlyOwnFails(t, sum, records, attempted, path, want)
	} else if sum.ByStatus[record.StatusOK] != 2 {
		t.Errorf("summary %+v, want both models to be measured", sum)
	}
}

// checkOnlyOwnFails holds a run against what must have happened: the cells of the model whose file changed say so, and
// the others were measured.
func checkOnlyOwnFails(t *testing.T, sum Summary, records []record.Record, attempted bool, want ...string) {
	t.Helper()
	if sum.ByStatus[record.StatusError] != 1 || sum.ByStatus[record.StatusOK] != 1 {
		t.Errorf("summary %+v, want the cell of one model to fail", sum)
	}
	for _, r := range records {
		if (r.Model == "b") != (r.Status == record.StatusError) {
			t.Errorf("%s is %s", r.CellID, r.Status)
			continue
		}
		if r.Model == "a" {
			continue
		}
		for _, part := range want {
			if !strings.Contains(*r.Error, part) {
				t.Errorf("%s: %q does not say %q", r.CellID, *r.Error, part)
			}
		}
		if r.Attempted != attempted {
			t.Errorf("%s: attempted %v", r.CellID, r.Attempted)
		}
	}
}

// A file that changes after it was hashed, and one that changes between its description and its hash: each costs its
// own cells, and is told as what it is.
func TestChangedFiles(t *testing.T) {
	for _, c := range whatHappens {
		t.Run(c.name+" after it was hashed", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "own.gguf")
			ownFile(t, path, 2)
			p, models := ownPlan(t, path)
			if err := p.Prepare(t.Context(), models); err != nil {
				t.Fatal(err)
			}
			c.do(t, path)
			_, sum, records, _ := execute(t, p, workertest.Command(t, ""))
			checkOwn(t, sum, records, true, path, c.want)
		})
		t.Run(c.name+" before it was hashed", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "own.gguf")
			ownFile(t, path, 2)
			p, models := ownPlan(t, path)
			c.do(t, path)
			if err := p.Prepare(t.Context(), models); err != nil {
				t.Fatal(err)
			}
			_, sum, records, _ := execute(t, p, workertest.Command(t, ""))
			want := c.want
			if !c.early {
				want = ""
			}
			checkOwn(t, sum, records, false, path, want)
			for _, r := range records {
				if r.Model == "b" && want != "" && r.ModelSHA256 != nil {
					t.Errorf("%s has a hash: of what?", r.CellID)
				}
			}
		})
	}
}

// A file that is replaced while the runtime reads it: what was loaded cannot be told.
func TestFileReplacedDuringTheLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.gguf")
	ownFile(t, path, 2)
	p, models := ownPlan(t, path)
	if err := p.Prepare(t.Context(), models); err != nil {
		t.Fatal(err)
	}
	ownFile(t, path+".other", 2)
	_, sum, records, _ := execute(t, p, workertest.Command(t, "replaced"))
	checkOnlyOwnFails(t, sum, records, true, path, "was replaced", "hashed")
}

// A mapped file that is cut while the model computes ends the worker; the record says whose fault that was.
func TestFileCutDuringACall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.gguf")
	ownFile(t, path, 2)
	p, models := ownPlan(t, path)
	if err := p.Prepare(t.Context(), models); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".cut", nil, 0o666); err != nil {
		t.Fatal(err)
	}
	_, sum, records, _ := execute(t, p, workertest.Command(t, "cut"))
	if sum.ByStatus[record.StatusCrashed] != 1 || sum.ByStatus[record.StatusOK] != 1 {
		t.Errorf("summary %+v", sum)
	}
	for _, r := range records {
		if r.Status == record.StatusCrashed && !(strings.Contains(*r.Error, "SIGBUS") && strings.Contains(*r.Error, path+" was truncated")) {
			t.Errorf("%s: %q", r.CellID, *r.Error)
		}
	}
}

// All parts of a model are identified, and hashed one after another.
func TestFilesOfAModelInParts(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "own.gguf")
	ownFile(t, whole, 2)
	paths := gguftest.SplitEvenly(t, whole, dir, 3)
	p, models := ownPlan(t, paths[1])
	if err := p.Prepare(t.Context(), models); err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		h.Write(data)
	}
	want := hex.EncodeToString(h.Sum(nil))
	for i := range p.Jobs {
		j := &p.Jobs[i]
		if j.Model.Name != "b" {
			continue
		}
		if j.Model.SHA256 != want {
			t.Errorf("the hash is %s, that of the parts one after another %s", j.Model.SHA256, want)
		}
		if len(j.Load.Files) != len(paths) {
			t.Fatalf("%d files are to be checked, there are %d", len(j.Load.Files), len(paths))
		}
	}
	if err := os.Truncate(paths[2], 100); err != nil {
		t.Fatal(err)
	}
	_, sum, records, _ := execute(t, p, workertest.Command(t, ""))
	checkOnlyOwnFails(t, sum, records, true, paths[2], "was truncated")
}

// A model of this program's making that is not what its name says, for instance of an interrupted copy.
func TestMadeFileThatIsAnother(t *testing.T) {
	p := testPlan(t, testConfig)
	j := &p.Jobs[0]
	ms := testModels()
	m := j.Model
	m.Desc.NLayer++
	if err := ms.Prepare(&m); err == nil || !strings.Contains(err.Error(), "is not the model that was planned") {
		t.Errorf("%v", err)
	}
}

// The plan is what is measured and how: a model's new file does not change it, and a run can be resumed.
func TestPlanDoesNotKnowFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.gguf")
	ownFile(t, path, 2)
	p, models := ownPlan(t, path)
	before := p.SHA256()
	if err := p.Prepare(t.Context(), models); err != nil {
		t.Fatal(err)
	}
	if p.SHA256() != before {
		t.Error("hashing a plan's files changes the plan")
	}
}

// changeUnseen changes a file's last byte in place and sets its time back: only the time of the change itself tells.
func changeUnseen(t *testing.T, path string) {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteAt([]byte("x"), st.Size()-1)
		f.Close()
	}
	if err == nil {
		err = os.Chtimes(path, st.ModTime(), st.ModTime())
	}
	if err != nil {
		t.Fatal(err)
	}
}
