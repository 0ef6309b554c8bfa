package trainer

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/synth"
	_ "github.com/saint-gnn/saint/internal/cpu"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/rundir"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// backend opens a CPU backend for the test.
func backend(t testing.TB, threads int) tensor.Backend {
	t.Helper()
	b, err := tensor.Open("cpu", tensor.Options{Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// discrete is a CPU that pretends to have memory of its own.
type discrete struct{ tensor.Backend }

func (d discrete) Caps() tensor.Caps {
	c := d.Backend.Caps()
	c.SharedMemory = false
	return c
}

func (discrete) Import(*tensor.Tensor, tensor.DType, int, int, []byte) error {
	return errors.New("memory is not shared")
}

func newArena(t testing.TB, b tensor.Backend) tensor.Arena {
	t.Helper()
	a, err := b.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// parse returns the configuration of that text.
func parse(t testing.TB, text string) *trainconfig.Config {
	t.Helper()
	c, err := trainconfig.Parse("test.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// yaml makes a configuration from lines of the network, the parameters and the phases.
func yaml(network, params, phases string) string {
	item := func(text string) string {
		return "  - " + strings.Join(strings.Split(text, "; "), "\n    ") + "\n"
	}
	out := "network:\n" + item(network) + "params:\n" + item(params) + "phase:\n"
	for _, p := range strings.Split(phases, " | ") {
		out += item(p)
	}
	return out
}

// small is a generated graph on which an epoch takes milliseconds.
var small = synth.Preset{
	Name: "small", Nodes: 300, Edges: 1200, Features: 12, Classes: 3, Train: 60, Val: 20,
	Communities: 6, Within: 0.8, Tail: 30, Cut: 1e-2, MinEdges: 1,
	LabelNoise: 0.05, Signal: 0.6, ClassShare: 0.5, NoiseColumns: 2,
}

func generate(t testing.TB, p synth.Preset) *formats.Dataset {
	t.Helper()
	raw, err := p.Generate(context.Background(), 1, synth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := raw.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// rows hides that features lie in memory; fail, if not nil, ends Gather with an error.
type rows struct {
	formats.FeatureStore
	fail error
}

func (r rows) Gather(dst []float32, ids []int32) error {
	if r.fail != nil {
		return r.fail
	}
	return r.FeatureStore.Gather(dst, ids)
}

// newModel builds the model of a configuration with parameters moved away from their initial
// values, so that biases, scales and running statistics matter.
func newModel(t testing.TB, c *trainconfig.Config, features, classes int, b tensor.Backend) *Model {
	t.Helper()
	m, err := NewModel(c, features, classes, b, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	q := newQueue(t, b)
	r := rand.New(rand.NewPCG(3, 4))
	for _, p := range m.Seq.Params() {
		v := nntest.Download(q, p.Value)
		for i := range v {
			v[i] += float32(0.2 * r.NormFloat64())
			if strings.HasSuffix(p.Name, "running_var") {
				v[i] = float32(math.Abs(float64(v[i]))) + 0.1
			}
		}
		nntest.Set(q, p.Value, v)
	}
	return m
}

func newQueue(t testing.TB, b tensor.Backend) tensor.Queue {
	t.Helper()
	q, err := b.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

// newDir makes a run folder.
func newDir(t testing.TB) *rundir.Dir {
	t.Helper()
	d, err := rundir.Create(filepath.Join(t.TempDir(), "run"), rundir.Info{State: rundir.Running}, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sameFile(t testing.TB, what, got, want string) {
	t.Helper()
	if !bytes.Equal(readFile(t, got), readFile(t, want)) {
		t.Errorf("%s: %s differs from that of the first run", what, filepath.Base(got))
	}
}

// logger collects what is logged.
func logger(buf *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(buf, nil)) }

// wantError fails the test unless err says all of parts.
func wantError(t testing.TB, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s succeeded, want an error with %q", what, parts)
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%s = %v, want it to say %q", what, err, p)
		}
	}
}

// randomGraph has about degree neighbours a row, in one direction only if directed; the last
// two nodes are isolated.
func randomGraph(n, degree int, directed, weighted bool) *formats.Graph {
	r := rand.New(rand.NewPCG(5, uint64(n)))
	adj := make([]map[int32]float32, n)
	for v := range adj {
		adj[v] = map[int32]float32{}
	}
	for range (n - 2) * degree {
		u, v := r.IntN(n-2), r.IntN(n-2)
		w := 0.1 + r.Float32()
		adj[v][int32(u)] = w
		if !directed {
			adj[u][int32(v)] = w
		}
	}
	g := &formats.Graph{Indptr: []int64{0}}
	for _, row := range adj {
		ids := make([]int32, 0, len(row))
		for u := range row {
			ids = append(ids, u)
		}
		slices.Sort(ids)
		for _, u := range ids {
			g.Indices = append(g.Indices, u)
			if weighted {
				g.Weights = append(g.Weights, row[u])
			}
		}
		g.Indptr = append(g.Indptr, int64(len(g.Indices)))
	}
	return g
}

func randomFeatures(n, dim int) *formats.Matrix {
	r := rand.New(rand.NewPCG(6, uint64(n)))
	x := make([]float32, n*dim)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return formats.NewMatrix(x, dim)
}
