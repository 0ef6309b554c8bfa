package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/loader/loadertest"
	"github.com/saint-gnn/saint/loader/remote"
	"github.com/saint-gnn/saint/samplers"
)

// many is a configuration of so many batches.
func many(to uint64) loader.Config {
	cfg := loadertest.Config(loadertest.Kind{})
	cfg.Workers, cfg.Prefetch, cfg.To = 2, 1, to
	return cfg
}

func open(t testing.TB, cfg remote.Config) *remote.Client {
	t.Helper()
	c, err := remote.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func expectAll(t *testing.T, src loader.Source, cfg loader.Config, from, to uint64) {
	t.Helper()
	for i := from; i < to; i++ {
		expectNext(t, src, cfg, i)
	}
}

func TestServerIsKilledAndComesBack(t *testing.T) {
	cfg := many(0)
	r := serve(t, serverConfig(cfg))
	src := open(t, clientConfig(cfg, r.host))
	at := uint64(0)
	for kills := range 3 {
		expectAll(t, src, cfg, at, at+60)
		at += 60
		r.stop(t) // connections break in the middle of whatever is under way
		back := make(chan *running)
		go func() {
			time.Sleep(100 * time.Millisecond)
			back <- serveAt(t, serverConfig(cfg), r.host)
		}()
		expectAll(t, src, cfg, at, at+60)
		at += 60
		// What had arrived before is delivered first.
		for before := uint64(0); src.Stats().Reconnects <= int64(kills) && before < 50_000; before++ {
			expectNext(t, src, cfg, at)
			at++
		}
		r = <-back
	}
	if n := src.Stats().Reconnects; n < 3 {
		t.Errorf("%d reconnects, want at least 3", n)
	}
}

func TestOneOfTwoServersIsRemoved(t *testing.T) {
	const batches = 300
	cfg := many(batches)
	for name, remove := range map[string]func(*running){
		"killed":  func(r *running) { r.stop(t) },
		"drained": func(r *running) { r.Drain() },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := serve(t, serverConfig(cfg)), serve(t, serverConfig(cfg))
			src := open(t, clientConfig(cfg, a.host, b.host))
			expectAll(t, src, cfg, 0, 50)
			remove(a)
			expectAll(t, src, cfg, 50, batches)
			if err := nextError(t, src); !errors.Is(err, io.EOF) {
				t.Errorf("after the last batch: %v, want io.EOF", err)
			}
			if n := b.Stats().Batches; n < batches/2 {
				t.Errorf("the server that stayed sent %d batches, want at least half of %d", n, batches)
			}
		})
	}
}

func TestDrainEndsWhatIsOpen(t *testing.T) {
	cfg := many(0)
	r := serve(t, serverConfig(cfg))
	c := clientConfig(cfg, r.host)
	c.Patience = 300 * time.Millisecond
	src := open(t, c)
	expectAll(t, src, cfg, 0, 20)
	begin := time.Now()
	r.Drain()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("draining took %v", took)
	}
	for i := uint64(20); ; i++ {
		b, err := src.Next(t.Context())
		if err != nil {
			if !strings.Contains(err.Error(), "no server has sent batch") {
				t.Errorf("Next() = %v, want an error that says that no server is left", err)
			}
			break
		}
		if err := loadertest.Diff(b, loadertest.Want(cfg, i)); err != nil {
			t.Fatal(err)
		}
		b.Release()
	}
	if st := r.Stats(); st.Status != "draining" || st.Streams != 0 || st.BatchBytes != 0 {
		t.Errorf("after draining: %+v, want no streams and no memory", st)
	}
}

func TestOtherDataIsRefused(t *testing.T) {
	cfg := many(10)
	for want, change := range map[string]func(*remote.Config){
		"is not the one here":       func(c *remote.Config) { c.Meta.Data = "other" },
		"normalisation has key":     func(c *remote.Config) { c.Meta.Norm = "other" },
		"samples by {}":             func(c *remote.Config) { c.Meta.Sampler = "[]" },
		"its batches are":           func(c *remote.Config) { c.Meta.NumNodes-- },
		"no data set \"elsewhere\"": func(c *remote.Config) { c.Meta.Dataset = "elsewhere" },
		"no phase 9":                func(c *remote.Config) { c.Meta.Phase = 9 },
	} {
		t.Run(want, func(t *testing.T) {
			r := serve(t, serverConfig(cfg))
			c := clientConfig(cfg, r.host)
			change(&c)
			src := open(t, c)
			for range 2 {
				if err := nextError(t, src); !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("Next() = %v, want one line with %q", err, want)
				}
			}
		})
	}
}

