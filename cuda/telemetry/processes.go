package telemetry

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// ProcessLister tells who has a context on the card.
type ProcessLister interface {
	// ComputeProcesses, GraphicsProcesses and MPSProcesses list what NVML does: PIDs and memory.
	ComputeProcesses() ([]Process, error)
	GraphicsProcesses() ([]Process, error)
	MPSProcesses() ([]Process, error)
	// ProcessName looks a PID up.
	ProcessName(pid int) (string, error)
}

// Process is one that has a context on the card.
type Process struct {
	// PID as NVML tells it. Seen from a container it may be the host's number for the process, or that of
	// the container's own namespace: that depends on the driver (docs/telemetry.md).
	PID int `json:"pid"`
	// Kinds is one or more of compute, graphics and mps.
	Kinds []string `json:"kinds"`
	// Name is the program as NVML tells it; "" where it cannot. NVML finds it by the PID in /proc, so a
	// host's PID seen from a container has no name there, or that of another process.
	Name string `json:"name"`
	// UsedBytes is device memory; null where the driver does not attribute it (MIG, WSL, no permission).
	UsedBytes *uint64 `json:"used_gpu_memory_bytes"`
}

// String is for a verdict's reason: "Xorg (PID 1234, graphics, 12 MiB)".
func (p Process) String() string {
	name, used := p.Name, "memory not known"
	if name == "" {
		name = "a process without a name here"
	}
	if p.UsedBytes != nil {
		used = fmt.Sprintf("%.0f MiB", float64(*p.UsedBytes)/mib)
	}
	return fmt.Sprintf("%s (PID %d, %s, %s)", name, p.PID, strings.Join(p.Kinds, "+"), used)
}

// Listing is everybody on the card, as far as NVML tells.
type Listing struct {
	Processes []Process `json:"processes"` // by PID
	// Unknown says for each kind that could not be listed why: not knowing is not the same as nobody.
	Unknown map[string]string `json:"unknown"`
}

// Complete says whether all compute and graphics processes that NVML shows are in the listing.
func (l Listing) Complete() bool { return len(l.Unknown) == 0 }

// Processes lists who has a context on the card. A kind that the card does not list (NOT_SUPPORTED, no
// permission) is in Unknown; the error is for a GPU that is lost. Not having MPS is no gap: drivers
// without it refuse the question.
func Processes(d ProcessLister) (Listing, error) {
	l := Listing{Processes: []Process{}, Unknown: map[string]string{}}
	byPID := map[int]*Process{}
	for _, kind := range []struct {
		name     string
		list     func() ([]Process, error)
		optional bool
	}{{"compute", d.ComputeProcesses, false}, {"graphics", d.GraphicsProcesses, false}, {"mps", d.MPSProcesses, true}} {
		ps, err := kind.list()
		if err != nil {
			if fatal(err) {
				return l, fmt.Errorf("telemetry: listing %s processes: %w", kind.name, err)
			}
			if !kind.optional || !permanent(err) || errors.Is(err, CodeNoPermission) {
				l.Unknown[kind.name] = err.Error()
			}
			continue
		}
		for _, p := range ps {
			// PID 0 stands for processes that the driver does not name; each is one of its own.
			if have := byPID[p.PID]; have != nil && p.PID != 0 {
				have.Kinds = append(have.Kinds, kind.name)
				if have.UsedBytes == nil {
					have.UsedBytes = p.UsedBytes
				}
				continue
			}
			p.Kinds = []string{kind.name}
			byPID[p.PID] = &p
			if p.PID == 0 {
				l.Processes = append(l.Processes, p)
			}
		}
	}
	for pid, p := range byPID {
		if pid == 0 {
			continue
		}
		if name, err := d.ProcessName(pid); err == nil {
			p.Name = name
		}
		l.Processes = append(l.Processes, *p)
	}
	sort.SliceStable(l.Processes, func(i, j int) bool { return l.Processes[i].PID < l.Processes[j].PID })
	return l, nil
}

// Foreign returns those in now that are not this program's: self is os.Getpid(), before a listing from
// before this process had a context on the card, now one from after. What the two listings do not know,
// this does not either: see Listing.Complete and Unlisted.
//
// The rule, in its order:
//
//  1. A PID that was there before is foreign, whatever its number: this process had no
//     context then. (In a container that is shown the host's PIDs, a stranger may carry the number self.)
//  2. An MPS server is foreign: through it others can compute at the same time, and
//     where MPS runs this process may not be in the list at all.
//  3. PID 0, a process that the driver does not name, is foreign: its own
//     caller's PID a driver can always tell.
//  4. Of the rest, which are new: if one is self, it is ours and the others are foreign.
//  5. If none is self and there is exactly one, it is ours: NVML shows the host's PIDs.
//  6. If none is self and there are several, one of them is ours and the others are
//     not, but which cannot be told: all are returned. That somebody else is
//     there is certain; the list then also holds this process.
//
// A PID can be reused between the listings. A stranger who takes over a stranger's number stays foreign by
// rule 1. This process cannot take over one, as it already runs when before is taken; take it in the
// process that computes, not in its parent. Where this goes wrong it errs to the safe side, calling ours
// foreign, with one exception: a stranger who appears while this process has no context of its own is
// taken for it by rule 5. So take now while the context is open.
func Foreign(before, now []Process, self int) []Process {
	there := map[int]bool{}
	for _, p := range before {
		there[p.PID] = true
	}
	foreign, fresh, ours := []Process{}, []Process{}, false
	for _, p := range now {
		switch {
		case there[p.PID], p.PID == 0, isMPSServer(p):
			foreign = append(foreign, p)
		case p.PID == self:
			ours = true
		default:
			fresh = append(fresh, p)
		}
	}
	if ours || len(fresh) != 1 {
		foreign = append(foreign, fresh...)
	}
	sort.SliceStable(foreign, func(i, j int) bool { return foreign[i].PID < foreign[j].PID })
	return foreign
}

func isMPSServer(p Process) bool { return strings.Contains(p.Name, "nvidia-cuda-mps-server") }

// Unlisted returns the device memory in use that no listed process accounts for. Take it before this
// process has a context: what is then far above the few MiB that an idle card shows belongs to somebody
// whom NVML does not show. In a container that is so with drivers that translate PIDs: they leave out the
// processes of other namespaces [NVIDIA/open-gpu-kernel-modules, gpuGetProcWithObject_IMPL]. The second
// result is false where it cannot be told: a process without a memory figure, or a driver that counts its
// own reserve as used.
func Unlisted(m Memory, ps []Process) (bytes uint64, ok bool) {
	if !m.HasReserved {
		return 0, false
	}
	var listed uint64
	for _, p := range ps {
		if p.UsedBytes == nil {
			return 0, false
		}
		listed += *p.UsedBytes
	}
	if listed >= m.Used {
		return 0, true // shared allocations count for each process
	}
	return m.Used - listed, true
}
