package scripts

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Documents that name the llama.cpp that is built by default say what scripts/llama.pin says.
func TestPinInDocuments(t *testing.T) {
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	pin := map[string]string{}
	for _, f := range regexp.MustCompile(`(?m)^(\w+)=(\S+)$`).FindAllStringSubmatch(read("llama.pin"), -1) {
		pin[f[1]] = f[2]
	}
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
		text := read(path)
		for _, s := range want {
			if !strings.Contains(text, s) {
				t.Errorf("%s does not say %q, which scripts/llama.pin does", path, s)
			}
		}
	}
}
