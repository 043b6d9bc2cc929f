package config

import (
	"fmt"
	"slices"
	"strings"

	"llmscale/internal/text"
)

// Markdown is docs/config.md: every key with its type, default, range and
// meaning, and the rules that tie them together.
func Markdown() string {
	var b strings.Builder
	b.WriteString(docHead)
	for _, t := range Tables() {
		title := t.Name
		if title == "" {
			title = "The file"
		} else {
			title = "An entry of `" + title + "`"
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| key | type | default | meaning |\n|---|---|---|---|\n", title, t.Doc)
		for _, f := range t.Fields {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Key, f.typeDoc(), f.defaultDoc(), f.doc())
		}
	}
	var list strings.Builder
	for _, s := range sources {
		fmt.Fprintf(&list, "| `%s` | %s |\n", strings.ReplaceAll(s.form, "|", `\|`), s.doc)
	}
	var axes strings.Builder
	for _, f := range slices.Concat(axisFields(scenarioTable.fields), axisFields(backendTable.fields)) {
		fmt.Fprintf(&axes, "| `%s` | %s |\n", f.Key, f.exampleNames())
	}
	b.WriteString(strings.NewReplacer("SOURCES", list.String(), "AXES", axes.String()).Replace(docTail))
	return b.String()
}

// axisFields are the fields that take a list.
func axisFields[T any](fields []field[T]) (out []Field) {
	for _, f := range fields {
		if f.Axis {
			out = append(out, f.Field)
		}
	}
	return out
}

// exampleNames shows what values add to the name x.
func (f *Field) exampleNames() string {
	values := map[Type][]string{Int: {"1", "2"}, Bool: {"true", "false"}, Choice: nil}[f.Type]
	if f.Type == Choice {
		values = f.Values[len(f.Values)-2:]
	}
	if f.Type == Text {
		values = f.namesOf(f.Examples)
	}
	if words := f.words(); len(words) > 0 {
		values = append(values, words[0])
	}
	var out []string
	for _, v := range values {
		out = append(out, "`x"+f.nameOf(v)+"`")
	}
	return strings.Join(out, ", ")
}

func (f *Field) typeDoc() string {
	one := f.oneDoc()
	if f.Axis {
		one += "; or a list"
	}
	return one
}

func (f *Field) oneDoc() string {
	unit := ""
	if f.Unit != "" {
		unit = ", " + f.Unit
	}
	switch f.Type {
	case Choice:
		return "`" + strings.Join(f.Values, "`, `") + "`"
	case Int, Number:
		if f.Min == f.Max {
			return fmt.Sprintf("%s%s, %s only", f.Type, unit, plain(f.Min))
		}
		bounds := fmt.Sprintf("%s%s, %s to %s", f.Type, unit, plain(f.Min), plain(f.Max))
		for _, w := range f.words() {
			bounds += fmt.Sprintf(", `%s`", w)
		}
		return bounds
	}
	return string(f.Type) + unit
}

func (f *Field) defaultDoc() string {
	switch {
	case f.Required:
		return "**required**"
	case f.Default != "":
		return "`" + f.Default + "`"
	}
	return f.DefaultDoc
}

func (f *Field) doc() string {
	doc := f.Doc
	if f.Why != "" {
		doc += " " + strings.ToUpper(f.Why[:1]) + f.Why[1:] + "."
	}
	var also []string
	for alias, v := range f.Aliases {
		also = append(also, fmt.Sprintf("`%s` as `%s`", alias, v))
	}
	if len(also) > 0 {
		slices.Sort(also)
		doc += " Also read: " + text.List(also, "and") + "."
	}
	return strings.ReplaceAll(doc, "|", `\|`)
}

