//go:build cuda && linux && (amd64 || arm64)

package driver

import (
	"runtime"
	"unsafe"

	"gorgonia.org/cu"

	"github.com/saint-gnn/saint/cuda/internal/culoader"
)

// realDevice is a primary context. The driver keeps the current context for each thread and
// goroutines wander between threads, so every call makes it current first.
type realDevice struct {
	device     cu.Device
	ctx        cu.CUContext
	properties Properties
}

// The binding's handles are structs of one pointer, which the entries that it lacks need as such.
func pointer[H any](h H) unsafe.Pointer {
	const size = unsafe.Sizeof(uintptr(0))
	if unsafe.Sizeof(h) != size {
		panic("driver: a handle of gorgonia.org/cu is not one pointer")
	}
	return *(*unsafe.Pointer)(unsafe.Pointer(&h))
}

func handle[H any](p uintptr) (h H) {
	*(*uintptr)(unsafe.Pointer(&h)) = p
	return h
}

// opaque makes the driver's handle a pointer for C; it never points to Go memory.
func opaque(h uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&h)) }

func stream(s Stream) cu.Stream { return handle[cu.Stream](uintptr(s)) }

func event(e Event) cu.Event { return handle[cu.Event](uintptr(e)) }

// do runs f with the context current.
func (d *realDevice) do(call string, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cu.SetCurrentContext(d.ctx); err != nil {
		return wrap("cuCtxSetCurrent", err)
	}
	return wrap(call, f())
}

func (d *realDevice) Properties() Properties { return d.properties }

func (d *realDevice) MemInfo() (free, total int64, err error) {
	err = d.do("cuMemGetInfo", func() (err error) { free, total, err = cu.MemInfo(); return err })
	return free, total, err
}

func (d *realDevice) Sync() error { return d.do("cuCtxSynchronize", cu.Synchronize) }

func (d *realDevice) Close() error {
	return wrap("cuDevicePrimaryCtxRelease", d.device.ReleasePrimaryCtx())
}

func (d *realDevice) LoadModule(ptx string) (m Module, err error) {
	log := ""
	err = d.allocate("cuModuleLoadDataEx", func() error {
		mod, words, n := culoader.LoadModule(ptx)
		m, log = Module(uintptr(mod)), words
		return number(n)
	})
	if e, ok := err.(*Error); ok && log != "" { //nolint:errorlint // do makes it, nobody wraps it
		e.Text += ": " + log
	}
	return m, err
}

func (d *realDevice) UnloadModule(m Module) error {
	return d.allocate("cuModuleUnload", func() error { return handle[cu.Module](uintptr(m)).Unload() })
}

func (d *realDevice) Function(m Module, name string) (f Function, err error) {
	err = d.allocate("cuModuleGetFunction", func() error {
		fn, err := handle[cu.Module](uintptr(m)).Function(name)
		f = Function(uintptr(pointer(fn)))
		return err
	})
	return f, err
}

func (d *realDevice) FunctionInfo(f Function) (info FunctionInfo, err error) {
	err = d.do("cuFuncGetAttribute", func() error {
		fn := handle[cu.Function](uintptr(f))
		for _, a := range []struct {
			attr cu.FunctionAttribute
			to   *int
		}{
			{cu.NumRegs, &info.Registers},
			{cu.SharedSizeBytes, &info.SharedStatic},
			{cu.LocalSizeBytes, &info.Local},
			{cu.FnMaxThreadsPerBlock, &info.MaxThreads},
		} {
			v, err := fn.Attribute(a.attr)
			if err != nil {
				return err
			}
			*a.to = v
		}
		return nil
	})
	return info, err
}

func (d *realDevice) SetMaxDynamicShared(f Function, bytes int) error {
	return d.do("cuFuncSetAttribute", func() error {
		return number(culoader.SetMaxDynamicShared(opaque(uintptr(f)), bytes))
	})
}

func (d *realDevice) Launch(f Function, g Geometry, s Stream, args []uint64) error {
	geometry := [7]uint32{g.Grid.X, g.Grid.Y, g.Grid.Z, g.Block.X, g.Block.Y, g.Block.Z, g.Shared}
	if n := culoader.Launch(pointer(d.ctx), opaque(uintptr(f)), &geometry, opaque(uintptr(s)), args); n != 0 {
		return wrap("cuLaunchKernel", number(n))
	}
	return nil
}

