package config

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"llmscale/internal/address"
)

// Names of the environment variables that stand, in a run's copy of its config, for
// what was taken out of an address. A second login or query of the file has the number
// 2 behind the name, and so on.
const (
	LoginVariable = "LLMSCALE_URL_LOGIN" // user:password, or a token, before the @
	QueryVariable = "LLMSCALE_URL_QUERY" // what stands behind the ?
)

// checkURL puts in the variables and wants an address that a request can be sent to.
func (d *decoder) checkURL(b *Backend, path string) {
	field := path + ".url"
	at, ok := d.seen[field]
	if !ok || d.bad[field] {
		return
	}
	written := string(b.URL)
	for _, ref := range address.Variable.FindAllStringSubmatch(written, -1) {
		if os.Getenv(ref[1]) != "" {
			continue
		}
		what := "what stands in its place in the address"
		switch {
		case strings.HasPrefix(ref[1], LoginVariable):
			what = "the login of this address, user:password or a token, which a run's folder does not keep"
		case strings.HasPrefix(ref[1], QueryVariable):
			what = "what stands behind the ? of this address, which a run's folder does not keep"
		}
		d.fail(at, field, "the environment variable %s is not set; set it to %s", ref[1], what)
	}
	full := address.Variable.ReplaceAllStringFunc(written, func(ref string) string { return os.Getenv(ref[2 : len(ref)-1]) })
	b.URL = address.Address(full)
	u, err := url.Parse(full)
	if d.bad[field] || err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https") {
		return
	}
	not := ", not " + quote(full)
	if strings.ContainsAny(full, "@?") || written != full { // it may hold a secret, and does not say where
		not = "; special characters of a password are written as %40 for @, %3F for ?, %2F for /"
	}
	d.fail(at, field, "must be the address of a server, for example http://127.0.0.1:11434%s", not)
}

// withoutSecrets is the file's text with a variable in place of each secret of its
// addresses, and without those of addresses in its comments.
func (d *decoder) withoutSecrets(data []byte, root *yaml.Node) []byte {
	if !bytes.ContainsAny(data, "@?") {
		return data
	}
	var secrets []string // as they are written
	count := map[string]int{}
	known := map[string]string{} // a secret, after its kind: its variable
	variable := func(kind, secret string) string {
		if known[kind+secret] == "" {
			name := kind
			if count[kind]++; count[kind] > 1 {
				name = fmt.Sprintf("%s_%d", kind, count[kind])
			}
			known[kind+secret] = "${" + name + "}"
			secrets = append(secrets, secret)
		}
		return known[kind+secret]
	}
	out := data
	for _, n := range addressNodes(root) {
		clean := n.Value
		if login, ok := address.Login(clean); ok && address.IsSecret(login, ":") {
			clean = strings.Replace(clean, "//"+login+"@", "//"+variable(LoginVariable, login)+"@", 1)
		}
		if rest, query, ok := strings.Cut(clean, "?"); ok && address.IsSecret(query, "=") {
			clean = rest + "?" + variable(QueryVariable, query)
		}
		if clean == n.Value {
			continue
		}
		// Places count in data; what was replaced before this one may have made the text longer or shorter.
		start := len(out) - (len(data) - offset(data, at(n)))
		size := written(out[start:], n.Value)
		if size == 0 {
			d.fail(at(n), "", "this address holds a secret, which the run's copy of the config must leave out; write it on one line and without escapes, or with ${NAME} for an environment variable in place of the secret")
			return nil
		}
		// In quotes: bare braces would begin a mapping.
		quoted := "'" + strings.ReplaceAll(clean, "'", "''") + "'"
		out = bytes.Join([][]byte{out[:start], out[start+size:]}, []byte(quoted))
	}
	for _, comment := range comments(root) {
		out = bytes.ReplaceAll(out, []byte(comment), []byte(address.Redact(comment)))
	}
	for _, secret := range secrets {
		if i := bytes.Index(out, []byte(secret)); i >= 0 && (len(secret) >= 8 || strings.Contains(secret, ":")) {
			d.fail(mark{bytes.Count(out[:i], []byte("\n")) + 1, 1}, "", "the secret of an address stands here too; take it out, since the run keeps a copy of the config")
		}
	}
	return out
}

// addressNodes are the values of the backends' key url, in the order of the file.
func addressNodes(root *yaml.Node) (out []*yaml.Node) {
	for _, list := range valuesOf(root, "backends") {
		for _, b := range list.Content {
			out = append(out, valuesOf(b, "url")...)
		}
	}
	return out
}

func valuesOf(n *yaml.Node, key string) (out []*yaml.Node) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				out = append(out, n.Content[i+1])
			}
		}
	}
	return out
}

// offset is the byte at which a place begins; columns count characters.
func offset(data []byte, m mark) int {
	pos := 0
	for range m.line - 1 {
		pos += bytes.IndexByte(data[pos:], '\n') + 1
	}
	line := string(data[pos:])
	for i := range line {
		if m.col--; m.col == 0 {
			return pos + i
		}
	}
	return len(data)
}

// written is the length of a scalar that stands at the beginning of data letter by
// letter, quotes included; 0: it is written in another way.
func written(data []byte, value string) int {
	for _, quote := range []string{"", `"`, `'`} {
		if form := quote + value + quote; bytes.HasPrefix(data, []byte(form)) {
			return len(form)
		}
	}
	return 0
}

// comments are the lines of the file's comments in which an address has a secret.
func comments(n *yaml.Node) (out []string) {
	for _, c := range []string{n.HeadComment, n.LineComment, n.FootComment} {
		for line := range strings.Lines(c) {
			if line = strings.TrimSpace(line); address.Redact(line) != line {
				out = append(out, line)
			}
		}
	}
	for _, child := range n.Content {
		out = append(out, comments(child)...)
	}
	return out
}
