// Package store keeps a run's folder: who may write it, its records, its tables.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"llmscale/internal/durable"
	"llmscale/internal/paths"
	"llmscale/internal/sums"
	"llmscale/internal/text"
	"llmscale/runner/ceilings"
)

// Folder is a run's folder while it is being written. Nothing in it is ever
// overwritten but by a whole new version of itself; runs.jsonl only grows, save
// for the torn end that a killed coordinator leaves, which is moved aside.
type Folder struct {
	Dir     string
	created bool // by Create: the folder was not there
	runs    *os.File
	lock    *os.File
	disk    durable.Disk
	Lacks   []Lack // what the folder's file system does not offer
}

// Lack is something that the run goes without.
type Lack struct{ What, Advice string }

// ownFiles are those that a run writes into its folder. An attempt that ended before its first record leaves some of
// them, which the next one removes; ceilings.json holds measurements: it stays, and a run adds to it.
var ownFiles = []string{RunsFile, ManifestFile, ConfigFile, MetricsFile, LoadsFile, ParamsFile, ceilings.FileName, sums.FileName}

// Create makes the folder of a new run. It refuses one that holds anything but
// what an attempt left that ended before its first record; modelsDir, if it lies in
// the folder, may be there too.
func Create(dir, modelsDir string) (*Folder, error) {
	return CreateOn(dir, modelsDir, durable.System)
}

// CreateOn is Create on a file system that may offer less.
func CreateOn(dir, modelsDir string, disk durable.Disk) (_ *Folder, err error) {
	models, err := inFolder(dir, modelsDir)
	if err != nil {
		return nil, err
	}
	_, statErr := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("the run's folder: %w", err)
	}
	s := &Folder{Dir: dir, created: errors.Is(statErr, fs.ErrNotExist), disk: disk}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Discard())
		}
	}()
	// Before the lock, which makes a file, and once more with it: another process may have begun meanwhile.
	if _, err := leftover(dir, models); err != nil {
		return nil, err
	}
	if err := s.take(); err != nil {
		return nil, err
	}
	left, err := leftover(dir, models)
	if err != nil {
		return nil, err
	}
	for _, name := range left {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("what an earlier attempt left: %w", err)
		}
	}
	return s, s.open()
}

// NewDir is the folder of a new run, out or one in parent that is called by the time, and the name that the run takes from it.
func NewDir(out, parent string) (dir, id string, err error) {
	if out != "" {
		if dir, err = paths.Clean(out); err != nil {
			return "", "", err
		}
		abs, err := filepath.Abs(dir) // "." is a folder with a name too
		return dir, filepath.Base(abs), err
	}
	base := filepath.Join(parent, time.Now().Format("20060102_150405"))
	dir = base
	for n := 2; ; n++ { // two runs may start within a second
		if _, err := os.Stat(dir); err != nil {
			return dir, filepath.Base(dir), nil
		}
		dir = fmt.Sprintf("%s-%d", base, n)
	}
}

// inFolder returns the name in dir that leads to path, "" where path lies elsewhere
// or is "".
func inFolder(dir, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	rel, err := paths.Inside(dir, path)
	if err != nil {
		return "", err
	}
	if rel == "" {
		return "", nil
	}
	if rel == "." {
		return "", fmt.Errorf("%s cannot be both the run's folder and that of the models: choose two", dir)
	}
	first, _, _ := strings.Cut(rel, string(filepath.Separator))
	return first, nil
}

// leftover lists the files of an attempt that a new one must not find. The error
// says that the folder holds something else, or a record.
func leftover(dir, models string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("the run's folder: %w", err)
	}
	var left []string
	for _, e := range entries {
		name := e.Name()
		info, err := e.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
		case err != nil:
			return nil, fmt.Errorf("the run's folder: %w", err)
		case name == models, name == lockFile:
		case name == RunsFile && info.Size() > 0:
			return nil, fmt.Errorf("the run's folder %s is not empty, it holds a run: choose a new one, or go on with that one: --resume %s", dir, text.Arg(dir))
		case name == ceilings.FileName:
		case slices.Contains(ownFiles, name), slices.ContainsFunc(ownFiles, func(f string) bool { return durable.IsUnfinished(name, f) }):
			left = append(left, name)
		default:
			return nil, fmt.Errorf("the run's folder %s is not empty, it holds %q: choose a new one", dir, name)
		}
	}
	return left, nil
}

