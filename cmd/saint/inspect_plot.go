package main

import (
	"fmt"
	"image/color"
	"math"
	"sort"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/saint-gnn/saint/formats/inspect"
)

// mostBars is the greatest number of classes that are drawn as bars.
const mostBars = 12

// splitColors tell the splits apart, also for readers who see few colours.
var splitColors = [3]color.Color{
	color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff},
	color.RGBA{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff},
	color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff},
}

// plotReport draws degrees and label balance, as SVG or PNG by the ending of path. The file is
// complete or not there at all.
func plotReport(path string, r *inspect.Report) error {
	degrees, err := degreePlot(r)
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	labels, err := labelPlot(r)
	if err != nil {
		return fmt.Errorf("plot: %w", err)
	}
	return savePlot(path, degrees, labels)
}

// newPanel returns an empty plot in the style of the figure.
func newPanel(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	p.Title.TextStyle.Font = font.From(sans, 11)
	p.Title.Padding = 3 * vg.Millimeter
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Label.TextStyle.Font = font.From(sans, 10)
		a.Label.Padding = 1.5 * vg.Millimeter
		a.Tick.Label.Font = font.From(sans, 9)
	}
	p.Legend.TextStyle.Font = font.From(sans, 9)
	p.Legend.Padding = vg.Millimeter
	p.Legend.Top = true
	grid := plotter.NewGrid()
	grid.Horizontal.Color = color.Gray{0xe4}
	grid.Vertical.Color = color.Gray{0xe4}
	p.Add(grid)
	return p
}

