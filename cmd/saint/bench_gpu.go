package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/saint-gnn/saint/cuda"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// gpuKinds are what can be measured on a GPU, in the order of 'all'.
var gpuKinds = map[string]func(*gpuBencher, context.Context) error{
	"gemm": (*gpuBencher).gemm, "ops": (*gpuBencher).ops, "spmm": (*gpuBencher).spmm, "step": (*gpuBencher).step, "eval": (*gpuBencher).eval,
}

// gpuBencher measures on a GPU.
type gpuBencher struct {
	bencher
	gpu    *cuda.Backend
	limits cuda.Limits
	matmul tensor.Matmul
	q      tensor.Queue
	a      tensor.Arena
}

// gpuLine is the JSON of the GPU, the first line of its benchmarks.
type gpuLine struct {
	Type   string             `json:"type"`
	Device string             `json:"device"`
	Matmul string             `json:"matmul"`            // the precision of dense products
	Lib    string             `json:"library,omitempty"` // that makes them; "" are the program's own kernels
	Copies float64            `json:"copy_bytes_per_s"`
	Flops  map[string]float64 `json:"peak_flops"`
	CPU    string             `json:"cpu"`
	Date   string             `json:"date"`
}

// runGPUBench is runBench on a GPU.
func runGPUBench(c *cli.Context, o benchOptions, e *env, kinds []benchKind) error {
	gpu, err := oneGPU(c)
	if err != nil {
		return err
	}
	matmul, _, err := matmulOf(c)
	if err != nil {
		return err
	}
	var run []func(*gpuBencher, context.Context) error
	var data []func(*gpuBencher, context.Context) error
	for _, k := range kinds {
		f := gpuKinds[k.name]
		switch {
		case f == nil && len(kinds) == 1:
			return usagef("bench %s measures the CPU; leave out --gpu", k.name)
		case f == nil:
		case k.data && k.name != "ops":
			data = append(data, f)
		default:
			run = append(run, f)
		}
	}
	b := &gpuBencher{bencher: bencher{benchOptions: o, env: e, ctx: c.Context}, matmul: matmul}
	if err := b.open(gpu); err != nil {
		return err
	}
	defer b.close()
	for _, f := range run {
		if err := f(b, c.Context); err != nil {
			return err
		}
	}
	for _, prefix := range o.data {
		if len(data) == 0 {
			break
		}
		if err := b.onData(c.Context, prefix, data); err != nil {
			return err
		}
	}
	return b.report.finish(o.markdown)
}

