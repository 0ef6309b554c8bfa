package cpu_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/internal/invariants"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// layer is a device with operands of a layer of two hops.
type layer struct {
	q                           *cpu.Queue
	x, w, all, z, y, mean, rstd tensor.Tensor
	bias, scale, offset         tensor.Tensor
	dbias, dscale, doffset      tensor.Tensor
	dz, unit, length, dropped   tensor.Tensor
	adj                         tensor.CSR
	drop                        tensor.Drop
}

const layerDim = 48

// newLayer returns a layer on rows nodes, each with some neighbours, filled with noise.
func newLayer(t testing.TB, threads, rows, degree int) *layer {
	t.Helper()
	b := cpu.Open(tensor.Options{Threads: threads})
	a, err := cpu.NewArena(64 << 20)
	if err != nil {
		t.Fatal(err)
	}
	q, _ := b.NewQueue()
	t.Cleanup(func() {
		q.Close()
		a.Close()
		b.Close()
	})
	r := rand.New(rand.NewPCG(uint64(rows), 1))
	noise := func(rows, cols int) tensor.Tensor {
		v := a.Alloc(tensor.F32, rows, cols)
		for i := range cpu.F32(v) {
			cpu.F32(v)[i] = float32(r.NormFloat64())
		}
		return v
	}
	row := func() tensor.Tensor { return noise(1, layerDim) }
	l := &layer{
		q: q.(*cpu.Queue), x: noise(rows, 2*layerDim), w: noise(2*layerDim, 2*layerDim), all: noise(rows, 2*layerDim),
		z: noise(rows, layerDim), y: noise(rows, 2*layerDim), mean: noise(rows, 1), rstd: noise(rows, 1),
		bias: row(), scale: row(), offset: row(), dbias: row(), dscale: row(), doffset: row(), dz: noise(rows, layerDim),
		unit: noise(rows, layerDim), length: noise(rows, 1), dropped: noise(rows, layerDim),
	}
	l.adj = tensor.CSR{
		Rows: rows, Cols: rows,
		Indptr: a.Alloc(tensor.I32, rows+1, 1), Indices: a.Alloc(tensor.I32, rows*degree, 1), Values: noise(rows*degree, 1),
	}
	for i := range cpu.I32(l.adj.Indptr) {
		cpu.I32(l.adj.Indptr)[i] = int32(i * degree)
	}
	for i := range cpu.I32(l.adj.Indices) {
		cpu.I32(l.adj.Indices)[i] = int32(r.IntN(rows))
	}
	l.drop = tensor.Drop{P: 0.3, Key: tensor.RandKey{Seed: 3}, Width: 2 * layerDim}
	return l
}

func (l *layer) hop(i int, t tensor.Tensor) tensor.Tensor {
	return t.ColRange(i*layerDim, (i+1)*layerDim)
}

// gathered returns rows of src in another order, made when they are read.
func (l *layer) gathered(src tensor.Tensor) (rows tensor.Tensor) {
	l.q.Gathered(src, l.adj.Indices, tensor.Drop{}, &rows)
	return rows
}

// forward is a layer of two hops.
func (l *layer) forward() {
	l.q.Gemm(false, false, 1, l.x, l.w, 0, l.all)
	l.q.BiasActNorm(tensor.ReLU, l.bias, l.scale, l.offset, l.hop(0, l.all), l.drop, l.hop(0, l.y), l.mean, l.rstd)
	l.q.SpMM(1, &l.adj, l.hop(1, l.all), 0, l.z)
	l.q.BiasActNorm(tensor.ReLU, l.bias, l.scale, l.offset, l.z, l.drop.At(layerDim), l.hop(1, l.y), l.mean, l.rstd)
	l.q.NormalizeRows(l.hop(1, l.y), l.unit, l.length)
	l.q.Dropout(0.4, tensor.RandKey{Seed: 9}, l.unit, l.dropped)
	l.q.NormalizeRows(l.y, l.y, l.length)
}

// backward is what surrounds the product that makes dy: the gradient of one hop goes where the
// product's left operand was, which nobody needs any more.
func (l *layer) backward() {
	l.q.Gemm(false, true, 1, l.hop(0, l.y), l.w.ColRange(0, layerDim).RowRange(0, layerDim), 0, l.dropped)
	l.q.Dropout(0.4, tensor.RandKey{Seed: 9}, l.dropped, l.dropped)
	l.q.NormalizeRowsBackward(l.dropped, l.unit, l.length, l.dz)
	l.q.BiasActNormBackward(tensor.ReLU, l.bias, l.scale, l.mean, l.rstd, l.z, l.dz, l.drop, l.dz, l.dbias, l.dscale, l.doffset)
	l.q.Gemm(false, true, 1, l.x, l.w, 0, l.y)
	l.q.BiasActNormBackward(tensor.ReLU, l.bias, l.scale, l.mean, l.rstd, l.z, l.hop(0, l.y), l.drop, l.hop(1, l.x), l.dbias, l.dscale, l.doffset)
	l.q.BiasActNormBackward(tensor.Identity, l.bias, tensor.Tensor{}, tensor.Tensor{}, tensor.Tensor{}, l.z, l.hop(1, l.y), l.drop.At(layerDim), l.dz, l.bias, tensor.Tensor{}, tensor.Tensor{})
}

