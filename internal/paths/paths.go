// Package paths keeps file names meaning what they meant where they were given.
package paths

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Absolute is the path from the root, as the system reads it from the current
// folder. filepath.Abs would take link/.. for the folder that link lies in, while
// the system goes to what link points at, and up from there.
func Absolute(path string) (string, error) {
	steps := strings.Split(path, string(filepath.Separator))
	up := len(steps)
	for i, s := range slices.Backward(steps) {
		if s == ".." {
			up = i
			break
		}
	}
	if up < len(steps) {
		above := strings.Join(steps[:up+1], string(filepath.Separator))
		if !filepath.IsAbs(above) {
			here, err := os.Getwd() // perhaps itself through a link, as a shell remembers it
			if err != nil {
				return "", err
			}
			above = here + string(filepath.Separator) + above
		}
		real, err := filepath.EvalSymlinks(above)
		if err == nil { // what is not there has no links to follow
			path = filepath.Join(append([]string{real}, steps[up+1:]...)...)
		}
	}
	return filepath.Abs(path)
}

// Clean is filepath.Clean, but for a path that goes up from a link: of that it is the
// absolute one.
func Clean(path string) (string, error) {
	short := filepath.Clean(path)
	abs, err := filepath.Abs(short)
	if err != nil {
		return "", err
	}
	real, err := Absolute(path)
	if err != nil || real == abs {
		return short, err
	}
	return real, nil
}

// Tell returns for each path the shortest end of it, in whole names, that is the
// end of no other: a file's name, with as many of its folders as tell it from the
// others. Paths are absolute and clean; each is counted once.
func Tell(paths []string) map[string]string {
	out := map[string]string{}
	open := map[string][]string{} // paths that have the same end, by the end
	for _, p := range paths {
		if _, ok := out[p]; !ok {
			out[p] = ""
			end := filepath.Base(p)
			open[end] = append(open[end], p)
		}
	}
	for len(open) > 0 {
		longer := map[string][]string{}
		for end, same := range open {
			for _, p := range same {
				rest := strings.TrimSuffix(strings.TrimSuffix(p, end), string(filepath.Separator))
				switch {
				case len(same) == 1:
					out[p] = end
				case rest == "": // nothing is left to tell it by but that it starts here
					out[p] = p
				default:
					e := filepath.Join(filepath.Base(rest), end)
					longer[e] = append(longer[e], p)
				}
			}
		}
		open = longer
	}
	return out
}

// Inside is path as seen from dir, "" where it does not lie in it.
func Inside(dir, path string) (string, error) {
	dir, err := Absolute(dir)
	if err != nil {
		return "", err
	}
	if path, err = Absolute(path); err != nil {
		return "", err
	}
	rel, err := filepath.Rel(dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return "", nil
	}
	return rel, nil
}
