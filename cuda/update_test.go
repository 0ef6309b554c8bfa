package cuda

import (
	"fmt"
	"testing"

	"github.com/saint-gnn/saint/cuda/internal/fake"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/optim"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// An update is as many launches for a model of many parameters as for one of a single one: the norm is set
// to 0 and summed up in two, and one updates all; weight decay is one more.
func TestLaunchesOfAnUpdate(t *testing.T) {
	b, err := openOn(fake.New(fake.Options{}), 0)
	if err != nil {
		t.Fatal(err)
	}
	b.part = 1 << 16
	r := newRig(t, b)
	for _, many := range []int{1, 9} {
		for _, decay := range []float64{0, 0.1} {
			builder, err := nn.NewBuilder(b, r.a, 1)
			if err != nil {
				t.Fatal(err)
			}
			var params []*nn.Param
			for i := range many {
				params = append(params, builder.Param(fmt.Sprint(i), 3, 5+i, "ones"), builder.Buffer(fmt.Sprint("b", i), 1, 3, "zeros"))
			}
			if err := builder.Close(); err != nil {
				t.Fatal(err)
			}
			common := optim.Common{LR: 0.1, WeightDecay: decay, Clip: 1, ClipBy: optim.ClipNorm}
			want := int64(4)
			if decay > 0 {
				want++
			}
			adam, err := optim.NewAdam(optim.AdamConfig{Common: common, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8}, r.a, r.q, params)
			r.wantLaunches(t, "adam", adam, err, params, want)
			sgd, err := optim.NewSGD(optim.SGDConfig{Common: common, Momentum: 0.9}, r.a, r.q, params)
			r.wantLaunches(t, "sgd", sgd, err, params, want)
			rms, err := optim.NewRMSProp(optim.RMSPropConfig{Common: common, Alpha: 0.9, Eps: 1e-8, Momentum: 0.5}, r.a, r.q, params)
			r.wantLaunches(t, "rmsprop", rms, err, params, want)
		}
	}
}

func (r *rig) wantLaunches(t *testing.T, what string, o optim.Optimizer, err error, params []*nn.Param, want int64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	before := r.b.(tensor.Counter).Counters()
	if err := o.Step(r.q, params); err != nil {
		t.Fatal(err)
	}
	if err := r.q.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := r.b.(tensor.Counter).Counters().Sub(before).Launches; got != want {
		t.Errorf("%s of %d parameters: %d launches, want %d", what, len(params)/2, got, want)
	}
}
