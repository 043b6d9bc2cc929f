// Package doctor says what a machine and this program have for measuring, what is missing and how to get it.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"llmscale/internal/durable"
	"llmscale/internal/text"
	"llmscale/native"
	"llmscale/native/backend"
	"llmscale/runner/machine"
	"llmscale/runner/ollama"
	"llmscale/runner/record"
)

// Finding is one line of what the doctor says.
type Finding struct {
	State string `json:"state"` // ok, warn, missing
	What  string `json:"what"`
	Found string `json:"found"`
	Do    string `json:"do,omitempty"` // how to get it or mend it
}

// Examine looks at this machine and this program.
func Examine() []Finding {
	var out []Finding
	add := func(state, what, found, do string) { out = append(out, Finding{state, what, found, do}) }
	// check adds a finding that is good, or one with advice.
	check := func(good bool, what, found, do string) {
		if good {
			add("ok", what, found, "")
		} else {
			add("warn", what, found, do)
		}
	}

	if build, err := native.Build(); err != nil {
		add("missing", "llama.cpp", "not in this binary", "run `make build`")
	} else {
		add("ok", "llama.cpp", build.LlamaCommit+" ("+build.LlamaSource+"), "+build.Compiler+", "+build.Flags, "")
		add("ok", "CPU features in use", build.SystemInfo, "")
		check(!build.Portable, "native code", map[bool]string{true: "portable (x86-64-v3)", false: "for this CPU"}[build.Portable],
			"figures of a portable build are lower: build without PORTABLE=1 to compare machines")
		for _, w := range build.Warnings {
			add("warn", "build", w, "run `make clean build`")
		}
	}

	m := machine.This()
	add("ok", "CPU", fmt.Sprintf("%s, %d cores for this process (%d logical)", m.CPU, m.PhysicalCores, m.LogicalCores), "")
	for _, c := range machine.Conditions() { // which a run tells too
		check(c.Good(), c.What, c.Found, c.Do)
	}
	check(m.AvailableBytes == 0 || m.AvailableBytes > 2<<30, "memory", text.Size(m.AvailableBytes)+" free of "+text.Size(m.MemoryBytes),
		"the default sweep wants 2 GiB free")
	if free, ok := durable.Free("."); ok {
		check(free > 5<<30, "disk", text.Size(free)+" free here", "the default sweep's models take 3 GiB; --models-dir puts them elsewhere")
	}
	out = append(out, examineGPU(), examineEnergy(), examineOllama(), examineTools())
	return out
}

// examineEnergy says whether energy_j can be measured on the CPU.
func examineEnergy() Finding {
	e, err := machine.OpenEnergy(machine.PowercapRoot)
	if err != nil {
		return Finding{"ok", "energy", err.Error() + "; energy_j of CPU backends stays null", ""}
	}
	defer e.Close()
	return Finding{"ok", "energy", fmt.Sprintf("counters of %d processor packages", len(e.Files)), ""}
}

// examineOllama says whether there is an Ollama server where its own tools look for
// one, and whether a run that was killed has left models on it.
func examineOllama() Finding {
	const waived = "cells with kind: ollama are recorded as waived"
	c, err := ollama.NewClient("", ollama.Limits{Connect: time.Second, Idle: 3 * time.Second, Small: 3 * time.Second})
	if err != nil {
		return Finding{"warn", "Ollama", err.Error(), "correct OLLAMA_HOST; until then " + waived}
	}
	defer c.Close()
	ctx := context.Background()
	version, err := c.Version(ctx)
	var e *ollama.Error
	if errors.As(err, &e) && e.Status == record.StatusWaived {
		return Finding{"ok", "Ollama", "no server at " + c.URL() + "; " + waived, ""}
	}
	if err != nil {
		return Finding{"warn", "Ollama", err.Error(), "start a server with `ollama serve`, or correct OLLAMA_HOST"}
	}
	models, err := c.List(ctx)
	if err != nil {
		return Finding{"warn", "Ollama", "version " + version + " at " + c.URL() + ": " + err.Error(), ""}
	}
	var left []string
	for _, m := range models {
		if ollama.IsImported(m.Name) {
			left = append(left, m.Name)
		}
	}
	found := fmt.Sprintf("version %s at %s, %d models", version, c.URL(), len(models))
	if len(left) > 0 {
		return Finding{"warn", "Ollama", fmt.Sprintf("%s, of which %d were imported by llmscale", found, len(left)),
			"unless a run is under way they were left by one that was killed: ollama rm " + strings.Join(left, " ")}
	}
	return Finding{"ok", "Ollama", found, ""}
}

// examineGPU says whether there is an NVIDIA GPU, and whether this program can use it.
func examineGPU() Finding {
	nodes, _ := filepath.Glob("/dev/nvidia[0-9]*") // the pattern is well-formed
	if len(nodes) == 0 {
		return Finding{"ok", "GPU", "no NVIDIA device here; cells with device: cuda are recorded as waived", ""}
	}
	driver, _, _ := strings.Cut(readFirst("/proc/driver/nvidia/version"), "\n")
	found := fmt.Sprintf("%d NVIDIA devices, %s", len(nodes), driver)
	if err := backend.Available(); err != nil {
		return Finding{"warn", "GPU", found, err.Error() + "; until then cells with device: cuda are recorded as waived"}
	}
	return Finding{"ok", "GPU", found, ""}
}

func readFirst(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return "driver unknown"
	}
	return string(data)
}

// examineTools looks for what a build needs.
func examineTools() Finding {
	var missing []string
	for _, tool := range []string{"go", "cmake", "g++"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	if len(missing) > 0 {
		return Finding{"missing", "build tools", strings.Join(missing, ", ") + " not found", "run scripts/setup"}
	}
	return Finding{"ok", "build tools", "go, cmake, g++", ""}
}
