package saintdir

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/npy"
	"github.com/saint-gnn/saint/formats/synth"
)

// TestOpen reads the same rows from memory and from the file, again and again.
func TestOpen(t *testing.T) {
	raw, err := synth.Generate(t.Context(), "tiny", 1, synth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := Write(dir, raw); err != nil {
		t.Fatal(err)
	}
	n := raw.Full.NumNodes()
	all := make([]int32, n)
	for v := range all {
		all[v] = int32(v)
	}
	for name, most := range map[string]int64{"in memory": 1 << 30, "in the file": -1} {
		t.Run(name, func(t *testing.T) {
			d, err := Open(dir, Options{MaxResident: most})
			if err != nil {
				t.Fatal(err)
			}
			if (d.Raw.Features == nil) != (most < 0) {
				t.Errorf("%d values are in memory", len(d.Raw.Features))
			}
			got := make([]float32, n*raw.Dim)
			for range 1 + passingBytes/(4*len(got)) {
				clear(got)
				if err := d.Features.Gather(got, all); err != nil || !slices.Equal(got, raw.Features) {
					t.Fatalf("Gather = other values (%v)", err)
				}
			}
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if _, err := Open(filepath.Join(dir, "none"), Options{}); err == nil {
		t.Error("Open of no folder succeeds")
	}
}

// TestOpenBadValue finds a bad value only when somebody reads it, and names the file.
func TestOpenBadValue(t *testing.T) {
	raw, err := synth.Generate(t.Context(), "tiny", 1, synth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := Write(dir, raw); err != nil {
		t.Fatal(err)
	}
	raw.Features[5] = float32(math.Inf(1))
	path := filepath.Join(dir, "feats.npy")
	if err := npy.WriteFile(path, []int{raw.Full.NumNodes(), raw.Dim}, raw.Features); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir, Options{MaxResident: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	_, err = d.Raw.PrepareFrom(d.Features)
	var in *formats.InputError
	if err = d.InFolder(err); !errors.As(err, &in) || in.Path != path {
		t.Errorf("PrepareFrom = %v, want an error in %s", err, path)
	}
}
