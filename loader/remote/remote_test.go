package remote_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/loader/loadertest"
	"github.com/saint-gnn/saint/loader/remote"
	"github.com/saint-gnn/saint/samplers"
)

const testName = "test"

// dataset offers cfg as every phase up to its own.
func dataset(cfg loader.Config) remote.Dataset {
	d := remote.Dataset{Name: testName, Fingerprint: "data", Env: cfg.Env, Labels: cfg.Labels, Features: cfg.Features}
	for range cfg.Phase + 1 {
		d.Phases = append(d.Phases, remote.Phase{
			Sampler: cfg.Sampler, Params: "{}", NormKey: func(uint64) string { return "norm" },
			Norm: func(context.Context, uint64) (*samplers.Norm, error) { return cfg.Norm, nil },
		})
	}
	return d
}

func serverConfig(cfg loader.Config) remote.ServerConfig {
	return remote.ServerConfig{
		Datasets: []remote.Dataset{dataset(cfg)}, Workers: cfg.Workers, Prefetch: cfg.Prefetch, Alloc: cfg.Alloc, DrainTimeout: time.Second,
	}
}

// clientConfig reads cfg from hosts.
func clientConfig(cfg loader.Config, hosts ...string) remote.Config {
	m := cfg.Meta(testName, "{}")
	m.Data, m.Norm = "data", "norm"
	return remote.Config{
		Hosts: hosts, Meta: m, From: cfg.From, To: cfg.To, Shard: cfg.Shard, Shards: cfg.Shards, Symmetric: cfg.Symmetric,
		Prefetch: cfg.Prefetch, Patience: 20 * time.Second,
	}
}

// running is a server on a loopback port.
type running struct {
	*remote.Server
	host string
	done chan error
}

func serve(t testing.TB, cfg remote.ServerConfig) *running {
	t.Helper()
	return serveAt(t, cfg, "127.0.0.1:0")
}

func serveAt(t testing.TB, cfg remote.ServerConfig, address string) *running {
	t.Helper()
	s, err := remote.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	for range 100 { // a client that tries an absent server on this machine may hold the port for a moment
		if err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
		l, err = net.Listen("tcp", address)
	}
	if err != nil {
		t.Error(err)
		return nil
	}
	r := &running{Server: s, host: l.Addr().String(), done: make(chan error, 1)}
	go func() { r.done <- s.Serve(l) }()
	t.Cleanup(func() { r.stop(t) })
	return r
}

func (r *running) stop(t testing.TB) {
	if r.done == nil {
		return
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	if err := <-r.done; err != nil {
		t.Errorf("Serve() = %v", err)
	}
	r.done = nil
}

// withServers is a client that stops its servers when it is closed.
type withServers struct {
	*remote.Client
	t       testing.TB
	servers []*running
}

func (w withServers) Close() error {
	err := w.Client.Close()
	for _, s := range w.servers {
		s.stop(w.t)
	}
	return err
}

func overLoopback(hosts int) func(t *testing.T) loadertest.Open {
	return func(t *testing.T) loadertest.Open {
		return func(ctx context.Context, cfg loader.Config) (loader.Source, error) {
			w := withServers{t: t}
			var names []string
			for range hosts {
				r := serve(t, serverConfig(cfg))
				w.servers = append(w.servers, r)
				names = append(names, r.host)
			}
			c := clientConfig(cfg, names...)
			c.Log = slog.New(slog.DiscardHandler)
			var err error
			if w.Client, err = remote.Open(ctx, c); err != nil {
				return nil, err
			}
			return w, nil
		}
	}
}

func TestContractShared(t *testing.T) {
	needsSharing(t)
	loadertest.Run(t, func(ctx context.Context, cfg loader.Config) (loader.Source, error) {
		folder := t.TempDir()
		sc, c := serverConfig(cfg), clientConfig(cfg)
		sc.SharedFolder, c.SharedFolder = folder, folder
		r := serve(t, sc)
		c.Hosts = []string{r.host}
		src, err := remote.Open(ctx, c)
		if err != nil {
			return nil, err
		}
		return withServers{Client: src, t: t, servers: []*running{r}}, nil
	})
}

func needsSharing(t testing.TB) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is shared on Linux only")
	}
}

func TestContract(t *testing.T) {
	for name, hosts := range map[string]int{"one host": 1, "three hosts": 3} {
		t.Run(name, func(t *testing.T) { loadertest.Run(t, overLoopback(hosts)(t)) })
	}
}

func next(t testing.TB, src loader.Source) *loader.Batch {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	b, err := src.Next(ctx)
	if err != nil {
		t.Fatalf("Next() = %v, want a batch", err)
	}
	return b
}

func expectNext(t testing.TB, src loader.Source, cfg loader.Config, i uint64) {
	t.Helper()
	b := next(t, src)
	defer b.Release()
	if err := loadertest.Diff(b, loadertest.Want(cfg, i)); err != nil {
		t.Fatal(err)
	}
}

func nextError(t testing.TB, src loader.Source) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	b, err := src.Next(ctx)
	if err == nil {
		b.Release()
		t.Fatal("Next() returned a batch, want an error")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Fatal("Next() hangs")
	}
	return err
}
