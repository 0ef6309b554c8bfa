// Package converttest has the data sets that the converters' tests share.
package converttest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/saintdir"
	"github.com/saint-gnn/saint/formats/synth"
)

// Sets returns data sets by name: generated ones, one whose nodes lack roles and labels,
// and, where SAINT_TEST_DATA names a folder, PPI.
func Sets(t *testing.T) map[string]func(t *testing.T) *formats.RawDataset {
	t.Helper()
	return map[string]func(t *testing.T) *formats.RawDataset{
		"tiny":  Tiny,
		"odd":   func(*testing.T) *formats.RawDataset { return Odd(false) },
		"multi": func(*testing.T) *formats.RawDataset { return Odd(true) },
		"ppi":   PPI,
	}
}

// Tiny returns the generated set "tiny".
func Tiny(t *testing.T) *formats.RawDataset {
	t.Helper()
	raw, err := synth.Generate(t.Context(), "tiny", 1, synth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// PPI returns the real set, or skips the test.
func PPI(t *testing.T) *formats.RawDataset {
	t.Helper()
	root := os.Getenv("SAINT_TEST_DATA")
	if root == "" {
		t.Skip("SAINT_TEST_DATA is not set: it names the folder that holds ppi")
	}
	raw, err := saintdir.LoadRaw(filepath.Join(root, "ppi"), saintdir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Odd returns a directed graph of six nodes with a self loop, an isolated node, a node
// without role, labels from 3 on and a training graph that lacks the edge 0-1.
func Odd(multi bool) *formats.RawDataset {
	raw := &formats.RawDataset{
		Name: "odd",
		Full: &formats.Graph{
			Indptr:  []int64{0, 3, 4, 5, 6, 6, 8},
			Indices: []int32{0, 1, 2, 0, 5, 2, 0, 3},
		},
		Train:      &formats.Graph{Indptr: []int64{0, 2, 2, 2, 2, 2, 2}, Indices: []int32{0, 2}},
		Features:   []float32{0, 0.1, 1e-3, 7, -0.25, 3e5, 1.5, 0, 0, 0, -1e-7, 2.5},
		Dim:        2,
		Labels:     formats.Labels{NumClasses: 3, Class: []int32{0, 2, 1, 2, -1, 0}, Offset: 3},
		TrainNodes: []int32{0, 1, 2}, ValNodes: []int32{3}, TestNodes: []int32{5},
	}
	if multi {
		raw.Labels = formats.Labels{NumClasses: 2, Multi: []uint8{0, 1, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1}}
	}
	return raw
}

// Fingerprint returns the fingerprint of raw, which is not changed.
func Fingerprint(t *testing.T, raw *formats.RawDataset) string {
	t.Helper()
	c := *raw
	c.Features = append([]float32(nil), raw.Features...)
	ds, err := c.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	return ds.Fingerprint
}

// Same fails the test unless both data sets have the same fingerprint.
func Same(t *testing.T, got, want *formats.RawDataset) {
	t.Helper()
	if g, w := Fingerprint(t, got), Fingerprint(t, want); g != w {
		t.Errorf("fingerprint after the round trip = %s, want %s\ngot  %s\nwant %s", g, w, describe(got), describe(want))
	}
}

func describe(raw *formats.RawDataset) string {
	if raw.Full.NumNodes() > 20 {
		return raw.Name
	}
	return raw.Full.Fingerprint() + " " + raw.Train.Fingerprint()
}
