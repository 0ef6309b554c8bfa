package edgelist

import (
	"math"
	"runtime"

	"github.com/sourcegraph/conc/pool"

	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/convert/lines"
)

// readEdges reads the list of edges.
func (r *reader) readEdges(path string) error {
	o := r.options
	text := r.text
	if text.header == HeaderAuto && !isNumberOrEmpty(o.Source, o.Target, o.Weight) {
		text.header = HeaderYes
	}
	if isTable(path) {
		return r.readEdgeTable(path)
	}
	take := func(e assemble.Edges, _ int) error {
		r.ids.note(e.Src)
		r.ids.note(e.Dst)
		r.edges = append(r.edges, e)
		return r.ctx.Err()
	}
	return scanText(r.ctx, path, text, r.edgeColumns, r.parseEdges, take, func(count int64) {
		_ = o.Step(r.ctx, "edges", count, 0) // take looks at the context
	})
}

// edgeColumns chooses source, target and, if it is wanted, the weight.
func (r *reader) edgeColumns(names []string, count int) ([]int, error) {
	o := r.options
	src, err := column(names, count, o.Source, []string{"src", "source", "from", "u", "head"}, 0)
	if err != nil {
		return nil, err
	}
	dst, err := column(names, count, o.Target, []string{"dst", "target", "to", "v", "tail"}, 1)
	if err != nil || o.Weight == "" {
		return []int{src, dst}, err
	}
	weight, err := column(names, count, o.Weight, nil, 2)
	return []int{src, dst, weight}, err
}

// parseEdges parses a block of lines.
func (r *reader) parseEdges(text []byte, line *lineRow) (assemble.Edges, error) {
	count := lines.Count(text)
	e := assemble.Edges{Src: make([]int32, 0, count), Dst: make([]int32, 0, count)}
	weighted := r.options.Weight != ""
	plain := line.columns == 2 && !weighted && line.positions[0]+line.positions[1] == 1
	turned := line.positions[0] == 1
	most := int32(smallIDs)
	if r.ids.rows > 0 {
		most = int32(min(smallIDs, r.ids.rows))
	}
	var names []waiting // both arrays have the room that they need, so that places stay
	number := func(id []byte, list *[]int32) error {
		v, direct, err := r.ids.direct(id)
		if *list = append(*list, v); !direct {
			names = append(names, waiting{name: id, to: &(*list)[len(*list)-1]})
		}
		return err
	}
	add := func() error { return addEdge(&e, line, weighted, number) }
	for len(text) > 0 {
		if plain {
			if u, v, n := pair(text, line.delimiter); n > 0 && u < most && v < most {
				if turned {
					u, v = v, u
				}
				e.Src, e.Dst = append(e.Src, u), append(e.Dst, v)
				line.line++
				text = text[n:]
				continue
			}
		}
		var err error
		if text, err = line.nextIn(text, add); err != nil {
			return e, err
		}
	}
	return e, r.ids.internAll(names)
}

// pair parses a line of two whole numbers in the usual form and returns the number of its
// bytes; 0: it has another form.
func pair(text []byte, delimiter byte) (u, v int32, n int) {
	u, n = smallNumber(text)
	if n == 0 || n == len(text) || text[n] != delimiter {
		return 0, 0, 0
	}
	n++
	v, k := smallNumber(text[n:])
	n += k
	if n < len(text) && text[n] == '\r' {
		n++
	}
	if k == 0 || n == len(text) || text[n] != '\n' {
		return 0, 0, 0
	}
	return u, v, n + 1
}

// addEdge appends the edge of a row; number appends the number of an id.
func addEdge(e *assemble.Edges, line row, weighted bool, number func(id []byte, list *[]int32) error) error {
	for i, list := range [...]*[]int32{&e.Src, &e.Dst} {
		id, err := line.text(i)
		if err != nil {
			return err
		}
		if err := number(id, list); err != nil {
			return line.errorf("%w", err)
		}
	}
	if weighted {
		w, err := weight(line)
		if err != nil {
			return err
		}
		e.Weights = append(e.Weights, w)
	}
	return nil
}

// readEdgeTable reads the edges of a Parquet or Arrow table.
func (r *reader) readEdgeTable(path string) error {
	var e assemble.Edges
	count := int64(0)
	end := func() {
		count += int64(len(e.Src))
		r.ids.note(e.Src)
		r.ids.note(e.Dst)
		r.edges = append(r.edges, e)
		e = assemble.Edges{Src: make([]int32, 0, assemble.StepEvery), Dst: make([]int32, 0, assemble.StepEvery)}
	}
	number := func(id []byte, list *[]int32) error {
		v, err := r.ids.intern(id)
		*list = append(*list, v)
		return err
	}
	err := eachTableRow(r.ctx, path, r.edgeColumns, func(line row) error {
		if err := addEdge(&e, line, r.options.Weight != "", number); err != nil {
			return err
		}
		if len(e.Src) < assemble.StepEvery {
			return nil
		}
		end()
		return r.options.Step(r.ctx, "edges", count, 0)
	})
	end()
	return err
}

// weight returns the third chosen value of a row.
func weight(line row) (float32, error) {
	w, err := line.float(2)
	if err == nil && (!(w >= 0) || w > math.MaxFloat32) {
		err = line.errorf("weight %v, want a finite number that is not negative", w)
	}
	return float32(w), err
}

// renumber replaces the provisional numbers by the final ones.
func (r *reader) renumber() {
	r.ids.number()
	p := pool.New().WithMaxGoroutines(runtime.GOMAXPROCS(0))
	for i := range r.edges {
		e := &r.edges[i]
		p.Go(func() {
			r.ids.renumber(e.Src)
			r.ids.renumber(e.Dst)
		})
	}
	p.Wait()
	for i := range r.features {
		r.ids.renumber(r.features[i].nodes)
	}
	r.ids.renumber(r.labelRows.nodes)
	if r.roles == nil {
		return
	}
	roles := make(map[int32]assemble.Role, len(r.roles))
	for v, role := range r.roles {
		final := []int32{v}
		r.ids.renumber(final)
		roles[final[0]] = role
	}
	r.roles = roles
}

// nodeSet is a set of provisional numbers.
type nodeSet struct{ small, other idSet }

// add reports whether v is new.
func (s *nodeSet) add(v int32) bool {
	if v < 0 {
		return s.other.add(-1 - v)
	}
	return s.small.add(v)
}