const docHead = `# The sweep's config file

<!-- Written from the tables in runner/config: go test ./runner/config -run Markdown -update -->

A sweep is described by one YAML file. Its keys are those of the TR121 study where it had them. The smallest useful one:

` + "```yaml" + `
scenarios: [{name: micro, prompt: Hello}, {name: p512, prompt_tokens: 512}]
backends:  [{name: native_cpu_f32, dtype: f32}]
models:    [{name: gpt2-5m, source: synth:gpt2-5m}, {name: mine, source: models/mine.gguf}]
` + "```" + `

Every model runs under every backend that fits it, with every scenario. ` + "`configs/scaling.yaml`" + ` is the default sweep, ` + "`configs/smoke.yaml`" + ` the smallest
check, ` + "`configs/real-model.yaml`" + ` puts a trained model beside the synthetic ones; ` + "`configs/ladder.yaml`, `family.yaml`, `decode-length.yaml`" + `,
` + "`quantization.yaml`, `threads.yaml`, `batches.yaml`, `depth.yaml`, `pace.yaml`, `builds.yaml` and `compare-builds.yaml`" + ` change one thing each.

The file is read strictly, and all that is wrong with it is told at once, each with file, line and column: unknown and duplicate keys, wrong types,
values out of range, empty lists, names given twice, names that point nowhere. Nothing is guessed: ` + "`prompt: 5`" + ` is refused until the 5 is quoted, ` + "`010`" + `
because it could be eight. A file is at most 1 MiB of UTF-8 with one YAML document, a list at most 1000 entries, those that it makes included. YAML's
aliases, merge keys and tags are not read.

Names (of the run, of scenarios, backends and models) are up to 64 letters, digits and ` + "`. _ : + -`" + ` with a letter or digit first, so that they can
stand in file names and in comma-separated flags.
`

