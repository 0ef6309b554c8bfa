package rng

import "testing"

// The values are frozen: a change of any is a change of everybody's results and belongs
// in the changelog under [CHANGE].
func TestKeyFrozen(t *testing.T) {
	hi, lo := Key(1, Sample, 0, 0)
	if hi2, lo2 := Key(1, Sample, 0, 0); hi != hi2 || lo != lo2 {
		t.Fatal("Key is not a function of its arguments")
	}
	if got, want := [2]uint64{hi, lo}, [2]uint64{0xcf8a3d8612eb4fcf, 0x88ca816ddcceb12}; got != want {
		t.Errorf("Key(1, Sample, 0, 0) = %#x, want %#x", got, want)
	}
}

func TestStreamsDiffer(t *testing.T) {
	seen := map[[2]uint64][4]uint64{}
	for seed := range uint64(8) {
		for phase := range 4 {
			for index := range uint64(64) {
				for i, p := range []Purpose{Sample, Init, Synth} {
					hi, lo := Key(seed, p, phase, index)
					id := [4]uint64{seed, uint64(phase), index, uint64(i)}
					if other, dup := seen[[2]uint64{hi, lo}]; dup {
						t.Fatalf("streams %v and %v share a key", id, other)
					}
					seen[[2]uint64{hi, lo}] = id
				}
			}
		}
	}
}

func TestResetEqualsNew(t *testing.T) {
	var s Stream
	s.Reset(9, Sample, 1, 5).Uint64()
	a, b := s.Reset(3, Sample, 2, 7), New(3, Sample, 2, 7)
	for i := range 16 {
		if x, y := a.Uint64(), b.Uint64(); x != y {
			t.Fatalf("draw %d: Reset gives %d, New gives %d", i, x, y)
		}
	}
	if n := testing.AllocsPerRun(100, func() { s.Reset(3, Sample, 2, 7) }); n != 0 {
		t.Errorf("Reset allocates %v times, want 0", n)
	}
}