func TestBadBatchIsFinal(t *testing.T) {
	cfg := many(0)
	m := *cfg.Features.(*loadertest.Matrix)
	var gathered atomic.Int32
	m.Before = func([]int32) error {
		if gathered.Add(1) > 4 {
			return errors.New("disk on fire")
		}
		return nil
	}
	cfg.Features, cfg.Workers = &m, 1
	r := serve(t, serverConfig(cfg))
	src := open(t, clientConfig(cfg, r.host))
	for {
		b, err := src.Next(t.Context())
		if err != nil {
			var call *remote.CallError
			if !errors.As(err, &call) || !strings.Contains(err.Error(), "batch 4 of phase 2: features: disk on fire") {
				t.Errorf("Next() = %v, want the failure of batch 4", err)
			}
			break
		}
		b.Release()
	}
	if n := src.Stats().Reconnects; n != 0 {
		t.Errorf("%d reconnects, want none", n)
	}
	if st := r.Stats(); st.StreamsFailed != 1 {
		t.Errorf("%d streams failed, want 1", st.StreamsFailed)
	}
}

func TestNormalisationIsMadeOnce(t *testing.T) {
	cfg := many(5)
	sc := serverConfig(cfg)
	var made atomic.Int32
	sc.Datasets[0].Phases[cfg.Phase].Norm = func(ctx context.Context, _ uint64) (*samplers.Norm, error) {
		made.Add(1)
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return cfg.Norm, nil
	}
	r := serve(t, sc)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			src := open(t, clientConfig(cfg, r.host))
			expectAll(t, src, cfg, 0, 5)
		})
	}
	all.Go(func() {
		info, err := remote.WaitNorm(t.Context(), clientConfig(cfg, r.host))
		if err != nil || info.Key != "norm" || info.Data != "data" || info.Seed != cfg.Seed || info.Phase != cfg.Phase {
			t.Errorf("WaitNorm = %+v, %v", info, err)
		}
	})
	all.Wait()
	if n := made.Load(); n != 1 {
		t.Errorf("the normalisation was made %d times, want once", n)
	}
}

func TestFailedNormalisationIsTriedAgain(t *testing.T) {
	cfg := many(3)
	sc := serverConfig(cfg)
	var calls atomic.Int32
	sc.Datasets[0].Phases[cfg.Phase].Norm = func(context.Context, uint64) (*samplers.Norm, error) {
		switch calls.Add(1) {
		case 1:
			return nil, errors.New("no luck")
		case 2:
			panic("worse")
		}
		return cfg.Norm, nil
	}
	r := serve(t, sc)
	for _, want := range []string{"normalisation: no luck", "panic: worse"} {
		if err := nextError(t, open(t, clientConfig(cfg, r.host))); !strings.Contains(err.Error(), want) {
			t.Errorf("Next() = %v, want %q", err, want)
		}
	}
	expectAll(t, open(t, clientConfig(cfg, r.host)), cfg, 0, 3)
}

func TestNormalisationNobodyWaitsForStops(t *testing.T) {
	cfg := many(3)
	sc := serverConfig(cfg)
	started, stopped := make(chan struct{}), make(chan struct{})
	sc.Datasets[0].Phases[cfg.Phase].Norm = func(ctx context.Context, _ uint64) (*samplers.Norm, error) {
		close(started)
		<-ctx.Done()
		close(stopped)
		return nil, ctx.Err()
	}
	r := serve(t, sc)
	src := open(t, clientConfig(cfg, r.host))
	<-started
	src.Close()
	select {
	case <-stopped:
	case <-time.After(20 * time.Second):
		t.Fatal("the normalisation goes on although nobody waits for it")
	}
}

