package cpu_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Norms of heads in one pass are those of one head after the other.
func TestHeadNorm(t *testing.T) {
	for _, tc := range []struct{ rows, heads, width int }{{1, 1, 1}, {0, 2, 3}, {131, 8, 32}, {300, 4, 16}, {70, 3, 5}} {
		for _, p := range []float32{0, 0.3} {
			t.Run(fmt.Sprintf("%dx%dx%d drop %v", tc.rows, tc.heads, tc.width, p), func(t *testing.T) {
				testHeadNorm(t, tc.rows, tc.heads, tc.width, p)
			})
		}
	}
}

func testHeadNorm(t *testing.T, rows, heads, width int, p float32) {
	b := cpu.Open(tensor.Options{Threads: 3})
	defer b.Close()
	arena := newArena(t, 8<<20)
	q, err := b.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	r, cols := rand.New(rand.NewPCG(1, 2)), heads*width
	drop := tensor.Drop{}
	if p > 0 {
		drop = tensor.Drop{P: p, Key: tensor.RandKey{Seed: 1, Step: 2, Layer: 3, Slot: 4}, Width: cols + 32, Col: 32}
	}
	fresh := func(n, m int) tensor.Tensor {
		x := arena.Alloc(tensor.F32, n, m)
		clear(cpu.F32(x))
		return x
	}
	random := func(n, m int) tensor.Tensor {
		x := arena.Alloc(tensor.F32, n, m)
		for i := range cpu.F32(x) {
			cpu.F32(x)[i] = float32(r.NormFloat64())
		}
		return x
	}
	scale, offset, x, dy := random(1, cols), random(1, cols), random(rows, cols), random(rows, cols)
	var got, want []tensor.Tensor
	for _, out := range []*[]tensor.Tensor{&got, &want} {
		*out = []tensor.Tensor{fresh(rows, cols), fresh(rows, heads), fresh(rows, heads), fresh(rows, cols), fresh(1, cols), fresh(1, cols)}
	}
	h := q.(tensor.HeadNorms)
	h.HeadNorm(scale, offset, x, drop, got[0], got[1], got[2])
	h.HeadNormBackward(scale, got[1], got[2], x, dy, drop, got[3], got[4], got[5])
	var none tensor.Tensor
	for k := range heads {
		lo, hi := k*width, (k+1)*width
		of := func(x tensor.Tensor) tensor.Tensor { return x.ColRange(lo, hi) }
		d := drop
		if p > 0 {
			d = drop.At(lo)
		}
		mean, rstd := want[1].ColRange(k, k+1), want[2].ColRange(k, k+1)
		q.BiasActNorm(tensor.Identity, none, of(scale), of(offset), of(x), d, of(want[0]), mean, rstd)
		q.BiasActNormBackward(tensor.Identity, none, of(scale), mean, rstd, of(x), of(dy), d, of(want[3]), none, of(want[4]), of(want[5]))
	}
	if err := q.Sync(); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"y", "mean", "rstd", "dx"} {
		if !slices.Equal(cpu.F32(got[i]), cpu.F32(want[i])) {
			t.Errorf("%s of all heads at once is not that of one after the other", name)
		}
	}
	// Gradients of parameters are added up in blocks of rows of which the size may differ.
	near := func(v, w float32) bool { return math.Abs(float64(v-w)) <= 1e-6*(float64(rows)+math.Abs(float64(w))) }
	for i, name := range []string{"dscale", "doffset"} {
		if !slices.EqualFunc(cpu.F32(got[4+i]), cpu.F32(want[4+i]), near) {
			t.Errorf("%s of all heads at once is %v, want %v as of one after the other", name, cpu.F32(got[4+i]), cpu.F32(want[4+i]))
		}
	}
}
