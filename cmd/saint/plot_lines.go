package main

import (
	"image/color"
	"io"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/saint-gnn/saint/internal/atomicfile"
)

// lineStyles tell lines apart, also for readers who see few colours and on paper.
var lineStyles = []struct {
	color  color.Color
	dashes []vg.Length
}{
	{splitColors[0], nil},
	{splitColors[1], []vg.Length{vg.Points(6), vg.Points(2)}},
	{splitColors[2], []vg.Length{vg.Points(2), vg.Points(2)}},
	{color.RGBA{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff}, []vg.Length{vg.Points(8), vg.Points(2), vg.Points(2), vg.Points(2)}},
	{color.RGBA{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff}, nil},
	{color.RGBA{R: 0x40, G: 0x40, B: 0x40, A: 0xff}, []vg.Length{vg.Points(4), vg.Points(4)}},
	// The same colours once more.
	{splitColors[0], []vg.Length{vg.Points(6), vg.Points(2)}},
	{splitColors[1], []vg.Length{vg.Points(2), vg.Points(2)}},
	{splitColors[2], nil},
	{color.RGBA{R: 0xcc, G: 0x79, B: 0xa7, A: 0xff}, nil},
	{color.RGBA{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff}, []vg.Length{vg.Points(4), vg.Points(2), vg.Points(1), vg.Points(2)}},
	{color.RGBA{R: 0x40, G: 0x40, B: 0x40, A: 0xff}, nil},
}

// checkPlotName finds a --plot that cannot be written before any work is done; "" is none.
func checkPlotName(path string) error {
	if ext := strings.ToLower(filepath.Ext(path)); path != "" && ext != ".svg" && ext != ".png" {
		return usagef("--plot %s: want a name that ends in .svg or .png", path)
	}
	if err := checkOut(path); err != nil {
		return usagef("%s", strings.Replace(err.Error(), "--out", "--plot", 1))
	}
	return nil
}

// addLine draws points in the i-th style; without points it draws nothing.
func addLine(p *plot.Plot, name string, points plotter.XYs, i int) error {
	if len(points) == 0 {
		return nil
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	style := lineStyles[i%len(lineStyles)]
	line.Color, line.Width, line.Dashes = style.color, vg.Points(1.6), style.dashes
	p.Add(line)
	if name != "" {
		p.Legend.Add(name, line)
	}
	return nil
}

// plotDPI is the resolution of PNG files.
const plotDPI = 150

// savePlot writes panels side by side, three a row, as SVG or PNG by the ending of path; the
// file is complete or not there at all.
func savePlot(path string, panels ...*plot.Plot) error {
	cols := min(3, len(panels))
	rows := (len(panels) + cols - 1) / cols
	width, height := 15*vg.Centimeter*vg.Length(cols), 10.5*vg.Centimeter*vg.Length(rows)
	var canvas interface {
		vg.CanvasSizer
		io.WriterTo
	}
	if strings.EqualFold(filepath.Ext(path), ".svg") {
		canvas = vgsvg.New(width, height)
	} else {
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(plotDPI))}
	}
	dc := draw.New(canvas)
	dc.SetColor(color.White)
	dc.Fill(dc.Path())
	tiles := draw.Tiles{
		Rows: rows, Cols: cols, PadX: vg.Centimeter, PadY: vg.Centimeter, PadTop: 3 * vg.Millimeter, PadBottom: 3 * vg.Millimeter,
		PadLeft: 3 * vg.Millimeter, PadRight: 5 * vg.Millimeter,
	}
	grid := make([][]*plot.Plot, rows)
	for i := range grid {
		grid[i] = make([]*plot.Plot, cols) // the last row may have fewer panels
		copy(grid[i], panels[i*cols:])
	}
	canvases := plot.Align(grid, tiles, dc)
	for i, p := range panels {
		p.Draw(canvases[i/cols][i%cols])
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := canvas.WriteTo(w)
		return err
	})
}
