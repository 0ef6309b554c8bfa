package main

import (
	"path/filepath"
	"testing"

	"gonum.org/v1/plot"
)

// TestSavePlotGrid leaves tiles empty where panels do not fill their last row.
func TestSavePlotGrid(t *testing.T) {
	for n := range 6 {
		var panels []*plot.Plot
		for range n + 1 {
			panels = append(panels, newPanel("title", "x", "y"))
		}
		if err := savePlot(filepath.Join(t.TempDir(), "x.svg"), panels...); err != nil {
			t.Errorf("savePlot of %d panels = %v", n+1, err)
		}
	}
}
