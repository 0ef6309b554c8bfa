package formats

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// withProcs runs f with that many processors.
func withProcs(n int, f func()) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
	f()
}

func randomFeatures(seed uint64, rows, dim int) []float32 {
	r := rand.New(rand.NewPCG(seed, 0))
	m := make([]float32, rows*dim)
	for i := range m {
		m[i] = float32(r.NormFloat64()*float64(1+i%dim) + 100*float64(i%dim))
	}
	return m
}

// columns of m over rows, by the textbook formula.
func meanAndStd(m []float32, dim int, rows []int32, j int) (mean, std float64) {
	for _, v := range rows {
		mean += float64(m[int(v)*dim+j])
	}
	mean /= float64(len(rows))
	for _, v := range rows {
		d := float64(m[int(v)*dim+j]) - mean
		std += d * d
	}
	return mean, math.Sqrt(std / float64(len(rows)))
}

// standardizeInPlace does to a matrix what Prepare does.
func standardizeInPlace(t testing.TB, m []float32, dim int, rows []int32) {
	t.Helper()
	x := NewMatrix(m, dim)
	s, err := ColumnScaling(x, rows)
	if err != nil {
		t.Fatal(err)
	}
	scaleInPlace(x, s)
}

func TestStandardizeInPlace(t *testing.T) {
	const rows, dim = 5000, 7
	m := randomFeatures(1, rows, dim)
	for v := range rows {
		m[v*dim+3] = 0.1 // no deviation
	}
	var ids []int32
	for v := 0; v < rows; v += 2 {
		ids = append(ids, int32(v))
	}
	raw := slices.Clone(m)
	standardizeInPlace(t, m, dim, ids)
	for j := range dim {
		mean, std := meanAndStd(m, dim, ids, j)
		wantStd := 1.0
		if j == 3 {
			wantStd = 0
		}
		// Rounding to float32 moves a value by 6e-8 of its size, which is below 5.
		if math.Abs(mean) > 1e-6 || math.Abs(std-wantStd) > 1e-6 {
			t.Errorf("column %d has mean %g and deviation %g, want 0 and %g", j, mean, std, wantStd)
		}
	}
	mean, std := meanAndStd(raw, dim, ids, 5)
	if got, want := m[dim+5], float32((float64(raw[dim+5])-mean)/std); math.Abs(float64(got-want)) > 1e-5 {
		t.Errorf("row 1, which is not in the statistics, has %v, want %v", got, want)
	}
}

func TestStandardizeIsStable(t *testing.T) {
	m := []float32{16777214, 16777215, 16777216, 16777215} // naive sums of squares lose everything
	standardizeInPlace(t, m, 1, []int32{0, 1, 2, 3})
	want := []float32{-math.Sqrt2, 0, math.Sqrt2, 0}
	if !slices.EqualFunc(m, want, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 }) {
		t.Errorf("standardised = %v, want %v", m, want)
	}
}

func TestStandardizeWithoutRows(t *testing.T) {
	m := []float32{1, 2, 3, 4}
	standardizeInPlace(t, m, 2, nil)
	if want := []float32{1, 2, 3, 4}; !slices.Equal(m, want) {
		t.Errorf("standardised over no rows = %v, want %v", m, want)
	}
	standardizeInPlace(t, nil, 2, nil)
}

// rowsOnly hides that a matrix is resident.
type rowsOnly struct{ FeatureStore }

func TestStandardizeBitsDoNotDependOnTheMachine(t *testing.T) {
	const rows, dim = 9000, 33
	ids := make([]int32, 0, rows)
	for v := range int32(rows) {
		if v%5 != 0 {
			ids = append(ids, v)
		}
	}
	want := randomFeatures(3, rows, dim)
	raw := slices.Clone(want)
	withProcs(1, func() { standardizeInPlace(t, want, dim, ids) })
	for _, procs := range []int{2, 3, 7} {
		withProcs(procs, func() {
			got := slices.Clone(raw)
			standardizeInPlace(t, got, dim, ids)
			if !slices.Equal(got, want) {
				t.Errorf("standardising with %d processors gives other bits than with 1", procs)
			}
		})
	}
	src := rowsOnly{NewMatrix(raw, dim)}
	s, err := ColumnScaling(src, ids)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, rows*dim)
	all := make([]int32, rows)
	for v := range all {
		all[v] = int32(v)
	}
	store := Standardized(src, s)
	if err := store.Gather(got, all); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Error("standardising on the fly gives other bits than in place")
	}
	one := make([]float32, dim)
	if n := testing.AllocsPerRun(10, func() { _ = store.Gather(one, all[5:6]) }); n != 0 {
		t.Errorf("Gather allocates %v times, want 0", n)
	}
}

