//go:build unix

package main

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"math"
	"strings"

	"github.com/saint-gnn/saint/formats/npz"
)

// Lines of conversions; what comes before is what stands behind --in.
const (
	fromSage    = "convert graphsage --out OUT/x --in IN/sage"
	fromCPP     = "convert cpp --out OUT/x --in IN/cpp"
	fromParquet = "convert tables --out OUT/x --in IN/parquet"
	fromArrow   = "convert tables --out OUT/x --in IN/arrow"
	fromArrays  = "convert arrays --out OUT/x --in IN/arrays"
	fromShchur  = "convert shchur --out OUT/x --in IN/shchur.npz"
	fromOGB     = "convert ogb --out OUT/x --in IN/products"
	fromOGBZip  = "convert ogb --out OUT/x --in IN/products.zip"
	fromEdges   = "convert edgelist --out OUT/x --in IN/edges.csv --labels IN/labels.csv --feats IN/feats.csv"
	fromEdgesGz = "convert edgelist --out OUT/x --in IN/edges.csv.gz --labels IN/labels.csv"
)

// shchur rewrites the archive of the gnn-benchmark's form.
func (b *spoiler) shchur(change func(e map[string]*npz.Entry)) {
	writeBenchmark(b.t, b.path("shchur.npz"), ring(false), change)
}

// dims replaces one number of dims.bin.
func (b *spoiler) dims(at int, value int32) {
	data := b.get("cpp/dims.bin")
	binary.LittleEndian.PutUint32(data[4*at:], uint32(value))
	b.put("cpp/dims.bin", string(data))
}

// word replaces a little-endian number of four bytes.
func (b *spoiler) word(name string, at int, value uint32) {
	data := b.get(name)
	binary.LittleEndian.PutUint32(data[4*at:], value)
	b.put(name, string(data))
}

