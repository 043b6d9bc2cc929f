package sources

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"llmscale/gguf/ollamastore"
)

// How deep a search goes. The hub's cache has models--OWNER--NAME/snapshots/COMMIT/FOLDER/FILE, LM Studio OWNER/NAME/FILE.
const (
	belowNamed = 5
	belowCache = 5
)

// maxEntries is how many names a walk looks at: no folder of models has as many.
const maxEntries = 20_000

// place is where a program keeps models.
type place struct {
	name  string
	dir   string
	depth int // of folders below it that are searched
}

// usual are the places besides Ollama's store, by the environment: as huggingface_hub's constants.py, llama.cpp's
// common.cpp and hf-cache.cpp, and LM Studio's documentation have them.
func usual(env func(string) string, here string) []place {
	home := env("HOME")
	first := func(dirs ...string) string {
		for _, d := range dirs {
			if d != "" {
				if rest, ok := strings.CutPrefix(d, "~/"); ok && home != "" {
					return filepath.Join(home, rest)
				}
				return d
			}
		}
		return ""
	}
	below := func(dir string, names ...string) string {
		if dir == "" {
			return ""
		}
		return filepath.Join(append([]string{dir}, names...)...)
	}
	cache := first(env("XDG_CACHE_HOME"), below(home, ".cache"))
	hub := first(env("HF_HUB_CACHE"), env("HUGGINGFACE_HUB_CACHE"), below(first(env("HF_HOME"), below(cache, "huggingface")), "hub"))
	all := []place{
		{"this folder", here, 0},
		{"Hugging Face", hub, belowCache},
		{"LM Studio", below(home, ".lmstudio", "models"), belowCache},
		{"LM Studio", below(home, ".cache", "lm-studio", "models"), belowCache},
		{"llama.cpp", first(env("LLAMA_CACHE"), below(cache, "llama.cpp")), belowCache},
	}
	return slices.DeleteFunc(all, func(p place) bool { return p.dir == "" })
}

// Usual finds the models in the current folder and where Ollama, Hugging Face's hub, LM Studio and llama.cpp keep theirs.
func Usual() Found {
	var f finder
	for i, p := range usual(os.Getenv, ".") {
		if i == 1 { // after the current folder
			f.searchStore()
		}
		name := p.name
		if i > 0 {
			name += " (" + p.dir + ")"
		}
		f.Places = append(f.Places, name)
		if _, err := os.Stat(p.dir); errors.Is(err, os.ErrNotExist) {
			continue
		}
		found, left := walk(p.dir, p.depth)
		f.LeftOut = append(f.LeftOut, left...)
		f.files(Model{Place: p.name}, found)
	}
	return f.done()
}

func (f *finder) searchStore() {
	where := "Ollama"
	if store, err := ollamastore.Default(); err == nil {
		where += " (" + store.Root() + ")"
	}
	f.Places = append(f.Places, where)
	if err := f.store(""); err != nil && !errors.Is(err, ollamastore.ErrNone) {
		f.leaveOut("Ollama's store", err)
	}
}

// part is the end of the name of a part of a model.
var part = regexp.MustCompile(`-\d{5}(-of-\d{5}\.gguf)$`)

// firstPart is the path of the first part where path is that of any; otherwise path.
func firstPart(path string) string { return part.ReplaceAllString(path, "-00001$1") }

// walk lists the GGUF files in a folder, and in those below down to a depth, in the order of their paths. Links to folders
// are followed, each folder once; hidden folders are not looked into.
func walk(dir string, depth int) (found []string, left []LeftOut) {
	w := walker{room: maxEntries, seen: map[string]bool{}}
	w.folder(dir, depth)
	if w.room <= 0 {
		w.left = append(w.left, LeftOut{dir, "it has more than 20,000 files and folders, of which the rest was not looked at"})
	}
	slices.Sort(w.found)
	return w.found, w.left
}

type walker struct {
	room  int // entries that are still looked at
	seen  map[string]bool
	found []string
	left  []LeftOut
}

func (w *walker) leaveOut(path string, err error) {
	f := finder{}
	f.leaveOut(path, err)
	w.left = append(w.left, f.LeftOut...)
}

func (w *walker) folder(dir string, depth int) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		w.leaveOut(dir, err)
		return
	}
	if w.seen[real] || w.room <= 0 {
		return
	}
	w.seen[real] = true
	open, err := os.Open(dir)
	if err != nil {
		w.leaveOut(dir, err)
		return
	}
	entries, err := open.ReadDir(w.room)
	open.Close() // it was only read
	if err != nil && err != io.EOF {
		w.leaveOut(dir, err)
	}
	w.room -= len(entries)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		isModel := strings.EqualFold(filepath.Ext(e.Name()), ".gguf")
		st, err := os.Stat(path)
		switch {
		case err != nil && isModel:
			w.leaveOut(path, err)
		case err != nil:
		case st.IsDir() && depth > 0 && !strings.HasPrefix(e.Name(), "."):
			w.folder(path, depth-1)
		case st.Mode().IsRegular() && isModel:
			w.found = append(w.found, path)
		}
	}
}
