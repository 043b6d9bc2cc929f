package merge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"llmscale/runner/plan"
	"llmscale/runner/record"
	"llmscale/runner/store"
)

// TestScale merges LLMSCALE_SCALE shards of 999 records, which repeat those of one shard: 1,000 of them in less than 60 s (of a machine
// that does nothing else) and 1 GiB.
func TestScale(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("LLMSCALE_SCALE"))
	if err != nil {
		t.Skip("set LLMSCALE_SCALE to the number of shards")
	}
	root := t.TempDir()
	from := measure(t, root, "one", sweep, plan.Shard{Index: 1, Of: 4, Split: plan.SplitBlocks})
	manifest, err := os.ReadFile(filepath.Join(from, store.ManifestFile))
	if err != nil {
		t.Fatal(err)
	}
	all := records(t, from)
	var dirs []string
	size := 0
	for i := 1; i <= n; i++ {
		dir := filepath.Join(root, fmt.Sprint("shard-", i))
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
		var m map[string]any
		if err := json.Unmarshal(manifest, &m); err != nil {
			t.Fatal(err)
		}
		shard := m["shard"].(map[string]any)
		shard["shard"], shard["of"], shard["whole_replicates"] = i, n, n
		shard["parts"].([]any)[0].(map[string]any)["replicate"] = i - 1
		m["repetitions"] = 333 / 8
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var lines bytes.Buffer
		for k := range 333 {
			for mode := range record.Modes {
				r := all[k%(len(all)/3)*3+mode]
				r.Replicate, r.OrderIdx = i-1, k
				line, err := json.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				lines.Write(line)
				lines.WriteByte('\n')
			}
		}
		size += lines.Len()
		for name, data := range map[string][]byte{store.ManifestFile: data, store.RunsFile: lines.Bytes(), store.ConfigFile: []byte(sweep)} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	before, started := used(t), time.Now()
	result, err := Merge(dirs, filepath.Join(root, "merged"))
	if err != nil {
		t.Fatal(err)
	}
	took, usage := time.Since(started), used(t)
	cpuS := float64(usage.Utime.Nano()+usage.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano()) / 1e9
	t.Logf("%d records of %d shards, %d MB: %.1f s, %.1f CPU s, at most %d MiB", result.Records, n, size/1e6, took.Seconds(), cpuS, usage.Maxrss>>10)
	if result.Records != n*999 || n <= 1000 && (took > time.Minute || usage.Maxrss > 1<<20) {
		t.Errorf("%d records, %v, %d KiB", result.Records, took, usage.Maxrss)
	}
}

// used is what this process has used.
func used(t *testing.T) (u unix.Rusage) {
	t.Helper()
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u
}
