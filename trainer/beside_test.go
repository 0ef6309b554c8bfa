package trainer

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// Validating on another device while training goes on leaves the files and scores of validating on
// the same one.
func TestBesideIsTheSame(t *testing.T) {
	for _, params := range []string{runParams, runParams + "; patience: 2"} {
		l := newLab(t)
		l.conf = yaml(runNetwork, params, runPhases)
		want, wantRes := l.first()
		dir := newDir(t)
		o := l.options(dir)
		o.EvalBackend = discrete{backend(t, 1)}
		res := l.train(o)
		l.same("validation beside training", dir, want, res, wantRes)
	}
}

// A run that is interrupted while a validation is under way has it nevertheless, and goes on as if
// nothing had happened.
func TestBesideInterrupted(t *testing.T) {
	l := newLab(t)
	want, wantRes := l.first()
	dir := newDir(t)
	other := backend(t, 1)
	for stops := 0; ; stops++ {
		ctx, cancel := context.WithCancel(context.Background())
		o := l.options(dir)
		o.EvalBackend, o.Resume = other, stops > 0
		steps := 0
		o.OnStep = func(StepReport) {
			if steps++; steps == 3 {
				cancel()
			}
		}
		res, err := Train(ctx, o)
		cancel()
		if err == nil {
			if stops < 2 {
				t.Errorf("the run was interrupted %d times, want more", stops)
			}
			l.same("interrupted validation beside training", dir, want, res, wantRes)
			return
		}
		if !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
	}
}

// An error of training ends a validation under way.
func TestBesideFails(t *testing.T) {
	l := newLab(t)
	o := l.options(nil)
	o.EvalBackend = backend(t, 1)
	bad := errors.New("not this one")
	o.OnTrain = func(e Epoch) error {
		if e.Epoch == 1 {
			return bad
		}
		return nil
	}
	if _, err := Train(context.Background(), o); !errors.Is(err, bad) {
		t.Errorf("Train = %v, want %v", err, bad)
	}
}

func TestPlainly(t *testing.T) {
	few := &tensor.OutOfMemoryError{Device: "cuda:0", Asked: 100 << 20, Held: 1 << 30, Free: 1 << 20, Total: 2 << 30, Err: errors.New("driver")}
	lost := &tensor.LostError{Device: "cuda:0", Err: errors.New("CUDA error 700")}
	other := errors.New("other")
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.Join(other, few), "epoch 1: out of memory on cuda:0: 100 MiB asked for, 1024 MiB held, 1024 KiB of 2048 MiB free"},
		{errors.Join(few, lost, other), "epoch 1: cuda:0 is lost: CUDA error 700"},
		{other, "other"},
	} {
		if got := plainly("epoch 1", c.err); got.Error() != c.want || strings.Contains(got.Error(), "\n") {
			t.Errorf("plainly(%q) = %q, want %q", c.err, got, c.want)
		}
	}
}
