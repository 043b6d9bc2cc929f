// SPDX-License-Identifier: MIT

package archs

import (
	"testing"

	"llmscale/gguf"
)

// Models is All for a test.
func Models(t testing.TB) []Model {
	t.Helper()
	models, err := All()
	if err != nil {
		t.Fatal(err)
	}
	return models
}

// Told is Accounts for a test.
func Told(t testing.TB, rules gguf.Rules) map[string]Account {
	t.Helper()
	accounts, err := Accounts(rules)
	if err != nil {
		t.Fatal(err)
	}
	return accounts
}
