package cuda

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// codeCase is a matrix and how it is encoded.
type codeCase struct {
	rows, cols int
	tensor.Quant
	packed, signs, bias, codes, strided bool
}

func (c codeCase) String() string {
	return fmt.Sprintf("%dx%d/bits=%d/group=%d/packed=%t/signs=%t/bias=%t/codes=%t/strided=%t/act=%d",
		c.rows, c.cols, c.Bits, c.Group, c.packed, c.signs, c.bias, c.codes, c.strided, c.Act)
}

// codeCases covers what kernels tell apart: groups that are rows, that warps make, that fill no blocks, and
// that cross rows; widths around multiples of a warp's columns.
func codeCases() (cs []codeCase) {
	key := tensor.RandKey{Seed: 1, Step: 1 << 40, Layer: 3, Slot: 1 << 31}
	n := 0
	for _, shape := range [][2]int{{3, 5}, {9, 130}, {5, 64}, {4, 128}, {3, 192}, {3, 256}, {2, 320}, {3, 512}, {2, 640}, {2, 1024}, {2, 1100}, {1, 2112}} {
		for _, bits := range []int{1, 2, 4, 8} {
			for _, group := range []int{0, 64, 128, 48, 7} {
				n++
				c := codeCase{rows: shape[0], cols: shape[1], Quant: tensor.Quant{Bits: bits, Group: group, Key: key, Act: tensor.Act(n % 3)}, codes: true}
				c.packed, c.signs, c.bias, c.strided = n%2 == 1, n%3 != 0, n%3 == 1, n%4 == 2
				cs = append(cs, c)
			}
		}
		cs = append(cs, codeCase{rows: shape[0], cols: shape[1], Quant: tensor.Quant{Act: tensor.ReLU}, signs: true, bias: n%2 == 0, strided: n%2 == 1})
	}
	return cs
}

// Codes, statistics, signs and the values that come back are the CPU's, byte for byte: a run whose
// activations are compressed loses the same on either device.
func TestCodesAreTheCPUs(t *testing.T) {
	for i, c := range codeCases() {
		if testing.Short() && i%10 != 0 {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			want := codesOf(newRig(t, cpu.Open(tensor.Options{Threads: 1})), c)
			got := codesOf(fakeRig(t, fake.Options{Reverse: i%2 == 0}), c)
			for k, what := range []string{"signs", "codes", "statistics", "values that come back"} {
				if !bytes.Equal(got[k], want[k]) {
					t.Errorf("%s differ from the CPU's", what)
				}
			}
		})
	}
}

// peculiar are numbers among which are zeros of both signs, very small and very large ones, and runs that are all
// the same.
func peculiar(rnd *rand.Rand, n int) []float32 {
	x := normals(rnd, n)
	for i := range x {
		switch rnd.IntN(24) {
		case 0:
			x[i] = 0
		case 1:
			x[i] = float32(math.Copysign(0, -1))
		case 2:
			x[i] *= 1e-41
		case 3:
			x[i] *= 1e4
		}
		if i/64%9 == 4 {
			x[i] = 0.3
		}
	}
	return x
}

// codesOf returns what becomes of a matrix.
func codesOf(r *rig, c codeCase) (out [][]byte) {
	r.t.Helper()
	rnd := rand.New(rand.NewPCG(1, 2))
	matrix := func(values []float32) tensor.Tensor {
		if !c.strided {
			return put(r, tensor.F32, c.rows, c.cols, values)
		}
		wide := make([]float32, c.rows*(c.cols+3))
		for i := range c.rows {
			copy(wide[i*(c.cols+3)+1:][:c.cols], values[i*c.cols:])
		}
		return put(r, tensor.F32, c.rows, c.cols+3, wide).ColRange(1, c.cols+1)
	}
	var bias, signs, codes, stats tensor.Tensor
	x, y := matrix(peculiar(rnd, c.rows*c.cols)), matrix(make([]float32, c.rows*c.cols))
	if c.bias {
		bias = put(r, tensor.F32, 1, c.cols, peculiar(rnd, c.cols))
	}
	if c.signs {
		signs = r.a.Alloc(tensor.U8, c.rows, tensor.SignBytes(c.cols))
	}
	if c.codes {
		groups, _ := c.Groups(c.rows, c.cols)
		codes, stats = r.a.Alloc(tensor.U8, 1, c.CodeBytes(c.rows, c.cols)), r.a.Alloc(tensor.F32, groups, 2)
		if c.packed {
			stats = r.a.Alloc(tensor.I32, groups, 1)
		}
	}
	ops := r.q.(tensor.QuantOps)
	ops.Quantize(c.Quant, bias, x, signs, codes, stats)
	ops.Dequantize(c.Quant, bias, signs, codes, stats, y)
	for _, t := range []tensor.Tensor{signs, codes, stats, y} {
		if !t.Present() {
			out = append(out, nil)
			continue
		}
		b := make([]byte, t.Bytes())
		r.q.Download(t, b)
		out = append(out, b)
	}
	if err := r.q.Sync(); err != nil {
		r.t.Fatal(err)
	}
	return out
}