func TestMatrixGather(t *testing.T) {
	x := NewMatrix([]float32{0, 1, 10, 11, 20, 21}, 2)
	got := make([]float32, 4)
	if err := x.Gather(got, []int32{2, 0}); err != nil || !slices.Equal(got, []float32{20, 21, 0, 1}) {
		t.Errorf("Gather(2, 0) = %v, %v, want [20 21 0 1]", got, err)
	}
	for _, ids := range [][]int32{{0, 3}, {-1, 0}, {0}, {0, 1, 2}} {
		if err := x.Gather(got, ids); err == nil {
			t.Errorf("Gather(%v) into 4 values = nil, want an error", ids)
		}
	}
	if x.Rows() != 3 || x.Dim() != 2 || len(x.Matrix()) != 6 {
		t.Errorf("matrix is %d x %d of %d values, want 3 x 2 of 6", x.Rows(), x.Dim(), len(x.Matrix()))
	}
	if NewMatrix(nil, 3).Rows() != 0 {
		t.Error("an empty matrix has rows")
	}
}

// sample returns a small valid data set: a path 0-1-2-3 with a self loop at 1, and node 4
// in no role and without label.
func sample() *RawDataset {
	full := fromRows([]int32{1}, []int32{0, 1, 2}, []int32{1, 3}, []int32{2}, nil)
	train := []int32{0, 1}
	return &RawDataset{
		Name: "sample", Full: full, Train: Induced(full, train),
		Features: []float32{1, 5, 3, 5, 7, 5, 9, 5, 2, 6}, Dim: 2,
		Labels:     Labels{NumClasses: 3, Class: []int32{0, 1, 2, 0, -1}},
		TrainNodes: train, ValNodes: []int32{2}, TestNodes: []int32{3},
	}
}

func multi(d *RawDataset) {
	d.Labels = Labels{NumClasses: 2, Multi: []uint8{0, 1, 1, 0, 1, 1, 0, 0, 0, 0}}
}

func TestPrepare(t *testing.T) {
	ds, err := sample().Prepare()
	if err != nil {
		t.Fatal(err)
	}
	x := ds.Features.(Resident).Matrix()
	if want := []float32{-1, 0, 1, 0, 5, 0, 7, 0, 0, 1}; !slices.Equal(x, want) {
		t.Errorf("features = %v, want %v", x, want)
	}
	if len(ds.Fingerprint) != 64 {
		t.Errorf("fingerprint = %q, want 64 digits", ds.Fingerprint)
	}
	raw := sample()
	store := rowsOnly{NewMatrix(raw.Features, raw.Dim)}
	mapped, err := raw.PrepareFrom(store)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float32, len(x))
	if err := mapped.Features.Gather(got, []int32{0, 1, 2, 3, 4}); err != nil || !slices.Equal(got, x) {
		t.Errorf("features of PrepareFrom = %v, %v, want %v", got, err, x)
	}
	if mapped.Fingerprint != ds.Fingerprint {
		t.Error("Prepare and PrepareFrom give different fingerprints")
	}
}

func TestPrepareStatisticsNodes(t *testing.T) {
	tests := []struct {
		name  string
		train *Graph
		want  []int32
	}{
		{"no edge: all training nodes", fromRows(nil, nil, nil, nil), []int32{0, 1, 3}},
		{"isolated node is left out", fromRows([]int32{1}, []int32{0}, nil, nil), []int32{0, 1}},
		{"directed: both ends count", fromRows([]int32{3}, nil, nil, nil), []int32{0, 3}},
		{"self loop counts", fromRows(nil, []int32{1}, nil, nil), []int32{1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := statisticsNodes(test.train, []int32{0, 1, 3}); !slices.Equal(got, test.want) {
				t.Errorf("statisticsNodes = %v, want %v", got, test.want)
			}
		})
	}
}

