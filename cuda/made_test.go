package cuda

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Norms and products that decode what they read give what the CPU makes of the matrix written out, whatever the width of
// rows.
func TestMadeRows(t *testing.T) {
	for i, cols := range []int{5, 64, 130, 128, 256, 512, 320, 516, 640, 192} {
		if testing.Short() && i%3 != 0 {
			continue
		}
		const rows = 21
		r := fakeRig(t, fake.Options{Reverse: i%2 == 1, Library: i%3 == 0})
		q, rnd := r.q.(*Queue), rand.New(rand.NewPCG(uint64(i), 3))
		q.piece = 1 // 256 rows
		if i == 1 {
			q.piece = 0
		}
		h := tensor.Quant{Bits: 1 << (i % 4), Key: tensor.RandKey{Seed: 5}, Act: tensor.ReLU}
		if cols%64 == 0 {
			h.Group = 64
		}
		row := func() tensor.Tensor { return put(r, tensor.F32, 1, cols, normals(rnd, cols)) }
		x, bias, scale, dy := put(r, tensor.F32, rows, cols, normals(rnd, rows*cols)), row(), row(), put(r, tensor.F32, rows, cols, normals(rnd, rows*cols))
		offset := row()
		groups, _ := h.Groups(rows, cols)
		signs, codes, stats := r.a.Alloc(tensor.U8, rows, tensor.SignBytes(cols)), r.a.Alloc(tensor.U8, 1, h.CodeBytes(rows, cols)), r.a.Alloc(tensor.I32, groups, 1)
		q.Quantize(h, bias, x, signs, codes, stats)
		whole, made := r.a.Alloc(tensor.F32, rows, cols), tensor.Tensor{}
		q.Dequantize(h, bias, signs, codes, stats, whole)
		q.Decoded(h, bias, signs, codes, stats, rows, cols, &made)
		host := newRig(t, cpuRigBackend(t))
		on := func(u tensor.Tensor) tensor.Tensor { return put(host, tensor.F32, u.Rows, u.Cols, f32s(r, u)) }
		drop := tensor.Drop{P: 0.25, Key: h.Key, Col: 4, Width: cols + 8}
		if i%4 == 3 {
			drop.Col, drop.Width = 2, cols+3 // words that are not aligned
		}
		want := normed(host, on(bias), on(scale), on(offset), on(whole), on(dy), drop)
		for k, x := range []tensor.Tensor{whole, made} {
			for e, got := range normed(r, bias, scale, offset, x, dy, drop) {
				if d := math.Abs(float64(got - want[e])); d > 1e-4*(1+math.Abs(float64(want[e]))) {
					t.Fatalf("%d columns, made %t: result %d = %g, want %g", cols, k == 1, e, got, want[e])
				}
			}
		}
	}
}

// normed returns what a norm, its gradient and a product for a weight's give.
func normed(r *rig, bias, scale, offset, x, dy tensor.Tensor, drop tensor.Drop) (got []float32) {
	rows, cols := x.Rows, x.Cols
	y, dx, mean, rstd := r.a.Alloc(tensor.F32, rows, cols), r.a.Alloc(tensor.F32, rows, cols), r.a.Alloc(tensor.F32, rows, 1), r.a.Alloc(tensor.F32, rows, 1)
	sums := put(r, tensor.F32, 3, 4*((cols+3)/4), make([]float32, 12*((cols+3)/4))).ColRange(0, cols)
	r.q.BiasActNorm(tensor.LeakyReLU, bias, scale, offset, x, drop, y, mean, rstd)
	r.q.BiasActNormBackward(tensor.LeakyReLU, bias, scale, mean, rstd, x, dy, drop, dx, sums.RowRange(0, 1), sums.RowRange(1, 2), sums.RowRange(2, 3))
	dw := r.a.Alloc(tensor.F32, cols, 4)
	r.q.Gemm(true, false, 1, x, dy.ColRange(0, 4), 0, dw)
	for _, u := range []tensor.Tensor{y, dx, sums, dw} {
		got = append(got, f32s(r, u)...)
	}
	return got
}