func (b *gpuBencher) open(gpu int) error {
	back, err := openDevice(gpu, b.matmul)
	if err != nil {
		return err
	}
	b.gpu = back.(*cuda.Backend)
	tellMatmul(b.env, b.gpu, b.matmul)
	if b.q, err = b.gpu.NewQueue(); err != nil {
		return errors.Join(err, b.gpu.Close())
	}
	if b.a, err = b.gpu.NewArena(); err != nil {
		return errors.Join(err, b.q.Close(), b.gpu.Close())
	}
	if b.limits, err = b.gpu.Limits(); err != nil {
		b.close()
		return err
	}
	text, _ := b.gpu.Matmul()
	library, mode := b.gpu.Multiplies()
	l := gpuLine{
		Type: "gpu", Device: b.gpu.Device(), Matmul: mode.String(), Lib: library, Copies: b.limits.CopyBytes, Flops: map[string]float64{}, CPU: cpuModel(),
		Date: time.Now().UTC().Format("2006-01-02"),
	}
	for m, f := range b.limits.Flops {
		l.Flops[tensor.Matmul(m).String()] = f
	}
	b.report = &benchReport{env: b.env, machine: machineLine{CPU: back.Device(), ISA: mode.String(), Threads: 1}}
	b.report.machine.head = []string{
		fmt.Sprintf("%s; dense products %s", l.Device, text),
		fmt.Sprintf("copies within its memory: %.0f GB/s, read and written; multiply-adds by clock and units: %.0f GFLOP/s fp32, %.0f tf32, %.0f bf16",
			l.Copies/1e9, b.limits.Flops[0]/1e9, b.limits.Flops[1]/1e9, b.limits.Flops[2]/1e9),
		fmt.Sprintf("saint %s, %s, beside %s, %s", version, runtime.Version(), l.CPU, l.Date),
	}
	if b.env.json {
		return b.env.printJSON(l)
	}
	for _, line := range b.report.machine.head {
		if err := b.env.printf("%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

func (b *gpuBencher) close() {
	_ = b.q.Close() // what failed was told
	_ = b.a.Close() // likewise
	_ = b.gpu.Close()
}

// calls returns milliseconds of one call for each repeat; the queue is waited for after as many calls
// as last long enough to measure.
func (b *gpuBencher) calls(call func()) ([]float64, error) {
	n := 1
	round := func() (float64, error) {
		begin := time.Now()
		for range n {
			call()
		}
		err := errors.Join(b.q.Sync(), b.a.Err())
		return sinceMS(begin) / float64(n), err
	}
	var first float64
	for range 2 { // the first call compiles
		var err error
		if first, err = round(); err != nil {
			return nil, err
		}
	}
	n = min(10_000, max(1, int(float64(benchTimes.least.Milliseconds())/max(first, 1e-3))))
	return b.few(round)
}

// mostFlops are the operations a second that what multiplies could do at most.
func (b *gpuBencher) mostFlops() float64 {
	_, mode := b.gpu.Multiplies()
	return b.limits.Flops[mode]
}

// add reports an operation that moves so many bytes, or does so many operations.
func (b *gpuBencher) add(name, work string, bytes, flops float64, call func()) error {
	samples, err := b.calls(call)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	f := newFigure(name, 1, "ms", samples)
	f.Work = work
	if flops > 0 {
		f.rate(flops/f.Value*1e3, "GFLOP/s", 1e9, b.mostFlops())
	} else {
		f.rate(bytes/f.Value*1e3, "GB/s", 1e9, b.limits.CopyBytes)
	}
	return b.report.add(f)
}

// cardShapes fill a GPU.
var cardShapes = []gemmShape{{"square", 4_096, 4_096, 4_096}, {"square", 8_192, 8_192, 8_192}, {"full graph", 232_965, 602, 128}}

func (b *gpuBencher) gemm(context.Context) error {
	shapes := b.shapes
	if shapes == nil {
		shapes = append(append(shapes, gemmShapes...), cardShapes...)
	}
	for _, s := range shapes {
		for _, p := range gemmProducts {
			m, n, k := p.dims(s)
			x, y := b.matrix(m, k), b.matrix(k, n)
			if p.transA {
				x.Rows, x.Cols, x.Stride = k, m, m
			}
			if p.transB {
				y.Rows, y.Cols, y.Stride = n, k, k
			}
			z := b.matrix(m, n)
			err := b.add(fmt.Sprintf("gemm/%s %s %dx%dx%d", p.name, s.name, m, n, k), "", 0, 2*float64(m)*float64(n)*float64(k),
				func() { b.q.Gemm(p.transA, p.transB, 1, x, y, 0, z) })
			if err != nil {
				return err
			}
			b.a.Reset()
		}
	}
	return b.a.Close() // what steps hold is counted
}

// matrix is one of small numbers.
func (b *gpuBencher) matrix(rows, cols int) tensor.Tensor {
	t := b.a.Alloc(tensor.F32, rows, cols)
	if b.a.Err() == nil {
		b.q.Fill(0.5, t)
	}
	return t
}

// ints puts numbers on the device.
func (b *gpuBencher) ints(s []int32) (tensor.Tensor, error) {
	t := b.a.Alloc(tensor.I32, len(s), 1)
	if b.a.Err() != nil {
		return t, b.a.Err()
	}
	host, err := binary.Append(nil, binary.NativeEndian, s)
	b.q.Upload(host, t)
	return t, errors.Join(err, b.q.Sync())
}

// opsRows is a matrix of 400 MB at 256 columns, far above what caches hold.
const opsRows, opsCols = 400_000, 256

func (b *gpuBencher) ops(context.Context) error {
	rows := opsRows
	if free := b.gpu.Caps().TotalBytes; free > 0 {
		rows = min(rows, max(64, int(free/(16*4*opsCols))))
	}
	x, y, z, w := b.matrix(rows, opsCols), b.matrix(rows, opsCols), b.matrix(rows, opsCols), b.matrix(rows, opsCols)
	row, sum := b.matrix(1, opsCols), b.matrix(1, 1)
	mean, rstd := b.matrix(rows, 1), b.matrix(rows, 1)
	ids := make([]int32, rows)
	for i := range ids {
		ids[i] = int32((i * 7919) % rows)
	}
	idx, err := b.ints(ids)
	if err != nil {
		return err
	}
	matrix := float64(4 * rows * opsCols)
	adam := tensor.AdamStep{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Corr1: 0.1, Corr2: 0.001}
	for _, c := range []struct {
		name  string
		moved float64 // matrices
		call  func()
	}{
		{"Fill", 1, func() { b.q.Fill(0.5, y) }},
		{"Axpby, copy", 2, func() { b.q.Axpby(1, x, 0, y) }},
		{"Axpby", 3, func() { b.q.Axpby(0.5, x, 0.5, y) }},
		{"Dropout", 2, func() { b.q.Dropout(0.1, tensor.RandKey{Seed: 1}, x, y) }},
		{"GatherRows", 2, func() { b.q.GatherRows(x, idx, tensor.Drop{}, y) }},
		{"BiasActNorm", 2, func() { b.q.BiasActNorm(tensor.ReLU, row, row, row, x, tensor.Drop{}, y, mean, rstd) }},
		{"BiasActNormBackward", 3, func() {
			b.q.BiasActNormBackward(tensor.ReLU, row, row, mean, rstd, x, z, tensor.Drop{}, y, row, row, row)
		}},
		{"SumSquares", 1, func() { b.q.SumSquares(x, sum) }},
		{"Adam", 8, func() { b.q.Adam(adam, sum, x, y, z, w) }},
	} {
		if err := b.add("ops/"+c.name, fmt.Sprintf("%d x %d", rows, opsCols), c.moved*matrix, 0, c.call); err != nil {
			return err
		}
	}
	return b.a.Close()
}

// onData measures on one data set.
func (b *gpuBencher) onData(ctx context.Context, prefix string, run []func(*gpuBencher, context.Context) error) error {
	config, err := benchConfig(b.benchOptions, prefix, "rw.yml")
	if err != nil {
		return err
	}
	if b.set, err = openBenchSet(ctx, b.env, b.benchOptions, prefix, config); err != nil {
		return err
	}
	defer b.set.close()
	for _, f := range run {
		if err := f(b, ctx); err != nil {
			return err
		}
	}
	return nil
}

// spmm measures aggregation over a subgraph, and over the full graph.
func (b *gpuBencher) spmm(ctx context.Context) error {
	batches, err := b.drawBatches(ctx, 1)
	if err != nil {
		return err
	}
	defer release(batches)
	sub, full, width := batches[0], b.set.ds.Full, b.set.config.Network.Dim
	if err := b.spmmOne("subgraph", sub.Indptr, sub.Indices, width); err != nil || full.NumEdges() > math.MaxInt32 {
		return err // a graph of more edges is never on the device as a whole
	}
	indptr := make([]int32, len(full.Indptr))
	for i, p := range full.Indptr {
		indptr[i] = int32(p)
	}
	return b.spmmOne("full graph", indptr, full.Indices, width)
}

func (b *gpuBencher) spmmOne(what string, indptr, indices []int32, width int) error {
	n, m := len(indptr)-1, len(indices)
	rows, err1 := b.ints(indptr)
	cols, err2 := b.ints(indices)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	csr := &tensor.CSR{Rows: n, Cols: n, Indptr: rows, Indices: cols, Values: b.matrix(m, 1)}
	x, y := b.matrix(n, width), b.matrix(n, width)
	// Every entry reads a row, from the caches or the memory, and every row is written.
	bytes := float64(4*width)*float64(n+m) + 8*float64(m)
	err := b.add(fmt.Sprintf("spmm/%s %s", b.set.label, what), fmt.Sprintf("%d rows, %d entries, %d columns; bytes as if nothing were cached", n, m, width), bytes, 0,
		func() { b.q.SpMM(1, csr, x, 0, y) })
	return errors.Join(err, b.a.Close())
}

// model makes one on the GPU.
func (b *gpuBencher) model() (*benchModel, error) {
	return newBenchModel(b.set.ds, b.set.config, 1, b.seed, func(cpu tensor.Backend) tensor.Backend {
		_ = cpu.Close() // it has done nothing
		return stayingOpen{b.gpu}
	})
}

// stayingOpen is a backend that others use, too.
type stayingOpen struct{ *cuda.Backend }

func (stayingOpen) Close() error { return nil }

func (b *gpuBencher) eval(ctx context.Context) error {
	m, err := b.model()
	if err != nil {
		return err
	}
	defer m.close()
	score, done, err := m.scorer(b.set.ds)
	if err != nil {
		return err
	}
	defer done()
	evaluate := func() (float64, error) {
		begin := time.Now()
		_, err := score.Evaluate(ctx, m.model)
		return sinceMS(begin), err
	}
	if _, err := evaluate(); err != nil {
		return err
	}
	samples, err := b.few(evaluate)
	if err != nil {
		return err
	}
	flops := evalFlops(b.set)
	f := newFigure("eval/"+b.set.label, 1, "ms", samples)
	f.rate(flops/f.Value*1e3, "GFLOP/s", 1e9, b.mostFlops())
	f.More = map[string]float64{"device_bytes": float64(b.gpu.Held())}
	f.Work = fmt.Sprintf("%d nodes, %d edges, %.1f GFLOP; %d MB of the GPU held", b.set.ds.NumNodes(), b.set.ds.Full.NumEdges(), flops/1e9, b.gpu.Held()/1e6)
	return b.report.add(f)
}
