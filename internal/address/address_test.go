package address

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestAddress(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"http://127.0.0.1:11434", "http://127.0.0.1:11434"},
		{"https://alice:s3same@host:8080/ollama", "https://host:8080/ollama"},
		{"https://tok3n@host", "https://host"},
		{"https://host/v1?key=t0ken&x=1#part", "https://host/v1"},
		{"https://al%40ice:p%2Fw@[::1]:9/a%2Fb", "https://[::1]:9/a%2Fb"},
		{"http://alice:s3/same@host:1", "http://host:1"}, // which does not parse: the port would be s3
		{"http://alice:s3%zzsame@host", "http://host"},
	} {
		a := Address(c.in)
		if a.Reveal() != c.in {
			t.Errorf("%q reveals %q", c.in, a.Reveal())
		}
		data, err := json.Marshal(map[string]Address{"a": a})
		if want := fmt.Sprintf(`{"a":%q}`, c.want); err != nil || string(data) != want {
			t.Errorf("%q is %s in JSON (%v), want %s", c.in, data, err, want)
		}
		if got := fmt.Sprintf("%v %s %q %+v %#v", a, a, a, struct{ A Address }{a}, a); strings.Contains(got, "s3") || strings.Contains(got, "0ken") || strings.Contains(got, "tok3n") {
			t.Errorf("%q is printed as %s", c.in, got)
		}
	}
}

func TestRedact(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"nothing: to do, a@b and a?b", "nothing: to do, a@b and a?b"},
		{`Get "http://u:p@h:1/api?t=k": refused`, `Get "http://h:1/api": refused`},
		{"--url=https://token@h/p and ftp://a:b@c", "--url=https://h/p and ftp://c"},
		{"http://u:p/q?r@h/x", "http://h/x"},
		{"# old: https://u:p@h:1/ollama?key=k, do not use", "# old: https://h:1/ollama do not use"},
	} {
		if got := Redact(c.in); got != c.want {
			t.Errorf("%q gives %q, want %q", c.in, got, c.want)
		}
	}
}

func TestScrubber(t *testing.T) {
	u, err := url.Parse("http://alice:o%40pen@h/?key=t0ken+1&v=2")
	if err != nil {
		t.Fatal(err)
	}
	scrub := Scrubber(u)
	for _, said := range []string{
		"no user alice:o@pen", "not o@pen", "alice:o%40pen", "Basic YWxpY2U6b0BwZW4=", "GET /api/version?key=t0ken+1&v=2", "bad key t0ken 1", "t0ken%201",
	} {
		got := scrub(said)
		if !strings.Contains(got, "[secret]") {
			t.Errorf("%q: %q", said, got)
		}
		for _, secret := range []string{"pen", "t0ken", "YWxp"} {
			if strings.Contains(got, secret) {
				t.Errorf("%q is left in %q", secret, got)
			}
		}
	}
	if got := scrub("alice has 2 models"); got != "alice has 2 models" {
		t.Errorf("what is no secret is gone: %q", got)
	}
	if u.User = nil; Scrubber(&url.URL{Host: "h"})("text") != "text" {
		t.Error("without secrets a text is changed")
	}
}
