package trainer

import "testing"

// Wherever the features lie, a run is the same to the bit; so is one whose batches repeat.
func TestPlacements(t *testing.T) {
	l := newLab(t)
	for _, phases := range []string{runPhases, "end: 3; sampler: full_batch"} {
		l.conf = yaml(runNetwork, runParams, phases)
		want, wantRes := l.first()
		for _, p := range []Placement{PlaceAuto, PlaceDevice, PlaceHost} {
			dir := newDir(t)
			o := l.options(dir)
			o.Backend, o.Features = discrete{l.b}, p
			l.same("features in another place", dir, want, l.train(o), wantRes)
		}
	}
}

func TestParsePlacement(t *testing.T) {
	for text, want := range map[string]Placement{"auto": PlaceAuto, "device": PlaceDevice, "host": PlaceHost} {
		if got, err := ParsePlacement(text); got != want || err != nil {
			t.Errorf("ParsePlacement(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	if _, err := ParsePlacement("gpu"); err == nil {
		t.Error(`ParsePlacement("gpu") succeeded, want an error`)
	}
}
