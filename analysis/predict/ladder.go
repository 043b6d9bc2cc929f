package predict

import (
	"fmt"

	"llmscale/gguf/ledger"
	"llmscale/gguf/synth"
)

// Shape is a published shape, or one of a ladder, as a target: shape:llama3.1-8b,
// ladder:llama/1.2b or synth:gpt2-xl.
func Shape(source, weightType string) (*Target, error) {
	s, err := synth.Lookup(source)
	if err != nil {
		return nil, err
	}
	return targetOf(s, weightType)
}

// Ladder is a target of so many parameters, with the ladder's proportions.
func Ladder(params int64, weightType string) (*Target, error) {
	s, err := synth.Between("llama", params)
	if err != nil {
		return nil, err
	}
	t, err := targetOf(s, weightType)
	if err == nil {
		t.Name = fmt.Sprintf("a shape of the ladder's proportions (%d layers, width %d)", s.NLayer, s.NEmbd)
	}
	return t, err
}

// DescribeShape is a Describe that knows shapes alone, and reads no file.
func DescribeShape(source, weightType string) (ledger.Description, bool) {
	t, err := Shape(source, weightType)
	if err != nil {
		return ledger.Description{}, false
	}
	return t.Desc, true
}

func targetOf(s synth.Shape, weightType string) (*Target, error) {
	if weightType == "" {
		return nil, fmt.Errorf("the run has several weight types: say which is meant, with --type or --backend")
	}
	d, err := synth.Describe(s, synth.Options{Type: weightType})
	if err != nil {
		return nil, err
	}
	return &Target{Name: s.Source(), Desc: d}, nil
}
