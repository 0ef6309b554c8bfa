package assemble

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/sourcegraph/conc"

	"github.com/saint-gnn/saint/formats"
)

// plain builds a graph without weights by a counting sort. Every worker owns a range of rows
// and walks over all edges, so that the result does not depend on the number of workers and
// no counter is shared.
type plain struct {
	n       int
	blocks  []Edges
	options GraphOptions
	workers int
	// next[v+1] first counts row v, then is where its next entry goes, at last its end.
	next []int64
	// entries are columns times two; those of inverse edges are odd.
	entries []uint32
}

// plainGraph makes a graph of edges from Src, their row, to Dst. It returns the number of
// edges that repeat another one.
func plainGraph(ctx context.Context, n int, blocks []Edges, o GraphOptions) (*formats.Graph, int64, error) {
	p := &plain{n: n, blocks: blocks, options: o, workers: runtime.GOMAXPROCS(0), next: make([]int64, n+1)}
	equal := make([]int, p.workers+1)
	for w := range equal {
		equal[w] = n * w / p.workers
	}
	p.eachEntry(ctx, equal, func(row int32, _ uint32) { p.next[row+1]++ })
	total := int64(0)
	for v := range n {
		p.next[v+1], total = total, total+p.next[v+1]
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	p.entries = make([]uint32, total)
	p.eachEntry(ctx, p.balanced(total), func(row int32, entry uint32) {
		p.entries[p.next[row+1]] = entry
		p.next[row+1]++
	})
	clear(blocks)
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	g, merged := p.sorted()
	return g, merged, ctx.Err()
}

// eachEntry calls visit for every entry, each worker for those of the rows
// bounds[w]…bounds[w+1]-1 in the order of the edges.
func (p *plain) eachEntry(ctx context.Context, bounds []int, visit func(row int32, entry uint32)) {
	var wg conc.WaitGroup
	for w := range p.workers {
		lo, width := int32(bounds[w]), uint32(bounds[w+1]-bounds[w])
		if width == 0 {
			continue
		}
		wg.Go(func() {
			for i := range p.blocks {
				if ctx.Err() != nil {
					return
				}
				p.blocks[i].visit(lo, width, &p.options, visit)
			}
		})
	}
	wg.Wait()
}

// visit calls f for the entries in the rows lo…lo+width-1.
func (e *Edges) visit(lo int32, width uint32, o *GraphOptions, f func(row int32, entry uint32)) {
	targets := e.Dst[:len(e.Src)]
	for i, u := range e.Src {
		v := targets[i]
		if u == v && o.DropSelfLoops {
			continue
		}
		if uint32(u-lo) < width {
			f(u, uint32(v)<<1)
		}
		if o.Undirected && u != v && uint32(v-lo) < width {
			f(v, uint32(u)<<1|1)
		}
	}
}

// balanced cuts the rows into ranges of about equally many entries. next[v+1] is where row v
// begins.
func (p *plain) balanced(total int64) []int {
	bounds := make([]int, p.workers+1)
	bounds[p.workers] = p.n
	for w := 1; w < p.workers; w++ {
		at, _ := slices.BinarySearch(p.next[1:], total*int64(w)/int64(p.workers))
		bounds[w] = max(bounds[w-1], min(at, p.n))
	}
	return bounds
}

// sorted sorts the rows and merges equal columns. The result lies where the entries were.
func (p *plain) sorted() (*formats.Graph, int64) {
	g := &formats.Graph{Indptr: make([]int64, p.n+1)}
	var at, merged atomic.Int64
	var wg conc.WaitGroup
	const rows = 1 << 12
	for range p.workers {
		wg.Go(func() {
			for lo := int(at.Add(rows)) - rows; lo < p.n; lo = int(at.Add(rows)) - rows {
				repeated := int64(0)
				for v := lo; v < min(p.n, lo+rows); v++ {
					columns, again := mergeEntries(p.entries[p.next[v]:p.next[v+1]])
					g.Indptr[v+1] = int64(columns)
					repeated += again
				}
				merged.Add(repeated)
			}
		})
	}
	wg.Wait()
	// Columns are below 2^31, so that the bits of both types agree.
	columns := unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(p.entries))), len(p.entries))
	out := int64(0)
	for v := range p.n {
		start := p.next[v]
		out += int64(copy(columns[out:], columns[start:start+g.Indptr[v+1]]))
		g.Indptr[v+1] = out
	}
	g.Indices = columns[:out]
	if out < int64(len(columns))/4*3 {
		g.Indices = slices.Clone(g.Indices) // most was merged: let the rest go
	}
	return g, merged.Load()
}

// mergeEntries sorts a row, turns its entries into columns, each once, and returns their
// number and that of the repeated edges.
func mergeEntries(row []uint32) (columns int, repeated int64) {
	slices.Sort(row)
	last := ^uint32(0)
	for _, entry := range row {
		if entry == last && entry&1 == 0 {
			repeated++
		}
		last = entry
		if columns == 0 || row[columns-1] != entry>>1 {
			row[columns] = entry >> 1
			columns++
		}
	}
	return columns, repeated
}
