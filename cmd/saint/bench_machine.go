package main

import (
	"bufio"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/saint-gnn/saint/internal/cpufeat"
	"github.com/saint-gnn/saint/internal/kernels/peak"
	"github.com/saint-gnn/saint/internal/memlimit"
	"github.com/saint-gnn/saint/internal/workers"
)

// machine knows what the machine can do at most, measured in the process whose figures are
// compared with it.
type machine struct {
	threads int
	groups  map[int]*workers.Group
	bytes   map[int]float64 // by threads, 1/s
}

func newMachine(threads int) *machine {
	return &machine{threads: threads, groups: map[int]*workers.Group{}, bytes: map[int]float64{}}
}

func (m *machine) close() {
	for _, g := range m.groups {
		g.Close()
	}
}

// forget measures the rate of memory anew when it is next asked for: on a shared machine it
// changes.
func (m *machine) forget() { clear(m.bytes) }

// around measures a limit now and again when the returned function is called, which gives the
// greater: what is compared with it ran in between.
func around(limit func(threads int) float64, threads int) func() float64 {
	before := limit(threads)
	return func() float64 { return max(before, limit(threads)) }
}

// group returns the threads that kernels run on.
func (m *machine) group(threads int) *workers.Group {
	if m.groups[threads] == nil {
		m.groups[threads] = workers.New(threads)
	}
	return m.groups[threads]
}

// peakFlops returns the multiply-add rate of that many threads in operations a second.
func (m *machine) peakFlops(threads int) float64 {
	return 1e9 * peak.GFLOPS(m.group(threads), cpufeat.Chosen(), benchTimes.peak)
}

// peakTiles returns the rate of products on tiles, of six bfloat16 products each, or 0 if the
// instruction set in use has none.
func (m *machine) peakTiles(threads int) float64 {
	return 1e9 * peak.Tiles(m.group(threads), cpufeat.Chosen(), benchTimes.peak)
}

// peakBytes returns the rate at which that many threads read memory in bytes a second.
func (m *machine) peakBytes(threads int) float64 {
	if m.bytes[threads] == 0 {
		m.bytes[threads] = peak.Bandwidth(m.group(threads), benchTimes.peak)
	}
	return m.bytes[threads]
}

// scaling returns 1, 2, 4, ... up to and with the number of threads.
func (m *machine) scaling() []int {
	var counts []int
	for t := 1; t < m.threads; t *= 2 {
		counts = append(counts, t)
	}
	return append(counts, m.threads)
}

// machineLine is the JSON of the machine, the first line of every benchmark.
type machineLine struct {
	Type       string  `json:"type"`
	CPU        string  `json:"cpu"`
	ISA        string  `json:"isa"`
	Cores      int     `json:"cores"`
	Threads    int     `json:"threads"`
	Memory     int64   `json:"memory_bytes"`
	OS         string  `json:"os"`
	Arch       string  `json:"arch"`
	Go         string  `json:"go"`
	Version    string  `json:"version"`
	Revision   string  `json:"revision,omitempty"`
	Date       string  `json:"date"` // UTC
	Flops1     float64 `json:"peak_flops_1"`
	Flops      float64 `json:"peak_flops"`
	Tiles1     float64 `json:"peak_tile_flops_1,omitempty"`
	Tiles      float64 `json:"peak_tile_flops,omitempty"`
	Bandwidth1 float64 `json:"peak_bytes_per_s_1"`
	Bandwidth  float64 `json:"peak_bytes_per_s"`

	head []string // for people, in place of what the fields say
}

func (m *machine) line() machineLine {
	return machineLine{
		Type: "machine", CPU: cpuModel(), ISA: cpufeat.Chosen().String(), Cores: runtime.NumCPU(), Threads: m.threads,
		Memory: memlimit.Bytes(), OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(), Version: version, Revision: revision(),
		Date: time.Now().UTC().Format("2006-01-02"), Flops1: m.peakFlops(1), Flops: m.peakFlops(m.threads),
		Tiles1: m.peakTiles(1), Tiles: m.peakTiles(m.threads),
		Bandwidth1: m.peakBytes(1), Bandwidth: m.peakBytes(m.threads),
	}
}

// cpuModel returns the processor's name where the system tells it.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close() //nolint:errcheck // opened for reading
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return runtime.GOARCH
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// slug makes a file name of a machine.
func (l *machineLine) slug() string {
	name := strings.NewReplacer("(R)", "", "(r)", "", "(TM)", "", "(tm)", "", "CPU", "", "Processor", "").Replace(l.CPU)
	name = notInNames.ReplaceAllString(strings.ToLower(name), "-")
	return strings.Trim(name, "-") + "-" + l.ISA + "-" + strconv.Itoa(l.Threads)
}
