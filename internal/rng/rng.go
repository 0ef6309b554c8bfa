// Package rng names the random streams of a run. A stream is a function of (seed, purpose,
// phase, index) alone, so that no worker count, host or order of events changes a draw, and
// it is keyed by a cryptographic hash, so that no two streams meet by arithmetic on seeds.
package rng

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
)

// Purpose separates the uses of one seed. Add a constant for every new use; never change
// the text of an old one: it would change everybody's results.
type Purpose string

// The purposes in use.
const (
	Sample    Purpose = "sample"    // node sets of minibatches: index is the batch index of the phase
	Epoch     Purpose = "epoch"     // orders of a whole epoch: index is the epoch of the phase
	Init      Purpose = "init"      // initial parameters: index is the parameter's position in the model
	Synth     Purpose = "synth"     // generated graphs: index numbers the stage or block
	Partition Purpose = "partition" // parts of a graph: phase is the stage, index a level or cut of it
	Test      Purpose = "test"
)

// Key returns the 128-bit key of a stream.
func Key(seed uint64, purpose Purpose, phase int, index uint64) (hi, lo uint64) {
	var b [64]byte
	p := append(b[:0], "saint/1\x00"...)
	p = binary.LittleEndian.AppendUint64(p, seed)
	p = binary.LittleEndian.AppendUint64(p, uint64(phase))
	p = binary.LittleEndian.AppendUint64(p, index)
	p = append(p, purpose...)
	sum := sha256.Sum256(p)
	return binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])
}

// New returns the stream of (seed, purpose, phase, index).
func New(seed uint64, purpose Purpose, phase int, index uint64) *rand.Rand {
	return rand.New(rand.NewPCG(Key(seed, purpose, phase, index)))
}

// Stream is a reusable generator: Reset makes it the stream of another use without
// allocating. The zero Stream is ready for Reset. Not safe for concurrent use.
type Stream struct {
	pcg  rand.PCG
	rand *rand.Rand
}

// Reset returns the stream of (seed, purpose, phase, index); it is valid until the next Reset.
func (s *Stream) Reset(seed uint64, purpose Purpose, phase int, index uint64) *rand.Rand {
	if s.rand == nil {
		s.rand = rand.New(&s.pcg)
	}
	s.pcg.Seed(Key(seed, purpose, phase, index))
	return s.rand
}
