package graphsage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/assemble"
	"github.com/saint-gnn/saint/formats/convert/converttest"
)

const (
	goodGraph = `{"directed": false, "graph": {"name": "x [\"y\"]"}, "nodes": [
{"id": "a", "val": false, "test": false}, {"id": "b\u00e9", "test": false, "val": false, "feature": [1, 2.5e3, null]},
{"id": "c", "val": true, "test": false}], "links": [{"source": 0, "target": 1}, {"source": 1, "target": 2, "weight": 1.0}]}`
	goodIDs     = `{"a": 0, "c": 2, "bé": 1}`
	goodClasses = `{"a": 5, "bé": 7.0, "c": 5}`
)

// write makes the files of a data set; an empty text leaves a file out.
func write(t testing.TB, graph, ids, classes string) string {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "d")
	for suffix, text := range map[string]string{graphSuffix: graph, idSuffix: ids, classSuffix: classes} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(prefix+suffix, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return prefix
}

// TestForms reads what different versions of networkx write.
func TestForms(t *testing.T) {
	full := &formats.Graph{Indptr: []int64{0, 1, 3, 4}, Indices: []int32{1, 0, 2, 1}}
	names := strings.NewReplacer(`"source": 0`, `"source": "a"`, `"source": 1`, `"source": "bé"`, `"target": 1`, `"target": "bé"`, `"target": 2`, `"target": "c"`)
	head, links, _ := strings.Cut(goodGraph, `, "links": `)
	tests := []struct{ name, graph string }{
		{"positions", goodGraph},
		{"ids", names.Replace(goodGraph)},
		{"edges", strings.Replace(goodGraph, `"links"`, `"edges"`, 1)},
		{"links first", `{"links": ` + strings.TrimSuffix(links, "}") + "," + head[1:] + "}"},
		{"repeated", strings.Replace(goodGraph, `"links": [`, `"links": [{"source":1,"target":0},`, 1)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Read(t.Context(), write(t, test.graph, goodIDs, goodClasses), ReadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.Full, full) || !reflect.DeepEqual(got.TrainNodes, []int32{0, 1}) || !reflect.DeepEqual(got.ValNodes, []int32{2}) {
				t.Errorf("Read = %+v, roles %v %v, want %+v, [0 1] [2]", got.Full, got.TrainNodes, got.ValNodes, full)
			}
			if want := (formats.Labels{NumClasses: 3, Class: []int32{0, 2, 0}, Offset: 5}); !reflect.DeepEqual(got.Labels, want) {
				t.Errorf("labels %+v, want %+v", got.Labels, want)
			}
		})
	}
}

