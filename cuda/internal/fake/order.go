package fake

import (
	"unsafe"

	"github.com/saint-gnn/saint/cuda/internal/driver"
)

// lose ends the context: every later call fails with err.
func (d *Device) lose(err error) {
	if d.lost == nil {
		d.lost = err
	}
}

// queue adds work to a stream, or to the graph that captures it.
func (d *Device) queue(call string, s driver.Stream, run func() error) error {
	return d.add(call, s, work{name: call, run: run})
}

func (d *Device) add(call string, s driver.Stream, w work) error {
	st := d.streams[s]
	switch {
	case st == nil:
		return d.invalid(call, "no such stream")
	case st.capture != nil:
		return st.capture.add(call, w)
	}
	st.queue = append(st.queue, w)
	if d.driver.options.Eager {
		return d.advance(st, nil)
	}
	return d.drift()
}

// drift runs what Options.Order lets run now.
func (d *Device) drift() error {
	o := d.driver.options.Order
	if o == Late {
		return nil
	}
	streams := d.order()
	for more := true; more; {
		more = false
		for _, h := range streams {
			s := d.streams[h]
			if len(s.queue) == 0 || !d.drifts(o, s.queue[0]) {
				continue
			}
			if err := d.runFirst(s); err != nil {
				return err
			}
			more = true
		}
	}
	return nil
}

// drifts reports whether work that is the first of its stream runs though nobody waits for it.
func (d *Device) drifts(o Order, w work) bool {
	switch {
	case w.wait:
		return w.record == nil || w.record.done
	case w.record != nil:
		return true
	case o == Shuffled:
		d.driver.mu.Lock()
		defer d.driver.mu.Unlock()
		return d.driver.random.IntN(3) == 0
	}
	return w.copies == (o == CopiesFirst)
}

// pending returns the work that will read or write host memory which begins in b, if there is any.
func (d *Device) pending(b []byte) string {
	first, last := uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&b[len(b)-1]))
	for _, s := range d.streams {
		for _, w := range s.queue {
			if len(w.host) == 0 {
				continue
			}
			if at := uintptr(unsafe.Pointer(&w.host[0])); first <= at && at <= last {
				return w.name
			}
		}
	}
	return ""
}

// advance runs the work of a stream, up to a record if one is given. What a wait waits for runs
// before it, and no more of that stream.
func (d *Device) advance(s *stream, upTo *record) error {
	if s.stuck && d.lost == nil {
		return errForever
	}
	for len(s.queue) > 0 && d.lost == nil && (upTo == nil || !upTo.done) {
		if err := d.runFirst(s); err != nil {
			return err
		}
	}
	return d.lost
}

// errForever is what waiting for a stream returns that waits for a device which never comes.
var errForever = &driver.Error{Call: "cuStreamSynchronize", Code: driver.LaunchFailed, Text: "this would wait for ever"}

// runFirst runs the first work of a stream.
func (d *Device) runFirst(s *stream) error {
	w := s.queue[0]
	if w.wait && w.record != nil && !w.record.done {
		if err := d.advance(w.record.stream, w.record); err != nil {
			return err
		}
	}
	s.queue = s.queue[1:]
	switch {
	case w.wait:
	case w.record != nil:
		d.clock += 0.001
		w.record.done, w.record.at = true, d.clock
	default:
		if err := w.run(); err != nil {
			d.lose(err)
		}
	}
	return d.lost
}

// NewStream makes a stream.
func (d *Device) NewStream() (driver.Stream, error) {
	if err := d.begin("cuStreamCreate"); err != nil {
		return 0, err
	}
	defer d.mu.Unlock()
	h := driver.Stream(d.handle())
	d.streams[h] = &stream{}
	return h, nil
}

// DestroyStream runs what the stream still has to do and forgets it.
func (d *Device) DestroyStream(s driver.Stream) error {
	if err := d.begin("cuStreamDestroy"); err != nil {
		return err
	}
	defer d.mu.Unlock()
	st := d.streams[s]
	if st == nil {
		return d.invalid("cuStreamDestroy", "no such stream")
	}
	err := d.advance(st, nil)
	delete(d.streams, s)
	return err
}

// SyncStream runs the stream's work.
func (d *Device) SyncStream(s driver.Stream) error {
	if err := d.begin("cuStreamSynchronize"); err != nil {
		return err
	}
	defer d.mu.Unlock()
	st := d.streams[s]
	switch {
	case st == nil:
		return d.invalid("cuStreamSynchronize", "no such stream")
	case st.capture != nil:
		return st.capture.spoil("cuStreamSynchronize", driver.StreamCaptured, "the stream is being captured")
	}
	return d.advance(st, nil)
}

