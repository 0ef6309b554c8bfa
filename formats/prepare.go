package formats

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
	"unsafe"
)

// Part names one ingredient of a data set, so that whoever knows which file it came from
// can say which file is wrong.
type Part string

// The parts of a data set.
const (
	PartFull     Part = "full graph"
	PartTrain    Part = "training graph"
	PartRoles    Part = "roles"
	PartLabels   Part = "labels"
	PartFeatures Part = "features"
)

// PartError says which part of a data set is wrong.
type PartError struct {
	Part Part
	Err  error
}

// Error returns part: what.
func (e *PartError) Error() string { return fmt.Sprintf("%s: %v", e.Part, e.Err) }

// Unwrap returns the cause.
func (e *PartError) Unwrap() error { return e.Err }

func badPart(p Part, format string, args ...any) error {
	return &PartError{Part: p, Err: fmt.Errorf(format, args...)}
}

// Prepare checks everything, standardises the features and computes the fingerprint.
//
// The statistics come from the training nodes that have at least one edge in Train (as row
// or column); if there is no such node, from all training nodes. Single-label classes are
// counted from the least to the greatest one present, as in a data folder: Labels.Offset
// and NumClasses are adjusted. Weights that are all 1 are dropped.
//
// The Dataset takes over d's slices: Features is standardised in place and set to nil, so
// a second call fails. Errors are *InputError with d.Name as the path, around a *PartError.
func (d *RawDataset) Prepare() (*Dataset, error) {
	if d.Dim <= 0 || len(d.Features)%d.Dim != 0 {
		return nil, d.inputError(badPart(PartFeatures, "%d values do not make rows of %d features", len(d.Features), d.Dim))
	}
	x := NewMatrix(d.Features, d.Dim)
	ds, s, err := d.prepare(x)
	if err != nil {
		return nil, d.inputError(err)
	}
	scaleInPlace(x, s)
	d.Features, ds.Features = nil, x
	return ds, nil
}

// PrepareFrom is Prepare for features that stay where they are: src hands out the rows
// before standardisation and Dataset.Features standardises them as they are read, with the
// same bits as Prepare. d.Features and d.Dim are not used.
func (d *RawDataset) PrepareFrom(src FeatureStore) (*Dataset, error) {
	ds, s, err := d.prepare(src)
	if err != nil {
		return nil, d.inputError(err)
	}
	ds.Features = Standardized(src, s)
	return ds, nil
}

// Validate makes the checks of Prepare and changes nothing.
func (d *RawDataset) Validate() error {
	if d.Dim <= 0 || len(d.Features)%d.Dim != 0 {
		return d.inputError(badPart(PartFeatures, "%d values do not make rows of %d features", len(d.Features), d.Dim))
	}
	x := NewMatrix(d.Features, d.Dim)
	if err := d.check(x); err != nil {
		return d.inputError(err)
	}
	_, most, err := scanFeatures(x)
	if err == nil {
		_, err = scalingOf(x, d.Train, d.TrainNodes, most)
	}
	if err != nil {
		return d.inputError(err)
	}
	return nil
}

func (d *RawDataset) inputError(err error) error {
	return &InputError{Path: d.Name, Offset: -1, Err: err}
}

// prepare returns the data set without its features, and what to do with those.
func (d *RawDataset) prepare(src FeatureStore) (*Dataset, Scaling, error) {
	if err := d.check(src); err != nil {
		return nil, Scaling{}, err
	}
	ds := &Dataset{
		Name: d.Name, Full: dropUnitWeights(d.Full), Train: dropUnitWeights(d.Train), Labels: d.Labels,
		TrainNodes: d.TrainNodes, ValNodes: d.ValNodes, TestNodes: d.TestNodes,
	}
	if err := ds.Labels.rebase(); err != nil {
		return nil, Scaling{}, err
	}
	featureHash, most, err := scanFeatures(src)
	if err != nil {
		return nil, Scaling{}, err
	}
	ds.Fingerprint = ds.fingerprint(src.Dim(), featureHash)
	s, err := scalingOf(src, ds.Train, ds.TrainNodes, most)
	return ds, s, err
}

// scalingOf returns the scaling of features whose magnitude is at most most, after checking
// that no standardised value is beyond float32: a column that is nearly constant among the
// training nodes can carry another node's value there.
func scalingOf(src FeatureStore, train *Graph, trainNodes []int32, most float64) (Scaling, error) {
	s, err := ColumnScaling(src, statisticsNodes(train, trainNodes))
	for j := 0; j < len(s.Mean) && err == nil; j++ {
		if (most+math.Abs(s.Mean[j]))*s.InvStd[j] > math.MaxFloat32 {
			err = s.checkRange(src)
			break
		}
	}
	if err != nil {
		return Scaling{}, &PartError{Part: PartFeatures, Err: err}
	}
	return s, nil
}

// statisticsNodes returns the training nodes whose features define the standardisation.
func statisticsNodes(train *Graph, trainNodes []int32) []int32 {
	touched := make([]bool, train.NumNodes())
	for _, u := range train.Indices {
		touched[u] = true
	}
	nodes := make([]int32, 0, len(trainNodes))
	for _, v := range trainNodes {
		if touched[v] || train.Degree(v) > 0 {
			nodes = append(nodes, v)
		}
	}
	if len(nodes) == 0 {
		return trainNodes
	}
	return nodes
}

// dropUnitWeights returns g without weights if they are all 1, since nil means just that.
func dropUnitWeights(g *Graph) *Graph {
	if g.Weights == nil {
		return g
	}
	for _, w := range g.Weights {
		if w != 1 {
			return g
		}
	}
	return &Graph{Indptr: g.Indptr, Indices: g.Indices}
}

