package machine

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
)

// GroupDirs lists the folders of this process's control group and its ancestors
// for a controller, innermost first. membership is the text of /proc/self/cgroup.
func GroupDirs(root, membership, controller string) []string {
	var out []string
	for line := range strings.Lines(membership) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		base := ""
		switch {
		case parts[1] == "": // version 2
			base = root
			if ReadText(filepath.Join(root, "unified", "cgroup.controllers")) != "" {
				base = filepath.Join(root, "unified")
			}
		case containsWord(parts[1], controller):
			base = filepath.Join(root, controller)
		default:
			continue
		}
		for path := filepath.Clean(parts[2]); ; path = filepath.Dir(path) {
			out = append(out, filepath.Join(base, path))
			if path == "/" || path == "." {
				break
			}
		}
	}
	return out
}

func containsWord(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// CgroupRoot is where control groups lie.
const CgroupRoot = "/sys/fs/cgroup"

// groupMemoryLeft is how many bytes this process's control groups leave it;
// math.MaxInt64 where nothing limits it.
func groupMemoryLeft(root, membership string) int64 {
	left := int64(math.MaxInt64)
	for _, dir := range GroupDirs(root, membership, "memory") {
		for _, names := range [][2]string{{"memory.max", "memory.current"}, {"memory.limit_in_bytes", "memory.usage_in_bytes"}} {
			limit, err := strconv.ParseInt(ReadText(filepath.Join(dir, names[0])), 10, 64)
			if err != nil || limit > 1<<60 {
				continue // no such file, "max", or version 1's huge "unlimited"
			}
			used := parseSize(ReadText(filepath.Join(dir, names[1])))
			for line := range strings.Lines(ReadText(filepath.Join(dir, "memory.stat"))) {
				var cache int64
				if _, err := fmt.Sscanf(line, "inactive_file %d", &cache); err == nil {
					used -= cache // given back when asked for
				}
			}
			left = min(left, max(limit-used, 0))
		}
	}
	return left
}

// CPUQuota is how many CPUs' worth of time this process is granted; +Inf where nothing limits it.
func CPUQuota() float64 { return GroupCPUQuota(CgroupRoot, ReadText("/proc/self/cgroup")) }

// GroupCPUQuota is how many CPUs' worth of time this process's control groups
// grant it; +Inf where nothing limits it.
func GroupCPUQuota(root, membership string) float64 {
	quota := math.Inf(1)
	for _, dir := range GroupDirs(root, membership, "cpu") {
		q, p, ok := strings.Cut(ReadText(filepath.Join(dir, "cpu.max")), " ")
		if !ok {
			q, p = ReadText(filepath.Join(dir, "cpu.cfs_quota_us")), ReadText(filepath.Join(dir, "cpu.cfs_period_us"))
		}
		limit, err1 := strconv.ParseFloat(q, 64)
		period, err2 := strconv.ParseFloat(p, 64)
		if err1 == nil && err2 == nil && limit > 0 && period > 0 {
			quota = min(quota, limit/period)
		}
	}
	return quota
}

// groupThrottled is for how many seconds so far a CPU quota has stopped the processes of each of this process's control
// groups, by folder; none where the system does not tell.
func groupThrottled(root, membership string) map[string]float64 {
	out := map[string]float64{}
	for _, dir := range GroupDirs(root, membership, "cpu") {
		for line := range strings.Lines(ReadText(filepath.Join(dir, "cpu.stat"))) {
			for key, unit := range map[string]float64{"throttled_usec": 1e-6, "throttled_time": 1e-9} { // of version 2 and 1
				if rest, ok := strings.CutPrefix(line, key+" "); ok {
					if n, err := strconv.ParseFloat(strings.TrimSpace(rest), 64); err == nil {
						out[dir] = n * unit
					}
				}
			}
		}
	}
	return out
}

// throttledSince is for how many seconds quotas stopped this process between two looks: the most of any group, since what
// stops a group stops those in it.
func throttledSince(before, now map[string]float64) (seconds float64, known bool) {
	for group, s := range now {
		if was, ok := before[group]; ok {
			seconds, known = max(seconds, s-was), true
		}
	}
	return seconds, known
}

// OOMKills counts the processes that the kernel has killed for memory since it
// started, in whichever control group; -1 where it does not say.
func OOMKills() int64 {
	for line := range strings.Lines(ReadText("/proc/vmstat")) {
		var n int64
		if _, err := fmt.Sscanf(line, "oom_kill %d", &n); err == nil {
			return n
		}
	}
	return -1
}
