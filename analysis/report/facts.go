package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"llmscale/analysis"
	"llmscale/analysis/cells"
	"llmscale/analysis/doc"
	"llmscale/analysis/q/device"
	"llmscale/analysis/q/prose"
	"llmscale/analysis/runs"
	words "llmscale/internal/text"
)

// buildSections are where a manifest may describe the native build.
var buildSections = [][]string{{"llmscale", "native"}, {"llmscale"}, {"llama"}}

// facts says what ran, where and when; manifest.json has all of it.
func (w *writer) facts() {
	m := w.r.Manifest
	sec := doc.Section{Title: "Run facts", Closed: true}
	if m.Empty() {
		sec.Say("The run has no manifest: machine, configuration and command are unknown.")
	}
	t := doc.Table{Wrap: true, Head: []string{"<fact", "<value"}}
	add := func(name string, values ...string) {
		values = slices.DeleteFunc(values, func(s string) bool { return s == "" })
		if len(values) > 0 {
			t.Rows = append(t.Rows, []string{name, doc.Text(strings.Join(values, ", "))})
		}
	}
	add("run", w.r.RunName, w.r.RunID, m.Text("run_state"))
	add("started", w.started())
	if n := len(w.set.Machines); n > 0 {
		add("machines", fmt.Sprintf("%d, see machines.csv; of the first:", n))
	}
	add("processor", firstText(m, []string{"environment", "cpu"}, []string{"platform", "processor"}), w.count("logical cores", "environment", "logical_cores"), w.count("physical", "environment", "physical_cores"))
	if b, ok := intAt(m, "environment", "memory_bytes"); ok {
		add("memory", words.Size(int64(b)))
	}
	gpus := analysis.Get[device.Answer](w.r).GPUs()
	if len(gpus) == 0 { // what TR121's manifest has
		gpus = []string{m.Text("nvml", "name")}
	}
	add("GPU", gpus...)
	add("system", firstText(m, []string{"environment", "os"}, []string{"platform", "os"}), m.Text("environment", "kernel"), firstText(m, []string{"environment", "arch"}, []string{"platform", "machine"}))
	add("threads", w.modelFact(func(x cells.Model) string { return doc.NumberText(x.Threads) }))
	add("llama.cpp", w.llamaCommit(), w.native("build_type"), w.native("compiler"), w.native("flags"))
	commit, modified := w.commit()
	if modified {
		commit += " with changes"
	}
	add("program", commit)
	add("configuration", m.Text("config_path"), m.Text("config_sha256"))
	add("seed", m.Text("seed"))
	add("calls per cell", w.plan())
	add("records", w.records())
	add("repetitions", w.repetitions())
	sec.Add(t)
	w.add(sec)
}

func firstText(m runs.Manifest, paths ...[]string) string {
	for _, p := range paths {
		if s := m.Text(p...); s != "" {
			return s
		}
	}
	return ""
}

func intAt(m runs.Manifest, path ...string) (float64, bool) {
	var v float64
	ok := m.Decode(&v, path...)
	return v, ok && v > 0
}

// count is a number of the manifest with its name.
func (w *writer) count(name string, path ...string) string {
	if n, ok := intAt(w.r.Manifest, path...); ok {
		return fmt.Sprintf("%.0f %s", n, name)
	}
	return ""
}

// modelFact joins the values that the models have, without repeats.
func (w *writer) modelFact(of func(cells.Model) string) string {
	var out []string
	for _, m := range w.r.Models {
		if v := of(m); v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return strings.Join(out, ", ")
}

func (w *writer) llamaCommit() string {
	if s := w.modelFact(func(m cells.Model) string { return m.LlamaCommit }); s != "" {
		return s
	}
	return w.native("llama_commit")
}

// started is the first session's start and how long all took.
func (w *writer) started() string {
	var sessions []struct {
		Start float64 `json:"started_at_unix"`
		End   float64 `json:"ended_at_unix"`
	}
	w.r.Manifest.Decode(&sessions, "sessions")
	if len(sessions) == 0 || sessions[0].Start <= 0 {
		return ""
	}
	s := time.UnixMicro(int64(sessions[0].Start * 1e6)).UTC().Format("2006-01-02 15:04:05 UTC")
	total := 0.0
	for _, x := range sessions {
		total += max(0, x.End-x.Start)
	}
	if total > 0 {
		s += fmt.Sprintf(", took %s in %s", time.Duration(total*float64(time.Second)).Round(time.Second), doc.Count(len(sessions), "session", "sessions"))
	}
	return s
}

func (w *writer) plan() string {
	m := w.r.Manifest
	reps := m.Int("repetitions")
	if reps == nil {
		return ""
	}
	s := fmt.Sprintf("%d measured", *reps)
	if n := m.Int("warmup_repetitions"); n != nil {
		s += fmt.Sprintf(", %s before", doc.Count(*n, "warm-up", "warm-ups"))
	}
	return s
}

func (w *writer) records() string {
	c := w.r.Counts
	parts := []string{fmt.Sprintf("%d read", c.Records), fmt.Sprintf("%d used", c.Used)}
	for _, status := range slices.Sorted(maps.Keys(c.ByStatus)) {
		parts = append(parts, fmt.Sprintf("%d %s", c.ByStatus[status], status))
	}
	return withCounts(parts, map[string]int{"of warm-ups": c.Warmups, "INVALID": c.Invalid, "in tails alone": c.Disturbed, "broken lines": c.Broken, "superseded": c.Superseded})
}

// repetitions says how much of the plan was measured.
func (w *writer) repetitions() string {
	n := w.r.Counts.Repetitions
	if n == nil {
		return ""
	}
	return withCounts([]string{fmt.Sprintf("%d of %d planned are measured", n.Measured, n.Planned)},
		map[string]int{"INVALID": n.Invalid, "did not fit or were waived": n.Final, "crashed, timed out or gave an error": n.Failed, "not made": n.Missing()})
}

// withCounts adds those counts that are not 0.
func withCounts(parts []string, counts map[string]int) string {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, name))
		}
	}
	return strings.Join(parts, "; ")
}

