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
	Loss    string // "softmax" or "sigmoid"
	Classes int
	Backend tensor.Backend

	arena tensor.Arena // of the parameters
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
	for _, later := range []struct {
		key string
		set bool
	}{{"attention", n.Attention > 0}, {"jk", n.JK != ""}} {
		if later.set {
			return nn.ModelSpec{}, n.Extra.Errorf(later.key, "%s is read but cannot be trained by this version yet; remove the key or use a configuration without it", later.key)
		}
	}
	act, err := nn.ParseAct(n.Act)
	if err != nil {
		return nn.ModelSpec{}, n.Extra.Errorf("act", "%v", err)
	}
	if n.Layer != "" && !slices.Contains(nn.Names(), n.Layer) {
		return nn.ModelSpec{}, n.Extra.Errorf("layer", "unknown layer %q; known are %s", n.Layer, strings.Join(nn.Names(), ", "))
	}
	return nn.ModelSpec{
		Layer: n.Layer, In: features, Dim: n.Dim, Classes: classes, Orders: n.Arch, Act: act, Aggr: n.Aggr, Bias: n.Bias,
		Dropout: float32(c.Params.Dropout), Extra: n.Extra,
	}, nil
}

// CheckLabels says whether the configuration's loss fits the data's labels: softmax needs
// integer labels; sigmoid takes both kinds.
func CheckLabels(c *trainconfig.Config, l *formats.Labels) error {
	if c.Network.Loss == "softmax" && l.IsMulti() {
		return c.Network.Extra.Errorf("loss", "loss softmax needs one integer label a node, but the data has lists of labels; use loss: sigmoid")
	}
	return nil
}

// NewModel builds the model of a configuration on a backend with initial values drawn from
// seed.
func NewModel(c *trainconfig.Config, features, classes int, b tensor.Backend, seed uint64) (*Model, error) {
	spec, err := Spec(c, features, classes)
	if err != nil {
		return nil, err
	}
	arena, err := b.NewArena()
	if err != nil {
		return nil, fmt.Errorf("memory of the model: %w", err)
	}
	m := &Model{Loss: c.Network.Loss, Classes: classes, Backend: b, arena: arena}
	builder, err := nn.NewBuilder(b, arena, seed)
	if err == nil {
		m.Seq, err = nn.Build(spec, builder)
		err = errors.Join(err, builder.Close())
	}
	if err != nil {
		return nil, errors.Join(err, arena.Close())
	}
	return m, nil
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
