package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"llmscale/analysis"
	"llmscale/analysis/doc"
	"llmscale/gguf/ledger"
	"llmscale/internal/text"
	"llmscale/native"
	"llmscale/native/backend"
	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// versionFacts is what was built, and goes into every run's manifest.
type versionFacts struct {
	Version   string            `json:"version"`
	Commit    string            `json:"commit"`
	Modified  bool              `json:"modified"`
	Go        string            `json:"go"`
	Native    *native.BuildInfo `json:"native"` // null in a build without llama.cpp
	CUDA      *string           `json:"cuda"`   // toolkit; null in a build without CUDA
	Reason    string            `json:"native_missing,omitempty"`
	BuildTags string            `json:"build_tags"`
	Charts    string            `json:"charts,omitempty"` // library of the pages; left out where figures are drawings
}

func versionInfo() versionFacts {
	v := versionFacts{Version: "devel", Go: runtime.Version(), Charts: doc.Charts()}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Version = info.Main.Version
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			case "-tags":
				v.BuildTags = s.Value
			}
		}
	}
	build, err := native.Build()
	if err != nil {
		v.Reason = err.Error()
	} else {
		v.Native = &build
		if build.CUDAToolkit != "" {
			v.CUDA = &build.CUDAToolkit
		}
	}
	return v
}

// ownBuild is what the coordinator, and every record, has of it.
func ownBuild() protocol.Build {
	v := versionInfo()
	b := protocol.Build{Version: v.Version, Commit: v.Commit, Modified: v.Modified}
	if n := v.Native; n != nil {
		b.LlamaCommit, b.LlamaSource, b.Compiler, b.Flags, b.CPUFeatures = n.LlamaCommit, n.LlamaSource, n.Compiler, n.Flags, n.SystemInfo
		b.CUDAToolkit, b.Warnings = n.CUDAToolkit, n.Warnings
	}
	return b
}

// about is what a worker of this program says of itself.
func about(gpu bool) (build protocol.Build, noGPU string) {
	if gpu {
		if err := backend.Available(); err != nil {
			noGPU = err.Error()
		}
	}
	return ownBuild(), noGPU
}

// linkedRules are those of the llama.cpp in this binary; without one, of the newest.
func linkedRules() ledger.Rules {
	return ledger.RulesOf(ownBuild().LlamaSource)
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "say what was built: llama.cpp commit, compiler, flags, CPU features",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "as JSON"}},
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			v := versionInfo()
			if c.Bool("json") {
				return printJSON(c.App.Writer, v)
			}
			fmt.Fprintf(c.App.Writer, "llmscale     %s %s\ngo           %s\ncharts       %s\n", v.Version, v.Commit, v.Go, cmp.Or(v.Charts, "not in this binary: a page's figures are drawings; run `make build`"))
			if v.Native == nil {
				fmt.Fprintln(c.App.Writer, "llama.cpp    not in this binary: run `make build`")
				return nil
			}
			n := v.Native
			fmt.Fprintf(c.App.Writer, "llama.cpp    %s (%s)\ncompiler     %s, %s, %s\ncpu features %s\ncuda         %s\n",
				n.LlamaCommit, n.LlamaSource, n.Compiler, n.BuildType, n.Flags, n.SystemInfo, cudaText(n))
			for _, w := range n.Warnings {
				fmt.Fprintln(c.App.ErrWriter, "warning:", w)
			}
			return nil
		},
	}
}

func cudaText(n *native.BuildInfo) string {
	switch {
	case n.CUDA:
		return "toolkit " + n.CUDAToolkit + ", compute capabilities " + n.CUDAArchs
	case n.CUDAToolkit != "":
		return "toolkit " + n.CUDAToolkit + ", but without ggml-cuda: models run on the CPU alone"
	}
	return "not in this build"
}

func schemaCommand() *cli.Command {
	return &cli.Command{
		Name:  "schema",
		Usage: "print the fields of a record as Markdown (docs/schema.md)",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "tables", Usage: "print the tables of an analysis instead (docs/tables.md)"}},
		Action: func(c *cli.Context) error {
			if err := noArgs(c); err != nil {
				return err
			}
			page := record.SchemaMarkdown()
			if c.Bool("tables") {
				var err error
				if page, err = analysis.TablesMarkdown(); err != nil {
					return err
				}
			}
			_, err := io.WriteString(c.App.Writer, page)
			return err
		},
	}
}

func printJSON(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text.JSON(data), '\n'))
	return err
}
