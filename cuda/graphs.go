package cuda

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/saint-gnn/saint/cuda/internal/driver"
)

const (
	// recordedLeast is the number of launches from which a graph is made of them.
	recordedLeast = 4
	// shapeOfNothing is what the hash of a step's launches begins with.
	shapeOfNothing = 14695981039346656037
	// maxExecutables is how many executable graphs a queue keeps.
	maxExecutables = 8
	// maxTries is how many of them are tried for a step.
	maxTries = 3
)

// recorder has the launches of a step until they are given to the stream as one graph. They are
// written down on the host first and captured when all are there, so that whatever a step does between
// them, taking memory for instance, is done outside of the capture; and if the driver does not want the
// graph, the same launches go to the stream one by one.
type recorder struct {
	wanted  bool
	open    bool // between Ready and End of the queue's copies
	refused error

	launches []recorded
	args     []uint64
	products []driver.Product
	blocks   uint64       // of all launches
	shape    uint64       // a hash of what is launched
	graph    driver.Graph // captured; 0 between steps
	ready    []executable // the one used last is the last
}

// recorded is a launch of a kernel, or a product of the library.
type recorded struct {
	name     string
	function driver.Function // 0: a product
	geometry driver.Geometry
	at, end  int // of its arguments; at is the product's number
}

// executable is a graph that is ready to run.
type executable struct {
	key executableKey
	x   driver.Executable
}

// executableKey says for which steps a graph may be made to fit: such as have the same kernels, as many
// things to do (a product of the library may be several), and about the same size, because the library
// has other kernels for other sizes, which the driver may not exchange.
type executableKey struct {
	shape  uint64
	nodes  int
	bucket int // of the number of blocks: a power of two
}

// errCapturing means that a capture could not be ended: the stream is of no use any more.
var errCapturing = errors.New("a capture could not be ended")

// Record says whether what comes between Ready and End of the queue's copies is given to the device as
// one graph from now on.
func (q *Queue) Record(on bool) {
	q.flush()
	q.recorder.wanted, q.recorder.open = on, false
}

// Refused says why the driver does not want graphs, nil if it does.
func (q *Queue) Refused() error { return q.recorder.refused }

// begin starts recording, if that is wanted.
func (r *recorder) begin() {
	r.open = r.wanted && r.refused == nil
	r.forget()
}

// kernel writes a launch down.
func (r *recorder) kernel(name string, f driver.Function, g driver.Geometry, args []uint64) {
	at := len(r.args)
	r.args = append(r.args, args...)
	r.add(recorded{name: name, function: f, geometry: g, at: at, end: len(r.args)})
	r.blocks += g.Grid.Count()
}

// product writes a product down.
func (r *recorder) product(p *driver.Product) {
	r.products = append(r.products, *p)
	r.add(recorded{name: "Gemm", at: len(r.products) - 1})
}

func (r *recorder) add(l recorded) {
	r.launches = append(r.launches, l)
	const prime = 1099511628211 // of the hash by Fowler, Noll and Vo
	r.shape = (r.shape ^ uint64(l.function)) * prime
}

// key is the key of what was recorded, which is a graph of that many nodes.
func (r *recorder) key(nodes int) executableKey {
	return executableKey{shape: r.shape, nodes: nodes, bucket: bits.Len64(r.blocks)}
}

// forget forgets what was recorded.
func (r *recorder) forget() {
	r.launches, r.args, r.products = r.launches[:0], r.args[:0], r.products[:0]
	r.blocks, r.shape = 0, shapeOfNothing
}

// flush gives the stream what was recorded. It comes before everything else that the stream is given,
// or that waits for it.
func (q *Queue) flush() {
	q.settle()
	r := &q.recorder
	if len(r.launches) == 0 {
		return
	}
	defer r.forget()
	if q.err != nil {
		return
	}
	if r.refused == nil && len(r.launches) >= recordedLeast {
		err := q.launchGraph()
		switch {
		case err == nil:
			return
		case driver.Lost(err) || errors.Is(err, errCapturing):
			q.fail(fmt.Errorf("cuda: graph of a step: %w", err))
			return
		}
		r.refused, r.open = fmt.Errorf("cuda: graph of a step: %w", err), false
		_ = q.dropGraphs() // Close tries again
	}
	for i := range r.launches {
		if err := q.give(&r.launches[i]); err != nil {
			q.fail(fmt.Errorf("cuda: %s: %w", r.launches[i].name, err))
			return
		}
	}
}

