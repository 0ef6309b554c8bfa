package trainer

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// exactTable is the mebibytes of activations of EXACT's models on its data sets: nodes,
// features, classes, layers, width, the keys around the layers, then a cell for each of
// exactSettings.
var exactTable = []struct {
	name                     string
	nodes, features, classes int
	layers, dim              int
	layer, more              string
	cells                    [8]float64
}{
	{"arxiv GCN", 169343, 128, 40, 3, 128, "gcn", "; norm: batch", [8]float64{728.7, 166.7, 91.1, 53.3, 34.4, 39.7, 32.8, 29.3}},
	{"arxiv SAGE", 169343, 128, 40, 3, 128, "sage", "; norm: batch", [8]float64{785.5, 180.9, 98.2, 56.8, 36.2, 41.5, 33.7, 29.8}},
	{"flickr GCN", 89250, 500, 7, 2, 256, "gcn", "; norm: batch", [8]float64{372.8, 115.7, 61.4, 34.3, 20.7, 24.2, 18.4, 15.5}},
	{"flickr SAGE", 89250, 500, 7, 2, 256, "sage", "; norm: batch", [8]float64{540.7, 157.6, 82.4, 44.8, 26.0, 29.9, 21.2, 16.9}},
	{"reddit2 GCN", 232965, 602, 41, 2, 256, "gcn", "; norm: batch", [8]float64{1003.3, 332.1, 175.4, 97.0, 57.8, 65.9, 49.5, 41.2}},
	{"reddit2 SAGE", 232965, 602, 41, 2, 256, "sage", "; norm: batch", [8]float64{1501.9, 456.8, 237.7, 128.2, 73.4, 82.2, 57.6, 45.3}},
	{"yelp GCN", 716847, 300, 100, 2, 512, "gcn", "; norm: batch", [8]float64{6223.8, 1424.7, 762.9, 432.1, 266.6, 311.6, 250.1, 219.6}},
	{"yelp SAGE", 716847, 300, 100, 2, 512, "sage", "; norm: batch", [8]float64{6770.8, 1561.4, 831.3, 466.2, 283.7, 328.8, 258.7, 223.9}},
	{"products SAGE", 2449029, 100, 47, 3, 256, "sage", "", [8]float64{16479.8, 3213.8, 1784.4, 1069.7, 712.4, 712.9, 533.9, 445.1}},
}

var exactSettings = [8]string{
	"", "; n_bits: 8", "; n_bits: 4", "; n_bits: 2", "; n_bits: 1",
	"; n_bits: 2; kept_frac: 0.5", "; n_bits: 2; kept_frac: 0.25", "; n_bits: 2; kept_frac: 0.125",
}

// EXACT's accounting gives the cells of its table to 1 %, and ours is below in every one.
func TestExactTable(t *testing.T) {
	meta, err := tensor.Open("meta", tensor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, row := range exactTable {
		arch := strings.TrimSuffix(strings.Repeat("1-", row.layers), "-")
		network := fmt.Sprintf("dim: %d; arch: '%s'; layer: %s; act: relu; bias: bias; head: none%s", row.dim, arch, row.layer, row.more)
		size := Size{Nodes: row.nodes, Features: row.features, Classes: row.classes}
		fmt.Fprintf(&table, "| %s |", row.name)
		for i, setting := range exactSettings {
			c := parse(t, yaml(network, "lr: 0.01; dropout: 0.5; input_dropout: 0"+setting, stepPhase))
			got, err := PlanExact(c, size)
			if err != nil {
				t.Fatal(err)
			}
			const mib = 1 << 20
			if share := float64(got) / mib / row.cells[i]; math.Abs(share-1) > 0.01 {
				t.Errorf("%s%s: %.1f MiB by EXACT's accounting, want %.1f", row.name, setting, float64(got)/mib, row.cells[i])
			}
			m, err := Plan(c, size, meta)
			if err != nil {
				t.Fatal(err)
			}
			if m.Activations >= got {
				t.Errorf("%s%s: %.1f MiB, not below EXACT's %.1f", row.name, setting, float64(m.Activations)/mib, float64(got)/mib)
			}
			fmt.Fprintf(&table, " %.1f / %.1f / %.0f |", float64(got)/mib, float64(m.Activations)/mib, float64(m.Peak)/mib)
		}
		table.WriteString("\n")
	}
	t.Logf("EXACT's accounting / ours / peak of the step, MiB\n%s", &table)
}

func TestExactAccountingRefuses(t *testing.T) {
	for _, network := range []string{
		"dim: 16; arch: '1-1'; act: relu", "dim: 16; arch: '1-0'; act: relu; layer: gcn; bias: bias; head: none",
		"dim: 16; arch: '1-1'; act: relu; layer: sage; bias: bias",
	} {
		if _, err := PlanExact(parse(t, yaml(network, "lr: 0.01", stepPhase)), Size{Nodes: 1, Features: 1, Classes: 1}); err == nil {
			t.Errorf("%s: no error", network)
		}
	}
}
