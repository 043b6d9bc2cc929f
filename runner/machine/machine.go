// Package machine is what the system tells of the computer that a run measures on: its processors and memory, what control
// groups leave of them, and what else they do meanwhile. It knows nothing of runs.
package machine

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Machine is what a run needs to know, and a report to tell, about the computer.
// Empty strings and zeros are "not known".
type Machine struct {
	OS              string            `json:"os"`
	Kernel          string            `json:"kernel"`
	Arch            string            `json:"arch"`
	CPU             string            `json:"cpu"`
	LogicalCores    int               `json:"logical_cores"`  // that this process may use
	PhysicalCores   int               `json:"physical_cores"` // among those, no more than the CPU quota
	CPUQuota        *float64          `json:"cpu_quota"`      // CPUs of time that the control groups grant; null: no limit
	NUMANodes       int               `json:"numa_nodes"`
	L3CacheBytes    int64             `json:"l3_cache_bytes"`
	Governor        string            `json:"cpu_governor"`
	Turbo           string            `json:"cpu_turbo"` // on, off
	Hypervisor      bool              `json:"hypervisor"`
	MemoryBytes     int64             `json:"memory_bytes"`
	AvailableBytes  int64             `json:"memory_available_bytes"` // what a new process can take, control group included
	HugePages       string            `json:"transparent_hugepages"`
	LoadAverage1Min float64           `json:"load_average_1m"`
	OpenMPVariables map[string]string `json:"openmp_variables"` // OMP_* and GOMP_* of the environment
	GoVersion       string            `json:"go_version"`
}

// This asks the system.
func This() Machine {
	m := Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, GoVersion: runtime.Version(),
		OpenMPVariables: map[string]string{},
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		m.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	cpuinfo := ReadText("/proc/cpuinfo")
	m.CPU = lineValue(cpuinfo, "model name")
	m.Hypervisor = strings.Contains(lineValue(cpuinfo, "flags"), "hypervisor")
	m.LogicalCores, m.PhysicalCores = Cores()
	if quota := CPUQuota(); !math.IsInf(quota, 1) {
		m.CPUQuota = &quota
	}
	nodes, _ := filepath.Glob("/sys/devices/system/node/node[0-9]*") // the pattern is well-formed
	m.NUMANodes = len(nodes)
	m.L3CacheBytes = parseSize(ReadText("/sys/devices/system/cpu/cpu0/cache/index3/size"))
	m.Governor = ReadText("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	switch ReadText("/sys/devices/system/cpu/intel_pstate/no_turbo") + ReadText("/sys/devices/system/cpu/cpufreq/boost") {
	case "0", "01":
		m.Turbo = "on"
	case "1", "10":
		m.Turbo = "off"
	}
	m.HugePages = chosen(ReadText("/sys/kernel/mm/transparent_hugepage/enabled"))
	m.MemoryBytes = meminfo("MemTotal")
	m.AvailableBytes = AvailableMemory()
	m.LoadAverage1Min = LoadAverage()
	for _, kv := range os.Environ() {
		if k, v, _ := strings.Cut(kv, "="); strings.HasPrefix(k, "OMP_") || strings.HasPrefix(k, "GOMP_") {
			m.OpenMPVariables[k] = v
		}
	}
	return m
}

// Cores counts the logical processors that this process may run on and the
// physical cores that they belong to, no more than its control groups grant
// time for: threads beyond that would be throttled in the middle of a token.
func Cores() (logical, physical int) {
	defer func() {
		if quota := CPUQuota(); quota < float64(physical) {
			physical = max(int(quota), 1)
		}
	}()
	cpus := AllowedCPUs()
	if cpus == nil {
		return runtime.NumCPU(), runtime.NumCPU()
	}
	return len(cpus), max(len(OnePerCore(cpus)), 1)
}

// AvailableMemory is how many bytes a new process can take without swapping or
// being killed: the kernel's estimate, cut to what the control groups leave.
// 0 means unknown.
func AvailableMemory() int64 {
	available := meminfo("MemAvailable")
	left := groupMemoryLeft(CgroupRoot, ReadText("/proc/self/cgroup"))
	if left == math.MaxInt64 || available > 0 && available < left {
		return available
	}
	return max(left, 1) // 0 would mean unknown
}

func meminfo(key string) int64 {
	fields := strings.Fields(lineValue(ReadText("/proc/meminfo"), key))
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return 0
	}
	return kib * 1024
}

// LoadAverage is the system's load over the last minute; 0 where it is unknown.
func LoadAverage() float64 {
	first, _, _ := strings.Cut(ReadText("/proc/loadavg"), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return load
}

// ReadText reads a small file; "" where there is none.
func ReadText(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// lineValue finds "key : value" in a text.
func lineValue(text, key string) string {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// parseSize reads "48M", "2048K" or plain bytes; 0 for anything else.
func parseSize(s string) int64 {
	unit := int64(1)
	switch {
	case strings.HasSuffix(s, "K"):
		unit = 1 << 10
	case strings.HasSuffix(s, "M"):
		unit = 1 << 20
	case strings.HasSuffix(s, "G"):
		unit = 1 << 30
	}
	n, err := strconv.ParseInt(strings.TrimRight(s, "KMG"), 10, 64)
	if err != nil {
		return 0
	}
	return n * unit
}

// chosen picks the bracketed word of "always [madvise] never".
func chosen(s string) string {
	_, s, ok := strings.Cut(s, "[")
	if !ok {
		return ""
	}
	s, _, _ = strings.Cut(s, "]")
	return s
}
