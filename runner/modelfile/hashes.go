package modelfile

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
	"llmscale/runner/files"
)

// HashesFile keeps hashes between runs, in the folder of models. It may be removed: then the files are hashed again.
const HashesFile = ".hashes.json"

// keptHash is an entry of hashesFile.
type keptHash struct {
	SHA256 string     `json:"sha256"` // of the files' contents one after another
	Files  []files.ID `json:"files"`
}

// hash returns the SHA-256 of the files' contents one after another, as `cat FILE... | sha256sum` does, and what was
// hashed. Files are hashed once, in this or an earlier run, while nothing about them changes; if something does in
// this run, their content must be what it was. Either way the page cache has them afterwards.
func (ms *Folder) hash(paths []string) (files.Content, error) {
	key := hashKey(paths)
	if h, known := ms.hashes[key]; known {
		h, err := h.Now(ms.Progress)
		if err == nil {
			ms.hashes[key] = h
		}
		return h, err
	}
	if h, ok := ms.recall(paths); ok {
		err := h.CopyTo(io.Discard, "reading", ms.Progress)
		if err == nil {
			ms.remember(h, false)
		}
		return h, err
	}
	started := time.Now()
	h, err := files.Hash(paths, ms.Progress)
	if err == nil {
		ms.remember(h, h.SettledBefore(started))
	}
	return h, err
}

func hashKey(paths []string) string { return strings.Join(paths, "\x00") }

// wrote takes over the hash of a file that was just made. One that will be removed again is not kept.
func (ms *Folder) wrote(path string, w gguf.Written) {
	if w.SHA256 != "" {
		ms.remember(files.Content{SHA256: w.SHA256, Files: []files.ID{files.Identify(path, w.Info)}}, filepath.Dir(path) == ms.Dir)
	}
}

func (ms *Folder) remember(h files.Content, keep bool) {
	if ms.hashes == nil {
		ms.hashes = map[string]files.Content{}
	}
	ms.hashes[hashKey(files.Paths(h.Files))] = h
	if keep {
		ms.keep(h)
	}
}

// recall finds the hash that an earlier run has kept of files that are still the same.
func (ms *Folder) recall(paths []string) (files.Content, bool) {
	for _, k := range ms.kept() {
		if slices.Equal(files.Paths(k.Files), paths) && files.Check(k.Files) == nil {
			return files.Content{SHA256: k.SHA256, Files: k.Files}, true
		}
	}
	return files.Content{}, false
}

// kept reads hashesFile. What cannot be read is hashed again.
func (ms *Folder) kept() []keptHash {
	data, err := os.ReadFile(filepath.Join(ms.Dir, HashesFile))
	var out []keptHash
	if err != nil || json.Unmarshal(data, &out) != nil {
		return nil
	}
	return slices.DeleteFunc(out, func(k keptHash) bool { return len(k.SHA256) != 64 || len(k.Files) == 0 })
}

// keep writes the hash beside those of other files that are still there. Two programs that do so at once lose an
// entry, and a folder that cannot be written keeps none: both cost the time of hashing.
func (ms *Folder) keep(h files.Content) {
	key := hashKey(files.Paths(h.Files))
	all := slices.DeleteFunc(ms.kept(), func(k keptHash) bool {
		return hashKey(files.Paths(k.Files)) == key || files.Check(k.Files) != nil
	})
	data, err := json.MarshalIndent(append(all, keptHash{h.SHA256, h.Files}), "", " ")
	if err != nil {
		return
	}
	// Without waiting for the disk: after a crash there are the old hashes, or none.
	_ = durable.Quick.WriteFile(filepath.Join(ms.Dir, HashesFile), append(data, '\n'))
}
