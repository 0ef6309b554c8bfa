package ogb

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/sourcegraph/conc/pool"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npz"
	"github.com/saint-gnn/saint/internal/atomicfile"
	"github.com/saint-gnn/saint/internal/fileop"
)

// converter is one conversion.
type converter struct {
	o     Options
	src   *source
	known *dataset // nil: not in the table
	tmp   string   // the folder that becomes the result
	work  string   // for files that are not part of it
	sum   Summary

	edgeBytes int64 // of the list of edges in memory
}

// Convert reads the set in the folder or .zip archive in and writes the data folder out,
// which must be absent or empty and whose parent must exist: adj_full.npz, adj_train.npz,
// adj_val.npz (the edges with no test node at an end), feats.npy, and role.json and
// class_map.json or, for very large sets, role.npz and labels.npy. The folder is complete or
// not there at all. The same input gives the same bytes.
//
// Edge u,v of the input becomes the entry of row u, column v, so that u aggregates from v, or
// the other way round with Options.TargetRows; undirected graphs have its mirror image too. Mistakes in the input are *formats.InputError;
// options that do not fit it are *OptionError.
func Convert(ctx context.Context, in, out string, o Options) (*Summary, error) {
	o.setDefaults()
	src, err := openSource(in)
	if err != nil {
		return nil, err
	}
	defer src.close() //nolint:errcheck // opened for reading
	c := &converter{o: o, src: src}
	for _, name := range src.named() {
		if c.known = recognise(name); c.known != nil {
			c.sum.Dataset = c.known.name
			break
		}
	}
	if c.known != nil && c.known.hetero {
		return nil, src.hetero()
	}
	binary, err := src.binary()
	if err != nil {
		return nil, err
	}
	if err := c.direction(); err != nil {
		return nil, err
	}
	var failure error
	err = atomicfile.WriteDir(out, func(tmp string) error {
		failure = c.fill(ctx, tmp, binary)
		return failure
	})
	// What is said about the result is dropped from errors that are not about it. They are
	// looked for where they come from: WriteDir keeps the cause of a file's error only.
	var input *formats.InputError
	var option *OptionError
	switch {
	case err == nil:
		return &c.sum, nil
	case errors.As(failure, &input):
		return nil, input
	case errors.As(failure, &option):
		return nil, option
	case errors.Is(failure, context.Canceled):
		return nil, context.Canceled
	}
	return nil, err
}

// fill makes the files of the result in the folder tmp.
func (c *converter) fill(ctx context.Context, tmp string, binary bool) error {
	c.tmp, c.work = tmp, filepath.Join(tmp, ".work")
	if err := fileop.Mkdir(c.work, 0o777); err != nil {
		return err
	}
	convert := c.fromText
	if binary {
		convert = c.fromData
	}
	if err := convert(ctx); err != nil {
		return err
	}
	return os.RemoveAll(c.work)
}

// direction decides whether inverse edges are added.
func (c *converter) direction() error {
	switch {
	case c.o.Direction == Directed:
	case c.o.Direction == Undirected:
		c.sum.Undirected = true
	case c.known == nil:
		return badOption("%s: the name of the folder is none of ogbn-products, ogbn-arxiv, ogbn-proteins or ogbn-papers100M; say --undirected (add the inverse of every edge) or --directed (keep edges as they are)", c.src.path)
	case c.known.inverse:
		c.sum.Undirected = true
	default:
		c.sum.Undirected = true
		c.o.Note(c.known.name + ": the benchmark's edges are directed; the inverse of every edge is added, as GraphSAINT expects (--directed keeps them as they are)")
	}
	return nil
}

// inSource names a file of the set in errors about its copy on disk.
func (c *converter) inSource(name string, err error) error {
	var in *formats.InputError
	if errors.As(err, &in) {
		moved := *in
		moved.Path = c.src.at(name)
		return &moved
	}
	return err
}

// fixed returns the bytes that a conversion of n nodes holds all the time: counts, roles,
// labels, and the blocks that are being parsed.
func (c *converter) fixed(n int) int64 {
	return int64(n)*(3*4+1+4) + int64(c.o.Workers)*8*blockBytes
}

// checkNodes verifies a declared number of nodes before anything of that size is allocated.
func (c *converter) checkNodes(path string, n int) error {
	if n < 1 || n > math.MaxInt32 {
		return formats.BadInput(path, "%d nodes, want 1 to %d", n, math.MaxInt32)
	}
	if need := c.fixed(n); need > c.o.Memory {
		return badOption("%s: %d nodes take %d MiB at least; raise --memory", path, n, need>>20+1)
	}
	return nil
}