// Products of rows that are made in pieces, of codes and of gathered rows, have the bits of those of the matrix.
func TestMadeProducts(t *testing.T) {
	for i, mode := range []tensor.Matmul{tensor.MatmulFP32, tensor.MatmulFP32, tensor.MatmulBF16} {
		library := i > 0
		b := libraryBackend(t, fake.New(fake.Options{Library: library}), mode)
		r, rnd := newRig(t, b), rand.New(rand.NewPCG(8, 3))
		q := r.q.(*Queue)
		q.piece = 1
		const rows, cols, n = 600, 20, 7
		src, d := put(r, tensor.F32, 50, cols, normals(rnd, 50*cols)), put(r, tensor.F32, rows, n, normals(rnd, rows*n))
		numbers := make([]int32, rows)
		for i := range numbers {
			numbers[i] = int32(rnd.IntN(50))
		}
		idx, drop := put(r, tensor.I32, rows, 1, numbers), tensor.Drop{P: 0.5, Key: tensor.RandKey{Seed: 1}, Width: cols}
		h := tensor.Quant{Bits: 4, Key: tensor.RandKey{Seed: 2}}
		codes, stats := r.a.Alloc(tensor.U8, 1, h.CodeBytes(rows, cols)), r.a.Alloc(tensor.F32, rows, 2)
		whole, made := r.a.Alloc(tensor.F32, rows, cols), tensor.Tensor{}
		for k, what := range []string{"gathered", "decoded"} {
			if k == 0 {
				q.GatherRows(src, idx, drop, whole)
				q.Gathered(src, idx, drop, &made)
			} else {
				q.Quantize(h, tensor.Tensor{}, whole, tensor.Tensor{}, codes, stats)
				q.Dequantize(h, tensor.Tensor{}, tensor.Tensor{}, codes, stats, whole)
				q.Decoded(h, tensor.Tensor{}, tensor.Tensor{}, codes, stats, rows, cols, &made)
			}
			var got [2][]float32
			for i, x := range []tensor.Tensor{whole, made} {
				c := put(r, tensor.F32, cols, n, normals(rand.New(rand.NewPCG(1, 1)), cols*n))
				q.Gemm(true, false, 0.5, x, d, 2, c)
				got[i] = f32s(r, c)
			}
			if !bytes.Equal(raw(got[0]), raw(got[1])) {
				t.Errorf("library %t, %s: the product of %s rows has other bits", library, mode, what)
			}
			if most := int64(256*cols*4 + 1<<16); q.asked > most {
				t.Errorf("library %t, %s: products take %d bytes of scratch memory, want at most %d", library, mode, q.asked, most)
			}
		}
	}
}

// tileCase is a product of a tile's kernel.
type tileCase struct {
	gemmTile
	m, n, k, parts int
	transA, transB bool
	beta           float32
}

func (c tileCase) check(t *testing.T, reverse bool) {
	t.Helper()
	r := fakeRig(t, fake.Options{Reverse: reverse})
	a, b, out := factors(r, rand.New(rand.NewPCG(uint64(c.m), uint64(c.n))), c.transA, c.transB, c.m, c.n, c.k)
	x, y, z := f32s(r, a), f32s(r, b), f32s(r, out)
	ai, ak, xi, xk := a.Stride, 1, c.k, 1
	if c.transA {
		ai, ak, xi, xk = 1, a.Stride, 1, c.m
	}
	bk, bj, yk, yj := b.Stride, 1, c.n, 1
	if c.transB {
		bk, bj, yk, yj = 1, b.Stride, 1, c.k
	}
	r.q.(*Queue).ownGemm(c.gemmTile, c.parts, c.m, c.n, c.k, 0.5, a, ai, ak, b, bk, bj, c.beta, out)
	for e, got := range f32s(r, out) {
		i, j, want := e/c.n, e%c.n, float64(c.beta)*float64(z[e])
		for l := range c.k {
			want += 0.5 * float64(x[i*xi+l*xk]) * float64(y[l*yk+j*yj])
		}
		if math.Abs(float64(got)-want) > 1e-4 {
			t.Fatalf("c[%d,%d] = %g, want %g", i, j, got, want)
		}
	}
}

// Every tile gives the product, with and without parts, whatever is transposed, odd or not aligned.
func TestGemmTiles(t *testing.T) {
	for _, tile := range gemmTiles {
		for v := range 16 {
			c := tileCase{
				tile, []int{tile.m + 5, 3, tile.m, 37}[v%4], []int{tile.n + 9, 7, 64, tile.n}[v/2%4], []int{19, 40, 8, 1}[v/4], 1 + v/4%3,
				v&1 != 0, v&2 != 0, float32(v % 3),
			}
			t.Run(fmt.Sprintf("%s/%dx%dx%d/%t/%t/parts=%d", tile.name, c.m, c.n, c.k, c.transA, c.transB, c.parts), func(t *testing.T) {
				c.check(t, v%2 == 0)
			})
		}
	}
}