var badConversions = []badInput{
	{"to: no input", "convert to-graphsage --in IN/none --out OUT/x", nil, exitInput, "IN/none … no such folder"},
	{"to: bad input", "convert to-cpp --in IN/data --out OUT/x", func(b *spoiler) { b.cut("data/feats.npy", -1) }, exitInput, "IN/data/feats.npy"},
	{"to: bad roles", "convert to-tables --in IN/data --out OUT/x", func(b *spoiler) { b.swap("data/role.json", `"va": [2`, `"va": [0`) }, exitInput, "IN/data/role.json … node 0"},
	{"to: folder in use", "convert to-cpp --in IN/data --out IN/data", nil, exitUsage, "IN/data … not empty"},
	{"to: below a file", "convert to-tables --in IN/data --out IN/edges.csv/x", nil, exitUsage, "IN/edges.csv … is a file"},
	{"to: name with a folder", "convert to-graphsage --in IN/data --out OUT/x --name a/b", nil, exitUsage, "--name a/b"},

	{"sage: graph cut", fromSage, func(b *spoiler) { b.cut("sage/ring-G.json", 300) }, exitInput, "IN/sage/ring-G.json"},
	{"sage: graph nested", fromSage, func(b *spoiler) { b.put("sage/ring-G.json", `{"nodes": `+nested(1<<20)) }, exitInput, "IN/sage/ring-G.json"},
	{"sage: unknown part nested", fromSage, func(b *spoiler) { b.put("sage/ring-G.json", `{"graph": `+nested(1<<20)) }, exitInput, "IN/sage/ring-G.json"},
	{"sage: link beyond", fromSage, func(b *spoiler) {
		b.swap("sage/ring-G.json", `"target": 23`, `"target": 24`)
	}, exitInput, "IN/sage/ring-G.json … 24"},
	{"sage: ids not one to one", fromSage, func(b *spoiler) { b.swap("sage/ring-id_map.json", `"5": 5`, `"5": 4`) }, exitInput, "IN/sage/ring-id_map.json … 4"},
	{"sage: id beyond", fromSage, func(b *spoiler) { b.swap("sage/ring-id_map.json", `"5": 5`, `"5": 24`) }, exitInput, "IN/sage/ring-id_map.json … 24"},
	{"sage: id missing", fromSage, func(b *spoiler) { b.swap("sage/ring-id_map.json", `"5": 5`, `"55": 5`) }, exitInput, "IN/sage … 5"},
	{"sage: class missing", fromSage, func(b *spoiler) { b.swap("sage/ring-class_map.json", `"5": `, `"55": `) }, exitInput, "IN/sage/ring-class_map.json … 55"},
	{"sage: class map missing", fromSage, func(b *spoiler) { b.remove("sage/ring-class_map.json") }, exitInput, "IN/sage/ring-class_map.json … no such file"},
	{"sage: features nan", fromSage, func(b *spoiler) {
		x := make([]float64, 48)
		x[9] = math.NaN()
		b.npy("sage/ring-feats.npy", []int{24, 2}, x)
	}, exitInput, "IN/sage/ring-feats.npy … row 4"},
	{"sage: two sets", fromSage, func(b *spoiler) { b.put("sage/other-G.json", "{}") }, exitInput, "IN/sage … 2"},

	{"cpp: dims cut", fromCPP, func(b *spoiler) { b.cut("cpp/dims.bin", 20) }, exitInput, "IN/cpp/dims.bin"},
	{"cpp: dims negative", fromCPP, func(b *spoiler) { b.dims(2, -5) }, exitInput, "IN/cpp/dims.bin … -5"},
	{"cpp: dims huge", fromCPP, func(b *spoiler) { b.dims(7, math.MaxInt32) }, exitInput, "IN/cpp"},
	{"cpp: columns huge", fromCPP, func(b *spoiler) { b.dims(8, math.MaxInt32) }, exitInput, "IN/cpp"},
	{"cpp: indices cut", fromCPP, func(b *spoiler) { b.cut("cpp/adj_full_indices.bin", -4) }, exitInput, "IN/cpp/adj_full_indices.bin"},
	{"cpp: index beyond", fromCPP, func(b *spoiler) { b.word("cpp/adj_full_indices.bin", 3, 24) }, exitInput, "IN/cpp/adj_full_indices.bin … 24"},
	{"cpp: starts fall", fromCPP, func(b *spoiler) { b.word("cpp/adj_full_indptr.bin", 3, 1) }, exitInput, "IN/cpp/adj_full_indptr.bin"},
	{"cpp: roles overlap", fromCPP, func(b *spoiler) { b.word("cpp/node_val.bin", 0, 0) }, exitInput, "IN/cpp/node_train.bin … node 0 … va"},
	{"cpp: labels missing", fromCPP, func(b *spoiler) { b.remove("cpp/labels_col.bin") }, exitInput, "IN/cpp/labels_col.bin … no such file"},
	{"cpp: scale damaged", fromCPP, func(b *spoiler) { b.put("cpp/saint.json", `{"format": 1, "mean": [`) }, exitInput, "IN/cpp/saint.json"},

	{"parquet: cut", fromParquet, func(b *spoiler) { b.cut("parquet/nodes.parquet", -50) }, exitInput, "IN/parquet/nodes.parquet"},
	{"parquet: magic", fromParquet, func(b *spoiler) { b.flip("parquet/edges.parquet", 1) }, exitInput, "IN/parquet/edges.parquet"},
	{"parquet: footer length", fromParquet, func(b *spoiler) { b.flip("parquet/edges.parquet", -5) }, exitInput, "IN/parquet/edges.parquet"},
	{"parquet: pages", fromParquet, func(b *spoiler) {
		data := b.get("parquet/edges.parquet")
		for i := 4; i < 60; i++ {
			data[i] ^= 0xa5
		}
		b.put("parquet/edges.parquet", string(data))
	}, exitInput, "IN/parquet/edges.parquet"},
	{"parquet: tables swapped", fromParquet, func(b *spoiler) { b.put("parquet/edges.parquet", string(b.get("parquet/nodes.parquet"))) }, exitInput, "IN/parquet/edges.parquet … column"},
	{"parquet: nodes missing", fromParquet, func(b *spoiler) { b.remove("parquet/nodes.parquet") }, exitInput, "IN/parquet … nodes.parquet"},
	{"arrow: cut", fromArrow, func(b *spoiler) { b.cut("arrow/edges.arrow", -20) }, exitInput, "IN/arrow/edges.arrow … truncated"},
	{"arrow: huge message", fromArrow, func(b *spoiler) { b.word("arrow/edges.arrow", 3, 0x7ffffff0) }, exitInput, "IN/arrow/edges.arrow"},
	{"arrow: body", fromArrow, func(b *spoiler) {
		data := b.get("arrow/edges.arrow")
		for i := 40; i < 120; i++ {
			data[i] ^= 0xa5
		}
		b.put("arrow/edges.arrow", string(data))
	}, exitInput, "IN/arrow/edges.arrow"},

	{"arrays: edge_index", fromArrays, func(b *spoiler) { b.npy("arrays/edge_index.npy", []int{3, 32}, make([]int32, 96)) }, exitInput, "IN/arrays/edge_index.npy … 3"},
	{"arrays: edge_index of floats", fromArrays, func(b *spoiler) { b.npy("arrays/edge_index.npy", []int{2, 2}, []float32{0, 1.5, 2, 3}) }, exitInput, "IN/arrays/edge_index.npy … 1.5"},
	{"arrays: node beyond", fromArrays, func(b *spoiler) { b.npy("arrays/edge_index.npy", []int{2, 2}, []int64{0, 1, 24, 3}) }, exitInput, "IN/arrays/edge_index.npy … 24"},
	{"arrays: y short", fromArrays, func(b *spoiler) { b.npy("arrays/y.npy", []int{23}, make([]int64, 23)) }, exitInput, "IN/arrays/y.npy … 23"},
	{"arrays: masks overlap", fromArrays, func(b *spoiler) { b.put("arrays/val_mask.npy", string(b.get("arrays/train_mask.npy"))) }, exitInput, "IN/arrays/val_mask.npy … node 0"},
	{"arrays: no mask", fromArrays, func(b *spoiler) { b.remove("arrays/train_mask.npy") }, exitInput, "IN/arrays … train_mask"},
	{"arrays: x inf", fromArrays, func(b *spoiler) {
		x := make([]float32, 48)
		x[3] = float32(math.Inf(1))
		b.npy("arrays/x.npy", []int{24, 2}, x)
	}, exitInput, "IN/arrays/x.npy … row 1"},
	{"arrays: split file", fromArrays + " --split IN/roles.csv", nil, exitInput, "IN/roles.csv"},

	{"shchur: no archive", fromShchur, func(b *spoiler) { b.put("shchur.npz", "PK\x03\x04") }, exitInput, "IN/shchur.npz"},
	{"shchur: no labels", fromShchur, func(b *spoiler) { b.shchur(func(e map[string]*npz.Entry) { delete(e, "labels") }) }, exitInput, "IN/shchur.npz … labels"},
	{"shchur: starts", fromShchur, func(b *spoiler) {
		b.shchur(func(e map[string]*npz.Entry) { e["adj_indptr"].Data.([]int64)[3] = 1 << 40 })
	}, exitInput, "IN/shchur.npz … matrix adj … row 3"},
	{"shchur: huge attributes", fromShchur, func(b *spoiler) {
		b.shchur(func(e map[string]*npz.Entry) { e["attr_shape"].Data = []int64{24, 1 << 40} })
	}, exitInput, "IN/shchur.npz … attr_shape"},
	{"shchur: attributes beyond memory", fromShchur, func(b *spoiler) {
		b.shchur(func(e map[string]*npz.Entry) { e["attr_shape"].Data = []int64{24, 1 << 30} })
	}, exitInput, "IN/shchur.npz … attr"},
	{"shchur: labels short", fromShchur, func(b *spoiler) {
		b.shchur(func(e map[string]*npz.Entry) { e["labels"].Shape, e["labels"].Data = []int{3}, []int32{0, 1, 2} })
	}, exitInput, "IN/shchur.npz … labels"},
}

