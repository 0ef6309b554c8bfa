package trainer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/saint-gnn/saint/formats"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Model is a network with its parameters on one backend.
type Model struct {
	Seq     *nn.Sequential
	Loss    string // "softmax", "softmax_log" or "sigmoid"
	Classes int
	Backend tensor.Backend

	arena tensor.Arena // of the parameters

	// The tensors that have all parameters: one of each, where these lie one behind the other.
	values []tensor.Tensor
	grads  []tensor.Tensor // of the trained ones
	stats  []tensor.Tensor // the values of the others: running statistics

	edgeDropout float32 // share of a step's edges that are left out
	edgeRescale bool
}

// Close frees the parameters.
func (m *Model) Close() error {
	if m.arena == nil {
		return nil
	}
	return m.arena.Close()
}

// Spec translates a configuration into the description of a model for data with that many
// features and classes. The error is a *trainconfig.Error with the key's position.
func Spec(c *trainconfig.Config, features, classes int) (nn.ModelSpec, error) {
	n := c.Network
	act, err := nn.ParseAct(n.Act)
	if err != nil {
		return nn.ModelSpec{}, n.Extra.Errorf("act", "%v", err)
	}
	if kinds := kinds(); n.Layer != "" && !slices.Contains(kinds, n.Layer) {
		return nn.ModelSpec{}, n.Extra.Errorf("layer", "unknown layer %q; known are %s", n.Layer, strings.Join(kinds, ", "))
	}
	layer, err := layerKind(&n)
	if err != nil {
		return nn.ModelSpec{}, err
	}
	if c.Params.AttentionDropout > 0 && !slices.Contains(softmaxKinds, layer) {
		return nn.ModelSpec{}, c.Params.Section.Errorf("attention_dropout", "attention_dropout is for layer %s", strings.Join(softmaxKinds, " and "))
	}
	return nn.ModelSpec{
		Layer: layer, Heads: n.Attention, JK: n.JK, In: features, Dim: n.Dim, Classes: classes, Orders: n.Arch, Act: act, Aggr: n.Aggr, Bias: n.Bias,
		Dropout: float32(c.Params.Dropout), Extra: n.Extra,
		Norm: n.Norm, Residual: n.Residual, Head: n.Head, AttDropout: float32(c.Params.AttentionDropout),
		InputDropout: single(c.Params.InputDropout), Dropout2: c.Params.Dropout2,
	}, nil
}

// kinds returns the registered layers that arch can be made of, sorted.
func kinds() []string {
	return slices.DeleteFunc(nn.Names(), func(name string) bool { return name == "l2norm" || name == "jk_max_pool" })
}

// CheckModel says what is wrong with the configuration of a model for data with that many features
// and classes, without memory for one.
func CheckModel(c *trainconfig.Config, features, classes int) error {
	spec, err := Spec(c, features, classes)
	if err != nil {
		return err
	}
	var shapes nn.ShapeBuilder
	if _, err := nn.Build(spec, &shapes); err != nil {
		return modelError(c, err)
	}
	return nil
}

// single rounds an optional number.
func single(x *float64) *float32 {
	if x == nil {
		return nil
	}
	f := float32(*x)
	return &f
}

// softmaxKinds are the kinds of layers whose attention sums to 1.
var softmaxKinds = []string{"gat_softmax", "gatv2"}

