package samplers

import (
	"slices"
	"testing"
)

func TestNodeSetClearsItsSummaries(t *testing.T) {
	const n = 3 << 18
	var s nodeSet
	ids := []int32{0, 63, 64, 4095, 4096, 1 << 18, 1<<18 - 1, n - 1, 4096}
	s.reset(n)
	if bad, ok := s.add(ids, n); !ok || s.size != 8 {
		t.Fatalf("add = %d, %t with %d members, want 8 members", bad, ok, s.size)
	}
	got := make([]int32, s.size)
	s.extract(got)
	slices.Sort(ids)
	want := slices.Compact(ids)
	if !slices.Equal(got, want) {
		t.Errorf("extract = %v, want %v", got, want)
	}
	for i, v := range want {
		if s.local(v) != int32(i) {
			t.Errorf("local(%d) = %d, want %d", v, s.local(v), i)
		}
	}
	// A summary bit left behind would not change a result, only slow down every later one.
	s.clear()
	for _, level := range [][]uint64{s.words, s.sum1, s.sum2} {
		if i := slices.IndexFunc(level, func(w uint64) bool { return w != 0 }); i >= 0 {
			t.Errorf("after clear, word %d of a level of %d is %#x", i, len(level), level[i])
		}
	}
}
