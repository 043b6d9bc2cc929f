// SPDX-License-Identifier: MIT

package archs

import "testing"

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
func Told(t testing.TB) map[string]Account {
	t.Helper()
	accounts, err := Accounts()
	if err != nil {
		t.Fatal(err)
	}
	return accounts
}
