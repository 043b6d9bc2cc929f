package scripts

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pinOf are the settings of a pin.
func pinOf(t *testing.T, file string) map[string]string {
	t.Helper()
	pin := map[string]string{}
	for _, f := range regexp.MustCompile(`(?m)^(\w+)=(\S+)$`).FindAllStringSubmatch(read(t, file), -1) {
		pin[f[1]] = f[2]
	}
	return pin
}

// The list of licences has the chart library that scripts/charts.pin names.
func TestChartsInLicences(t *testing.T) {
	pin := pinOf(t, "charts.pin")
	if row := fmt.Sprintf("| %s | %s | Apache-2.0", pin["package"], pin["version"]); pin["package"] == "" || !strings.Contains(read(t, "../docs/licences.md"), row) {
		t.Errorf("docs/licences.md does not say %q", row)
	}
}

// Documents that name the llama.cpp that is built by default say what scripts/llama.pin says.
func TestPinInDocuments(t *testing.T) {
	pin := pinOf(t, "llama.pin")
	if len(pin["sha256"]) != 64 || len(pin["commit"]) != 9 || pin["package"] == "" || pin["version"] == "" {
		t.Fatalf("llama.pin: %v", pin)
	}
	of := pin["package"] + "` " + pin["version"]
	for path, want := range map[string][]string{
		"../README.md":             {of},
		"../docs/upgrade-llama.md": {pin["package"], pin["version"] + ": llama.cpp " + pin["commit"]},
		"../docs/licences.md":      {pin["package"] + " " + pin["version"], "| llama.cpp | " + pin["commit"] + " |"},
		"../gguf/ledger/rules.go":  {"llama.cpp " + pin["commit"]},
	} {
		text := read(t, path)
		for _, s := range want {
			if !strings.Contains(text, s) {
				t.Errorf("%s does not say %q, which scripts/llama.pin does", path, s)
			}
		}
	}
}
