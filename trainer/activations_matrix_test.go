package trainer

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Every layer under every way of keeping activations has gradients that point where those without
// go, each way as near as its noise lets it; what is simulated is what codes do, to the bit.
func TestEverySettingFollows(t *testing.T) {
	list := networks()
	for _, layer := range []string{"gat_softmax", "gatv2", "gat_tf", "gat"} {
		list = append(list, "dim: 16; arch: '1-1'; act: relu; bias: bias; norm: batch; residual: project; head: linear; attention: 2; layer: "+layer)
	}
	list = append(list,
		"dim: 16; arch: '1-1'; act: relu; bias: bias; norm: batch; residual: identity; gated_attention: true; attention: 2",
		"dim: 16; arch: '1-1-1'; act: relu; head: none; heads: mean; attention: 2; layer: gatv2; norm: batch",
		"dim: 16; arch: '0-1-1-1'; act: relu; norm: batch; residual: identity; head: linear; layer: gcnii; shared_weights: false")
	d := generate(t, small)
	cpu := backend(t, 2)
	draws := uint64(8)
	if testing.Short() {
		draws = 3
	}
	worst := map[string]float64{}
	for _, network := range list {
		follow(t, d, cpu, network, draws, worst)
	}
	for kind, cos := range worst {
		t.Logf("least cosine with %s: %.4f", kind, cos)
	}
}

// follow is TestEverySettingFollows for one network; it lowers what worst has of each kind.
func follow(t *testing.T, d *formats.Dataset, b tensor.Backend, network string, draws uint64, worst map[string]float64) {
	t.Helper()
	const params = "lr: 0.01; dropout: 0.1"
	plain := map[string][]float64{}
	for _, setting := range settings {
		if setting == "" || strings.Contains(setting, "simulate") {
			continue
		}
		base := params
		if strings.Contains(setting, "dropout2") {
			base += "; dropout2: true"
		}
		if plain[base] == nil {
			plain[base] = meanGradient(t, d, b, network, base, draws)
		}
		got := meanGradient(t, d, b, network, params+"; "+setting, draws)
		cos, kind := cosine(plain[base], got), setting
		if steep(network) {
			kind = "steep " + setting
		}
		if before, ok := worst[kind]; !ok || cos < before {
			worst[kind] = cos
		}
		if want := leastCosine(kind); !(cos >= want) {
			t.Errorf("%s, %s: the cosine of gradients and those without is %.4f, want %g", network, setting, cos, want)
		}
		if strings.Contains(setting, "n_bits: 2") {
			if values := meanGradient(t, d, b, network, params+"; "+setting+"; simulate: true", draws); !slices.Equal(got, values) {
				t.Errorf("%s, %s: simulate gives other gradients than codes", network, setting)
			}
		}
	}
}

// steep reports whether a network has attention with a norm of heads: it divides rows that are next to
// nothing by next to nothing, and coarse codes turn what comes of them.
func steep(network string) bool {
	attention := strings.Contains(network, "attention:") || strings.Contains(network, "layer: ga")
	return attention && !strings.Contains(network, "bias: bias") && !strings.Contains(network, "norm:")
}

// leastCosine is what the gradients of a few draws of a way of keeping activations reach.
func leastCosine(kind string) float64 {
	steep := strings.HasPrefix(kind, "steep ")
	switch kind = strings.TrimPrefix(kind, "steep "); {
	case kind == "amp: true" && steep, kind == "n_bits: 8" && steep:
		return 0.97
	case kind == "amp: true", kind == "n_bits: 8":
		return 0.999
	case strings.HasPrefix(kind, "n_bits: 4") && !steep:
		return 0.97
	case strings.HasPrefix(kind, "n_bits: 8; kept_frac"), strings.HasPrefix(kind, "n_bits: 2; kept_frac") && !steep:
		return 0.3
	case strings.HasPrefix(kind, "n_bits: 2") && !steep, strings.Contains(kind, "kept_frac") && !strings.Contains(kind, "n_bits"):
		return 0.5
	}
	return -1 // a bit is for graphs that have no memory for more
}

// meanGradient returns the mean of the gradients of several steps.
func meanGradient(t *testing.T, d *formats.Dataset, b tensor.Backend, network, params string, draws uint64) (mean []float64) {
	t.Helper()
	t.Run("", func(t *testing.T) { // gives its memory back at the end
		c := parse(t, yaml(network, params, stepPhase))
		s := newBench(t, c, d, b, d.Features.(formats.Resident))
		mean = s.mean(draw(t, c, d, nil, 1)[0], draws)
	})
	return mean
}

func (s *bench) mean(b *loader.Batch, draws uint64) []float64 {
	var sum []float64
	for k := range draws {
		g := s.gradients(b, k)
		if sum == nil {
			sum = make([]float64, len(g))
		}
		for i, v := range g {
			sum[i] += float64(v) / float64(draws)
		}
	}
	return sum
}

func cosine(a, b []float64) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab, aa, bb = ab+a[i]*b[i], aa+a[i]*a[i], bb+b[i]*b[i]
	}
	return ab / math.Sqrt(aa*bb)
}

// The gradient of a sum of neighbours does not look at them: where layers multiply first, with nothing between two layers that
// needs more, each one's input and signs are all that is kept.
func TestNothingIsKeptOfAggregations(t *testing.T) {
	d := generate(t, small)
	meta, err := tensor.Open("meta", tensor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range []string{"gcn", "sage"} {
		for _, setting := range []string{"", "; n_bits: 2"} {
			c := parse(t, yaml("dim: 8; arch: '1-1-1'; act: relu; bias: bias; head: none; layer: "+layer, "lr: 0.01; dropout: 0"+setting, stepPhase))
			m, err := Plan(c, Size{Nodes: 100, Edges: 500, Features: d.Features.Dim(), Classes: 3}, meta)
			if err != nil {
				t.Fatal(err)
			}
			taking := map[string]int{}
			for _, h := range m.Held {
				if h.Bytes > 0 && h.Rows > 1 {
					taking[h.Layer]++
				}
			}
			for name, n := range taking {
				if n > 2 {
					t.Errorf("%s%s: %s keeps %d tensors, want no more than its input and signs", layer, setting, name, n)
				}
			}
		}
	}
}
