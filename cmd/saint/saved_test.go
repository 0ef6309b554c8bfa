package main

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/file"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/synth"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/metric"
)

func tiny(t *testing.T) *formats.RawDataset {
	t.Helper()
	raw, err := synth.Generate(t.Context(), "tiny", 1, synth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestEvalAgreesWithTrain(t *testing.T) {
	dir, o := train(t, writeConfig(t, "softmax", "5"), "--json")
	r := o.last(t)
	best := must(t, "eval", dir, "--json", "--quiet")
	if best.stderr != "" {
		t.Errorf("--quiet: stderr %q, want nothing", best.stderr)
	}
	lines := best.objects(t)
	if len(lines) != 3 || lines[0]["split"] != "train" || lines[1]["split"] != "val" || lines[2]["split"] != "test" {
		t.Fatalf("eval printed %v, want train, val and test", lines)
	}
	for key, want := range map[string]any{"val_f1_micro": lines[1]["f1_micro"], "val_f1_macro": lines[1]["f1_macro"], "test_f1_micro": lines[2]["f1_micro"], "test_f1_macro": lines[2]["f1_macro"]} {
		if r[key] != want {
			t.Errorf("train reported %s = %v, eval %v", key, r[key], want)
		}
	}
	if got := must(t, "eval", "--run_dir", dir, "--checkpoint=last", "--json").last(t); got["f1_micro"] != r["last_test_f1_micro"] {
		t.Errorf("eval --checkpoint last = %v, train reported %v", got["f1_micro"], r["last_test_f1_micro"])
	}
	file := filepath.Join(dir, "checkpoints", "best.safetensors")
	byFile := must(t, "eval", "--saved_model_path", file, "--data_prefix", "synth:tiny", "--train_config", filepath.Join(dir, "config.yml"), "--json")
	if byFile.stdout != best.stdout {
		t.Errorf("eval of the parameter file = %s, want %s", byFile.stdout, best.stdout)
	}
	report := must(t, "eval", dir, "--report", "--json").objects(t)
	support := 0.0
	for _, l := range report[3:] {
		support += l["support"].(float64)
	}
	if len(report) != 3+5 || support != lines[2]["nodes"] {
		t.Errorf("the report has %d classes of %v nodes, want 5 of %v", len(report)-3, support, lines[2]["nodes"])
	}
	if text := must(t, "eval", dir, "--report").stdout; !strings.Contains(text, "F1 micro") || !strings.Contains(text, "precision") {
		t.Errorf("eval --report printed\n%s", text)
	}
}

func TestSavedErrors(t *testing.T) {
	dir, _ := train(t, writeConfig(t, "softmax", "1"))
	saint(t, "eval", dir+"x").fails(t, exitInput, "not a run folder")
	saint(t, "eval", dir, "--checkpoint", "first").fails(t, exitUsage, "best or last")
	saint(t, "eval", dir, "--data_prefix", "nowhere").fails(t, exitInput, "nowhere")
	saint(t, "eval", dir, "--train_config", "table2/ppi2_rw.yml", "--quiet").fails(t, exitInput, "best.safetensors", "shape")
	saint(t, "eval", dir, "--train_config", "rw.yml", "--data_prefix", "synth:tiny", "--quiet").fails(t, exitInput, "best.safetensors", "shape")
	file := filepath.Join(dir, "checkpoints", "best.safetensors")
	if err := os.Truncate(file, 100); err != nil {
		t.Fatal(err)
	}
	saint(t, "eval", dir, "--quiet").fails(t, exitInput, "best.safetensors")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	saint(t, "predict", dir, "--out", filepath.Join(t.TempDir(), "p.npy")).fails(t, exitInput, "best.safetensors")
}

// TestPredictNotFinite: parameters that are finite but of no use make no predictions.
func TestPredictNotFinite(t *testing.T) {
	dir, _ := train(t, writeConfig(t, "softmax", "1"))
	file := filepath.Join(dir, "checkpoints", "best.safetensors")
	data := readFile(t, file)
	head := 8 + binary.LittleEndian.Uint64(data)
	var tensors map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:head], &tensors); err != nil {
		t.Fatal(err)
	}
	at := tensors["classifier.hops.0.weight"].Offsets
	weights := data[head:][at[0]:at[1]]
	for i := 0; i < len(weights); i += 4 {
		binary.LittleEndian.PutUint32(weights[i:], math.Float32bits(math.MaxFloat32))
	}
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "p.csv")
	for _, flag := range []string{"--probabilities=false", "--probabilities"} {
		saint(t, "predict", dir, "--out", out, "--quiet", flag).fails(t, exitFailure, "not finite", "best.safetensors")
		if _, err := os.Stat(out); err == nil {
			t.Errorf("predict %s of logits that are not finite has written %s", flag, out)
		}
	}
	must(t, "predict", dir, "--out", out, "--embeddings")
}

// TestEvalWithoutArea: an area under the curve that is not defined is not 0.
func TestEvalWithoutArea(t *testing.T) {
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		ev := &trainer.Evaluation{Test: trainer.Scores{F1Micro: 0.5, Nodes: 2}}
		if err := printEvaluation(&env{Stdout: &out, json: asJSON}, ev, true, false); err != nil {
			t.Fatal(err)
		}
		if text := strings.TrimSpace(out.String()); strings.Contains(text, "rocauc") || !asJSON && !strings.HasSuffix(text, " -") {
			t.Errorf("eval of one class printed\n%s\nwant no area", text)
		}
	}
}

