package remote_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/formats/saintdir"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/loader/loadertest"
	"github.com/saint-gnn/saint/loader/remote"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// redditLike is what benchmarks read: the walks of table2/reddit2_rw.yml on the data folder that
// $SAINT_BENCH_DATA names, or else subgraphs of a similar size on a smaller graph.
func redditLike(t testing.TB) loader.Config {
	cfg := loader.Config{Workers: 4, Prefetch: 2, Symmetric: true}
	if folder := os.Getenv("SAINT_BENCH_DATA"); folder != "" {
		d, err := saintdir.Load(folder, saintdir.Options{})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Env = samplers.Env{Graph: d.Train, Train: d.TrainNodes}
		cfg.Labels, cfg.Features = &d.Labels, d.Features
		if cfg.Sampler, err = samplers.New("rw", cfg.Env, samplertest.Params{"num_root": 2000, "depth": 4}); err != nil {
			t.Fatal(err)
		}
	} else {
		const n, m, width = 120_000, 2_000_000, 602
		x := make([]float32, n*width)
		for i := range x {
			x[i] = float32(i) // memory that was never written to is one page
		}
		cfg.Env = samplertest.Env(samplertest.PowerLaw(n, m, 1))
		cfg.Labels = &formats.Labels{NumClasses: 41, Class: make([]int32, n)}
		cfg.Features = &loadertest.Matrix{Width: width, Values: x}
		cfg.Sampler = loadertest.Walk{Env: cfg.Env, Roots: 4000}
	}
	cfg.Norm = &samplers.Norm{Loss: make([]float32, cfg.Env.Graph.NumNodes()), Aggr: make([]float32, cfg.Env.Graph.NumEdges())}
	return cfg
}

// bare is arrow/flight's own server, with its defaults but for the size of messages: it sends
// the same records again and again.
type bare struct {
	flight.BaseFlightServer
	schema  *arrow.Schema
	records []arrow.Record
}

func (s *bare) DoGet(_ *flight.Ticket, out flight.FlightService_DoGetServer) error {
	w := flight.NewRecordWriter(out, ipc.WithSchema(s.schema))
	defer w.Close()
	for i := 0; ; i++ {
		if err := w.Write(s.records[i%len(s.records)]); err != nil {
			return err
		}
	}
}

func bareStream(b testing.TB, cfg loader.Config) *flight.Reader {
	m := cfg.Meta(testName, "{}")
	m.EdgeIDs = false
	s := &bare{schema: arrowrec.Schema(m)}
	p, err := loader.Open(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	for range 4 {
		batch := next(b, p)
		s.records = append(s.records, batch.Record(s.schema))
	}
	g := grpc.NewServer(grpc.MaxSendMsgSize(1 << 30))
	flight.RegisterFlightServiceServer(g, s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go g.Serve(l)
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close(); g.Stop(); p.Close() })
	get, err := flight.NewFlightServiceClient(conn).DoGet(b.Context(), &flight.Ticket{})
	if err != nil {
		b.Fatal(err)
	}
	r, err := flight.NewRecordReader(get)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// batchBytes is what a batch takes on the wire without edge ids, but for a kilobyte of header.
func batchBytes(b *loader.Batch) int64 {
	return int64(4*(len(b.Nodes)+len(b.Indptr)+len(b.Indices)+len(b.AdjNorm)+len(b.LossNorm)+len(b.Features)+len(b.Class)) + len(b.Multi))
}

func BenchmarkLoopback(b *testing.B) {
	cfg := redditLike(b)
	b.Run("arrow-flight-doget", func(b *testing.B) {
		r := bareStream(b, cfg)
		bytes := int64(0)
		begin := time.Now()
		for b.Loop() {
			if !r.Next() {
				b.Fatal(r.Err())
			}
			row, err := arrowrec.View(r.Record(), 0)
			if err != nil {
				b.Fatal(err)
			}
			bytes += batchBytes(&loader.Batch{Subgraph: row.Subgraph, Features: row.Features, Class: row.Class})
		}
		b.ReportMetric(float64(bytes)/time.Since(begin).Seconds()/1e9, "GB/s")
	})
	b.Run("bare-doget-only", func(b *testing.B) {
		r := bareStream(b, cfg)
		bytes := int64(0)
		begin := time.Now()
		for b.Loop() {
			if !r.Next() {
				b.Fatal(r.Err())
			}
			for _, c := range r.Record().Columns() {
				bytes += dataBytes(c.Data())
			}
		}
		b.ReportMetric(float64(bytes)/time.Since(begin).Seconds()/1e9, "GB/s")
	})
	b.Run("local", func(b *testing.B) {
		src, err := loader.Open(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		benchSource(b, src)
	})
	b.Run("remote", func(b *testing.B) { benchSource(b, remoteSource(b, cfg)) })
}

// dataBytes adds up the buffers of an array.
func dataBytes(d arrow.ArrayData) int64 {
	n := int64(0)
	for _, buf := range d.Buffers() {
		if buf != nil {
			n += int64(buf.Len())
		}
	}
	for _, c := range d.Children() {
		n += dataBytes(c)
	}
	return n
}

func remoteSource(b *testing.B, cfg loader.Config) loader.Source {
	r := serve(b, serverConfig(cfg))
	c := clientConfig(cfg, r.host)
	c.Meta.EdgeIDs = false
	src, err := remote.Open(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	return src
}

func benchSource(b *testing.B, src loader.Source) {
	defer src.Close()
	for range 8 {
		next(b, src).Release()
	}
	bytes := int64(0)
	begin := time.Now()
	for b.Loop() {
		batch, err := src.Next(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		bytes += batchBytes(batch)
		batch.Release()
	}
	b.ReportMetric(float64(bytes)/time.Since(begin).Seconds()/1e9, "GB/s")
}

// BenchmarkShared reads through shared memory: whole pipelines, and the ring alone with batches
// that are ready.
func BenchmarkShared(b *testing.B) {
	needsSharing(b)
	shared := func(b *testing.B, cfg loader.Config) {
		sc := serverConfig(cfg)
		sc.SharedFolder = remote.SharedFolder
		r := serve(b, sc)
		c := clientConfig(cfg, r.host)
		c.Meta.EdgeIDs, c.SharedFolder = false, remote.SharedFolder
		src, err := remote.Open(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		benchSource(b, src)
	}
	b.Run("pipeline", func(b *testing.B) { shared(b, redditLike(b)) })
	// The subgraphs have few nodes to draw and few edges to induce: making them costs little
	// beside copying their features.
	b.Run("wide", func(b *testing.B) {
		const n, width = 4000, 4000
		env := samplertest.Env(samplertest.PowerLaw(n, 4000, 1))
		shared(b, loader.Config{
			Env: env, Sampler: loadertest.Walk{Env: env, Roots: 1000}, Symmetric: true, Workers: 4, Prefetch: 2,
			Norm:     &samplers.Norm{Loss: make([]float32, n), Aggr: make([]float32, env.Graph.NumEdges())},
			Features: &loadertest.Matrix{Width: width, Values: make([]float32, n*width)},
		})
	})
}