// degreePlot draws the share of nodes with at least so many neighbours. Both axes hold decimal
// logarithms on a linear scale: the library places the titles of logarithmic axes wrongly.
func degreePlot(r *inspect.Report) (*plot.Plot, error) {
	p := newPanel("Degrees of "+shorten(r.Name, 40), "degree d (stored neighbours)", "share of nodes with degree ≥ d")
	least, most, drawn := -1.0, 1.0, false
	for i, g := range []*inspect.GraphStats{&r.Full, &r.Train} {
		points := tailShares(g.Histogram)
		if len(points) == 0 {
			continue
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.Color, line.Width = splitColors[i], vg.Points(1.8)
		if i == 1 {
			line.Dashes = []vg.Length{vg.Points(6), vg.Points(2)}
		}
		p.Add(line)
		name := [...]string{"full graph, all nodes", "training graph, training nodes"}[i]
		if zero := g.Histogram[0]; zero > 0 {
			name += fmt.Sprintf(" (degree 0: %s)", share(float64(zero)/float64(g.Nodes)))
		}
		p.Legend.Add(name, line)
		last := points[len(points)-1]
		least, most, drawn = min(least, last.Y), max(most, last.X), true
	}
	if !drawn {
		p.Title.Text += ": no edges"
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = powers{top: 9}, powers{top: 0}
	p.X.Min, p.X.Max = 0, math.Ceil(most-1e-9)
	// A decade of room above the curves holds the legend.
	p.Y.Min, p.Y.Max = math.Floor(least+1e-9), 1
	return p, nil
}

// tailShares returns for every degree from 1 that occurs the share of nodes with that degree
// or a greater one, both as decimal logarithms.
func tailShares(histogram []int64) plotter.XYs {
	total, above := int64(0), int64(0)
	for _, count := range histogram {
		total += count
	}
	var points plotter.XYs
	above = total
	for d, count := range histogram {
		if d > 0 && (count > 0 || d == 1) && above > 0 {
			points = append(points, plotter.XY{X: math.Log10(float64(d)), Y: math.Log10(float64(above) / float64(total))})
		}
		above -= count
	}
	return points
}

// powers marks an axis of decimal logarithms: the powers of ten up to 10^top with a label, what
// lies between them without.
type powers struct{ top int }

// Ticks returns the marks from lo to hi.
func (p powers) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	for k := int(math.Floor(lo)); k <= min(p.top, int(hi)); k++ {
		label := fmt.Sprintf("%g", math.Pow(10, float64(k)))
		if k < -4 || k > 6 {
			label = fmt.Sprintf("1e%d", k)
		}
		ticks = append(ticks, plot.Tick{Value: float64(k), Label: label})
		for m := 2; m < 10 && k < min(p.top, int(hi)); m++ {
			ticks = append(ticks, plot.Tick{Value: float64(k) + math.Log10(float64(m))})
		}
	}
	return ticks
}

// ranks marks the ranks of classes at round numbers.
type ranks struct{}

// Ticks returns the marks from lo to hi.
func (ranks) Ticks(lo, hi float64) []plot.Tick {
	ticks := []plot.Tick{{Value: 1, Label: "1"}}
	step := math.Pow(10, math.Floor(math.Log10(hi)))
	switch {
	case hi < 2.5*step:
		step /= 5
	case hi < 5*step:
		step /= 2
	}
	for x := max(1, step); x <= hi; x += max(1, step) {
		if x > lo {
			ticks = append(ticks, plot.Tick{Value: x, Label: fmt.Sprint(x)})
		}
	}
	return ticks
}

// labelPlot draws the share of each split's nodes that have a class: bars for few classes,
// lines over the classes in order of frequency for many.
func labelPlot(r *inspect.Report) (*plot.Plot, error) {
	p := newPanel("Labels by split", "class", "share of the split's nodes (%)")
	p.Y.Min = 0
	few := r.Labels.Classes <= mostBars
	if !few {
		p.X.Label.Text = "classes, most frequent in training first"
		p.X.Tick.Marker = ranks{}
	}
	order := make([]int, r.Labels.Classes)
	for c := range order {
		order[c] = c
	}
	if train := r.Splits[0].Counts; !few {
		sort.SliceStable(order, func(i, j int) bool { return train[order[i]] > train[order[j]] })
	}
	top := 0.0
	for i := range r.Splits {
		s := &r.Splits[i]
		if s.Nodes == 0 {
			continue
		}
		values := make(plotter.Values, len(order))
		for at, c := range order {
			values[at] = 100 * float64(s.Counts[c]) / float64(s.Nodes)
			top = max(top, values[at])
		}
		if err := addLabels(p, s, values, i, few); err != nil {
			return nil, err
		}
	}
	p.Y.Max = max(1, top*1.25) // room for the legend
	if few {
		names := make([]string, len(order))
		for c := range names {
			names[c] = fmt.Sprint(int64(c) + r.Labels.Offset)
		}
		p.NominalX(names...)
		p.X.Min, p.X.Max = -0.6, float64(len(names))-0.4
	}
	return p, nil
}

// addLabels draws the shares of one split.
func addLabels(p *plot.Plot, s *inspect.SplitStats, values plotter.Values, i int, bars bool) error {
	name := fmt.Sprintf("%s (%s nodes)", s.Split, group(int64(s.Nodes)))
	if bars {
		width := vg.Length(9*vg.Centimeter) / vg.Length(len(values)) / 4
		chart, err := plotter.NewBarChart(values, width)
		if err != nil {
			return err
		}
		chart.Color, chart.LineStyle.Width = splitColors[i], 0
		chart.Offset = vg.Length(i-1) * width
		p.Add(chart)
		p.Legend.Add(name, chart)
		return nil
	}
	points := make(plotter.XYs, len(values))
	for at, y := range values {
		points[at] = plotter.XY{X: float64(at + 1), Y: y}
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = splitColors[i], vg.Points(1.5)
	line.Dashes = [...][]vg.Length{nil, {vg.Points(6), vg.Points(2)}, {vg.Points(2), vg.Points(2)}}[i]
	p.Add(line)
	p.Legend.Add(name, line)
	return nil
}

// shorten cuts a name that would not fit.
func shorten(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}
