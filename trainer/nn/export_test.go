package nn

import "github.com/saint-gnn/saint/trainer/tensor"

// RegisterBlock makes blocks around layers of a kind known as name, for the contract of layers.
func RegisterBlock(name, kind, norm, residual string) {
	if _, done := factories[name]; done {
		return // a test that runs again
	}
	Register(name, func(b Builder, s Spec) (Layer, error) {
		m := ModelSpec{Norm: norm, Residual: residual, Act: s.Act, Bias: s.Bias}
		if err := checkBlock(&m); err != nil {
			return nil, err
		}
		s.Act = tensor.Identity
		l, err := New(kind, b, s)
		if err != nil {
			return nil, err
		}
		return newBlock(b, s.Name, s.In, l, &m), nil
	})
}
