package nn

import (
	"fmt"
	"sort"
	"strings"

	"github.com/saint-gnn/saint/trainer/tensor"
)

var factories = map[string]Factory{}

// Register makes a kind of layer available to New under name. It is called from an init
// function and panics on a duplicate.
func Register(name string, f Factory) {
	if _, dup := factories[name]; dup {
		panic("nn: layer " + name + " registered twice")
	}
	factories[name] = f
}

// New builds the layer registered as name. The error names what is wrong with s.
func New(name string, b Builder, s Spec) (Layer, error) {
	f, ok := factories[name]
	if !ok {
		return nil, fmt.Errorf("layer %q: unknown, there is %s", name, strings.Join(Names(), ", "))
	}
	l, err := f(b, s)
	if err != nil {
		return nil, fmt.Errorf("layer %s (%s): %w", s.Name, name, err)
	}
	return l, nil
}

// Names returns the registered kinds of layers, sorted.
func Names() []string {
	names := make([]string, 0, len(factories))
	for n := range factories {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// ParseAct returns the activation function of a configuration: "I", "relu" or "leaky_relu".
func ParseAct(name string) (tensor.Act, error) {
	switch name {
	case "I":
		return tensor.Identity, nil
	case "relu":
		return tensor.ReLU, nil
	case "leaky_relu":
		return tensor.LeakyReLU, nil
	}
	return 0, fmt.Errorf("act %q: unknown, there is I, leaky_relu, relu", name)
}
