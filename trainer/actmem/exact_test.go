package actmem_test

import (
	"math"
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/actmem"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// bench is a store over an arena of its own.
type bench struct {
	*testing.T
	a, other tensor.Arena
	q        tensor.Queue
	s        *actmem.Exact
}

func newBench(t *testing.T, c actmem.Config) *bench {
	t.Helper()
	b := cpu.Open(tensor.Options{Threads: 2})
	q, err := b.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	k := &bench{T: t, q: q}
	k.a, k.other = arenas(t)
	t.Cleanup(func() {
		q.Close()
		b.Close()
	})
	if k.s, err = actmem.NewExact(c, k.a, q); err != nil {
		t.Fatal(err)
	}
	k.s.Begin(1, 0)
	return k
}

// matrix returns a tensor whose elements are f of their number.
func (k *bench) matrix(rows, cols int, f func(i int) float32) tensor.Tensor {
	t := k.a.Alloc(tensor.F32, rows, cols)
	for i := range cpu.F32(t) {
		cpu.F32(t)[i] = f(i)
	}
	return t
}

func wave(i int) float32 { return float32(math.Sin(float64(i)*1.7) + 0.3) }

// take gets a tensor and returns its values.
func (k *bench) take(key nn.Key) []float32 {
	t := k.s.Get(key)
	defer k.a.Release(t)
	out := make([]float32, t.Rows*t.Cols)
	b := make([]byte, t.Bytes())
	k.q.Download(t, b)
	if err := k.q.Sync(); err != nil {
		k.Fatal(err)
	}
	for i := range out {
		out[i] = math.Float32frombits(uint32(b[4*i]) | uint32(b[4*i+1])<<8 | uint32(b[4*i+2])<<16 | uint32(b[4*i+3])<<24)
	}
	return out
}

// What a form takes is what the law says: a row's codes, its statistics, its signs.
func TestExactBytes(t *testing.T) {
	const rows, cols = 50, 200
	relu := nn.Activated{Act: tensor.ReLU}
	values := nn.Activated{Act: tensor.LeakyReLU, Values: true}
	for _, tc := range []struct {
		name      string
		config    actmem.Config
		kind      nn.SaveKind
		activated *nn.Activated
		want      int64
	}{
		{"8 bits", actmem.Config{Bits: 8}, nn.Activation, nil, rows * (cols + 4)},
		{"4 bits", actmem.Config{Bits: 4}, nn.Activation, nil, rows * (cols/2 + 4)},
		{"2 bits", actmem.Config{Bits: 2}, nn.Factor, nil, rows * (cols/4 + 4)},
		{"1 bit", actmem.Config{Bits: 1}, nn.Activation, nil, rows * (cols/8 + 4)},
		{"full statistics", actmem.Config{Bits: 2, FullStats: true}, nn.Factor, nil, rows * (cols/4 + 8)},
		{"groups", actmem.Config{Bits: 2, Group: 1000}, nn.Factor, nil, rows*cols/4 + 10*4},
		{"groups across rows are for factors", actmem.Config{Bits: 2, Group: 1000}, nn.Activation, nil, rows * (cols/4 + 4)},
		{"groups within rows are for all", actmem.Config{Bits: 2, Group: 50}, nn.Activation, nil, rows * 4 * (13 + 4)},
		{"projected", actmem.Config{Bits: 2, Kept: 0.125}, nn.Factor, nil, rows * (7 + 4)},
		{"only factors are projected", actmem.Config{Bits: 2, Kept: 0.125}, nn.Activation, nil, rows * (cols/4 + 4)},
		{"projected alone", actmem.Config{Kept: 0.5}, nn.Factor, nil, rows * cols / 2 * 4},
		{"projection leaves the rest", actmem.Config{Kept: 0.5}, nn.Activation, nil, rows * cols * 4},
		{"simulated", actmem.Config{Bits: 2, Simulate: true}, nn.Activation, nil, rows * cols * 4},
		{"exact", actmem.Config{Bits: 2}, nn.Exact, nil, rows * cols * 4},
		{"bfloat16", actmem.Config{Bits: 16}, nn.Activation, nil, rows * cols * 2},
		{"bfloat16 projected", actmem.Config{Bits: 16, Kept: 0.5}, nn.Factor, nil, rows * cols},
		{"bfloat16, signs and values", actmem.Config{Bits: 16}, 0, &values, rows * (cols/8 + 2*cols)},
		{"bfloat16, signs", actmem.Config{Bits: 16}, 0, &relu, rows * cols / 8},
		{"signs", actmem.Config{Bits: 8}, 0, &relu, rows * cols / 8},
		{"signs and values", actmem.Config{Bits: 2}, 0, &values, rows * (cols/8 + cols/4 + 4)},
		{"signs, projected alone", actmem.Config{Kept: 0.5}, 0, &relu, rows * cols / 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := newBench(t, tc.config)
			x := k.matrix(rows, cols, wave)
			if tc.activated != nil {
				k.s.PutActivated(nn.Key{}, x, *tc.activated)
			} else {
				k.s.Put(nn.Key{}, x, tc.kind)
			}
			k.a.Release(x)
			if got := k.s.Bytes(); got != tc.want {
				t.Errorf("Bytes() = %d, want %d", got, tc.want)
			}
			if got := k.s.Held(nil); len(got) != 1 || got[0].Bytes != tc.want || got[0].Form == "" {
				t.Errorf("Held() = %+v, want one tensor of %d bytes", got, tc.want)
			}
			k.take(nn.Key{})
			if k.s.Bytes() != 0 || k.a.Live() != 0 {
				t.Errorf("after Get: Bytes() = %d, Live() = %d, want 0, 0", k.s.Bytes(), k.a.Live())
			}
		})
	}
}

