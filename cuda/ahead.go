package cuda

import (
	"encoding/binary"
	"fmt"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// marks is how many marks may be out.
const marks = 8

// marking is what a queue has of its marks: an event each, and what kernels had found wrong with data
// by then.
type marking struct {
	next   tensor.Mark
	events [marks]driver.Event
	found  []byte // page-locked; a report for each
	has    [marks]bool
	lent   [marks]int // of the queue's borrowed.total
}

// Mark notes how far the queue is.
func (q *Queue) Mark() tensor.Mark {
	k := &q.marking
	m := k.next
	k.next++
	if q.flush(); q.err == nil {
		q.fail(q.mark(int(m % marks)))
	}
	return m
}

func (q *Queue) mark(slot int) (err error) {
	k := &q.marking
	k.lent[slot] = q.borrowed.total
	if k.found == nil {
		if k.found, err = q.dev.AllocHost(marks * faultBytes); err != nil {
			return err
		}
	}
	if k.events[slot] == 0 {
		if k.events[slot], err = q.dev.NewEvent(false); err != nil {
			return err
		}
	}
	if k.has[slot] = q.checked; q.checked {
		q.b.count.download(faultBytes)
		if err := q.dev.Download(k.report(slot), q.fault, q.stream); err != nil {
			return err
		}
	}
	return q.dev.Record(k.events[slot], q.stream)
}

func (k *marking) report(slot int) []byte { return k.found[slot*faultBytes : (slot+1)*faultBytes] }

// Reached waits until the work before the mark is done.
func (q *Queue) Reached(m tensor.Mark) error {
	if q.err != nil {
		return q.err
	}
	slot := int(m % marks)
	q.b.count.waits.Add(1)
	if err := q.waitFor(q.marking.events[slot]); err != nil {
		q.fail(fmt.Errorf("cuda: %w", err))
		return q.err
	}
	q.borrowed.drop(q.marking.lent[slot])
	if q.marking.has[slot] {
		q.fail(faultOf(q.marking.report(slot)))
	}
	return q.err
}

// waitFor waits for an event of the queue.
func (q *Queue) waitFor(e driver.Event) error {
	if q.group != nil {
		return q.group.await(q, e)
	}
	return q.dev.SyncEvent(e)
}

// faultOf reads what kernels found wrong with data.
func faultOf(found []byte) error {
	op := int32(binary.LittleEndian.Uint32(found))
	if op == 0 {
		return nil
	}
	row, value := int32(binary.LittleEndian.Uint32(found[4:])), int32(binary.LittleEndian.Uint32(found[8:]))
	what := "class"
	if op == reportGather {
		what = "index"
	}
	return fmt.Errorf("cuda: %s: %s %d of row %d is outside the other operand", reports[op], what, value, row)
}

// close frees what marks took; the stream has nothing left to do.
func (k *marking) close(dev driver.Device) (errs []error) {
	for _, e := range k.events {
		if e != 0 {
			errs = append(errs, dev.DestroyEvent(e))
		}
	}
	if k.found != nil {
		errs = append(errs, dev.FreeHost(k.found))
	}
	return errs
}

// Watch computes seen = loss, norm and whether one of them, now or before, was not finite.
func (q *Queue) Watch(loss, norm, seen tensor.Tensor) {
	const op = "Watch"
	want(op, "loss", loss, tensor.F32, 1, 1)
	want(op, "norm", norm, tensor.F32, 1, 1)
	want(op, "seen", seen, tensor.F32, 1, 3)
	if q.ready(loss, norm, seen) {
		q.launch(kernel{"update", "watch"}, dim(1, 1), 1, q.with().row(loss, norm, seen))
	}
}

// Hold makes updates do nothing where held is not 0.
func (q *Queue) Hold(held tensor.Tensor) {
	if held.Present() {
		want("Hold", "held", held, tensor.F32, 1, 1)
	}
	q.held = held
}
