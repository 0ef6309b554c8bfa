package inspect

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/bits"
	"slices"

	"github.com/saint-gnn/saint/formats"
)

const (
	// outlier is the distance from the training mean, in standard deviations, beyond which a
	// column stands out.
	outlier = 100
	// imprecise is the mean by deviation at which 24 bits leave about two digits of a value's
	// distance from the mean.
	imprecise = 1e5
	// featureChunk is the number of rows whose sums are formed together.
	featureChunk = 1024
)

// column holds what is known of one column.
type column struct {
	min, max           float32
	trainMin, trainMax float32
	sum                float64
}

// featureScan is what one pass over the rows finds.
type featureScan struct {
	src      formats.FeatureStore
	dim      int
	columns  []column
	zeros    int64
	zeroRows []bool
	hash     []uint64 // of every row
}

// features fills in the ranges of the features. stat are the training nodes that define the
// standardisation.
func (r *Report) features(ctx context.Context, src formats.FeatureStore, stat []int32, role []uint8) error {
	rows, dim := src.Rows(), src.Dim()
	values := float64(rows) * float64(dim)
	isStat := make([]bool, rows)
	for _, v := range stat {
		isStat[v] = true
	}
	scan := featureScan{src: src, dim: dim, zeroRows: make([]bool, rows), hash: make([]uint64, rows)}
	if err := scan.run(ctx, isStat); err != nil {
		return err
	}
	f := &r.Features
	*f = FeatureStats{
		Columns: dim, Min: math.Inf(1), Max: math.Inf(-1), Bytes: 4 * int64(rows) * int64(dim), Zeros: float64(scan.zeros) / values,
		Constant: []int{}, ConstantInTrain: []int{}, Outliers: []int{}, Imprecise: []int{},
	}
	for v := range scan.zeroRows {
		if scan.zeroRows[v] {
			f.ZeroRows++
		}
	}
	s, err := formats.ColumnScaling(src, stat)
	if err != nil {
		return err
	}
	sum := 0.0
	for j := range scan.columns {
		c := &scan.columns[j]
		sum += c.sum
		f.addColumn(j, c, s.Mean[j], s.InvStd[j])
	}
	f.Mean = sum / values
	f.TwinsInTrain, err = scan.twins(role)
	return err
}

// addColumn sorts column j into the lists that it belongs to.
func (f *FeatureStats) addColumn(j int, c *column, mean, invStd float64) {
	f.Min, f.Max = min(f.Min, float64(c.min)), max(f.Max, float64(c.max))
	switch {
	case c.min == c.max:
		f.Constant = append(f.Constant, j)
		return
	case c.trainMin == c.trainMax:
		f.ConstantInTrain = append(f.ConstantInTrain, j)
		return
	}
	far := max(math.Abs(float64(c.max)-mean), math.Abs(float64(c.min)-mean)) * invStd
	f.Greatest = max(f.Greatest, far)
	if far > outlier {
		f.Outliers = append(f.Outliers, j)
	}
	if math.Abs(mean)*invStd > imprecise {
		f.Imprecise = append(f.Imprecise, j)
	}
}

// run makes the pass. Sums of chunks are combined in groups of chunks, so that memory stays
// small next to the matrix whatever its shape.
func (s *featureScan) run(ctx context.Context, isStat []bool) error {
	rows := len(isStat)
	inf := float32(math.Inf(1))
	fresh := func(columns []column) {
		for j := range columns {
			columns[j] = column{min: inf, max: -inf, trainMin: inf, trainMax: -inf}
		}
	}
	s.columns = make([]column, s.dim)
	fresh(s.columns)
	const group = 64
	parts := make([]column, min(group, chunks(rows, featureChunk))*s.dim)
	zeros := make([]int64, group)
	errs := make([]error, group)
	for first := 0; first < rows; first += group * featureChunk {
		n := min(rows-first, group*featureChunk)
		eachChunk(n, featureChunk, func(chunk, lo, hi int) {
			part := parts[chunk*s.dim : (chunk+1)*s.dim]
			fresh(part)
			zeros[chunk] = 0
			errs[chunk] = s.eachRow(first+lo, first+hi, func(v int, row []float32) {
				zeros[chunk] += s.row(v, row, isStat[v], part)
			})
		})
		if err := errors.Join(ctx.Err(), errors.Join(errs...)); err != nil {
			return err
		}
		for chunk := range chunks(n, featureChunk) {
			s.zeros += zeros[chunk]
			for j := range s.columns {
				s.columns[j].add(&parts[chunk*s.dim+j])
			}
		}
	}
	return nil
}

