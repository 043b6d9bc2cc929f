package archs_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"llmscale/gguf/archs"
	"llmscale/gguf/ledger"
)

// TestDescriptions holds the description of every small model against llama.cpp's own account of it.
func TestDescriptions(t *testing.T) {
	models := archs.Models(t)
	exact := map[string]bool{}                              // by architecture, whether the compute buffer is as Ollama's has it
	loaded, decodes := map[string]bool{}, map[string]bool{} // by either
	for _, rules := range []ledger.Rules{ledger.Newest, ledger.Ollama} {
		accounts := archs.Told(t, rules)
		if len(models) != len(accounts) {
			t.Errorf("%s: %d models and %d accounts: run TestArchitectures of package native with -update-accounts", archs.AccountsFile(rules), len(models), len(accounts))
		}
		for i := range models {
			m := &models[i]
			t.Run(strings.TrimSpace(m.Name()+" "+string(rules)), func(t *testing.T) {
				a, ok := accounts[m.Name()]
				if !ok {
					t.Fatal("llama.cpp has not told of it")
				}
				c, err := archs.Compare(m, a, rules)
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range c.Differences {
					t.Error(d)
				}
				loaded[m.Name()] = loaded[m.Name()] || a.Refused == "" || strings.Contains(a.Refused, "ends the process") // as it decodes
				decodes[m.Arch] = decodes[m.Arch] || c.Refused == ""
				if rules == ledger.Ollama && c.Refused == "" {
					was, ok := exact[m.Arch]
					exact[m.Arch] = (was || !ok) && c.Compute == 1
				}
			})
		}
	}
	for i := range models {
		d, err := models[i].Describe()
		if err != nil {
			t.Fatal(err)
		}
		notes := strings.Join(d.Notes, "\n")
		if !loaded[models[i].Name()] && d.DecodeRefusal() == "" {
			t.Errorf("%s: no llama.cpp loads it", models[i].Name())
		}
		if reckoned := exact[d.Architecture]; decodes[d.Architecture] && reckoned == strings.Contains(notes, "compute buffer of this architecture is an estimate") {
			t.Errorf("%s: the compute buffer is equal to llama.cpp's: %v; the notes are %q", models[i].Name(), reckoned, d.Notes)
		}
		if strings.Contains(notes, "not among those that were compared") {
			t.Errorf("%s is among the models, and the description does not know it", d.Architecture)
		}
	}
	d, err := (&archs.Model{Arch: "next-year"}).Describe()
	if err != nil || !strings.Contains(strings.Join(d.Notes, "\n"), "not among those that were compared") {
		t.Errorf("an architecture that is not among the models: %q, %v", d.Notes, err)
	}
}

// TestComponents: the components of every model add up to its figures, and recurrent layers have one of their own.
func TestComponents(t *testing.T) {
	models := archs.Models(t)
	for i := range models {
		d, err := models[i].Describe()
		if err != nil {
			t.Fatal(err)
		}
		var sum ledger.Component
		recurrent := false
		for _, c := range d.Components() {
			sum.Params += c.Params
			sum.ParamsActive += c.ParamsActive
			sum.Bytes += c.Bytes
			sum.BytesRead += c.BytesRead
			recurrent = recurrent || c.Name == "recurrent"
		}
		if want := (ledger.Component{Params: d.ParamsTotal, ParamsActive: d.ParamsActive, Bytes: d.WeightBytes, BytesRead: d.BytesReadPerToken}); sum != want {
			t.Errorf("%s: the components add up to %+v, want %+v", models[i].Name(), sum, want)
		}
		if recurrent != (d.StateBytes > 0) {
			t.Errorf("%s: a state of %d bytes, and recurrent components: %v", models[i].Name(), d.StateBytes, recurrent)
		}
	}
}

var update = flag.Bool("update", false, "write the table in docs/models.md anew")

// TestTable: docs/models.md has the table of what was compared.
func TestTable(t *testing.T) {
	const path, begin, end = "../../docs/models.md", "<!-- architectures: written by `go test ./gguf/archs -update` -->\n", "<!-- end -->"
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(doc), begin)
	have, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no lines %q and %q", path, begin, end)
	}
	for arch := range archs.NotDescribed {
		if !strings.Contains(after, arch) {
			t.Errorf("%s does not name %s, which is not described", path, arch)
		}
	}
	want, err := archs.Table()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if have != want {
		for line := range strings.SplitSeq(want, "\n") {
			if !strings.Contains(have, line) {
				t.Logf("missing: %s", line)
			}
		}
		t.Errorf("%s is stale: run `go test ./gguf/archs -update`", path)
	}
}
