package cuda

import (
	"errors"
	"fmt"
	"sync"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/cuda/kernels"
)

// code is the kernels that a backend has loaded. The driver compiles a family when it is loaded, unless it
// finds on disk what it made of it before.
type code struct {
	mu        sync.Mutex
	families  map[string]*family
	functions map[kernel]driver.Function
	preparing sync.WaitGroup
}

// family is the kernels of one file.
type family struct {
	mu     sync.Mutex // held while it is loaded
	module driver.Module
	loaded bool
}

// usual are the families that most networks train with.
var usual = []string{"columns", "gather", "loss", "map", "norm", "reduce", "rows", "spmm", "unit", "update"}

// Prepare begins to load the kernels that most networks train with, and returns at once: the first time
// that a machine sees them the driver compiles for a second or two, which may pass while data is read.
func (b *Backend) Prepare() {
	names := usual
	if b.lib.name == "" {
		names = append([]string{"gemm"}, names...)
	}
	for _, name := range names {
		b.code.preparing.Go(func() {
			_, _ = b.module(name) // who needs it meets the same error
		})
	}
}

// function returns a kernel, which the driver compiles when the first of its family is asked for.
func (b *Backend) function(k kernel) (driver.Function, error) {
	c := &b.code
	c.mu.Lock()
	f, ok := c.functions[k]
	c.mu.Unlock()
	if ok {
		return f, nil
	}
	m, err := b.module(k.family)
	if err != nil {
		return 0, err
	}
	if f, err = b.dev.Function(m, k.name); err != nil {
		return 0, fmt.Errorf("cuda: kernel %s: %w", k.name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.functions == nil {
		c.functions = map[kernel]driver.Function{}
	}
	c.functions[k] = f
	return f, nil
}

// module returns a family, loaded once.
func (b *Backend) module(name string) (driver.Module, error) {
	c := &b.code
	c.mu.Lock()
	if c.families == nil {
		c.families = map[string]*family{}
	}
	f := c.families[name]
	if f == nil {
		f = &family{}
		c.families[name] = f
	}
	c.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.loaded {
		return f.module, nil
	}
	m, err := b.dev.LoadModule(kernels.PTX(name))
	if err != nil {
		return 0, fmt.Errorf("cuda: kernels of %s: %w", name, err)
	}
	f.module, f.loaded = m, true
	return m, nil
}

// close waits for Prepare and unloads everything.
func (c *code) close(dev driver.Device) error {
	c.preparing.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, f := range c.families {
		if f.loaded {
			errs = append(errs, dev.UnloadModule(f.module))
		}
	}
	clear(c.families)
	clear(c.functions)
	return errors.Join(errs...)
}
