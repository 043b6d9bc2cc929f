package address

import (
	"regexp"
	"strings"
)

// Variable is an environment variable in an address. A bare $ may be part of a
// password, a brace cannot.
var Variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// Login is what stands between the slashes and the @ of an address.
func Login(s string) (string, bool) {
	_, rest, _ := strings.Cut(s, "//")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	i := strings.LastIndexByte(rest, '@')
	return rest[:max(i, 0)], i > 0
}

// IsSecret tells whether a login or a query holds more than a name, or names, and variables: user:${PASSWORD} and
// key=${TOKEN} may be kept as they are. by stands between name and value.
func IsSecret(s, by string) bool {
	if !Variable.MatchString(s) {
		return true
	}
	for part := range strings.SplitSeq(s, "&") {
		if _, value, ok := strings.Cut(part, by); ok {
			part = value
		}
		if Variable.ReplaceAllString(part, "") != "" {
			return true
		}
	}
	return false
}
