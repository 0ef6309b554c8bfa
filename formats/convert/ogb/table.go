package ogb

import (
	"path/filepath"
	"strings"
)

// dataset is what the benchmark says about one of its sets.
type dataset struct {
	name  string
	words []string // what the folder's name begins with, after "ogbn-"
	// inverse says that the files hold every edge once and the loader adds the inverse ones.
	inverse    bool
	hetero     bool
	arrays     bool // labels.npy and role.npz instead of JSON
	split      string
	nodes      int
	edges      int64 // lines of the file, before inverse edges
	features   int   // columns of node features, or of edge features where there are only those
	labels     int   // classes of single-label sets, tasks of multi-label ones
	multi      bool
	train      int
	valid      int
	test       int
	edgeToNode bool // node features are the means of edge features
}

// datasets is the benchmark's table of node property sets (master.csv of its Python
// package) with the sizes that its documentation gives.
var datasets = []dataset{
	{
		name: "ogbn-products", words: []string{"products"}, inverse: true, split: "sales_ranking",
		nodes: 2449029, edges: 61859140, features: 100, labels: 47, train: 196615, valid: 39323, test: 2213091,
	},
	{
		name: "ogbn-arxiv", words: []string{"arxiv"}, split: "time",
		nodes: 169343, edges: 1166243, features: 128, labels: 40, train: 90941, valid: 29799, test: 48603,
	},
	{
		name: "ogbn-proteins", words: []string{"proteins", "proteinfunc"}, inverse: true, split: "species", edgeToNode: true,
		nodes: 132534, edges: 39561252, features: 8, labels: 112, multi: true, train: 86619, valid: 21236, test: 24679,
	},
	{
		name: "ogbn-papers100M", words: []string{"papers100m"}, split: "time", arrays: true,
		nodes: 111059956, edges: 1615685872, features: 128, labels: 172, train: 1207179, valid: 125265, test: 214338,
	},
	{name: "ogbn-mag", words: []string{"mag"}, hetero: true, split: "time", labels: 349},
}

// Set is what the benchmark says about one of its node property sets.
type Set struct {
	Name         string
	Split        string // the folder below split
	AddInverse   bool   // the files hold every edge once, the inverse ones are to be added
	Hetero       bool   // several types of nodes and edges; such a set is not converted
	EdgeFeatures bool   // edges have features, nodes have none
	MultiLabel   bool
	Labels       int // classes, or tasks of a multi-label set
}

// Sets returns the benchmark's node property sets as they are known here.
func Sets() []Set {
	sets := make([]Set, len(datasets))
	for i := range datasets {
		d := &datasets[i]
		sets[i] = Set{d.name, d.split, d.inverse, d.hetero, d.edgeToNode, d.multi, d.labels}
	}
	return sets
}

// recognise finds the set that the last element of path is named after: "ogbn_products",
// "products", "products.zip", "papers100M-bin", "ogbn_arxiv_nofeat".
func recognise(path string) *dataset {
	name := strings.ToLower(filepath.Base(filepath.Clean(path)))
	name = strings.ReplaceAll(strings.TrimSuffix(name, ".zip"), "_", "-")
	name = strings.TrimPrefix(name, "ogbn-")
	for i := range datasets {
		for _, word := range datasets[i].words {
			if name == word || strings.HasPrefix(name, word+"-") {
				return &datasets[i]
			}
		}
	}
	return nil
}