func TestPrepareRebasesClasses(t *testing.T) {
	d := sample()
	d.Labels = Labels{NumClasses: 9, Class: []int32{3, 4, 4, 6, -1}, Offset: 10}
	ds, err := d.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	l := ds.Labels
	if l.NumClasses != 4 || l.Offset != 13 || !slices.Equal(l.Class, []int32{0, 1, 1, 3, -1}) {
		t.Errorf("labels = %+v, want 4 classes from 13 on", l)
	}
}

func TestPrepareDropsUnitWeights(t *testing.T) {
	d := sample()
	d.Full.Weights = []float32{1, 1, 1, 1, 1, 1, 1}
	d.Train.Weights = []float32{1, 1, 2}[:len(d.Train.Indices)]
	ds, err := d.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	if ds.Full.Weights != nil || ds.Train.Weights == nil {
		t.Errorf("weights = %v and %v, want none and some", ds.Full.Weights, ds.Train.Weights)
	}
}

func TestPrepareFindsWhatIsWrong(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	tests := []struct {
		name string
		part Part
		want string
		edit func(d *RawDataset)
	}{
		{"no graph", PartFull, "missing", func(d *RawDataset) { d.Full = nil }},
		{"no training graph", PartFull, "missing", func(d *RawDataset) { d.Train = nil }},
		{"no training nodes", PartRoles, "no training nodes", func(d *RawDataset) { d.TrainNodes = nil }},
		{"no nodes", PartRoles, "node 0, but there are 0 nodes", func(d *RawDataset) { d.Full = fromRows() }},
		{"role out of range", PartRoles, "role te holds node 5, but there are 5", func(d *RawDataset) { d.TestNodes = []int32{3, 5} }},
		{"negative role", PartRoles, "role va holds node -1", func(d *RawDataset) { d.ValNodes = []int32{-1} }},
		{"unsorted role", PartRoles, "role va holds node 2 after 4", func(d *RawDataset) { d.ValNodes = []int32{4, 2} }},
		{"repeated in role", PartRoles, "role te holds node 3 after 3", func(d *RawDataset) { d.TestNodes = []int32{3, 3} }},
		{"two roles", PartRoles, "node 1 is in roles tr and te", func(d *RawDataset) { d.TestNodes = []int32{1} }},
		{"no labels", PartLabels, "not both or none", func(d *RawDataset) { d.Labels = Labels{} }},
		{"both kinds of labels", PartLabels, "not both or none", func(d *RawDataset) { d.Labels.Multi = []uint8{1} }},
		{"no class", PartLabels, "0 classes", func(d *RawDataset) { d.Labels.NumClasses = 0 }},
		{"too many classes", PartLabels, "1048577 classes", func(d *RawDataset) { d.Labels.NumClasses = 1<<20 + 1 }},
		{"few labels", PartLabels, "4 labels for 5 nodes", func(d *RawDataset) { d.Labels.Class = d.Labels.Class[:4] }},
		{"class out of range", PartLabels, "node 2 has class 3", func(d *RawDataset) { d.Labels.Class[2] = 3 }},
		{"negative class", PartLabels, "node 4 has class -2", func(d *RawDataset) { d.Labels.Class[4] = -2 }},
		{"unlabelled node in role", PartLabels, "node 3 is in role te, but has no label", func(d *RawDataset) { d.Labels.Class[3] = -1 }},
		{"few 0/1 values", PartLabels, "9 label values for 5 nodes of 2", func(d *RawDataset) { multi(d); d.Labels.Multi = d.Labels.Multi[1:] }},
		{"2 in multi-label", PartLabels, "node 1 has value 2 for class 1", func(d *RawDataset) { multi(d); d.Labels.Multi[3] = 2 }},
		{"broken full graph", PartFull, "indptr ends at 8", func(d *RawDataset) { d.Full.Indptr[5] = 8 }},
		{"broken training graph", PartTrain, "row 0: index 0 after 1", func(d *RawDataset) {
			d.Train = fromRows([]int32{1, 0}, nil, nil, nil, nil)
		}},
		{"other number of nodes", PartTrain, "1 nodes, but the full graph has 5", func(d *RawDataset) { d.Train = fromRows(nil) }},
		{"edge out of training set", PartTrain, "edge (1, 2) leaves the training set: node 2", func(d *RawDataset) {
			d.Train = fromRows(nil, []int32{2}, nil, nil, nil)
		}},
		{"edge into training set", PartTrain, "edge (4, 0) leaves the training set: node 4", func(d *RawDataset) {
			d.Train = fromRows(nil, nil, nil, nil, []int32{0})
		}},
		{"negative weight", PartFull, "edge (1, 2) has weight -1", func(d *RawDataset) { d.Full.Weights = []float32{0, 1, 1, -1, 1, 1, 1} }},
		{"weight is not a number", PartFull, "edge (0, 1) has weight NaN", func(d *RawDataset) { d.Full.Weights = []float32{nan, 1, 1, 1, 1, 1, 1} }},
		{"infinite weight", PartTrain, "edge (1, 0) has weight +Inf", func(d *RawDataset) { d.Train.Weights = []float32{1, inf, 1} }},
		{"no columns", PartFeatures, "rows of 0 features", func(d *RawDataset) { d.Dim = 0 }},
		{"half a row", PartFeatures, "do not make rows", func(d *RawDataset) { d.Features = d.Features[1:] }},
		{"few rows", PartFeatures, "4 rows for 5 nodes", func(d *RawDataset) { d.Features = d.Features[2:] }},
		{"feature is not a number", PartFeatures, "row 3, column 1 is NaN", func(d *RawDataset) { d.Features[7] = nan }},
		{"infinite feature", PartFeatures, "row 0, column 0 is +Inf", func(d *RawDataset) { d.Features[0] = inf }},
		{"infinite once standardised", PartFeatures, "row 2, column 0 is 1e+20: that is 2e+40 standard deviations", func(d *RawDataset) {
			d.Features[0], d.Features[2], d.Features[4] = 0, 1e-20, 1e20
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := sample()
			test.edit(d)
			_, err := d.Prepare()
			var in *InputError
			var part *PartError
			if !errors.As(err, &in) || !errors.As(err, &part) {
				t.Fatalf("Prepare() = %v, want an InputError around a PartError", err)
			}
			if part.Part != test.part || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Prepare() = %v, want an error of the %s with %q", err, test.part, test.want)
			}
			d = sample()
			test.edit(d)
			if same := d.Validate(); same == nil || same.Error() != err.Error() {
				t.Errorf("Validate() = %v, want %v", same, err)
			}
		})
	}
}