// fromText converts the CSV form.
func (c *converter) fromText(ctx context.Context) error {
	n, err := c.readCount(ctx, numNodesFile, "nodes")
	if err != nil {
		return err
	}
	if err := c.checkNodes(c.src.at(numNodesFile), n); err != nil {
		return err
	}
	declared, err := c.readCount(ctx, numEdgesFile, "edges")
	if err != nil {
		return err
	}
	average := !c.src.has(nodeFeatFile)
	if average && !c.src.has(edgeFeatFile) {
		return formats.BadInput(c.src.at(nodeFeatFile), "no such file, and no %s to make node features of; is the download complete?", filepath.Base(edgeFeatFile))
	}
	s, err := c.readSplit(ctx, n)
	if err != nil {
		return err
	}
	l, err := c.readLabels(ctx, n)
	if err != nil {
		return err
	}
	source := func(take func(pairs) error) error { return c.edgeText(ctx, n, int64(declared), take) }
	features := func(edges *edgeList) (int, error) {
		if average {
			return c.averageText(ctx, n, edges, c.sum.Undirected)
		}
		return c.writeFeatureText(ctx, n)
	}
	return c.assemble(ctx, s, l, int64(declared), source, average, features)
}

// fromData converts the binary form.
func (c *converter) fromData(ctx context.Context) error {
	path, err := c.src.onDisk(dataFile, c.work, c.o.Note)
	if err != nil {
		return err
	}
	a, err := npz.Open(path)
	if err != nil {
		return c.inSource(dataFile, err)
	}
	defer a.Close() //nolint:errcheck // opened for reading
	n, declared, err := c.sizes(a)
	if err != nil {
		return err
	}
	average := !a.Has("node_feat")
	if average && !a.Has("edge_feat") {
		return formats.BadInput(c.src.at(dataFile), "there is neither node_feat nor edge_feat, so nodes have no features")
	}
	s, err := c.readSplit(ctx, n)
	if err != nil {
		return err
	}
	l, err := c.readLabelData(ctx, n)
	if err != nil {
		return err
	}
	source := func(take func(pairs) error) error { return c.edgeData(ctx, a, n, take) }
	features := func(edges *edgeList) (int, error) {
		if average {
			return c.averageData(ctx, a, n, edges, c.sum.Undirected)
		}
		return c.writeFeatureData(ctx, a, n)
	}
	return c.assemble(ctx, s, l, declared, source, average, features)
}

// sizes reads the number of nodes and edges of the binary form and checks edge_index.
func (c *converter) sizes(a *npz.Archive) (n int, edges int64, err error) {
	where := c.src.at(dataFile)
	var counts [2]int64
	for i, name := range []string{"num_nodes_list", "num_edges_list"} {
		arr, err := a.Read(name)
		if err != nil {
			return 0, 0, c.inSource(dataFile, err)
		}
		list, err := arr.Int64s()
		if err != nil {
			return 0, 0, c.inSource(dataFile, err)
		}
		if len(list) != 1 {
			return 0, 0, formats.BadInput(where, "array %s has %d entries, want the size of one graph", name, len(list))
		}
		counts[i] = list[0]
	}
	if counts[0] < 1 || counts[0] > math.MaxInt32 {
		return 0, 0, formats.BadInput(where, "array num_nodes_list: %d nodes, want 1 to %d", counts[0], math.MaxInt32)
	}
	if err := c.checkNodes(where, int(counts[0])); err != nil {
		return 0, 0, err
	}
	h, err := a.Header("edge_index")
	if err != nil {
		return 0, 0, c.inSource(dataFile, err)
	}
	if len(h.Shape) != 2 || h.Shape[0] != 2 || int64(h.Shape[1]) != counts[1] {
		return 0, 0, formats.BadInput(where, "array edge_index is %v, want (2, %d)", &h, counts[1])
	}
	return int(counts[0]), counts[1], nil
}

// assemble builds and writes everything. The features are written while the edges are there
// if they are made of edge features, and afterwards otherwise.
func (c *converter) assemble(ctx context.Context, s *split, l *labels, declared int64, source func(func(pairs) error) error, average bool, features func(*edgeList) (int, error)) error {
	classes, err := l.check(s)
	if err != nil {
		return err
	}
	n := len(s.roles)
	m := newMatrix(s.roles)
	edges, err := c.build(ctx, m, declared, source, average)
	if err != nil {
		return err
	}
	if average {
		if c.sum.Features, err = features(edges); err != nil {
			return err
		}
	}
	if edges != nil {
		if err := m.inMemory(ctx, edges, c.sum.Undirected, c.o.Workers); err != nil {
			return err
		}
	}
	c.sum.Nodes, c.sum.FileEdges, c.sum.Classes, c.sum.MultiLabel = n, declared, classes, l.multi
	c.sum.Edges, c.sum.TrainEdges, c.sum.ValEdges = sum(m.full), sum(m.train), sum(m.val)
	c.sum.Merged, c.sum.SelfLoops, c.sum.Unlabelled = m.merged, m.loops, l.missing
	c.sum.Split, c.sum.Train, c.sum.Val, c.sum.Test = s.name, len(s.nodes[0]), len(s.nodes[1]), len(s.nodes[2])
	if err := c.writeSmall(ctx, m, s, l); err != nil {
		return err
	}
	m.columns = nil
	if !average {
		if c.sum.Features, err = features(nil); err != nil {
			return err
		}
	}
	c.warn()
	return nil
}

