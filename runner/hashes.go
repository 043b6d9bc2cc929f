package runner

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"llmscale/gguf"
	"llmscale/internal/durable"
)

// hashesFile keeps hashes between runs, in the folder of models. It may be removed: then the files are hashed again.
const hashesFile = ".hashes.json"

// keptHash is an entry of hashesFile.
type keptHash struct {
	SHA256 string   `json:"sha256"` // of the files' contents one after another
	Files  []FileID `json:"files"`
}

// settled is how long a file must have stayed as it is before what is read of it is kept: within one tick of a file
// system's clock, 2 s on the coarsest, a file can change once more and look the same.
const settled = 2 * time.Second

// hash returns the SHA-256 of the files' contents one after another, as `cat FILE... | sha256sum` does, and what was
// hashed. Files are hashed once, in this or an earlier run, while nothing about them changes; if something does in
// this run, their content must be what it was. Either way the page cache has them afterwards.
func (ms *Models) hash(paths []string) (hashed, error) {
	key := hashKey(paths)
	if h, known := ms.hashes[key]; known {
		h, err := h.now(ms.Progress)
		if err == nil {
			ms.hashes[key] = h
		}
		return h, err
	}
	if h, ok := ms.recall(paths); ok {
		err := h.read(io.Discard, "reading", ms.Progress)
		if err == nil {
			ms.remember(h, false)
		}
		return h, err
	}
	started := time.Now()
	h, err := readAll(paths, ms.Progress)
	if err == nil {
		ms.remember(h, h.settledBefore(started))
	}
	return h, err
}

func hashKey(paths []string) string { return strings.Join(paths, "\x00") }

// wrote takes over the hash of a file that was just made. One that will be removed again is not kept.
func (ms *Models) wrote(path string, w gguf.Written) {
	if w.SHA256 != "" {
		ms.remember(hashed{w.SHA256, []FileID{fileID(path, w.Info)}}, filepath.Dir(path) == ms.Dir)
	}
}

func (ms *Models) remember(h hashed, keep bool) {
	if ms.hashes == nil {
		ms.hashes = map[string]hashed{}
	}
	ms.hashes[hashKey(pathsOf(h.files))] = h
	if keep {
		ms.keep(h)
	}
}

// settledBefore tells whether no file has changed for a while before the time.
func (h hashed) settledBefore(t time.Time) bool {
	return !slices.ContainsFunc(h.files, func(f FileID) bool {
		return max(f.ModifiedNS, f.ChangedNS) > t.Add(-settled).UnixNano()
	})
}

// recall finds the hash that an earlier run has kept of files that are still the same.
func (ms *Models) recall(paths []string) (hashed, bool) {
	for _, k := range ms.kept() {
		if slices.Equal(pathsOf(k.Files), paths) && CheckFiles(k.Files) == nil {
			return hashed{k.SHA256, k.Files}, true
		}
	}
	return hashed{}, false
}

// kept reads hashesFile. What cannot be read is hashed again.
func (ms *Models) kept() []keptHash {
	data, err := os.ReadFile(filepath.Join(ms.Dir, hashesFile))
	var out []keptHash
	if err != nil || json.Unmarshal(data, &out) != nil {
		return nil
	}
	return slices.DeleteFunc(out, func(k keptHash) bool { return len(k.SHA256) != 64 || len(k.Files) == 0 })
}

// keep writes the hash beside those of other files that are still there. Two programs that do so at once lose an
// entry, and a folder that cannot be written keeps none: both cost the time of hashing.
func (ms *Models) keep(h hashed) {
	key := hashKey(pathsOf(h.files))
	all := slices.DeleteFunc(ms.kept(), func(k keptHash) bool {
		return hashKey(pathsOf(k.Files)) == key || CheckFiles(k.Files) != nil
	})
	data, err := json.MarshalIndent(append(all, keptHash{h.sum, h.files}), "", " ")
	if err != nil {
		return
	}
	// Without waiting for the disk: after a crash there are the old hashes, or none.
	_ = durable.Quick.WriteFile(filepath.Join(ms.Dir, hashesFile), append(data, '\n'))
}
