package synth

import (
	"math"
	"slices"
	"testing"
)

func TestNormal(t *testing.T) {
	r := newStream(1, stageFeatures, 0)
	const n = 1_000_000
	var sum, sum2, sum4, tail float64
	for range n {
		x := float64(r.normal())
		sum += x
		sum2 += x * x
		sum4 += x * x * x * x
		if math.Abs(x) > 2 {
			tail++
		}
	}
	// Five standard errors of each estimate, and 2.7: the kurtosis of a sum of four uniforms.
	for _, q := range []struct {
		name            string
		got, want, band float64
	}{
		{"mean", sum / n, 0, 0.005},
		{"variance", sum2 / n, 1, 0.007},
		{"kurtosis", sum4 / n, 2.7, 0.03},
		{"share beyond 2", tail / n, 0.0455, 0.004},
	} {
		if math.Abs(q.got-q.want) > q.band {
			t.Errorf("%s = %.4f, want %.4f within %.4f", q.name, q.got, q.want, q.band)
		}
	}
}

func TestPower64(t *testing.T) {
	for _, x := range []float64{1e-9, 1e-4, 0.3, 1, 2, 41} {
		for k := range 129 {
			got, want := power64(x, k), math.Pow(x, -float64(k)/64)
			if math.Abs(got-want) > 1e-14*want {
				t.Errorf("power64(%g, %d) = %v, want %v", x, k, got, want)
			}
		}
	}
}

func TestMerge(t *testing.T) {
	r := newStream(1, stageEdges, 7)
	for trial := range 200 {
		draw := func(n int64) []uint64 {
			s := make([]uint64, n)
			for i := range s {
				s[i] = uint64(r.below(60))
			}
			slices.Sort(s)
			return slices.Compact(s)
		}
		a, b := draw(r.below(40)), draw(r.below(40))
		want := slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
		keys := make([]uint64, len(a), len(a)+len(b))
		copy(keys, a)
		if got := merge(keys, slices.Clone(b)); !slices.Equal(got, want) {
			t.Fatalf("trial %d: merge(%v, %v) = %v, want %v", trial, a, b, got, want)
		}
	}
}
