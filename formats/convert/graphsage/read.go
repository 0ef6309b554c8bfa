package graphsage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
)

// The endings of the files of a data set.
const (
	graphSuffix = "-G.json"
	idSuffix    = "-id_map.json"
	classSuffix = "-class_map.json"
	featsSuffix = "-feats.npy"
)

// ReadOptions say how to read a data set.
type ReadOptions struct {
	assemble.Reports
	// Links says what the ends of links are.
	Links Links
}

// Read reads and checks the data set whose files begin with prefix, such as data/ppi/ppi;
// a folder stands for the one data set in it. Errors about the content are
// *formats.InputError with line and column.
func Read(ctx context.Context, prefix string, o ReadOptions) (*formats.RawDataset, error) {
	if o.Links != LinksAuto && o.Links != LinksAreIDs && o.Links != LinksArePositions {
		return nil, fmt.Errorf("links %q, want %s or %s", o.Links, LinksAreIDs, LinksArePositions)
	}
	prefix, err := findPrefix(prefix)
	if err != nil {
		return nil, err
	}
	ids, err := readIDMap(prefix + idSuffix)
	if err != nil {
		return nil, err
	}
	g := graphFile{ctx: ctx, reports: &o.Reports, ids: ids, links: o.Links}
	if err := g.read(prefix + graphSuffix); err != nil {
		return nil, err
	}
	c := classFile{ids: ids}
	if info, err := os.Stat(prefix + classSuffix); err == nil {
		c.size = info.Size()
	}
	raw := &formats.RawDataset{Name: filepath.Base(prefix)}
	if raw.Labels, err = c.read(prefix + classSuffix); err != nil {
		return nil, err
	}
	if err := g.dataset(raw, prefix); err != nil {
		return nil, err
	}
	g.unlabelled(raw, c.seen, prefix)
	if err := readFeatures(raw, prefix, &o.Reports); err != nil {
		return nil, err
	}
	return assemble.Dataset(raw, map[formats.Part]string{
		formats.PartFull: prefix + graphSuffix, formats.PartTrain: prefix + graphSuffix, formats.PartRoles: prefix + graphSuffix,
		formats.PartLabels: prefix + classSuffix, formats.PartFeatures: prefix + featsSuffix,
	})
}

// isDir reports whether there is a folder at path.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// findPrefix returns the common beginning of the files.
func findPrefix(prefix string) (string, error) {
	if !isDir(prefix) {
		return strings.TrimSuffix(prefix, graphSuffix), nil
	}
	entries, err := os.ReadDir(prefix)
	if err != nil {
		return "", assemble.InFile(prefix, err)
	}
	var found []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), graphSuffix); ok {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return "", formats.BadInput(prefix, "the folder holds %d files NAME%s, want one; or name FOLDER/NAME", len(found), graphSuffix)
	}
	return filepath.Join(prefix, found[0]), nil
}

// dataset fills graphs and roles.
func (g *graphFile) dataset(raw *formats.RawDataset, prefix string) error {
	path := prefix + graphSuffix
	roles := assemble.RolesOf(g.role)
	raw.TrainNodes, raw.ValNodes, raw.TestNodes = roles.Train, roles.Val, roles.Test
	if len(roles.Train) == 0 {
		return formats.BadInput(path, "no training node: every node is a validation or test node or lacks the flags val and test")
	}
	dropped := g.droppedTraining()
	full, counts, err := assemble.Graph(g.ctx, g.ids.size(), &g.edges, assemble.GraphOptions{})
	if err != nil {
		return assemble.InFile(path, err)
	}
	g.reports.WarnGraph(path, counts, assemble.GraphOptions{})
	raw.Full = full
	raw.Train = without(formats.Induced(full, roles.Train), dropped)
	if g.noRole > 0 {
		g.reports.Warnf("%s: %d nodes lack the flags val and test and get no role; GraphSAGE itself removes such nodes", path, g.noRole)
	}
	if missing := len(g.inGraph) - len(g.rows); missing > 0 {
		g.reports.Warnf("%s: %d nodes of the id map are not in the graph; they are kept without edges and role", path, missing)
	}
	return nil
}

// edge is one directed edge.
type edge struct{ row, col int32 }

// droppedTraining returns the edges between training nodes that are marked as not for
// training.
func (g *graphFile) droppedTraining() map[edge]bool {
	dropped := map[edge]bool{}
	for _, i := range g.removed {
		e := edge{g.edges.Src[i], g.edges.Dst[i]}
		if g.role[e.row] == assemble.Train && g.role[e.col] == assemble.Train {
			dropped[e] = true
		}
	}
	g.removed = nil
	return dropped
}

// without returns g without some edges.
func without(g *formats.Graph, dropped map[edge]bool) *formats.Graph {
	if len(dropped) == 0 {
		return g
	}
	out := &formats.Graph{Indptr: make([]int64, len(g.Indptr))}
	for v := range g.NumNodes() {
		for e := g.Indptr[v]; e < g.Indptr[v+1]; e++ {
			if dropped[edge{int32(v), g.Indices[e]}] {
				continue
			}
			out.Indices = append(out.Indices, g.Indices[e])
			if g.Weights != nil {
				out.Weights = append(out.Weights, g.Weights[e])
			}
		}
		out.Indptr[v+1] = int64(len(out.Indices))
	}
	return out
}

// unlabelled takes the role from nodes that the class map lacks: nothing can be learnt from
// them and no score can count them.
func (g *graphFile) unlabelled(raw *formats.RawDataset, labelled []bool, prefix string) {
	lost := 0
	for v, role := range g.role {
		if role != assemble.NoRole && !labelled[v] {
			g.role[v] = assemble.NoRole
			lost++
		}
	}
	if lost == 0 {
		return
	}
	roles := assemble.RolesOf(g.role)
	raw.TrainNodes, raw.ValNodes, raw.TestNodes = roles.Train, roles.Val, roles.Test
	raw.Train = formats.Induced(raw.Train, roles.Train)
	g.reports.Warnf("%s: %d nodes have no label and lose their role", prefix+classSuffix, lost)
}

// readFeatures reads the matrix, or makes one if there is none.
func readFeatures(raw *formats.RawDataset, prefix string, r *assemble.Reports) error {
	path := prefix + featsSuffix
	if !assemble.Exists(path) {
		r.Warnf("%s: no such file; the number of neighbours becomes the only feature", path)
		raw.Features, raw.Dim = assemble.DegreeFeatures(raw.Full), 1
		return nil
	}
	m, err := assemble.ReadMatrix(path, r)
	if err != nil {
		return err
	}
	raw.Features, raw.Dim = m.Values, m.Dim
	return assemble.CheckRows(path, "features", m.Rows, raw.Full.NumNodes())
}
