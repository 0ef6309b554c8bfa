package loadertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/saint-gnn/saint/loader"
)

// Open makes the Source under test deliver the batches of cfg until ctx ends. A remote one
// starts a server with cfg, whose functions and allocator stay in this process.
type Open func(ctx context.Context, cfg loader.Config) (loader.Source, error)

// patience is how long anything in the suite may take before it counts as stuck.
const patience = 20 * time.Second

// Run checks that sources from open keep the contract of [loader.Source]: contents and
// order, end, cancellation, failures, resumption, shards, releases and leaks.
func Run(t *testing.T, open Open) {
	s := suite{open: open}
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"contents", s.contents},
		{"workers", s.workers},
		{"end", s.end},
		{"resume", s.resume},
		{"shards", s.shards},
		{"bounds", s.bounds},
		{"next cancelled", s.nextCancelled},
		{"source cancelled", s.sourceCancelled},
		{"close", s.close},
		{"close wakes next", s.closeWakesNext},
		{"features fail", s.featuresFail},
		{"sampler panics", s.samplerPanics},
		{"batches outlive close", s.outlive},
		{"released elsewhere", s.releasedElsewhere},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			c.test(t)
			eventually(t, "goroutines ended", func() error {
				if n := runtime.NumGoroutine(); n > before {
					return fmt.Errorf("%d goroutines, %d before", n, before)
				}
				return nil
			})
		})
	}
}

type suite struct{ open Open }

// source opens cfg with a checked allocator; the returned function closes it and checks
// that all memory came back.
func (s suite) source(ctx context.Context, t *testing.T, cfg loader.Config) (loader.Source, func()) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	cfg.Alloc = mem
	src, err := s.open(ctx, cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return src, func() {
		t.Helper()
		if err := src.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		eventually(t, "memory freed", func() error {
			if n := mem.CurrentAlloc(); n != 0 {
				return fmt.Errorf("%d bytes still allocated", n)
			}
			return nil
		})
		mem.AssertSize(t, 0)
	}
}

func expectBatch(t *testing.T, src loader.Source, cfg loader.Config, i uint64) {
	t.Helper()
	b := next(t, src)
	defer b.Release()
	if err := Diff(b, Want(cfg, i)); err != nil {
		t.Fatal(err)
	}
}

// expect takes batches from…to-1 in steps and compares them with Want(cfg).
func expect(t *testing.T, src loader.Source, cfg loader.Config, from, to, step uint64) {
	t.Helper()
	for i := from; i < to; i += step {
		expectBatch(t, src, cfg, i)
	}
}

func next(t *testing.T, src loader.Source) *loader.Batch {
	t.Helper()
	b, err := tryNext(t, src)
	if err != nil {
		t.Fatalf("Next() = %v, want a batch", err)
	}
	return b
}

func tryNext(t *testing.T, src loader.Source) (*loader.Batch, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return src.Next(ctx)
}

// expectError wants the same error from two calls.
func expectError(t *testing.T, src loader.Source, want error) {
	t.Helper()
	for range 2 {
		if _, err := tryNext(t, src); !errors.Is(err, want) {
			t.Fatalf("Next() = %v, want %v", err, want)
		}
	}
}

func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: %v", what, err)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func (s suite) contents(t *testing.T) {
	for _, kind := range []Kind{{}, {Directed: true}, {Multi: true}, {Bare: true}, {Directed: true, Multi: true}} {
		t.Run(fmt.Sprintf("%+v", kind), func(t *testing.T) {
			cfg := Config(kind)
			cfg.Workers, cfg.Prefetch, cfg.To = 2, 1, 8
			src, done := s.source(t.Context(), t, cfg)
			defer done()
			expect(t, src, cfg, 0, 8, 1)
			expectError(t, src, io.EOF)
		})
	}
}

func (s suite) workers(t *testing.T) {
	for _, workers := range []int{1, 2, 4, 7} {
		for _, prefetch := range []int{0, 3} {
			t.Run(fmt.Sprintf("%d prefetch %d", workers, prefetch), func(t *testing.T) {
				cfg := Config(Kind{})
				plain := cfg
				cfg.Sampler = Hook{Sampler: cfg.Sampler, After: func([]int32) {
					time.Sleep(time.Duration(rand.IntN(400)) * time.Microsecond)
				}}
				cfg.Workers, cfg.Prefetch, cfg.To = workers, prefetch, 40
				src, done := s.source(t.Context(), t, cfg)
				defer done()
				expect(t, src, plain, 0, 40, 1)
				expectError(t, src, io.EOF)
			})
		}
	}
}

