package archs_test

import (
	"testing"

	"llmscale/gguf/archs"
)

// TestDescriptions holds the description of every small model against llama.cpp's own account of it.
func TestDescriptions(t *testing.T) {
	models, err := archs.All()
	if err != nil {
		t.Fatal(err)
	}
	accounts, err := archs.Accounts()
	if err != nil {
		t.Fatal(err)
	}
	if len(models) != len(accounts) {
		t.Errorf("%d models and %d accounts: run TestArchitectures of package native with -update-accounts", len(models), len(accounts))
	}
	for i := range models {
		m := &models[i]
		t.Run(m.Name(), func(t *testing.T) {
			a, ok := accounts[m.Name()]
			if !ok {
				t.Fatal("llama.cpp has not told of it")
			}
			c, err := archs.Compare(m, a)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range c.Differences {
				t.Error(d)
			}
		})
	}
}
