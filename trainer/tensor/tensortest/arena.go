package tensortest

import "github.com/saint-gnn/saint/trainer/tensor"

// counts fails the test unless the arena holds live tensors of at least bytes bytes.
func (e *env) counts(when string, live int, bytes int64) {
	e.Helper()
	if got := e.a.Live(); got != live {
		e.Errorf("%s: Live = %d, want %d", when, got, live)
	}
	// Devices round sizes up, each tensor by at most 512 bytes.
	if got := e.a.Bytes(); got < bytes || got > bytes+int64(live)*512 {
		e.Errorf("%s: Bytes = %d, want %d and no more than rounding", when, got, bytes)
	}
}

func arenaCounts(e *env) {
	a := e.a
	e.counts("new", 0, 0)
	x := a.Alloc(tensor.F32, 10, 7)
	y := a.Alloc(tensor.U8, 33, 1)
	both := 10*7*e.float.Size() + 33
	if x.Rows != 10 || x.Cols != 7 || x.Stride != 7 || x.Type != e.float {
		e.Errorf("Alloc(F32, 10, 7) = %+v", x)
	}
	e.counts("two tensors", 2, both)
	view := x.ColRange(2, 5)
	if !a.Owns(x) || !a.Owns(view) {
		e.Error("Owns = false of a live tensor or its view")
	}
	a.Retain(view)
	a.Release(x)
	e.counts("retained", 2, both)
	a.Release(x)
	e.counts("released", 1, 33)
	if a.Owns(x) {
		e.Error("Owns = true of a released tensor")
	}
	if p := a.Peak(); p < both {
		e.Errorf("Peak = %d, want at least %d", p, both)
	}
	a.ResetPeak()
	if p, b := a.Peak(), a.Bytes(); p != b {
		e.Errorf("Peak = %d after ResetPeak, want Bytes %d", p, b)
	}
	z := a.Alloc(tensor.F32, 10, 7)
	if z.ID == x.ID || z.ID == y.ID {
		e.Errorf("ID %d came back", z.ID)
	}
	empty := a.Alloc(tensor.F32, 0, 9)
	if !a.Owns(empty) || !empty.Present() {
		e.Error("a tensor without elements is not owned")
	}
	a.Reset()
	e.counts("reset", 0, 0)
	if a.Owns(y) || a.Owns(z) {
		e.Error("Owns = true after Reset")
	}
}

// arenaDisjoint fills live tensors with different values while others come and go.
func arenaDisjoint(e *env) {
	type held struct {
		t tensor.Tensor
		v float32
	}
	var live []held
	seen := map[uint64]bool{}
	for i := range 300 {
		if len(live) > 12 || len(live) > 0 && e.rnd.IntN(3) == 0 {
			k := e.rnd.IntN(len(live))
			e.a.Release(live[k].t)
			live = append(live[:k], live[k+1:]...)
			continue
		}
		h := held{e.a.Alloc(tensor.F32, 1+e.rnd.IntN(40), 1+e.rnd.IntN(70)), float32(i)}
		if seen[h.t.ID] {
			e.Fatalf("ID %d came back", h.t.ID)
		}
		seen[h.t.ID] = true
		e.q.Fill(h.v, h.t)
		live = append(live, h)
	}
	for _, h := range live {
		got := make([]float32, h.t.Rows*h.t.Cols)
		e.q.Download(h.t, bytesOf(got))
		e.sync()
		for i, v := range got {
			if v != h.v {
				e.Fatalf("element %d of %s = %g, want %g: live tensors overlap", i, h.t, v, h.v)
			}
		}
		e.a.Release(h.t)
	}
	e.counts("all released", 0, 0)
}

func arenaOutOfMemory(e *env) {
	if err := e.a.Err(); err != nil {
		e.Fatalf("Err = %v of a new arena, want nil", err)
	}
	ok := e.a.Alloc(tensor.F32, 5, 5)
	lost := e.a.Alloc(tensor.F32, huge, 1)
	if e.a.Err() == nil {
		e.Fatalf("Err = nil after Alloc of %s", lost)
	}
	if lost.Rows != huge || lost.Cols != 1 || lost.Type != e.float {
		e.Errorf("Alloc without memory = %s, want the shape asked for", lost)
	}
	e.a.Release(lost)
	e.a.Release(ok)
	e.counts("after a failure", 0, 0)
	e.a.Reset()
	if err := e.a.Err(); err != nil {
		e.Errorf("Err = %v after Reset, want nil", err)
	}
}

// arenaForeign checks that tensors of others are left alone.
func arenaForeign(e *env) {
	other, err := e.backend.NewArena()
	if err != nil {
		e.Fatal(err)
	}
	defer func() {
		if err := other.Close(); err != nil {
			e.Error(err)
		}
	}()
	theirs, ours := other.Alloc(tensor.F32, 3, 3), e.a.Alloc(tensor.F32, 3, 3)
	e.a.Retain(theirs)
	e.a.Release(theirs)
	e.a.Release(theirs)
	e.a.Release(tensor.Tensor{})
	if e.a.Owns(theirs) || e.a.Owns(tensor.Tensor{}) || other.Owns(ours) {
		e.Error("Owns = true of a foreign tensor")
	}
	if other.Live() != 1 || e.a.Live() != 1 {
		e.Errorf("Live = %d and %d, want 1 and 1", other.Live(), e.a.Live())
	}
}

func arenaDoubleRelease(e *env) {
	x := e.a.Alloc(tensor.F32, 2, 2)
	e.a.Release(x)
	defer func() {
		if recover() == nil {
			e.Error("no panic on a release too many")
		}
	}()
	e.a.Release(x)
}
