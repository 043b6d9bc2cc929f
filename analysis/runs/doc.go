// Package runs reads a run folder: the records that count, the manifest, what the
// machine can do, and llama-bench's lines. It reads the folders of llmscale and of
// the TR121 Python harness. What it cannot read it names in Run.Warnings.
package runs
