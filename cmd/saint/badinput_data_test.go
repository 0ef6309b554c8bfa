//go:build unix

package main

import (
	"math"
	"slices"
	"strings"
)

// nested is JSON that is deeper than any reader can follow by calling itself.
func nested(n int) string { return strings.Repeat("[", n) }

var badData = []badInput{
	{"no folder", "inspect IN/none", nil, exitInput, "IN/none … no such folder"},
	{"a file", "inspect IN/edges.csv", nil, exitInput, "IN/edges.csv … not a folder"},
	{"nothing in it", "inspect OUT", nil, exitInput, "OUT … adj_full.npz"},
	{"no full graph", "inspect IN/data", func(b *spoiler) { b.remove("data/adj_full.npz") }, exitInput, "IN/data … adj_full.npz"},
	{"no training graph", "inspect IN/data", func(b *spoiler) { b.remove("data/adj_train.npz") }, exitInput, "IN/data … adj_train.npz"},
	{"no roles", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x", func(b *spoiler) { b.remove("data/role.json") }, exitInput, "IN/data … role.json"},
	{"no labels", "sample --data_prefix IN/data --train_config IN/small.yml --out OUT/x", func(b *spoiler) { b.remove("data/class_map.json") }, exitInput, "IN/data … class_map.json"},
	{"no features", "inspect IN/data", func(b *spoiler) { b.remove("data/feats.npy") }, exitInput, "IN/data … feats.npy"},
	{"features are a folder", "inspect IN/data", func(b *spoiler) { b.folder("data/feats.npy") }, exitInput, "IN/data/feats.npy … not a regular file"},
	{"graph is a folder", "inspect IN/data", func(b *spoiler) { b.folder("data/adj_full.npz") }, exitInput, "IN/data/adj_full.npz … not a regular file"},
	{"roles are a folder", "inspect IN/data", func(b *spoiler) { b.folder("data/role.json") }, exitInput, "IN/data/role.json … not a regular file"},

	{"npy empty", "inspect IN/data", func(b *spoiler) { b.put("data/feats.npy", "") }, exitInput, "IN/data/feats.npy"},
	{"npy magic", "inspect IN/data", func(b *spoiler) { b.flip("data/feats.npy", 2) }, exitInput, "IN/data/feats.npy"},
	{"npy version", "inspect IN/data", func(b *spoiler) { b.flip("data/feats.npy", 6) }, exitInput, "IN/data/feats.npy … version"},
	{"npy header cut", "inspect IN/data", func(b *spoiler) { b.cut("data/feats.npy", 40) }, exitInput, "IN/data/feats.npy"},
	{"npy data cut", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x", func(b *spoiler) { b.cut("data/feats.npy", -1) }, exitInput, "IN/data/feats.npy"},
	{"npy data long", "inspect IN/data", func(b *spoiler) { b.put("data/feats.npy", string(b.get("data/feats.npy"))+"x") }, exitInput, "IN/data/feats.npy"},
	{"npy header long", "inspect IN/data", func(b *spoiler) { b.put("data/feats.npy", "\x93NUMPY\x02\x00\xff\xff\xff\xff{") }, exitInput, "IN/data/feats.npy"},
	{"npy header no dict", "inspect IN/data", func(b *spoiler) { b.header("data/feats.npy", "[1, 2]", 0) }, exitInput, "IN/data/feats.npy"},
	{"npy rows huge", "inspect IN/data", func(b *spoiler) {
		b.header("data/feats.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 2), }", 8)
	}, exitInput, "IN/data/feats.npy"},
	{"npy shape overflows", "inspect IN/data", func(b *spoiler) {
		b.header("data/feats.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 8)
	}, exitInput, "IN/data/feats.npy"},
	{"npy objects", "inspect IN/data", func(b *spoiler) {
		b.header("data/feats.npy", "{'descr': '|O', 'fortran_order': False, 'shape': (24, 2), }", 384)
	}, exitInput, "IN/data/feats.npy … objects"},
	{"npy complex", "inspect IN/data", func(b *spoiler) {
		b.header("data/feats.npy", "{'descr': '<c8', 'fortran_order': False, 'shape': (24, 2), }", 384)
	}, exitInput, "IN/data/feats.npy … c8"},
	{"npy text", "inspect IN/data", func(b *spoiler) { b.npy("data/feats.npy", nil, "words") }, exitInput, "IN/data/feats.npy"},
	{"npy vector", "inspect IN/data", func(b *spoiler) { b.npy("data/feats.npy", []int{48}, make([]float32, 48)) }, exitInput, "IN/data/feats.npy"},
	{"npy rows", "inspect IN/data", func(b *spoiler) { b.npy("data/feats.npy", []int{23, 2}, make([]float32, 46)) }, exitInput, "IN/data/feats.npy … 23 … 24"},
	{"npy nan", "inspect IN/data", func(b *spoiler) {
		x := make([]float32, 48)
		x[33] = float32(math.NaN())
		b.npy("data/feats.npy", []int{24, 2}, x)
	}, exitInput, "IN/data/feats.npy … row 16 … column 1"},
	{"npy inf", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x", func(b *spoiler) {
		x := make([]float64, 48)
		x[4] = math.Inf(-1)
		b.npy("data/feats.npy", []int{24, 2}, x)
	}, exitInput, "IN/data/feats.npy … row 2 … column 0"},
	{"npy beyond float32", "inspect IN/data", func(b *spoiler) {
		x := make([]float64, 48)
		x[4] = 1e300
		b.npy("data/feats.npy", []int{24, 2}, x)
	}, exitInput, "IN/data/feats.npy … row 2 … column 0"},

	{"labels.npy rows", "inspect IN/arrayforms", func(b *spoiler) { b.npy("arrayforms/labels.npy", []int{23}, make([]int64, 23)) }, exitInput, "IN/arrayforms/labels.npy … node 23"},
	{"labels.npy floats", "inspect IN/arrayforms", func(b *spoiler) { b.npy("arrayforms/labels.npy", []int{24}, make([]float32, 24)) }, exitInput, "IN/arrayforms/labels.npy"},
	{"labels.npy huge class", "inspect IN/arrayforms", func(b *spoiler) { b.npy("arrayforms/labels.npy", []int{24}, append(make([]int64, 23), 1<<40)) }, exitInput, "IN/arrayforms/labels.npy"},
	{"labels.npy unlabelled", "inspect IN/arrayforms", func(b *spoiler) { b.npy("arrayforms/labels.npy", []int{24}, append(make([]int64, 23), -1)) }, exitInput, "IN/arrayforms … 23"},
	{"role.npz lacks va", "inspect IN/arrayforms", func(b *spoiler) {
		b.members("arrayforms/role.npz", func(name string, data []byte) []byte {
			if name == "va.npy" {
				return nil
			}
			return data
		})
	}, exitInput, "IN/arrayforms/role.npz … va"},
	{"role.npz bomb", "inspect IN/arrayforms", func(b *spoiler) {
		b.members("arrayforms/role.npz", func(name string, data []byte) []byte {
			if name == "va.npy" {
				return zeros(256 << 20)
			}
			return data
		})
	}, exitInput, "IN/arrayforms/role.npz"},
}

// ringStarts and ringColumns are the matrix of the fixture.
func ringStarts() []int64  { return slices.Clone(ring(false).Full.Indptr) }
func ringColumns() []int32 { return slices.Clone(ring(false).Full.Indices) }

var badMatrices = []badInput{
	{"empty", "inspect IN/data", func(b *spoiler) { b.put("data/adj_full.npz", "") }, exitInput, "IN/data/adj_full.npz"},
	{"no archive", "inspect IN/data", func(b *spoiler) { b.put("data/adj_full.npz", strings.Repeat("x", 1000)) }, exitInput, "IN/data/adj_full.npz … zip"},
	{"cut", "inspect IN/data", func(b *spoiler) { b.cut("data/adj_full.npz", -30) }, exitInput, "IN/data/adj_full.npz"},
	{"half", "inspect IN/data", func(b *spoiler) { b.cut("data/adj_train.npz", len(b.get("data/adj_train.npz"))/2) }, exitInput, "IN/data/adj_train.npz"},
	{"bit in data", "inspect IN/data", func(b *spoiler) { b.flip("data/adj_full.npz", 120) }, exitInput, "IN/data/adj_full.npz"},
	{"bit in directory", "inspect IN/data", func(b *spoiler) { b.flip("data/adj_full.npz", -20) }, exitInput, "IN/data/adj_full.npz"},
	{"no indices", "inspect IN/data", func(b *spoiler) {
		b.members("data/adj_full.npz", func(name string, data []byte) []byte {
			if name == "indices.npy" {
				return nil
			}
			return data
		})
	}, exitInput, "IN/data/adj_full.npz … indices"},
	{"traversal", "inspect IN/data", func(b *spoiler) {
		b.put("data/adj_full.npz", strings.ReplaceAll(string(b.get("data/adj_full.npz")), "indices.npy", "../../a.npy"))
	}, exitInput, "IN/data/adj_full.npz … indices"},
	{"bomb", "inspect IN/data", func(b *spoiler) {
		b.members("data/adj_full.npz", func(name string, data []byte) []byte {
			if name == "indices.npy" {
				return append(data, zeros(256<<20)...)
			}
			return data
		})
	}, exitInput, "IN/data/adj_full.npz … indices"},
	{"bomb in the header", "inspect IN/data", func(b *spoiler) {
		b.members("data/adj_full.npz", func(name string, data []byte) []byte {
			if name == "indptr.npy" {
				return append([]byte("\x93NUMPY\x02\x00\x00\x00\x00\x10"), zeros(256<<20)...)
			}
			return data
		})
	}, exitInput, "IN/data/adj_full.npz … indptr"},
	{"honest bomb", "inspect IN/data", func(b *spoiler) {
		b.members("data/adj_full.npz", func(name string, data []byte) []byte {
			if name == "data.npy" { // 2 GiB of values for 48 edges
				head := "{'descr': '|b1', 'fortran_order': False, 'shape': (268435456,), }\n"
				return append([]byte("\x93NUMPY\x01\x00"+string([]byte{byte(len(head)), 0})+head), zeros(256<<20)...)
			}
			return data
		})
	}, exitInput, "IN/data/adj_full.npz … data"},
	{"format", "inspect IN/data", func(b *spoiler) {
		b.members("data/adj_full.npz", func(name string, data []byte) []byte {
			return []byte(strings.Replace(string(data), "csr", "csc", 1))
		})
	}, exitInput, "IN/data/adj_full.npz … csc"},
	{"rectangle", "inspect IN/data", func(b *spoiler) { b.matrix("data/adj_full.npz", 24, 25, ringStarts(), ringColumns(), 48) }, exitInput, "IN/data/adj_full.npz … 24 … 25"},
	{"huge shape", "inspect IN/data", func(b *spoiler) { b.matrix("data/adj_full.npz", 1<<40, 1<<40, ringStarts(), ringColumns(), 48) }, exitInput, "IN/data/adj_full.npz"},
	{"column beyond", "inspect IN/data", func(b *spoiler) {
		c := ringColumns()
		c[7] = 24
		b.matrix("data/adj_full.npz", 24, 24, ringStarts(), c, 48)
	}, exitInput, "IN/data/adj_full.npz … 24 … row 3"},
	{"column negative", "inspect IN/data", func(b *spoiler) {
		c := ringColumns()
		c[7] = -1
		b.matrix("data/adj_full.npz", 24, 24, ringStarts(), c, 48)
	}, exitInput, "IN/data/adj_full.npz … -1 … row 3"},
	{"starts fall", "inspect IN/data", func(b *spoiler) {
		p := ringStarts()
		p[5] = 2
		b.matrix("data/adj_full.npz", 24, 24, p, ringColumns(), 48)
	}, exitInput, "IN/data/adj_full.npz … indptr"},
	{"starts beyond", "inspect IN/data", func(b *spoiler) {
		p := ringStarts()
		p[24] = 1 << 50
		b.matrix("data/adj_full.npz", 24, 24, p, ringColumns(), 48)
	}, exitInput, "IN/data/adj_full.npz … indptr"},
	{"starts at one", "inspect IN/data", func(b *spoiler) {
		p := ringStarts()
		p[0] = 1
		b.matrix("data/adj_full.npz", 24, 24, p, ringColumns(), 48)
	}, exitInput, "IN/data/adj_full.npz … indptr"},
	{"too few starts", "inspect IN/data", func(b *spoiler) { b.matrix("data/adj_full.npz", 24, 24, ringStarts()[:24], ringColumns(), 48) }, exitInput, "IN/data/adj_full.npz … indptr"},
	{"float columns", "inspect IN/data", func(b *spoiler) { b.matrix("data/adj_full.npz", 24, 24, ringStarts(), make([]float32, 48), 48) }, exitInput, "IN/data/adj_full.npz … indices"},
	{"too few values", "inspect IN/data", func(b *spoiler) { b.matrix("data/adj_full.npz", 24, 24, ringStarts(), ringColumns(), 47) }, exitInput, "IN/data/adj_full.npz … data"},
	{"other size than the full graph", "inspect IN/data", func(b *spoiler) { b.matrix("data/adj_train.npz", 3, 3, []int64{0, 0, 0, 0}, []int32{}, 0) }, exitInput, "IN/data/adj_train.npz … 3 … 24"},
	{"edges of other nodes in the training graph", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x", func(b *spoiler) {
		b.put("data/adj_train.npz", string(b.get("data/adj_full.npz")))
	}, exitInput, "IN/data/adj_train.npz"},
	{"weights nan", "inspect --edge_weight IN/data", func(b *spoiler) {
		b.members("data/adj_full.npz", func(name string, data []byte) []byte {
			if name != "data.npy" {
				return data
			}
			head := "{'descr': '<f4', 'fortran_order': False, 'shape': (48,), }\n"
			return []byte("\x93NUMPY\x01\x00" + string([]byte{byte(len(head)), 0}) + head + strings.Repeat("\x00\x00\xc0\x7f", 48))
		})
	}, exitInput, "IN/data/adj_full.npz"},
}

var badTexts = []badInput{
	{"roles empty", "inspect IN/data", func(b *spoiler) { b.put("data/role.json", "") }, exitInput, "IN/data/role.json"},
	{"roles cut", "inspect IN/data", func(b *spoiler) { b.cut("data/role.json", 30) }, exitInput, "IN/data/role.json"},
	{"roles go on", "inspect IN/data", func(b *spoiler) { b.put("data/role.json", string(b.get("data/role.json"))+"]") }, exitInput, "IN/data/role.json"},
	{"roles overlap", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x", func(b *spoiler) { b.swap("data/role.json", `"va": [2`, `"va": [0`) }, exitInput, "IN/data/role.json … node 0"},
	{"role twice", "inspect IN/data", func(b *spoiler) { b.swap("data/role.json", `[0,1`, `[0,0`) }, exitInput, "IN/data/role.json … node 0"},
	{"role beyond", "inspect IN/data", func(b *spoiler) { b.swap("data/role.json", `"va": [2`, `"va": [24`) }, exitInput, "IN/data/role.json … 24"},
	{"role negative", "inspect IN/data", func(b *spoiler) { b.swap("data/role.json", `"va": [2`, `"va": [-2`) }, exitInput, "IN/data/role.json … -2"},
	{"role overflows", "inspect IN/data", func(b *spoiler) { b.swap("data/role.json", `"va": [2`, `"va": [99999999999999999999`) }, exitInput, "IN/data/role.json … 99999999999999999999"},
	{"role text", "inspect IN/data", func(b *spoiler) { b.swap("data/role.json", `"va": [2`, `"va": ["2"`) }, exitInput, "IN/data/role.json"},
	{"role fraction", "inspect IN/data", func(b *spoiler) { b.swap("data/role.json", `"va": [2`, `"va": [2.5`) }, exitInput, "IN/data/role.json … 2.5"},
	{"role missing", "inspect IN/data", func(b *spoiler) { b.swap("data/role.json", `"va"`, `"vb"`) }, exitInput, "IN/data/role.json … vb"},
	{"role key twice", "inspect IN/data", func(b *spoiler) { b.swap("data/role.json", `"va"`, `"tr"`) }, exitInput, "IN/data/role.json … tr"},
	{"nobody to train on", "inspect IN/data", func(b *spoiler) { b.put("data/role.json", `{"tr": [], "va": [1], "te": [2]}`) }, exitInput, "IN/data/role.json … tr"},
	{"roles nested", "inspect IN/data", func(b *spoiler) { b.put("data/role.json", `{"tr": `+nested(1<<20)) }, exitInput, "IN/data/role.json"},
	{"roles of objects", "inspect IN/data", func(b *spoiler) { b.put("data/role.json", strings.Repeat(`{"tr":`, 1<<18)) }, exitInput, "IN/data/role.json"},

	{"labels empty", "inspect IN/data", func(b *spoiler) { b.put("data/class_map.json", "{}") }, exitInput, "IN/data/class_map.json"},
	{"labels cut", "inspect IN/data", func(b *spoiler) { b.cut("data/class_map.json", 50) }, exitInput, "IN/data/class_map.json"},
	{"label missing", "inspect IN/data", func(b *spoiler) { b.swap("data/class_map.json", "\"5\":2,\n", "") }, exitInput, "IN/data/class_map.json … node 5"},
	{"label fraction", "inspect IN/data", func(b *spoiler) { b.swap("data/class_map.json", `"5":2`, `"5":2.5`) }, exitInput, "IN/data/class_map.json … 2.5"},
	{"label list among numbers", "inspect IN/data", func(b *spoiler) { b.swap("data/class_map.json", `"5":2`, `"5":[0,1]`) }, exitInput, "IN/data/class_map.json"},
	{"label huge", "inspect IN/data", func(b *spoiler) { b.swap("data/class_map.json", `"5":2`, `"5":2000000000`) }, exitInput, "IN/data/class_map.json"},
	{"label of nobody", "inspect IN/data", func(b *spoiler) { b.swap("data/class_map.json", `"5":2`, `"24":2`) }, exitInput, "IN/data/class_map.json … 24"},
	{"label twice", "inspect IN/data", func(b *spoiler) { b.swap("data/class_map.json", `"5":2`, `"4":2`) }, exitInput, "IN/data/class_map.json … 4"},
	{"label key no number", "inspect IN/data", func(b *spoiler) { b.swap("data/class_map.json", `"5":2`, `"five":2`) }, exitInput, "IN/data/class_map.json … five"},
	{"labels nested", "inspect IN/data", func(b *spoiler) { b.put("data/class_map.json", `{"0": `+nested(1<<20)) }, exitInput, "IN/data/class_map.json"},
	{"tasks of two", "inspect IN/multi", func(b *spoiler) { b.swap("multi/class_map.json", `"5":[1,0]`, `"5":[2,0]`) }, exitInput, "IN/multi/class_map.json"},
	{"tasks of another length", "inspect IN/multi", func(b *spoiler) { b.swap("multi/class_map.json", `"5":[1,0]`, `"5":[1,0,1]`) }, exitInput, "IN/multi/class_map.json"},
	{"zero byte", "inspect IN/data", func(b *spoiler) { b.swap("data/class_map.json", `"5":2`, "\"5\":\x002") }, exitInput, "IN/data/class_map.json"},
}
