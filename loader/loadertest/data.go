package loadertest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/rng"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/samplers"
	"github.com/saint-gnn/saint/samplers/samplertest"
)

// Kind chooses the awkward sides of a configuration.
type Kind struct {
	Directed bool // the graph is not symmetric
	Multi    bool // multi-label data
	Bare     bool // neither labels nor features
}

const (
	numNodes   = 300
	numEdges   = 1500
	numClasses = 4
	dim        = 5
)

// Config returns a configuration over a power-law graph of 300 nodes with hubs and isolated
// nodes. It sets neither Workers nor anything that chooses indices; its Alloc is nil.
func Config(k Kind) loader.Config {
	r := rng.New(7, rng.Test, 0, 0)
	g := samplertest.PowerLaw(numNodes, numEdges, 1)
	if k.Directed {
		edges := make([][2]int32, numEdges)
		for i := range edges {
			edges[i] = [2]int32{r.Int32N(numNodes), r.Int32N(numNodes)}
		}
		g = samplertest.Edges(numNodes, edges...)
	}
	norm := &samplers.Norm{Loss: make([]float32, numNodes), Aggr: make([]float32, g.NumEdges())}
	env := samplers.Env{Graph: g}
	for v := range int32(numNodes) {
		if v%3 != 1 {
			env.Train = append(env.Train, v)
			norm.Loss[v] = r.Float32() + 0.1
		}
	}
	for e := range norm.Aggr {
		norm.Aggr[e] = r.Float32() * 10
	}
	cfg := loader.Config{Env: env, Sampler: Walk{Env: env, Roots: 20}, Norm: norm, Symmetric: !k.Directed, Seed: 11, Phase: 2}
	if k.Bare {
		return cfg
	}
	cfg.Labels = labels(r, k.Multi)
	cfg.Features = features(r)
	return cfg
}

func labels(r *rand.Rand, multi bool) *formats.Labels {
	l := &formats.Labels{NumClasses: numClasses}
	if !multi {
		l.Class = make([]int32, numNodes)
		for v := range l.Class {
			l.Class[v] = r.Int32N(numClasses+1) - 1
		}
		return l
	}
	l.Multi = make([]uint8, numNodes*numClasses)
	for i := range l.Multi {
		l.Multi[i] = uint8(r.UintN(2))
	}
	return l
}

func features(r *rand.Rand) *Matrix {
	m := &Matrix{Width: dim, Values: make([]float32, numNodes*dim)}
	for i := range m.Values {
		m.Values[i] = r.Float32()
	}
	return m
}

// Walk draws Roots training nodes and a neighbour of each.
type Walk struct {
	Env   samplers.Env
	Roots int
}

// Budget returns 2·Roots.
func (s Walk) Budget() int { return 2 * s.Roots }

// SampleNodes implements samplers.Sampler.
func (s Walk) SampleNodes(r *rand.Rand, _ *samplers.Scratch, dst []int32) []int32 {
	for range s.Roots {
		v := s.Env.Train[r.IntN(len(s.Env.Train))]
		dst = append(dst, v)
		if row := s.Env.Graph.Neighbors(v); len(row) > 0 {
			dst = append(dst, row[r.IntN(len(row))])
		}
	}
	return dst
}

// Hook is a sampler that calls After with the sorted distinct nodes of every draw of
// Sampler, from the worker's goroutine; After may sleep or panic.
type Hook struct {
	samplers.Sampler
	After func(nodes []int32)
}

// SampleNodes implements samplers.Sampler.
func (h Hook) SampleNodes(r *rand.Rand, s *samplers.Scratch, dst []int32) []int32 {
	dst = h.Sampler.SampleNodes(r, s, dst)
	h.After(distinct(dst))
	return dst
}

