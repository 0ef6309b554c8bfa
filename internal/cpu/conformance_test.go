package cpu_test

import (
	"testing"

	"github.com/saint-gnn/saint/internal/cpu"
	"github.com/saint-gnn/saint/trainer/tensor"
	"github.com/saint-gnn/saint/trainer/tensor/tensortest"
)

func TestConformance(t *testing.T) {
	tensortest.Run(t, func(o tensor.Options) (tensor.Backend, error) { return tensor.Open(cpu.Name, o) })
}
