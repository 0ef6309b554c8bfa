package induce

import (
	"slices"
	"testing"

	"github.com/saint-gnn/saint/internal/pageend"
)

// atEnds returns m with all its arrays where memory ends.
func (m *matrix) atEnds(t *testing.T) *matrix {
	return &matrix{n: m.n, rank: pageend.Copy(t, m.rank), rows: Rows{
		Indptr: pageend.Copy(t, m.rows.Indptr), Indices: pageend.Copy(t, m.rows.Indices),
		Words: pageend.Copy(t, m.rows.Words), Nodes: pageend.Copy(t, m.rows.Nodes),
	}}
}

// No kernel touches memory behind its operands, whatever the lengths of rows.
func TestOperandsEndWhereMemoryEnds(t *testing.T) {
	var list []*matrix
	for _, m := range matrices()[:6] {
		list = append(list, m.atEnds(t))
	}
	for degree := range 40 { // of the last row, which is a member
		list = append(list, newMatrix(uint64(degree), 40, 1, degree).atEnds(t))
	}
	both(t, func(t *testing.T) {
		for _, m := range list {
			starts, cols, ids := m.entries()
			for _, room := range []int{len(cols), len(cols) + Slack} {
				o := Out{Starts: pageend.Make[int32](t, len(m.rows.Nodes)), Cols: pageend.Make[int32](t, room), IDs: pageend.Make[int64](t, room)}
				at := 0
				for row := 0; ; row++ {
					if row, at = Scan(&m.rows, &o, row, at); row == len(m.rows.Nodes) {
						break
					}
					at += ScanRow(&m.rows, &o, row, at)
				}
				if !slices.Equal(o.Cols[:at], cols) {
					t.Fatalf("columns %v, want %v", o.Cols[:at], cols)
				}
			}
			Local(pageend.Copy(t, m.rows.Nodes), m.rows.Words, m.rank)
			counts := pageend.Make[uint32](t, len(m.rows.Indices))
			Count(&m.rows, m.rows.Indptr, counts)
			if len(ids) > 0 {
				starts = pageend.Copy(t, append(starts, int32(len(ids))))
				Scale(m.rows.Nodes, m.rows.Indptr, starts, pageend.Copy(t, ids), pageend.Make[float32](t, len(counts)), pageend.Make[float32](t, len(ids)))
			}
		}
	})
}
