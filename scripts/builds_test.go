package scripts

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/config"
)

// configs/builds.yaml compares what scripts/builds makes unless told, and no name but its own is one.
func TestBuildsAreThoseOfTheirConfig(t *testing.T) {
	script, err := os.ReadFile("builds")
	if err != nil {
		t.Fatal(err)
	}
	preset := regexp.MustCompile(`set -- (llmscale.*); fi`).FindSubmatch(script)
	if preset == nil {
		t.Fatal("scripts/builds has no set of its own")
	}
	c, err := config.Load("../configs/builds.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var programs []string
	for _, b := range c.Backends {
		if dir, name := filepath.Split(b.Program); dir != "../bin/" {
			t.Errorf("%s: program %s, want one of ../bin", b.Name, b.Program)
		} else if !slices.Contains(programs, name) {
			programs = append(programs, name)
		}
	}
	if want := strings.Fields(string(preset[1])); !slices.Equal(programs, want) {
		t.Errorf("the config compares %q, the script makes %q", programs, want)
	}
	out, err := exec.Command("./builds", "llmscale", "llmscale-plane").CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), "builds: no build llmscale-plane; there are llmscale llmscale-plain llmscale-ollama") {
		t.Errorf("%v: %s", err, out)
	}
}