func distinct(nodes []int32) []int32 {
	nodes = slices.Clone(nodes)
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// Matrix is a feature store in memory.
type Matrix struct {
	Width  int
	Values []float32
	// Before, if set, may fail a Gather.
	Before func(ids []int32) error
}

// Rows implements formats.FeatureStore.
func (m *Matrix) Rows() int { return len(m.Values) / m.Width }

// Dim implements formats.FeatureStore.
func (m *Matrix) Dim() int { return m.Width }

// Gather implements formats.FeatureStore.
func (m *Matrix) Gather(dst []float32, ids []int32) error {
	if m.Before != nil {
		if err := m.Before(ids); err != nil {
			return err
		}
	}
	for i, v := range ids {
		copy(dst[i*m.Width:(i+1)*m.Width], m.Values[int(v)*m.Width:])
	}
	return nil
}

// Want computes batch i of cfg the slow way, by looking at every pair of nodes. Features
// must be nil or a *Matrix.
func Want(cfg loader.Config, i uint64) *loader.Batch {
	g := cfg.Env.Graph
	b := loader.NewBatch(func(*loader.Batch) {})
	b.Phase, b.Index = cfg.Phase, i
	drawn := cfg.Sampler.SampleNodes(rng.New(cfg.Seed, rng.Sample, cfg.Phase, i), &samplers.Scratch{}, nil)
	b.Nodes, b.Indptr, b.TransIndptr = distinct(drawn), []int32{0}, []int32{0}
	at := map[[2]int32]int32{} // position of a local edge
	for i, v := range b.Nodes {
		b.LossNorm = append(b.LossNorm, cfg.Norm.Loss[v])
		for j, u := range b.Nodes {
			if e := g.Find(v, u); e >= 0 {
				at[[2]int32{int32(i), int32(j)}] = int32(len(b.Indices))
				b.Indices, b.EdgeIDs = append(b.Indices, int32(j)), append(b.EdgeIDs, e)
				b.AdjNorm = append(b.AdjNorm, float32(float64(cfg.Norm.Aggr[e])*(1/float64(g.Degree(v)))))
			}
		}
		b.Indptr = append(b.Indptr, int32(len(b.Indices)))
	}
	for u := range b.Nodes {
		for v := range b.Nodes {
			if k, ok := at[[2]int32{int32(v), int32(u)}]; ok {
				b.TransIndices, b.TransPerm = append(b.TransIndices, int32(v)), append(b.TransPerm, k)
				b.TransNorm = append(b.TransNorm, b.AdjNorm[k])
			}
		}
		b.TransIndptr = append(b.TransIndptr, int32(len(b.TransIndices)))
	}
	wantRows(cfg, b)
	return b
}

func wantRows(cfg loader.Config, b *loader.Batch) {
	for _, v := range b.Nodes {
		if m, ok := cfg.Features.(*Matrix); ok {
			b.Features = append(b.Features, m.Values[int(v)*m.Width:(int(v)+1)*m.Width]...)
		}
		switch l := cfg.Labels; {
		case l == nil:
		case l.IsMulti():
			b.Multi = append(b.Multi, l.Row(v)...)
		default:
			b.Class = append(b.Class, l.Class[v])
		}
	}
}

// Diff names the first field in which two batches differ, bit for bit.
func Diff(got, want *loader.Batch) error {
	if got.Phase != want.Phase || got.Index != want.Index {
		return fmt.Errorf("batch %d of phase %d, want %d of %d", got.Index, got.Phase, want.Index, want.Phase)
	}
	for _, f := range []struct {
		name      string
		got, want any
	}{
		{"Nodes", got.Nodes, want.Nodes},
		{"Indptr", got.Indptr, want.Indptr},
		{"Indices", got.Indices, want.Indices},
		{"EdgeIDs", got.EdgeIDs, want.EdgeIDs},
		{"AdjNorm", got.AdjNorm, want.AdjNorm},
		{"LossNorm", got.LossNorm, want.LossNorm},
		{"TransIndptr", got.TransIndptr, want.TransIndptr},
		{"TransIndices", got.TransIndices, want.TransIndices},
		{"TransPerm", got.TransPerm, want.TransPerm},
		{"TransNorm", got.TransNorm, want.TransNorm},
		{"Features", got.Features, want.Features},
		{"Class", got.Class, want.Class},
		{"Multi", got.Multi, want.Multi},
	} {
		empty := reflect.ValueOf(f.got).Len() == 0 && reflect.ValueOf(f.want).Len() == 0
		if !empty && !reflect.DeepEqual(f.got, f.want) {
			return fmt.Errorf("batch %d: %s = %v, want %v", want.Index, f.name, f.got, f.want)
		}
	}
	return nil
}
