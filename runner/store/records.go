package store

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"llmscale/internal/durable"
	"llmscale/internal/sums"
	"llmscale/internal/text"
	"llmscale/runner/config"
	"llmscale/runner/record"
)

// Names of a run folder's files.
const (
	RunsFile     = "runs.jsonl"
	MetricsFile  = "metrics.csv"
	ManifestFile = "manifest.json"
	ConfigFile   = "config.yaml" // what a resumed run reads, not the original
	lockFile     = "run.lock"
)

// Append writes the records of one call as lines in one write and returns after
// they are on the disk. Only then is the call acknowledged to anyone.
func (s *Folder) Append(records []record.Record) error {
	var b bytes.Buffer
	for i := range records {
		line, err := json.Marshal(&records[i])
		if err != nil {
			return fmt.Errorf("a record cannot be written as JSON: %w", err)
		}
		b.Write(text.JSON(line))
		b.WriteByte('\n')
	}
	if _, err := s.runs.Write(b.Bytes()); err != nil {
		return fmt.Errorf("writing %s: %w", RunsFile, err)
	}
	if err := s.disk.Sync(s.runs); err != nil && !durable.Unsupported(err) {
		return fmt.Errorf("writing %s to disk: %w", RunsFile, err)
	}
	return nil
}

// Recover returns the records of an opened run. What a killed coordinator left
// unfinished at the end of runs.jsonl (a torn line, or a call without all of its
// modes) is moved to a file of its own beside it: it was never acknowledged, but
// nothing is lost.
func (s *Folder) Recover() ([]record.Record, error) {
	data, err := io.ReadAll(s.runs)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", RunsFile, err)
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
			broken = fmt.Errorf("%s:%d: %w", filepath.Join(s.Dir, RunsFile), line, broken)
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
		name := fmt.Sprintf("%s.unfinished-%s", RunsFile, time.Now().UTC().Format("20060102T150405.000"))
		if err := s.WriteFile(name, data[end:]); err != nil {
			return nil, err
		}
		if err := s.runs.Truncate(int64(end)); err != nil {
			return nil, err
		}
		if err := s.disk.Sync(s.runs); err != nil && !durable.Unsupported(err) {
			return nil, err
		}
	}
	return records[:whole], nil
}

// WriteMetrics writes metrics.csv anew from all of runs.jsonl.
func (s *Folder) WriteMetrics() error {
	in, err := os.Open(filepath.Join(s.Dir, RunsFile))
	if err != nil {
		return err
	}
	defer in.Close()
	var out bytes.Buffer
	if err := record.WriteMetrics(&out, in); err != nil {
		return fmt.Errorf("reading %s: %w", RunsFile, err)
	}
	return s.WriteFile(MetricsFile, out.Bytes())
}

// WriteCSV writes a small table of the run.
func (s *Folder) WriteCSV(name string, rows [][]string) error {
	var out bytes.Buffer
	if err := csv.NewWriter(&out).WriteAll(rows); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return s.WriteFile(name, out.Bytes())
}

// WriteSums writes the sums of the run's files, the last thing that a session does. Those that are known are not read.
func (s *Folder) WriteSums(known map[string]string) error {
	list := sums.List{About: "the run's files when its last session ended", Sums: map[string]string{}}
	for _, name := range ownFiles {
		if sum := known[name]; sum != "" {
			list.Sums[name] = sum
			continue
		}
		f, err := os.Open(filepath.Join(s.Dir, name))
		if errors.Is(err, fs.ErrNotExist) || name == sums.FileName {
			continue
		}
		if err == nil {
			list.Sums[name], err = sums.Of(f)
			f.Close()
		}
		if err != nil {
			return err
		}
	}
	if err := list.Write(s.disk, filepath.Join(s.Dir, sums.FileName)); err != nil {
		return err
	}
	return nil
}

// RemoveSums removes the sums, which do not hold while a session goes on.
func (s *Folder) RemoveSums() error {
	if err := os.Remove(filepath.Join(s.Dir, sums.FileName)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// SaveConfig keeps the config as it was read, without secrets.
func (s *Folder) SaveConfig(cfg *config.Config) error { return s.WriteFile(ConfigFile, cfg.Text()) }

// Begin begins a file of the folder, which takes the place of one of that name as a whole.
func (s *Folder) Begin(name string) (*durable.File, error) {
	return s.disk.Create(filepath.Join(s.Dir, name))
}

// WriteFile replaces a file of the folder as a whole.
func (s *Folder) WriteFile(name string, data []byte) error {
	if err := s.disk.WriteFile(filepath.Join(s.Dir, name), data); err != nil {
		return err
	}
	return nil
}
