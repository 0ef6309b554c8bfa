package synth

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/suggest"
)

// Prefix marks a generated data set where a data folder is expected.
const Prefix = "synth:"

// Preset describes a generated data set. The zero value of an optional field switches off
// what it describes.
type Preset struct {
	Name  string
	About string // one line for lists

	Nodes    int
	Edges    int64 // undirected; the adjacency stores twice as many entries
	Features int
	Classes  int
	Multi    bool // several labels a node
	Train    int  // percent of the nodes
	Val      int  // percent of the nodes; the test nodes are the rest

	// Communities is the number of blocks, at least Classes for single-label data.
	Communities int
	// Within is the probability that an edge is drawn inside its community.
	Within float64
	// Tail, Cut and Shift shape the expected degrees: they are proportional to
	// (u+Cut)^(-Tail/64) - Shift for u uniform in [0, 1): a power law with exponent
	// 1+64/Tail, bounded above through Cut, whose small degrees Shift makes smaller.
	Tail  int
	Cut   float64
	Shift float64
	// MinEdges is the number of edges that every node starts, at least, as far as Edges
	// allows.
	MinEdges int
	// SplitEdges forbids edges between training, validation and test nodes: the three are
	// separate graphs, as the tissues of PPI are.
	SplitEdges bool

	// LabelNoise is the probability that a label is drawn regardless of the community.
	LabelNoise float64
	// ClassTail makes class c of single-label data (c+1)^(-ClassTail/64) times as frequent
	// as class 0.
	ClassTail int
	// Density is the mean share of labels that a node of multi-label data has.
	Density float64

	// Signal is the standard deviation of a community's mean in an informative column, in
	// units of the noise of one node.
	Signal float64
	// ClassShare is the share of that variance that communities of one class have in
	// common. Single-label data only.
	ClassShare float64
	// NoiseColumns is the number of columns that carry no signal.
	NoiseColumns int
}

// presets holds the data sets in the order in which they are listed, smallest first. The
// comments give the best possible scores (accuracy, F1-micro for several labels) of a
// model that sees a node's own features only, and of one that knows its community.
var presets = []Preset{
	{ // 0.64 and 0.93
		Name: "tiny", About: "trains in seconds; for demos and tests",
		Nodes: 2_000, Edges: 10_000, Features: 16, Classes: 5, Train: 60, Val: 20,
		Communities: 20, Within: 0.75, Tail: 36, Cut: 1e-3, Shift: 0.5, MinEdges: 2,
		LabelNoise: 0.08, ClassTail: 32, Signal: 0.6, ClassShare: 0.5, NoiseColumns: 4,
	},
	{ // 0.63 and 0.94
		Name: "ppi-like", About: "size, split and separate parts of PPI",
		Nodes: 14_755, Edges: 225_270, Features: 50, Classes: 121, Multi: true, Train: 66, Val: 12,
		Communities: 30, Within: 0.8, Tail: 32, Cut: 2e-3, Shift: 0.9, MinEdges: 1, SplitEdges: true,
		LabelNoise: 0.1, Density: 0.3, Signal: 0.3, NoiseColumns: 10,
	},
	{ // 0.46 and 0.61
		Name: "flickr-like", About: "size, split and degree shape of Flickr",
		Nodes: 89_250, Edges: 449_878, Features: 500, Classes: 7, Train: 50, Val: 25,
		Communities: 60, Within: 0.6, Tail: 46, Cut: 1.2e-4, Shift: 0.3, MinEdges: 2,
		LabelNoise: 0.5, ClassTail: 64, Signal: 0.12, ClassShare: 0.5, NoiseColumns: 200,
	},
	{ // 0.68 and 0.96
		Name: "reddit-like", About: "size, split and degree shape of Reddit",
		Nodes: 232_965, Edges: 11_606_919, Features: 602, Classes: 41, Train: 66, Val: 10,
		Communities: 60, Within: 0.7, Tail: 46, Cut: 1.5e-4, Shift: 0.85, MinEdges: 1,
		LabelNoise: 0.04, ClassTail: 32, Signal: 0.125, ClassShare: 0.5, NoiseColumns: 100,
	},
	{ // 0.48 and 0.83
		Name: "yelp-like", About: "size, split and label kind of Yelp",
		Nodes: 716_847, Edges: 6_977_410, Features: 300, Classes: 100, Multi: true, Train: 75, Val: 10,
		Communities: 200, Within: 0.7, Tail: 40, Cut: 5e-5, Shift: 0.7, MinEdges: 1,
		LabelNoise: 0.2, Density: 0.1, Signal: 0.18, NoiseColumns: 50,
	},
}

