package hostmem_test

import (
	"math/rand/v2"
	"testing"

	"github.com/saint-gnn/saint/internal/hostmem"
)

func TestReserve(t *testing.T) {
	for _, limit := range []int64{0, 1, 4096, 1 << 30} {
		r, err := hostmem.Reserve(limit)
		if err != nil {
			t.Fatalf("Reserve(%d): %v", limit, err)
		}
		b := r.Bytes()
		if int64(len(b)) < max(limit, 1) {
			t.Errorf("Reserve(%d) = %d bytes", limit, len(b))
		}
		b[0], b[len(b)-1] = 1, 2
		r.HugePages(0, int64(len(b)))
		if b[0] != 1 || len(b) > 4096 && b[len(b)-1] != 2 {
			t.Errorf("HugePages changed the memory: %d, %d", b[0], b[len(b)-1])
		}
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
	if _, err := hostmem.Reserve(-1); err == nil {
		t.Error("Reserve(-1) = nil error")
	}
	if _, err := hostmem.Reserve(1 << 62); err == nil {
		t.Error("Reserve(1<<62) = nil error")
	}
}

type used struct{ off, size int64 }

func checkDisjoint(t *testing.T, a used, live []used) {
	t.Helper()
	for _, u := range live {
		if a.off < u.off+u.size && u.off < a.off+a.size {
			t.Fatalf("[%d,%d) overlaps [%d,%d)", a.off, a.off+a.size, u.off, u.off+u.size)
		}
	}
}

// Random use agrees with a list of what is in use.
func TestSpace(t *testing.T) {
	const limit = 1 << 16
	r := rand.New(rand.NewPCG(3, 4))
	s := hostmem.NewSpace(limit)
	var live []used
	var sum int64
	for step := range 20000 {
		if len(live) > 0 && r.IntN(2) == 0 {
			i := r.IntN(len(live))
			s.Free(live[i].off, live[i].size)
			sum -= hostmem.Round(live[i].size)
			live = append(live[:i], live[i+1:]...)
		} else {
			size := r.Int64N(4000)
			off, err := int64(0), error(nil)
			if away := randomRanges(r, limit); size > 0 && r.IntN(3) == 0 {
				var ok bool
				if off, ok = s.AllocOutside(size, away); !ok {
					continue
				}
				checkOutside(t, used{off, size}, away)
			} else if off, err = s.Alloc(size); err != nil {
				continue
			}
			checkDisjoint(t, used{off, size}, live)
			if off%64 != 0 || off+size > limit {
				t.Fatalf("step %d: Alloc(%d) = %d, want a multiple of 64 inside %d", step, size, off, limit)
			}
			live = append(live, used{off, size})
			sum += hostmem.Round(size)
		}
		if s.Bytes() != sum {
			t.Fatalf("step %d: Bytes = %d, want %d", step, s.Bytes(), sum)
		}
	}
	for _, u := range live {
		s.Free(u.off, u.size)
	}
	if off, err := s.Alloc(limit); off != 0 || err != nil {
		t.Errorf("Alloc of everything after all is free = %d, %v, want 0, nil", off, err)
	}
	if _, err := s.Alloc(1); err == nil {
		t.Error("Alloc(1) = nil error with nothing free")
	}
}

func randomRanges(r *rand.Rand, limit int64) []hostmem.Range {
	list := make([]hostmem.Range, r.IntN(4))
	for i := range list {
		at := r.Int64N(limit)
		list[i] = hostmem.Range{Lo: at, Hi: min(limit, at+r.Int64N(9000))}
	}
	return list
}

func checkOutside(t *testing.T, a used, away []hostmem.Range) {
	t.Helper()
	for _, u := range away {
		if a.off < u.Hi && u.Lo < a.off+a.size {
			t.Fatalf("[%d,%d) overlaps [%d,%d), which it was to avoid", a.off, a.off+a.size, u.Lo, u.Hi)
		}
	}
}

// The lowest place outside is found in the middle of a free range, and none where there is none.
func TestSpaceOutside(t *testing.T) {
	s := hostmem.NewSpace(1 << 10)
	away := []hostmem.Range{{Lo: 0, Hi: 100}, {Lo: 192, Hi: 256}, {Lo: 320, Hi: 321}}
	for _, want := range []int64{128, 256, 384, 512} {
		if off, ok := s.AllocOutside(64, away); off != want || !ok {
			t.Fatalf("AllocOutside(64) = %d, %t, want %d", off, ok, want)
		}
		away = append(away, hostmem.Range{Lo: 448, Hi: 500})
	}
	if off, ok := s.AllocOutside(512, away); ok {
		t.Errorf("AllocOutside(512) = %d with 448 bytes free in one piece, want nothing", off)
	}
	if got := s.Bytes(); got != 256 {
		t.Errorf("Bytes() = %d, want 256", got)
	}
	for _, off := range []int64{256, 128, 512, 384} {
		s.Free(off, 64)
	}
	if off, err := s.Alloc(1 << 10); off != 0 || err != nil {
		t.Errorf("Alloc of everything after all is free = %d, %v, want 0, nil", off, err)
	}
}

func TestSpaceEdges(t *testing.T) {
	s := hostmem.NewSpace(0)
	if off, err := s.Alloc(0); off != 0 || err != nil {
		t.Errorf("Alloc(0) = %d, %v, want 0, nil", off, err)
	}
	for _, size := range []int64{1, -1, 1 << 62} {
		if _, err := s.Alloc(size); err == nil {
			t.Errorf("Alloc(%d) of an empty space = nil error", size)
		}
	}
}
