package machine

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

func TestControlGroups(t *testing.T) {
	for _, c := range []struct {
		name, membership string
		files            map[string]string
		left             int64
		cpus             float64
	}{
		{"nothing", "", nil, math.MaxInt64, math.Inf(1)},
		{"version 2 at the root, as in a container", "0::/\n", map[string]string{
			"memory.max": "1000", "memory.current": "600", "memory.stat": "anon 1\ninactive_file 100\n", "cpu.max": "150000 100000",
		}, 500, 1.5},
		{"version 2, the ancestor is tighter", "0::/user/job\n", map[string]string{
			"user/job/memory.max": "max", "user/memory.max": "900", "user/memory.current": "100",
			"user/job/cpu.max": "max 100000", "user/cpu.max": "200000 100000",
		}, 800, 2},
		{"version 1", "4:memory:/box\n1:cpu,cpuacct:/box\n0::/\n", map[string]string{
			"memory/box/memory.limit_in_bytes": "5000", "memory/box/memory.usage_in_bytes": "1000",
			"memory/memory.limit_in_bytes": "9223372036854771712",
			"cpu/box/cpu.cfs_quota_us":     "400000", "cpu/box/cpu.cfs_period_us": "100000", "cpu/cpu.cfs_quota_us": "-1",
		}, 4000, 4},
		{"the host's path in a container", "4:memory:/docker/abc\n1:cpu:/docker/abc\n", map[string]string{
			"memory/memory.limit_in_bytes": "5000", "memory/memory.usage_in_bytes": "6000",
			"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000",
		}, 0, 0.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range c.files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text+"\n"), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if got := groupMemoryLeft(root, c.membership); got != c.left {
				t.Errorf("memory left %d, want %d", got, c.left)
			}
			if got := GroupCPUQuota(root, c.membership); got != c.cpus {
				t.Errorf("CPU quota %v, want %v", got, c.cpus)
			}
		})
	}
}
