package main

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Size of a chart in points. On a page it takes the width that there is.
const (
	chartWidth  = 330
	chartHeight = 215
)

// mostPoints is how many points of a curve are drawn: more than a chart has columns.
const mostPoints = 800

// chart is a panel of a report.
type chart struct {
	Title string
	SVG   template.HTML
	Area  chartArea
	// The points of each run, for the values under the pointer; empty where a run has none.
	Series [][][2]float64
}

// chartArea is where the data lie in the SVG and which values its edges have.
type chartArea struct{ Left, Right, Top, Bottom, MinX, MaxX, MinY, MaxY float64 }

// newChart draws a curve of every run; nil if there is nothing to draw.
func newChart(title, x, y string, runs []*reportedRun, points func(r *reportedRun) plotter.XYs) (*chart, error) {
	c := &chart{Title: title}
	p := newPanel("", x, y)
	p.X.Tick.Marker, p.Y.Tick.Marker = roundTicks{whole: x == epochAxis}, roundTicks{}
	drawn := false
	for i, r := range runs {
		xy := thin(points(r))
		var series [][2]float64
		for _, q := range xy {
			series = append(series, [2]float64{q.X, q.Y})
		}
		c.Series = append(c.Series, series)
		drawn = drawn || len(xy) > 0
		if err := addCurve(p, xy, i); err != nil {
			return nil, fmt.Errorf("report: %s: %w", title, err)
		}
	}
	if !drawn {
		return nil, nil
	}
	canvas := vgsvg.New(chartWidth, chartHeight)
	dc := draw.Crop(draw.New(canvas), 2, -8, 2, -4)
	p.BackgroundColor = color.Transparent
	p.Draw(dc)
	data := p.DataCanvas(dc)
	c.Area = chartArea{
		Left: float64(data.Min.X), Right: float64(data.Max.X), Top: chartHeight - float64(data.Max.Y), Bottom: chartHeight - float64(data.Min.Y),
		MinX: p.X.Min, MaxX: p.X.Max, MinY: p.Y.Min, MaxY: p.Y.Max,
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("report: %s: %w", title, err)
	}
	c.SVG = themed(b.String(), title)
	return c, nil
}

// epochAxis is the title of an axis that has whole numbers alone.
const epochAxis = "epoch"

// roundTicks marks an axis at multiples of 1, 2 or 5 times a power of ten.
type roundTicks struct{ whole bool }

// Ticks returns the marks from lo to hi.
func (r roundTicks) Ticks(lo, hi float64) []plot.Tick {
	const wanted = 5 // marks, about
	rough := (hi - lo) / wanted
	if !(rough > 0) || math.IsInf(rough, 0) {
		return nil
	}
	power := math.Floor(math.Log10(rough))
	step := math.Pow(10, power)
	for _, m := range []float64{10, 5, 2} {
		if m*step <= rough*1.5 {
			step *= m
			break
		}
	}
	if r.whole {
		step = max(1, math.Round(step))
	}
	decimals := max(0, int(-math.Floor(math.Log10(step)+1e-9)))
	var ticks []plot.Tick
	for k := math.Ceil(lo/step - 1e-9); k*step <= hi+1e-9*step && len(ticks) < 4*wanted; k++ {
		v := k*step + 0 // no negative zero
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', decimals, 64)})
	}
	return ticks
}

// addCurve draws a curve in the i-th style, a single point as a dot.
func addCurve(p *plot.Plot, xy plotter.XYs, i int) error {
	if len(xy) != 1 {
		return addLine(p, "", xy, i)
	}
	dots, err := plotter.NewScatter(xy)
	if err != nil {
		return err
	}
	dots.Color, dots.Shape, dots.Radius = lineStyles[i%len(lineStyles)].color, draw.CircleGlyph{}, vg.Points(2.5)
	p.Add(dots)
	return nil
}

// thin leaves of a long curve the least and the greatest value of each stretch.
func thin(xy plotter.XYs) plotter.XYs {
	if len(xy) <= mostPoints {
		return xy
	}
	var out plotter.XYs
	const stretches = mostPoints / 2
	for s := range stretches {
		part := xy[s*len(xy)/stretches : (s+1)*len(xy)/stretches]
		least, most := 0, 0
		for i, q := range part {
			if q.Y < part[least].Y {
				least = i
			}
			if q.Y > part[most].Y {
				most = i
			}
		}
		out = append(out, part[min(least, most)])
		if least != most {
			out = append(out, part[max(least, most)])
		}
	}
	return out
}

// themed makes an SVG a part of a page: it takes its colours from the page's variables, the font
// from the page, and as much width as there is. The library writes nothing but its own text here,
// for titles are constants and marks are numbers.
func themed(svg, title string) template.HTML {
	_, body, _ := strings.Cut(svg, "<svg")
	_, body, _ = strings.Cut(body, ">")
	pairs := []string{"#000000", "var(--ink)", "#E4E4E4", "var(--grid)", "font-family:Liberation Sans;", ""}
	for i := range reportColors {
		r, g, b, _ := lineStyles[i].color.RGBA()
		pairs = append(pairs, fmt.Sprintf("#%02X%02X%02X", r>>8, g>>8, b>>8), fmt.Sprintf("var(--s%d)", i))
	}
	head := fmt.Sprintf(`<svg viewBox="0 0 %d %d" role="img" aria-label="%s"`, chartWidth, chartHeight, template.HTMLEscapeString(title))
	return template.HTML(head + ">" + strings.NewReplacer(pairs...).Replace(body)) //nolint:gosec // made of constants and numbers
}

// reportColors is how many colours there are; a page has a variable for each.
const reportColors = 6
