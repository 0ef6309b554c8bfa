package loader_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/loader/loadertest"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// powerLaw is a configuration of Flickr's size: 89 thousand nodes, 900 thousand edges.
func powerLaw(features int) loader.Config {
	const n, m = 89_000, 450_000
	env := samplertest.Env(samplertest.PowerLaw(n, m, 1))
	norm := &samplers.Norm{Loss: make([]float32, n), Aggr: make([]float32, env.Graph.NumEdges())}
	cfg := loader.Config{Env: env, Sampler: loadertest.Walk{Env: env, Roots: 4000}, Norm: norm, Symmetric: true, Prefetch: 2}
	cfg.Labels = &formats.Labels{NumClasses: 7, Class: make([]int32, n)}
	if features > 0 {
		cfg.Features = &loadertest.Matrix{Width: features, Values: make([]float32, n*features)}
	}
	return cfg
}

func BenchmarkPipeline(b *testing.B) {
	for _, features := range []int{0, 500} {
		cfg := powerLaw(features)
		for _, workers := range []int{1, 2, 4} {
			b.Run(fmt.Sprintf("powerlaw-n=89k-draws=8k/f=%d/workers=%d", features, workers), func(b *testing.B) {
				cfg.Workers = workers
				p, err := loader.Open(b.Context(), cfg)
				if err != nil {
					b.Fatal(err)
				}
				defer p.Close()
				next := func() int {
					batch, err := p.Next(context.Background())
					if err != nil {
						b.Fatal(err)
					}
					defer batch.Release()
					return batch.NumEdges()
				}
				for range 2 * (workers + 3) {
					next() // buffers grow
				}
				edges := 0
				b.ReportAllocs()
				for b.Loop() {
					edges += next()
				}
				b.ReportMetric(float64(edges)/b.Elapsed().Seconds(), "edges/s")
			})
		}
	}
}

func BenchmarkTranspose(b *testing.B) {
	for _, symmetric := range []bool{true, false} {
		b.Run(fmt.Sprintf("powerlaw-n=89k-draws=8k/symmetric=%t", symmetric), func(b *testing.B) {
			cfg := powerLaw(0)
			cfg.To, cfg.Workers = 1, 1
			p, err := loader.Open(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer p.Close()
			batch, err := p.Next(context.Background())
			if err != nil {
				b.Fatal(err)
			}
			own := loader.NewBatch(nil)
			own.Subgraph = batch.Subgraph
			var tr loader.Transposer
			tr.Apply(own, symmetric)
			b.ReportAllocs()
			for b.Loop() {
				tr.Apply(own, symmetric)
			}
			b.ReportMetric(float64(own.NumEdges())*float64(b.N)/b.Elapsed().Seconds(), "edges/s")
		})
	}
}
