package analysis

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms says what of this module each package may import. A name that ends in /...
// stands for a folder and all below. The first room that fits a package holds. Tests
// are free. docs/architecture.md says why.
var rooms = []struct {
	room string
	may  string
}{
	{"analysis/stats", ""},
	{"analysis/law", "analysis/stats"},
	{"analysis/finding", "analysis/stats runner/record"},
	{"analysis/runs", "analysis/finding analysis/profile runner/record runner/ceilings internal/..."},
	{"analysis/canary", "analysis/stats runner/record"},
	{"analysis/cells", "analysis/runs analysis/canary analysis/stats analysis/finding runner/record runner/ceilings internal/..."},
	{"analysis/figure", "analysis/stats"},
	{"analysis/figure/draw", "analysis/figure analysis/doc analysis/stats internal/..."},
	{"analysis/doc", "analysis/figure analysis/stats internal/..."},
	{"analysis/q/...", "analysis/q/... analysis/canary analysis/cells analysis/law analysis/stats analysis/finding analysis/figure analysis/doc analysis/profile analysis/runs runner/record runner/ceilings internal/..."},
	{"analysis/compare", "analysis/q/... analysis/cells analysis/runs analysis/stats analysis/figure analysis/doc runner/record internal/..."},
	{"analysis/predict", "analysis/q/... analysis/cells analysis/law analysis/runs analysis/stats analysis/doc runner/record runner/ceilings runner/protocol gguf/ledger gguf/synth internal/..."},
	{"analysis/answer", "analysis analysis/q/... analysis/predict analysis/cells analysis/law analysis/stats analysis/doc runner/record gguf/synth internal/..."},
	{"analysis/report", "analysis/... runner/record runner/ceilings internal/..."},
	{"analysis/verify", "analysis analysis/answer analysis/report analysis/doc analysis/figure analysis/figure/draw analysis/cells analysis/runs runner/record internal/..."},
	{"analysis/exchange", "analysis/runs runner/record internal/..."},
	{"analysis/profile", ""},
	{"analysis", "analysis/q/... analysis/doc analysis/figure analysis/cells analysis/runs analysis/stats analysis/finding runner/record runner/ceilings internal/..."},

	{"gguf", "internal/..."},
	{"gguf/ledger", "gguf internal/..."},
	{"gguf/...", "gguf/... internal/..."},
	{"cuda/...", "cuda/... runner/ceilings internal/..."},
	{"native", "gguf/... runner/ceilings internal/..."},
	{"native/backend", "native cuda/... gguf/... runner/protocol runner/machine runner/config runner/record runner/ceilings internal/..."},
	{"runner/terminal", "runner runner/protocol runner/record internal/..."},
	{"native/doctor", "native native/backend runner/ollama runner/machine runner/record internal/..."},
	{"native/profiler", "analysis/profile native native/backend cuda/cupti runner runner/plan runner/worker runner/protocol runner/config runner/record internal/..."},
	{"runner/record", "internal/..."},
	{"runner/ceilings", "internal/..."},
	{"runner/machine", "internal/..."},
	{"runner/memlimit", "runner/machine internal/..."},
	{"runner/config", "runner/record internal/..."},
	{"runner/files", "runner/record internal/..."},
	{"runner/protocol", "runner/files runner/config runner/record runner/ceilings gguf gguf/ledger internal/..."},
	{"runner/modelfile", "runner/protocol runner/files runner/config runner/record gguf/... internal/..."},
	{"runner/store", "runner/config runner/record runner/ceilings internal/..."},
	{"runner/worker", "runner/protocol runner/files runner/memlimit runner/machine runner/config runner/record runner/ceilings gguf/ledger internal/..."},
	{"runner/plan", "runner/modelfile runner/worker runner/files runner/protocol runner/memlimit runner/machine runner/config runner/record gguf/ledger internal/..."},
	{"runner/sources", "runner/config gguf/... internal/..."},
	{"runner/request", "configs runner/sources runner/plan runner/worker runner/modelfile runner/protocol runner/config internal/..."},
	{"runner/ollama", "runner/protocol runner/config runner/record internal/..."},
	{"runner/merge", "runner runner/store runner/plan runner/record runner/ceilings internal/..."},
	{"runner/slurm", "runner runner/merge runner/plan runner/store internal/..."},
	{"runner", "analysis/stats analysis/canary runner/store runner/plan runner/modelfile runner/worker runner/files runner/protocol runner/memlimit runner/machine runner/config runner/record runner/ceilings gguf/... internal/..."},
	{"internal/...", "internal/..."},
	{"configs", ""},
	{"cmd/llmscale/completion", ""},
	{"cmd/...", "cmd/llmscale/completion analysis/... runner/... native/... cuda/... gguf/... internal/..."},
	{"scripts/...", "gguf/... native runner/record"},
}