// blockValues bounds the values that one goroutine reads at a time.
const blockValues = 1 << 16

// eachRow calls visit for the rows lo…hi-1.
func (s *featureScan) eachRow(lo, hi int, visit func(v int, row []float32)) error {
	if m, ok := s.src.(formats.Resident); ok {
		for v := lo; v < hi; v++ {
			visit(v, m.Matrix()[v*s.dim:(v+1)*s.dim])
		}
		return nil
	}
	ids := make([]int32, min(hi-lo, max(1, blockValues/s.dim)))
	block := make([]float32, len(ids)*s.dim)
	for lo < hi {
		ids = ids[:min(len(ids), hi-lo)]
		for i := range ids {
			ids[i] = int32(lo + i)
		}
		if err := s.src.Gather(block[:len(ids)*s.dim], ids); err != nil {
			return err
		}
		for i := range ids {
			visit(lo+i, block[i*s.dim:(i+1)*s.dim])
		}
		lo += len(ids)
	}
	return nil
}

// row adds row v to the columns and returns how many of its values are 0.
func (s *featureScan) row(v int, row []float32, isStat bool, columns []column) (zeros int64) {
	columns = columns[:len(row)]
	hash := uint64(len(row))
	for j, x := range row {
		c := &columns[j]
		c.min, c.max = min(c.min, x), max(c.max, x)
		if isStat {
			c.trainMin, c.trainMax = min(c.trainMin, x), max(c.trainMax, x)
		}
		c.sum += float64(x)
		if x == 0 {
			zeros++
			x = 0 // not -0, which is equal but has other bits
		}
		hash = bits.RotateLeft64((hash^uint64(math.Float32bits(x)))*0x9e3779b97f4a7c15, 29)
	}
	s.hash[v], s.zeroRows[v] = hash, zeros == int64(s.dim)
	return zeros
}

// add combines the numbers of two sets of rows.
func (c *column) add(o *column) {
	c.min, c.max = min(c.min, o.min), max(c.max, o.max)
	c.trainMin, c.trainMax = min(c.trainMin, o.trainMin), max(c.trainMax, o.trainMax)
	c.sum += o.sum
}

// twins counts the validation and test nodes whose features are those of a training node.
func (s *featureScan) twins(role []uint8) (found [2]int, err error) {
	type row struct {
		hash uint64
		node int32
	}
	var train []row
	for v, split := range role {
		if split == 0 && !s.zeroRows[v] {
			train = append(train, row{s.hash[v], int32(v)})
		}
	}
	slices.SortFunc(train, func(a, b row) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.node, b.node)) })
	mine, other := make([]float32, s.dim), make([]float32, s.dim)
	for v, split := range role {
		if split != 1 && split != 2 || s.zeroRows[v] {
			continue
		}
		at, ok := slices.BinarySearchFunc(train, s.hash[v], func(r row, h uint64) int { return cmp.Compare(r.hash, h) })
		// Rows of one hash but for an accident are equal, so the first one decides.
		if !ok {
			continue
		}
		if err := errors.Join(s.src.Gather(mine, []int32{int32(v)}), s.src.Gather(other, []int32{train[at].node})); err != nil {
			return found, err
		}
		if slices.Equal(mine, other) {
			found[split-1]++
		}
	}
	return found, nil
}
