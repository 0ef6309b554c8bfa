package cpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/trainer/tensor"
)

const partRows, partCols = 9, 768

// partCodes makes codes of noise and a matrix that decodes them.
func partCodes(a *Arena, q *Queue, h tensor.Quant, signed bool, made *tensor.Tensor) {
	x, bias := a.Alloc(tensor.F32, partRows, partCols), a.Alloc(tensor.F32, 1, partCols)
	r := rand.New(rand.NewPCG(1, 2))
	for _, m := range []tensor.Tensor{x, bias} {
		for i := range F32(m) {
			F32(m)[i] = float32(r.NormFloat64())
		}
	}
	groups, _ := h.Groups(partRows, partCols)
	codes := a.Alloc(tensor.U8, 1, h.CodeBytes(partRows, partCols))
	var stats, signs, added tensor.Tensor
	if h.Bits != tensor.BF16Bits {
		stats = a.Alloc(tensor.I32, groups, 1)
	}
	if signed {
		signs, added = a.Alloc(tensor.U8, partRows, tensor.SignBytes(partCols)), bias
	}
	q.Quantize(h, added, x, signs, codes, stats)
	q.Decoded(h, added, signs, codes, stats, partRows, partCols, made)
}

// Columns that are read by themselves are those of the whole rows.
func TestReadPart(t *testing.T) {
	a, group := bare(t, 1)
	q := &Queue{group: group}
	var made tensor.Tensor
	for _, h := range []tensor.Quant{
		{Bits: 1},
		{Bits: 2},
		{Bits: 4},
		{Bits: 8},
		{Bits: 1, Group: 64},
		{Bits: 2, Group: 64},
		{Bits: 8, Group: 64},
		{Bits: 2, Group: 32},
		{Bits: 2, Group: 256},
		{Bits: tensor.BF16Bits},
	} {
		for _, signed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d bits/group=%d/signs=%t", h.Bits, h.Group, signed), func(t *testing.T) {
				partCodes(a, q, h, signed, &made)
				checkParts(t, madeOf(made))
			})
		}
	}
}

func checkParts(t *testing.T, m *made) {
	t.Helper()
	const cols = partCols
	want := make([]float32, partRows*cols)
	m.Read(0, want, cols, 0, partRows, 0, cols)
	for _, part := range [][2]int{{0, 256}, {256, 512}, {512, 768}, {32, 96}, {640, 768}} {
		got := make([]float32, partRows*cols)
		m.Read(0, got, cols, 0, partRows, part[0], part[1])
		for i := range partRows {
			if lo, hi := i*cols+part[0], i*cols+part[1]; !slices.Equal(got[lo:hi], want[lo:hi]) {
				t.Fatalf("columns %v of row %d are not those of the whole row", part, i)
			}
		}
	}
}

// Descriptors that are lent in turn to codes with signs, codes without and gathered rows allocate nothing.
func TestMadeDoesNotAllocate(t *testing.T) {
	a, group := bare(t, 1)
	q := &Queue{group: group}
	const rows, cols = 5, 37
	h := tensor.Quant{Bits: 2}
	x, bias, idx := a.Alloc(tensor.F32, rows, cols), a.Alloc(tensor.F32, 1, cols), a.Alloc(tensor.I32, rows, 1)
	signs, codes, stats := a.Alloc(tensor.U8, rows, tensor.SignBytes(cols)), a.Alloc(tensor.U8, 1, h.CodeBytes(rows, cols)), a.Alloc(tensor.I32, rows, 1)
	for _, m := range []tensor.Tensor{x, bias} {
		q.Fill(0.5, m)
	}
	clear(I32(idx))
	q.Quantize(h, bias, x, signs, codes, stats)
	var made, none tensor.Tensor
	if n := testing.AllocsPerRun(20, func() {
		q.Decoded(h, bias, signs, codes, stats, rows, cols, &made)
		q.Decoded(h, none, none, codes, stats, rows, cols, &made)
		q.Gathered(x, idx, tensor.Drop{}, &made)
	}); n != 0 {
		t.Errorf("lending a descriptor allocates %g times, want 0", n)
	}
}