func (s suite) end(t *testing.T) {
	cfg := Config(Kind{})
	cfg.Workers, cfg.From, cfg.To = 2, 5, 5
	src, done := s.source(t.Context(), t, cfg)
	expectError(t, src, io.EOF)
	done()

	cfg.From, cfg.To = 0, 0
	src, done = s.source(t.Context(), t, cfg)
	expect(t, src, cfg, 0, 50, 1)
	done()
}

func (s suite) resume(t *testing.T) {
	for _, from := range []uint64{1, 2, 13, 1 << 40} {
		cfg := Config(Kind{})
		cfg.Workers, cfg.Prefetch, cfg.From, cfg.To = 3, 1, from, from+5
		src, done := s.source(t.Context(), t, cfg)
		expect(t, src, cfg, from, from+5, 1)
		expectError(t, src, io.EOF)
		done()
	}
}

func (s suite) shards(t *testing.T) {
	const shards, from, to = 3, 4, 20
	for shard := range uint64(shards) {
		cfg := Config(Kind{})
		cfg.Workers, cfg.From, cfg.To, cfg.Shard, cfg.Shards = 2, from, to, shard, shards
		src, done := s.source(t.Context(), t, cfg)
		first := uint64(from)
		for first%shards != shard {
			first++
		}
		expect(t, src, cfg, first, to, shards)
		expectError(t, src, io.EOF)
		done()
	}
}

// Indices go up to the largest there is, in steps as large.
func (s suite) bounds(t *testing.T) {
	const most, shards = math.MaxUint64, 1 << 60
	for _, c := range []struct {
		from, to, shard, shards uint64
		want                    []uint64 // the first three
	}{
		{0, 0, 5, 1e9, []uint64{5, 1e9 + 5, 2e9 + 5}},
		{6, 0, 5, 1e9, []uint64{1e9 + 5, 2e9 + 5, 3e9 + 5}},
		{0, 1e9 + 5, 5, 1e9, []uint64{5}},
		{0, 5, 5, 1e9, nil},
		{14 * shards, 0, shards - 1, shards, []uint64{15*shards - 1, 16*shards - 1}},
		{most - 1, 0, 0, 1, []uint64{most - 1, most}},
		{most - 1, most, 0, 1, []uint64{most - 1}},
		{most, most, 0, 1, nil},
		{most, 0, 0, 1, []uint64{most}},
		{most, 0, 1, 2, []uint64{most}},
		{most, 0, 0, 2, nil},
	} {
		cfg := Config(Kind{})
		cfg.Workers, cfg.From, cfg.To, cfg.Shard, cfg.Shards = 2, c.from, c.to, c.shard, c.shards
		src, done := s.source(t.Context(), t, cfg)
		for _, i := range c.want {
			expectBatch(t, src, cfg, i)
		}
		if len(c.want) < 3 {
			expectError(t, src, io.EOF)
		}
		done()
	}
}

// A cancelled Next loses no batch.
func (s suite) nextCancelled(t *testing.T) {
	cfg := Config(Kind{})
	plain := cfg
	cfg.Sampler = Hook{Sampler: cfg.Sampler, After: func([]int32) { time.Sleep(200 * time.Microsecond) }}
	cfg.Workers, cfg.Prefetch = 2, 1
	src, done := s.source(t.Context(), t, cfg)
	defer done()
	for i := uint64(0); i < 30; {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(300))*time.Microsecond)
		b, err := src.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			continue
		}
		if err != nil {
			t.Fatalf("Next() = %v, want a batch or context.DeadlineExceeded", err)
		}
		if err := Diff(b, Want(plain, i)); err != nil {
			t.Fatal(err)
		}
		b.Release()
		i++
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := src.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next(cancelled) = %v, want context.Canceled", err)
	}
}

func (s suite) sourceCancelled(t *testing.T) {
	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		cfg := Config(Kind{})
		cfg.Workers, cfg.Prefetch = 3, 2
		src, done := s.source(ctx, t, cfg)
		expect(t, src, cfg, 0, rand.Uint64N(12), 1)
		if rand.IntN(2) == 0 {
			time.AfterFunc(time.Duration(rand.IntN(500))*time.Microsecond, cancel)
		} else {
			cancel()
		}
		for {
			b, err := tryNext(t, src)
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					t.Errorf("Next() after the source's context ended = %v, want context.Canceled", err)
				}
				break
			}
			b.Release()
		}
		expectError(t, src, context.Canceled)
		done()
	}
}

