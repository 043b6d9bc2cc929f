// Package hf turns a local GPT-2 folder of the Hugging Face layout (config.json, safetensors or pytorch_model.bin,
// tokenizer files) into a GGUF file that llama.cpp loads.
//
// It holds two opinions. A folder is converted to what transformers computes with it, or refused by naming the file
// and the field, tensor or token that llama.cpp's GPT-2 could not reproduce; nothing is dropped in silence but
// buffers that hold no weights. And nothing in the folder is run or believed: pickles are interpreted, never
// executed, and every size is checked against the files.
package hf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"llmscale/gguf/ledger"
)

// Version stands in every file and changes whenever the same folder and type would give other bytes.
const Version = 1

// Error says what in a folder cannot be converted.
type Error struct {
	Path  string // of the file, or of the folder
	Where string // the field, tensor or token at fault, for instance `field "n_embd"`; may be empty
	What  string // what stands there
	Want  string // what would be right; may be empty
}

func (e *Error) Error() string {
	s := "hf: " + e.Path + ": "
	if e.Where != "" {
		s += e.Where + ": "
	}
	s += e.What
	if e.Want != "" {
		s += "; want " + e.Want
	}
	return s
}

// Model is an open folder that can be converted.
type Model struct {
	dir     string
	name    string
	config  config
	vocab   *vocab
	tensors []tensor // in the order of the GGUF file
	closers []io.Closer
	used    []string // names of the files in dir that decide the result, as they were read

	mu   sync.Mutex // guards hash
	hash string     // of the content, once it is known
}

// Open reads the folder's configuration, vocabulary and tensor tables and checks that all of it can be converted.
// Weights themselves are read only to compare a separate head with the token embedding. What cannot be converted
// gives an *Error or the weight reader's *FormatError. The caller closes the Model.
func Open(dir string) (*Model, error) {
	m := &Model{dir: dir}
	if err := m.open(); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (m *Model) open() error {
	st, err := os.Stat(m.dir)
	if err != nil {
		return fmt.Errorf("hf: %w", err)
	}
	if !st.IsDir() {
		return &Error{Path: m.dir, What: "it is no folder", Want: "the folder that holds config.json"}
	}
	if m.name, err = modelName(m.dir); err != nil {
		return err
	}
	if err := m.readConfig(); err != nil {
		return err
	}
	sources, err := m.openWeights()
	if err != nil {
		return err
	}
	if m.tensors, err = m.plan(sources); err != nil {
		return err
	}
	// Last, since by now the vocabulary's size is known to be that of a tensor.
	return m.readVocab()
}

// Close closes the weight files. Calling it again does nothing.
func (m *Model) Close() error {
	var errs []error
	for _, c := range m.closers {
		errs = append(errs, c.Close())
	}
	m.closers = nil
	return errors.Join(errs...)
}

// Name is the folder's name or, in Hugging Face's own cache, the model's. It becomes general.name.
func (m *Model) Name() string { return m.name }

// Describe returns what ledger.Describe says of the file that Write makes of this type, without making it.
func (m *Model) Describe(typ string) (ledger.Description, error) {
	t, err := parseType(typ)
	if err != nil {
		return ledger.Description{}, err
	}
	// Any hash is as long as the right one, which takes reading all weights.
	f, err := m.preview(t, strings.Repeat("0", 64))
	if err != nil {
		return ledger.Description{}, err
	}
	return ledger.Describe(f)
}

func modelName(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("hf: %w", err)
	}
	name := filepath.Base(abs)
	// The cache keeps OWNER/NAME at commit HASH in models--OWNER--NAME/snapshots/HASH.
	if filepath.Base(filepath.Dir(abs)) == "snapshots" {
		if repo, ok := strings.CutPrefix(filepath.Base(filepath.Dir(filepath.Dir(abs))), "models--"); ok {
			name = repo[strings.LastIndex(repo, "--")+1:]
			name = strings.TrimPrefix(name, "-")
		}
	}
	return strings.ToValidUTF8(name, "?"), nil
}