// Tensors that are saved twice, that are not the arena's, that can be made again or that would
// not shrink cost nothing more.
func TestExactShares(t *testing.T) {
	k := newBench(t, actmem.Config{Bits: 2})
	x := k.matrix(30, 64, wave)
	key := func(slot int) nn.Key { return nn.Key{Layer: 1, Slot: slot} }
	k.s.Put(key(0), x, nn.Activation)
	k.s.Put(key(1), x, nn.Factor)
	if got, want := k.s.Bytes(), int64(30*(16+4)); got != want {
		t.Errorf("a tensor saved twice takes %d bytes, want %d", got, want)
	}
	borrowed := k.other.Alloc(tensor.F32, 1000, 10)
	k.s.Put(key(2), borrowed, nn.Activation)
	calls := 0
	k.s.MakesAgain(x, func(dst tensor.Tensor) {
		calls++
		k.q.Fill(7, dst)
	}, nil)
	k.s.Put(key(3), x, nn.Factor)
	if got, want := k.s.Bytes(), int64(30*(16+4)); got != want {
		t.Errorf("borrowed tensors and those that can be made again take %d bytes, want 0", got-want)
	}
	narrow := k.matrix(30, 1, wave)
	k.s.Put(key(4), narrow, nn.Activation)
	if got, want := k.s.Bytes(), int64(30*(16+4)+30*4); got != want {
		t.Errorf("a column takes %d bytes, want what it has: 120", got-int64(30*(16+4)))
	}
	k.a.Release(narrow)
	k.a.Release(x)
	if a, b := k.take(key(0)), k.take(key(1)); len(a) != 30*64 || a[5] != b[5] {
		t.Error("both ways to the same tensor give different values")
	}
	for _, v := range k.take(key(3)) {
		if v != 7 {
			t.Fatalf("a tensor made again has the value %g, want 7", v)
		}
	}
	if calls != 1 {
		t.Errorf("it was made %d times, want once", calls)
	}
	if got := k.s.Get(key(2)); got != borrowed {
		t.Errorf("Get of a borrowed tensor = %v, want itself", got)
	}
	if got := k.take(key(4)); got[3] != wave(3) {
		t.Errorf("a column came back as %g, want %g", got[3], wave(3))
	}
	if k.s.Bytes() != 0 || k.a.Live() != 0 {
		t.Errorf("Bytes() = %d, Live() = %d, want 0, 0", k.s.Bytes(), k.a.Live())
	}
	// A reset releases what nobody asked for.
	y := k.matrix(30, 64, wave)
	for i := range 3 {
		k.s.Put(key(i), y, nn.Activation)
	}
	k.a.Release(y)
	k.s.Reset()
	if k.s.Bytes() != 0 || k.a.Live() != 0 {
		t.Errorf("after Reset: Bytes() = %d, Live() = %d, want 0, 0", k.s.Bytes(), k.a.Live())
	}
}

// Over many steps the mean of what comes back is what was saved, also after a projection, and
// its signs are right every time.
func TestExactUnbiased(t *testing.T) {
	draws := 2000
	if testing.Short() {
		draws = 300
	}
	for _, c := range []actmem.Config{
		{Bits: 8}, {Bits: 4}, {Bits: 2}, {Bits: 1}, {Bits: 2, FullStats: true}, {Bits: 2, Group: 32}, {Bits: 2, Kept: 0.5}, {Bits: 1, Kept: 0.25, Group: 100}, {Kept: 0.5},
	} {
		testUnbiased(t, c, draws)
		testSigns(t, c, draws/10)
	}
}

const unbiasedRows, unbiasedCols = 4, 40

