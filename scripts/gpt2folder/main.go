// Command gpt2folder writes a GPT-2 folder in the layout of Hugging Face, with
// random weights: the one of gguf/hf's tests at the size of GPT-2 small. It is for
// measuring and trying out the conversion where no trained folder is at hand.
//
//	go run ./scripts/gpt2folder FOLDER
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"llmscale/gguf/hf/hftest"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gpt2folder FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gpt2folder:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	f := hftest.New(hftest.Shape{Layers: 12, Width: 768, Heads: 12, Context: 1024, Seed: 42})
	ids := map[string]int{}
	for i, token := range f.Tokens {
		ids[token] = i
	}
	merges := []string{"#version: 0.2"}
	for _, m := range f.Merges {
		merges = append(merges, m[0]+" "+m[1])
	}
	config, err := json.MarshalIndent(f.Config, "", "  ")
	if err != nil {
		return err
	}
	vocab, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		"config.json": config, "vocab.json": vocab, "merges.txt": []byte(strings.Join(merges, "\n") + "\n"),
		"model.safetensors": hftest.Safetensors(f.Tensors),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			return err
		}
	}
	return nil
}
