package prose

import (
	"strings"
	"testing"

	"llmscale/analysis/doc"
	"llmscale/analysis/finding"
)

func TestConcerns(t *testing.T) {
	far := finding.Doubt("outlier", "cpu kv_decode __all__", "m_1 takes 10.7 times what the line says", "look")
	all := []finding.Warning{far, far, finding.Doubt("outlier", "cpu prefill __all__", "m_2 takes 2 times", "look"), finding.Doubt("wordy", "", strings.Repeat("word ", 30), ""), finding.Doubt("third", "", "x", "")}
	for _, c := range []struct {
		codes []string
		want  string
		rows  int
	}{
		{[]string{"none"}, "", 0},
		{[]string{"none", "outlier"}, "**Mind:** cpu kv_decode: m_1 takes 10.7 times what the line says (outlier, 2 times).", 2},
		{[]string{"third", "wordy", "outlier"}, "**Mind:** x (third); " + strings.Repeat("word ", mostWords) + "… (wordy).", 4},
	} {
		got := ""
		line, table := Concerns(all, c.codes...)
		for _, b := range line {
			got += string(b.(doc.Paragraph))
		}
		if got != c.want || len(table.Rows) != c.rows {
			t.Errorf("%v: %q, want %q; %d rows", c.codes, got, c.want, len(table.Rows))
		}
	}
}
