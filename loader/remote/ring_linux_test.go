package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/arrowrec"
	"github.com/saint-gnn/saint/loader"
)

// ringBatches are a batch for each slot, of n nodes with so many features, and what their file
// needs.
func ringBatches(slots, n, width int, released *int) ([]*loader.Batch, *arrow.Schema, formats.FeatureStore) {
	x := make([]float32, n*width)
	for i := range x {
		x[i] = float32(i)
	}
	m := arrowrec.Meta{Dataset: "test", Sampler: "{}", NumNodes: n, NumTrainEdges: 1, BatchesPerEpoch: 1, NumFeatures: width, Labels: arrowrec.NoLabels}
	var all []*loader.Batch
	for range slots {
		b := loader.NewBatch(func(*loader.Batch) { *released++ })
		b.Nodes, b.Indptr, b.LossNorm = make([]int32, n), make([]int32, n+1), make([]float32, n)
		for i := range b.Nodes {
			b.Nodes[i] = int32(i)
		}
		all = append(all, b)
	}
	return all, arrowrec.Schema(m), formats.NewMatrix(x, width)
}

// BenchmarkRing gathers the features of batches into a ring, with one goroutine.
func BenchmarkRing(b *testing.B) {
	const slots, nodes, width = 4, 8000, 602
	r, err := newRing(SharedFolder, slots, &budget{Allocator: memory.DefaultAllocator})
	if err != nil {
		b.Fatal(err)
	}
	defer r.close()
	released := 0
	batches, schema, x := ringBatches(slots, nodes, width, &released)
	for k := range slots {
		r.fill(k, batches[k], schema, x)
	}
	b.SetBytes(r.slots[0].bytes)
	k := 0
	for b.Loop() {
		if err := r.fill(k%slots, batches[k%slots], schema, x); err != nil {
			b.Fatal(err)
		}
		k++
	}
}

// A client that cuts a file short, or keeps what is not its own, gets an error and does no harm.
func TestRingSurvivesItsClient(t *testing.T) {
	for _, width := range []int{1, 300} { // rows that are copied, rows that are gathered in their place
		t.Run(fmt.Sprintf("%d features", width), func(t *testing.T) { ringSurvives(t, width) })
	}
}

// featuresOf reads an Arrow IPC file with Arrow's own reader.
func featuresOf(t *testing.T, file []byte) []float32 {
	f, err := ipc.NewFileReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	rec, err := f.Record(0)
	if err != nil {
		t.Fatal(err)
	}
	row, err := arrowrec.View(rec, 0)
	if err != nil {
		t.Fatal(err)
	}
	return row.Features
}

func ringSurvives(t *testing.T, width int) {
	memory := &budget{Allocator: memory.DefaultAllocator}
	root := t.TempDir()
	r, err := newRing(root, 2, memory)
	if err != nil {
		t.Fatal(err)
	}
	released := 0
	batches, schema, x := ringBatches(2, 100, width, &released)
	if err := r.fill(0, batches[0], schema, x); err != nil {
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
	if _, _, err := r.publish(batches[1]); err == nil {
		t.Error("publish hands out a batch that is in no slot")
	}
	k, n, err := r.publish(batches[0])
	if err != nil || k != 0 {
		t.Fatalf("publish = %d, %v, want slot 0", k, err)
	}
	file, err := a.take(k, n)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, 100*width)
	x.Gather(want, batches[0].Nodes)
	if got := featuresOf(t, file); !slices.Equal(got, want) || !slices.Equal(batches[0].Features, want) {
		t.Error("the client reads other features")
	}
	for _, c := range []struct {
		k int
		n int64
	}{{0, 1}, {-1, 1}, {2, 1}, {1, 1}, {1, -1}, {1, math.MinInt64}} {
		if _, err := a.take(c.k, c.n); err == nil {
			t.Errorf("take(%d, %d) succeeds", c.k, c.n)
		}
	}
	if any, err := r.collect(); any || err != nil || released != 0 {
		t.Errorf("collect = %t, %v and %d batches are released, want none while the client holds it", any, err, released)
	}
	if err := r.fill(1, batches[1], schema, x); err != nil {
		t.Fatal(err)
	}
	if err := r.slots[1].file.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if err := r.fill(1, batches[1], schema, x); err == nil || !strings.Contains(err.Error(), "took it away") {
		t.Errorf("write to a slot that was cut short = %v, want an error", err)
	}
	a.put(0)
	a.detach()
	if any, err := r.collect(); !any || err != nil || released != 1 {
		t.Errorf("collect = %t, %v and %d batches are released, want the one that was given back", any, err, released)
	}
	r.close()
	if n := memory.held.Load(); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

// A server waits for a client that holds everything, until it is to drain.
func TestRingIsFull(t *testing.T) {
	r, err := newRing(t.TempDir(), 2, &budget{Allocator: memory.DefaultAllocator})
	if err != nil {
		t.Fatal(err)
	}
	released := 0
	batches, schema, x := ringBatches(2, 100, 300, &released)
	for k, b := range batches {
		if err := r.room(t.Context(), t.Context()); err != nil {
			t.Errorf("room with %d slots taken = %v", k, err)
		}
		if err := r.fill(k, b, schema, x); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.publish(b); err != nil {
			t.Fatal(err)
		}
	}
	serving, drain := context.WithCancel(t.Context())
	drain()
	if err := r.room(t.Context(), serving); !errors.Is(err, errDraining) {
		t.Errorf("room = %v, want that the server drains", err)
	}
	go r.reap(t.Context())
	if _, err := r.control.WriteAt([]byte{0}, 2); err != nil {
		t.Fatal(err)
	}
	if err := r.room(t.Context(), t.Context()); err != nil {
		t.Errorf("room = %v after a slot came back", err)
	}
	r.close()
	if released != 2 {
		t.Errorf("%d batches are released in the end, want 2", released)
	}
}

// A client that holds everything and cuts the control file short ends its stream at once.
func TestRingLosesControl(t *testing.T) {
	r, err := newRing(t.TempDir(), 1, &budget{Allocator: memory.DefaultAllocator})
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	released := 0
	batches, schema, x := ringBatches(1, 100, 300, &released)
	if err := r.fill(0, batches[0], schema, x); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.publish(batches[0]); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	waited := make(chan error, 1)
	go func() { waited <- r.room(ctx, ctx) }()
	reaped := make(chan struct{})
	go func() { r.reap(ctx); close(reaped) }()
	time.Sleep(5 * time.Millisecond) // room waits for the reaper, whichever sees the file first
	if err := r.control.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; !errors.Is(err, io.EOF) {
		t.Errorf("room = %v, want an error of the control file", err)
	}
	cancel()
	<-reaped
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
