package report

import (
	"fmt"
	"regexp"
	"strings"

	"llmscale/analysis/doc"
)

// built is what a program was built from, as manifests have it.
type built struct {
	source, commit string // of llama.cpp
	kind           string // CMake's build type, "" not known
	flags          string
	portable       bool
}

// What scripts/amx.cmake adds where the compiler needs it, and the options of CMakeLists.txt that were set.
var (
	amxFlags   = regexp.MustCompile(` \(amx/mmq\.cpp: [^)]*\)`)
	offOptions = regexp.MustCompile(` \(([A-Z]+=OFF(?: [A-Z]+=OFF)*)\)`)
)

// releaseFlags are what a build has without CMAKE_FLAGS, by CMakeLists.txt.
func releaseFlags(portable bool) string {
	if portable {
		return "-O3 -DNDEBUG -march=x86-64-v3"
	}
	return "-O3 -DNDEBUG -march=native"
}

// command makes the same program, at bin if that is not "". further says what it leaves out: of the compiler's flags
// nobody knows which CMAKE_FLAGS set them.
func (b built) command(bin string) (command, further string) {
	var set []string
	switch b.source { // "module" was the default of its day: the commit that is checked out builds it
	case "ollama":
		set = append(set, "LLAMA=ollama")
	case "checkout":
		of := "llama.cpp"
		if b.commit != "" && b.commit != "unknown" {
			of += " commit " + b.commit
		}
		set = append(set, "LLAMA_CPP_DIR="+shellQuote("<a checkout of "+of+">"))
	}
	if b.portable {
		set = append(set, "PORTABLE=1")
	}
	var cmake []string
	if b.kind != "" && b.kind != "Release" {
		cmake = append(cmake, "-DCMAKE_BUILD_TYPE="+b.kind)
	}
	flags := amxFlags.ReplaceAllString(b.flags, "")
	if off := offOptions.FindStringSubmatch(flags); off != nil {
		flags = strings.Replace(flags, off[0], "", 1)
		for _, option := range strings.Fields(off[1]) {
			cmake = append(cmake, "-D"+option)
		}
	}
	if len(cmake) > 0 {
		set = append(set, "CMAKE_FLAGS="+shellQuote(strings.Join(cmake, " ")))
	}
	if (b.kind == "" || b.kind == "Release") && flags != "" && flags != releaseFlags(b.portable) {
		further = fmt.Sprintf(" The build had other compiler flags than this command gives: %s. Set CMAKE_FLAGS to match.", doc.Text(flags))
	}
	set = append(set, "make build")
	if bin != "" {
		set = append(set, "BIN="+shellQuote(bin))
	}
	return strings.Join(set, " "), further
}

// build is the commands that make the run's programs, a line each.
func (w *writer) build() (commands, further string) {
	one, further := built{w.native("llama_source"), w.native("llama_commit"), w.native("build_type"), w.native("flags"), w.native("portable") == "true"}.command("")
	commands = one + "\n"
	var programs []struct {
		Path  string
		Build struct {
			LlamaSource string `json:"llama_source"`
			LlamaCommit string `json:"llama_commit"`
			Flags       string `json:"build_flags"`
		}
	}
	w.r.Manifest.Decode(&programs, "programs")
	for _, p := range programs {
		portable := strings.Contains(p.Build.Flags, releaseFlags(true))
		one, more := built{p.Build.LlamaSource, p.Build.LlamaCommit, "", p.Build.Flags, portable}.command(p.Path)
		commands += one + "\n"
		if !strings.Contains(further, more) {
			further += more
		}
	}
	return commands, further
}
