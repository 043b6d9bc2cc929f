package ollama

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"llmscale/runner/record"
)

// helloSHA256 is the SHA-256 of "hello\n", by sha256sum.
const helloSHA256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"

func importable(t *testing.T) (*fakeServer, *Client, string) {
	t.Helper()
	f, url := newFake(t)
	c, err := NewClient(url, short)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	path := filepath.Join(t.TempDir(), "w.gguf")
	if err := os.WriteFile(path, []byte("hello\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return f, c, path
}

func TestImport(t *testing.T) {
	f, c, path := importable(t)
	m, err := Import(context.Background(), c, path, "")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^llmscale-5891b5b522d5:[0-9a-f]{12}$`).MatchString(m.Name) || m.SHA256 != helloSHA256 {
		t.Errorf("%+v", m)
	}
	if f.blobs["sha256:"+helloSHA256] != 6 || f.uploads != 1 || f.models[m.Name] == "" {
		t.Errorf("blobs %v, models %v", f.blobs, f.models)
	}
	// The file is there now: a second model of it needs no upload and has its own name.
	again, err := Import(context.Background(), c, path, helloSHA256)
	if err != nil || f.uploads != 1 || again.Name == m.Name {
		t.Errorf("again: %+v, %v, %d uploads", again, err, f.uploads)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(f.deleted, []string{m.Name}) || f.models[again.Name] == "" || f.models["m:latest"] == "" {
		t.Errorf("deleted %v, left %v; want the one model deleted, once", f.deleted, f.models)
	}
	if err := again.Close(); err != nil || len(f.models) != 1 {
		t.Errorf("%v; left %v", err, f.models)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestImportOfAModelThatIsGone(t *testing.T) {
	f, c, path := importable(t)
	m, err := Import(context.Background(), c, path, "")
	if err != nil {
		t.Fatal(err)
	}
	delete(f.models, m.Name)
	if err := m.Close(); err != nil {
		t.Errorf("%v; want no error, somebody else deleted it", err)
	}
}

// Whatever goes wrong, what was made is deleted and nothing else.
func TestImportFails(t *testing.T) {
	for _, c := range []struct {
		name    string
		arrange func(f *fakeServer, path string) (sum string)
		status  string
		reason  string
		deletes int
	}{
		{"no file", func(_ *fakeServer, path string) string { os.Remove(path); return "" }, record.StatusError, "no such file", 0},
		{"no file, known sum", func(_ *fakeServer, path string) string { os.Remove(path); return helloSHA256 }, record.StatusError, "no such file", 0},
		{"a sum that is none", func(*fakeServer, string) string { return "abc" }, record.StatusError, "is no SHA-256", 0},
		{"another file", func(*fakeServer, string) string { return strings.Repeat("1", 64) }, record.StatusError, "digest mismatch", 0},
		{"a name that is taken", func(f *fakeServer, _ string) string {
			f.override["/api/show"] = says(200, "application/json", `{"model_info":{}}`)
			return ""
		}, record.StatusError, "is left alone", 0},
		{"show breaks", func(f *fakeServer, _ string) string {
			f.override["/api/show"] = says(500, "text/html", html)
			return ""
		}, record.StatusError, "a web page", 0},
		{"the upload breaks", func(f *fakeServer, _ string) string {
			f.override["/api/blobs/sha256:"+helloSHA256] = func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					w.WriteHeader(404)
					return
				}
				refuse(w, 507, "no space left on device")
			}
			return ""
		}, record.StatusError, "no space left on device", 0},
		{"creating is refused", func(f *fakeServer, _ string) string {
			f.override["/api/create"] = says(400, "application/json", `{"error":"unsupported content type"}`)
			return ""
		}, record.StatusError, "unsupported content type", 1},
		{"creating fails in the stream", func(f *fakeServer, _ string) string {
			f.override["/api/create"] = says(200, "application/x-ndjson", `{"status":"parsing GGUF"}`+"\n"+`{"error":"invalid file magic"}`+"\n")
			return ""
		}, record.StatusError, "invalid file magic", 1},
		{"creating ends without a word", func(f *fakeServer, _ string) string {
			f.override["/api/create"] = says(200, "application/x-ndjson", `{"status":"parsing GGUF"}`+"\n")
			return ""
		}, record.StatusError, `last word was "parsing GGUF"`, 1},
		{"the server dies in creating, the model is there", func(f *fakeServer, _ string) string {
			f.override["/api/create"] = func(w http.ResponseWriter, r *http.Request) {
				f.mu.Lock()
				f.models["llmscale-half"] = "x" // not ours: its name is not the one asked for
				f.mu.Unlock()
				drop(`{"status":"writing manifest"}`+"\n")(w, r)
			}
			return ""
		}, record.StatusError, "ended the connection in the middle", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f, client, path := importable(t)
			sum := c.arrange(f, path)
			m, err := Import(context.Background(), client, path, sum)
			if m != nil {
				t.Errorf("a model came back: %+v", m)
			}
			if err == nil || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("%v; want %q", err, c.reason)
			}
			if len(f.deleted) != c.deletes || f.models["m:latest"] == "" {
				t.Errorf("deleted %v, left %v", f.deleted, f.models)
			}
			for _, name := range f.deleted {
				if !strings.HasPrefix(name, "llmscale-5891b5b522d5:") {
					t.Errorf("deleted %s", name)
				}
			}
		})
	}
}

func TestImportInterrupted(t *testing.T) {
	f, c, path := importable(t)
	ctx, cancel := context.WithCancel(context.Background())
	f.override["/api/create"] = func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, `{"status":"parsing GGUF"}`)
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	}
	_, err := Import(ctx, c, path, "")
	if err == nil || !strings.Contains(err.Error(), "interrupted") || len(f.deleted) != 1 {
		t.Errorf("%v, deleted %v; want the half-made model deleted", err, f.deleted)
	}

	ctx, cancel = context.WithCancel(context.Background())
	cancel()
	f.deleted = nil
	if _, err := Import(ctx, c, path, ""); err == nil || len(f.deleted) != 0 {
		t.Errorf("%v, deleted %v; want nothing done", err, f.deleted)
	}
}

// A model that could not be deleted is named, so that its owner can.
func TestImportCloseFails(t *testing.T) {
	f, c, path := importable(t)
	m, err := Import(context.Background(), c, path, "")
	if err != nil {
		t.Fatal(err)
	}
	f.override["/api/delete"] = says(500, "application/json", `{"error":"disk"}`)
	if err := m.Close(); err == nil || !strings.Contains(err.Error(), "`ollama rm "+m.Name) {
		t.Errorf("%v; want the command that deletes it", err)
	}
	delete(f.override, "/api/delete")
	if err := m.Close(); err != nil || f.models[m.Name] != "" {
		t.Errorf("second try: %v", err)
	}
}
