package cuda

import (
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Memory of the heap stays alive until its copy has been passed, and no longer.
func TestBorrowedMemory(t *testing.T) {
	r := fakeRig(t, fake.Options{})
	q := r.q.(*Queue)
	x := r.a.Alloc(tensor.F32, 2, 2)
	upload := func() { q.Upload(make([]byte, 16), x) }
	want := func(what string, n int) {
		t.Helper()
		if len(q.borrowed.memory) != n {
			t.Errorf("%d pieces are borrowed %s, want %d", len(q.borrowed.memory), what, n)
		}
	}
	upload()
	q.Download(x, make([]byte, 16))
	m := q.Mark()
	upload()
	want("before anybody waits", 3)
	if err := q.Reached(m); err != nil {
		t.Fatal(err)
	}
	want("behind the mark", 1)
	if err := q.Reached(m); err != nil {
		t.Fatal(err)
	}
	want("when it is asked for again", 1)
	if err := q.Sync(); err != nil {
		t.Fatal(err)
	}
	want("after Sync", 0)
	locked, err := r.b.(*Backend).AllocHost(16)
	if err != nil {
		t.Fatal(err)
	}
	q.Upload(locked, x)
	q.Download(x, locked)
	want("of page-locked memory", 0)
	if err := q.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := r.b.(*Backend).FreeHost(locked); err != nil {
		t.Fatal(err)
	}
}
