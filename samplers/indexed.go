package samplers

import (
	"context"
	"math/rand/v2"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/rng"
)

// IndexedSampler is for samplers whose subgraphs belong together, such as those that go
// through all nodes once an epoch: what they draw depends on its position in the phase.
// Everything that reads the subgraphs of a phase draws them with [DrawAt].
type IndexedSampler interface {
	Sampler
	// BatchesPerEpoch is the length of an epoch in subgraphs, in place of the one that
	// follows from Budget.
	BatchesPerEpoch() int
	// SampleIndexed appends the node ids of subgraph index of a phase to dst and returns
	// it, under the rules of SampleNodes. It is a function of the sampler, seed, phase and
	// index; streams that several subgraphs share come from [Scratch.EpochStream].
	SampleIndexed(seed uint64, phase int, index uint64, s *Scratch, dst []int32) []int32
}

// DrawAt draws subgraph index of a phase into dst: what [Draw] draws from the stream of that
// index, or what an [IndexedSampler] has there.
func DrawAt(s Sampler, env Env, seed uint64, phase int, index uint64, sc *Scratch, dst *formats.Subgraph) error {
	if _, ok := s.(IndexedSampler); !ok {
		return Draw(s, env, sc.Stream(seed, phase, index), sc, dst)
	}
	if err := sc.drawSetAt(s, env.Graph, seed, phase, index); err != nil {
		return err
	}
	return sc.induce(env.Graph, dst)
}

// drawSetAt leaves the distinct nodes of subgraph index in s.set.
func (s *Scratch) drawSetAt(sampler Sampler, g *formats.Graph, seed uint64, phase int, index uint64) error {
	indexed, ok := sampler.(IndexedSampler)
	if !ok {
		return s.drawSet(sampler, g, s.Stream(seed, phase, index))
	}
	s.draws = indexed.SampleIndexed(seed, phase, index, s, s.draws[:0])
	return s.setOf(s.draws, g.NumNodes())
}

// EpochStream returns the random stream of an epoch of a phase, for what its subgraphs share.
// It is independent of the streams of [Scratch.Stream], valid until the next call of either
// and allocates nothing in the steady state.
func (s *Scratch) EpochStream(seed uint64, phase int, epoch uint64) *rand.Rand {
	return s.stream.Reset(seed, rng.Epoch, phase, epoch)
}

// Preparer is implemented by samplers with long work to do before the first draw. The factory
// leaves it undone; who draws without Prepare waits for it in the first draw.
type Preparer interface {
	Sampler
	// Prepare does the work, once for all calls. It returns ctx.Err() when ctx ends; a later
	// call then begins anew.
	Prepare(ctx context.Context, o PrepareOptions) error
}

// PrepareOptions say how to prepare a sampler. The draws do not depend on them.
type PrepareOptions struct {
	Workers  int    // goroutines; below 1: one per usable CPU
	CacheDir string // where results are kept for other runs; "": nowhere
	// Progress, if set, is told now and then how much is done. Calls do not overlap.
	Progress func(done, total int64)
	// Warn, if set, is told what is wrong with the cache; the work is done all the same.
	Warn func(error)
}

// Prepare prepares s if it is a [Preparer].
func Prepare(ctx context.Context, s Sampler, o PrepareOptions) error {
	if p, ok := s.(Preparer); ok {
		return p.Prepare(ctx, o)
	}
	return nil
}
