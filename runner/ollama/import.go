package ollama

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"llmscale/internal/awake"
	"llmscale/runner/record"
)

// Imported is a model that Import made on the server. Close deletes it.
type Imported struct {
	Name   string // "llmscale-" and the first 12 digits of the file's SHA-256, and a random tag
	SHA256 string // of the file, lower-case hex

	client *Client
	made   bool // Delete may be called: the name is ours
}

const importPrefix = "llmscale-"

// IsImported tells whether a model on a server has a name as Import gives it.
func IsImported(name string) bool { return importForm.MatchString(name) }

var importForm = regexp.MustCompile(`^` + importPrefix + `[0-9a-f]{12}:[0-9a-f]{12}$`)

var shaForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Import makes a model of the GGUF file at path on the client's server. sum is the
// file's SHA-256; "" lets Import compute it.
//
// The name has a random tag, so that no other model, not even one that another run
// made of the same file, can be meant by it: whatever Close deletes was made here.
// Deleting a model removes its files from the server's store if no other model uses
// them (server/routes.go#L1111); the GGUF at path itself is not touched. If Import
// fails, or ctx ends, what it had made by then is deleted again. An uploaded file
// without a model stays: the API cannot delete it, and the server removes such files
// when it starts next.
func Import(ctx context.Context, c *Client, path, sum string) (_ *Imported, err error) {
	op := "import " + filepath.Base(path)
	sorry := func(reason string, cause error) error {
		return &Error{Op: op, Status: record.StatusError, Reason: reason, cause: cause}
	}
	if sum == "" {
		if sum, err = hashFile(ctx, path); err != nil {
			return nil, sorry(err.Error(), err)
		}
	}
	if !shaForm.MatchString(sum) {
		return nil, sorry(fmt.Sprintf("%q is no SHA-256; want 64 lower-case hexadecimal digits", clip(sum)), nil)
	}
	var tag [6]byte
	rand.Read(tag[:])
	m := &Imported{Name: importPrefix + sum[:12] + ":" + hex.EncodeToString(tag[:]), SHA256: sum, client: c}
	switch _, err := c.Show(ctx, m.Name); {
	case err == nil:
		return nil, sorry("the server has a model "+m.Name+" already, which is not of this run; it is left alone", nil)
	case !notFound(err):
		return nil, err
	}
	digest := "sha256:" + sum
	has, err := c.HasBlob(ctx, digest)
	if err != nil {
		return nil, err
	}
	if !has {
		if err := c.UploadBlob(ctx, digest, path); err != nil {
			return nil, err
		}
	}
	// From here on the name may exist, also where the answer is an error: the server
	// writes the model before it says so.
	m.made = true
	if err := c.Create(ctx, m.Name, "model.gguf", digest); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// Close deletes the model from the server, also where the run's context has ended.
// It may be called twice; a model that is gone already is no error.
func (m *Imported) Close() error {
	if m == nil || !m.made {
		return nil
	}
	ctx, cancel := awake.WithTimeout(context.Background(), m.client.limits.Small)
	defer cancel()
	err := m.client.Delete(ctx, m.Name)
	if err != nil && !notFound(err) {
		return fmt.Errorf("%w; `ollama rm %s` deletes what was left", err, m.Name)
	}
	m.made = false
	return nil
}

// hashFile is the SHA-256 of a file. Reading a large one takes minutes, and ctx
// ends it.
func hashFile(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	buf := make([]byte, 1<<20)
	for next := time.Now(); ; {
		if now := time.Now(); now.After(next) {
			if ctx.Err() != nil {
				return "", ctx.Err()
			}
			next = now.Add(100 * time.Millisecond)
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}
