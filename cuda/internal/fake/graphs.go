package fake

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/saint-gnn/saint/cuda/internal/driver"
)

// capture is what a stream was given while it was being captured.
type capture struct {
	graph []work
	spent bool // a call that is not allowed has ended it
}

// add records work.
func (c *capture) add(call string, w work) error {
	if c.spent {
		return &driver.Error{Call: call, Code: driver.CaptureInvalidated, Text: "the capture has ended with an error"}
	}
	if w.kind == "" {
		w.kind = w.name
	}
	c.graph = append(c.graph, w)
	return nil
}

// spoil ends a capture with a call that is not allowed.
func (c *capture) spoil(call string, code driver.Code, text string) error {
	c.spent = true
	return &driver.Error{Call: call, Code: code, Text: text}
}

// waitCaptured does a wait that has to do with a capture, if it is one.
func (d *Device) waitCaptured(s driver.Stream, r *record) (done bool, err error) {
	const call = "cuStreamWaitEvent"
	st := d.streams[s]
	switch {
	case st == nil || r == nil:
		return false, nil
	case st.capture != nil && r.capture == st.capture:
		return true, nil // the order that there is
	case st.capture != nil:
		return true, st.capture.spoil(call, driver.CaptureIsolation, "captured work would wait for work that is not")
	case r.capture != nil:
		return true, r.capture.spoil(call, driver.CaptureIsolation, "the event was recorded in a capture, in which the stream has no part")
	}
	return false, nil
}

// BeginCapture starts collecting the stream's work.
func (d *Device) BeginCapture(s driver.Stream) error {
	const call = "cuStreamBeginCapture"
	if err := d.begin(call); err != nil {
		return err
	}
	defer d.mu.Unlock()
	st := d.streams[s]
	switch {
	case st == nil:
		return d.invalid(call, "no such stream")
	case st.capture != nil:
		return &driver.Error{Call: call, Code: driver.IllegalState, Text: "the stream is being captured"}
	}
	st.capture = &capture{}
	return nil
}

// EndCapture returns what was collected.
func (d *Device) EndCapture(s driver.Stream) (driver.Graph, error) {
	const call = "cuStreamEndCapture"
	if err := d.begin(call); err != nil {
		return 0, err
	}
	defer d.mu.Unlock()
	st := d.streams[s]
	switch {
	case st == nil:
		return 0, d.invalid(call, "no such stream")
	case st.capture == nil:
		return 0, &driver.Error{Call: call, Code: driver.IllegalState, Text: "the stream is not being captured"}
	}
	c := st.capture
	st.capture = nil
	if c.spent {
		return 0, &driver.Error{Call: call, Code: driver.CaptureInvalidated, Text: "the capture has ended with an error"}
	}
	h := driver.Graph(d.handle())
	d.graphs[h] = c.graph
	return h, nil
}

// Capturing reports whether a stream is being captured.
func (d *Device) Capturing(s driver.Stream) (bool, error) {
	const call = "cuStreamIsCapturing"
	if err := d.begin(call); err != nil {
		return false, err
	}
	defer d.mu.Unlock()
	if d.streams[s] == nil {
		return false, d.invalid(call, "no such stream")
	}
	return d.streams[s].capture != nil, nil
}

// graph returns the work of a graph; d is locked if there is no error.
func (d *Device) graph(call string, g driver.Graph) ([]work, error) {
	if err := d.begin(call); err != nil {
		return nil, err
	}
	all, ok := d.graphs[g]
	if !ok {
		d.mu.Unlock()
		return nil, d.invalid(call, "no such graph")
	}
	return all, nil
}

// Nodes returns how much was collected.
func (d *Device) Nodes(g driver.Graph) (int, error) {
	all, err := d.graph("cuGraphGetNodes", g)
	if err != nil {
		return 0, err
	}
	defer d.mu.Unlock()
	return len(all), nil
}

// Instantiate makes a graph ready to run.
func (d *Device) Instantiate(g driver.Graph) (driver.Executable, error) {
	all, err := d.graph("cuGraphInstantiate", g)
	if err != nil {
		return 0, err
	}
	defer d.mu.Unlock()
	h := driver.Executable(d.handle())
	d.ready[h] = all
	return h, nil
}

// UpdateGraph makes x do what g does, if g has nodes of the same kinds.
func (d *Device) UpdateGraph(x driver.Executable, g driver.Graph) (bool, error) {
	const call = "cuGraphExecUpdate"
	all, err := d.graph(call, g)
	if err != nil {
		return false, err
	}
	defer d.mu.Unlock()
	old, ok := d.ready[x]
	if !ok {
		return false, d.invalid(call, "no such executable graph")
	}
	if !slices.EqualFunc(old, all, func(a, b work) bool { return a.kind == b.kind }) {
		return false, nil
	}
	d.ready[x] = all
	return true, nil
}

// LaunchGraph adds a graph's work to the stream.
func (d *Device) LaunchGraph(x driver.Executable, s driver.Stream) error {
	const call = "cuGraphLaunch"
	if err := d.begin(call); err != nil {
		return err
	}
	defer d.mu.Unlock()
	all, ok := d.ready[x]
	switch {
	case !ok:
		return d.invalid(call, "no such executable graph")
	case d.streams[s] != nil && d.streams[s].capture != nil:
		return d.streams[s].capture.spoil(call, driver.StreamCaptured, "graphs within graphs are not modelled")
	}
	for _, w := range all {
		if err := d.add(call, s, w); err != nil {
			return err
		}
	}
	return nil
}

// DestroyGraph forgets a graph.
func (d *Device) DestroyGraph(g driver.Graph) error {
	if _, err := d.graph("cuGraphDestroy", g); err != nil {
		return err
	}
	defer d.mu.Unlock()
	delete(d.graphs, g)
	return nil
}

// DestroyExecutable forgets an executable graph; what was launched runs.
func (d *Device) DestroyExecutable(x driver.Executable) error {
	const call = "cuGraphExecDestroy"
	if err := d.begin(call); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if _, ok := d.ready[x]; !ok {
		return d.invalid(call, "no such executable graph")
	}
	delete(d.ready, x)
	return nil
}

// productKind is what the driver does not exchange in a product of that size: a library has other
// kernels for other sizes.
func productKind(g *driver.Product) string {
	return fmt.Sprintf("product %d", bits.Len(uint(g.M*g.N*g.K))/3)
}

// parts says whether a product is cut into several along k, which is one more thing that a graph does.
func parts(g *driver.Product) bool { return g.K >= 256 && g.M*g.N <= 1024 }
