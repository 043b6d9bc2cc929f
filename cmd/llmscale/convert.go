package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"llmscale/gguf/hf"
	"llmscale/internal/interrupt"
	"llmscale/internal/output"
	"llmscale/internal/text"
	"llmscale/runner/terminal"
)

func convertCommand() *cli.Command {
	return &cli.Command{
		Name:  "convert",
		Usage: "write a GGUF file from a local GPT-2 folder in the layout of Hugging Face",
		Description: "The folder holds config.json, weights (model.safetensors or pytorch_model.bin, sharded or not) and a tokenizer\n" +
			"(tokenizer.json, or vocab.json and merges.txt). What llama.cpp's GPT-2 would not compute as transformers does is\n" +
			"refused by name; nothing in the folder is run. docs/hugging-face.md says what is read and what is refused.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "hf", TakesFile: true, Usage: "`FOLDER` to convert"},
			&cli.StringFlag{Name: "o", Aliases: []string{"output"}, TakesFile: true, Usage: "`FILE` to write", DefaultText: "NAME-TYPE.gguf"},
			forceFlag(),
			&cli.StringFlag{Name: "type", Value: defaultType, Usage: "weight `TYPE`: f32, f16, bf16 or q8_0"},
			&cli.BoolFlag{Name: "dry-run", Usage: "check the folder and say how large the file would be, write nothing"},
		},
		Action: convert,
	}
}

// forceFlag is of the commands that write a model.
func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force", Usage: "replace a file that is there, once the new one is whole"}
}

func convert(c *cli.Context) error {
	if err := noArgs(c); err != nil {
		return err
	}
	if c.String("hf") == "" {
		return usagef("convert takes the folder with --hf FOLDER; see `llmscale convert --help`")
	}
	m, err := hf.Open(c.String("hf"))
	if err != nil {
		return usage(err)
	}
	defer m.Close()
	typ := c.String("type")
	d, err := m.Describe(typ)
	if err != nil {
		return usage(err)
	}
	path := c.String("o")
	if path == "" {
		path = strings.ReplaceAll(m.Name(), string(filepath.Separator), "-") + "-" + strings.ToLower(cmp.Or(typ, defaultType)) + ".gguf"
	}
	if c.Bool("dry-run") {
		fmt.Fprintf(c.App.Writer, "%s\t%d parameters\t%d bytes (%s)\n", path, d.ParamsTotal, d.FileBytes, text.Size(d.FileBytes))
		return nil
	}
	if err := cmp.Or(m.CheckTarget(path), output.Check(path, d.FileBytes, c.Bool("force"))); err != nil {
		return usage(err)
	}
	p := terminal.New(c.App.ErrWriter)
	defer p.Close()
	if _, err := m.ContentHash(func(done, total int64) { p.File("hashing "+c.String("hf"), done, total) }); err != nil {
		return err
	}
	ctx, release := interrupt.Signals(c.Context)
	defer release()
	err = writing(ctx, filepath.Dir(path), "interrupted: "+path+" was not written", func() error {
		return m.Write(path, hf.Options{Type: typ, Progress: func(done, total int64) { p.File("writing "+path, done, total) }})
	})
	if bad := (*hf.Error)(nil); errors.As(err, &bad) {
		return usage(err) // a weight that the type cannot hold
	}
	if err != nil {
		return err
	}
	p.Close()
	fmt.Fprintln(c.App.Writer, path)
	return nil
}
