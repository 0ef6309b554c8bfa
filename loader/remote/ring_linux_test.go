package remote

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/memory"
)

// BenchmarkRing copies bytes that are ready into a ring.
func BenchmarkRing(b *testing.B) {
	r, err := newRing(SharedFolder, ringSlots, &budget{Allocator: memory.DefaultAllocator})
	if err != nil {
		b.Fatal(err)
	}
	defer r.close()
	piece := make([]byte, 18<<20)
	for i := range piece {
		piece[i] = byte(i)
	}
	for k := range ringSlots {
		r.write(k, [][]byte{piece})
	}
	b.SetBytes(int64(len(piece)))
	k := 0
	for b.Loop() {
		if _, err := r.write(k%ringSlots, [][]byte{piece}); err != nil {
			b.Fatal(err)
		}
		k++
	}
}

// A client that cuts a file short, or keeps what is not its own, gets an error and does no harm.
func TestRingSurvivesItsClient(t *testing.T) {
	memory := &budget{Allocator: memory.DefaultAllocator}
	root := t.TempDir()
	r, err := newRing(root, 2, memory)
	if err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte("batch"), 1<<20)
	if _, err := r.write(0, [][]byte{piece}); err != nil {
		t.Fatal(err)
	}
	a, err := attachRing(r.folder, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.opened(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) != 0 {
		t.Errorf("files have names although the client has them open: %v, %v", left, err)
	}
	got, err := a.take(0, int64(len(piece)))
	if err != nil || !bytes.Equal(got, piece) {
		t.Fatalf("the client reads something else, %v", err)
	}
	for k, n := range map[int]int64{0: 1, -1: 1, 2: 1, 1: 1} {
		if _, err := a.take(k, n); err == nil {
			t.Errorf("take(%d, %d) succeeds", k, n)
		}
	}
	if k, err := r.acquire(t.Context(), t.Context()); k != 1 || err != nil {
		t.Errorf("acquire = %d, %v, want the slot that the client does not hold", k, err)
	}
	if err := os.Truncate(fmt.Sprintf("/proc/self/fd/%d", r.slots[1].file.Fd()), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := r.write(1, [][]byte{piece[:100]}); err != nil {
		t.Errorf("a slot that is empty is filled: %v", err)
	}
	if err := r.slots[1].file.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := r.write(1, [][]byte{piece[:100]}); err == nil || !strings.Contains(err.Error(), "took it away") {
		t.Errorf("write to a slot that was cut short = %v, want an error", err)
	}
	a.put(0)
	a.detach()
	r.close()
	if n := memory.held.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

func TestSweep(t *testing.T) {
	root := t.TempDir()
	live, err := newRing(root, 1, &budget{})
	if err != nil {
		t.Fatal(err)
	}
	defer live.close()
	dead, err := newRing(root, 1, &budget{})
	if err != nil {
		t.Fatal(err)
	}
	dead.control.Close() // as when its process dies
	fresh, err := newRing(root, 1, &budget{})
	if err != nil {
		t.Fatal(err)
	}
	fresh.control.Close()
	old := time.Now().Add(-time.Hour)
	for _, folder := range []string{live.folder, dead.folder} {
		if err := os.Chtimes(folder, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "other"), 0o700); err != nil {
		t.Fatal(err)
	}
	sweep(root)
	for folder, want := range map[string]bool{live.folder: true, dead.folder: false, fresh.folder: true, filepath.Join(root, "other"): true} {
		if _, err := os.Stat(folder); (err == nil) != want {
			t.Errorf("%s is there: %t, want %t", folder, err == nil, want)
		}
	}
}
