// Benchtable prints the output of go test -bench as one table, each figure beside the limit that the project has set itself. It
// judges nothing by its exit code: a shared machine is noisy, and a person reads the table.
package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
)

// limits are the project's own, by benchmark and unit; all are upper bounds.
var limits = []struct {
	bench, unit string
	limit       float64
}{
	{"StatusToScreen", "screen-p95-ms", 300},
	{"FanOut", "ratio", 1.5},
	{"FanOutManyViews", "ratio", 1.5},
	{"Bytes", "change-zstd-max-B", 1024},
	{"Bytes", "change-gzip-max-B", 1024},
	{"Bytes", "page-zstd-B", 61440},
	{"Bytes", "page-gzip-B", 61440},
	{"Memory/pods=5000/foreign=0", "peak-MiB", 120},
	{"Memory/pods=5000/foreign=20000", "peak-MiB", 200},
}

var suffix = regexp.MustCompile(`-\d+$`) // of GOMAXPROCS

func main() {
	table := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "benchmark\tfigure\tvalue\tlimit")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fields := strings.Fields(in.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			if strings.HasPrefix(in.Text(), "---") || strings.Contains(in.Text(), "FAIL") {
				fmt.Println(in.Text())
			}
			continue
		}
		name := suffix.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")
		for i := 2; i+1 < len(fields); i += 2 {
			row(table, name, fields[i+1], fields[i])
		}
	}
	_ = table.Flush()
}

func row(table *tabwriter.Writer, name, unit, value string) {
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || unit == "ns/op" && n == 0 {
		return
	}
	limit := ""
	for _, l := range limits {
		if l.bench == name && l.unit == unit {
			limit = fmt.Sprintf("≤ %g", l.limit)
			if n > l.limit {
				limit += "  over"
			}
		}
	}
	_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, unit, value, limit)
}
