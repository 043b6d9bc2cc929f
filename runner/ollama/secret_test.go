package ollama

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"llmscale/runner/protocol"
	"llmscale/runner/record"
)

// demanding puts a login and a token before the fake server, and repeats to the client whatever it got.
func demanding(t *testing.T) (*fakeServer, string) {
	f, _ := newFake(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "alice" || password != "s3 same" || r.URL.Query().Get("key") != "t0ken" {
			http.Error(w, fmt.Sprintf("no entry for %s with %s to %s", user+":"+password, r.Header.Get("Authorization"), r.URL), http.StatusUnauthorized)
			return
		}
		f.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return f, strings.TrimPrefix(srv.URL, "http://")
}

// TestSecretsReachTheServer: a load and a call with the secrets of the address, and nothing of them in what goes on record.
func TestSecretsReachTheServer(t *testing.T) {
	f, host := demanding(t)
	b := load(t, "http://alice:s3%20same@"+host+"?key=t0ken", setup{})
	prompt := "one two three"
	m, err := b.Measure(protocol.CallSpec{Prompt: &prompt, GenTokens: 3})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.prompts) != 1 || f.prompts[0] != prompt {
		t.Errorf("the server got %q", f.prompts)
	}
	if *b.server.OllamaURL != "http://"+host {
		t.Errorf("ollama_url is %s", *b.server.OllamaURL)
	}
	data, err := json.Marshal([]any{m, b.server, b.spec})
	if err != nil || strings.Contains(string(data), "same") || strings.Contains(string(data), "t0ken") {
		t.Errorf("%v: %s", err, data)
	}
}

// TestSecretsInErrors: whichever way a call fails, its error names the server without secrets.
func TestSecretsInErrors(t *testing.T) {
	f, host := demanding(t)
	closed := httptest.NewServer(nil)
	closed.Close()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		http.Redirect(w, r, "http://"+user+":"+strings.ReplaceAll(password, " ", "%20")+"@other/?"+r.URL.RawQuery, http.StatusFound)
	}))
	t.Cleanup(elsewhere.Close)
	f.override["/api/version"] = func(w http.ResponseWriter, r *http.Request) {
		refuse(w, 500, "cannot serve "+r.Header.Get("Authorization")+" "+r.URL.String()+strings.Repeat(".", 150)+"s3 same")
	}
	for _, c := range []struct{ name, addr, want string }{
		{"refused", "http://alice:s3same-not@" + host + "?key=t0ken", "HTTP status 401; a login goes before the host"},
		{"repeated", "http://alice:s3%20same@" + host + "/?key=t0ken", "the server says: cannot serve Basic [secret]"},
		{"nobody there", "http://alice:s3same@" + strings.TrimPrefix(closed.URL, "http://") + "?key=t0ken", "no Ollama server at http://127.0.0.1:"},
		{"redirect", "http://alice:s3%20same@" + strings.TrimPrefix(elsewhere.URL, "http://") + "?key=t0ken", "redirects to http://other/"},
		{"no address", "http://alice:s3/same@" + host, "address: it is no address of a server"},
		{"bad host", "http://alice:s3same@ho%st?key=t0ken", "address: it is no address of a server"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, err := NewClient(c.addr, short)
			if err == nil {
				_, err = cl.Version(context.Background())
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			for _, secret := range []string{"s3", "t0ken", "YWxpY2U6"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q is in %v", secret, err)
				}
			}
		})
	}
}

// TestSecretsInAStream: an error in the middle of a stream is told, without what it repeats.
func TestSecretsInAStream(t *testing.T) {
	f, host := demanding(t)
	f.override["/api/create"] = func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "{\"status\":\"parsing\"}\n{\"error\":\"no room for %s\"}\n", r.URL.RawQuery)
	}
	c, err := NewClient("http://alice:s3%20same@"+host+"?key=t0ken", short)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Create(context.Background(), "m", "f", "sha256:0")
	if err == nil || !strings.Contains(err.Error(), "the server says: no room for [secret]") {
		t.Error(err)
	}
}

// TestSecretsOfTheEnvironment: OLLAMA_HOST may hold them too, also without a scheme.
func TestSecretsOfTheEnvironment(t *testing.T) {
	_, host := demanding(t)
	for _, value := range []string{"http://alice:s3%20same@" + host + "/?key=t0ken", "alice:s3%20same@" + host + "?key=t0ken"} {
		t.Setenv("OLLAMA_HOST", value)
		c, err := NewClient("", short)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := c.Version(context.Background()); err != nil || v != "0.24.0" {
			t.Errorf("%q: version %q, %v", value, v, err)
		}
		if got := strings.TrimSuffix(c.URL(), "/"); got != "http://"+host {
			t.Errorf("%q is named %s", value, got)
		}
	}
	for value, want := range map[string]string{"alice:s3same@host": "http://host:11434", "https://t0ken@host/x": "https://host/x"} {
		t.Setenv("OLLAMA_HOST", value)
		c, err := NewClient("", short)
		if err != nil || c.URL() != want {
			t.Errorf("%q: %v, %v", value, c, err)
		}
	}
	t.Setenv("OLLAMA_HOST", "http://alice:s3/same@host")
	_, err := NewClient("", short)
	expect(t, "client", err, record.StatusError, "OLLAMA_HOST: it is no address of a server")
	if strings.Contains(err.Error(), "same") {
		t.Error(err)
	}
}