const docTail = `
## Lists and ranges

A key whose type says "or a list" takes several values, and its entry stands for one of each: where several keys of an entry have lists, for every
combination. ` + "`threads: [1, 2, 4]`" + ` with ` + "`flash_attn: [on, off]`" + ` is six backends, and ` + "`prompt_tokens: 1..4096*2`" + ` thirteen scenarios.

| range | what it is |
|---|---|
| ` + "`1..8`" + ` | 1, 2, 3, ..., 8 |
| ` + "`0..64+16`" + ` | 0, 16, 32, 48, 64 |
| ` + "`1..4096*2`" + ` | 1, 2, 4, ..., 4096 |

Both ends belong to a range: one that would step over its end (` + "`1..3000*2`" + `) is refused, with the last value that it reaches. A range may stand in a
list: ` + "`[1..2048*2, 3000]`" + `. A value may stand in a list once, whatever its spelling.

The name of what a list makes is the entry's name and, for each key with more than one value, in the order of this page, ` + "`_`" + `, a short form of the key,
and the value, after a ` + "`-`" + ` where that is a word:

| key | names of an entry x |
|---|---|
AXES
So ` + "`{name: cpu, dtype: [f16, q4_0], threads: [1, 2]}`" + ` makes ` + "`cpu_f16_t1`, `cpu_f16_t2`, `cpu_q4_0_t1` and `cpu_q4_0_t2`" + `. A list of one value adds
nothing. These are the names in artifacts. The entry's own name stands for all of them in ` + "`--backends`, `--scenarios`" + ` and a model's ` + "`backends`" + `; each
of them for itself.

Every combination must be one that the [rules between keys](#rules-between-keys) allow. Two backends of one entry that come to the same work, such as
` + "`threads: [0, 2]`" + ` on two cores or two ` + "`batch_tokens`" + ` that are both longer than the context, are an error when the sweep is planned. They are not
merged: the one that is left would have a name that says half of it. Two entries written out may be equal, to see how far two measurements of one
thing differ.

` + "`llmscale run --config F --dry-run`" + ` says how many cells the lists make and about how long they take. More than ` + "`max_cells`" + ` are refused.

## Sources

| source | what it is |
|---|---|
SOURCES
A relative path, a ` + "`program`" + `'s too, starts at the config file's folder, so that a file means the same from wherever the program is called; in a config
from a pipe or from standard input (--config -) at the current folder. ` + "`$NAME` and `${NAME}`" + ` are replaced by the environment's variables; one that is
not set, or empty, is an error. ` + "`$$`" + ` is a dollar sign. ` + "`~`" + ` is not expanded: write ` + "`$HOME`" + `. That the file or program exists is checked when the sweep
is planned, not here.

## Which model runs under which backend

| | backend with ` + "`dtype`" + ` | backend without ` + "`dtype`" + ` |
|---|---|---|
| ` + "`synth:`, `shape:`, `ladder:`" + ` | yes, written in that type | no: nothing says which type to write |
| ` + "`hf:`" + ` | in f32, f16, bf16 and q8_0, converted to that type | no |
| any other | yes, in the file's own types | yes, in the file's own types |

A model's ` + "`backends`" + ` list narrows this to the backends it names. So a file runs once for each backend unless its list says otherwise. Where two of
them differ only in ` + "`dtype`" + `, it would do the same work twice under two names: the program warns, and a list with one of them (best one without
` + "`dtype`" + `, as in ` + "`configs/real-model.yaml`" + `) sets it right. A ` + "`dtype`" + ` on a backend that only runs models with types of their own changes nothing, which
the program says too.

A backend of kind ` + "`ollama`" + ` runs ` + "`ollama:NAME`" + ` as the server has it, and any other file only with ` + "`import: true`" + `.

A model that no backend runs and a backend that runs no model are errors, because rows that someone expects would never come.

## Rules between keys

- A scenario has exactly one of ` + "`prompt` and `prompt_tokens`" + `.
- ` + "`n_gpu_layers`" + ` other than 0, ` + "`cuda_graphs`, `token_events` and `vram_limit_gib`" + ` need ` + "`device: cuda`" + `, ` + "`memory_limit_mib` `device: cpu`" + `.
- ` + "`url`, `import` and `ban_repeats`" + ` need ` + "`kind: ollama`" + `; of the other keys that kind takes no ` + "`flash_attn`, `kv_type`, `threads_batch`" + `,
  ` + "`batch_tokens`, `cuda_graphs`, `token_events`, `vram_limit_gib`, `memory_limit_mib` and `program`" + `: its server decides.
- ` + "`ubatch_tokens`" + ` is at most ` + "`batch_tokens`" + `.
- ` + "`kv_type: q8_0`" + ` needs ` + "`flash_attn`" + ` auto or on.
- ` + "`batch_size`" + ` is at most ` + "`ubatch_tokens`" + `. Through Ollama it is 1, and no scenario has a ` + "`depth`" + `.
- A ` + "`context_tokens`" + ` that is not 0 has room for every scenario's ` + "`depth`, `prompt_tokens` and `gen_tokens`" + `; a text is checked once the model has
  tokenised it.

## On the command line

` + "`--replicates`, `--repetitions`, `--warmup-repetitions`, `--gen-tokens` and `--seed`" + ` stand in for the file's values, under the same rules; a scenario's own
` + "`gen_tokens`" + ` stays. ` + "`--max-params 8B`" + ` leaves out the models that have more parameters. ` + "`--models`, `--backends` and `--scenarios`" + ` keep the named
entries of the file, or the named ones of those that its [lists](#lists-and-ranges) make, in the file's order. Models and backends that are then left
without a partner go too, unless they were named: that is an error.

## Coming from TR121

| TR121 | here |
|---|---|
| ` + "`kind: hf`, `dtype: fp32` or `fp16`" + ` | ` + "`kind: native`, `dtype: f32` or `f16`" + ` (the old spellings of ` + "`dtype`" + ` are read too) |
| ` + "`options`" + ` of ` + "`kind: ollama`" + ` | refused: raw prompts, temperature 0 and the native cell's settings are always sent |
| ` + "`repetitions: 3`" + ` by default | the same, in each of 5 processes (` + "`replicates`" + `) |
| a model's ` + "`kind`" + ` | its ` + "`source`" + ` |
| ` + "`batch_size`" + ` above 1 | the same, of prompts of one length: TR121 padded |
| ` + "`gen_tokens_list`" + ` | a scenario's ` + "`gen_tokens`" + ` takes a list, or one scenario for each length (` + "`configs/decode-length.yaml`" + `) |
`
