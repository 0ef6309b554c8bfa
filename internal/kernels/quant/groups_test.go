package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Groups side by side have the bytes and values of each by itself, wherever their noise begins.
func TestGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	for n := range 36 {
		x := make([]float32, n*Few)
		for i := range x {
			x[i] = float32(r.NormFloat64() * math.Pow(10, float64(i/Few%9-4)))
			if i/Few%5 == 3 {
				x[i] = 0.3 * float32(i/Few%2) // all the same
			}
			if i/Few%7 == 2 {
				x[i] = max(x[i], float32(math.Copysign(0, -1)))
			}
			if i/Few%11 == 10 {
				x[i] *= 1e-38
			}
		}
		for _, word := range []uint64{0, 1<<34 - 32*5, 1<<34 - 32*8, 1 << 40} {
			for _, bits := range widths {
				testGroups(t, bits, n, word, x)
			}
		}
	}
}

func testGroups(t *testing.T, bits, n int, word uint64, x []float32) {
	t.Helper()
	const key = 0x0123456789abcdef
	size := Bytes(bits, Few)
	stats, codes, y := make([]int32, n), make([]byte, n*size), make([]float32, len(x))
	all, got := room(n * size)
	gotStats, back := make([]int32, n), make([]float32, len(x))
	PackGroups(bits, key, word, x, gotStats, make([]float32, 2*n), Soon{}, got)
	UnpackGroups(bits, gotStats, got, back)
	for i := range n {
		lo, hi := Range(x[i*Few:][:Few])
		p := Stats16(bits, lo, hi)
		stats[i] = int32(p)
		zero, step := Split(p)
		Pack(bits, zero, Inverse(step), key, word+uint64(i)*Words(Few), x[i*Few:][:Few], codes[i*size:][:size])
		Unpack(bits, zero, step, codes[i*size:][:size], y[i*Few:][:Few])
	}
	if !slices.Equal(gotStats, stats) {
		t.Fatalf("%d bits, %d groups: statistics = %x, want %x", bits, n, gotStats, stats)
	}
	if !bytes.Equal(got, codes) || all[0] != guard || all[len(all)-1] != guard {
		t.Fatalf("%d bits, %d groups from word %d: other codes than one by one", bits, n, word)
	}
	if !slices.Equal(back, y) {
		t.Fatalf("%d bits, %d groups: other values than one by one", bits, n)
	}
}

const guard = 0x5A

// room returns memory with a guard on either side.
func room(n int) (all, inner []byte) {
	all = bytes.Repeat([]byte{guard}, n+2)
	return all, all[1 : n+1 : n+1]
}

func BenchmarkGroups(b *testing.B) {
	const n = (1 << 12) / Few
	codes, y, stats, scratch := make([]byte, 1<<12), make([]float32, 1<<12), make([]int32, n), make([]float32, 2*n)
	bench(b, "pack", func(x []float32, bits int) { PackGroups(bits, 1, 0, x, stats, scratch, Soon{}, codes) })
	bench(b, "describe", func(x []float32, bits int) { describeASM(bits, x, stats, scratch, scratch[n:]) })
	bench(b, "unpack", func(_ []float32, bits int) { UnpackGroups(bits, stats, codes, y) })
}
