package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"llmscale/internal/text"
	"llmscale/runner/ceilings"
	"llmscale/runner/config"
	"llmscale/runner/machine"
	"llmscale/runner/protocol"
)

// probes are what earlier sessions have measured.
type probes []ceilings.Device

// earlierProbes reads those in the run's folder. What cannot be read is measured again.
func (r *Run) earlierProbes() probes {
	f, err := ceilings.Load(filepath.Join(r.Store.Dir, ceilings.FileName))
	if err != nil {
		return nil
	}
	return f.Devices
}

// holds looks for a measurement of the device that was made with the same facts and that nothing disturbed, and says
// when. at is zero where there is none; why then says what is wrong with the last, "" where there is none at all. Of a
// GPU the facts are not known before it is measured.
func (p probes) holds(s protocol.ProbeSpec, facts map[string]string) (at time.Time, why string) {
	if s.Device != config.DeviceCPU {
		return at, ""
	}
	for i := range p {
		d := &p[i]
		switch {
		case d.Kind != s.Device || d.Threads != s.Threads:
			continue
		case len(d.Facts) == 0:
			why = "nothing says on what machine and with what program the earlier ones were measured"
		case !maps.Equal(d.Facts, facts):
			why = differing(d.Facts, facts)
		case len(d.Disturbed) > 0:
			why = "the earlier ones were measured while " + strings.Join(d.Disturbed, " and ")
		default:
			return d.MeasuredAt, ""
		}
	}
	return at, why
}

// differing says in which facts two measurements differ.
func differing(was, is map[string]string) string {
	names := slices.Collect(maps.Keys(was))
	names = slices.AppendSeq(names, maps.Keys(is))
	slices.Sort(names)
	var out []string
	for _, name := range slices.Compact(names) {
		if was[name] != is[name] {
			out = append(out, fmt.Sprintf("%s was %q and is %q", name, was[name], is[name]))
		}
	}
	return strings.Join(out, ", ")
}

// fleeting are facts of a machine that no two sessions share, and bootID is one that tells apart two machines of a kind.
var fleeting = []string{"memory_available_bytes", "load_average_1m"}

const bootID = "/proc/sys/kernel/random/boot_id"

// probeFacts are what the ceilings of this session's CPU depend on.
func (r *Run) probeFacts() map[string]string {
	out := map[string]string{"boot_id": machine.ReadText(bootID)}
	data, err := json.Marshal(machine.This())
	var machine map[string]json.RawMessage
	if err == nil {
		err = json.Unmarshal(data, &machine)
	}
	if err != nil { // strings, numbers and a map of strings
		panic("runner: " + err.Error())
	}
	for name, v := range machine {
		if !slices.Contains(fleeting, name) {
			out[name] = strings.Trim(string(v), `"`)
		}
	}
	if build, err := text.PlainJSON(r.Manifest.Build); err == nil {
		sum := sha256.Sum256(build)
		out["llmscale"] = hex.EncodeToString(sum[:6])
	}
	return out
}