// What dropout keeps, and random signs, are the CPU's, byte for byte.
func TestRandomNumbersAreTheCPUs(t *testing.T) {
	key := tensor.RandKey{Seed: 3, Step: 1 << 35, Layer: 7, Slot: 2}
	for _, s := range [][2]int{{3, 5}, {2, 128}, {7, 131}, {2, 602}} {
		run := func(r *rig) (out [][]byte) {
			x := put(r, tensor.F32, s[0], s[1], normals(rand.New(rand.NewPCG(5, 6)), s[0]*s[1]))
			idx := put(r, tensor.I32, s[0], 1, make([]int32, s[0]))
			drop := tensor.Drop{P: 0.3, Key: key, Col: 3, Width: s[1] + 5}
			var none tensor.Tensor
			for i := range 4 {
				y := r.a.Alloc(tensor.F32, s[0], s[1])
				switch i {
				case 0:
					r.q.Dropout(0.3, key, x, y)
				case 1:
					r.q.(tensor.QuantOps).Signs(key, 0.5, y)
				case 2:
					r.q.GatherRows(x, idx, drop, y)
				case 3:
					r.q.BiasActNorm(tensor.ReLU, none, none, none, x, drop, y, none, none)
				}
				b := make([]byte, y.Bytes())
				r.q.Download(y, b)
				out = append(out, b)
			}
			if err := r.q.Sync(); err != nil {
				t.Fatal(err)
			}
			return out
		}
		want, got := run(newRig(t, cpu.Open(tensor.Options{Threads: 1}))), run(fakeRig(t, fake.Options{}))
		for i, what := range []string{"dropout", "signs", "gathered rows", "activated rows"} {
			if !bytes.Equal(got[i], want[i]) {
				t.Errorf("%dx%d: %s differ from the CPU's", s[0], s[1], what)
			}
		}
	}
}

// onTheWay is a norm between two encodings.
type onTheWay struct {
	cols           int
	quant          tensor.Quant
	norm, outSigns bool
}

