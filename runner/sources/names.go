package sources

import (
	"fmt"
	"regexp"
	"strings"

	"llmscale/gguf"
	"llmscale/internal/paths"
)

// longestName is what a config allows.
const longestName = 64

// inHub finds the repository of a file in the cache of Hugging Face's hub, whose folders there are called by hashes.
var inHub = regexp.MustCompile(`/models--(?:[^/]*--)?([^/]+)/snapshots/`)

var notInName = regexp.MustCompile(`[^A-Za-z0-9._:+-]+`)

// setNames gives each model a name that a config takes, after its file or its tag; where two would have the same, with as
// much of their folders as tells them apart, and at last a number.
func setNames(models []Model) {
	times := map[string]int{}
	var same []string
	for _, m := range models {
		times[legal(m.base)]++
	}
	for _, m := range models {
		if times[legal(m.base)] > 1 && m.path != "" {
			same = append(same, gguf.Stem(m.path))
		}
	}
	told := paths.Tell(same)
	taken := map[string]bool{}
	for i := range models {
		m := &models[i]
		name := legal(m.base)
		if end := told[gguf.Stem(m.path)]; times[name] > 1 && end != "" {
			name = legal(end)
			if repo := inHub.FindStringSubmatch(m.path); repo != nil {
				name = legal(repo[1] + "-" + m.base)
			}
		}
		m.Name = name
		for n := 2; taken[m.Name]; n++ {
			end := fmt.Sprintf("-%d", n)
			m.Name = name[:min(len(name), longestName-len(end))] + end
		}
		taken[m.Name] = true
	}
}

// legal makes a name of any text.
func legal(s string) string {
	s = strings.Trim(notInName.ReplaceAllString(s, "-"), "._:+-")
	if len(s) > longestName {
		s = strings.TrimRight(s[:longestName], "._:+-")
	}
	if s == "" {
		return "model"
	}
	return s
}
