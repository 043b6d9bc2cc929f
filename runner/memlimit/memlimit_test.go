package memlimit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also the process that is held to a limit, and the program that is killed.
const part = "LLMSCALE_TEST_MEMLIMIT"

func TestMain(m *testing.M) {
	switch what, arg, _ := strings.Cut(os.Getenv(part), " "); what {
	case "take":
		n, _ := strconv.Atoi(arg)
		b := make([]byte, n)
		touch(b)
		return
	case "read":
		n, err := readTwice(arg)
		fmt.Println(n, err)
		return
	case "hold":
		_, err := New(64 << 20)
		fmt.Println("made", err)
		time.Sleep(time.Minute)
		return
	}
	os.Exit(m.Run())
}

func touch(b []byte) (sum int) {
	for i := 0; i < len(b); i += 4096 {
		sum += int(b[i])
		if os.Getenv(part)[0] == 't' {
			b[i] = 1
		}
	}
	return sum
}

// readTwice reads a mapped file twice, and returns how much of it came from the disk the second time, in bytes.
func readTwice(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	m, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, err
	}
	var before, after unix.Rusage
	sum := touch(m)
	unix.Getrusage(unix.RUSAGE_SELF, &before)
	sum += touch(m)
	unix.Getrusage(unix.RUSAGE_SELF, &after)
	if sum == 0 {
		return 0, errors.New("the file holds zeros alone")
	}
	return 512 * (after.Inblock - before.Inblock), nil
}

// fake makes a folder of control groups.
func fake(t *testing.T, membership string, files map[string]string) tree {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return tree{root, membership, os.MkdirTemp}
}

func TestGroups(t *testing.T) {
	for _, c := range []struct {
		name, membership string
		files            map[string]string
		in               string
		want             map[string]string // files of the group
		handed           string            // what the parent's subtree_control says
	}{
		{"version 1", "4:memory:/box\n0::/\n", map[string]string{"memory/box/memory.limit_in_bytes": "9", "memory/box/memory.memsw.limit_in_bytes": "9"},
			"memory/box", map[string]string{"memory.limit_in_bytes": "1000", "memory.memsw.limit_in_bytes": "1000"}, ""},
		{"version 1 without an account of swap", "4:memory:/\n", map[string]string{"memory/memory.limit_in_bytes": "9"},
			"memory", map[string]string{"memory.limit_in_bytes": "1000"}, ""},
		{"version 2", "0::/a/b\n", map[string]string{"a/b/cgroup.controllers": "cpu memory", "a/b/cgroup.subtree_control": "memory", "a/b/memory.swap.max": "max"},
			"a/b", map[string]string{"memory.max": "1000", "memory.swap.max": "0"}, "memory"},
		{"version 2, handed on", "0::/a\n", map[string]string{"a/cgroup.controllers": "memory", "a/cgroup.subtree_control": "cpu"},
			"a", map[string]string{"memory.max": "1000"}, "+memory"},
		{"version 2, an ancestor", "0::/a/b\n", map[string]string{"a/b/cgroup.controllers": "pids", "a/cgroup.controllers": "memory", "a/cgroup.subtree_control": "memory pids"},
			"a", map[string]string{"memory.max": "1000"}, "memory pids"},
		{"both versions, of which the first has memory", "4:memory:/\n0::/\n", map[string]string{"unified/cgroup.controllers": "", "memory/memory.limit_in_bytes": "9"},
			"memory", map[string]string{"memory.limit_in_bytes": "1000"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := fake(t, c.membership, c.files)
			g, err := tr.group(1000)
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Dir(g.dir) != filepath.Join(tr.root, c.in) {
				t.Errorf("made in %s", g.dir)
			}
			entries, err := os.ReadDir(g.dir)
			if err != nil || len(entries) != len(c.want) {
				t.Errorf("%v, %v", entries, err)
			}
			for name, want := range c.want {
				if got, _ := os.ReadFile(filepath.Join(g.dir, name)); string(got) != want {
					t.Errorf("%s has %q, want %q", name, got, want)
				}
				os.Remove(filepath.Join(g.dir, name)) // a true group's files go with it
			}
			if got, _ := os.ReadFile(filepath.Join(tr.root, c.in, "cgroup.subtree_control")); string(got) != c.handed {
				t.Errorf("the parent hands on %q", got)
			}
			if err := errors.Join(g.Close(), g.Close()); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat(g.dir); err == nil {
				t.Error("the group is still there")
			}
		})
	}
}