// build reads the edges: into memory if they and the matrix fit, else into the files of m.
func (c *converter) build(ctx context.Context, m *matrix, declared int64, source func(func(pairs) error) error, keep bool) (*edgeList, error) {
	n := len(m.roles)
	if c.o.TargetRows && !c.sum.Undirected {
		source = turned(source)
	}
	entries := declared
	if c.sum.Undirected {
		entries *= 2
	}
	c.edgeBytes = 8 * declared
	need := c.fixed(n) + c.edgeBytes + 4*entries + 8*int64(n)
	if need <= c.o.Memory || keep {
		if need > c.o.Memory {
			return nil, badOption("node features are means of edge features, for which the edges must fit into memory: they take %d MiB; raise --memory", need>>20+1)
		}
		edges := &edgeList{}
		err := source(func(p pairs) error {
			edges.blocks = append(edges.blocks, p)
			edges.count += int64(len(p) / 2)
			return nil
		})
		return edges, err
	}
	c.sum.Spilled = true
	c.o.Note(fmt.Sprintf("%d edges need %d MiB at once; they pass through files beside the result (--memory %d MiB)", declared, need>>20, c.o.Memory>>20))
	s := &spill{
		dir: c.work, undirected: c.sum.Undirected, workers: c.o.Workers, create: c.o.create,
		budget: c.o.Memory - c.fixed(n) - maxBuckets*bucketBytes,
	}
	if s.budget < least-maxBuckets*bucketBytes {
		return nil, badOption("%d nodes and %d edges take %d MiB at least; raise --memory", n, declared, (c.fixed(n)+least)>>20+1)
	}
	return nil, m.inFiles(ctx, s, declared, source)
}

// turned delivers edges with their ends exchanged.
func turned(source func(func(pairs) error) error) func(func(pairs) error) error {
	return func(take func(pairs) error) error {
		return source(func(p pairs) error {
			for i := 0; i+1 < len(p); i += 2 {
				p[i], p[i+1] = p[i+1], p[i]
			}
			return take(p)
		})
	}
}

// writeSmall writes the adjacencies, roles and labels.
func (c *converter) writeSmall(ctx context.Context, m *matrix, s *split, l *labels) error {
	p := pool.New().WithContext(ctx).WithCancelOnError().WithFirstError()
	for part, name := range map[part]string{fullPart: "adj_full.npz", trainPart: "adj_train.npz", valPart: "adj_val.npz"} {
		p.Go(func(ctx context.Context) error { return c.writeMatrix(ctx, filepath.Join(c.tmp, name), m, part) })
	}
	roles, classes := writeRoles, writeClassMap
	roleName, className := "role.json", "class_map.json"
	if n := len(s.roles); n > maxJSON || c.known != nil && c.known.arrays {
		roles, classes = writeRoleArrays, writeLabelArray
		roleName, className = "role.npz", "labels.npy"
	}
	p.Go(func(context.Context) error {
		return c.write(filepath.Join(c.tmp, roleName), func(w *bufio.Writer) error { return roles(w, s) })
	})
	p.Go(func(context.Context) error {
		return c.write(filepath.Join(c.tmp, className), func(w *bufio.Writer) error { return classes(w, l) })
	})
	return p.Wait()
}

// maxJSON is the greatest number of nodes whose labels and roles are written as JSON.
const maxJSON = 10_000_000

// warn reports what was decided and what is odd but usable.
func (c *converter) warn() {
	warn := func(format string, args ...any) { c.o.Warn(c.src.prefix + ": " + fmt.Sprintf(format, args...)) }
	s := &c.sum
	switch {
	case s.Undirected:
	case c.o.TargetRows:
		c.o.Note("edges were kept as they are: of an edge u,v, v aggregates from u (--rows source turns that round)")
	default:
		c.o.Note("edges were kept as they are: of an edge u,v, u aggregates from v (--rows target turns that round)")
	}
	if s.Merged > 0 {
		what := "edges repeat another one and were merged with it"
		if s.Undirected {
			what = "entries repeat another one, because the file lists an edge twice or in both directions, and were merged with it"
		}
		warn("%d %s", s.Merged, what)
	}
	if s.SelfLoops > 0 {
		warn("%d edges lead from a node to itself; they are kept", s.SelfLoops)
	}
	if c.known == nil {
		return
	}
	k := c.known
	var odd []string
	for _, x := range []struct {
		what      string
		got, want int64
	}{
		{"nodes", int64(s.Nodes), int64(k.nodes)},
		{"edges", s.FileEdges, k.edges},
		{"features", int64(s.Features), int64(k.features)},
		{"classes", int64(s.Classes), int64(k.labels)},
		{"training nodes", int64(s.Train), int64(k.train)},
		{"validation nodes", int64(s.Val), int64(k.valid)},
		{"test nodes", int64(s.Test), int64(k.test)},
	} {
		if x.got != x.want && (s.Split == k.split || !strings.HasSuffix(x.what, " nodes")) {
			odd = append(odd, fmt.Sprintf("%d %s, not %d", x.got, x.what, x.want))
		}
	}
	if len(odd) > 0 {
		warn("this is not %s as published: %s", k.name, strings.Join(odd, "; "))
	}
}
