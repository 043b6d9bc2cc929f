package runs

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// Shape is a line of TR121's hf_model_architecture.csv.
type Shape struct {
	ConfigPath                              string
	NLayer, NEmbd, NHead, NFF, NVocab, NCtx int
}

// readArchitecture takes TR121's table of model shapes, if its analyzer has left
// one: its records do not say how deep and wide a model is.
func (run *Run) readArchitecture() error {
	run.Shapes = map[string]Shape{}
	if run.Harness != HarnessTR121 {
		return nil
	}
	for _, name := range []string{"hf_model_architecture.csv", filepath.Join("analysis", "hf_model_architecture.csv")} {
		f, err := os.Open(filepath.Join(run.Dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("analysis: %w", err)
		}
		lines, err := csv.NewReader(f).ReadAll()
		f.Close()
		if err != nil {
			run.warn("broken_table", filepath.ToSlash(name), err.Error(), "model shapes from this table are unknown; correct it or remove it")
			continue
		}
		if len(lines) == 0 {
			continue
		}
		column := map[string]int{}
		for i, h := range lines[0] {
			column[h] = i
		}
		for _, l := range lines[1:] {
			text := func(h string) string {
				if i, ok := column[h]; ok {
					return l[i]
				}
				return ""
			}
			num := func(h string) int {
				v, err := strconv.ParseFloat(text(h), 64)
				if err != nil || v < 0 || v > 1e9 {
					return 0
				}
				return int(v)
			}
			if text("model") == "" {
				continue
			}
			run.Shapes[text("model")] = Shape{text("config_path"), num("n_layer"), num("n_embd"), num("n_head"),
				num("n_inner"), num("vocab_size"), num("n_positions")}
		}
	}
	return nil
}