func TestRefused(t *testing.T) {
	denied := func(dir, pattern string) (string, error) {
		return "", &os.PathError{Op: "mkdir", Path: filepath.Join(dir, pattern), Err: syscall.EACCES}
	}
	for _, c := range []struct {
		name, membership string
		files            map[string]string
		mkdir            func(dir, pattern string) (string, error)
		want             string
	}{
		{"no groups", "", nil, denied, "/proc/self/cgroup names no control group"},
		{"no memory controller", "0::/\n", map[string]string{"cgroup.controllers": "cpu pids"}, denied, "cgroup.controllers has no memory"},
		{"no permission", "4:memory:/\n", map[string]string{"memory/memory.limit_in_bytes": "9"}, denied, "memory/llmscale-*: permission denied"},
		{"not handed on", "0::/\n", map[string]string{"cgroup.controllers": "memory", "cgroup.subtree_control/x": ""}, denied, "cgroup.subtree_control: is a directory"},
	} {
		tr := fake(t, c.membership, c.files)
		tr.mkdir = c.mkdir
		if err := tr.check(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "systemd-run --user --scope") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, v := range []version{first, second} {
		g := &Group{dir: t.TempDir(), version: v}
		if u := g.Usage(); u.PeakBytes != nil || u.AnonBytes != nil || g.OOMKills() != 0 {
			t.Errorf("of nothing %+v", u)
		}
		for name, text := range map[string]string{v.peak: "500\n", "memory.stat": "cache 1\n" + v.anon + "_huge 7\n" + v.anon + " 300\n", v.killed: "oom 5\noom_kill 2\n"} {
			if err := write(g.dir, name, text); err != nil {
				t.Fatal(err)
			}
		}
		if u := g.Usage(); *u.PeakBytes != 500 || *u.AnonBytes != 300 || g.OOMKills() != 2 {
			t.Errorf("%+v, %d killed", u, g.OOMKills())
		}
	}
}

// real skips where no process can be held to a limit.
func real(t *testing.T) {
	if err := Check(); err != nil {
		t.Skip(err)
	}
}

func known(n *int64) int64 {
	if n == nil {
		return -1
	}
	return *n
}

func run(t *testing.T, g *Group, what string) (string, error) {
	t.Helper()
	name, args := g.Enter("/proc/self/exe")
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), part+"="+what)
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// TestLimitHolds: what is a process's own is too much, what it maps from a file is read from the disk again.
func TestLimitHolds(t *testing.T) {
	real(t)
	const limit, size = 48 << 20, 96 << 20
	file := filepath.Join(".", "memlimit-test.bin") // a temporary folder may lie in memory
	if err := os.WriteFile(file, []byte(strings.Repeat("x", size)), 0o666); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	if speed, err := Drop([]string{file}); err != nil || speed <= 0 {
		t.Skip(err) // on a file system in memory
	}
	g, err := New(limit)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	out, err := run(t, g, "read "+file)
	var again int64
	if _, scan := fmt.Sscan(out, &again); err != nil || scan != nil || again < size-limit {
		t.Errorf("of a file of %d bytes in %d of memory %q bytes were read again, %v", size, limit, out, err)
	}
	if u := g.Usage(); u.PeakBytes == nil || *u.PeakBytes > limit+limit/100 || *u.PeakBytes < limit/2 || g.OOMKills() != 0 {
		t.Errorf("a peak of %v bytes, %d killed", known(u.PeakBytes), g.OOMKills())
	}
	var exit *exec.ExitError
	if _, err := run(t, g, fmt.Sprint("take ", size)); !errors.As(err, &exit) || g.OOMKills() != 1 {
		t.Errorf("%v, %d killed", err, g.OOMKills())
	}
	dir := g.dir
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the group is still there")
	}
}

// TestKilledProgramsGroup: what a program that was killed left behind, the next one removes; what a living one has stays.
func TestKilledProgramsGroup(t *testing.T) {
	real(t)
	groups := func() (dirs []string) {
		filepath.WalkDir(system().root, func(path string, d os.DirEntry, err error) error {
			if err == nil && strings.HasPrefix(d.Name(), prefix) {
				dirs = append(dirs, path)
			}
			return nil
		})
		return dirs
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), part+"=hold")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 100)
	n, err := stdout.Read(said)
	if !strings.HasPrefix(string(said[:n]), "made <nil>") {
		t.Fatalf("%q, %v", said[:n], err)
	}
	before := groups()
	if g, err := New(64 << 20); err != nil || g.Close() != nil {
		t.Fatal(err)
	}
	if now := groups(); len(now) < len(before) {
		t.Errorf("a living program's group is gone: %v, before %v", now, before)
	}
	cmd.Process.Kill()
	cmd.Wait()
	if g, err := New(64 << 20); err != nil || g.Close() != nil {
		t.Fatal(err)
	}
	if now := groups(); len(now) >= len(before) {
		t.Errorf("a dead program's group is still there: %v, before %v", now, before)
	}
}