var badBenchmarks = []badInput{
	{"no folder", "convert ogb --in IN/none --out OUT/x", nil, exitInput, "IN/none … no such folder"},
	{"half a gzip", fromOGB, func(b *spoiler) { b.cut("products/raw/edge.csv.gz", 300) }, exitInput, "IN/products/raw/edge.csv.gz: … truncated"},
	{"no gzip", fromOGB, func(b *spoiler) { b.put("products/raw/edge.csv.gz", "1,2\n") }, exitInput, "IN/products/raw/edge.csv.gz … not a gzip file"},
	{"checksum", fromOGB, func(b *spoiler) { b.flip("products/raw/node-label.csv.gz", -6) }, exitInput, "IN/products/raw/node-label.csv.gz:401"},
	{"bit", fromOGB, func(b *spoiler) { b.flip("products/raw/node-feat.csv.gz", 200) }, exitInput, "IN/products/raw/node-feat.csv.gz:"},
	{"three columns", fromOGB, func(b *spoiler) { b.gz("products/raw/edge.csv.gz", "1,2\n3,4,5\n") }, exitInput, "IN/products/raw/edge.csv.gz:2:4"},
	{"node beyond", fromOGB, func(b *spoiler) { b.gz("products/raw/edge.csv.gz", "1,2\n3,400\n") }, exitInput, "IN/products/raw/edge.csv.gz:2:3 … 400"},
	{"edges missing", fromOGB, func(b *spoiler) { b.gz("products/raw/edge.csv.gz", "1,2\n") }, exitInput, "IN/products/raw/edge.csv.gz … 2000"},
	{"one long line", fromOGB, func(b *spoiler) { b.gz("products/raw/edge.csv.gz", "1,"+strings.Repeat("2", 64<<20)) }, exitInput, "IN/products/raw/edge.csv.gz:1"},
	{"bomb of lines", fromOGB, func(b *spoiler) { b.gz("products/raw/edge.csv.gz", strings.Repeat("1,2\n", 16<<20)) }, exitInput, "IN/products/raw/edge.csv.gz:2001"},
	{"huge count", fromOGB, func(b *spoiler) { b.gz("products/raw/num-node-list.csv.gz", "2000000000\n") }, exitUsage, "IN/products/raw/num-node-list.csv.gz … --memory"},
	{"count negative", fromOGB, func(b *spoiler) { b.gz("products/raw/num-node-list.csv.gz", "-400\n") }, exitInput, "IN/products/raw/num-node-list.csv.gz … -400"},
	{"feature nan", fromOGB, func(b *spoiler) { b.gz("products/raw/node-feat.csv.gz", "1,2\n3,nan\n") }, exitInput, "IN/products/raw/node-feat.csv.gz:2:3 … nan"},
	{"no split", fromOGB, func(b *spoiler) { b.remove("products/split") }, exitInput, "IN/products/split … no split"},
	{"half a split", fromOGB, func(b *spoiler) { b.remove("products/split/sales_ranking/valid.csv.gz") }, exitInput, "IN/products/split/sales_ranking/valid.csv.gz … no such file"},
	{"another split", fromOGB + " --split time", nil, exitUsage, "--split time … IN/products/split"},
	{"splits overlap", fromOGB, func(b *spoiler) { b.gz("products/split/sales_ranking/valid.csv.gz", "2\n0\n") }, exitInput, "IN/products/split/sales_ranking/valid.csv.gz:2 … node 0"},
	{"zip cut", fromOGBZip, func(b *spoiler) { b.cut("products.zip", -100) }, exitInput, "IN/products.zip … zip"},
	{"zip empty", fromOGBZip, func(b *spoiler) { b.put("products.zip", "") }, exitInput, "IN/products.zip … zip"},
	{"zip of other things", fromOGBZip, func(b *spoiler) {
		b.members("products.zip", func(string, []byte) []byte { return nil })
	}, exitInput, "IN/products.zip … raw"},
	{"zip traversal", fromOGBZip, func(b *spoiler) {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for _, name := range []string{"../../raw/edge.csv.gz", "/raw/edge.csv.gz", "products/../../../split/x"} {
			f, err := w.Create(name)
			b.check(err)
			_, err = f.Write([]byte("1,2\n"))
			b.check(err)
		}
		b.check(w.Close())
		b.put("products.zip", out.String())
	}, exitInput, "IN/products.zip"},
	{"zip bit", fromOGBZip, func(b *spoiler) { b.flip("products.zip", 300) }, exitInput, "IN/products.zip/products/"},
	{"memory", fromOGB + " --memory 1KiB", nil, exitUsage, "IN/products/raw/num-node-list.csv.gz … --memory"},
	{"pickled", fromOGB, func(b *spoiler) {
		b.remove("products/split/sales_ranking/valid.csv.gz")
		b.remove("products/split/sales_ranking/train.csv.gz")
		b.remove("products/split/sales_ranking/test.csv.gz")
		b.put("products/split/sales_ranking/split_dict.pt", "\x80\x02")
	}, exitInput, "IN/products/split/sales_ranking/split_dict.pt"},
}