// commit is the one that the program was built from; where the program does not
// know, that of the folder in which it ran.
func (w *writer) commit() (commit string, modified bool) {
	m := w.r.Manifest
	if commit = m.Text("llmscale", "commit"); commit != "" {
		return commit, m.Text("llmscale", "modified") == "true"
	}
	return strings.CutSuffix(m.Text("git_head"), "-dirty")
}

// native is a fact of the manifest about the native build.
func (w *writer) native(name string) string {
	for _, section := range buildSections {
		if v := w.r.Manifest.Text(append(slices.Clone(section), name)...); v != "" {
			return v
		}
	}
	return ""
}

// limits says what this report does not show.
func (w *writer) limits() {
	r := w.r
	items := doc.List{"One machine, one run: another machine, build or day may differ."}
	if n := len(w.set.Machines); n > 0 {
		items[0] = fmt.Sprintf("%d machines, one run: another machine, build or day may differ.", n)
	}
	prompt, answer, synthetic := 0.0, 0.0, 0
	device, e2e := false, len(r.Cells) == 0
	for _, c := range r.Cells {
		if n := c.PromptEach(); n != nil {
			prompt = max(prompt, *n+float64(c.Depth))
		}
		if n := c.AnswerTokens(); n != nil {
			answer = max(answer, *n)
		}
		device = device || c.CUDAEventMS != nil
		// Through Ollama it is the client's clock, beside which the phases' sum says nothing.
		e2e = e2e || c.E2EGapPercent != nil || c.BackendKind == cells.KindOllama && r.Harness == runs.HarnessLLMScale
	}
	if prompt > 0 || answer > 0 {
		items = append(items, fmt.Sprintf("Prompts end at position %.0f at most, answers have at most %.0f tokens: longer contexts may scale otherwise.", prompt, answer))
	}
	var batches, architectures []string
	put := func(to *[]string, s string) {
		if s != "" && !slices.Contains(*to, s) {
			*to = append(*to, s)
		}
	}
	for _, s := range prose.Measured(w.set) {
		put(&batches, strconv.Itoa(max(1, s.BatchSize)))
	}
	for _, m := range r.Models {
		put(&architectures, m.Architecture)
		if m.Kind == "synth" {
			synthetic++
		}
	}
	if len(batches) > 0 {
		items = append(items, fmt.Sprintf("Batch size %s, sequences of equal length that begin together: no queueing.", doc.Join(batches)))
	}
	if len(architectures) > 0 {
		items = append(items, fmt.Sprintf("Architecture %s: others may scale otherwise.", doc.Text(doc.Join(architectures))))
	}
	if synthetic > 0 {
		items = append(items, "Made-up weights are seeded and random: that leaves timing as it is, and makes their text meaningless.")
	}
	items = append(items, "Quality of the answers is not measured.")
	if !device {
		items = append(items, "No device clock: host times only.")
	}
	if !e2e {
		items = append(items, "End-to-end time is the sum of prefill and decode here.")
	}
	if r.Harness == runs.HarnessTR121 {
		items = append(items, "These records come from the TR121 harness, with its weaknesses: repeated prompts that an Ollama server caches, sums in place of end-to-end times, few samples.")
	}
	w.add(doc.Section{Title: "Limits", Closed: true, Blocks: []doc.Block{items}})
}
