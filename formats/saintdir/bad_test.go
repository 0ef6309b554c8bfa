package saintdir

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npz"
)

// goodLabels and goodRoles fit the graph of sample.
const (
	goodLabels = `{"0":0,"1":1,"2":2,"3":0}`
	goodRoles  = `{"tr":[0,1],"va":[2],"te":[3]}`
)

func roleArrays(tr, va, te any) []npz.Entry {
	var entries []npz.Entry
	for i, data := range []any{tr, va, te} {
		if d, ok := data.([]int64); ok {
			entries = append(entries, npz.Entry{Name: roleKeys[i], Shape: []int{len(d)}, Data: d})
		} else if data != nil {
			entries = append(entries, npz.Entry{Name: roleKeys[i], Shape: []int{1}, Data: data})
		}
	}
	return entries
}

func TestLoadNamesWhatIsWrong(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	ids := func(v ...int64) []int64 { return v }
	path5 := []int64{0, 1, 4, 6, 7, 7}
	edges7 := []int32{1, 0, 1, 2, 1, 3, 2}
	ones := []float32{1, 1, 1, 1, 1, 1, 1}
	feats := func(edit func(m []float32)) array {
		m := sample().Features
		edit(m)
		return array{[]int{5, 2}, m}
	}
	tests := []struct {
		name  string
		files files
		file  string // the file that the error must begin with; empty: the folder
		want  string // what comes after it
	}{
		// Files that are missing.
		{"no features", files{featsFile: nil}, "", "lacks feats.npy"},
		{"no roles", files{roleFile: nil}, "", "lacks role.json or role.npz"},
		{"no labels", files{labelFile: nil}, "", "lacks class_map.json or labels.npy"},
		{"no matrices", files{fullFile: nil, trainFile: nil}, "", "lacks adj_full.npz, adj_train.npz"},

		// role.json by itself.
		{"role: empty file", files{roleFile: ""}, roleFile, ":1:1: found the end of the file, want '{"},
		{"role: a list", files{roleFile: `[0]`}, roleFile, ":1:1: found '[', want '{"},
		{"role: ends early", files{roleFile: "{\"tr\":[0,\n1"}, roleFile, ":2:2: found the end of the file, want ',' or ']'"},
		{"role: unknown key", files{roleFile: `{"tr":[0,1],"val":[2],"te":[3]}`}, roleFile, `:1:13: unknown key "val"`},
		{"role: key twice", files{roleFile: `{"tr":[0],"tr":[1],"te":[3]}`}, roleFile, `:1:11: key "tr" comes twice`},
		{"role: key is missing", files{roleFile: `{"tr":[0,1],"va":[2]}`}, roleFile, `key "te" is missing; write "te": []`},
		{"role: no keys", files{roleFile: `{}`}, roleFile, `key "tr" is missing`},
		{"role: key is no string", files{roleFile: `{tr:[0]}`}, roleFile, `:1:2: found 't', want "tr", "va" or "te"`},
		{"role: key with escape", files{roleFile: `{"t\u0072":[0]}`}, roleFile, ":1:2: key is not closed, too long or has an escape"},
		{"role: key without end", files{roleFile: `{"` + strings.Repeat("t", 300)}, roleFile, ":1:2: key is not closed"},
		{"role: no colon", files{roleFile: `{"tr",[0]}`}, roleFile, ":1:6: found ',', want ':'"},
		{"role: no list", files{roleFile: `{"tr":0}`}, roleFile, ":1:7: found '0', want '['"},
		{"role: text as id", files{roleFile: `{"tr":["0"]}`}, roleFile, `:1:8: found '"', want a node id`},
		{"role: null as id", files{roleFile: `{"tr":[null]}`}, roleFile, `:1:8: found "null", want a node id`},
		{"role: fraction as id", files{roleFile: `{"tr":[0, 1.5]}`}, roleFile, `:1:11: found "1.5", want a node id`},
		{"role: NaN", files{roleFile: `{"tr":[NaN]}`}, roleFile, `:1:8: found "NaN", want a node id`},
		{"role: leading zero", files{roleFile: `{"tr":[01]}`}, roleFile, `:1:8: found "01", want a node id`},
		{"role: negative id", files{roleFile: `{"tr":[-1]}`}, roleFile, ":1:8: node id -1, want 0 to"},
		{"role: huge id", files{roleFile: `{"tr":[2147483647]}`}, roleFile, ":1:8: node id 2147483647, want 0 to"},
		{"role: beyond int64", files{roleFile: `{"tr":[99999999999999999999]}`}, roleFile, `found "99999999999999999999"`},
		{"role: endless number", files{roleFile: `{"tr":[` + strings.Repeat("1", 99)}, roleFile, ":1:8: a value of more than 64 characters"},
		{"role: no comma", files{roleFile: `{"tr":[0 1]}`}, roleFile, ":1:10: found '1', want ',' or ']'"},
		{"role: comma at the end", files{roleFile: `{"tr":[0,]}`}, roleFile, ":1:10: found ']', want a node id"},
		{"role: text after the end", files{roleFile: goodRoles + "\n{}"}, roleFile, ":2:1: found '{', want the end of the file"},
		{"role: node twice", files{roleFile: "{\"tr\":[0,1],\n\"va\":[2,3,2],\"te\":[]}"}, roleFile, ":2:11: node 2 comes twice in role va"},
		{"role: two roles", files{roleFile: `{"tr":[0,1],"va":[2],"te":[3,1]}`}, roleFile, ":1:30: node 1 is in roles tr and te"},
		{"role: nobody trains", files{roleFile: `{"tr":[],"va":[2],"te":[3]}`}, roleFile, ": role tr is empty"},
		{"role: not a node", files{roleFile: `{"tr":[0,1],"va":[7,2,5],"te":[3]}`}, roleFile, ":1:23: role va holds node 5, but adj_full.npz has 5 nodes (ids 0 to 4)"},

		// role.npz by itself.
		{"role.npz: no archive", files{roleFile: nil, roleFileNPZ: "text"}, roleFileNPZ, ""},
		{"role.npz: unknown array", files{roleFile: nil, roleFileNPZ: []npz.Entry{{Name: "x", Shape: []int{0}, Data: []int64{}}}}, roleFileNPZ, `unknown array "x"`},
		{"role.npz: array is missing", files{roleFile: nil, roleFileNPZ: roleArrays(ids(0), ids(1), nil)}, roleFileNPZ, "array te is missing"},
		{"role.npz: fractions", files{roleFile: nil, roleFileNPZ: roleArrays(ids(0), ids(1), []float64{2})}, roleFileNPZ, "array te is float64 (1,), want one dimension of integers"},
		{"role.npz: negative", files{roleFile: nil, roleFileNPZ: roleArrays(ids(0), ids(2, -1), ids())}, roleFileNPZ, "array va, entry 1: node id -1"},
		{"role.npz: node twice", files{roleFile: nil, roleFileNPZ: roleArrays(ids(0, 1, 0), ids(), ids())}, roleFileNPZ, "node 0 comes twice in role tr"},
		{"role.npz: two roles", files{roleFile: nil, roleFileNPZ: roleArrays(ids(0, 1), ids(2), ids(2))}, roleFileNPZ, "node 2 is in roles va and te"},
		{"role.npz: nobody trains", files{roleFile: nil, roleFileNPZ: roleArrays(ids(), ids(2), ids(3))}, roleFileNPZ, "role tr is empty"},
		{"role.npz: not a node", files{roleFile: nil, roleFileNPZ: roleArrays(ids(0, 9), ids(2), ids(3))}, roleFileNPZ, "role tr holds node 9"},

		// class_map.json by itself.
		{"labels: empty object", files{labelFile: ` {}`}, labelFile, ":1:3: no labels"},
		{"labels: a list", files{labelFile: `[0,1]`}, labelFile, ":1:1: found '[', want '{"},
		{"labels: ends early", files{labelFile: `{"0":[0,1`}, labelFile, ":1:10: found the end of the file, want ',' or ']'"},
		{"labels: key is no id", files{labelFile: `{"a":0}`}, labelFile, `:1:2: key "a", want a node id`},
		{"labels: negative key", files{labelFile: `{"-1":0}`}, labelFile, `key "-1", want a node id`},
		{"labels: leading zero", files{labelFile: `{"00":0}`}, labelFile, `key "00", want a node id`},
		{"labels: empty key", files{labelFile: `{"":0}`}, labelFile, `key "", want a node id`},
		{"labels: huge key", files{labelFile: `{"2147483647":0}`}, labelFile, `key "2147483647", want a node id`},
		{"labels: node twice", files{labelFile: "{\"0\":0,\n\"1\":1,\"0\":0}"}, labelFile, ":2:7: node 0 comes twice"},
		{"labels: rows of a node twice", files{labelFile: "{\"0\":[0],\n\"1\":[1],\"0\":[0]}"}, labelFile, ":2:9: node 0 comes twice"},
		{"labels: text", files{labelFile: `{"0":"a"}`}, labelFile, `:1:6: found '"', want a class number or a list`},
		{"labels: null", files{labelFile: `{"0":null}`}, labelFile, `:1:6: found "null", want a class number or a list`},
		{"labels: misspelt", files{labelFile: `{"0":tru}`}, labelFile, `:1:6: found "tru", want a class number or a list`},
		{"labels: object", files{labelFile: `{"0":{}}`}, labelFile, `:1:6: found '{', want a class number`},
		{"labels: fraction", files{labelFile: `{"0":0.5}`}, labelFile, `:1:6: found "0.5", want a class number`},
		{"labels: list after number", files{labelFile: `{"0":1,"1":[0,1]}`}, labelFile, ":1:12: label of node 1 is a list, but earlier ones are integers"},
		{"labels: number after list", files{labelFile: `{"0":[0,1],"1":1}`}, labelFile, ":1:16: label of node 1 is a number, but earlier ones are lists"},
		{"labels: text after list", files{labelFile: `{"0":[0,1],"1":"x"}`}, labelFile, `:1:16: found '"', want '[' and a list`},
		{"labels: empty list", files{labelFile: `{"0":[]}`}, labelFile, ":1:7: label list is empty"},
		{"labels: comma at the end of a list", files{labelFile: `{"0":[0,1,]}`}, labelFile, ":1:11: found ']', want 0 or 1"},
		{"labels: list in list", files{labelFile: `{"0":[[0]]}`}, labelFile, ":1:7: found '[', want 0 or 1"},
		{"labels: 2 in list", files{labelFile: `{"0":[0,2]}`}, labelFile, ":1:9: label list holds 2, want 0 or 1"},
		{"labels: 10 in list", files{labelFile: `{"0":[0,10,0]}`}, labelFile, ":1:9: label list holds 10, want 0 or 1"},
		{"labels: short list", files{labelFile: `{"0":[0,1],"1":[0]}`}, labelFile, ":1:16: label list of node 1 has 1 entries, but earlier ones have 2"},
		{"labels: long list", files{labelFile: `{"0":[0,1],"1":[0,1,1]}`}, labelFile, "label list of node 1 has 3 entries"},
		{"labels: list without end", files{labelFile: `{"0":[` + strings.Repeat("0,", 300_000)}, labelFile, ":1:600007: found the end of the file, want 0 or 1"},
		{"labels: too many classes", files{labelFile: `{"0":[` + strings.Repeat("0,", maxClasses) + "0]}"}, labelFile, "has 1048577 entries, want at most 1048576"},
		{"labels: text after the end", files{labelFile: goodLabels + "x"}, labelFile, ":1:26: found 'x', want the end"},
		{"labels: zero byte", files{labelFile: "{\"0\":\x00}"}, labelFile, ":1:6: found byte 0x00"},
		{"labels: not a node", files{labelFile: `{"0":0,"1":1,"2":2,"3":0,"5":1}`}, labelFile, ":1:26: label of node 5, but adj_full.npz has 5 nodes"},
		{"labels: node in role has none", files{labelFile: `{"0":0,"1":1,"2":2,"4":0}`}, labelFile, ": node 3 has no label, but role te"},
		{"labels: too far apart", files{labelFile: `{"0":0,"1":1,"2":1048576,"3":0}`}, labelFile, ": labels from 0 to 1048576 are 1048577 classes"},
		{"labels: as far apart as can be", files{labelFile: `{"0":-9223372036854775807,"1":1,"2":9223372036854775807,"3":0}`}, labelFile, ": labels from -9223372036854775807 to"},

		// labels.npy by itself.
		{"labels.npy: no array", files{labelFile: nil, labelFileNPY: "text"}, labelFileNPY, ""},
		{"labels.npy: fractions", files{labelFile: nil, labelFileNPY: array{[]int{5}, make([]float32, 5)}}, labelFileNPY, "float32 (5,), want one integer a node"},
		{"labels.npy: three dimensions", files{labelFile: nil, labelFileNPY: array{[]int{5, 1, 1}, make([]uint8, 5)}}, labelFileNPY, "uint8 (5, 1, 1), want one integer a node"},
		{"labels.npy: -2", files{labelFile: nil, labelFileNPY: array{[]int{5}, ids(0, 1, -2, 0, 0)}}, labelFileNPY, "entry 2 is -2"},
		{"labels.npy: 2 in a row", files{labelFile: nil, labelFileNPY: array{[]int{2, 2}, []uint8{0, 1, 2, 0}}}, labelFileNPY, "row 1, column 0 is 2"},
		{"labels.npy: no columns", files{labelFile: nil, labelFileNPY: array{[]int{5, 0}, []uint8{}}}, labelFileNPY, "0 columns, want 1 to"},
		{"labels.npy: no rows", files{labelFile: nil, labelFileNPY: array{[]int{0}, ids()}}, labelFileNPY, "node 0 has no label, but role tr"},
		{"labels.npy: too long", files{labelFile: nil, labelFileNPY: array{[]int{6}, ids(0, 0, 0, 0, 0, 0)}}, labelFileNPY, "label of node 5, but adj_full.npz has 5 nodes"},
		{"labels.npy: node in role has none", files{labelFile: nil, labelFileNPY: array{[]int{5}, ids(0, -1, 0, 0, 0)}}, labelFileNPY, "node 1 has no label, but role tr"},

		// The matrices.
		{"full: no archive", files{fullFile: "text"}, fullFile, ""},
		{"full: not square", files{fullFile: csr(5, 6, path5, edges7, ones)}, fullFile, ": matrix is 5 x 6, want a square one"},
		{"full: no nodes", files{fullFile: csr(0, 0, []int64{0}, []int32{}, []float32{})}, fullFile, ": matrix is 0 x 0"},
		{"full: index out of range", files{fullFile: csr(5, 5, path5, []int32{1, 0, 1, 2, 1, 5, 2}, ones)}, fullFile, "row 2"},
		{"full: few values", files{fullFile: csr(5, 5, path5, edges7, ones[1:])}, fullFile, ""},
		{"train: other size", files{trainFile: csr(4, 4, make([]int64, 5), []int32{}, []float32{})}, trainFile, ": matrix is 4 x 4, but that of adj_full.npz is 5 x 5"},
		{"train: indptr is too short", files{trainFile: csr(5, 5, make([]int64, 5), []int32{}, []float32{})}, trainFile, "indptr"},
		{"train: leaves the training set", files{trainFile: csr(5, 5, path5, edges7, ones)}, trainFile, ": edge (1, 2) leaves the training set: node 2 is not in role tr"},

		// The features.
		{"feats: no array", files{featsFile: "text"}, featsFile, ""},
		{"feats: one dimension", files{featsFile: array{[]int{5}, make([]float32, 5)}}, featsFile, ": shape (5,), want (nodes, features)"},
		{"feats: no columns", files{featsFile: array{[]int{5, 0}, []float32{}}}, featsFile, ": no columns"},
		{"feats: text", files{featsFile: array{nil, "text"}}, featsFile, ": shape (), want (nodes, features)"},
		{"feats: few rows", files{featsFile: array{[]int{4, 1}, make([]float64, 4)}}, featsFile, ": 4 rows, but adj_full.npz has 5 nodes"},
		{"feats: NaN", files{featsFile: feats(func(m []float32) { m[7] = nan })}, featsFile, ": value at row 3, column 1 is NaN"},
		{"feats: infinite", files{featsFile: feats(func(m []float32) { m[0] = -inf })}, featsFile, ": value at row 0, column 0 is -Inf"},
		{"feats: too large", files{featsFile: array{[]int{5, 1}, []float64{0, 0, 1e300, 0, 0}}}, featsFile, ": value at row 2, column 0 is +Inf"},

		// Several mistakes: the order is fixed.
		{"roles before labels", files{roleFile: `{}`, labelFile: `{}`, featsFile: "text"}, roleFile, `key "tr" is missing`},
		{"labels before graphs", files{labelFile: `{}`, fullFile: "text"}, labelFile, "no labels"},
		{"files before comparisons", files{roleFile: `{"tr":[9],"va":[],"te":[]}`, featsFile: "text"}, featsFile, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := sampleFolder(t)
			test.files.apply(t, dir)
			for _, o := range []Options{{}, {MaxResident: -1}} {
				_, err := Load(dir, o)
				checkInputError(t, err, filepath.Join(dir, test.file), test.want)
			}
		})
	}
}