var badLists = []badInput{
	{"no file", "convert edgelist --out OUT/x --in IN/none.csv --labels IN/labels.csv", nil, exitInput, "IN/none.csv … no such file"},
	{"a folder", "convert edgelist --out OUT/x --in IN/data --labels IN/edges.csv", nil, exitInput, "IN/data"},
	{"empty", fromEdges, func(b *spoiler) { b.put("edges.csv", "") }, exitInput, "IN/edges.csv"},
	{"half a gzip", fromEdgesGz, func(b *spoiler) { b.cut("edges.csv.gz", 100) }, exitInput, "IN/edges.csv.gz:"},
	{"no gzip", fromEdgesGz, func(b *spoiler) { b.put("edges.csv.gz", "a,b\n") }, exitInput, "IN/edges.csv.gz … gzip"},
	{"columns", fromEdges, func(b *spoiler) { b.lines("edges.csv", 5, "n1,n2,n3") }, exitInput, "IN/edges.csv:5"},
	{"one column", fromEdges, func(b *spoiler) { b.lines("edges.csv", 5, "n1") }, exitInput, "IN/edges.csv:5"},
	{"id empty", fromEdges, func(b *spoiler) { b.lines("edges.csv", 5, "n1,") }, exitInput, "IN/edges.csv:5"},
	{"quote", fromEdges, func(b *spoiler) { b.lines("edges.csv", 5, `"n1,n2`) }, exitInput, "IN/edges.csv:5"},
	{"no such column", fromEdges + " --src from", nil, exitInput, "IN/edges.csv:1 … from"},
	{"weight no number", fromEdges + " --weight w", func(b *spoiler) { b.put("edges.csv", "src,dst,w\nn1,n2,1\nn2,n1,heavy\n") }, exitInput, "IN/edges.csv:3 … heavy"},
	{"weight nan", fromEdges + " --weight w", func(b *spoiler) { b.put("edges.csv", "src,dst,w\nn1,n2,1\nn2,n1,nan\n") }, exitInput, "IN/edges.csv:3 … nan"},
	{"line without end", fromEdges, func(b *spoiler) { b.put("edges.csv", "src,dst\nn1,"+strings.Repeat("n", 32<<20)) }, exitInput, "IN/edges.csv:2"},
	{"label twice", fromEdges, func(b *spoiler) { b.lines("labels.csv", 5, "n2,1") }, exitInput, "IN/labels.csv:5 … n2"},
	{"labels lack columns", fromEdges, func(b *spoiler) { b.lines("labels.csv", 5, "n2") }, exitInput, "IN/labels.csv:5"},
	{"features missing", fromEdges, func(b *spoiler) { b.put("feats.csv", "id,a\nn0,1\n") }, exitInput, "IN/feats.csv"},
	{"feature no number", fromEdges, func(b *spoiler) { b.lines("feats.csv", 7, "n5,1,wide") }, exitInput, "IN/feats.csv:7 … wide"},
	{"feature inf", fromEdges, func(b *spoiler) { b.lines("feats.csv", 7, "n5,1,inf") }, exitInput, "IN/feats.csv:7 … inf"},
	{"role unknown", fromEdges + " --split IN/roles.csv", func(b *spoiler) { b.lines("roles.csv", 3, "n2,tests") }, exitInput, "IN/roles.csv:3 … tests"},
	{"role twice", fromEdges + " --split IN/roles.csv", func(b *spoiler) { b.lines("roles.csv", 3, "n0,val") }, exitInput, "IN/roles.csv:3 … n0"},
	{"role of a node without features", fromEdges + " --split IN/roles.csv", func(b *spoiler) { b.lines("roles.csv", 3, "zz,val") }, exitInput, "IN/feats.csv … zz"},
	{"split without file", fromEdges + " --split IN/none.csv", nil, exitInput, "IN/none.csv … no such file"},
	{"wide", fromEdges, func(b *spoiler) { b.put("feats.csv", "id"+strings.Repeat(",a", 8<<20)) }, exitInput, "IN/feats.csv:1"},
}
