package request

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"llmscale/internal/interrupt"
	"llmscale/internal/paths"
	"llmscale/internal/text"
	"llmscale/runner/modelfile"
	"llmscale/runner/plan"
	"llmscale/runner/protocol"
	"llmscale/runner/sources"
	"llmscale/runner/worker"
)

// Host is the machine and the program by which models are chosen.
type Host struct {
	ModelsDir string // where models are written
	Build     protocol.Build
	NoDevice  map[string]error // as runner.Host's
	Rates     plan.Rates
	Note      func(line string) // hears what was found and left out
}

const (
	// quickSeconds is what --quick takes by its own guess, which leaves room for the report, and for the guess to err.
	quickSeconds = 100
	// Blocks of --quick: as many as an interval takes, and where there is time for more, as the default.
	fewestBlocks, mostBlocks = 3, 5
	// Rates of what a guess of a plan leaves out, on slow machines.
	hashBytesPerS  = 1e9
	writeBytesPerS = 3e8
)

// weighed is what one model of a request comes to.
type weighed struct {
	seconds float64 // of its blocks
	once    float64 // seconds before them: hashing, writing
	probe   float64 // seconds, once for all models
	why     string  // it cannot be measured; "": it can
}

// Choose takes out of the request's models those that were found, not chosen, and cannot be measured here, and for --quick
// the largest, until the rest takes two minutes. It says what it has left out.
func (q *Request) Choose(ctx context.Context, h Host) ([]sources.LeftOut, error) {
	if _, err := q.Config(); err != nil {
		return nil, err // of the flags, which no model changes
	}
	type candidate struct {
		sources.Model
		weighed
	}
	var all, stay []candidate
	var left []sources.LeftOut
	for _, m := range q.Models {
		c := candidate{Model: m}
		if q.Quick || !m.Chosen {
			var err error
			if c.weighed, err = q.weigh(ctx, h, m); err != nil {
				return nil, err
			}
		}
		if c.why != "" && !m.Chosen {
			left = append(left, sources.LeftOut{What: m.Name, Why: c.why})
			continue
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return left, errors.New("none of the models can be measured here: " + left[0].String())
	}
	stay = all
	if q.Quick {
		stay = nil
		slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.seconds+a.once, b.seconds+b.once) })
		once, seconds := all[0].probe, 0.0
		for _, c := range all {
			if stay != nil && once+seconds+c.once+c.seconds > quickSeconds {
				left = append(left, sources.LeftOut{What: c.Name, Why: fmt.Sprintf("it takes about %s, which --quick has no time for", plan.About(c.once+c.seconds))})
				continue
			}
			once, seconds = once+c.once, seconds+c.seconds
			stay = append(stay, c)
		}
		if once+seconds > quickSeconds {
			h.Note(fmt.Sprintf("even the smallest takes about %s, more than --quick's two minutes", plan.About(once+seconds)))
		}
		if fit := int((quickSeconds - once) / seconds * fewestBlocks); fit > fewestBlocks {
			q.blocks = min(fit, mostBlocks)
		}
	}
	q.Models = slices.DeleteFunc(slices.Clone(q.Models), func(m sources.Model) bool {
		return !slices.ContainsFunc(stay, func(c candidate) bool { return c.Name == m.Name })
	})
	return left, nil
}

// weigh plans a sweep of the model alone.
func (q *Request) weigh(ctx context.Context, h Host, m sources.Model) (w weighed, err error) {
	alone := *q
	alone.Models = []sources.Model{m}
	if !m.Made {
		alone.Values = maps.Clone(q.Values)
		delete(alone.Values, "dtype")
	}
	cfg, err := alone.Config()
	if err != nil {
		return w, err
	}
	folder := &modelfile.Folder{Dir: h.ModelsDir}
	defer folder.Close() // of what was only read
	facts, err := plan.Look(ctx, cfg, folder, &worker.Programs{Build: h.Build})
	if errors.Is(err, interrupt.Err) {
		return w, err
	}
	var p *plan.Plan
	if err == nil {
		facts.NoDevice = h.NoDevice
		p, err = plan.New(cfg, facts)
	}
	if err != nil {
		w.why = text.OneLine(paths.Explain(alone.Explain(err)))
		return w, nil
	}
	tried := 0
	files := map[string]bool{}
	for i := range p.Jobs {
		j := &p.Jobs[i]
		switch {
		case j.Tried():
			tried++
			if !files[j.Model.File] {
				files[j.Model.File] = true
				w.once += float64(j.Model.Desc.FileBytes) / hashBytesPerS
			}
		case j.Refused != nil:
			w.why = j.Refused.Reason
		case j.Waived != "":
			tried++ // what the whole sweep lacks is no reason to leave out one model
		default:
			w.why = fmt.Sprintf("it needs %s of memory, and %s are free", text.Size(j.Memory.Resident), text.Size(p.Free))
		}
	}
	if tried > 0 {
		w.why = ""
	}
	e := p.Estimate(h.Rates)
	w.probe, w.seconds = e.Probe, e.Seconds()-e.Probe
	w.once += float64(e.WriteBytes) / writeBytesPerS
	return w, nil
}
