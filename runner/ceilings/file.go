package ceilings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"llmscale/internal/durable"
)

// Load reads a ceilings.json. Where there is none, errors.Is(err, fs.ErrNotExist).
func Load(path string) (File, error) {
	var f File
	data, err := os.ReadFile(path)
	if err != nil {
		return f, fmt.Errorf("ceilings: %w", err)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return File{}, fmt.Errorf("ceilings: %s: %w", path, err)
	}
	if f.SchemaVersion < 1 || f.SchemaVersion > SchemaVersion {
		return File{}, fmt.Errorf("ceilings: %s has schema version %d; this program knows 1 to %d", path, f.SchemaVersion, SchemaVersion)
	}
	return f, nil
}

// Write replaces the file at path as a whole: readers and crashes see the old one
// or the new one.
func (f File) Write(path string) error {
	f.SchemaVersion = SchemaVersion
	if f.Devices == nil {
		f.Devices = []Device{}
	}
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("ceilings: %s: %w", path, err)
	}
	if err := durable.System.WriteFile(path, append(data, '\n')); err != nil {
		return fmt.Errorf("ceilings: %w", err)
	}
	return nil
}

// Append adds devices to the file at path and keeps what is in it. A file that
// cannot be read is moved aside first, under a name that says so, which is
// returned: nothing measured is overwritten.
func Append(path string, devices []Device) (aside string, err error) {
	f, err := Load(path)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		f = File{}
	default:
		aside = path + ".unreadable-" + time.Now().UTC().Format("20060102T150405.000")
		if err := os.Rename(path, aside); err != nil {
			return "", fmt.Errorf("ceilings: %w", err)
		}
		f = File{}
	}
	f.Devices = append(f.Devices, devices...)
	for _, d := range f.Devices {
		if t := d.MeasuredAt; !t.IsZero() && (f.MeasuredAt.IsZero() || t.Before(f.MeasuredAt)) {
			f.MeasuredAt = t
		}
	}
	return aside, f.Write(path)
}
