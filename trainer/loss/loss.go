package loss

import (
	"fmt"
	"math"
	"sort"
	"strings"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// Loss is a loss function. It holds no state.
type Loss interface {
	Name() string
	// Eval writes the weighted sum of the nodes' losses to out (1×1) and its gradient to
	// dlogits (n×C), which may be absent. weight is n×1; a node of weight 0 counts nothing
	// whatever its target. target is n×1 I32 classes or, where AcceptsMulti, n×C U8.
	Eval(q tensor.Queue, logits, target, weight, out, dlogits tensor.Tensor)
	// AcceptsMulti reports whether a node may have any number of labels: target is then
	// n×C U8 of 0 and 1 (integer classes count as their one-hot row), and a prediction is
	// every class with a positive logit instead of the class of the largest one.
	AcceptsMulti() bool
	// Uninformed returns the loss of a model that knows nothing, for the given number of
	// classes and sum of weights. Training starts near it: a start far above it means
	// wrong labels, weights or scales.
	Uninformed(classes int, weightSum float64) float64
}

var registry = map[string]Loss{"softmax": Softmax{}, "softmax_log": SoftmaxLog{}, "sigmoid": Sigmoid{}}

// Register makes l available to New. It is called from an init function and panics on a
// duplicate.
func Register(l Loss) {
	if _, dup := registry[l.Name()]; dup {
		panic("loss: " + l.Name() + " registered twice")
	}
	registry[l.Name()] = l
}

// New returns the loss of that name.
func New(name string) (Loss, error) {
	l, ok := registry[name]
	if !ok {
		return nil, fmt.Errorf("loss %q: unknown, there is %s", name, strings.Join(Names(), ", "))
	}
	return l, nil
}

// Names returns the registered losses, sorted.
func Names() []string {
	names := make([]string, 0, len(registry))
	for n := range registry {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Softmax is cross entropy over one class a node: sum_v w_v (logsumexp(z_v) - z_v[class_v]).
type Softmax struct{}

// Name returns "softmax".
func (Softmax) Name() string { return "softmax" }

// Eval implements Loss.
func (Softmax) Eval(q tensor.Queue, logits, target, weight, out, dlogits tensor.Tensor) {
	q.SoftmaxXent(logits, target, weight, out, dlogits)
}

// AcceptsMulti returns false.
func (Softmax) AcceptsMulti() bool { return false }

// Uninformed returns weightSum ln C: every class is equally likely.
func (Softmax) Uninformed(classes int, weightSum float64) float64 {
	return weightSum * math.Log(float64(classes))
}

// Sigmoid is binary cross entropy summed over classes: sum_v w_v sum_c BCE(z_v[c], t_v[c]).
type Sigmoid struct{}

// Name returns "sigmoid".
func (Sigmoid) Name() string { return "sigmoid" }

// Eval implements Loss.
func (Sigmoid) Eval(q tensor.Queue, logits, target, weight, out, dlogits tensor.Tensor) {
	q.SigmoidXent(logits, target, weight, out, dlogits)
}

// AcceptsMulti returns true.
func (Sigmoid) AcceptsMulti() bool { return true }

// Uninformed returns weightSum C ln 2: every class is a coin toss.
func (Sigmoid) Uninformed(classes int, weightSum float64) float64 {
	return weightSum * float64(classes) * math.Ln2
}