func (l *layer) results() map[string]tensor.Tensor {
	return map[string]tensor.Tensor{
		"all": l.all, "z": l.z, "y": l.y, "mean": l.mean, "rstd": l.rstd, "x": l.x, "dz": l.dz, "unit": l.unit, "length": l.length, "dropped": l.dropped,
		"dbias": l.dbias, "dscale": l.dscale, "doffset": l.doffset, "bias": l.bias,
	}
}

// What follows a product that is put off computes the bits that it computes after one that is
// not, on any number of threads.
func TestDefer(t *testing.T) {
	for _, c := range []struct{ rows, degree int }{{1, 1}, {5, 2}, {333, 3}, {1700, 17}} {
		plain := newLayer(t, 1, c.rows, c.degree)
		plain.forward()
		plain.backward()
		for _, threads := range []int{1, 2, 4} {
			l := newLayer(t, threads, c.rows, c.degree)
			l.q.Defer(true)
			l.forward()
			l.backward()
			if err := l.q.Sync(); err != nil {
				t.Fatal(err)
			}
			for name, v := range l.results() {
				want := cpu.F32(plain.results()[name])
				for i, got := range cpu.F32(v) {
					if got != want[i] {
						t.Fatalf("%d rows, %d threads: %s[%d] = %g, want %g", c.rows, threads, name, i, got, want[i])
					}
				}
			}
		}
	}
}

