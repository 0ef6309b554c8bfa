package loader_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/loader/loadertest"
	"github.com/saint-gnn/saint/samplers"
)

// open starts a pipeline on a checked allocator and closes it at the end of the test.
func open(t testing.TB, cfg loader.Config) *loader.Pipeline {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	cfg.Alloc = mem
	p, err := loader.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		mem.AssertSize(t, 0)
		if n := p.Stats().Bytes; n != 0 {
			t.Errorf("Stats().Bytes = %d after Close, want 0", n)
		}
	})
	return p
}

// drain takes batches until the first error and returns their number.
func drain(t testing.TB, p *loader.Pipeline, check func(b *loader.Batch) error) (uint64, error) {
	t.Helper()
	for n := uint64(0); ; n++ {
		b, err := p.Next(t.Context())
		if err != nil {
			return n, err
		}
		if err := check(b); err != nil {
			t.Error(err)
		}
		b.Release()
	}
}

func TestOpenRejects(t *testing.T) {
	tests := []struct {
		name, want string
		damage     func(c *loader.Config)
	}{
		{"no sampler", "required", func(c *loader.Config) { c.Sampler = nil }},
		{"no graph", "required", func(c *loader.Config) { c.Env.Graph = nil }},
		{"no norm", "required", func(c *loader.Config) { c.Norm = nil }},
		{"workers", "-1 workers", func(c *loader.Config) { c.Workers = -1 }},
		{"prefetch", "prefetch -1", func(c *loader.Config) { c.Prefetch = -1 }},
		{"from after to", "first batch 5 lies after the end 4", func(c *loader.Config) { c.From, c.To = 5, 4 }},
		{"shard", "shard 2 of 2", func(c *loader.Config) { c.Shard, c.Shards = 2, 2 }},
		{"shard of none", "shard 1 of 0", func(c *loader.Config) { c.Shard = 1 }},
		{"norm nodes", "normalisation of 1 nodes for a graph of 300", func(c *loader.Config) { c.Norm = &samplers.Norm{Loss: make([]float32, 1)} }},
		{"norm edges", "normalisation of 1 edges", func(c *loader.Config) {
			c.Norm = &samplers.Norm{Loss: make([]float32, 300), Aggr: make([]float32, 1)}
		}},
		{"features", "features of 1 nodes", func(c *loader.Config) { c.Features = &loadertest.Matrix{Width: 1, Values: make([]float32, 1)} }},
		{"labels", "labels do not match", func(c *loader.Config) { c.Labels = &formats.Labels{NumClasses: 1, Class: make([]int32, 1)} }},
		{"multi labels", "labels do not match", func(c *loader.Config) { c.Labels = &formats.Labels{NumClasses: 2, Multi: make([]uint8, 300)} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := loadertest.Config(loadertest.Kind{})
			tt.damage(&cfg)
			p, err := loader.Open(t.Context(), cfg)
			if err == nil {
				p.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestIndices(t *testing.T) {
	const most = math.MaxUint64
	tests := []struct {
		from, to, shard, shards uint64
		want                    []uint64
	}{
		{0, 3, 0, 0, []uint64{0, 1, 2}},
		{2, 2, 0, 1, nil},
		{0, 0, 0, 1, []uint64{0, 1, 2, 3, 4}},
		{3, 11, 1, 3, []uint64{4, 7, 10}},
		{4, 11, 1, 3, []uint64{4, 7, 10}},
		{5, 6, 1, 3, nil},
		{most - 2, 0, 0, 1, []uint64{most - 2, most - 1, most}},
		{most - 2, 0, 1, 2, []uint64{most - 2, most}},
		{most, 0, 0, 2, nil},
		{most - 1, most, 0, 1, []uint64{most - 1}},
	}
	for _, tt := range tests {
		cfg := loader.Config{From: tt.from, To: tt.to, Shard: tt.shard, Shards: tt.shards}
		if got := cfg.Indices(5); !slices.Equal(got, tt.want) {
			t.Errorf("indices from %d to %d, shard %d of %d = %v, want %v", tt.from, tt.to, tt.shard, tt.shards, got, tt.want)
		}
	}
}

// However slow the consumer, there are no more batches than promised.
func TestBackPressure(t *testing.T) {
	for _, workers := range []int{1, 3} {
		for _, prefetch := range []int{0, 2} {
			t.Run(fmt.Sprint(workers, prefetch), func(t *testing.T) {
				backPressure(t, workers, prefetch)
			})
		}
	}
}

func backPressure(t *testing.T, workers, prefetch int) {
	var made atomic.Int64
	cfg := loadertest.Config(loadertest.Kind{})
	cfg.Sampler = loadertest.Hook{Sampler: cfg.Sampler, After: func([]int32) { made.Add(1) }}
	cfg.Workers, cfg.Prefetch = workers, prefetch
	p := open(t, cfg)
	bound := int64(workers + prefetch + 1)
	var held []*loader.Batch
	for int64(len(held)) < bound {
		b, err := p.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, b)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if _, err := p.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Next with every batch held = %v, want it to wait", err)
	}
	if got := made.Load(); got != bound {
		t.Errorf("%d batches made, want %d", got, bound)
	}
	for _, b := range held {
		b.Release()
	}
	b, err := p.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
}

// The k-th call to the store fails, for every k: what comes before the failed batch is right.
func TestFeatureStoreFailsAtEveryCall(t *testing.T) {
	boom := &formats.InputError{Path: "feats.npy", Offset: 7, Err: errors.New("boom")}
	const batches = 25
	plain := loadertest.Config(loadertest.Kind{})
	plain.To = batches
	for k := range int64(batches + 1) {
		cfg := plain
		cfg.Workers, cfg.Prefetch = 3, 1
		m := *cfg.Features.(*loadertest.Matrix)
		var calls atomic.Int64
		m.Before = func([]int32) error {
			if calls.Add(1) == k+1 {
				return boom
			}
			return nil
		}
		cfg.Features = &m
		p := open(t, cfg)
		n, err := drain(t, p, func(b *loader.Batch) error { return loadertest.Diff(b, loadertest.Want(plain, b.Index)) })
		if k == batches {
			if n != batches || !errors.Is(err, io.EOF) {
				t.Errorf("without a failure: %d batches, then %v", n, err)
			}
			continue
		}
		var stage *loader.StageError
		var input *formats.InputError
		if !errors.As(err, &stage) || !errors.As(err, &input) || !errors.Is(err, boom) {
			t.Fatalf("call %d: Next = %v, want a StageError that wraps the store's InputError", k, err)
		}
		if stage.Index != n || stage.Stage != "features" || stage.Phase != cfg.Phase {
			t.Errorf("call %d: %+v after %d batches, want features of that batch", k, stage, n)
		}
	}
}

// Of many failures the consumer sees the lowest, whichever worker is faster.
func TestLowestFailureWins(t *testing.T) {
	plain := loadertest.Config(loadertest.Kind{})
	for range 30 {
		bad := map[int32]bool{}
		cfg := plain
		cfg.Workers, cfg.Prefetch = 7, 3
		for _, k := range []uint64{5, 6, 7, 8, 9} {
			bad[int32(len(loadertest.Want(plain, k).Nodes))] = true
		}
		first := uint64(0)
		for !bad[int32(len(loadertest.Want(plain, first).Nodes))] {
			first++
		}
		cfg.Sampler = loadertest.Hook{Sampler: cfg.Sampler, After: func(nodes []int32) {
			time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			if bad[int32(len(nodes))] {
				panic("bad")
			}
		}}
		n, err := drain(t, open(t, cfg), func(*loader.Batch) error { return nil })
		var stage *loader.StageError
		if !errors.As(err, &stage) || stage.Index != first || n != first {
			t.Fatalf("%d batches, then %v; want %d and the failure of that one", n, err, first)
		}
	}
}

func explode(nodes []int32) { _ = nodes[len(nodes)] }

func TestPanicBecomesError(t *testing.T) {
	cause := errors.New("cause")
	tests := []struct {
		name, want string
		after      func(nodes []int32)
		is         error
	}{
		{"value", "batch 0 of phase 2: sample: panic: oops at loader_test.TestPanicBecomesError", func([]int32) { panic("oops") }, nil},
		{"error", "panic: cause at ", func([]int32) { panic(cause) }, cause},
		{"runtime", "index out of range", explode, nil},
		{"runtime stack", "loader_test.explode (pipeline_test.go:", explode, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := loadertest.Config(loadertest.Kind{})
			cfg.Sampler = loadertest.Hook{Sampler: cfg.Sampler, After: tt.after}
			_, err := open(t, cfg).Next(t.Context())
			var p *loader.PanicError
			if !errors.As(err, &p) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Next = %v, want one line with %q", err, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("errors.Is(%v, %v) = false", err, tt.is)
			}
		})
	}
}

func TestSamplerOutsideGraph(t *testing.T) {
	cfg := loadertest.Config(loadertest.Kind{})
	cfg.Sampler = constant{nodes: []int32{1, 300}}
	_, err := open(t, cfg).Next(t.Context())
	if err == nil || !strings.Contains(err.Error(), "batch 0 of phase 2: sample: sampled node 300 is not in the graph") {
		t.Errorf("Next = %v, want an error that names node 300", err)
	}
}

type constant struct{ nodes []int32 }

func (constant) Budget() int { return 1 }

func (c constant) SampleNodes(_ *rand.Rand, _ *samplers.Scratch, dst []int32) []int32 {
	return append(dst, c.nodes...)
}

// An empty subgraph is a batch like any other.
func TestEmptyAndIsolated(t *testing.T) {
	for _, nodes := range [][]int32{nil, {299}} {
		cfg := loadertest.Config(loadertest.Kind{})
		cfg.Sampler, cfg.To = constant{nodes: nodes}, 3
		n, err := drain(t, open(t, cfg), func(b *loader.Batch) error { return loadertest.Diff(b, loadertest.Want(cfg, b.Index)) })
		if n != 3 || !errors.Is(err, io.EOF) {
			t.Errorf("nodes %v: %d batches, then %v; want 3 and io.EOF", nodes, n, err)
		}
	}
}

// upper is a SubgraphSampler that keeps edges to larger ids only and brings its own memory.
type upper struct {
	samplers.Sampler
	env  samplers.Env
	skip int // where in its slices the result starts
}

func (u upper) SampleSubgraph(r *rand.Rand, s *samplers.Scratch, dst *formats.Subgraph) error {
	full := formats.Subgraph{}
	if err := samplers.Draw(u.Sampler, u.env, r, &samplers.Scratch{}, &full); err != nil {
		return err
	}
	own := formats.Subgraph{
		Nodes: append(make([]int32, u.skip), full.Nodes...), Indptr: make([]int32, u.skip+1), Indices: make([]int32, u.skip), EdgeIDs: make([]int64, u.skip),
	}
	for v := range full.NumNodes() {
		for k := full.Indptr[v]; k < full.Indptr[v+1]; k++ {
			if int(full.Indices[k]) > v {
				own.Indices, own.EdgeIDs = append(own.Indices, full.Indices[k]), append(own.EdgeIDs, full.EdgeIDs[k])
			}
		}
		own.Indptr = append(own.Indptr, int32(len(own.Indices)-u.skip))
	}
	dst.Nodes, dst.Indptr, dst.Indices, dst.EdgeIDs = own.Nodes[u.skip:], own.Indptr[u.skip:], own.Indices[u.skip:], own.EdgeIDs[u.skip:]
	return nil
}

// A sampler's own, non-symmetric edges get a transpose of their own although the training
// graph is symmetric, and its memory is not kept.
func TestSubgraphSampler(t *testing.T) {
	for _, skip := range []int{0, 3} {
		cfg := loadertest.Config(loadertest.Kind{})
		cfg.Sampler = upper{Sampler: cfg.Sampler, env: cfg.Env, skip: skip}
		cfg.Workers, cfg.To = 2, 20
		n, err := drain(t, open(t, cfg), checkTranspose)
		if n != 20 || !errors.Is(err, io.EOF) {
			t.Errorf("%d batches, then %v; want 20 and io.EOF", n, err)
		}
	}
}

func checkTranspose(b *loader.Batch) error {
	for v := range b.NumNodes() {
		for k := b.TransIndptr[v]; k < b.TransIndptr[v+1]; k++ {
			e := b.TransPerm[k]
			if b.Indices[e] != int32(v) || b.TransNorm[k] != b.AdjNorm[e] {
				return fmt.Errorf("batch %d: entry %d of the transpose is not entry %d", b.Index, k, e)
			}
			if u := b.TransIndices[k]; e < b.Indptr[u] || e >= b.Indptr[u+1] {
				return fmt.Errorf("batch %d: entry %d is not in row %d", b.Index, e, u)
			}
		}
	}
	if len(b.TransPerm) != b.NumEdges() || b.NumEdges() == 0 {
		return fmt.Errorf("batch %d: %d entries of %d transposed", b.Index, len(b.TransPerm), b.NumEdges())
	}
	return nil
}

func TestRelease(t *testing.T) {
	cfg := loadertest.Config(loadertest.Kind{})
	cfg.Workers, cfg.To = 1, 2
	p := open(t, cfg)
	b, err := p.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.Close() // nothing refills the memory
	nodes := b.Nodes
	b.Release()
	if invariants.Enabled && (uint32(nodes[0]) != 0xcccccccc || uint32(nodes[len(nodes)-1]) != 0xcccccccc) {
		t.Errorf("released nodes = %x…, want poison", nodes[0])
	}
	defer func() {
		if v := recover(); (v != nil) != invariants.Enabled {
			t.Errorf("second Release: panic %v, want one under invariants only", v)
		}
	}()
	b.Release()
}

// sum returns the SHA-256 of the first batches as a stream, and of one record's columns
// that they are the batch's own memory.
func sum(t *testing.T, cfg loader.Config) string {
	t.Helper()
	schema := arrowrec.Schema(cfg.Meta("synth", `{"sampler":"walk"}`))
	w := arrowrec.NewWriter(&bytes.Buffer{}, schema)
	_, err := drain(t, open(t, cfg), func(b *loader.Batch) error {
		rec := b.Record(schema)
		defer rec.Release()
		v, err := arrowrec.View(rec, 0)
		if err != nil {
			return err
		}
		if unsafe.SliceData(v.Indices) != unsafe.SliceData(b.Indices) || unsafe.SliceData(v.Features) != unsafe.SliceData(b.Features) {
			return errors.New("Record copied a column")
		}
		return w.Write(rec)
	})
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.Sum256()
}

func TestStreamIndependentOfWorkers(t *testing.T) {
	for _, kind := range []loadertest.Kind{{}, {Directed: true, Multi: true}, {Bare: true}} {
		cfg := loadertest.Config(kind)
		cfg.Workers, cfg.To = 1, 12
		want := sum(t, cfg)
		for _, workers := range []int{2, 4, 7} {
			cfg.Workers = workers
			if got := sum(t, cfg); got != want {
				t.Errorf("%+v: sum with %d workers = %s, want %s", kind, workers, got, want)
			}
		}
	}
}

// In virtual time: four workers of one second a batch feed a consumer of one second, so
// that after the first second nobody waits, and the statistics add up.
func TestOverlap(t *testing.T) {
	// The stream keeps channels in a sync.Pool, and a bubble's channels must not leave it.
	empty := func() { runtime.GC(); runtime.GC() }
	empty()
	synctest.Test(t, func(t *testing.T) {
		const batches = 20
		cfg := loadertest.Config(loadertest.Kind{})
		cfg.Sampler = loadertest.Hook{Sampler: cfg.Sampler, After: func([]int32) { time.Sleep(time.Second) }}
		cfg.Workers, cfg.Prefetch, cfg.To = 4, 2, batches
		p, err := loader.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for range batches {
			b, err := p.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			b.Release()
		}
		if got, want := time.Since(start), (batches+1)*time.Second; got != want {
			t.Errorf("%d batches took %v, want %v", batches, got, want)
		}
		s := p.Stats()
		if s.Batches != batches || s.Busy != batches*time.Second || s.Wait != time.Second {
			t.Errorf("Stats() = %+v, want %d batches, busy %ds, wait 1s", s, batches, batches)
		}
		p.Close()
		synctest.Wait()
		empty()
	})
	empty()
}

// In the steady state a batch costs a few small closures, whatever its size.
func TestAllocations(t *testing.T) {
	if invariants.Enabled {
		t.Skip("invariants allocate")
	}
	cfg := loadertest.Config(loadertest.Kind{})
	cfg.Workers, cfg.Prefetch = 2, 2
	p, err := loader.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	next := func() {
		b, err := p.Next(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		b.Release()
	}
	for range 300 {
		next()
	}
	const most = 8
	if n := testing.AllocsPerRun(500, next); n > most {
		t.Errorf("%v allocations a batch, want at most %d", n, most)
	}
}

func ExampleOpen() {
	cfg := loadertest.Config(loadertest.Kind{})
	cfg.Workers, cfg.Prefetch, cfg.To = 4, 2, 3
	p, err := loader.Open(context.Background(), cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	for {
		b, err := p.Next(context.Background())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("batch %d: %d nodes, %d edges\n", b.Index, b.NumNodes(), b.NumEdges())
		b.Release()
	}
	// Output:
	// batch 0: 34 nodes, 128 edges
	// batch 1: 34 nodes, 116 edges
	// batch 2: 32 nodes, 110 edges
}
