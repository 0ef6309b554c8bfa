package samplers

import (
	"slices"
	"testing"

	"github.com/saint-gnn/saint/internal/kernels/induce"
)

func TestNodeSetClearsItsSummaries(t *testing.T) {
	const n = 3 << 18
	for name, draws := range map[string]int{"summaries": 10, "flat": n} {
		var s nodeSet
		ids := []int32{0, 63, 64, 4095, 4096, 1 << 18, 1<<18 - 1, n - 1, 4096}
		s.reset(n, draws)
		if s.flat != (name == "flat") {
			t.Fatalf("%s: flat is %t", name, s.flat)
		}
		if bad, ok := s.add(ids, n); !ok {
			t.Fatalf("%s: add = %d, false", name, bad)
		}
		s.count()
		got := s.extract(nil)
		slices.Sort(ids)
		want := slices.Compact(ids)
		if !slices.Equal(got, want) || s.size != len(want) {
			t.Errorf("%s: extract = %v of size %d, want %v", name, got, s.size, want)
		}
		induce.Local(got, s.words, s.rank)
		for i, v := range got {
			if v != int32(i) {
				t.Errorf("%s: the position of member %d is %d, want %d", name, want[i], v, i)
			}
		}
		// A summary bit left behind would not change a result, only slow down every later one.
		s.clear()
		if i := slices.IndexFunc(s.words, func(w uint32) bool { return w != 0 }); i >= 0 {
			t.Errorf("%s: after clear, word %d is %#x", name, i, s.words[i])
		}
		for _, level := range [][]uint64{s.sum1, s.sum2} {
			if i := slices.IndexFunc(level, func(w uint64) bool { return w != 0 }); i >= 0 {
				t.Errorf("%s: after clear, word %d of a summary of %d is %#x", name, i, len(level), level[i])
			}
		}
		if bad, ok := s.add([]int32{n}, n); ok || bad != n {
			t.Errorf("%s: add(%d) = %d, %t, want %d and false", name, n, bad, ok, n)
		}
	}
}
