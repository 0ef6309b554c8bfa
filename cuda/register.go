//go:build cuda || cudafake

package cuda

import "github.com/saint-gnn/saint/trainer/tensor"

func init() { tensor.Register(Name, Open) }