// Products wait for what goes over their rows and for nothing else.
func TestDeferWaits(t *testing.T) {
	if invariants.Enabled {
		t.Skip("nothing is put off under invariants")
	}
	var none tensor.Tensor
	for _, c := range []struct {
		name    string
		waiting bool
		call    func(l *layer)
	}{
		{"norm of columns", true, func(l *layer) {
			l.q.BiasActNorm(tensor.ReLU, none, none, none, l.hop(1, l.all), tensor.Drop{}, l.hop(0, l.y), none, none)
		}},
		{"in place", true, func(l *layer) {
			l.q.BiasActNorm(tensor.ReLU, none, none, none, l.hop(1, l.all), tensor.Drop{}, l.hop(1, l.all), none, none)
		}},
		{"over the rows of the left operand", true, func(l *layer) {
			l.q.BiasActNorm(tensor.ReLU, none, none, none, l.hop(1, l.all), tensor.Drop{}, l.hop(0, l.x), none, none)
		}},
		{"over other rows of the left operand", false, func(l *layer) {
			x := l.x
			x.Stride, x.Cols = layerDim, layerDim
			l.q.BiasActNorm(tensor.ReLU, none, none, none, l.hop(1, l.all), tensor.Drop{}, x, none, none)
		}},
		{"over the right operand", false, func(l *layer) {
			l.q.BiasActNormBackward(tensor.ReLU, none, none, none, none, l.z, l.hop(1, l.all), tensor.Drop{}, l.w.RowRange(0, l.all.Rows).ColRange(0, layerDim), none, none, none)
		}},
		{"over other columns of the product", true, func(l *layer) {
			l.q.BiasActNorm(tensor.ReLU, none, none, none, l.hop(1, l.all), tensor.Drop{}, l.hop(0, l.all), none, none)
		}},
		{"of other columns of the product", true, func(l *layer) {
			l.q.BiasActNormBackward(tensor.ReLU, none, none, none, none, l.hop(0, l.all), l.hop(1, l.all), tensor.Drop{}, l.dz, none, none, none)
		}},
		{"of rows one further down", false, func(l *layer) {
			n := l.all.Rows
			l.q.NormalizeRows(l.all.RowRange(0, n-1), l.all.RowRange(1, n), l.mean.RowRange(1, n))
		}},
		{"of what a norm made", true, func(l *layer) {
			l.q.BiasActNorm(tensor.ReLU, none, none, none, l.hop(1, l.all), tensor.Drop{}, l.hop(0, l.y), none, none)
			l.q.NormalizeRows(l.hop(0, l.y), l.dz, l.mean)
			l.q.Dropout(0.5, tensor.RandKey{}, l.dz, l.dz)
		}},
		{"of what a norm did not make", false, func(l *layer) {
			l.q.BiasActNorm(tensor.ReLU, none, none, none, l.hop(1, l.all), tensor.Drop{}, l.hop(0, l.y), none, none)
			l.q.NormalizeRows(l.hop(1, l.y), l.dz, l.mean)
		}},
		{"of a matrix that has what a norm made among its columns", true, func(l *layer) {
			l.q.BiasActNorm(tensor.ReLU, none, none, none, l.hop(1, l.all), tensor.Drop{}, l.hop(1, l.y), none, none)
			l.q.NormalizeRows(l.y, l.y, l.mean)
		}},
		{"of a matrix that has some rows of what a norm made among its columns", false, func(l *layer) {
			n := l.y.Rows
			l.q.BiasActNorm(tensor.ReLU, none, none, none, l.hop(1, l.all), tensor.Drop{}, l.hop(1, l.y), none, none)
			l.q.NormalizeRows(l.y.RowRange(0, n-1), l.y.RowRange(0, n-1), l.mean.RowRange(0, n-1))
		}},
		{"of something else", false, func(l *layer) {
			l.q.BiasActNorm(tensor.ReLU, none, none, none, l.z, tensor.Drop{}, l.dz, none, none)
		}},
		{"of a vector that a follower adds to", false, func(l *layer) {
			l.q.BiasActNormBackward(tensor.ReLU, l.scale, none, none, none, l.dz, l.hop(1, l.all), tensor.Drop{}, l.z, l.bias, none, none)
			l.q.BiasActNorm(tensor.ReLU, l.bias, none, none, l.hop(0, l.all), tensor.Drop{}, l.hop(0, l.y), none, none)
		}},
		{"to a vector that a follower adds to", true, func(l *layer) {
			l.q.BiasActNormBackward(tensor.ReLU, l.scale, none, none, none, l.dz, l.hop(1, l.all), tensor.Drop{}, l.z, l.bias, none, none)
			l.q.BiasActNormBackward(tensor.ReLU, l.scale, none, none, none, l.dz, l.hop(0, l.all), tensor.Drop{}, l.dz, l.bias, none, none)
		}},
		{"of gathered rows of what a follower makes", false, func(l *layer) {
			l.q.BiasActNorm(tensor.ReLU, none, none, none, l.hop(1, l.all), tensor.Drop{}, l.z, none, none)
			rows := l.gathered(l.z)
			l.q.BiasActNormBackward(tensor.ReLU, none, none, none, none, rows, l.hop(0, l.all), tensor.Drop{}, l.dz, none, none, none)
		}},
		{"over what rows are gathered of", false, func(l *layer) {
			rows := l.gathered(l.z)
			l.q.BiasActNormBackward(tensor.ReLU, none, none, none, none, rows, l.hop(0, l.all), tensor.Drop{}, l.dz, none, none, none)
			l.q.BiasActNorm(tensor.ReLU, none, none, none, l.hop(1, l.all), tensor.Drop{}, l.z, none, none)
		}},
		{"of rows gathered elsewhere", true, func(l *layer) {
			rows := l.gathered(l.z)
			l.q.BiasActNormBackward(tensor.ReLU, none, none, none, none, rows, l.hop(0, l.all), tensor.Drop{}, l.dz, none, none, none)
		}},
		{"another operation", false, func(l *layer) { l.q.Fill(0, l.dz) }},
		{"nothing", true, func(*layer) {}},
		{"the end", false, func(l *layer) { l.q.Defer(false) }},
		{"waiting", false, func(l *layer) { _ = l.q.Sync() }},
	} {
		l := newLayer(t, 2, 32, 1)
		l.q.Defer(true)
		l.q.Gemm(false, false, 1, l.x, l.w, 0, l.all)
		c.call(l)
		if got := l.q.Waiting(); got != c.waiting {
			t.Errorf("%s: waiting = %t, want %t", c.name, got, c.waiting)
		}
		if err := l.q.Sync(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	l := newLayer(t, 2, 32, 1)
	l.q.Defer(true)
	l.q.SpMM(1, &l.adj, l.hop(1, l.all), 0, l.z)
	l.q.BiasActNormBackward(tensor.ReLU, none, none, none, none, l.dz, l.z, tensor.Drop{}, l.hop(0, l.y), none, none, none)
	if l.q.Waiting() {
		t.Error("sums over rows wait for a sparse product, whose blocks depend on the threads")
	}
}

// A queue that failed does nothing of what it put off.
func TestDeferFailed(t *testing.T) {
	l := newLayer(t, 1, 32, 1)
	l.q.Fill(7, l.all)
	l.q.Defer(true)
	other := l.all
	other.Mem = nil
	l.q.Gemm(false, false, 1, l.x, l.w, 0, l.all)
	l.q.BiasActNorm(tensor.ReLU, tensor.Tensor{}, tensor.Tensor{}, tensor.Tensor{}, l.all, tensor.Drop{}, other, tensor.Tensor{}, tensor.Tensor{})
	if l.q.Sync() == nil {
		t.Error("Sync after an operation on foreign memory = nil, want its error")
	}
}

// Once warm, nothing is allocated.
func TestDeferDoesNotAllocate(t *testing.T) {
	for _, threads := range []int{1, 3} {
		l := newLayer(t, threads, 700, 3)
		l.q.Defer(true)
		step := func() {
			l.forward()
			l.backward()
			_ = l.q.Sync()
		}
		step()
		step()
		if n := testing.AllocsPerRun(5, step); n != 0 {
			t.Errorf("on %d threads a layer allocates %v times, want 0", threads, n)
		}
	}
}

func BenchmarkDefer(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprintf("on=%t", on), func(b *testing.B) {
			l := newLayer(b, 0, 20000, 5)
			l.q.Defer(on)
			for b.Loop() {
				l.forward()
				l.backward()
				_ = l.q.Sync()
			}
		})
	}
}
