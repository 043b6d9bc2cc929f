package runner

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"llmscale/internal/text"
	"llmscale/runner/record"
)

// Names of a run folder's files.
const (
	RunsFile     = "runs.jsonl"
	MetricsFile  = "metrics.csv"
	ManifestFile = "manifest.json"
	lockFile     = "run.lock"
)

// Store is a run's folder while it is being written. Nothing in it is ever
// overwritten but by a whole new version of itself; runs.jsonl only grows, save
// for the torn end that a killed coordinator leaves, which is moved aside.
type Store struct {
	dir     string
	created bool // by CreateStore: the folder was not there
	runs    *os.File
	lock    *os.File
}

// CreateStore makes a new run folder. It refuses one that exists and is not
// empty.
func CreateStore(dir string) (*Store, error) {
	_, statErr := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("runner: the run's folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("runner: the run's folder: %w", err)
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("runner: the run's folder %s is not empty: choose a new one, or --resume %s", dir, dir)
	}
	s, err := openStore(dir)
	if s != nil {
		s.created = errors.Is(statErr, fs.ErrNotExist)
	}
	return s, err
}

// OpenStore opens an existing run folder to go on with it and returns the
// records that are in it. What a killed coordinator left unfinished at the end
// of runs.jsonl (a torn line, or a call without all of its modes) is moved to a
// file of its own beside it: it was never acknowledged, but nothing is lost.
func OpenStore(dir string) (*Store, []record.Record, error) {
	if _, err := os.Stat(filepath.Join(dir, ManifestFile)); err != nil {
		return nil, nil, fmt.Errorf("runner: %s is not a run folder: %w", dir, err)
	}
	s, err := openStore(dir)
	if err != nil {
		return nil, nil, err
	}
	records, err := s.recover()
	if err != nil {
		s.Close()
		return nil, nil, err
	}
	return s, records, nil
}

func openStore(dir string) (_ *Store, err error) {
	s := &Store{dir: dir}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	if s.lock, err = os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o666); err != nil {
		return nil, fmt.Errorf("runner: the run's folder: %w", err)
	}
	if err = syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("runner: %s is in use by another llmscale: wait for it or stop it", dir)
	}
	if s.runs, err = os.OpenFile(filepath.Join(dir, RunsFile), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o666); err != nil {
		return nil, fmt.Errorf("runner: %w", err)
	}
	// The new file's name itself must survive a power cut.
	if err = syncDir(dir); err != nil {
		return nil, err
	}
	return s, nil
}