// checkInputError wants an InputError of one line about the file at path.
func checkInputError(t *testing.T, err error, path, want string) {
	t.Helper()
	var in *formats.InputError
	if !errors.As(err, &in) {
		t.Fatalf("Load = %v, want an InputError", err)
	}
	text := err.Error()
	if in.Path != path || !strings.HasPrefix(text, path+":") || strings.Count(text, path) != 1 || strings.Contains(text, "\n") {
		t.Errorf("Load = %v, want one line about %s", err, path)
	}
	if !strings.Contains(text, want) {
		t.Errorf("Load = %v, want an error with %q", err, want)
	}
}

func TestBadWeights(t *testing.T) {
	path5 := []int64{0, 1, 4, 6, 7, 7}
	edges7 := []int32{1, 0, 1, 2, 1, 3, 2}
	tests := []struct {
		name string
		data any
		want string
	}{
		{"negative", []float64{1, 1, 1, -1, 1, 1, 1}, "row 1, column 2 is -1"},
		{"not a number", []float32{1, 1, 1, 1, 1, 1, float32(math.NaN())}, "row 3, column 2 is NaN"},
		{"infinite", []float64{math.Inf(1), 1, 1, 1, 1, 1, 1}, "row 0, column 1 is +Inf"},
		{"too large for float32", []float64{1e300, 1, 1, 1, 1, 1, 1}, "row 0, column 1 is +Inf"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := sampleFolder(t)
			files{fullFile: csr(5, 5, path5, edges7, test.data)}.apply(t, dir)
			_, err := Load(dir, Options{EdgeWeight: true})
			checkInputError(t, err, filepath.Join(dir, fullFile), test.want)
			if _, err := Load(dir, Options{}); err != nil {
				t.Errorf("Load without weights = %v, want nil", err)
			}
		})
	}
}

