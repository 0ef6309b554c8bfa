package synth

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

func generate(t testing.TB, name string, seed uint64) *formats.RawDataset {
	t.Helper()
	ds, err := Generate(t.Context(), name, seed, Options{})
	if err != nil {
		t.Fatalf("Generate(%q, %d): %v", name, seed, err)
	}
	return ds
}

// small is a preset that takes every branch of a large one in a fraction of its time.
func small(t testing.TB) Preset {
	t.Helper()
	p, err := Lookup("ppi-like")
	if err != nil {
		t.Fatal(err)
	}
	p.Nodes, p.Edges, p.Features, p.NoiseColumns = 10_000, 80_000, 12, 2
	return p
}

// sum hashes everything that Generate returns.
func sum(t testing.TB, ds *formats.RawDataset) string {
	t.Helper()
	h := sha256.New()
	h.Write([]byte(ds.Full.Fingerprint() + ds.Train.Fingerprint()))
	for _, part := range []any{
		ds.Features, ds.Labels.Class, ds.Labels.Multi, ds.TrainNodes, ds.ValNodes, ds.TestNodes,
	} {
		if err := binary.Write(h, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// The bytes of tiny are frozen on every platform: a change is a change of everybody's
// results and belongs in the changelog under [CHANGE].
func TestFrozen(t *testing.T) {
	const want = "27e4b8283d3aa42c430bf6f161121a8c96de954bc7742b9dbc78e32a6acd2dc0"
	if got := sum(t, generate(t, "tiny", 1)); got != want {
		t.Errorf("SHA-256 of synth:tiny?seed=1 = %s, want %s", got, want)
	}
}

func TestSameBytesForAnyNumberOfProcessors(t *testing.T) {
	presets := []Preset{presets[0], small(t)}
	if !testing.Short() {
		presets = append(presets, Presets()[2])
	}
	for _, p := range presets {
		t.Run(p.Name, func(t *testing.T) {
			sumOf := func(seed uint64) string {
				ds, err := p.Generate(t.Context(), seed, Options{})
				if err != nil {
					t.Fatal(err)
				}
				return sum(t, ds)
			}
			old := runtime.GOMAXPROCS(1)
			defer runtime.GOMAXPROCS(old)
			one := sumOf(3)
			runtime.GOMAXPROCS(4)
			if four := sumOf(3); four != one {
				t.Errorf("seed 3 differs between 1 and 4 processors: %s, %s", one, four)
			}
			if sumOf(4) == one {
				t.Error("seeds 3 and 4 give the same data")
			}
		})
	}
}

func TestLoad(t *testing.T) {
	ds, err := Load(t.Context(), "synth:tiny?seed=5", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := sum(t, ds), sum(t, generate(t, "tiny", 5)); got != want {
		t.Errorf("Load gives %s, Generate %s", got, want)
	}
	if ds.Name != "synth:tiny" {
		t.Errorf("Name = %q, want synth:tiny", ds.Name)
	}
	if _, err := Load(t.Context(), "synth:huge", Options{}); err == nil {
		t.Error("Load of an unknown name: no error")
	}
}

func TestProgress(t *testing.T) {
	var stages []string
	last := map[string][2]int64{}
	_, err := small(t).Generate(t.Context(), 1, Options{Progress: func(stage string, done, total int64) {
		if prev, ok := last[stage]; !ok {
			stages = append(stages, stage)
		} else if done < prev[0] {
			t.Errorf("%s: done falls from %d to %d", stage, prev[0], done)
		}
		last[stage] = [2]int64{done, total}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"nodes", "edges", "labels", "features"}; !slices.Equal(stages, want) {
		t.Errorf("stages = %v, want %v", stages, want)
	}
	for stage, p := range last {
		if p[0] != p[1] || p[1] == 0 {
			t.Errorf("%s ends at %d of %d", stage, p[0], p[1])
		}
	}
}

func TestCancel(t *testing.T) {
	for _, at := range []string{"", "nodes", "edges", "labels", "features"} {
		ctx, cancel := context.WithCancel(t.Context())
		if at == "" {
			cancel()
		}
		_, err := small(t).Generate(ctx, 1, Options{Progress: func(stage string, done, total int64) {
			if stage == at && (done < total || stage == "nodes" || stage == "labels") {
				cancel()
			}
		}})
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Generate cancelled in stage %q: error = %v, want context.Canceled", at, err)
		}
	}
}

func TestCustomPreset(t *testing.T) {
	base, err := Lookup("tiny")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		change  func(*Preset)
		wantErr string
	}{
		{"two nodes, no edge", func(p *Preset) { p.Nodes, p.Edges = 2, 0 }, ""},
		{"fewer edges than nodes", func(p *Preset) { p.Edges = 300 }, ""},
		{"all nodes train", func(p *Preset) { p.Train, p.Val = 100, 0 }, ""},
		{"everything noise", func(p *Preset) { p.NoiseColumns, p.LabelNoise = p.Features, 1 }, ""},
		{"uniform degrees", func(p *Preset) { p.Tail = 0; p.Shift = 1 }, ""},
		{"one community a class", func(p *Preset) { p.Communities = p.Classes; p.Within = 1 }, ""},
		{"separate roles, many communities", func(p *Preset) { p.Communities, p.SplitEdges, p.Within = 300, true, 0.3 }, ""},
		{"one node", func(p *Preset) { p.Nodes, p.Edges = 1, 0 }, "1 nodes"},
		{"too many edges", func(p *Preset) { p.Edges = 2_000_000 }, "2000000 edges"},
		{"too dense communities", func(p *Preset) { p.Edges, p.Communities, p.Within = 200_000, 100, 1 }, "edges fit"},
		{"too few communities", func(p *Preset) { p.Communities = 3 }, "3 communities for 5 classes"},
		{"too much noise", func(p *Preset) { p.NoiseColumns = 17 }, "17 noise"},
		{"split", func(p *Preset) { p.Train, p.Val = 80, 30 }, "split 80 % training, 30 % validation"},
		{"probability", func(p *Preset) { p.Within = math.NaN() }, "probability NaN"},
		{"tail", func(p *Preset) { p.Cut = 0 }, "positive cut"},
		{"shift", func(p *Preset) { p.Shift = 1.1 }, "shift 1.1"},
		{"minimum", func(p *Preset) { p.MinEdges = -1 }, "-1 edges a node"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := base
			tt.change(&p)
			ds, err := p.Generate(t.Context(), 1, Options{})
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error = %v, want it to contain %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkGraph(t, ds)
			if got, want := ds.Full.NumEdges(), 2*p.Edges; got != want {
				t.Errorf("%d entries, want %d", got, want)
			}
		})
	}
}

// TestMemory adds up all allocations of flickr-like: the features must not exist twice.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("large: runs without -short")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ds := generate(t, "flickr-like", 1)
	runtime.ReadMemStats(&after)
	result := uint64(4*len(ds.Features)) + uint64(4*ds.Full.NumEdges()+4*ds.Train.NumEdges()) + 16*uint64(ds.Full.NumNodes())
	if got := after.TotalAlloc - before.TotalAlloc; got > result*3/2 {
		t.Errorf("generation allocates %d bytes in all for a result of %d, want at most half more", got, result)
	}
	runtime.KeepAlive(ds)
}

func BenchmarkGenerate(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ds := generate(b, name, 1)
				b.SetBytes(int64(4*len(ds.Features)) + 4*ds.Full.NumEdges())
			}
		})
	}
}

func ExampleGenerate() {
	ds, err := Generate(context.Background(), "tiny", 1, Options{})
	if err != nil {
		panic(err)
	}
	fmt.Println(ds.Name, ds.Full.NumNodes(), ds.Full.NumEdges(), ds.Dim, ds.Labels.NumClasses)
	// Output: synth:tiny 2000 20000 16 5
}