func TestWeightsComeBack(t *testing.T) {
	raw := converttest.Odd(false)
	raw.Full.Weights = []float32{1, 0.1, 2, 3, 1e-9, 5, 6, 1}
	raw.Train = formats.Induced(raw.Full, raw.TrainNodes)
	dir := filepath.Join(t.TempDir(), "out")
	if err := Write(t.Context(), dir, "x", raw, assemble.Reports{}); err != nil {
		t.Fatal(err)
	}
	got, err := Read(t.Context(), dir, ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	converttest.Same(t, got, raw)
}

func TestBadFiles(t *testing.T) {
	in := func(from, to string) string { return strings.Replace(goodGraph, from, to, 1) }
	tests := []struct{ name, graph, ids, classes, file, want string }{
		{"no graph", "", goodIDs, goodClasses, graphSuffix, "no such file"},
		{"no ids", goodGraph, "", goodClasses, idSuffix, "no such file"},
		{"no classes", goodGraph, goodIDs, "", classSuffix, "no such file"},
		{"list", "[]", goodIDs, goodClasses, graphSuffix, ":1:1: found '['"},
		{"truncated", goodGraph[:len(goodGraph)-4], goodIDs, goodClasses, graphSuffix, "the file ends here"},
		{"open string", `{"no`, goodIDs, goodClasses, graphSuffix, "the file ends here"},
		{"more after", goodGraph + "x", goodIDs, goodClasses, graphSuffix, "want the end of the file"},
		{"no nodes", `{"links": []}`, goodIDs, goodClasses, graphSuffix, "no list of nodes"},
		{"no links", in(`"links"`, `"lines"`), goodIDs, goodClasses, graphSuffix, "no list of links"},
		{"node not in map", in(`"id": "c"`, `"id": "z"`), goodIDs, goodClasses, graphSuffix, ":3:1: node \"z\" is not in the id map"},
		{"node twice", in(`"id": "c"`, `"id": "a"`), goodIDs, goodClasses, graphSuffix, "comes twice"},
		{"no id", in(`"id": "c", `, ``), goodIDs, goodClasses, graphSuffix, "without id"},
		{"both flags", in(`"val": true, "test": false`, `"val": true, "test": true`), goodIDs, goodClasses, graphSuffix, "both"},
		{"flag", in(`"val": true`, `"val": "x"`), goodIDs, goodClasses, graphSuffix, "want true or false"},
		{"position", in(`"target": 2`, `"target": 3`), goodIDs, goodClasses, graphSuffix, "position \"3\", but there are 3 nodes"},
		{"unknown end", in(`"target": 2`, `"target": "z"`), goodIDs, goodClasses, graphSuffix, "which is no node"},
		{"no target", in(`, "target": 1`, ``), goodIDs, goodClasses, graphSuffix, "without source or target"},
		{"weight", in(`"weight": 1.0`, `"weight": -1`), goodIDs, goodClasses, graphSuffix, "weight -1"},
		{"weight word", in(`"weight": 1.0`, `"weight": heavy`), goodIDs, goodClasses, graphSuffix, "want a number"},
		{"deep", `{"x": ` + strings.Repeat("[", 1000), goodIDs, goodClasses, graphSuffix, "nested deeper"},
		{"escape", `{"\q": 1}`, goodIDs, goodClasses, graphSuffix, `unknown escape \q`},
		{"escaped end of line", "{\"\\\r\": 1}", goodIDs, goodClasses, graphSuffix, `unknown escape: \ before byte 0x0d`},
		{"directed late", in(`"directed": false`, `"x": 1`)[:len(goodGraph)-18] + `}], "directed": true}`, goodIDs, goodClasses, graphSuffix, "d-G.json"},
		{"nobody trains", strings.ReplaceAll(goodGraph, `"test": false`, `"test": 1`), goodIDs, goodClasses, graphSuffix, "validation"},
		{"row twice", goodGraph, `{"a": 0, "bé": 1, "c": 1}`, goodClasses, idSuffix, "row 1 belongs to two nodes"},
		{"row missing", goodGraph, `{"a": 0, "bé": 1, "c": 9}`, goodClasses, idSuffix, "but a row 9"},
		{"row text", goodGraph, `{"a": 0, "bé": true}`, goodClasses, idSuffix, ":1:17: row"},
		{"id twice", goodGraph, `{"a": 0, "a": 1}`, goodClasses, idSuffix, "comes twice"},
		{"no ids in map", goodGraph, `{}`, goodClasses, idSuffix, "no nodes"},
		{"half class", goodGraph, goodIDs, `{"a": 0.5}`, classSuffix, "want a whole number"},
		{"class kinds", goodGraph, goodIDs, `{"a": 1, "c": [1]}`, classSuffix, "another kind"},
		{"class lengths", goodGraph, goodIDs, `{"a": [1,0], "c": [1]}`, classSuffix, "1 entries, but earlier ones have 2"},
		{"class 2", goodGraph, goodIDs, `{"a": [1,2]}`, classSuffix, ":1:10: the label list holds 2"},
		{"class far", goodGraph, goodIDs, `{"a": 1, "c": 9000000000}`, classSuffix, "are more than"},
		{"class of nobody", goodGraph, goodIDs, `{"z": 1}`, classSuffix, "not in the id map"},
		{"no class", goodGraph, goodIDs, `{}`, classSuffix, "no labels"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			prefix := write(t, test.graph, test.ids, test.classes)
			_, err := Read(t.Context(), prefix, ReadOptions{})
			var bad *formats.InputError
			if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), prefix+test.file) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Read = %v, want %s: …%s", err, prefix+test.file, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the message has more than one line: %q", err)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	dir := filepath.Join(t.TempDir(), "out")
	if err := Write(ctx, dir, "x", converttest.Odd(false), assemble.Reports{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Write after cancel = %v, want context.Canceled", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder exists after a failure")
	}
	if _, err := Read(ctx, write(t, goodGraph, goodIDs, goodClasses), ReadOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Read after cancel = %v, want context.Canceled", err)
	}
}