func readNpy(t *testing.T, path string) *npy.Array {
	t.Helper()
	data := readFile(t, path)
	a, err := npy.Read(bytes.NewReader(data), npy.Source{Path: path, Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPredictSingleLabel(t *testing.T) {
	dir, o := train(t, writeConfig(t, "softmax", "5"), "--json")
	raw := tiny(t)
	out := t.TempDir()
	for which, nodes := range map[string][]int32{"train": raw.TrainNodes, "val": raw.ValNodes, "test": raw.TestNodes, "all": nil} {
		path := filepath.Join(out, which+".npy")
		must(t, "predict", dir, "--out", path, "--nodes", which)
		got, err := readNpy(t, path).Int64s()
		if err != nil {
			t.Fatal(err)
		}
		if which == "all" {
			if len(got) != raw.Full.NumNodes() {
				t.Errorf("predictions of all nodes: %d, want %d", len(got), raw.Full.NumNodes())
			}
			continue
		}
		c := metric.NewConfusion(raw.Labels.NumClasses)
		for i, v := range nodes {
			c.AddClass(int32(got[i]-raw.Labels.Offset), raw.Labels.Class[v])
		}
		if which != "train" {
			r := o.last(t)
			if r[which+"_f1_micro"] != c.F1Micro() || r[which+"_f1_macro"] != c.F1Macro(false) {
				t.Errorf("F1 of the predicted %s classes = %v, %v, train reported %v, %v", which, c.F1Micro(), c.F1Macro(false), r[which+"_f1_micro"], r[which+"_f1_macro"])
			}
		}
	}
	checkFormats(t, dir, "--nodes=test")
	checkFormats(t, dir, "--probabilities")
	checkFormats(t, dir, "--embeddings", "--nodes=val")
	p := filepath.Join(out, "p.npy")
	must(t, "predict", dir, "--out", p, "--probabilities")
	classes, err := readNpy(t, filepath.Join(out, "all.npy")).Int64s()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := readNpy(t, p).Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for v, class := range classes {
		row := rows[5*v : 5*v+5]
		sum := 0.0
		for _, x := range row {
			sum += float64(x)
		}
		if math.Abs(sum-1) > 1e-5 || int64(metric.Argmax(row)) != class-raw.Labels.Offset {
			t.Fatalf("node %d: probabilities %v, class %d", v, row, class)
		}
	}
}

func TestPredictMultiLabel(t *testing.T) {
	dir, _ := train(t, writeConfig(t, "sigmoid", "3"))
	out := t.TempDir()
	must(t, "predict", dir, "--out", filepath.Join(out, "c.npy"))
	must(t, "predict", dir, "--out", filepath.Join(out, "p.npy"), "--probabilities")
	classes, err := readNpy(t, filepath.Join(out, "c.npy")).Uint8s()
	if err != nil {
		t.Fatal(err)
	}
	p, err := readNpy(t, filepath.Join(out, "p.npy")).Float32s()
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range p {
		if x < 0 || x > 1 || (x > 0.5) != (classes[i] == 1) {
			t.Fatalf("value %d: probability %v, class %d", i, x, classes[i])
		}
	}
	checkFormats(t, dir)
	checkFormats(t, dir, "--probabilities", "--nodes=train")
}

// checkFormats writes the same predictions in all three formats and compares the values.
func checkFormats(t *testing.T, dir string, flags ...string) {
	t.Helper()
	out := t.TempDir()
	for _, ext := range []string{"npy", "csv", "parquet"} {
		must(t, append([]string{"predict", dir, "--out", filepath.Join(out, "x."+ext)}, flags...)...)
	}
	a := readNpy(t, filepath.Join(out, "x.npy"))
	var want []float64
	if f, err := a.Float64s(); err == nil {
		want = f
	} else if i, err := a.Int64s(); err == nil {
		for _, x := range i {
			want = append(want, float64(x))
		}
	}
	nodes, fromCSV := readCSV(t, filepath.Join(out, "x.csv"))
	nodes2, fromParquet := readParquet(t, filepath.Join(out, "x.parquet"))
	if !slices.Equal(fromCSV, want) || !slices.Equal(fromParquet, want) {
		t.Errorf("%v: the formats hold %d, %d and %d different values", flags, len(want), len(fromCSV), len(fromParquet))
	}
	if !slices.Equal(nodes, nodes2) || !slices.IsSorted(nodes) || len(nodes) != a.Shape()[0] {
		t.Errorf("%v: %d, %d nodes in the tables, %v values", flags, len(nodes), len(nodes2), a.Shape())
	}
}

func readCSV(t *testing.T, path string) (nodes []int32, values []float64) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(readFile(t, path))).ReadAll()
	if err != nil || rows[0][0] != "node" {
		t.Fatalf("%s: %v, want a head that begins with node", path, err)
	}
	for _, row := range rows[1:] {
		v, err := strconv.Atoi(row[0])
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, int32(v))
		for _, cell := range row[1:] {
			x, err := strconv.ParseFloat(cell, 32)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, x)
		}
	}
	return nodes, values
}

func readParquet(t *testing.T, path string) (nodes []int32, values []float64) {
	t.Helper()
	r, err := file.NewParquetReader(bytes.NewReader(readFile(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	reader, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := reader.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	if table.Schema().Field(0).Name != "node" {
		t.Fatalf("%s: columns %v, want node first", path, table.Schema())
	}
	tr := array.NewTableReader(table, -1)
	defer tr.Release()
	for tr.Next() {
		rec := tr.Record()
		nodes = append(nodes, rec.Column(0).(*array.Int32).Int32Values()...)
		for i := range int(rec.NumRows()) {
			for _, c := range rec.Columns()[1:] {
				switch c := c.(type) {
				case *array.Int64:
					values = append(values, float64(c.Value(i)))
				case *array.Uint8:
					values = append(values, float64(c.Value(i)))
				case *array.Float32:
					values = append(values, float64(c.Value(i)))
				}
			}
		}
	}
	return nodes, values
}
