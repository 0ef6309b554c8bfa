package saintcpp

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/internal/atomicfile"
)

// WriteOptions say how to write a folder.
type WriteOptions struct {
	assemble.Reports
	// RawFeatures writes the features as they are instead of standardised ones.
	RawFeatures bool
}

// Write stores raw as the folder dir, which must be absent or empty and whose parent must
// exist; it is complete or not there at all. Features are standardised over the training
// nodes, as the C++ program wants them. What the format cannot hold is warned about. raw is
// not changed.
func Write(ctx context.Context, dir string, raw *formats.RawDataset, o WriteOptions) error {
	if err := raw.Validate(); err != nil {
		return err
	}
	if max(raw.Full.NumEdges(), raw.Train.NumEdges()) > math.MaxInt32 || raw.Full.NumNodes() > math.MaxInt32-1 {
		return fmt.Errorf("write %s: the C++ format counts edges and nodes in int32, but there are %d edges", dir, raw.Full.NumEdges())
	}
	x, err := extraOf(raw, o)
	if err != nil {
		return err
	}
	warnLosses(raw, &o)
	return atomicfile.WriteDir(dir, func(tmp string) error {
		w := writer{ctx: ctx, dir: tmp, raw: raw, extra: x, reports: &o.Reports}
		return w.all()
	})
}

func extraOf(raw *formats.RawDataset, o WriteOptions) (*extra, error) {
	x := &extra{Format: 1, Labels: singleLabel, Offset: raw.Labels.Offset}
	if raw.Labels.IsMulti() {
		x.Labels, x.Offset = multiLabel, 0
	}
	if o.RawFeatures {
		return x, nil
	}
	s, err := formats.ColumnScaling(formats.NewMatrix(raw.Features, raw.Dim), raw.TrainNodes)
	if err != nil {
		return nil, err
	}
	x.Mean, x.Std = s.Mean, s.InvStd
	for j, inv := range s.InvStd {
		x.Std[j] = 1 / inv
	}
	return x, nil
}

// warnLosses says what the format cannot hold.
func warnLosses(raw *formats.RawDataset, o *WriteOptions) {
	if raw.Full.Weights != nil || raw.Train.Weights != nil {
		o.Warnf("the C++ format has no edge weights; every edge counts as 1 there")
	}
	if raw.Labels.IsMulti() {
		return
	}
	none := 0
	for _, c := range raw.Labels.Class {
		if c < 0 {
			none++
		}
	}
	if none > 0 {
		o.Warnf("%d nodes have no label; their rows of %s are zero", none, labelsFile)
	}
}

// writer fills one folder.
type writer struct {
	ctx     context.Context
	dir     string
	raw     *formats.RawDataset
	extra   *extra
	reports *assemble.Reports
}

func (w *writer) all() error {
	raw := w.raw
	n := raw.Full.NumNodes()
	d := dims{
		int(raw.Train.NumEdges()), n + 1, int(raw.Full.NumEdges()), n + 1,
		len(raw.TrainNodes), len(raw.TestNodes), len(raw.ValNodes), n, raw.Dim, n, raw.Labels.NumClasses,
	}
	var numbers []int32
	for _, f := range d.fields() {
		numbers = append(numbers, int32(*f))
	}
	for _, f := range []struct {
		name   string
		values []int32
	}{
		{dimsFile, numbers},
		{trainIndicesFile, raw.Train.Indices},
		{trainIndptrFile, narrow(raw.Train.Indptr)},
		{fullIndicesFile, raw.Full.Indices},
		{fullIndptrFile, narrow(raw.Full.Indptr)},
		{trainFile, raw.TrainNodes},
		{testFile, raw.TestNodes},
		{valFile, raw.ValNodes},
	} {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.file(f.name, func(out io.Writer) error { return writeInts(out, f.values) }); err != nil {
			return err
		}
	}
	if err := w.features(); err != nil {
		return err
	}
	if err := w.labels(); err != nil {
		return err
	}
	return w.file(extraFile, func(out io.Writer) error { return json.NewEncoder(out).Encode(w.extra) })
}

func (w *writer) file(name string, fill func(io.Writer) error) error {
	return atomicfile.Write(filepath.Join(w.dir, name), func(out io.Writer) error {
		b := bufio.NewWriterSize(out, 1<<20)
		if err := fill(b); err != nil {
			return err
		}
		return b.Flush()
	})
}

// features writes the matrix column by column and warns about values that reading will not
// give back bit for bit.
func (w *writer) features() error {
	rows, dim, inexact := w.raw.Full.NumNodes(), w.raw.Dim, 0
	err := w.columns(featsFile, rows, dim, func(v, j int) float64 {
		x := w.raw.Features[v*dim+j]
		z := w.extra.forward(x, j)
		if math.Float32bits(float32(w.extra.back(z, j))) != math.Float32bits(x) {
			inexact++
		}
		return z
	})
	if err == nil && inexact > 0 {
		w.reports.Warnf("%s: %d of %d values will come back with another rounding, since the format holds standardised ones", featsFile, inexact, rows*dim)
	}
	return err
}

// labels writes the 0/1 matrix column by column.
func (w *writer) labels() error {
	l := &w.raw.Labels
	return w.columns(labelsFile, w.raw.Full.NumNodes(), l.NumClasses, func(v, c int) float64 {
		if l.IsMulti() {
			return float64(l.Multi[v*l.NumClasses+c])
		}
		if int(l.Class[v]) == c {
			return 1
		}
		return 0
	})
}

// columns writes a matrix of doubles with the first index fastest. A block of columns is
// gathered at a time, so that the row-major source is read along its rows.
func (w *writer) columns(name string, rows, cols int, value func(v, j int) float64) error {
	const block = 8
	return w.file(name, func(out io.Writer) error {
		buf := make([]byte, 8*rows*min(block, cols))
		for lo := 0; lo < cols; lo += block {
			if err := w.reports.Step(w.ctx, "columns", int64(lo), int64(cols)); err != nil {
				return err
			}
			hi := min(cols, lo+block)
			for v := range rows {
				for j := lo; j < hi; j++ {
					binary.LittleEndian.PutUint64(buf[8*((j-lo)*rows+v):], math.Float64bits(value(v, j)))
				}
			}
			if _, err := out.Write(buf[:8*rows*(hi-lo)]); err != nil {
				return err
			}
		}
		return nil
	})
}

func narrow(s []int64) []int32 {
	out := make([]int32, len(s))
	for i, x := range s {
		out[i] = int32(x)
	}
	return out
}

func writeInts(w io.Writer, values []int32) error {
	var buf [4 << 10]byte
	for len(values) > 0 {
		n := min(len(values), len(buf)/4)
		for i, x := range values[:n] {
			binary.LittleEndian.PutUint32(buf[4*i:], uint32(x))
		}
		if _, err := w.Write(buf[:4*n]); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}
