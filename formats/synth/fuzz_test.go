package synth

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

// FuzzParse takes specs apart: what is accepted names a known set and is the same when it is
// put together again.
func FuzzParse(f *testing.F) {
	for _, spec := range []string{"synth:tiny", "synth:tiny?seed=7", "synth:ppi-like?seed=18446744073709551615", "synth:", "tiny", "synth:tiny?", "synth:tiny?seed", "synth:tiny?seed=-1", "synth:tiny?sed=1"} {
		f.Add(spec)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		name, seed, err := Parse(spec)
		if err != nil {
			var bad *formats.InputError
			if !errors.As(err, &bad) || name != "" || seed != 0 {
				t.Fatalf("Parse(%q) = %q, %d, %v, want nothing and an InputError", spec, name, seed, err)
			}
			return
		}
		if !slices.Contains(Names(), name) {
			t.Fatalf("Parse(%q) = %q, which is not known", spec, name)
		}
		again := fmt.Sprintf("%s%s?seed=%d", Prefix, name, seed)
		if n, s, err := Parse(again); err != nil || n != name || s != seed {
			t.Fatalf("Parse(%q) = %q, %d, %v, want %q, %d", again, n, s, err, name, seed)
		}
	})
}

// FuzzPreset generates small graphs of any description: one that passes the checks gives a
// data set that does, too.
func FuzzPreset(f *testing.F) {
	f.Add(uint8(40), uint16(100), uint8(6), uint8(3), uint8(5), uint8(60), uint8(20), uint8(36), uint8(3), uint8(1), 1e-3, 0.5, 0.75, 0.1, 0.3, uint64(1))
	f.Add(uint8(2), uint16(0), uint8(1), uint8(1), uint8(1), uint8(100), uint8(0), uint8(0), uint8(0), uint8(2), 1.0, 0.0, 0.0, 1.0, 1.0, uint64(2))
	f.Fuzz(func(t *testing.T, nodes uint8, edges uint16, features, classes, communities, train, val, tail, minEdges, flags uint8, c, shift, within, noise, density float64, seed uint64) {
		p := Preset{
			Name: "fuzz", Nodes: int(nodes), Edges: int64(edges), Features: int(features % 32), Classes: int(classes % 32), Multi: flags&1 != 0,
			Train: int(train), Val: int(val), Communities: int(communities), Within: within, Tail: int(tail), Cut: c, Shift: shift,
			MinEdges: int(minEdges), SplitEdges: flags&2 != 0, LabelNoise: noise, ClassTail: int(flags >> 1), Density: density, Signal: 0.5, ClassShare: within,
			NoiseColumns: int(features % 32 / 2),
		}
		raw, err := p.Generate(t.Context(), seed, Options{})
		if err != nil {
			return
		}
		if err := raw.Validate(); err != nil {
			t.Fatalf("%+v gives a bad data set: %v", p, err)
		}
		if raw.Full.NumNodes() != p.Nodes || raw.Full.NumEdges() > 2*p.Edges {
			t.Fatalf("%d nodes, %d entries, want %d and at most %d", raw.Full.NumNodes(), raw.Full.NumEdges(), p.Nodes, 2*p.Edges)
		}
	})
}
