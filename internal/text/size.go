package text

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size prints a number of bytes with the largest binary prefix that leaves 1 or more, to three significant digits and
// all digits before the point: "720 B", "1.5 GiB", "1020 MiB", "4.03 TiB".
func Size(bytes int64) string {
	return scaled(float64(bytes), 1024, []string{" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"})
}

// Count prints a number of things likewise, as people say it of parameters: "720", "103 K", "1.24 B".
func Count(n int64) string {
	return scaled(float64(n), 1000, []string{"", " K", " M", " B", " T"})
}

func scaled(v, step float64, units []string) string {
	for {
		digits := 2
		switch {
		case v >= 99.95:
			digits = 0
		case v >= 9.995:
			digits = 1
		}
		s := strconv.FormatFloat(v, 'f', digits, 64)
		if shown, _ := strconv.ParseFloat(s, 64); shown >= step && len(units) > 1 {
			v, units = v/step, units[1:]
			continue
		}
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s + units[0]
	}
}

// ParseCount reads a number of parameters as people write it: 8B, 1.5b, 500M, 124439808.
func ParseCount(s string) (int64, error) {
	scale := 1.0
	digits := s
	for suffix, v := range map[string]float64{"K": 1e3, "M": 1e6, "B": 1e9} {
		if cut, ok := strings.CutSuffix(strings.ToUpper(s), suffix); ok {
			digits, scale = cut, v
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(n*scale >= 1 && n*scale <= 1e15) {
		return 0, fmt.Errorf("%q is no number of parameters; write for example 8B, 500M or 124439808", s)
	}
	return int64(math.Round(n * scale)), nil
}
