package cuda

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// A kernel that fails, or a device that is gone, ends training in one line, wherever in it that
// happens, and leaves every file that was written whole.
func TestTrainingLost(t *testing.T) {
	d := graph(t, false)
	options := func(drv *fake.Driver, dir *rundir.Dir) trainer.Options {
		b, err := openOn(drv, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.part = 1 << 18
		t.Cleanup(func() { b.Close() })
		c := parse(t, "dim: 8; arch: '1-0'; act: relu", "lr: 0.01; dropout: 0.1", "end: 1; sampler: rw; num_root: 20; depth: 1")
		return trainer.Options{
			Data: d, Config: c, Backend: b, Seed: 1, Workers: 1, EvalTrainEvery: 1, Dir: dir, CheckpointEvery: time.Nanosecond,
		}
	}
	newDir := func() *rundir.Dir {
		dir, err := rundir.Create(filepath.Join(t.TempDir(), "run"), rundir.Info{State: rundir.Running}, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	whole := fake.New(fake.Options{})
	o := options(whole, newDir())
	opened, calls := whole.Calls(), 0
	o.OnEpoch = func(trainer.Epoch) error { // what fails when all is closed is nobody's loss
		calls = whole.Calls() - opened
		return nil
	}
	if _, err := trainer.Train(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	parts := 12
	if testing.Short() {
		parts = 4
	}
	saved := 0
	for part := range parts {
		k := 1 + part*calls/parts
		drv, dir := fake.New(fake.Options{}), newDir()
		o := options(drv, dir)
		drv.FailCall(k, driver.IllegalAddress)
		_, err := trainer.Train(context.Background(), o)
		if name := drv.Failed(); err == nil && (name == "cuMemHostAlloc" || name == "cuMemFreeHost") {
			continue // there is other memory; where a device is lost, the next call says so
		}
		var lost *tensor.LostError
		if !errors.As(err, &lost) || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "step") {
			t.Errorf("call %d of %d (%s) fails, Train = %v, want one line that says where the device was lost", k, calls, drv.Failed(), err)
		}
		saved += readable(t, dir.StatePath(), dir.LastPath(), dir.BestPath())
	}
	if saved == 0 {
		t.Error("no file was written before a failure")
	}
}

// readable reads the files that are there and returns how many.
func readable(t *testing.T, paths ...string) (n int) {
	t.Helper()
	for _, path := range paths {
		f, err := safetensors.Open(path)
		if err != nil {
			continue
		}
		n++
		for _, name := range f.Names() {
			if _, err := f.Tensor(name); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
		f.Close()
	}
	return n
}

func TestTrainingOutOfMemory(t *testing.T) {
	d := graph(t, false)
	c := parse(t, "dim: 64; arch: '1-0'; act: relu", "lr: 0.01; dropout: 0.1", "end: 1; sampler: rw; num_root: 20; depth: 1")
	for _, memory := range []int64{4 << 10, 48 << 10, 100 << 10, 150 << 10} {
		if testing.Short() && memory > 48<<10 {
			continue
		}
		b, err := openOn(fake.New(fake.Options{Memory: memory}), 0)
		if err != nil {
			t.Fatal(err)
		}
		b.part = 1 << 12
		_, err = trainer.Train(context.Background(), trainer.Options{Data: d, Config: c, Backend: b, Seed: 1, Workers: 1})
		var few *tensor.OutOfMemoryError
		if !errors.As(err, &few) || few.Total != memory || few.Asked <= 0 || few.Free > memory || strings.Contains(err.Error(), "\n") {
			t.Errorf("with %d bytes, Train = %v, want one line that says what there was", memory, err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A loss that is not finite is told a step later than on the CPU, with the same words: the steps in between
// have changed nothing.
func TestTrainingNotFinite(t *testing.T) {
	d := graph(t, false)
	for _, params := range []string{"lr: 1.0e+30; dropout: 0", "lr: 1.0e+30; dropout: 0.2; optimizer: sgd"} {
		if testing.Short() && strings.Contains(params, "sgd") {
			continue
		}
		message := func(b tensor.Backend) string {
			_, err := trainer.Train(context.Background(), trainer.Options{
				Data: d, Backend: b, Seed: 1, Workers: 1, EvalTrainEvery: 3,
				Config: parse(t, "dim: 8; arch: '1-0'; act: relu", params, "end: 9; sampler: rw; num_root: 8; depth: 1"),
			})
			if !errors.Is(err, trainer.ErrNotFinite) {
				t.Fatalf("Train = %v, want one that wraps ErrNotFinite", err)
			}
			return err.Error()
		}
		drv := fake.New(fake.Options{Order: fake.Shuffled})
		b, err := openOn(drv, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.part = 1 << 16
		got, want := message(b), message(cpuBackend(t))
		if got != want {
			t.Errorf("Train = %q, want %q as on the CPU", got, want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
