package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/saint-gnn/saint/internal/atomicfile"
)

// figure is one measurement and the JSON of it.
type figure struct {
	Type    string  `json:"type"`
	Name    string  `json:"name"` // kind/data or shape/what
	Threads int     `json:"threads"`
	Value   float64 `json:"value"` // median of the repeats
	Unit    string  `json:"unit"`
	Low     float64 `json:"low"` // least and greatest of the repeats
	High    float64 `json:"high"`
	Repeats int     `json:"repeats"`

	Rate     float64 `json:"rate,omitempty"` // work by time, at the median
	RateUnit string  `json:"rate_unit,omitempty"`
	Peak     float64 `json:"peak,omitempty"` // the most that is possible, in the rate's unit
	// Share is the rate over what the same threads can do at most.
	Share *float64 `json:"share_of_peak,omitempty"`
	// Efficiency is the speed over that of one thread, by thread.
	Efficiency *float64 `json:"scaling_efficiency,omitempty"`
	Allocs     *float64 `json:"allocations,omitempty"` // of an operation, in the steady state
	Work       string   `json:"work,omitempty"`        // sizes of an operation

	More map[string]float64 `json:"more,omitempty"`
}

// newFigure summarises samples in the given unit.
func newFigure(name string, threads int, unit string, samples []float64) figure {
	sorted := slices.Sorted(slices.Values(samples))
	return figure{
		Type: "bench", Name: name, Threads: threads, Value: median(sorted), Unit: unit, Low: sorted[0], High: sorted[len(sorted)-1],
		Repeats: len(sorted),
	}
}

// kind returns what was measured: gemm, step and so on.
func (f *figure) kind() string {
	kind, _, _ := strings.Cut(f.Name, "/")
	return kind
}

// median returns the middle of sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// rate sets what was done a second, and its share of the most that is possible.
func (f *figure) rate(perSecond float64, unit string, scale, most float64) {
	f.Rate, f.RateUnit = perSecond/scale, unit
	if most > 0 {
		f.Peak = most / scale
		share := perSecond / most
		f.Share = &share
	}
}

// efficiency compares with the speed of one thread.
func (f *figure) efficiency(speedup float64) {
	e := speedup / float64(f.Threads)
	f.Efficiency = &e
}

// benchReport prints figures as they come and keeps them for a table on disk.
type benchReport struct {
	env     *env
	machine machineLine
	figures []figure
	kind    string // of the last row on the terminal
}

func newBenchReport(e *env, m *machine) (*benchReport, error) {
	e.log.Info("measuring what the machine can do at most")
	r := &benchReport{env: e, machine: m.line()}
	if e.json {
		return r, e.printJSON(r.machine)
	}
	for _, l := range r.machine.lines() {
		if err := e.printf("%s\n", l); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// lines describes the machine for people.
func (l *machineLine) lines() []string {
	if l.head != nil {
		return l.head
	}
	limits := fmt.Sprintf("multiply-adds on registers: %.0f GFLOP/s on one thread; reads of memory: %.1f GB/s", l.Flops1/1e9, l.Bandwidth1/1e9)
	if l.Threads > 1 {
		limits = fmt.Sprintf("multiply-adds on registers: %.0f GFLOP/s on one thread, %.0f on %d; reads of memory: %.1f GB/s on one thread, %.1f on %d",
			l.Flops1/1e9, l.Flops/1e9, l.Threads, l.Bandwidth1/1e9, l.Bandwidth/1e9, l.Threads)
	}
	if l.Tiles > 0 {
		limits += fmt.Sprintf("; products on tiles, six of bfloat16 each: %.0f GFLOP/s on one thread, %.0f on %d", l.Tiles1/1e9, l.Tiles/1e9, l.Threads)
	}
	return []string{
		fmt.Sprintf("%s, %d cores, %s/%s, %.0f GiB of memory", l.CPU, l.Cores, l.OS, l.Arch, float64(l.Memory)/(1<<30)),
		fmt.Sprintf("saint %s, %s, instruction set %s, %s, %s", l.Version, l.Go, l.ISA, countNoun(l.Threads, "thread"), l.Date),
		limits,
	}
}

func countNoun(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// add prints a figure.
func (r *benchReport) add(f figure) error {
	r.figures = append(r.figures, f)
	if r.env.json {
		return r.env.printJSON(f)
	}
	head := ""
	if kind := f.kind(); kind != r.kind {
		r.kind = kind
		c := benchColumns
		head = "\n" + fmt.Sprintf(benchRow, c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8])
	}
	c := f.cells()
	return r.env.printf("%s%s", head, fmt.Sprintf(benchRow, c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8]))
}

const benchRow = "%-44s %7s %16s %19s %18s %8s %10s %7s  %s\n"

var benchColumns = [9]string{"what", "threads", "median", "range", "rate", "of peak", "scaling", "allocs", "work"}

// cells returns the texts of a row.
func (f *figure) cells() [9]string {
	c := [9]string{
		f.Name, strconv.Itoa(f.Threads), digits(f.Value) + " " + f.Unit, digits(f.Low) + " … " + digits(f.High),
		"", "", "", "", f.Work,
	}
	if f.RateUnit != "" {
		c[4] = digits(f.Rate) + " " + f.RateUnit
	}
	if f.Share != nil {
		c[5] = fmt.Sprintf("%.0f %%", 100**f.Share)
	}
	if f.Efficiency != nil {
		c[6] = fmt.Sprintf("%.2f", *f.Efficiency)
	}
	if f.Allocs != nil {
		c[7] = fmt.Sprintf("%.1f", *f.Allocs)
	}
	return c
}

// digits prints a number with about four significant digits.
func digits(x float64) string {
	switch a := math.Abs(x); {
	case a >= 100:
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.3f", x)
	}
}

// finish writes the table to path, or below it under the machine's name if it is a folder.
func (r *benchReport) finish(path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, r.machine.slug()+".md")
	}
	err := atomicfile.Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, r.markdown())
		return err
	})
	if err == nil {
		r.env.log.Info("table written to " + path)
	}
	return err
}

// markdown returns the machine and the table.
func (r *benchReport) markdown() string {
	var b strings.Builder
	title := r.machine.CPU + ", " + countNoun(r.machine.Threads, "thread")
	if r.machine.head != nil {
		title = r.machine.CPU
	}
	fmt.Fprintf(&b, "# %s\n\n", title)
	for _, l := range r.machine.lines() {
		fmt.Fprintf(&b, "- %s\n", l)
	}
	kind := ""
	for _, f := range r.byKind() {
		if k := f.kind(); k != kind {
			kind = k
			fmt.Fprintf(&b, "\n## %s\n\n| %s |\n|%s\n", k, strings.Join(benchColumns[:], " | "), strings.Repeat("---|", len(benchColumns)))
		}
		cells := f.cells()
		fmt.Fprintf(&b, "| %s |\n", strings.Join(cells[:], " | "))
	}
	return b.String()
}
