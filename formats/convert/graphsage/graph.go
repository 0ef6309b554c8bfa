package graphsage

import (
	"context"
	"strconv"

	"github.com/saint-gnn/saint/formats/convert/assemble"
)

// Links says what the ends of links are.
type Links string

// The meanings of the ends of links.
const (
	// LinksAuto takes whole numbers as positions if node ids are strings, else as ids.
	LinksAuto Links = ""
	// LinksAreIDs takes them as node ids, as networkx 2 and later write them.
	LinksAreIDs Links = "ids"
	// LinksArePositions takes them as positions in the list of nodes, as networkx 1 wrote them.
	LinksArePositions Links = "positions"
)

// graphFile is the content of G.json.
type graphFile struct {
	ctx     context.Context
	reports *assemble.Reports
	ids     *idTable
	links   Links

	directed bool
	rows     []int32 // row of the node at each position of the list
	inGraph  []bool  // by row
	role     []assemble.Role
	textIDs  bool // some id is a string that is no number
	noRole   int  // nodes without the flags
	edges    assemble.Edges
	weighted bool    // some weight is not 1
	removed  []int64 // positions in edges of links marked as not for training
	sawNodes bool
	sawLinks bool
}

// read parses the file, twice if the links come before the nodes.
func (g *graphFile) read(path string) error {
	n := g.ids.size()
	g.inGraph, g.role = make([]bool, n), make([]assemble.Role, n)
	if err := scanFile(path, g.parse); err != nil {
		return err
	}
	if g.sawLinks {
		return nil
	}
	if err := scanFile(path, g.parse); err != nil {
		return err
	}
	return nil
}

// parse consumes the file. Links are skipped while the nodes are not known.
func (g *graphFile) parse(s *scanner) error {
	again, linkKey := g.sawNodes, false
	err := s.object(`a graph in node-link form, '{"nodes": […], "links": […]}'`, func(key []byte, at place) error {
		switch string(key) {
		case "directed":
			return g.direction(s, at)
		case "nodes":
			if again {
				return s.skip()
			}
			return g.nodes(s, at)
		case "links", "edges":
			if s.peek() != '[' {
				return s.skip()
			}
			if linkKey {
				return s.errorAt(at, "a second list of links")
			}
			linkKey = true
			return g.linkList(s)
		}
		return s.skip()
	})
	switch {
	case err != nil:
		return err
	case !g.sawNodes:
		return s.errorAt(place{1, 1}, "no list of nodes; want the form of networkx's node_link_data")
	case !linkKey:
		return s.errorAt(place{1, 1}, "no list of links; want the form of networkx's node_link_data")
	}
	return s.finish()
}

// direction consumes the value of "directed".
func (g *graphFile) direction(s *scanner, at place) error {
	directed, err := s.flag("directed")
	if err == nil && g.sawLinks && directed != g.directed {
		return s.errorAt(at, "directed is true, but comes after the links; want it before them")
	}
	g.directed = directed
	return err
}

// nodes consumes the list of nodes.
func (g *graphFile) nodes(s *scanner, at place) error {
	if g.sawNodes {
		return s.errorAt(at, "a second list of nodes")
	}
	g.sawNodes = true
	return s.list("a list of nodes", func() error { return g.node(s) })
}

// linkList consumes the list of links, or skips it if the nodes are not known yet.
func (g *graphFile) linkList(s *scanner) error {
	if !g.sawNodes {
		return s.skip()
	}
	g.sawLinks = true
	return s.list("a list of links", func() error { return g.link(s) })
}

// node consumes one element of the list of nodes.
func (g *graphFile) node(s *scanner) error {
	s.peek()
	at := s.here()
	row, val, test, flags := int32(-1), false, false, 0
	err := s.object("a node, '{\"id\": …}'", func(key []byte, _ place) (err error) {
		switch string(key) {
		case "id":
			if _, err := s.id("a node id, a string or a whole number"); err != nil {
				return err
			}
			if row = g.ids.find(s.text); row < 0 {
				return s.errorAt(at, "node %q is not in the id map", clip(s.text))
			}
			if plainID(s.text) < 0 {
				g.textIDs = true
			}
		case "val":
			flags |= 1
			val, err = s.flag("val")
		case "test":
			flags |= 2
			test, err = s.flag("test")
		default:
			err = s.skip()
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case row < 0:
		return s.errorAt(at, "a node without id")
	case g.inGraph[row]:
		return s.errorAt(at, "the node comes twice")
	case val && test:
		return s.errorAt(at, "the node is both a validation and a test node")
	}
	g.inGraph[row] = true
	g.rows = append(g.rows, row)
	switch {
	case flags != 3:
		g.noRole++
	case val:
		g.role[row] = assemble.Val
	case test:
		g.role[row] = assemble.Test
	default:
		g.role[row] = assemble.Train
	}
	if len(g.rows)%assemble.StepEvery == 0 {
		return g.reports.Step(g.ctx, "nodes", int64(len(g.rows)), int64(g.ids.size()))
	}
	return nil
}

// link consumes one element of the list of links.
func (g *graphFile) link(s *scanner) error {
	s.peek()
	at := s.here()
	source, target, weight, removed := int32(-1), int32(-1), 1.0, false
	err := s.object("a link, '{\"source\": …, \"target\": …}'", func(key []byte, _ place) (err error) {
		switch string(key) {
		case "source":
			source, err = g.end(s)
		case "target":
			target, err = g.end(s)
		case "weight":
			weight, err = s.number("weight")
		case "train_removed":
			removed, err = s.flag("train_removed")
		default:
			err = s.skip()
		}
		return err
	})
	if err != nil {
		return err
	}
	if source < 0 || target < 0 {
		return s.errorAt(at, "a link without source or target")
	}
	g.add(source, target, weight, removed)
	if len(g.edges.Src)%assemble.StepEvery < 2 {
		return g.reports.Step(g.ctx, "links", int64(len(g.edges.Src)), 0)
	}
	return nil
}

// add appends a link, in both directions unless the graph is directed. A node aggregates
// from its successors, which are its neighbours for GraphSAGE.
func (g *graphFile) add(source, target int32, weight float64, removed bool) {
	e := &g.edges
	if weight != 1 && !g.weighted {
		g.weighted = true
		e.Weights = make([]float32, len(e.Src), cap(e.Src))
		for i := range e.Weights {
			e.Weights[i] = 1
		}
	}
	push := func(row, col int32) {
		if removed {
			g.removed = append(g.removed, int64(len(e.Src)))
		}
		e.Src, e.Dst = append(e.Src, row), append(e.Dst, col)
		if g.weighted {
			e.Weights = append(e.Weights, float32(weight))
		}
	}
	push(source, target)
	if !g.directed && source != target {
		push(target, source)
	}
}

// end consumes one end of a link and returns its row.
func (g *graphFile) end(s *scanner) (int32, error) {
	s.peek()
	at := s.here()
	number, err := s.id("a node id or position")
	if err != nil {
		return 0, err
	}
	if number && (g.links == LinksArePositions || g.links == LinksAuto && g.textIDs) {
		i, err := strconv.ParseInt(string(s.text), 10, 64)
		if err != nil || i < 0 || i >= int64(len(g.rows)) {
			return 0, s.errorAt(at, "position %q, but there are %d nodes", clip(s.text), len(g.rows))
		}
		return g.rows[i], nil
	}
	row := g.ids.find(s.text)
	if row < 0 || !g.inGraph[row] {
		return 0, s.errorAt(at, "the link leads to %q, which is no node", clip(s.text))
	}
	return row, nil
}