// Close releases the folder.
func (s *Store) Close() error {
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

// Discard removes what CreateStore made, in a folder in which no run has begun.
func (s *Store) Discard() error {
	if _, err := os.Stat(filepath.Join(s.dir, ManifestFile)); err == nil {
		return fmt.Errorf("runner: %s holds a run", s.dir)
	}
	names := []string{filepath.Join(s.dir, RunsFile), filepath.Join(s.dir, lockFile)}
	if s.created {
		names = append(names, s.dir)
	}
	errs := []error{s.Close()}
	for _, name := range names {
		errs = append(errs, os.Remove(name))
	}
	return errors.Join(errs...)
}

// Append writes the records of one call as lines in one write and returns after
// they are on the disk. Only then is the call acknowledged to anyone.
func (s *Store) Append(records []record.Record) error {
	var b bytes.Buffer
	for i := range records {
		line, err := json.Marshal(&records[i])
		if err != nil {
			return fmt.Errorf("runner: a record cannot be written as JSON: %w", err)
		}
		b.Write(text.JSON(line))
		b.WriteByte('\n')
	}
	if _, err := s.runs.Write(b.Bytes()); err != nil {
		return fmt.Errorf("runner: writing %s: %w", RunsFile, err)
	}
	if err := s.runs.Sync(); err != nil {
		return fmt.Errorf("runner: writing %s to disk: %w", RunsFile, err)
	}
	return nil
}

// recover reads runs.jsonl and cuts off an unfinished end.
func (s *Store) recover() ([]record.Record, error) {
	data, err := io.ReadAll(s.runs)
	if err != nil {
		return nil, fmt.Errorf("runner: reading %s: %w", RunsFile, err)
	}
	var (
		records []record.Record
		whole   int // records in complete calls
		end     int // where they end in the file
		pos     int
		broken  error
	)
	for line := 1; pos < len(data); line++ {
		n := bytes.IndexByte(data[pos:], '\n')
		if n < 0 {
			break // torn
		}
		var r record.Record
		if broken = json.Unmarshal(data[pos:pos+n], &r); broken != nil {
			broken = fmt.Errorf("runner: %s:%d: %w", filepath.Join(s.dir, RunsFile), line, broken)
			break
		}
		records = append(records, r)
		pos += n + 1
		if len(records)-whole == len(record.Modes) {
			whole, end = len(records), pos
		}
	}
	if broken != nil && bytes.IndexByte(data[pos:], '\n') != len(data)-pos-1 {
		// A broken line in the middle is not what a crash leaves: someone should look.
		return nil, fmt.Errorf("%w; mend or remove that line by hand before resuming", broken)
	}
	if end < len(data) {
		name := filepath.Join(s.dir, fmt.Sprintf("%s.unfinished-%s", RunsFile, time.Now().UTC().Format("20060102T150405.000")))
		if err := writeFile(name, data[end:]); err != nil {
			return nil, err
		}
		if err := s.runs.Truncate(int64(end)); err != nil {
			return nil, fmt.Errorf("runner: %w", err)
		}
		if err := s.runs.Sync(); err != nil {
			return nil, fmt.Errorf("runner: %w", err)
		}
	}
	return records[:whole], nil
}

// WriteMetrics writes metrics.csv anew from all of runs.jsonl.
func (s *Store) WriteMetrics() error {
	in, err := os.Open(filepath.Join(s.dir, RunsFile))
	if err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	defer in.Close()
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	fields := record.Fields()
	row := make([]string, len(fields))
	for i, f := range fields {
		row[i] = f.Name
	}
	// bytes.Buffer never fails, so neither do these writes.
	_ = w.Write(row)
	dec := json.NewDecoder(bufio.NewReader(in))
	for {
		var r record.Record
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("runner: reading %s: %w", RunsFile, err)
		}
		for i, f := range fields {
			row[i] = f.Cell(&r)
		}
		_ = w.Write(row)
	}
	w.Flush()
	return writeFile(filepath.Join(s.dir, MetricsFile), out.Bytes())
}

// WriteCSV writes a small table of the run.
func (s *Store) WriteCSV(name string, rows [][]string) error {
	var out bytes.Buffer
	if err := csv.NewWriter(&out).WriteAll(rows); err != nil {
		return fmt.Errorf("runner: %s: %w", name, err)
	}
	return writeFile(filepath.Join(s.dir, name), out.Bytes())
}

// WriteManifest writes manifest.json anew, with sorted keys.
func (s *Store) WriteManifest(m map[string]any) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("runner: %s: %w", ManifestFile, err)
	}
	return writeFile(filepath.Join(s.dir, ManifestFile), append(text.JSON(data), '\n'))
}

// ReadManifest reads manifest.json of a run folder.
func ReadManifest(dir string) (map[string]any, error) {
	data, err := os.ReadFile(filepath.Join(dir, ManifestFile))
	if err != nil {
		return nil, fmt.Errorf("runner: %s is not a run folder: %w", dir, err)
	}
	var m map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber() // a 64-bit seed must survive
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("runner: %s: %w", filepath.Join(dir, ManifestFile), err)
	}
	return m, nil
}

// writeFile replaces a file as a whole: readers and crashes see the old or the
// new one.
func writeFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	defer os.Remove(f.Name()) // fails once it has been renamed
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("runner: writing %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("runner: %w", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("runner: %s: %w", dir, err)
	}
	return nil
}
