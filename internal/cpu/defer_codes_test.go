package cpu_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// encode makes codes of a product's rows and then overwrites these with what follows. It returns
// all that came of it, and whether the product waited for the codes.
func encode(t *testing.T, threads, rows, cols, group int, signs, later bool) (out [][]byte, waited bool) {
	t.Helper()
	l := newLayer(t, threads, rows, 2)
	a, err := cpu.NewArena(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	w, bias, z := a.Alloc(tensor.F32, l.x.Cols, cols), a.Alloc(tensor.F32, 1, cols), a.Alloc(tensor.F32, rows, cols)
	for _, m := range []tensor.Tensor{w, bias} {
		for i := range cpu.F32(m) {
			cpu.F32(m)[i] = float32(i%17) - 8.5
		}
	}
	h := tensor.Quant{Bits: 2, Group: group, Key: tensor.RandKey{Seed: 3}, Act: tensor.ReLU}
	groups, _ := h.Groups(rows, cols)
	codes, stats := a.Alloc(tensor.U8, 1, h.CodeBytes(rows, cols)), a.Alloc(tensor.I32, groups, 1)
	var none, bits, added tensor.Tensor
	if signs {
		bits, added = a.Alloc(tensor.U8, rows, tensor.SignBytes(cols)), bias
	}
	l.q.Defer(later)
	l.q.Gemm(false, false, 1, l.x, w, 0, z)
	l.q.Quantize(h, added, z, bits, codes, stats)
	l.q.BiasActNorm(tensor.ReLU, bias, none, none, z, tensor.Drop{P: 0.3, Width: cols}, z, none, none)
	waited = l.q.Waiting()
	for _, v := range []tensor.Tensor{z, bits, codes, stats} {
		if v.Present() {
			b := make([]byte, v.Bytes())
			l.q.Download(v, b)
			out = append(out, b)
		}
	}
	if err := l.q.Sync(); err != nil {
		t.Fatal(err)
	}
	return out, waited
}

// Codes of a product that is put off are made of its rows before anything overwrites them, and are
// the same bytes.
func TestDeferCodes(t *testing.T) {
	for _, cols := range []int{48, 256} {
		for _, rows := range []int{2, 70, 900} {
			for _, group := range []int{0, 24, 64, 128} { // 64 and 128 cross rows of 48
				for _, signs := range []bool{false, true} {
					t.Run(fmt.Sprintf("%dx%d/group=%d/signs=%t", rows, cols, group, signs), func(t *testing.T) {
						testDeferCodes(t, rows, cols, group, signs)
					})
				}
			}
		}
	}
}

func testDeferCodes(t *testing.T, rows, cols, group int, signs bool) {
	t.Helper()
	want, _ := encode(t, 1, rows, cols, group, signs, false)
	for _, threads := range []int{1, 3} {
		got, waited := encode(t, threads, rows, cols, group, signs, true)
		if inRows := group == 0 || cols%group == 0; waited != (inRows && !invariants.Enabled) {
			t.Errorf("%d threads: the product waited: %t", threads, waited)
		}
		for i := range want {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("%d threads: output %d has other bytes than without waiting", threads, i)
			}
		}
	}
}
