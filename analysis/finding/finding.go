package finding

import "llmscale/runner/record"

// Warning is a doubt about a number, with what to do about it.
type Warning record.Warning

// Doubt makes a Warning.
func Doubt(code, where, text, advice string) Warning {
	return Warning{Code: code, Where: where, Text: text, Advice: advice}
}

// Notes collects warnings. An answer embeds it.
type Notes struct{ warnings []Warning }

// Warn adds a warning.
func (n *Notes) Warn(code, where, text, advice string) {
	n.Add(Doubt(code, where, text, advice))
}

// Add adds warnings that others have made.
func (n *Notes) Add(ws ...Warning) { n.warnings = append(n.warnings, ws...) }

// Warnings are all that were added, in order.
func (n *Notes) Warnings() []Warning { return n.warnings }
