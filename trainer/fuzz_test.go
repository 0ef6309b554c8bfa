package trainer

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/formats/synth"
)

// FuzzRestore resumes from a state checkpoint with any position, and any bytes in place of one
// of its tensors: it is refused by an error that says what is wrong, or the run has exactly
// that state, and saves and restores it again.
func FuzzRestore(f *testing.F) {
	p := synth.Preset{
		Name: "fuzz", Nodes: 30, Edges: 60, Features: 2, Classes: 2, Train: 60, Val: 20, Communities: 2, Within: 0.8, Tail: 30, Cut: 1e-2, Signal: 0.6,
	}
	dir := newDir(f)
	conf := parse(f, yaml("dim: 2; arch: '1-0'; act: relu; loss: softmax", "lr: 0.02; dropout: 0; weight_decay: 0; sample_coverage: 3", "end: 3; sampler: rw; num_root: 5; depth: 2"))
	r, err := newRun(Options{Data: generate(f, p), Config: conf, Backend: backend(f, 1), Seed: 1, Workers: 1, Dir: dir})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(r.close)
	if err := r.save(); err != nil {
		f.Fatal(err)
	}
	good, position := readState(f, dir.StatePath())
	f.Add([]byte(position), uint8(255), uint8(0), uint8(0), "F32", []byte{})
	f.Add([]byte(strings.Replace(position, `"epoch":0`, `"epoch":2`, 1)), uint8(0), uint8(good[0].Shape[0]), uint8(good[0].Shape[1]), "F32", good[0].Data)
	f.Add([]byte(strings.Replace(position, `"in_step":0`, `"in_step":1,"has_best":true,"best":1`, 1)), uint8(1), uint8(0), uint8(4), "F16", []byte{0, 60, 0, 124})
	f.Add([]byte("null"), uint8(2), uint8(1), uint8(1), "I64", make([]byte, 8))
	f.Fuzz(func(t *testing.T, position []byte, which, rows, cols uint8, dtype string, data []byte) {
		tensors := slices.Clone(good)
		if int(which) < len(tensors) {
			tensors[which] = safetensors.Tensor{Name: tensors[which].Name, DType: safetensors.DType(dtype), Shape: []int{int(rows), int(cols)}, Data: data}
		}
		m := map[string]string{"saint.state": string(position)}
		os.Remove(dir.StatePath())
		if err := safetensors.WriteFile(dir.StatePath(), tensors, m); err != nil {
			return // no such tensor can be written
		}
		if err := r.restore(); err != nil {
			var bad *formats.InputError
			var other *MismatchError
			if !errors.As(err, &bad) && !errors.As(err, &other) || !strings.HasPrefix(err.Error(), dir.StatePath()) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %q, want one of one line about %s", err, dir.StatePath())
			}
			return
		}
		st := r.state
		if st.Epoch < 0 || st.Epoch > r.Until || st.Done {
			t.Fatalf("restored to %+v", st)
		}
		checkRestored(t, r, tensors)
		if err := errors.Join(r.save(), r.restore()); err != nil {
			t.Fatal(err)
		}
		st.Times, r.Times = Times{}, Times{}
		if !reflect.DeepEqual(r.state, st) {
			t.Fatalf("saved and restored: %+v, want %+v", r.state, st)
		}
	})
}

// readState returns the tensors and the position of a state checkpoint.
func readState(f *testing.F, path string) (tensors []safetensors.Tensor, position string) {
	f.Helper()
	file, err := safetensors.Open(path)
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	for _, name := range file.Names() {
		x, err := file.Tensor(name)
		if err != nil {
			f.Fatal(err)
		}
		x.Data = slices.Clone(x.Data)
		tensors = append(tensors, x)
	}
	return tensors, file.Metadata()["saint.state"]
}

// checkRestored compares parameters and the state of the optimizer with the file's.
func checkRestored(t *testing.T, r *run, file []safetensors.Tensor) {
	t.Helper()
	ts, err := download(r.stepper.q, nil, r.model.Seq.Params(), nil)
	for _, n := range r.opt.State() {
		if err != nil {
			break
		}
		if ts, err = download(r.stepper.q, ts, nil, &n.Value); err == nil {
			ts[len(ts)-1].Name = n.Name
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range ts {
		want := file[slices.IndexFunc(file, func(y safetensors.Tensor) bool { return y.Name == x.Name })]
		a, errA := x.Float32s()
		b, errB := want.Float32s()
		if errA != nil || errB != nil || !slices.Equal(a, b) {
			t.Fatalf("tensor %s is %v, want %v (%v, %v)", x.Name, a, b, errA, errB)
		}
	}
}