func testUnbiased(t *testing.T, c actmem.Config, draws int) {
	t.Helper()
	k := newBench(t, c)
	x := k.matrix(unbiasedRows, unbiasedCols, wave)
	sum, squares := make([]float64, unbiasedRows*unbiasedCols), make([]float64, unbiasedRows*unbiasedCols)
	for step := range draws {
		k.s.Begin(9, uint64(step))
		k.s.Put(nn.Key{}, x, nn.Factor)
		for i, v := range k.take(nn.Key{}) {
			d := float64(v) - float64(wave(i))
			sum[i] += d
			squares[i] += d * d
		}
	}
	for i := range sum {
		// One deviation of a whole step more than seen: those of values that lie next to one of
		// the codes are rare.
		n, step := float64(draws), 2.7/(math.Exp2(float64(c.Bits))-1)
		if c.Bits == 0 {
			step = 0
		}
		mean, se := sum[i]/n, math.Sqrt(squares[i]+step*step)/n
		if math.Abs(mean) > 5*se+1e-4 {
			t.Errorf("%+v: the mean of element %d is off by %g, more than 5 standard errors of %g", c, i, mean, se)
		}
	}
}

// testSigns checks that signs are right every time.
func testSigns(t *testing.T, c actmem.Config, draws int) {
	t.Helper()
	k := newBench(t, c)
	bias := k.other.Alloc(tensor.F32, 1, unbiasedCols)
	for i := range cpu.F32(bias) {
		cpu.F32(bias)[i] = 0.2 * wave(3*i)
	}
	x := k.matrix(unbiasedRows, unbiasedCols, wave)
	for step := range draws {
		k.s.Begin(9, uint64(step))
		k.s.PutActivated(nn.Key{}, x, nn.Activated{Act: tensor.LeakyReLU, Bias: bias, Values: true})
		for i, v := range k.take(nn.Key{}) {
			if b := cpu.F32(bias)[i%unbiasedCols]; (v+b > 0) != (wave(i)+b > 0) {
				t.Fatalf("%+v: element %d = %g came back as %g: another sign with bias %g", c, i, wave(i), v, b)
			}
		}
	}
}

// A step in the steady state allocates nothing.
func TestExactAllocatesNothing(t *testing.T) {
	k := newBench(t, actmem.Config{Bits: 2, Kept: 0.5})
	step := func() {
		for i := range 20 {
			x := k.a.Alloc(tensor.F32, 20, 64)
			k.q.Fill(float32(i), x)
			if i%3 == 0 {
				k.s.PutActivated(nn.Key{Layer: i}, x, nn.Activated{Act: tensor.ReLU, Values: true})
			} else {
				k.s.Put(nn.Key{Layer: i}, x, nn.Factor)
			}
			k.a.Release(x)
		}
		for i := 19; i >= 10; i-- {
			k.a.Release(k.s.Get(nn.Key{Layer: i}))
		}
		k.s.Reset()
		k.a.Reset()
	}
	step()
	if n := testing.AllocsPerRun(20, step); n != 0 {
		t.Errorf("a step allocates %v times, want 0", n)
	}
}

func TestExactPanics(t *testing.T) {
	k := newBench(t, actmem.Config{Bits: 2})
	x := k.matrix(2, 40, wave)
	k.s.Put(nn.Key{}, x, nn.Activation)
	for _, c := range []struct {
		name string
		call func()
	}{
		{"slot saved twice", func() { k.s.Put(nn.Key{}, x, nn.Activation) }},
		{"nothing saved", func() { k.s.Get(nn.Key{Layer: 1}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("did not panic")
				}
			}()
			c.call()
		})
	}
}

// plain is a queue without operations for codes.
type plain struct{ tensor.Queue }

func TestConfig(t *testing.T) {
	k := newBench(t, actmem.Config{Bits: 2})
	for _, c := range []actmem.Config{{Bits: 3}, {Bits: 2, Kept: 2}, {Bits: 2, Kept: -1}, {Bits: 2, Group: -1}, {Group: 4}, {Simulate: true}, {FullStats: true}, {Bits: 16, Group: 4}} {
		if _, err := actmem.New(c, k.a, k.q); err == nil {
			t.Errorf("New(%+v): no error", c)
		}
	}
	if s, err := actmem.New(actmem.Config{Kept: 1}, k.a, plain{k.q}); err != nil {
		t.Errorf("New of nothing = %v, want a store that keeps", err)
	} else if _, ok := s.(*actmem.Keep); !ok {
		t.Errorf("New of nothing = %T, want *Keep", s)
	}
	if s, err := actmem.New(actmem.Config{Bits: 16}, k.a, plain{k.q}); err != nil {
		t.Errorf("bfloat16 on a device without it: %v", err)
	} else if _, ok := s.(*actmem.Keep); !ok {
		t.Errorf("bfloat16 on a device without it: %T, want what keeps everything", s)
	}
	if _, err := actmem.New(actmem.Config{Bits: 8}, k.a, plain{k.q}); err == nil {
		t.Error("New on a device without codes: no error")
	}
	for _, w := range []struct {
		kept       float64
		cols, want int
	}{{0, 10, 10}, {1, 10, 10}, {0.125, 128, 16}, {0.125, 100, 13}, {0.25, 602, 151}, {0.001, 10, 1}} {
		if got := (actmem.Config{Kept: w.kept}).Width(w.cols); got != w.want {
			t.Errorf("Width(%d) of %g = %d, want %d", w.cols, w.kept, got, w.want)
		}
	}
}
