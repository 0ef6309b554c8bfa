package formats

import (
	"fmt"
	"math"

	"github.com/saint-gnn/saint/internal/kernels/half"
)

// Stored is a feature matrix in memory in the type that it is stored in: one of the slices is set,
// row-major Rows×Dim. Nobody may write to them.
type Stored struct {
	Rows, Dim int
	F32       []float32
	F16       []uint16 // bits of IEEE 754 half precision
}

// StoredOf returns how x lies in memory, and whether it does.
func StoredOf(x FeatureStore) (Stored, bool) {
	switch m := x.(type) {
	case *HalfMatrix:
		return Stored{Rows: m.rows, Dim: m.dim, F16: m.m}, true
	case Resident:
		return Stored{Rows: m.Rows(), Dim: m.Dim(), F32: m.Matrix()}, true
	}
	return Stored{}, false
}

// Bytes returns the size of the matrix.
func (s Stored) Bytes() int64 { return 4*int64(len(s.F32)) + 2*int64(len(s.F16)) }

// HalfMatrix is a feature matrix in memory in half precision: half the bytes of a [Matrix], and
// rows that are widened as they are read. It is safe for concurrent use.
type HalfMatrix struct {
	m         []uint16
	rows, dim int
}

// Rows returns the number of nodes.
func (x *HalfMatrix) Rows() int { return x.rows }

// Dim returns the number of features of a node.
func (x *HalfMatrix) Dim() int { return x.dim }

// Gather widens row ids[i] into dst[i*Dim():]. It fails as Matrix.Gather does.
func (x *HalfMatrix) Gather(dst []float32, ids []int32) error {
	if len(dst) != len(ids)*x.dim {
		return fmt.Errorf("gather %d rows of %d features into %d values", len(ids), x.dim, len(dst))
	}
	for i, v := range ids {
		if v < 0 || int(v) >= x.rows {
			return fmt.Errorf("gather row %d of a matrix with %d rows", v, x.rows)
		}
		row := x.m[int(v)*x.dim : (int(v)+1)*x.dim]
		half.Decode(row, row, dst[i*x.dim:(i+1)*x.dim])
	}
	return nil
}

// Rounding says how far numbers moved when they were rounded.
type Rounding struct {
	Most float64 // the largest distance
	Mean float64 // square root of the mean of the squared distances
}

// Halve returns the features of src rounded to half precision (nearest, ties to even), in memory of
// their own. A magnitude from 65520 on is an error that names the row and column. The bits depend on
// the features alone; src is read once, in parallel.
func Halve(src FeatureStore) (*HalfMatrix, Rounding, error) {
	rows, dim := src.Rows(), src.Dim()
	x := &HalfMatrix{m: make([]uint16, rows*dim), rows: rows, dim: dim}
	most := make([]float64, chunks(rows, statRows))
	squares := make([]float64, len(most))
	err := eachBlock(src, nil, statRows, func(chunk, row int, block []float32) error {
		to := x.m[row*dim : row*dim+len(block)]
		if err := checkHalves(block, row, dim); err != nil {
			return err
		}
		half.Encode(block, to)
		var back [512]float32
		for lo := 0; lo < len(block); lo += len(back) {
			part, b := block[lo:min(len(block), lo+len(back))], back[:min(len(back), len(block)-lo)]
			half.Decode(to[lo:lo+len(b)], to[lo:lo+len(b)], b)
			for i, v := range part {
				d := float64(v) - float64(b[i])
				most[chunk] = max(most[chunk], math.Abs(d))
				squares[chunk] += float64(d * d)
			}
		}
		return nil
	})
	if err != nil {
		return nil, Rounding{}, &PartError{Part: PartFeatures, Err: err}
	}
	var r Rounding
	for i := range most {
		r.Most = max(r.Most, most[i])
		r.Mean += squares[i]
	}
	if n := len(x.m); n > 0 {
		r.Mean = math.Sqrt(r.Mean / float64(n))
	}
	return x, r, nil
}

// checkHalves returns an error for the first value of whole rows, from row on, that half precision
// does not have.
func checkHalves(block []float32, row, dim int) error {
	if math.Float32frombits(magnitude(block)) < half.Most {
		return nil
	}
	for i, v := range block {
		if math.Abs(float64(v)) >= half.Most {
			return fmt.Errorf("column %d is %v at row %d after standardisation, beyond float16, which ends at 65504; store features as float32, or scale or drop the column",
				i%dim, v, row+i/dim)
		}
	}
	return nil
}

// halved is a FeatureStore that rounds the rows of another one as they are read.
type halved struct{ FeatureStore }

// Halved returns a FeatureStore that reads rows of src and rounds them to half precision on the
// way: the same bits as Halve, without its memory. It fails where Halve does, after reading all of
// src once. The store is as safe for concurrent use as src.
func Halved(src FeatureStore) (FeatureStore, error) {
	err := eachBlock(src, nil, statRows, func(_, row int, block []float32) error { return checkHalves(block, row, src.Dim()) })
	if err != nil {
		return nil, &PartError{Part: PartFeatures, Err: err}
	}
	return halved{src}, nil
}

// InHalf reports whether the features of x were rounded to half precision.
func InHalf(x FeatureStore) bool {
	switch x.(type) {
	case *HalfMatrix, halved:
		return true
	}
	return false
}

// Gather reads the rows into dst and rounds them there.
func (x halved) Gather(dst []float32, ids []int32) error {
	if err := x.FeatureStore.Gather(dst, ids); err != nil {
		return err
	}
	dim := x.Dim()
	var h [512]uint16
	for i := range ids {
		for row := dst[i*dim : (i+1)*dim]; len(row) > 0; row = row[min(len(row), len(h)):] {
			part := row[:min(len(row), len(h))]
			half.Encode(part, h[:len(part)])
			half.Decode(h[:len(part)], h[:len(part)], part)
		}
	}
	return nil
}