func (s suite) close(t *testing.T) {
	for _, taken := range []uint64{0, 1, 7} {
		cfg := Config(Kind{})
		cfg.Workers, cfg.Prefetch = 3, 2
		src, done := s.source(t.Context(), t, cfg)
		expect(t, src, cfg, 0, taken, 1)
		done()
		expectError(t, src, loader.ErrClosed)
		done()
	}
}

func (s suite) closeWakesNext(t *testing.T) {
	cfg := Config(Kind{})
	entered, gate := make(chan struct{}, 1), make(chan struct{})
	cfg.Sampler = Hook{Sampler: cfg.Sampler, After: func([]int32) {
		select {
		case entered <- struct{}{}:
		default: // a remote pipeline goes on until it hears of the end
		}
		<-gate
	}}
	cfg.Workers = 1
	src, done := s.source(t.Context(), t, cfg)
	woken := make(chan error, 1)
	go func() {
		_, err := tryNext(t, src)
		woken <- err
	}()
	<-entered
	closed := make(chan struct{})
	go func() { done(); close(closed) }()
	if err := <-woken; !errors.Is(err, loader.ErrClosed) {
		t.Errorf("Next() during Close = %v, want loader.ErrClosed", err)
	}
	close(gate)
	<-closed
}

// A failure comes after every batch before it, whatever the workers are doing.
func (s suite) failing(t *testing.T, k uint64, text string, breakIt func(cfg *loader.Config, at []int32)) {
	plain := Config(Kind{})
	cfg := plain
	cfg.Workers, cfg.Prefetch = 4, 2
	breakIt(&cfg, Want(plain, k).Nodes)
	src, done := s.source(t.Context(), t, cfg)
	defer done()
	expect(t, src, plain, 0, k, 1)
	for range 2 {
		_, err := tryNext(t, src)
		if err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), text) {
			t.Fatalf("Next() = %v, want an error with %q", err, text)
		}
		if want := fmt.Sprintf("batch %d of phase %d", k, cfg.Phase); !strings.Contains(err.Error(), want) {
			t.Errorf("Next() = %v, want an error that names %s", err, want)
		}
	}
}

func (s suite) featuresFail(t *testing.T) {
	for _, k := range []uint64{0, 1, 2, 9} {
		s.failing(t, k, "disk on fire", func(cfg *loader.Config, at []int32) {
			m := *cfg.Features.(*Matrix)
			m.Before = func(ids []int32) error {
				if slices.Equal(ids, at) {
					return errors.New("disk on fire")
				}
				return nil
			}
			cfg.Features = &m
		})
	}
}

func (s suite) samplerPanics(t *testing.T) {
	for _, k := range []uint64{0, 1, 2, 9} {
		s.failing(t, k, "sampler on fire", func(cfg *loader.Config, at []int32) {
			cfg.Sampler = Hook{Sampler: cfg.Sampler, After: func(nodes []int32) {
				if slices.Equal(nodes, at) {
					panic("sampler on fire")
				}
			}}
		})
	}
}

func (s suite) outlive(t *testing.T) {
	cfg := Config(Kind{})
	cfg.Workers, cfg.Prefetch = 2, 2
	src, done := s.source(t.Context(), t, cfg)
	var kept []*loader.Batch
	for range 3 {
		kept = append(kept, next(t, src))
	}
	if err := src.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	for i, b := range kept {
		if err := Diff(b, Want(cfg, uint64(i))); err != nil {
			t.Errorf("after Close: %v", err)
		}
		b.Release()
	}
	done()
}

func (s suite) releasedElsewhere(t *testing.T) {
	cfg := Config(Kind{})
	cfg.Workers, cfg.Prefetch = 2, 2
	src, done := s.source(t.Context(), t, cfg)
	batches, finished := make(chan *loader.Batch), make(chan struct{})
	go func() {
		defer close(finished)
		for b := range batches {
			b.Release()
		}
	}()
	for range 40 {
		batches <- next(t, src)
	}
	close(batches)
	<-finished
	done()
}
