// Package cpulist reads and writes lists of processors as Linux and taskset write them: 0,2-5.
package cpulist

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Max is the largest number of processors that a kernel can be built for.
const Max = 8192

// Parse returns a list's processors in its order. An empty list, a range that runs backwards and a processor named
// twice are errors.
func Parse(s string) ([]int, error) {
	var out []int
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := number(from)
		b := a
		if err == nil && isRange {
			b, err = number(to)
		}
		if err != nil {
			return nil, fmt.Errorf("%q in the list of processors is neither a number nor a range such as 2-5", part)
		}
		if b < a {
			return nil, fmt.Errorf("%q in the list of processors runs backwards", part)
		}
		for cpu := a; cpu <= b; cpu++ {
			if slices.Contains(out, cpu) {
				return nil, fmt.Errorf("processor %d stands in the list twice", cpu)
			}
			out = append(out, cpu)
		}
	}
	return out, nil
}

func number(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && (n >= Max || s != strconv.FormatUint(n, 10)) {
		err = strconv.ErrRange
	}
	return int(n), err
}

// Format writes processors in their order, those that follow each other as a range.
func Format(cpus []int) string {
	var out []string
	for i := 0; i < len(cpus); {
		k := i
		for k+1 < len(cpus) && cpus[k+1] == cpus[k]+1 {
			k++
		}
		part := strconv.Itoa(cpus[i])
		if k > i {
			part += "-" + strconv.Itoa(cpus[k])
		}
		out, i = append(out, part), k+1
	}
	return strings.Join(out, ",")
}
