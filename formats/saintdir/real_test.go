package saintdir

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

// realData returns a folder of real data, or skips the test.
func realData(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("SAINT_TEST_DATA")
	if root == "" {
		t.Skip("SAINT_TEST_DATA is not set: it names the folder that holds ppi and flickr-graph")
	}
	return filepath.Join(root, name)
}

func TestLoadPPI(t *testing.T) {
	dir := realData(t, "ppi")
	warn := func(s string) { t.Errorf("unexpected warning: %s", s) }
	ds, err := Load(dir, Options{Warn: warn, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	got := [...]int{
		ds.NumNodes(), int(ds.Full.NumEdges()), ds.Features.Dim(), ds.Labels.NumClasses,
		len(ds.TrainNodes), len(ds.ValNodes), len(ds.TestNodes),
	}
	if want := [...]int{14755, 450540, 50, 121, 9716, 1825, 3214}; got != want {
		t.Errorf("nodes, edges, features, classes, roles = %v, want %v", got, want)
	}
	if ds.Name != "ppi" || !ds.Labels.IsMulti() || !ds.Full.Symmetric() || ds.Full.Weights != nil {
		t.Errorf("name %q, multi-label %t, symmetric %t, weights %t", ds.Name, ds.Labels.IsMulti(), ds.Full.Symmetric(), ds.Full.Weights != nil)
	}
	// Sums and one value by scikit-learn's StandardScaler in float64, fitted to the training
	// nodes with edges. Rounding to float32 moves a value by up to 6e-8 of its size.
	m := ds.Features.(formats.Resident).Matrix()
	sum, squares := 0.0, 0.0
	for _, x := range m {
		sum += float64(x)
		squares += float64(x) * float64(x)
	}
	near := func(got, want float64) bool { return math.Abs(got-want) < 1e-6*math.Abs(want) }
	if x := float64(m[93*50+25]); !near(sum, 1163.5896378853927) || !near(squares, 729828.3847431845) || !near(x, 8.553825982056187) {
		t.Errorf("sum, sum of squares, row 93 column 25 = %v, %v, %v, want 1163.58964, 729828.385, 8.553826", sum, squares, x)
	}
	mapped, err := Load(dir, Options{Warn: warn, MaxResident: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer mapped.Close()
	if mapped.Fingerprint != ds.Fingerprint {
		t.Error("mapped features change the fingerprint")
	}
	x, y := gatherAll(t, ds.Features), gatherAll(t, mapped.Features)
	for i := range x {
		if x[i] != y[i] {
			t.Fatalf("feature %d = %v in memory, %v mapped", i, x[i], y[i])
		}
	}
}

func TestWritePPI(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 8 MB")
	}
	raw, err := LoadRaw(realData(t, "ppi"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(folderOf(t, raw), Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := raw.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	if got.Fingerprint != want.Fingerprint {
		t.Errorf("fingerprint after a round trip = %s, want %s", got.Fingerprint, want.Fingerprint)
	}
}

func TestFlickrWithoutFeatures(t *testing.T) {
	_, err := Load(realData(t, "flickr-graph"), Options{})
	var in *formats.InputError
	if !errors.As(err, &in) || !strings.Contains(err.Error(), "lacks feats.npy") {
		t.Errorf("Load(flickr-graph) = %v, want an InputError that names feats.npy", err)
	}
}

func BenchmarkLoadPPI(b *testing.B) {
	dir := realData(b, "ppi")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Load(dir, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
