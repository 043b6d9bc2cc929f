// Package address keeps the secrets in servers' addresses, http://user:password@host/?key=token, out of whatever is
// shown or stored.
package address

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Address is the address of a server, perhaps with a login before the host and a query behind the path. It shows
// itself without them, also in JSON, so that no message or artifact can hold them by mistake; Reveal gives the whole.
type Address string

// Reveal is the address with its secrets.
func (a Address) Reveal() string { return string(a) }

// String is the address without login and query.
func (a Address) String() string {
	u, err := url.Parse(string(a))
	if err != nil {
		return Redact(string(a))
	}
	return Public(u).String()
}

// GoString is String for %#v.
func (a Address) GoString() string { return a.String() }

// MarshalText is String for JSON.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Public returns a copy of u that names the server and a path on it, and nothing else.
func Public(u *url.URL) *url.URL {
	return &url.URL{Scheme: u.Scheme, Opaque: u.Opaque, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
}

var inText = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s"'<>|]*@)?([^\s"'<>|?#]*)(?:[?#][^\s"'<>|]*)?`)

// Redact takes the login and the query out of each address in a text.
func Redact(text string) string {
	if !strings.Contains(text, "://") { // of long texts most have none
		return text
	}
	return inText.ReplaceAllString(text, "$1$2")
}

// RedactAll is Redact of each text.
func RedactAll(texts []string) []string {
	out := slices.Clone(texts)
	for i := range out {
		out[i] = Redact(out[i])
	}
	return out
}

// shortest is the length in bytes from which a secret is looked for by itself: the letters of a shorter one are in
// every text.
const shortest = 4

// Scrubber returns a function that takes u's secrets out of a text, in each of the forms in which a server that was
// sent them might repeat them.
func Scrubber(u *url.URL) func(string) string {
	var secrets []string
	add := func(s string) {
		if len(s) >= shortest {
			secrets = append(secrets, s, url.QueryEscape(s), url.PathEscape(s))
		}
	}
	if u.User != nil {
		password, has := u.User.Password()
		login := u.User.Username() + ":" + password
		add(u.User.String())
		add(login)
		add(base64.StdEncoding.EncodeToString([]byte(login)))
		if has {
			add(password)
		} else {
			add(u.User.Username())
		}
	}
	add(u.RawQuery)
	for _, values := range u.Query() {
		for _, v := range values {
			add(v)
		}
	}
	// The longest first: one may hold another.
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range slices.Compact(secrets) {
		pairs = append(pairs, s, "[secret]")
	}
	return strings.NewReplacer(pairs...).Replace
}
