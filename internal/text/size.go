// SPDX-License-Identifier: MIT

package text

import (
	"strconv"
	"strings"
)

// Size prints a number of bytes with the largest binary prefix that leaves 1 or more, to three significant digits and
// all digits before the point: "720 B", "1.5 GiB", "1020 MiB", "4.03 TiB".
func Size(bytes int64) string {
	v, units := float64(bytes), []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	for {
		digits := 2
		switch {
		case v >= 99.95:
			digits = 0
		case v >= 9.995:
			digits = 1
		}
		s := strconv.FormatFloat(v, 'f', digits, 64)
		if s == "1024" && len(units) > 1 || v > 1024 {
			v, units = v/1024, units[1:]
			continue
		}
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s + " " + units[0]
	}
}