func (d *realDevice) NewStream() (s Stream, err error) {
	err = d.do("cuStreamCreate", func() error {
		made, err := cu.MakeStream(cu.NonBlocking)
		s = Stream(uintptr(pointer(made)))
		return err
	})
	return s, err
}

func (d *realDevice) DestroyStream(s Stream) error {
	return d.do("cuStreamDestroy", func() error { h := stream(s); return h.Destroy() })
}

func (d *realDevice) SyncStream(s Stream) error {
	return d.do("cuStreamSynchronize", func() error { return stream(s).Synchronize() })
}

func (d *realDevice) NewEvent(timing bool) (e Event, err error) {
	flags := cu.DisableTiming
	if timing {
		flags = cu.DefaultEvent
	}
	err = d.do("cuEventCreate", func() error {
		made, err := cu.MakeEvent(flags)
		e = Event(uintptr(pointer(made)))
		return err
	})
	return e, err
}

func (d *realDevice) DestroyEvent(e Event) error {
	return d.do("cuEventDestroy", func() error { h := event(e); return cu.DestroyEvent(&h) })
}

func (d *realDevice) Record(e Event, s Stream) error {
	return d.do("cuEventRecord", func() error { return event(e).Record(stream(s)) })
}

func (d *realDevice) Wait(s Stream, e Event) error {
	return d.do("cuStreamWaitEvent", func() error { return stream(s).Wait(event(e), 0) })
}

func (d *realDevice) SyncEvent(e Event) error {
	return d.do("cuEventSynchronize", func() error { return event(e).Synchronize() })
}

func (d *realDevice) Done(e Event) (bool, error) {
	err := d.do("cuEventQuery", func() error { return event(e).Query() })
	if hasCode(err, NotReady) {
		return false, nil
	}
	return err == nil, err
}

func (d *realDevice) Elapsed(from, to Event) (ms float32, err error) {
	err = d.do("cuEventElapsedTime", func() error {
		v, err := event(from).Elapsed(event(to))
		ms = float32(v)
		return err
	})
	return ms, err
}

func (d *realDevice) BeginCapture(s Stream) error {
	return d.do("cuStreamBeginCapture", func() error { return number(culoader.BeginCapture(opaque(uintptr(s)))) })
}

func (d *realDevice) EndCapture(s Stream) (g Graph, err error) {
	err = d.do("cuStreamEndCapture", func() error {
		graph, n := culoader.EndCapture(opaque(uintptr(s)))
		g = Graph(uintptr(graph))
		return number(n)
	})
	return g, err
}

func (d *realDevice) Capturing(s Stream) (capturing bool, err error) {
	err = d.do("cuStreamIsCapturing", func() error {
		status, n := culoader.CaptureStatus(opaque(uintptr(s)))
		capturing = status != 0
		return number(n)
	})
	return capturing, err
}

func (d *realDevice) Nodes(g Graph) (count int, err error) {
	err = d.do("cuGraphGetNodes", func() error {
		nodes, n := culoader.GraphNodes(opaque(uintptr(g)))
		count = nodes
		return number(n)
	})
	return count, err
}

func (d *realDevice) Instantiate(g Graph) (x Executable, err error) {
	err = d.allocate("cuGraphInstantiate", func() error {
		exec, n := culoader.InstantiateGraph(opaque(uintptr(g)))
		x = Executable(uintptr(exec))
		return number(n)
	})
	return x, err
}

func (d *realDevice) UpdateGraph(x Executable, g Graph) (bool, error) {
	err := d.allocate("cuGraphExecUpdate", func() error { return number(culoader.UpdateGraph(opaque(uintptr(x)), opaque(uintptr(g)))) })
	if hasCode(err, UpdateRefused) {
		return false, nil
	}
	return err == nil, err
}

func (d *realDevice) LaunchGraph(x Executable, s Stream) error {
	return d.allocate("cuGraphLaunch", func() error {
		return number(culoader.LaunchGraph(opaque(uintptr(x)), opaque(uintptr(s))))
	})
}

func (d *realDevice) DestroyGraph(g Graph) error {
	return d.do("cuGraphDestroy", func() error { return number(culoader.DestroyGraph(opaque(uintptr(g)))) })
}

func (d *realDevice) DestroyExecutable(x Executable) error {
	return d.allocate("cuGraphExecDestroy", func() error { return number(culoader.DestroyExecutable(opaque(uintptr(x)))) })
}
