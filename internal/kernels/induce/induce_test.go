package induce

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/internal/cpufeat"
)

const guard = -77

// matrix is a random CSR matrix with a set of its nodes.
type matrix struct {
	rows Rows
	rank []int32
	n    int
}

// newMatrix makes rows of the given lengths; a share of the nodes are members.
func newMatrix(seed uint64, n int, share float64, degrees ...int) *matrix {
	r := rand.New(rand.NewPCG(seed, 1))
	m := &matrix{n: n, rank: make([]int32, (n+31)/32)}
	m.rows = Rows{Indptr: []int64{0}, Words: make([]uint32, (n+31)/32)}
	for v := range n {
		row := r.Perm(n)[:degrees[v%len(degrees)]]
		slices.Sort(row)
		for _, u := range row {
			m.rows.Indices = append(m.rows.Indices, int32(u))
		}
		m.rows.Indptr = append(m.rows.Indptr, int64(len(m.rows.Indices)))
		if r.Float64() < share {
			m.rows.Words[v/32] |= 1 << (v % 32)
			m.rows.Nodes = append(m.rows.Nodes, int32(v))
		}
	}
	k := 0
	for i, w := range m.rows.Words {
		m.rank[i] = int32(k)
		k += bits.OnesCount32(w)
	}
	return m
}

func (m *matrix) member(u int32) bool { return m.rows.Words[u/32]>>(u%32)&1 == 1 }

// entries lists what Scan should find, by the definition.
func (m *matrix) entries() (starts, cols []int32, ids []int64) {
	for _, v := range m.rows.Nodes {
		starts = append(starts, int32(len(cols)))
		for e := m.rows.Indptr[v]; e < m.rows.Indptr[v+1]; e++ {
			if u := m.rows.Indices[e]; m.member(u) {
				cols, ids = append(cols, u), append(ids, e)
			}
		}
	}
	return starts, cols, ids
}

// both runs f with all kernels that this processor has.
func both(t *testing.T, f func(t *testing.T)) {
	was := level
	defer func() { level = was }()
	for _, l := range []cpufeat.Level{cpufeat.Generic, cpufeat.AVX2, cpufeat.AVX512} {
		if l > cpufeat.Best() {
			continue
		}
		level = l
		t.Run(l.String(), f)
	}
}

func matrices() []*matrix {
	lengths := make([]int, 70)
	for i := range lengths {
		lengths[i] = i
	}
	return []*matrix{
		newMatrix(1, 71, 0.3, lengths...),
		newMatrix(2, 71, 1, lengths...),
		newMatrix(3, 71, 0, lengths...),
		newMatrix(4, 33, 0.5, 0, 1),
		newMatrix(5, 1, 1, 1),
		newMatrix(6, 1, 1, 0),
		newMatrix(7, 2*chunk+5, 0.9, 3, 0, 17),
	}
}

func TestScanFindsEveryMember(t *testing.T) {
	both(t, func(t *testing.T) {
		for i, m := range matrices() {
			_, cols, _ := m.entries()
			for room := len(cols); room < len(cols)+200; room += 1 + room%37 {
				checkScan(t, fmt.Sprintf("matrix %d with room for %d", i, room), m, room)
			}
			if got := Size(&m.rows, 0); got != len(cols) {
				t.Errorf("matrix %d: Size = %d, want %d", i, got, len(cols))
			}
		}
	})
}

func checkScan(t *testing.T, name string, m *matrix, room int) {
	t.Helper()
	starts, cols, ids := m.entries()
	n := len(m.rows.Nodes)
	o := Out{Starts: make([]int32, n), Cols: make([]int32, room+1), IDs: make([]int64, room+1)}
	o.Cols[room], o.IDs[room] = guard, guard
	o.Cols, o.IDs = o.Cols[:room], o.IDs[:room]
	at := 0
	for row := 0; ; row++ {
		if row, at = Scan(&m.rows, &o, row, at); row == n {
			break
		}
		at += ScanRow(&m.rows, &o, row, at)
	}
	if at != len(cols) || !slices.Equal(o.Starts, starts) || !slices.Equal(o.Cols[:at], cols) || !slices.Equal(o.IDs[:at], ids) {
		t.Fatalf("%s: starts %v, columns %v, positions %v, want %v, %v, %v", name, o.Starts, o.Cols[:at], o.IDs[:at], starts, cols, ids)
	}
	if o.Cols[:room+1][room] != guard || o.IDs[:room+1][room] != guard {
		t.Fatalf("%s: wrote behind the end", name)
	}
}

func TestScanRowCountsWhatDoesNotFit(t *testing.T) {
	m := newMatrix(2, 71, 1, 70)
	o := Out{Starts: make([]int32, 71), Cols: make([]int32, 75), IDs: make([]int64, 75)}
	if got := ScanRow(&m.rows, &o, 0, 10); got != 70 {
		t.Errorf("ScanRow = %d, want 70", got)
	}
}

func TestLocalIsThePosition(t *testing.T) {
	both(t, func(t *testing.T) {
		for i, m := range matrices() {
			for n := 0; n <= len(m.rows.Nodes); n += 1 + n/40 {
				got := append(slices.Clone(m.rows.Nodes[:n]), guard)
				Local(got[:n], m.rows.Words, m.rank)
				for k, p := range got[:n] {
					if int(p) != k {
						t.Fatalf("matrix %d, %d members: position of member %d is %d", i, n, k, p)
					}
				}
				if got[n] != guard {
					t.Fatalf("matrix %d, %d members: wrote behind the end", i, n)
				}
			}
		}
	})
}

func TestCountAddsOneForEveryMember(t *testing.T) {
	both(t, func(t *testing.T) {
		for i, m := range matrices() {
			starts := slices.Clone(m.rows.Indptr)
			want := make([]uint32, len(m.rows.Indices)+1)
			for v := range m.n {
				starts[v] += int64(v) % (1 + m.rows.Indptr[v+1] - m.rows.Indptr[v])
				for e := starts[v]; e < m.rows.Indptr[v+1]; e++ {
					if m.member(int32(v)) && m.member(m.rows.Indices[e]) {
						want[e] = 3
					}
				}
			}
			got := make([]uint32, len(want))
			for range 3 {
				Count(&m.rows, starts, got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("matrix %d: counts %v, want %v", i, got, want)
			}
		}
	})
}

func TestScaleRoundsOnce(t *testing.T) {
	both(t, func(t *testing.T) {
		for i, m := range matrices() {
			starts, _, ids := m.entries()
			starts = append(starts, int32(len(ids)))
			x := make([]float32, len(m.rows.Indices))
			r := rand.New(rand.NewPCG(9, 9))
			for e := range x {
				x[e] = r.Float32() * 1e4
			}
			y := make([]float32, len(ids)+1)
			y[len(ids)] = guard
			Scale(m.rows.Nodes, m.rows.Indptr, starts, ids, x, y[:len(ids)])
			for row, v := range m.rows.Nodes {
				for k := starts[row]; k < starts[row+1]; k++ {
					want := float32(float64(x[ids[k]]) * (1 / float64(m.rows.Indptr[v+1]-m.rows.Indptr[v])))
					if y[k] != want {
						t.Fatalf("matrix %d: entry %d is %v, want %v", i, k, y[k], want)
					}
				}
			}
			if y[len(ids)] != guard {
				t.Fatalf("matrix %d: wrote behind the end", i)
			}
		}
	})
}
