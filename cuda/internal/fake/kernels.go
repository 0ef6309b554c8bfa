package fake

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/internal/ptx"
)

// launched has the names of the kernels that any device of the process was given.
var launched sync.Map

// parsed has the modules of every text: tests open many devices, and a module never changes.
var parsed sync.Map

// Launched returns the names of the kernels that were launched in this process, on any device: what
// a package's tests have covered.
func Launched() map[string]bool {
	names := map[string]bool{}
	launched.Range(func(name, _ any) bool {
		names[name.(string)] = true
		return true
	})
	return names
}

// LoadModule parses PTX.
func (d *Device) LoadModule(text string) (driver.Module, error) {
	if err := d.begin("cuModuleLoadData"); err != nil {
		return 0, err
	}
	defer d.mu.Unlock()
	m, ok := parsed.Load(text)
	if !ok {
		var err error
		if m, err = ptx.Parse(text); err != nil {
			return 0, d.invalid("cuModuleLoadData", err.Error())
		}
		parsed.Store(text, m)
	}
	h := driver.Module(d.handle())
	d.modules[h] = m.(*ptx.Module)
	return h, nil
}

// UnloadModule forgets a module and its functions.
func (d *Device) UnloadModule(m driver.Module) error {
	if err := d.begin("cuModuleUnload"); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if d.modules[m] == nil {
		return d.invalid("cuModuleUnload", "no such module")
	}
	delete(d.modules, m)
	for h, f := range d.functions {
		if f.module == m {
			delete(d.functions, h)
		}
	}
	return nil
}

// Function returns a kernel.
func (d *Device) Function(m driver.Module, name string) (driver.Function, error) {
	const call = "cuModuleGetFunction"
	if err := d.begin(call); err != nil {
		return 0, err
	}
	defer d.mu.Unlock()
	mod := d.modules[m]
	if mod == nil {
		return 0, d.invalid(call, "no such module")
	}
	k := mod.Kernel(name)
	if k == nil {
		return 0, &driver.Error{Call: call, Code: driver.NotFound, Text: "named symbol not found"}
	}
	h := driver.Function(d.handle())
	d.functions[h] = &function{m, k}
	return h, nil
}

// FunctionInfo knows only the shared memory.
func (d *Device) FunctionInfo(f driver.Function) (driver.FunctionInfo, error) {
	if err := d.begin("cuFuncGetAttribute"); err != nil {
		return driver.FunctionInfo{}, err
	}
	defer d.mu.Unlock()
	fn := d.functions[f]
	if fn == nil {
		return driver.FunctionInfo{}, d.invalid("cuFuncGetAttribute", "no such function")
	}
	info := driver.FunctionInfo{SharedStatic: fn.kernel.Shared, MaxThreads: 1024}
	if fn.kernel.MaxThreads > 0 {
		info.MaxThreads = fn.kernel.MaxThreads
	}
	return info, nil
}

// SetMaxDynamicShared accepts what the properties say.
func (d *Device) SetMaxDynamicShared(f driver.Function, bytes int) error {
	if err := d.begin("cuFuncSetAttribute"); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if d.functions[f] == nil || bytes < 0 || bytes > d.Properties().SharedOptIn {
		return d.invalid("cuFuncSetAttribute", "no such function, or too much memory")
	}
	return nil
}

// reverse says in which order the next kernel's blocks and warps run.
func (d *Device) reverse() bool {
	d.kernels++
	o := &d.driver.options
	return o.Reverse != (o.Alternate && d.kernels%2 == 0)
}

// unsaidThreads is how many threads fit the registers of a multiprocessor, whatever a kernel takes of them.
const unsaidThreads = 256

// Launch queues a kernel.
func (d *Device) Launch(f driver.Function, g driver.Geometry, s driver.Stream, args []uint64) error {
	const call = "cuLaunchKernel"
	if err := d.begin(call); err != nil {
		return err
	}
	defer d.mu.Unlock()
	fn := d.functions[f]
	if fn == nil {
		return d.invalid(call, "no such function")
	}
	if len(args) != len(fn.kernel.ParamSizes) {
		return d.invalid(call, fn.kernel.Name+" has another number of parameters")
	}
	// With so many threads, and up to 255 registers for each, a kernel that does not say how many it has may not fit.
	if n := g.Block.Count(); n > unsaidThreads && uint64(fn.kernel.MaxThreads) < n {
		return d.invalid(call, fmt.Sprintf("%s is launched with %d threads, for which it is not compiled", fn.kernel.Name, n))
	}
	launched.Store(fn.kernel.Name, true)
	l := ptx.Launch{
		Grid: [3]uint32{g.Grid.X, g.Grid.Y, g.Grid.Z}, Block: [3]uint32{g.Block.X, g.Block.Y, g.Block.Z},
		Shared: int(g.Shared), Args: slices.Clone(args), Reverse: d.reverse(), Workers: d.driver.options.Workers,
	}
	if l.Grid[0] == 0 || l.Grid[1] == 0 || l.Grid[2] == 0 {
		return d.invalid(call, fn.kernel.Name+" is launched with an empty grid")
	}
	return d.queue(call, s, func() error {
		err := fn.kernel.Run(d.mem, l)
		var fault *ptx.Fault
		switch {
		case errors.As(err, &fault):
			return &driver.Error{Call: call, Code: driver.IllegalAddress, Text: err.Error()}
		case err != nil:
			return &driver.Error{Call: call, Code: driver.LaunchFailed, Text: err.Error()}
		}
		return nil
	})
}
