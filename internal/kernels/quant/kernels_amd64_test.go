//go:build !noasm

package quant

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

// Every length gives the same bits on every instruction set, and nothing beside is written.
func TestAssembly(t *testing.T) {
	defer func(l cpufeat.Level) { level = l }(level)
	for _, isa := range []cpufeat.Level{cpufeat.AVX2, cpufeat.AVX512} {
		if isa > cpufeat.Best() {
			t.Logf("no %v here", isa)
			continue
		}
		for n := range 300 {
			c := newCase(n)
			level = cpufeat.Generic
			want := c.run(t)
			level = isa
			if got := c.run(t); !bytes.Equal(got, want) {
				t.Fatalf("%v: %d values give other bits than portable Go", isa, n)
			}
		}
	}
}

func TestGroupsByISA(t *testing.T) {
	defer func(l cpufeat.Level) { level = l }(level)
	for _, isa := range []cpufeat.Level{cpufeat.Generic, cpufeat.AVX2} {
		if isa <= cpufeat.Best() {
			level = isa
			t.Run(isa.String(), TestGroups)
		}
	}
}

// testCase holds operands between guards.
type testCase struct{ x, bias []float32 }

func newCase(n int) testCase {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	c := testCase{make([]float32, n), make([]float32, n)}
	for i := range c.x {
		c.x[i], c.bias[i] = float32(r.NormFloat64()), float32(r.NormFloat64()*0.1)
		switch r.IntN(20) {
		case 0:
			c.x[i] = -c.bias[i]
		case 1:
			c.x[i], c.bias[i] = 0, 0
		case 2:
			c.x[i] = float32(math.Copysign(0, -1))
		}
	}
	return c
}

// floats returns memory with a guard on either side.
func floats(n int) (all, inner []float32) {
	all = make([]float32, n+2)
	for i := range all {
		all[i] = guard
	}
	return all, all[1 : n+1 : n+1]
}

// run calls every kernel and returns all that they wrote.
func (c *testCase) run(t *testing.T) []byte {
	t.Helper()
	n := len(c.x)
	var out []byte
	add := func(all []float32) {
		if all[0] != guard || all[len(all)-1] != guard {
			t.Fatalf("%d values: wrote beside", n)
		}
		for _, v := range all {
			b := math.Float32bits(v)
			out = append(out, byte(b), byte(b>>8), byte(b>>16), byte(b>>24))
		}
	}
	addBytes := func(all []byte) {
		if all[0] != guard || all[len(all)-1] != guard {
			t.Fatalf("%d values: wrote beside", n)
		}
		out = append(out, all...)
	}
	above := make([]float32, len(c.bias))
	Above(c.bias, above)
	for _, positive := range []bool{false, true} {
		all, y := floats(n)
		bits, signs := room((n + 7) / 8)
		lo, hi := Stage(c.x, c.bias, positive, y, signs)
		add(all)
		addBytes(bits)
		add([]float32{guard, lo, hi, guard})
		Unstage(c.bias, above, signs, y)
		add(all)
		for i := range y {
			y[i] = -c.x[i]
		}
		Unstage(c.bias, above, signs, y)
		add(all)
	}
	lo, hi := Range(c.x)
	add([]float32{guard, lo, hi, guard})
	all, halves := room(2 * n)
	Brief(c.x, halves)
	addBytes(all)
	back, y := floats(n)
	Widen(halves, y)
	add(back)
	for _, bits := range []int{1, 2, 4, 8} {
		zero, step := Stats(bits, lo, hi)
		all, codes := room(Bytes(bits, n))
		Pack(bits, zero, Inverse(step), 0x0123456789abcdef, 1<<35-64, c.x, codes)
		addBytes(all)
		back, y := floats(n)
		Unpack(bits, zero, step, codes, y)
		add(back)
	}
	return out
}