// Open opens an existing run folder to go on with it.
func Open(dir string) (*Folder, error) { return openOn(dir, durable.System) }

func openOn(dir string, disk durable.Disk) (*Folder, error) {
	for _, name := range []string{ManifestFile, RunsFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return nil, fmt.Errorf("%s is not a run folder: %w", dir, err)
		}
	}
	s := &Folder{Dir: dir, disk: disk}
	err := s.take()
	if err == nil {
		err = s.open()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// take locks the folder for this process.
func (s *Folder) take() error {
	path := filepath.Join(s.Dir, lockFile)
	for tries := 0; ; tries++ {
		lock, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o666)
		made := err == nil
		if errors.Is(err, fs.ErrExist) {
			lock, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
		}
		if err != nil {
			return fmt.Errorf("the run's folder: %w", err)
		}
		err = s.disk.Lock(lock)
		switch {
		case err == nil:
		case errors.Is(err, syscall.EWOULDBLOCK):
			lock.Close()
			return fmt.Errorf("%s is in use by another llmscale: wait for it or stop it", s.Dir)
		case durable.Unsupported(err):
			s.Lacks = append(s.Lacks, Lack{fmt.Sprintf("the run's folder cannot be locked: its file system does not offer it (%v)", err),
				"start no second llmscale on this folder while this one runs: nothing would keep them apart"})
		default:
			lock.Close()
			if made {
				os.Remove(path) // the first error is what counts
			}
			return fmt.Errorf("locking %s: %w", path, err)
		}
		// Whoever gives the folder up removes the file: what was locked may have lost its name by now. Not for ever:
		// there are file systems whose files have no lasting identity.
		mine, errA := lock.Stat()
		there, errB := os.Stat(path)
		if errA == nil && errB == nil && os.SameFile(mine, there) || tries == 10 {
			s.lock = lock
			return nil
		}
		lock.Close()
	}
}

// open opens runs.jsonl, whose name itself must survive a power cut.
func (s *Folder) open() error {
	var err error
	if s.runs, err = os.OpenFile(filepath.Join(s.Dir, RunsFile), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666); err != nil {
		return err
	}
	err = s.disk.Sync(s.runs)
	if err == nil {
		err = s.disk.SyncDir(s.Dir)
	}
	switch {
	case durable.Unsupported(err):
		s.Lacks = append(s.Lacks, Lack{fmt.Sprintf("the run's folder cannot be brought to the disk: its file system does not offer it (%v)", err),
			"after a power cut or a crash of the machine the last records may be missing; --resume makes those calls again"})
	case err != nil:
		return fmt.Errorf("the run's folder %s: %w", s.Dir, err)
	}
	return nil
}

// Close releases the folder.
func (s *Folder) Close() error {
	var errs []error
	if s.runs != nil {
		errs = append(errs, s.runs.Close())
		s.runs = nil
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close()) // which unlocks it
		s.lock = nil
	}
	return errors.Join(errs...)
}

// Discard closes the store and removes what Create made, in a folder in which no
// run has begun; one that has begun stays. A store that does not hold the folder
// leaves it to who does.
func (s *Folder) Discard() error {
	if _, err := os.Stat(filepath.Join(s.Dir, ManifestFile)); err == nil {
		return s.Close()
	}
	var errs []error
	if s.lock != nil {
		for _, name := range []string{RunsFile, ConfigFile, lockFile} {
			if err := os.Remove(filepath.Join(s.Dir, name)); !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	errs = append(errs, s.Close())
	if s.created { // once nothing in it is open: NFS keeps open files under another name
		_ = os.Remove(s.Dir) // stays where it holds models
	}
	return errors.Join(errs...)
}

// TR121's small tables, under its names.
const (
	LoadsFile  = "hf_load_ms.csv"
	ParamsFile = "resolved_model_params.csv"
)
