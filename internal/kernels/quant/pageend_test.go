package quant

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/internal/pageend"
)

// noisy returns n values that end where memory ends.
func noisy(t testing.TB, n int) []float32 {
	x := pageend.Make[float32](t, n)
	r := rand.New(rand.NewPCG(uint64(n), 9))
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// No kernel touches memory behind its operands at any length.
func TestOperandsEndWhereMemoryEnds(t *testing.T) {
	for n := range 300 {
		x, bias, y, above := noisy(t, n), noisy(t, n), pageend.Make[float32](t, n), pageend.Make[float32](t, n)
		signs, halves := pageend.Make[byte](t, (n+7)/8), pageend.Make[byte](t, 2*n)
		Above(bias, above)
		lo, hi := Stage(x, bias, true, y, signs)
		Unstage(bias, above, signs, y)
		Range(x)
		Brief(x, halves)
		Widen(halves, y)
		for _, bits := range widths {
			zero, step := Stats(bits, lo, hi)
			codes := pageend.Make[byte](t, Bytes(bits, n))
			Pack(bits, zero, Inverse(step), 1, 32, x, codes)
			Unpack(bits, zero, step, codes, y)
		}
	}
}

// What is asked for meanwhile changes no code and is not touched behind its end, whatever its rows.
func TestSoon(t *testing.T) {
	for _, n := range []int{Unit, 2 * Unit, 5 * Unit, 12 * Unit} {
		x, groups := noisy(t, n), n/Few
		units := n / Unit
		zero, inv := pageend.Make[float32](t, units), pageend.Make[float32](t, units)
		for i := range zero {
			zero[i], inv[i] = -4, One/3
		}
		for _, bits := range widths {
			want, wantFew, stats := make([]byte, Bytes(bits, n)), make([]byte, Bytes(bits, n)), make([]int32, groups)
			PackAll(bits, zero, inv, 7, 64, x, Soon{}, want)
			PackGroups(bits, 7, 64, x, stats, make([]float32, 2*groups), Soon{}, wantFew)
			for _, s := range []Soon{
				{noisy(t, 1), 1, 1},
				{noisy(t, 64), 64, 64},
				{noisy(t, 200), 100, 150},
				{noisy(t, n), Unit, Unit},
				{noisy(t, n), 2 * Unit, 1000},
				{noisy(t, 2*n), n, n + 3},
			} {
				t.Run(fmt.Sprintf("%d bits/%d values/%d of %d", bits, n, s.Cols, s.Stride), func(t *testing.T) {
					got, gotFew, gotStats := pageend.Make[byte](t, len(want)), pageend.Make[byte](t, len(want)), pageend.Make[int32](t, groups)
					PackAll(bits, zero, inv, 7, 64, x, s, got)
					PackGroups(bits, 7, 64, x, gotStats, pageend.Make[float32](t, 2*groups), s, gotFew)
					if !bytes.Equal(got, want) || !bytes.Equal(gotFew, wantFew) || !slices.Equal(gotStats, stats) {
						t.Error("other codes than without")
					}
					UnpackGroups(bits, gotStats, gotFew, pageend.Make[float32](t, n))
				})
			}
		}
	}
}