func TestPrepareConsumesFeatures(t *testing.T) {
	d := sample()
	if _, err := d.Prepare(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Prepare(); err == nil {
		t.Error("second Prepare() = nil, want an error")
	}
}

func TestFingerprintSeesEverything(t *testing.T) {
	edits := map[string]func(d *RawDataset){
		"nothing":        func(*RawDataset) {},
		"feature":        func(d *RawDataset) { d.Features[9]++ },
		"full graph":     func(d *RawDataset) { d.Full = fromRows([]int32{1}, []int32{0, 1}, []int32{3}, []int32{2}, nil) },
		"training graph": func(d *RawDataset) { d.Train = fromRows([]int32{1}, []int32{0}, nil, nil, nil) },
		"weights":        func(d *RawDataset) { d.Full.Weights = []float32{1, 1, 1, 1, 1, 1, 2} },
		"class":          func(d *RawDataset) { d.Labels.Class[4] = 0 },
		"offset":         func(d *RawDataset) { d.Labels.Offset = 1 },
		"multi":          multi,
		"role":           func(d *RawDataset) { d.ValNodes, d.TestNodes = d.TestNodes, d.ValNodes },
		"no test nodes":  func(d *RawDataset) { d.TestNodes = nil },
		"shape of features": func(d *RawDataset) {
			d.Features = append(d.Features, 0, 0, 0, 0, 0)
			d.Dim = 3
		},
	}
	seen := map[string]string{}
	for name, edit := range edits {
		d := sample()
		edit(d)
		ds, err := d.Prepare()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if other, ok := seen[ds.Fingerprint]; ok {
			t.Errorf("%s and %s have the same fingerprint", name, other)
		}
		seen[ds.Fingerprint] = name
	}
	d := sample()
	d.Name = "other"
	if ds, err := d.Prepare(); err != nil || seen[ds.Fingerprint] != "nothing" {
		t.Errorf("the name changes the fingerprint (%v)", err)
	}
}

func TestFingerprintDoesNotDependOnTheMachine(t *testing.T) {
	build := func() *RawDataset {
		const n, dim = 7000, 150 // more than one piece of a megabyte
		d := &RawDataset{Full: &Graph{Indptr: make([]int64, n+1)}, Features: randomFeatures(5, n, dim), Dim: dim}
		d.Train, d.TrainNodes = d.Full, []int32{0}
		d.Labels = Labels{NumClasses: 100, Multi: make([]uint8, n*100)}
		return d
	}
	fingerprint := func(procs int, f func(d *RawDataset) (*Dataset, error)) (s string) {
		withProcs(procs, func() {
			ds, err := f(build())
			if err != nil {
				t.Fatal(err)
			}
			s = ds.Fingerprint
		})
		return s
	}
	want := fingerprint(1, (*RawDataset).Prepare)
	if got := fingerprint(5, (*RawDataset).Prepare); got != want {
		t.Errorf("fingerprint with 5 processors = %s, with 1 %s", got, want)
	}
	mapped := func(d *RawDataset) (*Dataset, error) { return d.PrepareFrom(rowsOnly{NewMatrix(d.Features, d.Dim)}) }
	if got := fingerprint(3, mapped); got != want {
		t.Errorf("fingerprint of a store read by rows = %s, want %s", got, want)
	}
}

// failing returns an error from the k-th Gather on.
type failing struct {
	FeatureStore
	left int
}

func (f *failing) Gather(dst []float32, ids []int32) error {
	if f.left--; f.left < 0 {
		return errors.New("disk is gone")
	}
	return f.FeatureStore.Gather(dst, ids)
}

func TestPrepareFromFailingStore(t *testing.T) {
	withProcs(1, func() {
		for k := range 4 { // scan, first row, means, deviations
			d := sample()
			_, err := d.PrepareFrom(&failing{NewMatrix(d.Features, d.Dim), k})
			var part *PartError
			if !errors.As(err, &part) || part.Part != PartFeatures {
				t.Errorf("store fails at read %d: error = %v, want one of the features", k, err)
			}
		}
		d := sample()
		if _, err := d.PrepareFrom(&failing{NewMatrix(d.Features, d.Dim), 4}); err != nil {
			t.Errorf("four reads are not enough: %v", err)
		}
	})
}

func TestInParallelReturnsTheFirstError(t *testing.T) {
	withProcs(4, func() {
		for range 50 {
			err := inParallel(100, func(i int) error {
				if i >= 20 {
					return errors.New(strings.Repeat("x", i))
				}
				return nil
			})
			if err == nil || len(err.Error()) != 20 {
				t.Fatalf("inParallel = %v, want the error of index 20", err)
			}
		}
	})
}

func BenchmarkPrepareFeatures(b *testing.B) {
	const rows, dim = 100_000, 100
	m := randomFeatures(1, rows, dim)
	ids := make([]int32, rows)
	for i := range ids {
		ids[i] = int32(i)
	}
	b.Run("scan", func(b *testing.B) {
		b.SetBytes(4 * rows * dim)
		for b.Loop() {
			if _, _, err := scanFeatures(NewMatrix(m, dim)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("standardise", func(b *testing.B) {
		b.SetBytes(4 * rows * dim)
		for b.Loop() {
			standardizeInPlace(b, m, dim, ids)
		}
	})
}
