package samplers_test

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"unsafe"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/samplers"
)

// TestEdgePositionsBeyond32Bits draws from rows that lie behind more than 2^32 entries. The
// entries are a hole in a mapped sparse file: they take neither disk nor memory.
func TestEdgePositionsBeyond32Bits(t *testing.T) {
	const hole = 1<<32 + 5
	path := filepath.Join(t.TempDir(), "indices")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Row 0 is the hole; row 1 holds 1 and 2, row 2 holds 1.
	if _, err := f.WriteAt([]byte{1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0}, hole*4); err != nil {
		t.Skipf("no sparse files here: %v", err)
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, hole*4+12, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Skipf("the address space is too small: %v", err)
	}
	defer syscall.Munmap(data)
	g := &formats.Graph{
		Indptr:  []int64{0, hole, hole + 2, hole + 3},
		Indices: unsafe.Slice((*int32)(unsafe.Pointer(&data[0])), hole+3),
	}
	var sc samplers.Scratch
	var sub formats.Subgraph
	if err := samplers.Draw(fixed{2, 1}, samplers.Env{Graph: g}, nil, &sc, &sub); err != nil {
		t.Fatal(err)
	}
	if want := []int64{hole, hole + 1, hole + 2}; !slices.Equal(sub.EdgeIDs, want) {
		t.Errorf("EdgeIDs = %v, want %v", sub.EdgeIDs, want)
	}
	if want := []int32{0, 1, 0}; !slices.Equal(sub.Indices, want) {
		t.Errorf("Indices = %v, want %v", sub.Indices, want)
	}
}