// Presets returns the known data sets, smallest first. The slice is the caller's.
func Presets() []Preset { return slices.Clone(presets) }

// Names returns the names of the known data sets, smallest first.
func Names() []string {
	names := make([]string, len(presets))
	for i := range presets {
		names[i] = presets[i].Name
	}
	return names
}

// Lookup returns the preset of that name. The error names the nearest known one and lists
// all of them.
func Lookup(name string) (Preset, error) {
	for _, p := range presets {
		if p.Name == name {
			return p, nil
		}
	}
	hint := ""
	if near := suggest.Nearest(name, Names()); near != "" {
		hint = fmt.Sprintf(", did you mean %s?", near)
	}
	return Preset{}, formats.BadInput(Prefix+name, "unknown generated graph %q%s (known: %s)",
		name, hint, strings.Join(Names(), ", "))
}

// Parse splits a spec "synth:NAME" or "synth:NAME?seed=K" into the name of a known data set
// and its seed, 1 unless given. Errors are *formats.InputError.
func Parse(spec string) (name string, seed uint64, err error) {
	rest, ok := strings.CutPrefix(spec, Prefix)
	if !ok {
		return "", 0, formats.BadInput(spec, "not a generated graph: want %sNAME or %[1]sNAME?seed=K", Prefix)
	}
	name, query, hasQuery := strings.Cut(rest, "?")
	if _, err := Lookup(name); err != nil {
		return "", 0, err
	}
	if !hasQuery {
		return name, 1, nil
	}
	key, value, _ := strings.Cut(query, "=")
	if key != "seed" {
		return "", 0, formats.BadInput(spec, "unknown option %q: the only one is seed, as in %s%s?seed=7", key, Prefix, name)
	}
	seed, err = strconv.ParseUint(value, 10, 64)
	if err != nil {
		return "", 0, formats.BadInput(spec, "bad seed %q: want a whole number from 0 to 18446744073709551615", value)
	}
	return name, seed, nil
}

// validate checks what the generator relies on.
func (p *Preset) validate() error {
	pairs := int64(p.Nodes) * int64(p.Nodes-1) / 2
	switch {
	case p.Nodes < 2 || p.Nodes > 1<<31-1:
		return fmt.Errorf("%d nodes, want 2 to 2^31-1", p.Nodes)
	case p.Edges < 0 || p.Edges > pairs/2:
		return fmt.Errorf("%d edges, want at most half of the %d pairs of nodes", p.Edges, pairs)
	case p.Features < 1 || p.NoiseColumns < 0 || p.NoiseColumns > p.Features:
		return fmt.Errorf("%d features of which %d noise, want at least 1 and no more noise than features", p.Features, p.NoiseColumns)
	case p.Classes < 1 || p.Communities < 1:
		return fmt.Errorf("%d classes and %d communities, want at least 1 of each", p.Classes, p.Communities)
	case !p.Multi && p.Communities < p.Classes:
		return fmt.Errorf("%d communities for %d classes, want at least one a class", p.Communities, p.Classes)
	case p.Train < 1 || p.Val < 0 || p.Train+p.Val > 100:
		return fmt.Errorf("split %d %% training, %d %% validation, want 1 to 100 in total", p.Train, p.Val)
	case p.Tail < 0 || p.Tail > 128 || !(p.Cut > 0) || p.ClassTail < 0 || p.ClassTail > 128:
		return fmt.Errorf("tails %d and %d, cut %g: want tails from 0 to 128 and a positive cut", p.Tail, p.ClassTail, p.Cut)
	case !(p.Shift >= 0 && p.Shift <= power64(1+p.Cut, p.Tail)):
		return fmt.Errorf("shift %g, want 0 to %g, the smallest value of the power law", p.Shift, power64(1+p.Cut, p.Tail))
	case p.MinEdges < 0:
		return fmt.Errorf("%d edges a node at least, want 0 or more", p.MinEdges)
	}
	for _, share := range []float64{p.Within, p.LabelNoise, p.Density, p.ClassShare} {
		if !(share >= 0 && share <= 1) {
			return fmt.Errorf("probability %g, want 0 to 1", share)
		}
	}
	return nil
}
