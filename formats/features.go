package formats

import (
	"fmt"
	"math"
)

// Matrix is a feature matrix in memory. It implements Resident and is safe for concurrent
// use as long as nobody writes to the slice that it was made from.
type Matrix struct {
	m         []float32
	rows, dim int
}

// NewMatrix wraps m, row-major with rows of dim values, without copying it. It panics when
// dim is not positive or m does not hold whole rows.
func NewMatrix(m []float32, dim int) *Matrix {
	if dim <= 0 || len(m)%dim != 0 {
		panic(fmt.Sprintf("formats: %d values do not make rows of %d", len(m), dim))
	}
	return &Matrix{m: m, rows: len(m) / dim, dim: dim}
}

// Rows returns the number of nodes.
func (x *Matrix) Rows() int { return x.rows }

// Dim returns the number of features of a node.
func (x *Matrix) Dim() int { return x.dim }

// Matrix returns the wrapped slice. The caller must not write to it.
func (x *Matrix) Matrix() []float32 { return x.m }

// Gather copies row ids[i] to dst[i*Dim():]. It fails on an id outside 0…Rows()-1 and on a
// dst of another length than len(ids)*Dim(); what dst then holds is undefined.
func (x *Matrix) Gather(dst []float32, ids []int32) error {
	if len(dst) != len(ids)*x.dim {
		return fmt.Errorf("gather %d rows of %d features into %d values", len(ids), x.dim, len(dst))
	}
	for i, v := range ids {
		if v < 0 || int(v) >= x.rows {
			return fmt.Errorf("gather row %d of a matrix with %d rows", v, x.rows)
		}
		at := int(v) * x.dim
		copy(dst[i*x.dim:(i+1)*x.dim], x.m[at:at+x.dim])
	}
	return nil
}

// Scaling holds what standardisation does to every column: y = (x - Mean) * InvStd. The
// arithmetic is float64, rounded to float32 once at the end.
type Scaling struct {
	Mean, InvStd []float64
}

// apply standardises whole rows in place.
func (s *Scaling) apply(rows []float32) {
	dim := len(s.Mean)
	inv := s.InvStd[:dim]
	for len(rows) >= dim && dim > 0 {
		row := rows[:dim]
		for j, mean := range s.Mean {
			row[j] = float32((float64(row[j]) - mean) * inv[j])
		}
		rows = rows[dim:]
	}
}

// checkRange returns an error that names the first value that apply makes infinite.
func (s *Scaling) checkRange(src FeatureStore) error {
	dim := src.Dim()
	return eachBlock(src, nil, statRows, func(_, row int, block []float32) error {
		for i, x := range block {
			j := i % dim
			if y := (float64(x) - s.Mean[j]) * s.InvStd[j]; math.IsInf(float64(float32(y)), 0) {
				return fmt.Errorf("value at row %d, column %d is %v: that is %.3g standard deviations of the training nodes from their mean, beyond float32; scale or drop the column",
					row+i/dim, j, x, math.Abs(y))
			}
		}
		return nil
	})
}

// scaled is a FeatureStore that standardises the rows of another one as they are read.
type scaled struct {
	FeatureStore
	scaling Scaling
}

// Standardized returns a FeatureStore that reads rows of src and standardises them on the
// way, with the same bits as Prepare. It adds no memory and is as safe for
// concurrent use as src. It panics when the widths differ.
func Standardized(src FeatureStore, s Scaling) FeatureStore {
	if len(s.Mean) != src.Dim() || len(s.InvStd) != src.Dim() {
		panic(fmt.Sprintf("formats: scaling of %d and %d columns for %d features",
			len(s.Mean), len(s.InvStd), src.Dim()))
	}
	return &scaled{FeatureStore: src, scaling: s}
}

// Gather reads the rows into dst and standardises them there.
func (x *scaled) Gather(dst []float32, ids []int32) error {
	if err := x.FeatureStore.Gather(dst, ids); err != nil {
		return err
	}
	x.scaling.apply(dst)
	return nil
}

const (
	// statRows is the number of rows whose sums are formed by one goroutine before they
	// are combined. It is part of the result's rounding, so it is a constant.
	statRows = 2048
	// blockValues bounds the values read at once by one goroutine; it changes no result.
	blockValues = 1 << 16
)