// rebase makes the least class present 0 and counts the classes up to the greatest.
func (l *Labels) rebase() error {
	if l.IsMulti() {
		return nil
	}
	least, most := int32(math.MaxInt32), int32(-1)
	for _, c := range l.Class {
		if c >= 0 {
			least, most = min(least, c), max(most, c)
		}
	}
	if most < 0 {
		return badPart(PartLabels, "no node has a label")
	}
	l.NumClasses = int(most-least) + 1
	l.Offset += int64(least)
	if least == 0 {
		return nil
	}
	moved := make([]int32, len(l.Class))
	for v, c := range l.Class {
		moved[v] = max(-1, c-least)
	}
	l.Class = moved
	return nil
}

// hashBytes is the size of the pieces that are hashed in parallel; part of the fingerprint.
const hashBytes = 1 << 20

// scanFeatures checks that all features are finite and returns their digest, the SHA-256 of
// the digests of groups of rows, and the greatest magnitude. It reads all rows once.
func scanFeatures(src FeatureStore) (digest []byte, most float64, err error) {
	dim := src.Dim()
	perChunk := max(1, hashBytes/4/dim)
	digests := make([]byte, chunks(src.Rows(), perChunk)*sha256.Size)
	states := make([]hash.Hash, chunks(src.Rows(), perChunk))
	greatest := make([]uint32, chunks(src.Rows(), perChunk))
	err = eachBlock(src, nil, perChunk, func(chunk, row int, block []float32) error {
		g := magnitude(block)
		if g >= notFinite {
			i := firstNotFinite(block)
			return fmt.Errorf("value at row %d, column %d is %v, want a finite number",
				row+i/dim, i%dim, block[i])
		}
		greatest[chunk] = max(greatest[chunk], g)
		if states[chunk] == nil {
			states[chunk] = sha256.New()
		}
		states[chunk].Write(rawBytes(block))
		if row+len(block)/dim == min((chunk+1)*perChunk, src.Rows()) {
			states[chunk].Sum(digests[chunk*sha256.Size : chunk*sha256.Size])
			states[chunk] = nil
		}
		return nil
	})
	if err != nil {
		return nil, 0, &PartError{Part: PartFeatures, Err: err}
	}
	sum := sha256.Sum256(digests)
	g := uint32(0)
	for _, x := range greatest {
		g = max(g, x)
	}
	return sum[:], float64(math.Float32frombits(g)), nil
}

// notFinite is the least magnitude of an infinity or NaN, as bits.
const notFinite = 0x7f800000

// magnitude returns the greatest |x|, as the bits of a float32: they are in its order.
func magnitude(x []float32) uint32 {
	const sign = 1 << 31
	var a, b, c, d uint32 // four chains, since each waits for its last step
	for ; len(x) >= 4; x = x[4:] {
		a = max(a, math.Float32bits(x[0])&^sign)
		b = max(b, math.Float32bits(x[1])&^sign)
		c = max(c, math.Float32bits(x[2])&^sign)
		d = max(d, math.Float32bits(x[3])&^sign)
	}
	for _, v := range x {
		a = max(a, math.Float32bits(v)&^sign)
	}
	return max(a, b, c, d)
}

// firstNotFinite returns the position of the first NaN or infinity, or -1.
func firstNotFinite(x []float32) int {
	for i, v := range x {
		if math.Float32bits(v)&notFinite == notFinite {
			return i
		}
	}
	return -1
}

// fingerprint combines the digests of all parts, each with its size and type.
func (ds *Dataset) fingerprint(dim int, features []byte) string {
	h := sha256.New()
	part := func(name string, n int, digest []byte) {
		h.Write(fmt.Appendf(nil, "%s %d %x\n", name, n, digest))
	}
	l := &ds.Labels
	h.Write(fmt.Appendf(nil, "saint dataset 1 nodes=%d dim=%d classes=%d offset=%d multi=%t\n",
		ds.NumNodes(), dim, l.NumClasses, l.Offset, l.IsMulti()))
	for _, g := range []*Graph{ds.Full, ds.Train} {
		part("indptr", len(g.Indptr), hashSlice(g.Indptr))
		part("indices", len(g.Indices), hashSlice(g.Indices))
		part("weights", len(g.Weights), hashSlice(g.Weights))
	}
	part("features", dim, features)
	part("class", len(l.Class), hashSlice(l.Class))
	part("multi", len(l.Multi), hashSlice(l.Multi))
	part("train", len(ds.TrainNodes), hashSlice(ds.TrainNodes))
	part("val", len(ds.ValNodes), hashSlice(ds.ValNodes))
	part("test", len(ds.TestNodes), hashSlice(ds.TestNodes))
	return hex.EncodeToString(h.Sum(nil))
}

// hashSlice returns the SHA-256 of the digests of s's pieces of hashBytes, which are formed
// in parallel.
func hashSlice[T int32 | int64 | float32 | uint8](s []T) []byte {
	per := hashBytes / int(unsafe.Sizeof(*new(T)))
	digests := make([]byte, chunks(len(s), per)*sha256.Size)
	// The function never fails, so neither does the loop.
	_ = inParallel(chunks(len(s), per), func(i int) error {
		sum := sha256.Sum256(rawBytes(s[i*per : min(len(s), (i+1)*per)]))
		copy(digests[i*sha256.Size:], sum[:])
		return nil
	})
	sum := sha256.Sum256(digests)
	return sum[:]
}