func TestNormalisationsAreBounded(t *testing.T) {
	cfg := many(1)
	sc := serverConfig(cfg)
	sc.MaxNorms = 3
	r := serve(t, sc)
	for seed := range uint64(20) {
		c := clientConfig(cfg, r.host)
		c.Meta.Seed = seed
		next(t, open(t, c)).Release()
	}
	if st := r.Stats(); st.Norms > 3 || st.NormsMade != 20 {
		t.Errorf("%d normalisations kept of %d, want at most 3 of 20", st.Norms, st.NormsMade)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	cfg := many(0)
	sc := serverConfig(cfg)
	sc.MaxStreams = 1
	r := serve(t, sc)
	first := open(t, clientConfig(cfg, r.host))
	next(t, first).Release()
	c := clientConfig(cfg, r.host)
	c.Patience = 200 * time.Millisecond
	if err := nextError(t, open(t, c)); !strings.Contains(err.Error(), "1 streams are open") {
		t.Errorf("Next() = %v, want the limit", err)
	}
	second := open(t, clientConfig(cfg, r.host))
	time.AfterFunc(200*time.Millisecond, func() { first.Close() })
	expectAll(t, second, cfg, 0, 5)
}

func TestMemoryIsBounded(t *testing.T) {
	cfg := many(0)
	sc := serverConfig(cfg)
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	sc.MaxMemory, sc.Alloc = 4<<10, mem
	r := serve(t, sc)
	c := clientConfig(cfg, r.host)
	c.Patience = 200 * time.Millisecond
	src := open(t, c)
	for {
		b, err := src.Next(t.Context())
		if err != nil {
			if !strings.Contains(err.Error(), "the batches of all streams") {
				t.Errorf("Next() = %v, want the limit", err)
			}
			break
		}
		b.Release()
	}
	src.Close()
	r.stop(t)
	mem.AssertSize(t, 0)
}

// A client that takes nothing fills its window, keeps its own batches and harms nobody.
func TestStalledClient(t *testing.T) {
	cfg := many(0)
	wide := &loadertest.Matrix{Width: 5000, Values: make([]float32, 300*5000)}
	cfg.Features = wide
	sc := serverConfig(cfg)
	sc.IdleTimeout = 300 * time.Millisecond
	r := serve(t, sc)
	stalled := open(t, clientConfig(cfg, r.host))
	busy := open(t, clientConfig(cfg, r.host))
	for begin := time.Now(); r.Stats().ClientsCut == 0 && time.Since(begin) < 20*time.Second; {
		next(t, busy).Release()
	}
	busy.Close()
	if st := r.Stats(); st.ClientsCut == 0 {
		t.Errorf("%+v: the stalled client was not cut off", st)
	}
	expectAll(t, stalled, cfg, 0, 30) // it does not notice
	stalled.Close()
	eventually(t, func() error {
		if st := r.Stats(); st.Streams != 0 || st.BatchBytes != 0 {
			return fmt.Errorf("%+v: streams or bytes are left", st)
		}
		return nil
	})
}

func eventually(t testing.TB, check func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Error(err)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestFind(t *testing.T) {
	cfg := many(3)
	r := serve(t, serverConfig(cfg))
	c := clientConfig(cfg, "127.0.0.1:1", r.host)
	c.Meta.Dataset = "" // what it is called there is the question
	if name, err := remote.Find(t.Context(), c); name != testName || err != nil {
		t.Errorf("Find = %q, %v, want %q", name, err, testName)
	}
	c.Meta.Data = "other"
	var input *formats.InputError
	if _, err := remote.Find(t.Context(), c); !errors.As(err, &input) || !strings.Contains(err.Error(), "serves other data") {
		t.Errorf("Find(other data) = %v, want an InputError", err)
	}
	c.Hosts = c.Hosts[:1]
	if _, err := remote.Find(t.Context(), c); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("Find without a server = %v, want an error that names the host", err)
	}
}

func TestParseSource(t *testing.T) {
	for _, tc := range []struct {
		source, hosts string
		secure        bool
	}{
		{"grpc://a:1", "a:1", false},
		{"grpcs://a:1,b:2", "a:1 b:2", true},
		{"grpc://a:1,b,c", "a:1 b:1 c:1", false},
		{"grpc://[::1]:8815,127.0.0.1:8816", "[::1]:8815 127.0.0.1:8816", false},
	} {
		hosts, secure, err := remote.ParseSource(tc.source)
		if got := strings.Join(hosts, " "); err != nil || got != tc.hosts || secure != tc.secure {
			t.Errorf("ParseSource(%s) = %s, %t, %v, want %s, %t", tc.source, got, secure, err, tc.hosts, tc.secure)
		}
	}
	for _, bad := range []string{
		"", "a:1", "http://a:1", "grpc://", "grpc://a", "grpc://:1", "grpc://a:0", "grpc://a:99999", "grpc://a:x", "grpc://a:1/x",
		"grpc://a:1,a:1", "grpc://a:1,", "grpc://u@a:1", "grpc://" + strings.Repeat("a,", 300),
	} {
		if hosts, _, err := remote.ParseSource(bad); err == nil {
			t.Errorf("ParseSource(%.40s) = %v, want an error", bad, hosts)
		}
	}
}

func TestOpenChecks(t *testing.T) {
	good := clientConfig(many(3), "127.0.0.1:1")
	for want, change := range map[string]func(*remote.Config){
		"0 hosts":      func(c *remote.Config) { c.Hosts = nil },
		"prefetch":     func(c *remote.Config) { c.Prefetch = -1 },
		"first batch":  func(c *remote.Config) { c.From = 4 },
		"shard 2 of 2": func(c *remote.Config) { c.Shard, c.Shards = 2, 2 },
		"product":      func(c *remote.Config) { c.Hosts = []string{"a:1", "b:1"}; c.Shards = 1 << 62 },
		"saint.labels": func(c *remote.Config) { c.Meta.Labels = "x" },
		"name":         func(c *remote.Config) { c.Meta.Dataset = strings.Repeat("x", 300) },
	} {
		c := good
		change(&c)
		if _, err := remote.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open = %v, want an error with %q", err, want)
		}
	}
}

// A ticket's shards go up to the largest number that it can say.
func TestMostShards(t *testing.T) {
	cfg := many(0)
	r := serve(t, serverConfig(cfg))
	for shard, want := range map[uint64][]uint64{
		0: {0, math.MaxInt64, 2 * math.MaxInt64}, 1: {1, math.MaxInt64 + 1, math.MaxUint64}, math.MaxInt64 - 1: {math.MaxInt64 - 1, 2*math.MaxInt64 - 1},
	} {
		c := cfg
		c.Shard, c.Shards = shard, math.MaxInt64
		src := open(t, clientConfig(c, r.host))
		for _, i := range want {
			expectNext(t, src, cfg, i)
		}
		if err := nextError(t, src); !errors.Is(err, io.EOF) {
			t.Errorf("shard %d: Next() = %v, want io.EOF", shard, err)
		}
	}
}
