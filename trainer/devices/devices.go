// Package devices makes the devices of this build known to tensor.Open. It is for programs
// outside this module, which cannot import the backends themselves:
//
//	import _ "github.com/saint-gnn/saint/trainer/devices"
//
// The names registered are "cpu" and "cpu64", the CPU in double precision.
package devices

import (
	_ "github.com/saint-gnn/saint/internal/cpu"   // registers itself
	_ "github.com/saint-gnn/saint/internal/cpu64" // likewise
)
