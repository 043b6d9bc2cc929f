// Command shapes makes every shape in every weight type, loads it into llama.cpp
// and decodes: 64 tokens of published shapes, 256 of the ladder's rungs. It prints
// one row of a Markdown table for each, and exits with 1 if a model did not load,
// gave logits that are not finite, or said one token all the time.
//
//	. build/native/go.env && go run ./scripts/shapes -max-gib 12 >shapes.md
//
// A model larger than -max-gib is made with as many layers as fit, and its row says
// how many. Each file is removed before the next is written. Set
// OMP_WAIT_POLICY=passive where other programs use the same cores: nothing is timed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"llmscale/gguf/synth"
	"llmscale/native"
)

func main() {
	maxGiB := flag.Float64("max-gib", 12, "largest file to write, in GiB")
	dir := flag.String("dir", os.TempDir(), "folder for the one file that is there at a time")
	threads := flag.Int("threads", 2, "threads that decode")
	types := flag.String("types", strings.Join(synth.Types(), ","), "weight types")
	sources := flag.String("sources", "", "shapes, for example shape:llama3.1-8b,ladder:llama/5m (default: all published shapes and the ladder)")
	flag.Parse()

	shapes, err := chosen(*sources)
	if err != nil {
		fmt.Fprintln(os.Stderr, "shapes:", err)
		os.Exit(2)
	}
	fmt.Println("| shape | type | layers | parameters | file, GiB | tokens | different | logits |")
	fmt.Println("|---|---|---:|---:|---:|---:|---:|---|")
	failed := 0
	for _, s := range shapes {
		for _, typ := range strings.Split(*types, ",") {
			if typ == "mxfp4" && s.NExpert == 0 {
				continue
			}
			if err := row(s, typ, *maxGiB, *dir, *threads); err != nil {
				fmt.Fprintf(os.Stderr, "shapes: %s %s: %v\n", s.Source(), typ, err)
				failed++
			}
		}
	}
	if failed > 0 {
		fmt.Fprintf(os.Stderr, "shapes: %d failed\n", failed)
		os.Exit(1)
	}
}

func chosen(sources string) ([]synth.Shape, error) {
	if sources == "" {
		var all []synth.Shape
		for _, family := range synth.Ladders() {
			rungs, err := synth.Rungs(family, 0)
			if err != nil {
				return nil, err
			}
			all = append(all, rungs...)
		}
		return append(all, synth.Shapes()...), nil
	}
	var out []synth.Shape
	for _, name := range strings.Split(sources, ",") {
		s, err := synth.Lookup(name)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// row makes one model, decodes with it and prints what came of it.
func row(s synth.Shape, typ string, maxGiB float64, dir string, threads int) error {
	made, bytes, err := fitted(s, typ, maxGiB)
	if err != nil {
		return err
	}
	tokens := 64
	if s.Kind == "ladder" {
		tokens = 256
	}
	path := filepath.Join(dir, "llmscale-shape.gguf")
	defer os.Remove(path)
	if err := synth.Write(path, made, synth.Options{Type: typ, Seed: 42}); err != nil {
		return err
	}
	ids, finite, err := decode(path, threads, tokens)
	if err != nil {
		return err
	}
	slices.Sort(ids)
	different := len(slices.Compact(ids))
	logits, layers := "finite", fmt.Sprint(made.NLayer)
	if !finite {
		logits = "NOT FINITE"
	}
	if made.NLayer != s.NLayer {
		layers = fmt.Sprintf("%d of %d", made.NLayer, s.NLayer)
	}
	fmt.Printf("| %s | %s | %s | %d | %.3f | %d | %d | %s |\n", s.Source(), typ, layers, made.Params(), float64(bytes)/(1<<30), tokens, different, logits)
	switch {
	case !finite:
		return errors.New("logits are not finite")
	case different < 2:
		return errors.New("one token all the time")
	}
	return nil
}

// fitted returns the shape with as many layers as a file of maxGiB holds, and the file's bytes.
func fitted(s synth.Shape, typ string, maxGiB float64) (synth.Shape, int64, error) {
	for layers := s.NLayer; ; layers-- {
		made := s.WithLayers(layers)
		d, err := synth.Describe(made, synth.Options{Type: typ})
		if err != nil {
			return made, 0, fmt.Errorf("no depth that llama.cpp takes fits into %g GiB; want a larger -max-gib (%w)", maxGiB, err)
		}
		if float64(d.FileBytes) <= maxGiB*(1<<30) {
			return made, d.FileBytes, nil
		}
	}
}

func decode(path string, threads, tokens int) (ids []int32, finite bool, err error) {
	m, err := native.Load(path, native.ModelParams{Mmap: true})
	if err != nil {
		return nil, false, err
	}
	defer m.Close()
	c, err := m.NewContext(native.ContextParams{NCtx: 512, Threads: threads})
	if err != nil {
		return nil, false, err
	}
	defer c.Close()
	r := rand.New(rand.NewPCG(1, 2))
	prompt := make([]int32, 16)
	for i := range prompt {
		prompt[i] = r.Int32N(int32(m.Info().NVocab))
	}
	got, err := c.Measure(prompt, tokens)
	return got.OutputIDs, got.LogitsFinite, err
}