// ColumnScaling returns column means and inverse population standard deviations over the
// given rows of src; a column without deviation gets InvStd 1. Without rows it returns the
// identity. Sums are float64 of differences to the first row, over fixed groups of rows
// combined in order, so the bits depend on the data alone. It reads the rows twice.
func ColumnScaling(src FeatureStore, rows []int32) (Scaling, error) {
	dim := src.Dim()
	s := Scaling{Mean: make([]float64, dim), InvStd: make([]float64, dim)}
	for j := range s.InvStd {
		s.InvStd[j] = 1
	}
	if len(rows) == 0 || dim == 0 {
		return s, nil
	}
	// The shift makes the sums of a constant column exactly zero and keeps the digits of a
	// column whose mean is large against its deviation.
	first := make([]float32, dim)
	if err := src.Gather(first, rows[:1]); err != nil {
		return s, err
	}
	shift := make([]float64, dim)
	for j, x := range first {
		shift[j] = float64(x)
	}
	sum, err := columnSums(src, rows, shift, false)
	if err != nil {
		return s, err
	}
	n := float64(len(rows))
	for j := range sum {
		s.Mean[j] = shift[j] + sum[j]/n
	}
	squares, err := columnSums(src, rows, s.Mean, true)
	if err != nil {
		return s, err
	}
	for j, q := range squares {
		if std := math.Sqrt(q / n); std > 0 {
			s.InvStd[j] = 1 / std
		}
	}
	return s, nil
}

// columnSums returns for every column the sum over rows of x-shift, or of its square.
func columnSums(src FeatureStore, rows []int32, shift []float64, square bool) ([]float64, error) {
	dim := src.Dim()
	parts := make([]float64, chunks(len(rows), statRows)*dim)
	err := eachBlock(src, rows, statRows, func(chunk, _ int, block []float32) error {
		sum := parts[chunk*dim : (chunk+1)*dim]
		for ; len(block) >= dim; block = block[dim:] {
			addRow(sum, block[:dim], shift, square)
		}
		return nil
	})
	total := parts[:dim]
	for at := dim; at < len(parts); at += dim {
		for j, x := range parts[at : at+dim] {
			total[j] += x
		}
	}
	return total, err
}

// addRow adds x-shift, or its square, to sum. The conversion around the product forbids
// fusing it with the sum, so that all architectures agree.
func addRow(sum []float64, x []float32, shift []float64, square bool) {
	x, shift = x[:len(sum)], shift[:len(sum)]
	if square {
		for j := range sum {
			d := float64(x[j]) - shift[j]
			sum[j] += float64(d * d)
		}
		return
	}
	for j := range sum {
		sum[j] += float64(x[j]) - shift[j]
	}
}

// scaleInPlace applies s to all rows of x in parallel.
func scaleInPlace(x *Matrix, s Scaling) {
	per := max(1, blockValues/x.dim)
	// The function never fails, so neither does the loop.
	_ = inParallel(chunks(x.rows, per), func(i int) error {
		s.apply(x.m[i*per*x.dim : min(x.rows, (i+1)*per)*x.dim])
		return nil
	})
}

// eachBlock reads rows ids of src (nil: all rows) in chunks of chunkRows rows, chunks in
// parallel. Within a chunk f sees the rows in order, some whole rows at a time; row is the
// position of the first of them in ids. f must not keep or change the block.
func eachBlock(src FeatureStore, ids []int32, chunkRows int, f func(chunk, row int, block []float32) error) error {
	n, dim := len(ids), src.Dim()
	if ids == nil {
		n = src.Rows()
	}
	resident, _ := src.(Resident)
	per := min(chunkRows, max(1, blockValues/max(1, dim)))
	return inParallel(chunks(n, chunkRows), func(chunk int) error {
		end := min(n, (chunk+1)*chunkRows)
		if ids == nil && resident != nil {
			row := chunk * chunkRows
			return f(chunk, row, resident.Matrix()[row*dim:end*dim])
		}
		buf := make([]float32, min(per, end-chunk*chunkRows)*dim)
		all := make([]int32, len(buf)/max(1, dim))
		for row := chunk * chunkRows; row < end; row += per {
			stop := min(end, row+per)
			want := all[:stop-row]
			if ids != nil {
				want = ids[row:stop]
			} else {
				for i := range want {
					want[i] = int32(row + i)
				}
			}
			block := buf[:len(want)*dim]
			if err := src.Gather(block, want); err != nil {
				return err
			}
			if err := f(chunk, row, block); err != nil {
				return err
			}
		}
		return nil
	})
}