// run returns everything that is written, and the launches. apart waits after every operation.
func (c onTheWay) run(t *testing.T, apart bool) (out [][]byte, launches int64) {
	t.Helper()
	const rows = 5
	b, err := openOn(fake.New(fake.Options{Reverse: apart}), 0)
	if err != nil {
		t.Fatal(err)
	}
	b.part = 1 << 16
	r, rnd, h := newRig(t, b), rand.New(rand.NewPCG(uint64(c.cols), 9)), c.quant
	sync := func() {
		if err := r.q.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	row := func() tensor.Tensor { return put(r, tensor.F32, 1, c.cols, normals(rnd, c.cols)) }
	results := func(dt tensor.DType, rows, cols int) tensor.Tensor {
		u := r.a.Alloc(dt, rows, cols)
		r.q.Fill(0, u)
		return u
	}
	groups, _ := h.Groups(rows, c.cols)
	x, bias, scale, offset := put(r, tensor.F32, rows, c.cols, normals(rnd, rows*c.cols)), row(), row(), row()
	y, mean, rstd := results(tensor.F32, rows, c.cols), results(tensor.F32, rows, 1), results(tensor.F32, rows, 1)
	var signs, codes, stats [2]tensor.Tensor
	for i := range signs {
		signs[i], codes[i] = results(tensor.U8, rows, tensor.SignBytes(c.cols)), results(tensor.U8, 1, h.CodeBytes(rows, c.cols))
		stats[i] = results(tensor.I32, groups, 1)
	}
	var none tensor.Tensor
	drop, ops := tensor.Drop{P: 0.2, Key: h.Key, Width: c.cols}, r.q.(tensor.QuantOps)
	steps := []func(){
		func() { ops.Quantize(h, bias, x, signs[0], codes[0], stats[0]) },
		func() { r.q.BiasActNorm(tensor.ReLU, bias, scale, offset, x, drop, y, mean, rstd) },
		func() { ops.Quantize(h, none, y, none, codes[1], stats[1]) },
	}
	if !c.norm {
		steps[1] = func() { r.q.BiasActNorm(tensor.ReLU, bias, none, none, x, drop, y, none, none) }
	}
	if c.outSigns {
		steps[2] = func() { ops.Quantize(h, none, y, signs[1], none, none) }
	}
	sync()
	before := b.Counters().Launches
	for _, step := range steps {
		if step(); apart {
			sync()
		}
	}
	sync()
	launches = b.Counters().Launches - before
	for _, u := range []tensor.Tensor{y, mean, rstd, signs[0], codes[0], stats[0], signs[1], codes[1], stats[1]} {
		d := make([]byte, u.Bytes())
		r.q.Download(u, d)
		out = append(out, d)
	}
	sync()
	return out, launches
}

// A norm that makes codes of what it reads and writes on the way gives the bits of passes of their own, in one
// launch.
func TestCodesOnTheWay(t *testing.T) {
	for i := range 7 * 4 * 2 {
		cols, bits, group := []int{64, 128, 256, 448, 512, 37, 640}[i/8], 1<<(i/2%4), 64*(i%2)
		if testing.Short() && bits != 2 || cols%64 != 0 && group != 0 {
			continue
		}
		c := onTheWay{cols, tensor.Quant{Bits: bits, Group: group, Key: tensor.RandKey{Seed: 4}, Act: tensor.ReLU}, bits != 4, bits == 1}
		name := fmt.Sprintf("%d columns, %d bits, group %d", cols, bits, group)
		want, _ := c.run(t, true)
		got, launches := c.run(t, false)
		for k, what := range []string{"y", "mean", "rstd", "signs", "codes", "statistics", "signs of y", "codes of y", "statistics of y"} {
			if !bytes.Equal(got[k], want[k]) {
				t.Errorf("%s: %s differ from those of passes of their own", name, what)
			}
		}
		// 448 columns of 1 bit in a group do not fill blocks.
		joined := cols%64 == 0 && cols <= 512 && (group != 0 || cols*bits%128 == 0 || cols*bits == 64)
		if joined && launches != 1 {
			t.Errorf("%s: %d launches, want 1", name, launches)
		}
	}
}

// What waits to be joined is done before anything that could see or change its operands.
func TestCodesWaitForNobody(t *testing.T) {
	r := fakeRig(t, fake.Options{})
	h, ops := tensor.Quant{Bits: 8}, r.q.(tensor.QuantOps)
	var none tensor.Tensor
	x := put(r, tensor.F32, 4, 32, normals(rand.New(rand.NewPCG(1, 2)), 128))
	y, codes, stats := r.a.Alloc(tensor.F32, 4, 32), r.a.Alloc(tensor.U8, 1, h.CodeBytes(4, 32)), r.a.Alloc(tensor.F32, 4, 2)
	encode := func() []byte {
		ops.Quantize(h, none, x, none, codes, stats)
		b := make([]byte, codes.Bytes())
		r.q.Download(codes, b)
		if err := r.q.Sync(); err != nil {
			t.Fatal(err)
		}
		return b
	}
	want := encode()
	for name, change := range map[string]func(){
		"filled": func() { r.q.Fill(7, x) }, "uploaded": func() { r.q.Upload(make([]byte, x.Bytes()), x) },
		"product": func() { r.q.Gemm(false, false, 1, y, put(r, tensor.F32, 32, 32, make([]float32, 1024)), 0, x) },
		"normed":  func() { r.q.BiasActNorm(tensor.Identity, none, none, none, y, tensor.Drop{}, x, none, none) },
		"in place": func() {
			r.q.BiasActNorm(tensor.Identity, none, none, none, x, tensor.Drop{P: 0.5, Width: 32}, x, none, none)
		},
		"not ahead": func() { r.q.Dropout(0.5, h.Key, x, x) },
	} {
		r.q.Upload(raw(normals(rand.New(rand.NewPCG(1, 2)), 128)), x)
		r.q.Fill(0, y)
		ops.Quantize(h, none, x, none, codes, stats)
		change()
		got := make([]byte, codes.Bytes())
		r.q.Download(codes, got)
		if err := r.q.Sync(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: codes are of what came later", name)
		}
	}
}
