package protocol

import (
	"errors"

	"llmscale/runner/files"
	"llmscale/runner/record"
)

// LoadChecked loads a model of which the files are those that the plan has hashed, before the load and after it.
func LoadChecked(b Backend, spec LoadSpec, progress func(share float64)) (LoadInfo, error) {
	if err := files.Check(spec.Files); err != nil {
		return LoadInfo{}, err
	}
	info, err := b.Load(spec, progress)
	// First, since a file that was changed meanwhile explains whatever else went wrong.
	if changed := files.Check(spec.Files); changed != nil {
		f := record.AsFailure(changed)
		if err != nil {
			f.Stderr = record.AsFailure(err).Stderr
		}
		return LoadInfo{}, errors.Join(f, b.Close())
	}
	return info, err
}
