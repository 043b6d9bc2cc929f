package profile

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the profile as text: for each phase its times, then its kernels or operations, as many as rows
// (0: all). Times are those of profiled steps.
func (p *Profile) WriteTable(w io.Writer, rows int) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i := range p.Phases {
		if i > 0 {
			fmt.Fprintln(t)
		}
		p.Phases[i].write(t, rows)
		if err := t.Flush(); err != nil {
			return err
		}
	}
	for _, warning := range p.Warnings {
		fmt.Fprintf(t, "\nwarning: %s\n", warning)
	}
	return t.Flush()
}

func (ph *Phase) write(t *tabwriter.Writer, rows int) {
	what := "operations"
	if ph.Rows[0].Kind == Kernel {
		what = "kernels"
	}
	steps := plural(ph.Steps, "step")
	fmt.Fprintf(t, "%s: %s of %s\n", ph.Name, steps, plural(ph.TokensPerStep, "token"))
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("step, profiled", "%s (median)", duration(ph.StepMedianNS))
	if ph.UnprofiledNS != nil && ph.ProfilingRatio != nil {
		line("step, unprofiled", "%s (median): profiling takes %.2f times as long; a step's %s take %.2f of it", duration(*ph.UnprofiledNS), *ph.ProfilingRatio, what, *ph.WorkRatio)
	}
	count := fmt.Sprint(ph.PerStepMin)
	if ph.PerStepMin != ph.PerStepMax {
		count = fmt.Sprintf("%d to %d", ph.PerStepMin, ph.PerStepMax)
	}
	line(what+" per step", "%s", count)
	line("busy", "%s (%.1f %%)", duration(ph.BusyNS), 100*ph.BusyShare)
	line("idle", "%s in %s", duration(ph.IdleNS), plural(ph.Gaps.Count, "gap"))
	for i, b := range ph.Gaps.Bins {
		if b.Count == 0 {
			continue
		}
		length := "from " + duration(b.FromNS)
		if i == 0 {
			length = "below " + duration(ph.Gaps.Bins[1].FromNS)
		}
		line("  "+length, "%s in %s", duration(b.TotalNS), plural(b.Count, "gap"))
	}
	if len(ph.Gaps.Longest) > 0 {
		g := ph.Gaps.Longest[0]
		line("  longest", "%s in %s, %s", duration(g.NS), stepName(g.Step), g.place())
	}
	for _, c := range ph.Copies {
		name := strings.TrimSpace(map[string]string{Memcpy: "copies", Memset: "memory sets"}[c.Kind] + " " + c.Name)
		line(name, "%s: %d bytes, %s", plural(c.Count, "time"), c.Bytes, duration(c.TotalNS))
	}
	fmt.Fprintf(t, "\n  %s\tper step\ttotal ms\tmean µs\tshare\t\n", strings.TrimSuffix(what, "s"))
	left := Row{}
	shown := len(ph.Rows)
	if rows > 0 {
		shown = min(rows, shown)
	}
	for i, r := range ph.Rows {
		if i >= shown {
			left.PerStep += r.PerStep
			left.Count += r.Count
			left.TotalNS += r.TotalNS
			left.Share += r.Share
			continue
		}
		fmt.Fprintf(t, "  %s\t%.4g\t%.3f\t%.2f\t%.1f %%\t\n", shorten(strings.TrimSpace(r.Name+" "+r.Class), 96), r.PerStep, float64(r.TotalNS)/1e6, r.MeanNS/1e3, 100*r.Share)
	}
	if left.Count > 0 {
		fmt.Fprintf(t, "  %d others\t%.4g\t%.3f\t%.2f\t%.1f %%\t\n", len(ph.Rows)-shown, left.PerStep, float64(left.TotalNS)/1e6, float64(left.TotalNS)/float64(left.Count)/1e3, 100*left.Share)
	}
}

// place says where a gap lies.
func (g *Gap) place() string {
	switch {
	case g.After == "":
		return "before the first, " + shorten(g.Before, 60)
	case g.Before == "":
		return "after the last, " + shorten(g.After, 60)
	}
	return fmt.Sprintf("between %s and %s", shorten(g.After, 60), shorten(g.Before, 60))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// shorten leaves out a long name's middle: kernels' names differ at both ends.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	head := (most - 1) * 2 / 3
	return string(r[:head]) + "…" + string(r[len(r)-(most-1-head):])
}

func duration(ns int64) string {
	switch {
	case ns < 1_000:
		return fmt.Sprintf("%d ns", ns)
	case ns < 1_000_000:
		return fmt.Sprintf("%.4g µs", float64(ns)/1e3)
	case ns < 1_000_000_000:
		return fmt.Sprintf("%.4g ms", float64(ns)/1e6)
	}
	return fmt.Sprintf("%.4g s", float64(ns)/1e9)
}
