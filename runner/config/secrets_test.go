package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const (
	secretScenarios = "gen_tokens: 4\nscenarios: [{name: s, prompt: \"mail me@host?\"}]\n"
	secretModels    = "models: [{name: m, source: \"synth:gpt2-5m\"}]\n"
)

// TestSecrets: the text that a run keeps has none of the secrets, and means the same where the environment has them.
func TestSecrets(t *testing.T) {
	for _, c := range []struct {
		name, backends string
		env            map[string]string
		urls           []string
	}{
		{"login in a flow mapping", "backends: [{name: a, kind: ollama, import: true, dtype: f32, url: http://alice:s3same@h:1/x}, {name: b, dtype: f32}]\n",
			map[string]string{"LLMSCALE_URL_LOGIN": "alice:s3same"}, []string{"http://alice:s3same@h:1/x"}},
		{"token and query, quoted", "backends:\n  - {name: a, kind: ollama, import: true, dtype: f32, url: \"https://s3same@h?k=t0ken&$x=it's\"}\n",
			map[string]string{"LLMSCALE_URL_LOGIN": "s3same", "LLMSCALE_URL_QUERY": "k=t0ken&$x=it's"}, []string{"https://s3same@h?k=t0ken&$x=it's"}},
		{"several on a line, one twice", "backends: [{name: ä, kind: ollama, import: true, dtype: f32, url: 'http://u:s3same1@h'}, {name: b, kind: ollama, import: true, dtype: f32, url: http://u:s3same2@h}, {name: c, kind: ollama, import: true, dtype: f32, url: http://u:s3same1@i}]\n",
			map[string]string{"LLMSCALE_URL_LOGIN": "u:s3same1", "LLMSCALE_URL_LOGIN_2": "u:s3same2"},
			[]string{"http://u:s3same1@h", "http://u:s3same2@h", "http://u:s3same1@i"}},
		{"block, with a comment", "backends:\n  # was http://u:s3same0@old?t0ken\n  - name: a\n    kind: ollama\n    import: true\n    dtype: f32\n    url: http://u:s3same@h # or https://u:s3same@i/\n",
			map[string]string{"LLMSCALE_URL_LOGIN": "u:s3same"}, []string{"http://u:s3same@h"}},
		{"in the environment already", "backends: [{name: a, kind: ollama, import: true, dtype: f32, url: 'https://${MY_LOGIN}@${MY_HOST}:2'}]\n",
			map[string]string{"MY_LOGIN": "u:s3same", "MY_HOST": "h"}, []string{"https://u:s3same@h:2"}},
		{"in the environment but for the names", "backends: [{name: a, kind: ollama, import: true, dtype: f32, url: 'https://me:${MY_PASSWORD}@h?key=${MY_TOKEN}'}]\n",
			map[string]string{"MY_PASSWORD": "s3same", "MY_TOKEN": "t0ken"}, []string{"https://me:s3same@h?key=t0ken"}},
		{"half in the environment", "backends: [{name: a, kind: ollama, import: true, dtype: f32, url: 'https://${MY_USER}:s3same@h?a=${MY_USER}&key=t0ken'}]\n",
			map[string]string{"MY_USER": "me", "LLMSCALE_URL_LOGIN": "me:s3same", "LLMSCALE_URL_QUERY": "a=me&key=t0ken"}, []string{"https://me:s3same@h?a=me&key=t0ken"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := secretScenarios + strings.ReplaceAll(c.backends, "ä", "ae") + secretModels
			taken := false // something is taken out
			for k, v := range c.env {
				if strings.HasPrefix(k, "MY_") {
					t.Setenv(k, v)
				} else {
					taken = true
				}
			}
			first, err := Parse("x.yaml", []byte(file))
			if err != nil {
				t.Fatal(err)
			}
			kept := string(first.Text())
			for _, secret := range []string{"s3same", "t0ken"} {
				if strings.Contains(kept, secret) || strings.Contains(fmt.Sprintf("%+v", first.Resolved()), secret) {
					t.Errorf("%s is kept:\n%s\n%+v", secret, kept, first.Resolved())
				}
			}
			if taken {
				_, err = Parse("x.yaml", []byte(kept))
				var e *Error
				if !errors.As(err, &e) || !strings.Contains(e.Msg, "the environment variable LLMSCALE_URL_") || e.Field == "" {
					t.Errorf("without the environment: %v", err)
				}
			}
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			again, err := Parse("x.yaml", []byte(kept))
			if err != nil {
				t.Fatalf("what is kept does not parse: %v\n%s", err, kept)
			}
			if string(again.Text()) != kept || again.SHA256() != first.SHA256() {
				t.Errorf("kept again it is\n%s", again.Text())
			}
			for i, want := range c.urls {
				if a, b := first.Backends[i].URL.Reveal(), again.Backends[i].URL.Reveal(); a != want || b != want {
					t.Errorf("backend %d: %q, and again %q; want %q", i, a, b, want)
				}
			}
			if a, b := first.Scenarios, again.Scenarios; a[0] != b[0] {
				t.Errorf("the prompt became %q", b[0].Prompt)
			}
		})
	}
}

func TestNoSecretIsTheTextItself(t *testing.T) {
	file := secretScenarios + "# a@b?\nbackends: [{name: a, kind: ollama, import: true, dtype: f32, url: 'http://h:1/x'}]\n" + secretModels
	c, err := Parse("x.yaml", []byte(file))
	if err != nil || string(c.Text()) != file {
		t.Errorf("%v:\n%s", err, c.Text())
	}
}

// TestSecretsInErrors: what is refused is told without its secrets.
func TestSecretsInErrors(t *testing.T) {
	backend := func(url string) string {
		return secretScenarios + "backends: [{name: a, kind: ollama, import: true, dtype: f32, url: " + url + "}]\n" + secretModels
	}
	for _, c := range []struct{ name, file, want string }{
		{"no URL", backend("http://u:s3/same@h"), "x.yaml:3:67: backends[0].url: must be the address of a server"},
		{"another scheme", backend("ftp://u:s3same@h"), "must be the address of a server"},
		{"escapes", backend(`"http://u:s3s\u0061me@h"`), "write it on one line and without escapes"},
		{"elsewhere too", strings.Replace(backend("http://u:s3same@h"), "mail", "mail u:s3same", 1), "x.yaml:2:1: the secret of an address stands here too"},
		{"variable", backend("'http://${NOT_SET_HERE}@h'"), "the environment variable NOT_SET_HERE is not set; set it to what stands in its place"},
		{"wrong key", strings.Replace(backend("http://u:s3same@h"), "import: true", "import: http://u:s3same@h", 1), "must be true or false"},
		{"source", secretScenarios + "backends: [{name: a, dtype: f32}]\nmodels: [{name: m, source: 'https://u:s3same@h/m.gguf?k=s3same'}]\n", "unknown source"},
	} {
		_, err := Parse("x.yaml", []byte(c.file))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		} else if strings.Contains(err.Error(), "same") {
			t.Errorf("%s: the error holds the secret: %v", c.name, err)
		}
	}
}
