package machine

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"llmscale/internal/cpulist"
)

// Node is the name of this machine: as Slurm calls it, else as it calls itself.
func Node() string {
	if name := os.Getenv("SLURMD_NODENAME"); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

// Processors counts the machine's logical processors, whatever this process may use of them.
func Processors() int {
	if cpus, err := cpulist.Parse(ReadText("/sys/devices/system/cpu/online")); err == nil {
		return len(cpus)
	}
	logical, _ := Cores()
	return logical
}

// NominalMemoryGiB is a machine's memory as it was sold, by what the kernel says of it: the kernel keeps a few percent for
// itself, more or less by version. It is rounded up to an eighth of the largest power of two below.
func NominalMemoryGiB(total int64) float64 {
	if total <= 0 {
		return 0
	}
	gib := float64(total) / (1 << 30)
	step := math.Pow(2, math.Floor(math.Log2(gib))-3)
	return math.Ceil(gib/step) * step
}

var driverVersion = regexp.MustCompile(`\b\d+\.\d+(\.\d+)*\b`)

// GPUs are the names of the cards that NVIDIA's driver knows, and its version; none where there is no driver.
func GPUs() (names []string, driver string) { return gpusOf("/proc/driver/nvidia") }

func gpusOf(root string) (names []string, driver string) {
	cards, _ := filepath.Glob(filepath.Join(root, "gpus", "*", "information")) // the pattern is well-formed
	for _, file := range cards {
		names = append(names, lineValue(ReadText(file), "Model"))
	}
	slices.Sort(names)
	return names, driverVersion.FindString(lineValue(ReadText(filepath.Join(root, "version")), "NVRM version"))
}
