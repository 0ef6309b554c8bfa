package cuda

import (
	"errors"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Limits is what a GPU can do at most.
type Limits struct {
	// CopyBytes is the bytes a second of copies within its memory, measured: read and written ones.
	CopyBytes float64
	// Flops are the operations a second of each way of multiplying, by clock and number of units; 0
	// where this program does not know the architecture.
	Flops [3]float64
}

// How Limits measures.
const (
	copyBytes = 256 << 20
	copyCalls = 10
	copyTries = 5
)

// Limits measures and computes what the GPU can do at most.
func (b *Backend) Limits() (l Limits, err error) {
	for m := range l.Flops {
		l.Flops[m] = flops(b.dev.Properties(), tensor.Matmul(m))
	}
	free, _, err := b.dev.MemInfo()
	if err != nil {
		return l, b.explain(err)
	}
	size := min(copyBytes, free/4)
	at, err := b.take(2 * size)
	if err != nil {
		return l, err
	}
	l.CopyBytes, err = b.copies(at, size)
	return l, errors.Join(err, b.give(at, 2*size))
}

// copies returns the rate of copies from the first half of 2 size bytes to the second.
func (b *Backend) copies(at driver.Ptr, size int64) (rate float64, err error) {
	s, err := b.dev.NewStream()
	if err != nil {
		return 0, b.explain(err)
	}
	defer func() { err = errors.Join(err, b.dev.DestroyStream(s)) }()
	t := newTimer(b.dev)
	defer func() { err = errors.Join(err, t.close()) }()
	if err := b.dev.Set8(at, 0, size, s); err != nil {
		return 0, b.explain(err)
	}
	for range copyTries {
		t.begin(s)
		for range copyCalls {
			t.keep(b.dev.Copy(at+driver.Ptr(size), at, size, s))
		}
		t.end(s)
		seconds, err := t.seconds(s)
		if err != nil {
			return 0, b.explain(err)
		}
		if seconds > 0 {
			rate = max(rate, 2*copyCalls*float64(size)/seconds)
		}
	}
	return rate, nil
}

// unitFlops are the operations of a multiprocessor in a clock, by compute capability: in single
// precision, of its tensor units in TensorFloat-32, in bfloat16 with sums of single precision.
var unitFlops = map[int][3]float64{
	75: {128, 0, 0}, 80: {128, 1024, 2048}, 86: {256, 256, 512}, 87: {256, 256, 512}, 89: {256, 256, 512}, 90: {256, 2048, 4096},
	100: {256, 4096, 8192}, 103: {256, 4096, 8192}, 120: {256, 256, 512},
}

func flops(p driver.Properties, m tensor.Matmul) float64 {
	return unitFlops[10*p.Major+p.Minor][m] * float64(p.SMs) * float64(p.ClockKHz) * 1e3
}

// timer measures the time of what a stream does between two points.
type timer struct {
	dev      driver.Device
	from, to driver.Event
	err      error
}

func newTimer(d driver.Device) *timer {
	t := &timer{dev: d}
	var err error
	t.from, err = d.NewEvent(true)
	t.keep(err)
	if t.err == nil {
		t.to, err = d.NewEvent(true)
		t.keep(err)
	}
	return t
}

// keep keeps the first failure.
func (t *timer) keep(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *timer) begin(s driver.Stream) {
	if t.err == nil {
		t.keep(t.dev.Record(t.from, s))
	}
}

func (t *timer) end(s driver.Stream) {
	if t.err == nil {
		t.keep(t.dev.Record(t.to, s))
	}
}

// seconds waits and returns the time between the points.
func (t *timer) seconds(s driver.Stream) (float64, error) {
	if t.err != nil {
		return 0, t.err
	}
	if err := t.dev.SyncStream(s); err != nil {
		return 0, err
	}
	ms, err := t.dev.Elapsed(t.from, t.to)
	return float64(ms) / 1e3, err
}

func (t *timer) close() error {
	var errs []error
	for _, e := range []driver.Event{t.from, t.to} {
		if e != 0 {
			errs = append(errs, t.dev.DestroyEvent(e))
		}
	}
	return errors.Join(errs...)
}