// give gives the stream one launch.
func (q *Queue) give(l *recorded) error {
	r := &q.recorder
	if l.function == 0 {
		return q.multiplier.products.Gemm(&r.products[l.at])
	}
	return q.dev.Launch(l.function, l.geometry, q.stream, r.args[l.at:l.end])
}

// launchGraph gives the stream all launches as a graph. After an error it has got none of them.
func (q *Queue) launchGraph() error {
	if err := q.capture(); err != nil {
		return err
	}
	x, err := q.executable()
	if err := errors.Join(err, q.dropGraph()); err != nil {
		return err
	}
	if err := q.dev.LaunchGraph(x, q.stream); err != nil {
		return err
	}
	q.b.count.graphs.Add(1)
	return nil
}

// capture makes a graph of the launches. While it does, nobody waits for the whole device, which a
// driver does not allow.
func (q *Queue) capture() error {
	q.b.capturing.Lock()
	defer q.b.capturing.Unlock()
	if err := q.dev.BeginCapture(q.stream); err != nil {
		return err
	}
	var failed error
	for i := range q.recorder.launches {
		l := &q.recorder.launches[i]
		if err := q.give(l); err != nil {
			failed = fmt.Errorf("%s: %w", l.name, err)
			break
		}
	}
	err := q.endCapture()
	if failed == nil || errors.Is(err, errCapturing) {
		return err
	}
	return failed // the cause of what ending says
}

// endCapture ends a capture, whatever the first try says.
func (q *Queue) endCapture() (err error) {
	r := &q.recorder
	if r.graph, err = q.dev.EndCapture(q.stream); err == nil {
		return nil
	}
	on, again := q.dev.Capturing(q.stream)
	if on && again == nil {
		r.graph, again = q.dev.EndCapture(q.stream)
	}
	if again != nil {
		return fmt.Errorf("%w: %w", errCapturing, again)
	}
	return err
}

// executable returns an executable graph that does what the captured one does: one that was made for a
// step like this, or a new one.
func (q *Queue) executable() (driver.Executable, error) {
	r := &q.recorder
	nodes, err := q.dev.Nodes(r.graph)
	if err != nil {
		return 0, err
	}
	key := r.key(nodes)
	for i, tries := len(r.ready)-1, 0; i >= 0 && tries < maxTries; i-- {
		e := r.ready[i]
		if e.key != key {
			continue
		}
		tries++
		// What the driver refuses it leaves as it is: the next step may be like that again.
		fits, err := q.dev.UpdateGraph(e.x, r.graph)
		if err != nil {
			return 0, err
		}
		if fits {
			r.ready = append(slices.Delete(r.ready, i, i+1), e)
			return e.x, nil
		}
	}
	for len(r.ready) >= maxExecutables {
		if err := q.dropExecutable(0); err != nil {
			return 0, err
		}
	}
	x, err := q.dev.Instantiate(r.graph)
	if err != nil {
		return 0, err
	}
	q.b.count.executables.Add(1)
	r.ready = append(r.ready, executable{key, x})
	return x, nil
}

// dropExecutable destroys an executable graph, which ends a launch that runs before.
func (q *Queue) dropExecutable(i int) error {
	r := &q.recorder
	if err := q.dev.DestroyExecutable(r.ready[i].x); err != nil {
		return err
	}
	r.ready = slices.Delete(r.ready, i, i+1)
	return nil
}

// dropGraph destroys the captured graph; what was made of it stays.
func (q *Queue) dropGraph() error {
	r := &q.recorder
	if r.graph == 0 {
		return nil
	}
	if err := q.dev.DestroyGraph(r.graph); err != nil {
		return err
	}
	r.graph = 0
	return nil
}

// dropGraphs destroys all graphs. What cannot be destroyed is left for the next time.
func (q *Queue) dropGraphs() error {
	errs := []error{q.dropGraph()}
	for i := len(q.recorder.ready) - 1; i >= 0; i-- {
		errs = append(errs, q.dropExecutable(i))
	}
	return errors.Join(errs...)
}
