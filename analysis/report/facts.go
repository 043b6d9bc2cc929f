package report

import (
	"encoding/json"
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
	"llmscale/analysis/q/summary"
	"llmscale/analysis/runs"
	words "llmscale/internal/text"
	"llmscale/runner/record"
)

// buildSections are where a manifest may describe the native build.
var buildSections = [][]string{{"llmscale", "native"}, {"llmscale"}, {"llama"}}

// facts says what ran, where and when.
func (w *writer) facts() {
	m := w.r.Manifest
	w.doc.Section("Run facts")
	if m.Empty() {
		w.doc.Say("The run has no manifest: machine, configuration and command are unknown.")
	}
	t := doc.Table{Wrap: true, Head: []string{"<fact", "<value"}}
	add := func(name, value string) {
		if value != "" {
			t.Rows = append(t.Rows, []string{name, value})
		}
	}
	add("run", doc.Text(strings.TrimSpace(w.r.RunName+" "+w.r.RunID)))
	add("state", doc.Text(m.Text("run_state")))
	add("started", w.started())
	add("harness", doc.Text(w.r.Harness))
	add("processor", doc.Text(firstText(m, []string{"environment", "cpu"}, []string{"platform", "processor"})))
	add("cores", w.cores())
	if b, ok := intAt(m, "environment", "memory_bytes"); ok {
		add("memory", words.Size(int64(b)))
	}
	gpus := analysis.Get[device.Answer](w.r).GPUs()
	if len(gpus) == 0 { // what TR121's manifest has
		gpus = []string{w.r.Manifest.Text("nvml", "name")}
	}
	add("GPU", doc.Text(strings.Join(gpus, ", ")))
	add("system", doc.Text(strings.TrimSpace(firstText(m, []string{"environment", "os"}, []string{"platform", "os"})+" "+
		m.Text("environment", "kernel")+" "+firstText(m, []string{"environment", "arch"}, []string{"platform", "machine"}))))
	add("threads", w.modelFact(func(x cells.Model) string { return doc.NumberText(x.Threads) }))
	add("llama.cpp commit", w.llamaCommit())
	for _, section := range buildSections {
		var parts []string
		for _, name := range []string{"build_type", "compiler", "flags"} {
			if v := m.Text(append(slices.Clone(section), name)...); v != "" {
				parts = append(parts, v)
			}
		}
		if len(parts) > 0 {
			add("build", doc.Text(strings.Join(parts, ", ")))
			add("processor features in use", doc.Text(m.Text(append(slices.Clone(section), "system_info")...)))
			break
		}
	}
	commit, modified := w.commit()
	if modified {
		commit += ", with changes"
	}
	add("program commit", doc.Text(commit))
	add("configuration", doc.Text(m.Text("config_path")))
	add("configuration SHA-256", doc.Text(m.Text("config_sha256")))
	add("seed", doc.Text(m.Text("seed")))
	add("calls per cell", w.plan())
	add("answer length", w.answerLength())
	add("prompts", w.prompts())
	add("records", w.records())
	add("repetitions", w.repetitions())
	add("sum of phases", w.phases())
	add("analysis", doc.Text(fmt.Sprintf("%d bootstrap resamples, seed %d, x axis %s", max(0, w.r.Options.Bootstrap), w.r.Options.Seed, w.r.Options.XAxis)))
	w.doc.Add(t)
	if rest := w.manifestRest(); len(rest.Rows) > 0 {
		w.doc.Fold("Everything that the manifest says about machine and build", rest)
	}
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

// modelFact joins the values that the models have, without repeats.
func (w *writer) modelFact(of func(cells.Model) string) string {
	var out []string
	for _, m := range w.r.Models {
		if v := of(m); v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return doc.Text(strings.Join(out, ", "))
}

func (w *writer) llamaCommit() string {
	if s := w.modelFact(func(m cells.Model) string { return m.LlamaCommit }); s != "" {
		return s
	}
	for _, section := range buildSections {
		if s := w.r.Manifest.Text(append(slices.Clone(section), "llama_commit")...); s != "" {
			return doc.Text(s)
		}
	}
	return ""
}

func (w *writer) cores() string {
	var parts []string
	if n, ok := intAt(w.r.Manifest, "environment", "logical_cores"); ok {
		parts = append(parts, fmt.Sprintf("%.0f logical", n))
	}
	if n, ok := intAt(w.r.Manifest, "environment", "physical_cores"); ok {
		parts = append(parts, fmt.Sprintf("%.0f physical", n))
	}
	return doc.Join(parts)
}

// started is the first session's start and the last one's end.
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
		if x.End > x.Start {
			total += x.End - x.Start
		}
	}
	if total > 0 {
		s += fmt.Sprintf(", took %s", time.Duration(total*float64(time.Second)).Round(time.Second))
	}
	if len(sessions) > 1 {
		s += fmt.Sprintf(" in %d sessions", len(sessions))
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

func (w *writer) answerLength() string {
	if mixed := prose.MixedLengths(w.set); mixed != "" {
		return mixed + ", by scenario"
	}
	if lengths := w.set.AnswerLengths(); len(lengths) == 1 {
		return fmt.Sprintf("%d tokens", lengths[0])
	}
	if n := w.r.Manifest.Int("gen_tokens"); n != nil {
		return fmt.Sprintf("%d tokens", *n)
	}
	return ""
}

// prompts lists the scenarios with their lengths, where all models agree.
func (w *writer) prompts() string {
	var names []string
	lengths, depths := map[string][]string{}, map[string]int{}
	for _, c := range w.r.Cells {
		depths[c.Scenario] = c.Depth
		if c.Mode != record.ModePrefill {
			continue
		}
		if _, seen := lengths[c.Scenario]; !seen {
			names = append(names, c.Scenario)
			lengths[c.Scenario] = nil
		}
		if n := doc.Plain(c.PromptEach()); n != doc.Unknown && !slices.Contains(lengths[c.Scenario], n) {
			lengths[c.Scenario] = append(lengths[c.Scenario], n)
		}
	}
	var out []string
	for _, n := range names {
		s := doc.Text(n)
		switch l := lengths[n]; len(l) {
		case 0:
		case 1:
			unit := "tokens"
			if l[0] == "1" {
				unit = "token"
			}
			s += fmt.Sprintf(" (%s %s%s)", l[0], unit, prose.AtDepth(depths[n]))
		default:
			s += fmt.Sprintf(" (%s tokens, by model)", strings.Join(l, ", "))
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func (w *writer) records() string {
	c := w.r.Counts
	s := fmt.Sprintf("%d read", c.Records)
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(c.ByStatus)) {
		parts = append(parts, fmt.Sprintf("%d %s", c.ByStatus[status], doc.Text(status)))
	}
	if len(parts) > 0 {
		s += ": " + strings.Join(parts, ", ")
	}
	s += fmt.Sprintf("; %d used, %d of warm-ups", c.Used, c.Warmups)
	if c.Invalid > 0 {
		s += fmt.Sprintf("; %d INVALID", c.Invalid)
	}
	if c.Disturbed > 0 {
		s += fmt.Sprintf("; %d behind a canary far off, in tails alone", c.Disturbed)
	}
	if c.Broken > 0 {
		s += fmt.Sprintf("; %s broken", doc.Count(c.Broken, "line", "lines"))
	}
	if c.Superseded > 0 {
		s += fmt.Sprintf("; %d superseded", c.Superseded)
	}
	return s
}

// repetitions says how much of the plan was measured.
func (w *writer) repetitions() string {
	n := w.r.Counts.Repetitions
	if n == nil {
		return ""
	}
	s := fmt.Sprintf("%d of %d planned are measured", n.Measured, n.Planned)
	if n.Invalid > 0 {
		s += fmt.Sprintf("; %d INVALID and left out", n.Invalid)
	}
	if n.Final > 0 {
		s += fmt.Sprintf("; %d in cells that did not fit or were waived", n.Final)
	}
	if n.Failed > 0 {
		s += fmt.Sprintf("; %d in cells that crashed, timed out or gave an error", n.Failed)
	}
	if missing := n.Missing(); missing > 0 {
		s += fmt.Sprintf("; %d not made", missing)
	}
	return s
}

// phases says whether end-to-end times are the sum of their parts.
func (w *writer) phases() string {
	p := analysis.Get[summary.Answer](w.r).Phases
	if p == nil {
		return ""
	}
	return fmt.Sprintf("over %s, end to end (timed on its own) differs from prefill + decode by %s %% at the median and %s %% at most (%s)",
		doc.Count(p.N, "call", "calls"), doc.Number(p.MedianPercent), doc.Number(p.LargestPercent), doc.Text(p.Where))
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

// manifestRest flattens the manifest's descriptions of machine and build.
func (w *writer) manifestRest() doc.Table {
	t := doc.Table{Wrap: true, Head: []string{"<key", "<value"}}
	for _, section := range []string{"environment", "platform", "llmscale", "llama", "torch", "nvml"} {
		raw, ok := w.r.Manifest.Raw(section)
		if !ok {
			continue
		}
		var v any
		if json.Unmarshal(raw, &v) == nil {
			flatten(&t, section, v)
		}
	}
	return t
}

func flatten(t *doc.Table, path string, v any) {
	switch v := v.(type) {
	case nil:
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			flatten(t, path+"."+k, v[k])
		}
	case []any:
		for i, x := range v {
			flatten(t, fmt.Sprintf("%s.%d", path, i), x)
		}
	case float64:
		t.Rows = append(t.Rows, []string{doc.Text(path), strconv.FormatFloat(v, 'f', -1, 64)})
	default:
		if s := doc.Clean(fmt.Sprint(v)); s != "" {
			t.Rows = append(t.Rows, []string{doc.Text(path), doc.Text(s)})
		}
	}
}

// limits says what this report does not show.
func (w *writer) limits() {
	r := w.r
	items := doc.List{"One machine, one run: nothing here says how another machine, another build or another day would differ. An exponent is a description of the models measured, not a law."}
	least, most := 0, 0.0
	gen, depth := 0.0, 0
	device, gpu, e2e := false, false, false
	for _, c := range r.Cells {
		if least == 0 || c.N < least {
			least = c.N
		}
		if n := c.PromptEach(); n != nil {
			most = max(most, *n)
		}
		depth = max(depth, c.Depth)
		if n := c.AnswerTokens(); n != nil {
			gen = max(gen, *n)
		}
		device = device || c.CUDAEventMS != nil
		gpu = gpu || c.GPUPeakMB != nil
		// Through Ollama it is the client's clock, beside which the phases' sum says nothing.
		e2e = e2e || c.E2EGapPercent != nil || c.BackendKind == "ollama" && r.Harness == runs.HarnessLLMScale
	}
	if least > 0 {
		items = append(items, fmt.Sprintf("Each cell has %s or more. Quantiles of whole calls take 130 (p95) and 662 (p99); with fewer, only medians and ranges are shown.", doc.Count(least, "call", "calls")))
	}
	if most > 0 || gen > 0 {
		behind := ""
		if depth > 0 {
			behind = fmt.Sprintf(", behind at most %s", doc.Count(depth, "token", "tokens"))
		}
		items = append(items, fmt.Sprintf("Prompts have at most %.0f tokens and answers %.0f"+behind+": longer contexts cost more attention and KV cache, and may scale otherwise.", most, gen))
	}
	batches := []string{}
	architectures, types, synthetic, total := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, k := range prose.Measured(w.set) {
		if b := strconv.Itoa(max(1, k.BatchSize)); !slices.Contains(batches, b) {
			batches = append(batches, b)
		}
	}
	for _, m := range r.Models {
		if m.Architecture != "" {
			architectures[m.Architecture] = true
		}
		if m.WeightType != "" {
			types[m.WeightType] = true
		}
		total[m.Name] = true
		if m.Kind == "synth" {
			synthetic[m.Name] = true
		}
	}
	if len(batches) > 0 {
		alone := "one request at a time"
		if len(batches) > 1 || batches[0] != "1" {
			alone = "sequences of equal length that begin together, one batch at a time"
		}
		items = append(items, fmt.Sprintf("Batch size %s, %s: no queueing, no concurrency.", doc.Text(doc.Join(batches)), alone))
	}
	if len(architectures) == 1 {
		items = append(items, fmt.Sprintf("One architecture (%s): others may scale otherwise.", doc.Text(slices.Sorted(maps.Keys(architectures))[0])))
	} else if len(architectures) > 1 {
		items = append(items, fmt.Sprintf("Several architectures (%s): where one fit holds more than one of them, size and architecture cannot be told apart.", doc.Text(doc.Join(slices.Sorted(maps.Keys(architectures))))))
	}
	if len(types) > 1 {
		items = append(items, fmt.Sprintf("Several weight types (%s): compare exponents between them with care.", doc.Text(doc.Join(slices.Sorted(maps.Keys(types))))))
	}
	if n := len(synthetic); n > 0 {
		items = append(items, fmt.Sprintf("%d of %s have seeded random weights: that leaves timing as it is, and makes their text meaningless. Quality is not measured for any model.", n, doc.Count(len(total), "model", "models")))
	} else {
		items = append(items, "Quality of the answers is not measured.")
	}
	switch {
	case !device && !gpu:
		items = append(items, "No device clock, GPU memory or power: host times on the processor only.")
	case !device:
		items = append(items, "No device clock: host times only.")
	}
	if len(r.Cells) > 0 && !e2e {
		items = append(items, "End-to-end time was not measured on its own here: it is the sum of prefill and decode.")
	}
	if r.Harness == runs.HarnessTR121 {
		items = append(items, "These records come from the TR121 harness: its weaknesses (repeated prompts that an Ollama server caches, sums in place of end-to-end times, few samples) are in them.")
	}
	w.doc.Section("Limits")
	w.doc.Add(items)
}

// repeat gives the command that makes the same run.
func (w *writer) repeat() {
	m := w.r.Manifest
	w.doc.Section("Run it again")
	var argv []string
	if !m.Decode(&argv, "argv") || len(argv) == 0 {
		w.doc.Say("The command is unknown: the manifest does not have it.")
		return
	}
	quoted := make([]string, len(argv))
	for i, a := range argv {
		quoted[i] = shellQuote(a)
	}
	var sb strings.Builder
	commit, modified := w.commit()
	if commit != "" {
		fmt.Fprintf(&sb, "git checkout %s\n", shellQuote(commit))
	}
	further := ""
	if w.r.Harness == runs.HarnessLLMScale {
		var build string
		build, further = w.build()
		sb.WriteString(build)
	}
	var openmp map[string]string
	m.Decode(&openmp, "environment", "openmp_variables")
	for _, k := range slices.Sorted(maps.Keys(openmp)) {
		fmt.Fprintf(&sb, "export %s=%s\n", doc.Clean(k), shellQuote(openmp[k]))
	}
	sb.WriteString(strings.Join(quoted, " ") + "\n")
	w.doc.Add(doc.Code(sb.String()))
	s := "The same prompts come from the same configuration"
	if hash := m.Text("config_sha256"); hash != "" {
		s += fmt.Sprintf(" (SHA-256 %s)", doc.Text(hash))
	}
	if seed := m.Text("seed"); seed != "" {
		s += " and seed " + doc.Text(seed)
	}
	if modified {
		s += ". The program had changes that this commit does not hold"
	}
	w.doc.Add(doc.Paragraph(s + "." + further + " Times will differ by noise, and on another machine altogether; keep other programs away from it while it measures."))
}

// shellQuote makes one word of s for a POSIX shell, on one line.
func shellQuote(s string) string {
	s = doc.Clean(s)
	plain := s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,+@%", r))
	}) < 0
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