// alone says which packages alone may import what begins with a path. C is cgo.
var alone = []struct{ path, rooms string }{
	{"C", "native cuda/..."},
	{"gonum.org/v1/plot", "analysis/figure/draw"},
	{"github.com/yuin/goldmark", "analysis/doc"},
	{"github.com/parquet-go/parquet-go", "analysis/exchange"},
	{"net/http", "runner/ollama"},
}

// within is whether a package is one of rooms, which are separated by spaces.
func within(pkg, rooms string) bool {
	return slices.ContainsFunc(strings.Fields(rooms), func(room string) bool {
		dir, below := strings.CutSuffix(room, "/...")
		return pkg == dir || below && strings.HasPrefix(pkg, dir+"/")
	})
}

// forTests is whether only tests may import a package.
func forTests(pkg string) bool {
	return strings.HasSuffix(pkg, "test") || strings.HasSuffix(pkg, "/emulator")
}

// misplaced says what is wrong with an import, or nothing.
func misplaced(pkg, imported string) string {
	for _, a := range alone {
		if (imported == a.path || strings.HasPrefix(imported, a.path+"/")) && !within(pkg, a.rooms) {
			return "only " + a.rooms + " may"
		}
	}
	imported, ours := strings.CutPrefix(imported, "llmscale/")
	if !ours {
		return ""
	}
	if forTests(imported) && !within(pkg, "scripts/...") {
		return "only tests may"
	}
	for _, r := range rooms {
		if within(pkg, r.room) {
			if within(imported, r.may) {
				return ""
			}
			return r.room + " may import: " + r.may
		}
	}
	return "the package stands in no room of rooms_test.go"
}

// TestRooms: no package imports what the rules above do not allow it, whatever its
// build tags.
func TestRooms(t *testing.T) {
	files := 0
	empty := map[string]bool{}
	for _, r := range rooms {
		empty[r.room] = true
	}
	err := filepath.WalkDir("..", func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() && (e.Name() == "testdata" || slices.Contains([]string{"../.git", "../.cache", "../build", "../models", "../runs", "../shared"}, filepath.ToSlash(file))) {
			return fs.SkipDir
		}
		pkg := strings.TrimPrefix(path.Dir(filepath.ToSlash(file)), "../")
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || forTests(pkg) {
			return nil
		}
		files++
		for _, r := range rooms {
			if within(pkg, r.room) {
				delete(empty, r.room)
				break
			}
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if wrong := misplaced(pkg, imported); wrong != "" {
				t.Errorf("%s imports %s: %s", file, imported, wrong)
			}
		}
		return nil
	})
	if err != nil || files < 300 {
		t.Errorf("%d files read: %v", files, err)
	}
	for room := range empty {
		t.Errorf("no package is in the room %s: take it out of the rules", room)
	}
}

// TestRoomsRules: the rules refuse what they are made to refuse.
func TestRoomsRules(t *testing.T) {
	for _, c := range [][2]string{
		{"analysis/stats", "llmscale/analysis/cells"},
		{"analysis/finding", "llmscale/analysis/runs"},
		{"analysis/runs", "llmscale/analysis/cells"},
		{"analysis/runs", "llmscale/runner"},
		{"analysis/cells", "llmscale/analysis/figure"},
		{"analysis/doc", "llmscale/analysis/cells"},
		{"analysis/figure", "llmscale/analysis/doc"},
		{"analysis/q/lengths", "llmscale/analysis"},
		{"analysis/q/lengths", "llmscale/analysis/figure/draw"},
		{"analysis/q/lengths", "llmscale/analysis/report"},
		{"analysis/q/lengths", "gonum.org/v1/plot/vg"},
		{"analysis", "llmscale/analysis/report"},
		{"analysis/new", "llmscale/analysis/stats"},
		{"analysis/report", "llmscale/analysis/cells/celltest"},
		{"gguf", "llmscale/runner"},
		{"gguf", "llmscale/gguf/ledger"},
		{"gguf/ledger", "llmscale/gguf/synth"},
		{"runner", "llmscale/native"},
		{"runner/ollama", "llmscale/runner"},
		{"runner/protocol", "llmscale/runner/worker"},
		{"runner/store", "llmscale/runner/protocol"},
		{"runner/worker", "llmscale/runner/workertest"},
		{"runner", "C"},
	} {
		if misplaced(c[0], c[1]) == "" {
			t.Errorf("%s may import %s", c[0], c[1])
		}
	}
	for _, c := range [][2]string{{"analysis/q/lengths", "llmscale/analysis/q/scaling"}, {"analysis/report", "llmscale/analysis"}, {"analysis/q/lengths", "gonum.org/v1/gonum/stat"}} {
		if wrong := misplaced(c[0], c[1]); wrong != "" {
			t.Errorf("%s may not import %s: %s", c[0], c[1], wrong)
		}
	}
}
