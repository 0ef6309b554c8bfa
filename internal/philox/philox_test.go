package philox_test

import (
	"math"
	"testing"

	"github.com/saint-gnn/saint/internal/philox"
)

// The known answers that the authors publish with their implementation: all zero, all one,
// and the digits of pi.
func TestBlockKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		name string
		ctr  [4]uint32
		key  [2]uint32
		want [4]uint32
	}{
		{"zero", [4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			"ones",
			[4]uint32{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32},
			[2]uint32{math.MaxUint32, math.MaxUint32},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			"pi",
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			[2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		var got [4]uint32
		got[0], got[1], got[2], got[3] = philox.Block(c.ctr[0], c.ctr[1], c.ctr[2], c.ctr[3], c.key[0], c.key[1])
		if got != c.want {
			t.Errorf("%s: Block = %08x, want %08x", c.name, got, c.want)
		}
	}
}

// Any part of a stream equals the blocks it is cut from.
func TestWords(t *testing.T) {
	const key = 0x0123456789abcdef
	for _, base := range []uint64{0, 1<<34 - 8} { // the second crosses into the counter's high half
		for first := base; first < base+12; first++ {
			for n := range 70 {
				dst := make([]uint32, n)
				philox.Words(key, first, dst)
				for j, got := range dst {
					i := first + uint64(j)
					var w [4]uint32
					w[0], w[1], w[2], w[3] = philox.Block(uint32(i/4), uint32(i/4>>32), 0, 0, 0x89abcdef, 0x01234567)
					if want := w[i%4]; got != want {
						t.Fatalf("Words(first=%d, n=%d)[%d] = %08x, want %08x", first, n, j, got, want)
					}
				}
			}
		}
	}
}

// The key mix is part of what a checkpoint resumes: it must not change.
func TestKeyFrozen(t *testing.T) {
	seen := map[uint64]bool{}
	for _, c := range []struct {
		seed, step  uint64
		layer, slot uint32
	}{{0, 0, 0, 0}, {1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}, {1, 1, 1, 1}} {
		seen[philox.Key(c.seed, c.step, c.layer, c.slot)] = true
	}
	if len(seen) != 6 {
		t.Errorf("6 names gave %d keys", len(seen))
	}
	if got, want := philox.Key(1, 2, 3, 4), uint64(0xf4d748ef02b95d87); got != want {
		t.Errorf("Key(1,2,3,4) = %#x, want %#x", got, want)
	}
}

func TestThreshold(t *testing.T) {
	for _, c := range []struct {
		p    float32
		want uint64
	}{
		{0, 0},
		{0.5, 1 << 31},
		{0.25, 1 << 30},
		{1, 1 << 32},
		{-1, 0},
		{2, 1 << 32},
		{0x1p-33, 1},
		{0x1p-32, 1},
		{0x1.8p-32, 2},
	} {
		if got := philox.Threshold(c.p); got != c.want {
			t.Errorf("Threshold(%g) = %d, want %d", c.p, got, c.want)
		}
	}
}

func BenchmarkWords(b *testing.B) {
	dst := make([]uint32, 1<<12)
	b.SetBytes(int64(len(dst)) * 4)
	for b.Loop() {
		philox.Words(1, 0, dst)
	}
}

// Every length, start and rate equals Words with a comparison, and nothing beside is written.
func TestDrop(t *testing.T) {
	for _, p := range []float32{0, 0.1, 0.5, 0x1p-32, 1} {
		for first := uint64(1<<34 - 8); first < 1<<34; first++ {
			for n := range 100 {
				testDrop(t, p, first, n)
			}
		}
	}
}

func testDrop(t *testing.T, p float32, first uint64, n int) {
	t.Helper()
	const key, guard = 0x0123456789abcdef, 77
	threshold, scale := philox.Threshold(p), 1/(1-min(p, 0.9))
	x, words, y := make([]float32, n), make([]uint32, n), make([]float32, n+2)
	for i := range x {
		x[i] = float32(i + 1)
	}
	y[0], y[n+1] = guard, guard
	philox.Words(key, first, words)
	philox.Drop(key, first, threshold, scale, x, y[1:n+1])
	if y[0] != guard || y[n+1] != guard {
		t.Fatalf("Drop(p=%g, first=%d, n=%d) wrote outside", p, first, n)
	}
	philox.Drop(key, first, threshold, scale, x, x)
	for i, w := range words {
		want := float32(0)
		if uint64(w) >= threshold {
			want = float32(i+1) * scale
		}
		if y[i+1] != want || x[i] != want {
			t.Fatalf("Drop(p=%g, first=%d, n=%d)[%d] = %g, in place %g, want %g", p, first, n, i, y[i+1], x[i], want)
		}
	}
}

// DropKept and Apply equal Drop for every length, also where the high word of the counter changes,
// and write nothing beside.
func TestDropKept(t *testing.T) {
	const key, guard, scale = 0x0123456789abcdef, 77, 1.5
	for _, p := range []float32{0, 0.3, 0.5, 1} {
		threshold := philox.Threshold(p)
		for _, first := range []uint64{0, 20, 1<<34 - 64, 1<<34 - 16, 1<<34 - 4} {
			for n := range 16*13 + 1 {
				x, want := make([]float32, n), make([]float32, n)
				for i := range x {
					x[i] = float32(i + 1)
				}
				philox.Drop(key, first, threshold, scale, x, want)
				y, z := make([]float32, n+1), make([]float32, n+1)
				y[n], z[n] = guard, guard
				last := (n + 15) / 16
				kept := make([]uint16, last+1)
				kept[last] = guard
				philox.DropKept(key, first, threshold, scale, x, y[:n], kept)
				philox.Apply(kept, scale, x, z[:n])
				if y[n] != guard || z[n] != guard || kept[last] != guard {
					t.Fatalf("DropKept(p=%g, first=%d, n=%d) or Apply wrote outside", p, first, n)
				}
				for i, w := range want {
					if y[i] != w || z[i] != w {
						t.Fatalf("DropKept(p=%g, first=%d, n=%d)[%d] = %g, Apply %g, want %g", p, first, n, i, y[i], z[i], w)
					}
				}
			}
		}
	}
}

func BenchmarkApply(b *testing.B) {
	x, kept := make([]float32, 1<<12), make([]uint16, 1<<8)
	b.SetBytes(int64(len(x)) * 4)
	for b.Loop() {
		philox.Apply(kept, 1.25, x, x)
	}
}

func BenchmarkDrop(b *testing.B) {
	x := make([]float32, 1<<12)
	b.SetBytes(int64(len(x)) * 4)
	for b.Loop() {
		philox.Drop(1, 0, philox.Threshold(0.1), 1/0.9, x, x)
	}
}
