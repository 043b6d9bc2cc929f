package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// checkProgram finds the path of a backend's program. Whether a llmscale is there is for who starts it.
func (d *decoder) checkProgram(b *Backend, e entry) {
	n, ok := d.place(e, "program")
	if !ok || b.Program == "" || b.Program == selfProgram || b.Kind == KindOllama {
		b.Program = ""
		return
	}
	b.programAt = n
	path, msg := expand(b.Program, "the program")
	if msg == "" {
		b.ProgramPath, msg = from(d.dir, path)
	}
	if msg != "" {
		d.fail(n.mark, n.field, "%s", msg)
	}
}

// ProgramError is an error of the program that a backend names, at its place in the file.
func (c *Config) ProgramError(b Backend, format string, args ...any) error {
	return Errors{{c.file, b.programAt.line, b.programAt.col, b.programAt.field, fmt.Sprintf(format, args...)}}
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9._:+-]+`)

// pathNames shortens paths to what tells them apart: their last elements, as few as do.
func pathNames(paths []string) []string {
	whole := make([][]string, len(paths))
	for i, path := range paths {
		if path, msg := expand(path, ""); msg == "" {
			whole[i] = strings.Split(filepath.Clean(path), "/")
		} else { // which is told elsewhere
			whole[i] = []string{path}
		}
	}
	out := make([]string, len(paths))
	for n := 1; slices.Contains(out, ""); n++ {
		names, longest := make([]string, len(paths)), true
		times := map[string]int{}
		for i, parts := range whole {
			longest = longest && n >= len(parts)
			names[i] = strings.Trim(notInNames.ReplaceAllString(strings.Join(parts[max(len(parts)-n, 0):], "-"), "-"), "-")
			times[names[i]]++
		}
		for i, name := range names {
			if out[i] == "" && (times[name] == 1 && name != "" || longest) {
				out[i] = cmp.Or(name, "program")
			}
		}
	}
	return out
}
