package synth

import (
	"math"
	"math/bits"
	"math/rand/v2"

	"github.com/saint-gnn/saint/internal/rng"
)

// stage separates the streams of one seed; it is the phase of the stream's key. The order
// is frozen: it decides every byte of every generated graph.
type stage int

const (
	stageRoles stage = iota
	stageCommunities
	stageNodes
	stageProfiles
	stageLabels
	stageMeans
	stageFeatures
	stageEdges // and the rounds that follow it
)

// stream is a random stream whose draws are made of integers only, and whose meaning does
// not depend on library code that may change.
type stream struct{ pcg rand.PCG }

func newStream(seed uint64, s stage, index uint64) *stream {
	r := &stream{}
	r.pcg.Seed(rng.Key(seed, rng.Synth, int(s), index))
	return r
}

// below returns an integer in [0, n). Its bias, below n/2^64, is far under what any use
// here could notice.
func (r *stream) below(n int64) int64 {
	hi, _ := bits.Mul64(r.pcg.Uint64(), uint64(n))
	return int64(hi)
}

// unit returns a multiple of 2^-53 in [0, 1).
func (r *stream) unit() float64 { return float64(r.pcg.Uint64()>>11) * 0x1p-53 }

// chance is true with probability p.
func (r *stream) chance(p float64) bool { return r.unit() < p }

// normal returns a value with mean 0 and deviation 1 whose distribution is close to the
// normal one: the sum of four 16-bit uniforms, which ends at ±3.46. All steps but the last
// multiplication are exact, and there is none of the tables and logarithms that make
// other methods depend on the platform.
func (r *stream) normal() float32 {
	const (
		mask  = 0x0000ffff0000ffff
		mean  = 4 * 65535 / 2
		scale = 1.0 / 37837.226 // deviation of the sum: sqrt(4*(2^32-1)/12)
	)
	x := r.pcg.Uint64()
	x = x&mask + x>>16&mask
	return float32(int32(x&0xffffffff)+int32(x>>32)-mean) * scale
}

// permutation returns 0…n-1 in random order.
func (r *stream) permutation(n int) []int32 {
	p := make([]int32, n)
	for i := range p {
		p[i] = int32(i)
	}
	for i := n - 1; i > 0; i-- {
		j := r.below(int64(i) + 1)
		p[i], p[j] = p[j], p[i]
	}
	return p
}

// power64 returns x^(-k/64) for x > 0 and 0 <= k <= 128 by repeated square roots: unlike
// those of math.Pow its roundings are the same on every platform.
func power64(x float64, k int) float64 {
	y := 1.0
	for range k / 64 {
		y *= x
	}
	root := x
	for bit := 32; bit > 0; bit /= 2 {
		root = math.Sqrt(root)
		if k&bit != 0 {
			y *= root
		}
	}
	return 1 / y
}
