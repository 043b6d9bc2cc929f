package report

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"llmscale/analysis/doc"
	"llmscale/analysis/runs"
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
	variable   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
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

// repeat gives the command that makes the same run.
func (w *writer) repeat() {
	m := w.r.Manifest
	sec := doc.Section{Title: "Run it again", Closed: true}
	var argv []string
	if !m.Decode(&argv, "argv") || len(argv) == 0 {
		sec.Say("The command is unknown: the manifest does not have it.")
		w.add(sec)
		return
	}
	quoted := make([]string, len(argv))
	for i, a := range argv {
		quoted[i] = shellQuote(a)
	}
	var sb strings.Builder
	commit, modified := w.commit()
	if commit != "" {
		fmt.Fprintf(&sb, "git checkout %s\n", shellQuote(commit))
	}
	further := ""
	if w.r.Harness == runs.HarnessLLMScale {
		var build string
		build, further = w.build()
		sb.WriteString(build)
	}
	var openmp map[string]string
	m.Decode(&openmp, "environment", "openmp_variables")
	for _, k := range slices.Sorted(maps.Keys(openmp)) {
		if variable.MatchString(k) { // a foreign folder's manifest may hold anything
			fmt.Fprintf(&sb, "export %s=%s\n", k, shellQuote(openmp[k]))
		}
	}
	sb.WriteString(strings.Join(quoted, " ") + "\n")
	sec.Add(doc.Code(sb.String()))
	s := "Times differ by noise, and on another machine altogether."
	if modified {
		s = "The program had changes that this commit does not hold. " + s
	}
	sec.Add(doc.Paragraph(s + further))
	w.add(sec)
}

// shellQuote makes one word of s for a POSIX shell, on one line.
func shellQuote(s string) string {
	s = doc.Clean(s)
	plain := s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,+@%", r))
	}) < 0
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
