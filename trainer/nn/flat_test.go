package nn_test

import (
	"slices"
	"testing"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/nn/nntest"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Parameters lie one behind the other, trained ones first, each at a multiple of 64 bytes and with zeros
// behind it.
func TestFlat(t *testing.T) {
	b := open(t, 1)
	arena, err := b.NewArena()
	if err != nil {
		t.Fatal(err)
	}
	defer arena.Close()
	q, err := b.NewQueue()
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	builder, err := nn.NewBuilder(b, arena, 1)
	if err != nil {
		t.Fatal(err)
	}
	params := []*nn.Param{
		builder.Param("a", 3, 5, "ones"), builder.Buffer("b", 1, 17, "const:3"), builder.Param("c", 0, 4, "zeros"),
		builder.Param("d", 2, 16, "const:2"), builder.Buffer("e", 1, 1, "ones"),
	}
	if err := builder.Close(); err != nil {
		t.Fatal(err)
	}
	f := nn.FlatOf(params)
	if f == nil || !f.All(params) || f.Values.Rows != 1+2+2+1 || f.Grads.Rows != 1+2 {
		t.Fatalf("Flat %+v, want 6 rows of values and 3 of gradients", f)
	}
	if live := arena.Live(); live != 2 {
		t.Errorf("%d tensors of the arena, want 2", live)
	}
	want := slices.Concat(slices.Repeat([]float32{1}, 15), []float32{0}, slices.Repeat([]float32{2}, 32))
	if got := nntest.Download(q, f.Trained()); !slices.Equal(got, want) {
		t.Errorf("trained values %v, want %v", got, want)
	}
	want = slices.Concat(slices.Repeat([]float32{3}, 17), make([]float32, 15), []float32{1}, make([]float32, 15))
	if got := nntest.Download(q, f.Untrained()); !slices.Equal(got, want) {
		t.Errorf("untrained values %v, want %v", got, want)
	}
	for i, p := range params {
		if p.Value.Off%16 != 0 || p.Trained() && f.At(p, f.Grads) != p.Grad {
			t.Errorf("parameter %d is at element %d, its gradient %v", i, p.Value.Off, p.Grad)
		}
	}
	other := &nn.Param{Name: "f", Value: arena.Alloc(tensor.F32, 2, 2)}
	for name, c := range map[string]struct {
		params []*nn.Param
		flat   bool
	}{
		"all trained":            {[]*nn.Param{params[3], params[0], params[2]}, true},
		"not all trained":        {params[1:], false},
		"one from elsewhere":     {append(slices.Clone(params), other), false},
		"none":                   {nil, false},
		"buffers without theirs": {[]*nn.Param{params[1]}, false},
	} {
		if got := nn.FlatOf(c.params); (got != nil) != c.flat || got != nil && got.All(c.params) {
			t.Errorf("%s: FlatOf = %v, want one: %t, and not of all", name, got, c.flat)
		}
	}
}