func TestLabelsThatWouldFillMemory(t *testing.T) {
	const n = 1 << 22
	empty := csr(n, n, make([]int8, n+1), []int32{}, []float32{})
	dir := sampleFolder(t)
	files{
		fullFile: empty, trainFile: empty, roleFile: `{"tr":[0],"va":[],"te":[]}`,
		labelFile: `{"0":[` + strings.Repeat("0,", maxClasses-1) + "0]}",
	}.apply(t, dir)
	_, err := Load(dir, Options{})
	checkInputError(t, err, filepath.Join(dir, labelFile), "1048576 classes for 4194304 nodes need 4398046511104 bytes")
}

func TestFolderIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(path, Options{})
	checkInputError(t, err, path, "not a folder")
}

func TestFileIsAFolder(t *testing.T) {
	for _, name := range []string{fullFile, trainFile, roleFile, labelFile, featsFile} {
		dir := sampleFolder(t)
		path := filepath.Join(dir, name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := Load(dir, Options{})
		checkInputError(t, err, path, "")
	}
}

func TestBrokenLink(t *testing.T) {
	dir := sampleFolder(t)
	path := filepath.Join(dir, featsFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", path); err != nil {
		t.Skip("no symbolic links here")
	}
	_, err := Load(dir, Options{})
	checkInputError(t, err, dir, "lacks feats.npy")
}