// NewEvent makes an event.
func (d *Device) NewEvent(timing bool) (driver.Event, error) {
	if err := d.begin("cuEventCreate"); err != nil {
		return 0, err
	}
	defer d.mu.Unlock()
	h := driver.Event(d.handle())
	d.events[h] = &event{timing: timing}
	return h, nil
}

// DestroyEvent forgets an event; waits for its records stay.
func (d *Device) DestroyEvent(e driver.Event) error {
	if err := d.begin("cuEventDestroy"); err != nil {
		return err
	}
	defer d.mu.Unlock()
	if d.events[e] == nil {
		return d.invalid("cuEventDestroy", "no such event")
	}
	delete(d.events, e)
	return nil
}

// Record notes how far the stream is.
func (d *Device) Record(e driver.Event, s driver.Stream) error {
	if err := d.begin("cuEventRecord"); err != nil {
		return err
	}
	defer d.mu.Unlock()
	ev := d.events[e]
	if ev == nil || d.streams[s] == nil {
		return d.invalid("cuEventRecord", "no such event or stream")
	}
	ev.last, ev.asked = &record{stream: d.streams[s], capture: d.streams[s].capture}, 0
	if ev.last.capture != nil {
		return nil // what follows it does so anyway
	}
	return d.add("cuEventRecord", s, work{name: "cuEventRecord", record: ev.last})
}

// Wait makes the stream wait for the event's last record, if there is one.
func (d *Device) Wait(s driver.Stream, e driver.Event) error {
	if err := d.begin("cuStreamWaitEvent"); err != nil {
		return err
	}
	defer d.mu.Unlock()
	ev := d.events[e]
	if ev == nil {
		return d.invalid("cuStreamWaitEvent", "no such event")
	}
	if done, err := d.waitCaptured(s, ev.last); done || err != nil {
		return err
	}
	return d.add("cuStreamWaitEvent", s, work{name: "cuStreamWaitEvent", record: ev.last, wait: true})
}

// SyncEvent runs what is before the event's last record.
func (d *Device) SyncEvent(e driver.Event) error {
	if err := d.begin("cuEventSynchronize"); err != nil {
		return err
	}
	defer d.mu.Unlock()
	ev := d.events[e]
	switch {
	case ev == nil:
		return d.invalid("cuEventSynchronize", "no such event")
	case ev.last == nil:
		return nil
	case ev.last.capture != nil:
		return ev.last.capture.spoil("cuEventSynchronize", driver.CapturedEvent, "the event was recorded in a capture")
	}
	return d.advance(ev.last.stream, ev.last)
}

// Done reports whether the event's last record has been reached.
func (d *Device) Done(e driver.Event) (bool, error) {
	if err := d.begin("cuEventQuery"); err != nil {
		return false, err
	}
	defer d.mu.Unlock()
	ev := d.events[e]
	if ev == nil {
		return false, d.invalid("cuEventQuery", "no such event")
	}
	if ev.last != nil && ev.last.capture != nil {
		return false, ev.last.capture.spoil("cuEventQuery", driver.CapturedEvent, "the event was recorded in a capture")
	}
	if ev.last == nil || ev.last.done || ev.last.stream.stuck {
		return ev.last == nil || ev.last.done, d.lost
	}
	if ev.asked++; ev.asked < 2 {
		return false, nil
	}
	err := d.advance(ev.last.stream, ev.last) // time passes: who goes on asking finds it done
	if err == errForever {                    //nolint:errorlint // it is returned as it is
		err = nil
	}
	return false, err
}

// Elapsed gives a microsecond for every record in between.
func (d *Device) Elapsed(from, to driver.Event) (float32, error) {
	if err := d.begin("cuEventElapsedTime"); err != nil {
		return 0, err
	}
	defer d.mu.Unlock()
	a, b := d.events[from], d.events[to]
	switch {
	case a == nil || b == nil || !a.timing || !b.timing || a.last == nil || b.last == nil:
		return 0, d.invalid("cuEventElapsedTime", "events without times")
	case !a.last.done || !b.last.done:
		return 0, &driver.Error{Call: "cuEventElapsedTime", Code: driver.NotReady, Text: "device not ready"}
	}
	return b.last.at - a.last.at, nil
}
