package samplers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/internal/fileop"
	"github.com/saint-gnn/saint/internal/partition"
)

// partitionFormat is the version of the file below and of the law of internal/partition: raise
// it, and normFormat, when the parts of a graph change.
const partitionFormat = "2"

// Tensor and metadata of a saved partition; docs/samplers.md describes them.
const (
	tensorPart    = "part"
	metaPartition = "saint.partition"
	metaParts     = "parts"
)

// partition returns the part of each of s.nodes, from the cache or made anew.
func (s *ClusterGCN) partition(ctx context.Context, o PrepareOptions) ([]int32, error) {
	warn := o.Warn
	if warn == nil {
		warn = func(error) {}
	}
	key, path := "", ""
	if o.CacheDir != "" {
		key = s.cacheKey()
		path = filepath.Join(o.CacheDir, "partition", key+".safetensors")
		part, err := loadPartition(path, key, len(s.nodes), s.Parts)
		if err == nil {
			return part, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			warn(fmt.Errorf("cached partition ignored and computed again: %w", err))
		}
	}
	part, err := partition.KWay(ctx, s.graph(), partition.Options{
		Parts: s.Parts, Seed: s.Seed, Workers: o.Workers, Progress: o.Progress,
	})
	if err != nil || path == "" {
		return part, err
	}
	err = fileop.MkdirAll(filepath.Dir(path), 0o777)
	if err == nil {
		err = savePartition(path, key, part, s.Parts)
	}
	if err != nil {
		warn(fmt.Errorf("the partition could not be cached: %w", err))
	}
	return part, nil
}

// cacheKey names the partition: equal keys, equal parts. It is 64 hex digits.
func (s *ClusterGCN) cacheKey() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "saint partition %s\n%q %d %d\n", partitionFormat, s.env.Fingerprint(), s.Parts, s.Seed))
	return hex.EncodeToString(sum[:])
}

// savePartition writes a safetensors file that is complete or as before.
func savePartition(path, key string, part []int32, parts int) error {
	tensors := []safetensors.Tensor{safetensors.Int32(tensorPart, []int{len(part)}, part)}
	return safetensors.WriteFile(path, tensors, map[string]string{
		metaPartition: partitionFormat,
		metaKey:       key,
		metaParts:     strconv.Itoa(parts),
		metaChecksum:  checksum(tensors, tensorPart),
	})
}

// loadPartition reads what savePartition wrote for the same key.
func loadPartition(path, key string, nodes, parts int) (part []int32, err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	meta := f.Metadata()
	if got := meta[metaPartition]; got != partitionFormat {
		return nil, formats.BadInput(path, "it does not hold a partition of format %s", partitionFormat)
	}
	if got := meta[metaKey]; got != key {
		return nil, formats.BadInput(path, "its partition belongs to key %s, want %s", got, key)
	}
	t, err := f.Tensor(tensorPart)
	if err != nil {
		return nil, err
	}
	if t.DType != safetensors.I32 || len(t.Shape) != 1 || t.Len() != nodes {
		return nil, formats.BadInput(path, "tensor %q is %s %v, want I32 [%d]", t.Name, t.DType, t.Shape, nodes)
	}
	if got := checksum([]safetensors.Tensor{t}, tensorPart); got != meta[metaChecksum] {
		return nil, formats.BadInput(path, "its checksum is %s, want %s: the file is damaged", got, meta[metaChecksum])
	}
	if part, err = t.Int32s(); err != nil {
		return nil, err
	}
	used := make([]bool, parts)
	for i, p := range part {
		if p < 0 || int(p) >= parts {
			return nil, formats.BadInput(path, "tensor %q has %d at %d, want 0 to %d", t.Name, p, i, parts-1)
		}
		used[p] = true
	}
	for p, ok := range used {
		if !ok {
			return nil, formats.BadInput(path, "part %d is empty", p)
		}
	}
	return part, nil
}

// nodes returns the training nodes and all others that have edges, ascending.
func (e Env) nodes() []int32 {
	g := e.Graph
	used := make([]bool, g.NumNodes())
	for _, v := range e.Train {
		used[v] = true
	}
	for v := range used {
		used[v] = used[v] || g.Degree(int32(v)) > 0
	}
	for _, u := range g.Indices {
		used[u] = true
	}
	nodes := make([]int32, 0, len(e.Train))
	for v, ok := range used {
		if ok {
			nodes = append(nodes, int32(v))
		}
	}
	return nodes
}

// graph returns the graph of s.nodes, by their positions there, without directions: an edge weighs
// as many entries of the adjacency as are lost when it is cut, the two of a symmetric graph
// counting as one.
func (s *ClusterGCN) graph() *partition.Graph {
	g := s.env.Graph
	if len(s.nodes) < g.NumNodes() {
		local := make([]int32, g.NumNodes())
		for i, v := range s.nodes {
			local[v] = int32(i)
		}
		c := &formats.Graph{Indptr: make([]int64, 1, len(s.nodes)+1), Indices: make([]int32, 0, g.NumEdges())}
		for _, v := range s.nodes { // all others have no edges
			for _, u := range g.Neighbors(v) {
				c.Indices = append(c.Indices, local[u])
			}
			c.Indptr = append(c.Indptr, int64(len(c.Indices)))
		}
		g = c
	}
	if s.env.Symmetric() {
		return &partition.Graph{Indptr: g.Indptr, Indices: g.Indices}
	}
	return undirected(g)
}

// undirected adds every edge of g to the rows of both of its ends; one that g has in both
// directions weighs 2.
func undirected(g *formats.Graph) *partition.Graph {
	t := (&formats.Graph{Indptr: g.Indptr, Indices: g.Indices}).Transpose()
	p := &partition.Graph{Indptr: make([]int64, 1, g.NumNodes()+1)}
	for v := range int32(g.NumNodes()) {
		a, b := g.Neighbors(v), t.Neighbors(v)
		for len(a) > 0 || len(b) > 0 {
			w := int32(1)
			var u int32
			switch {
			case len(b) == 0 || len(a) > 0 && a[0] < b[0]:
				u, a = a[0], a[1:]
			case len(a) == 0 || b[0] < a[0]:
				u, b = b[0], b[1:]
			default:
				u, a, b, w = a[0], a[1:], b[1:], 2
			}
			p.Indices, p.EdgeWeights = append(p.Indices, u), append(p.EdgeWeights, w)
		}
		p.Indptr = append(p.Indptr, int64(len(p.Indices)))
	}
	return p
}
