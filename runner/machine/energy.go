package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// PowercapRoot is where Linux shows the processors' energy counters.
const PowercapRoot = "/sys/class/powercap"

// EnergyTick is about how often a processor's energy counter moves (Intel's manual, volume 3, "RAPL": about 1 ms).
const EnergyTick = time.Millisecond

// A package as a whole; its parts, the platform, and a second way to the same counter (intel-rapl-mmio) are not taken.
// AMD's processors are shown under the same name.
var packageZone = regexp.MustCompile(`^intel-rapl:[0-9]+$`)

// Energy is the energy counters of the machine's processor packages, all that they do and their idling included. The
// counters themselves are files, so that they can be read without Go.
type Energy struct {
	Files []*os.File // each holds microjoules since some moment
	wraps []int64    // where each begins anew, microjoules
}

// OpenEnergy opens the counters below root (PowercapRoot). The error says why there are none to be read.
func OpenEnergy(root string) (_ *Energy, err error) {
	e := &Energy{}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	zones, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, zone := range zones {
		dir := filepath.Join(root, zone.Name())
		if !packageZone.MatchString(zone.Name()) || !strings.HasPrefix(ReadText(filepath.Join(dir, "name")), "package-") {
			continue
		}
		f, err := os.Open(filepath.Join(dir, "energy_uj"))
		if err != nil {
			return nil, fmt.Errorf("the processors' energy counter: %w (Linux shows it to root alone)", err)
		}
		e.Files = append(e.Files, f)
		wrap, err := strconv.ParseInt(ReadText(filepath.Join(dir, "max_energy_range_uj")), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the processors' energy counter: %s: max_energy_range_uj: %w", dir, err)
		}
		e.wraps = append(e.wraps, wrap)
	}
	if len(e.Files) == 0 {
		return nil, errors.New("this system shows no energy counter of its processors")
	}
	return e, nil
}

// Joules is the energy between two readings of all counters, in microjoules; nil where one of them failed (is below 0).
// A counter that begins anew more than once in between is not noticed: at 200 W that takes 20 minutes.
func (e *Energy) Joules(from, to []int64) *float64 {
	var uj int64
	for i, wrap := range e.wraps {
		if from[i] < 0 || to[i] < 0 {
			return nil
		}
		if used := to[i] - from[i]; used < 0 {
			uj += used + wrap
		} else {
			uj += used
		}
	}
	return new(float64(uj) / 1e6)
}

// Close closes the counters.
func (e *Energy) Close() error {
	var errs []error
	for _, f := range e.Files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
