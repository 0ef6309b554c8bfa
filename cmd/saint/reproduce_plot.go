package main

import (
	"encoding/json"
	"maps"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// curve holds the validation F1 of a row's runs by epoch.
type curve struct {
	data, name string
	epochs     map[int][]float64
}

// add reads the validations of one run.
func (c *curve) add(path string) error {
	return eachMetric(path, func(kind string, line []byte) error {
		if kind != "epoch" {
			return nil
		}
		var e epochLine
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		c.epochs[e.Epoch] = append(c.epochs[e.Epoch], e.ValF1Micro)
		return nil
	})
}

// mean returns the mean over the runs of every epoch, counted from 1.
func (c *curve) mean() plotter.XYs {
	var points plotter.XYs
	for _, epoch := range slices.Sorted(maps.Keys(c.epochs)) {
		y, _ := meanDeviation(c.epochs[epoch])
		points = append(points, plotter.XY{X: float64(epoch + 1), Y: y})
	}
	return points
}

// plotCurves draws a panel for each data set.
func plotCurves(path string, curves []curve) error {
	var panels []*plot.Plot
	byData := map[string]*plot.Plot{}
	lines := map[string]int{}
	for i := range curves {
		c := &curves[i]
		p := byData[c.data]
		if p == nil {
			p = newPanel(c.data, "epoch", "validation F1 micro, mean of the seeds")
			p.Legend.Top = false
			byData[c.data], panels = p, append(panels, p)
		}
		if err := addLine(p, c.name, c.mean(), lines[c.data]); err != nil {
			return err
		}
		lines[c.data]++
	}
	if len(panels) == 0 {
		panels = append(panels, newPanel("no data", "epoch", "validation F1 micro"))
	}
	return savePlot(path, panels...)
}
