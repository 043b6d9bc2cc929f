// Package memlimit holds a process to less memory than the machine has, so that it shows what too little memory costs: in a
// control group of its own, where the kernel drops pages of mapped files and reads them from the disk again.
package memlimit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"llmscale/internal/durable"
	"llmscale/runner/machine"
)

// Group is a control group with a limit. Its folder is locked for as long as the program that made it lives: by that
// others tell it from one that was left behind.
type Group struct {
	dir  string
	lock *os.File
	version
}

// version has the names of a memory controller's files. Without swap of its own a group can only drop pages of files.
type version struct {
	limit, swap, peak string
	killed            string // has the line "oom_kill N"
	anon              string // key in memory.stat
}

var (
	first = version{limit: "memory.limit_in_bytes", swap: "memory.memsw.limit_in_bytes", peak: "memory.max_usage_in_bytes",
		killed: "memory.oom_control", anon: "rss"}
	second = version{limit: "memory.max", swap: "memory.swap.max", peak: "memory.peak",
		killed: "memory.events", anon: "anon"}
)

const prefix = "llmscale-" // of the groups' names

// tree is where control groups lie. Tests have others.
type tree struct {
	root, membership string
	mkdir            func(dir, pattern string) (string, error)
}

func system() tree {
	return tree{machine.CgroupRoot, machine.ReadText("/proc/self/cgroup"), os.MkdirTemp}
}

// New makes a group with a limit in bytes, below this process's own or the nearest ancestor where it is allowed to. The
// error says of each why it is not, and what would allow it. Groups that dead programs left behind are removed.
func New(limit int64) (*Group, error) { return system().group(limit) }

func (t tree) group(limit int64) (*Group, error) {
	t.removeStale()
	var why []string
	refuse := func(err error) {
		if text := err.Error(); !slices.Contains(why, text) {
			why = append(why, text)
		}
	}
	for _, dir := range machine.GroupDirs(t.root, t.membership, "memory") {
		v := first
		if !exists(dir, first.limit) {
			v = second
			has, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
			if err == nil && !slices.Contains(strings.Fields(string(has)), "memory") {
				err = fmt.Errorf("%s has no memory", filepath.Join(dir, "cgroup.controllers"))
			}
			if err == nil {
				err = hand(dir)
			}
			if err != nil {
				refuse(err)
				continue
			}
		}
		g, err := t.make(dir, v, limit)
		if err == nil {
			return g, nil
		}
		refuse(err)
	}
	if len(why) == 0 {
		why = append(why, "/proc/self/cgroup names no control group")
	}
	return nil, fmt.Errorf("no control group with a memory limit can be made here (%s): run as root, on systemd through `systemd-run --user --scope llmscale ...`, "+
		"in a container with a writable %s", strings.Join(why, "; "), t.root)
}

func exists(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

func write(dir, name, value string) error {
	return os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600)
}

// hand makes a group of version 2 hand the memory controller to the groups in it. One that has processes itself cannot.
func hand(dir string) error {
	const name = "cgroup.subtree_control"
	if slices.Contains(strings.Fields(machine.ReadText(filepath.Join(dir, name))), "memory") {
		return nil
	}
	err := write(dir, name, "+memory")
	if errors.Is(err, syscall.EBUSY) {
		return fmt.Errorf("%w: it has processes of its own", err)
	}
	return err
}

func (t tree) make(parent string, v version, limit int64) (_ *Group, err error) {
	g := &Group{version: v}
	if g.dir, err = t.mkdir(parent, prefix+"*"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.Close())
		}
	}()
	if g.lock, err = os.Open(g.dir); err != nil {
		return nil, err
	}
	if err := durable.System.Lock(g.lock); err != nil {
		return nil, fmt.Errorf("%s: %w", g.dir, err)
	}
	if err := write(g.dir, v.limit, strconv.FormatInt(limit, 10)); err != nil {
		return nil, err
	}
	if !exists(parent, v.swap) && !exists(g.dir, v.swap) {
		return g, nil // nothing is swapped on this machine, or the kernel does not count it
	}
	swap := "0"
	if v == first {
		swap = strconv.FormatInt(limit, 10) // memory and swap together
	}
	return g, write(g.dir, v.swap, swap)
}

// removeStale removes the groups of programs that ended without doing so, wherever they lie. One whose program lives, or that
// a process is in, stays.
func (t tree) removeStale() {
	// A group that vanishes meanwhile was another's.
	_ = filepath.WalkDir(t.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || !strings.HasPrefix(d.Name(), prefix) {
			return nil
		}
		if f, err := os.Open(path); err == nil {
			if durable.System.Lock(f) == nil {
				_ = syscall.Rmdir(path) // it stays for the next start where that fails
			}
			f.Close()
		}
		return fs.SkipDir
	})
}

// Enter is a command that starts a program inside the group: all memory that it takes counts.
func (g *Group) Enter(path string, args ...string) (string, []string) {
	if own, ok := strings.CutPrefix(path, "/proc/self/"); ok { // of this process, not of the shell
		path = fmt.Sprintf("/proc/%d/%s", os.Getpid(), own)
	}
	return "/bin/sh", append([]string{"-c", `echo $$ > "$0" && exec "$@"`, filepath.Join(g.dir, "cgroup.procs"), path}, args...)
}

// Usage is what a group has taken; nil: the system does not tell.
type Usage struct {
	PeakBytes *int64 // most at any time, pages of files included
	AnonBytes *int64 // now, without pages of files: what cannot be dropped and read again
}

// Usage looks.
func (g *Group) Usage() Usage {
	return Usage{PeakBytes: g.number(g.peak, ""), AnonBytes: g.number("memory.stat", g.anon)}
}

// OOMKills is how many processes of the group the kernel has killed for memory.
func (g *Group) OOMKills() int64 {
	if n := g.number(g.killed, "oom_kill"); n != nil {
		return *n
	}
	return 0
}

// number reads the number behind a key, or the one that a file consists of.
func (g *Group) number(name, key string) *int64 {
	for line := range strings.Lines(machine.ReadText(filepath.Join(g.dir, name))) {
		line = strings.TrimSpace(line)
		if key != "" {
			rest, ok := strings.CutPrefix(line, key+" ")
			if !ok {
				continue
			}
			line = rest
		}
		if n, err := strconv.ParseInt(line, 10, 64); err == nil {
			return &n
		}
	}
	return nil
}

// emptied is how long a group may take to be empty after its last process has ended.
const emptied = 2 * time.Second

// Close removes the group, of which all processes have ended. It may be called twice.
func (g *Group) Close() error {
	var err error
	for until := time.Now().Add(emptied); ; time.Sleep(10 * time.Millisecond) {
		if err = syscall.Rmdir(g.dir); !errors.Is(err, syscall.EBUSY) || time.Now().After(until) {
			break
		}
	}
	if errors.Is(err, syscall.ENOENT) {
		err = nil
	}
	if err != nil {
		err = &fs.PathError{Op: "rmdir", Path: g.dir, Err: err}
	}
	if g.lock != nil {
		g.lock.Close()
	}
	return err
}

// Check tells whether a process can be held to a memory limit here: it holds one that does nothing.
func Check() error { return system().check() }

func (t tree) check() error {
	g, err := t.group(64 << 20)
	if err != nil {
		return err
	}
	name, args := g.Enter("/bin/true")
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("no process can be put into the control group %s (%w: %s): run as root, or on systemd through `systemd-run --user --scope llmscale ...`",
			g.dir, err, strings.TrimSpace(string(out))), g.Close())
	}
	return g.Close()
}
