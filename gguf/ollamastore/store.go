// Package ollamastore finds models in Ollama's local store: a name such as "gemma3:270m" resolves, through Ollama's
// own manifest, to the very file that Ollama serves.
//
// It only reads. What it cannot vouch for it refuses: a manifest that names no GGUF file, a file that is not there
// or has another size than the manifest says, an adapter that Ollama would apply and that a plain load of the file
// would not.
package ollamastore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ollama/ollama/types/model"

	"llmscale/internal/text"
)

// serviceRoot is where the service that Ollama's Linux installer sets up keeps its models: under the home folder of
// its user "ollama" (docs/faq.mdx of Ollama, "Where are models stored?").
const serviceRoot = "/usr/share/ollama/.ollama/models"

// Name is a model's full name: host, namespace, model and tag.
type Name = model.Name

// Store is a folder of Ollama's with "manifests" and "blobs" in it.
type Store struct {
	root string
}

// ErrNone is Default's where there is no store and none is named.
var ErrNone = errors.New("no Ollama store")

// Open returns the store in the folder root. It fails where there is none.
func Open(root string) (*Store, error) {
	manifests := filepath.Join(root, "manifests")
	st, err := os.Stat(manifests)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("ollamastore: %s is no Ollama store: it has no folder \"manifests\"; point OLLAMA_MODELS at the folder that holds \"manifests\" and \"blobs\"", root)
	case err != nil:
		return nil, fmt.Errorf("ollamastore: %s: %w", root, readable(err))
	case !st.IsDir():
		return nil, fmt.Errorf("ollamastore: %s is no folder; want the manifests of an Ollama store there", manifests)
	}
	return &Store{root}, nil
}

// Default opens the store that Ollama itself would use: the folder in the environment variable OLLAMA_MODELS if it
// is set, else $HOME/.ollama/models, else, where that does not exist, the one of Ollama's Linux service.
func Default() (*Store, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		home = ""
	}
	return first(os.Getenv("OLLAMA_MODELS"), home, serviceRoot)
}

func first(env, home, service string) (*Store, error) {
	// Ollama trims quotes and blanks off its variables.
	if root := strings.Trim(strings.TrimSpace(env), `"'`); root != "" {
		return Open(root)
	}
	var tried []string
	if home != "" {
		tried = append(tried, filepath.Join(home, ".ollama", "models"))
	}
	tried = append(tried, service)
	for _, root := range tried {
		if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
			return Open(root)
		}
	}
	return nil, fmt.Errorf("ollamastore: %w at %s; set OLLAMA_MODELS to the folder that holds \"manifests\" and \"blobs\"", ErrNone, strings.Join(tried, " nor at "))
}

// Root returns the store's folder.
func (s *Store) Root() string { return s.root }

// nameParts is how many folders deep a manifest lies: host, namespace, model, tag.
const nameParts = 4

func (s *Store) manifest(n Name) string { return filepath.Join(s.root, "manifests", n.Filepath()) }

// List returns the names of all models in the store, sorted as text. Files that are no manifests by their place or
// name are passed over, as Ollama does.
func (s *Store) List() ([]Name, error) {
	var names []Name
	manifests := filepath.Join(s.root, "manifests")
	// Not fs.WalkDir: it would pass over folders that are symbolic links, which Ollama follows.
	var walk func(parts ...string) error
	walk = func(parts ...string) error {
		dir := filepath.Join(append([]string{manifests}, parts...)...)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			st, err := os.Stat(filepath.Join(dir, e.Name()))
			if errors.Is(err, fs.ErrNotExist) {
				continue // a link to nowhere, or removed meanwhile
			}
			if err != nil {
				return err
			}
			at := append(slices.Clip(parts), e.Name())
			switch {
			case st.IsDir() && len(at) < nameParts:
				if err := walk(at...); err != nil {
					return err
				}
			case st.Mode().IsRegular() && len(at) == nameParts:
				if n := model.ParseNameFromFilepath(filepath.Join(at...)); n.IsValid() {
					names = append(names, n)
				}
			}
		}
		return nil
	}
	if err := walk(); err != nil {
		return nil, fmt.Errorf("ollamastore: %w", readable(err))
	}
	slices.SortFunc(names, func(a, b Name) int { return strings.Compare(a.String(), b.String()) })
	return names, nil
}

// find returns the name under which the store has the model. Letter case does not count, as for Ollama itself.
func (s *Store) find(name string) (Name, error) {
	n := model.ParseName(name)
	if !n.IsFullyQualified() {
		return Name{}, fmt.Errorf("ollamastore: %q is no model name; want MODEL, MODEL:TAG, NAMESPACE/MODEL:TAG or HOST/NAMESPACE/MODEL:TAG", name)
	}
	n.ProtocolScheme = "" // how a model was fetched is no part of where it lies
	if _, err := os.Stat(s.manifest(n)); err == nil {
		return n, nil
	}
	have, err := s.List()
	if err != nil {
		return Name{}, err
	}
	for _, h := range have {
		if h.EqualFold(n) {
			return h, nil
		}
	}
	return Name{}, s.missing(n, have)
}

// shown is how many names an error lists.
const shown = 20

func (s *Store) missing(n Name, have []Name) error {
	if len(have) == 0 {
		return fmt.Errorf("ollamastore: no model %s: the store %s is empty; `ollama pull %s` fetches it, or set OLLAMA_MODELS to another store", n.DisplayShortest(), s.root, n.DisplayShortest())
	}
	names := make([]string, len(have))
	for i, h := range have {
		names[i] = h.DisplayShortest()
	}
	hint := "; there are "
	if best := text.Nearest(n.DisplayShortest(), names); best != "" {
		hint = "; did you mean " + best + "? There are "
	}
	if len(names) > shown {
		names = append(names[:shown:shown], fmt.Sprintf("and %d more", len(names)-shown))
	}
	return fmt.Errorf("ollamastore: no model %s in %s%s%s", n.DisplayShortest(), s.root, hint, strings.Join(names, ", "))
}

// readable adds to a refused permission what to do about it: the service's store belongs to the user "ollama".
func readable(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: make it readable for this user, for instance by joining the group ollama, or set OLLAMA_MODELS to another store", err)
	}
	return err
}