// layerKind returns the registered kind of the layers: the one the configuration names, or what
// its keys of attention stand for.
func layerKind(n *trainconfig.Network) (string, error) {
	tf := n.AttentionVariant == "tf"
	switch {
	case tf && n.Attention == 0:
		return "", n.Extra.Errorf("attention_variant", "attention_variant needs attention: the number of heads")
	case tf && n.GatedAttention:
		return "", n.Extra.Errorf("attention_variant", "attention_variant tf has no gates; remove it or gated_attention")
	case n.Attention == 0:
		return n.Layer, nil
	case n.Dim%n.Attention != 0:
		return "", n.Extra.Errorf("attention", "attention is %d heads, want a divisor of dim (%d)", n.Attention, n.Dim)
	case n.Layer != "" && (tf || n.GatedAttention):
		return "", n.Extra.Errorf("layer", "layer names the kind of attention; remove it or gated_attention and attention_variant")
	case n.Layer == "high_order":
		return "", n.Extra.Errorf("layer", "layer high_order has no attention; remove one of the two keys")
	case n.Layer != "":
		return n.Layer, nil
	case n.GatedAttention:
		return "gaan", nil
	case tf:
		return "gat_tf", nil
	}
	return "gat", nil
}

// CheckLabels says whether the configuration's loss fits the data's labels: sigmoid takes
// integer labels and lists, the others integer labels alone.
func CheckLabels(c *trainconfig.Config, l *formats.Labels) error {
	if c.Network.Loss != "sigmoid" && l.IsMulti() {
		return c.Network.Extra.Errorf("loss", "loss %s needs one integer label a node, but the data has lists of labels; use loss: sigmoid", c.Network.Loss)
	}
	return nil
}

// NewModel builds the model of a configuration on a backend with initial values drawn from
// seed.
func NewModel(c *trainconfig.Config, features, classes int, b tensor.Backend, seed uint64) (*Model, error) {
	return modelIn(c, features, classes, b, seed, 0)
}

// modelIn is NewModel whose arena takes that many bytes at once, where memory is planned.
func modelIn(c *trainconfig.Config, features, classes int, b tensor.Backend, seed uint64, bytes int64) (*Model, error) {
	spec, err := Spec(c, features, classes)
	if err != nil {
		return nil, err
	}
	arena, err := b.NewArena()
	if err != nil {
		return nil, fmt.Errorf("memory of the model: %w", err)
	}
	if r, ok := arena.(tensor.Reserver); ok && bytes > 0 {
		if err := r.Reserve(bytes); err != nil {
			return nil, errors.Join(fmt.Errorf("memory of the model and the features: %w", err), arena.Close())
		}
	}
	m := &Model{
		Loss: c.Network.Loss, Classes: classes, Backend: b, arena: arena,
		edgeDropout: float32(c.Params.EdgeDropout), edgeRescale: c.Params.EdgeDropoutRescale,
	}
	builder, err := nn.NewBuilder(b, arena, seed)
	if err == nil {
		if m.Seq, err = nn.Build(spec, builder); err != nil {
			err = modelError(c, err)
		}
		err = errors.Join(err, builder.Close())
	}
	if err != nil {
		return nil, errors.Join(err, arena.Close())
	}
	m.list()
	return m, nil
}

// list finds the tensors that have all parameters.
func (m *Model) list() {
	params := m.Seq.Params()
	f := nn.FlatOf(params)
	if f != nil && f.Grads.Present() {
		m.grads = []tensor.Tensor{f.Grads}
	}
	if f != nil && f.All(params) {
		m.values = []tensor.Tensor{f.Values}
		if stats := f.Untrained(); stats.Rows > 0 {
			m.stats = []tensor.Tensor{stats}
		}
		return
	}
	for _, p := range params {
		m.values = append(m.values, p.Value)
		switch {
		case !p.Trained():
			m.stats = append(m.stats, p.Value)
		case f == nil:
			m.grads = append(m.grads, p.Grad)
		}
	}
}

// modelError says where in the configuration a layer's complaint about its specification comes
// from, as far as it does not say so itself.
func modelError(c *trainconfig.Config, err error) error {
	var placed *trainconfig.Error
	if errors.As(err, &placed) {
		return placed
	}
	return c.Network.Extra.Errorf("arch", "%v", err)
}

// NumParams returns the number of trained values.
func (m *Model) NumParams() int64 {
	var n int64
	for _, p := range m.Seq.Params() {
		if p.Trained() {
			n += int64(p.Value.Rows) * int64(p.Value.Cols)
		}
	}
	return n
}
