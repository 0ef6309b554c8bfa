package cuda

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Codes, statistics, signs and the values that come back are the CPU's, byte for byte: a run whose
// activations are compressed loses the same on either device.
func TestCodesAreTheCPUs(t *testing.T) {
	shapes := [][2]int{{3, 5}, {2, 260}, {9, 130}}
	if testing.Short() {
		shapes = shapes[:1]
	}
	for i := range 16 * len(shapes) {
		shape, bits, group, packed := shapes[i/16], 1<<(i/4%4), []int{0, 48}[i/2%2], i%2 == 1
		h := tensor.Quant{Bits: bits, Group: group, Key: tensor.RandKey{Seed: 1, Step: 1 << 40, Layer: 3, Slot: 1 << 31}, Act: tensor.ReLU}
		t.Run(fmt.Sprintf("%dx%d/%d bits/group=%d/packed=%t", shape[0], shape[1], bits, group, packed), func(t *testing.T) {
			want := codesOf(newRig(t, cpu.Open(tensor.Options{Threads: 1})), h, packed, shape[0], shape[1])
			got := codesOf(fakeRig(t, fake.Options{}), h, packed, shape[0], shape[1])
			for k, what := range []string{"signs", "codes", "statistics", "values that come back"} {
				if !bytes.Equal(got[k], want[k]) {
					t.Errorf("%s differ from the CPU's", what)
				}
			}
		})
	}
}

// codesOf returns what becomes of a matrix.
func codesOf(r *rig, h tensor.Quant, packed bool, rows, cols int) (out [][]byte) {
	r.t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	x, bias := put(r, tensor.F32, rows, cols, normals(rnd, rows*cols)), put(r, tensor.F32, 1, cols, normals(rnd, cols))
	groups, _ := h.Groups(rows, cols)
	signs, codes := r.a.Alloc(tensor.U8, rows, tensor.SignBytes(cols)), r.a.Alloc(tensor.U8, 1, h.CodeBytes(rows, cols))
	stats := r.a.Alloc(tensor.F32, groups, 2)
	if packed {
		stats = r.a.Alloc(tensor.I32, groups, 1)
	}
	y, ops := r.a.Alloc(tensor.F32, rows, cols), r.q.(tensor.QuantOps)
	ops.Quantize(h, bias, x, signs, codes, stats)
	ops.Dequantize(h, bias, signs, codes, stats, y)
	for _, t := range []tensor.Tensor{signs, codes, stats, y} {
		b := make([]byte, t.Bytes())
		r.q.Download(t, b)
		out = append(out, b)
	}
	if err := r.q.Sync(); err != nil {
		r.t.Fatal(err)
	}
	return out
}
