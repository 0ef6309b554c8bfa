package cuda

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
)

// A run that is interrupted while a step is under way on the device, and then goes on, ends in the files
// of one that nobody interrupted; every step is told once.
func TestTrainingInterrupted(t *testing.T) {
	cases := []interruptible{
		{t, "a step ahead", "dim: 4; arch: '1-0'; act: relu", "lr: 0.05; dropout: 0.1; eval_val_every: 9", "num_root: 8", 1},
		// The second outcome is told when the third update has its second subgraph.
		{t, "accumulating", "dim: 4; arch: '1-0'; act: relu; norm: batch", "lr: 0.05; dropout: 0.1; eval_val_every: 9; accumulate: 3", "num_root: 3", 2},
	}
	if testing.Short() {
		cases = cases[:1]
	}
	for _, c := range cases {
		whole, parts := runFolder(t), runFolder(t)
		want, err := c.run(whole, -1, false)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got, err := c.run(parts, c.after, false)
		if !errors.Is(err, trainer.ErrInterrupted) {
			t.Fatalf("%s: Train = %v, want that it was interrupted", c.name, err)
		}
		rest, err := c.run(parts, -1, true)
		if err != nil {
			t.Fatalf("%s: resumed: %v", c.name, err)
		}
		if all := append(got, rest...); !slices.Equal(all, want) || len(rest) == 0 {
			t.Errorf("%s: steps %v and then %v, want %v", c.name, got, rest, want)
		}
		if !bytes.Equal(mustRead(t, parts.BestPath()), mustRead(t, whole.BestPath())) || !bytes.Equal(mustRead(t, parts.LastPath()), mustRead(t, whole.LastPath())) {
			t.Errorf("%s: parameters differ from those of a run that was not interrupted", c.name)
		}
	}
}

// interruptible is a run on a GPU that is not there.
type interruptible struct {
	t                            *testing.T
	name, network, params, roots string
	after                        int // steps that are told before it is interrupted
}

// run trains, until so many steps were told.
func (c interruptible) run(dir *rundir.Dir, after int, resume bool) (steps []uint64, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	drv := fake.New(fake.Options{Order: fake.Shuffled, Seed: 3})
	b, err := openOn(drv, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	b.part = 1 << 16
	_, err = trainer.Train(ctx, trainer.Options{
		Data: graph(c.t, false), Backend: b, EvalBackend: cpuBackend(c.t), Seed: 1, Workers: 1, EvalTrainEvery: 2, Dir: dir, Resume: resume,
		Config: parse(c.t, c.network, c.params, "end: 1; sampler: rw; depth: 1; "+c.roots),
		OnStep: func(s trainer.StepReport) {
			if steps = append(steps, s.Step); len(steps) == after {
				cancel()
			}
		},
	})
	if e := b.Close(); e != nil {
		c.t.Error(e)
	}
	if n, pinned := drv.Memory(0).Live(), drv.Pinned(0); n != 0 || pinned != 0 {
		c.t.Errorf("%s: %d allocations and %d pieces of host memory are left", c.name, n, pinned)
	}
	return steps, err
}

func runFolder(t *testing.T) *rundir.Dir {
	t.Helper()
	dir, err := rundir.Create(filepath.Join(t.TempDir(), "run"), rundir.Info{State: rundir.Running}, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
