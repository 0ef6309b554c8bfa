package cuda

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/saint-gnn/saint/cuda/internal/driver"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// setAlign is what the tensors of a set begin at a multiple of, and setLeast the least memory of one.
const (
	setAlign = 256
	setLeast = 1 << 16
)

// Copies is a tensor.Copies: copies on a stream of their own.
//
// Three orders have to hold. The queue's kernels read a set when it is there: they wait for the event
// copied. A set is overwritten when kernels have read it: copies wait for the event read. The host
// overwrites its own page-locked memory when it has been copied: it waits for the event copied, which
// was two sets ago.
type Copies struct {
	q      *Queue
	b      *Backend
	dev    driver.Device
	stream driver.Stream
	sets   [2]set
	turn   int
	begun  bool // without End
	most   int64
}

// set is the memory that the arrays of a step have.
type set struct {
	device       []piece
	host         []hostPiece
	bytes        int64 // put since Begin
	copied, read driver.Event
	isCopied     bool // copied was recorded
	isRead       bool // read was recorded
	staged       bool // host is in use up to copied
}

// piece is memory of the device, of which the first used bytes are taken.
type piece struct {
	mem        *memory
	size, used int64
}

// hostPiece is memory of the host.
type hostPiece struct {
	at     []byte
	used   int64
	locked bool // page-locked
}

// NewCopies returns copies for a queue of this backend.
func (b *Backend) NewCopies(q tensor.Queue) (tensor.Copies, error) {
	own, ok := q.(*Queue)
	if !ok || own.b != b {
		return nil, errors.New("cuda: copies for a queue of another backend")
	}
	c := &Copies{q: own, b: b, dev: b.dev}
	if err := c.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("cuda: new copies: %w", b.explain(err)), c.Close())
	}
	return c, nil
}

func (c *Copies) open() (err error) {
	if c.stream, err = c.dev.NewStream(); err != nil {
		return err
	}
	for i := range c.sets {
		for _, e := range []*driver.Event{&c.sets[i].copied, &c.sets[i].read} {
			if *e, err = c.dev.NewEvent(false); err != nil {
				return err
			}
		}
	}
	return nil
}

// Begin starts a set in the memory of the one before the last.
func (c *Copies) Begin() {
	if c.q.err == nil {
		c.q.fail(c.begin())
	}
}

func (c *Copies) begin() error {
	s := &c.sets[c.turn]
	if c.begun {
		// The set was given up half-way: nobody says when it has been used.
		c.q.flush()
		if err := errors.Join(c.Sync(), c.dev.Record(s.read, c.q.stream)); err != nil {
			return err
		}
		s.isRead, s.staged = true, false
	}
	c.begun = true
	if s.isRead {
		if err := c.dev.Wait(c.stream, s.read); err != nil {
			return err
		}
	}
	if s.staged {
		c.b.count.waits.Add(1)
		if err := c.dev.SyncEvent(s.copied); err != nil {
			return err
		}
		s.staged = false
	}
	s.bytes = 0
	return errors.Join(c.joinDevice(s), c.joinHost(s))
}

// joinDevice makes one piece of a set that has grown.
func (c *Copies) joinDevice(s *set) error {
	if len(s.device) < 2 {
		for i := range s.device {
			s.device[i].used = 0
		}
		return nil
	}
	if s.isRead {
		c.b.count.waits.Add(1)
		if err := c.dev.SyncEvent(s.read); err != nil {
			return err
		}
	}
	var total int64
	for len(s.device) > 0 {
		last := len(s.device) - 1
		if err := c.b.give(s.device[last].mem.base, s.device[last].size); err != nil {
			return err
		}
		total += s.device[last].size
		s.device = s.device[:last]
	}
	return c.grow(s, total)
}

// joinHost is joinDevice for the memory of the host, which nobody reads.
func (c *Copies) joinHost(s *set) error {
	if len(s.host) < 2 {
		for i := range s.host {
			s.host[i].used = 0
		}
		return nil
	}
	total := 0
	for len(s.host) > 0 {
		last := len(s.host) - 1
		total += len(s.host[last].at)
		if s.host[last].locked {
			if err := c.dev.FreeHost(s.host[last].at); err != nil {
				return err
			}
		}
		s.host = s.host[:last]
	}
	c.growHost(s, int64(total))
	return nil
}

// grow adds memory to a set.
func (c *Copies) grow(s *set, bytes int64) error {
	p, err := c.b.take(bytes)
	if err == nil {
		s.device = append(s.device, piece{mem: &memory{p}, size: bytes})
	}
	return err
}

// growHost adds memory of the host: page-locked, as long as there is any.
func (c *Copies) growHost(s *set, bytes int64) {
	p, err := c.dev.AllocHost(bytes)
	if driver.Lost(err) {
		c.q.fail(err)
	}
	if err != nil {
		c.b.count.pageable.Add(bytes)
		p = make([]byte, bytes)
	}
	s.host = append(s.host, hostPiece{at: p, locked: err == nil})
}

// Put queues a copy of src.
func (c *Copies) Put(dt tensor.DType, rows, cols int, src []byte) tensor.Tensor {
	t := tensor.Tensor{Mem: noMemory, Rows: rows, Cols: cols, Stride: cols, Type: dt, ID: ids.Add(1)}
	if t.Bytes() != int64(len(src)) {
		panic(&tensor.ShapeError{Op: "Put", Got: fmt.Sprintf("%d bytes", len(src)), Want: t.String()})
	}
	if c.q.err != nil {
		return t
	}
	p, err := c.place(int64(len(src)))
	if err != nil {
		c.q.fail(fmt.Errorf("cuda: memory of a step's arrays: %w", err))
		return t
	}
	t.Mem, t.Off = p.mem, p.used/dt.Size()
	if len(src) > 0 {
		at := p.mem.base + driver.Ptr(p.used)
		p.used += (int64(len(src)) + setAlign - 1) &^ (setAlign - 1)
		c.b.count.upload(int64(len(src)))
		c.q.fail(c.dev.Upload(at, c.stage(src), c.stream))
	}
	return t
}

// place returns a piece of the running set that has room for so many bytes.
func (c *Copies) place(bytes int64) (*piece, error) {
	s := &c.sets[c.turn]
	need := max((bytes+setAlign-1)&^(setAlign-1), setAlign)
	s.bytes += need
	c.most = max(c.most, s.bytes)
	for i := range s.device {
		if p := &s.device[i]; p.size-p.used >= need {
			return p, nil
		}
	}
	if err := c.grow(s, max(need, setLeast, s.bytes/4&^(setAlign-1))); err != nil {
		return nil, err
	}
	return &s.device[len(s.device)-1], nil
}

// stage returns memory that has src and stays as it is until it has been copied.
func (c *Copies) stage(src []byte) []byte {
	if c.b.pinned(src) {
		return src
	}
	s := &c.sets[c.turn]
	s.staged = true
	for i := range s.host {
		if p := &s.host[i]; int64(len(p.at))-p.used >= int64(len(src)) {
			return p.put(src)
		}
	}
	c.growHost(s, max(int64(len(src))+setAlign, setLeast))
	return s.host[len(s.host)-1].put(src)
}

// put copies src behind what the piece has.
func (p *hostPiece) put(src []byte) []byte {
	dst := p.at[p.used : p.used+int64(len(src)) : p.used+int64(len(src))]
	copy(dst, src)
	p.used = min((p.used+int64(len(src))+setAlign-1)&^(setAlign-1), int64(len(p.at)))
	return dst
}

// Ready makes the queue wait for what was put.
func (c *Copies) Ready() {
	if c.q.flush(); c.q.err != nil {
		return
	}
	s := &c.sets[c.turn]
	c.q.fail(c.dev.Record(s.copied, c.stream))
	if c.q.err == nil {
		s.isCopied = true
		c.q.fail(c.dev.Wait(c.q.stream, s.copied))
	}
	c.q.recorder.begin()
}

// End says that the queue was given everything that uses the set.
func (c *Copies) End() {
	c.q.flush()
	if c.q.recorder.open = false; c.q.err != nil {
		return
	}
	s := &c.sets[c.turn]
	c.q.fail(c.dev.Record(s.read, c.q.stream))
	s.isRead, c.begun = true, false
	c.turn = 1 - c.turn
}

// Reserve takes memory for two sets of that many bytes.
func (c *Copies) Reserve(bytes int64) error {
	for i := range c.sets {
		s := &c.sets[i]
		if bytes == 0 || len(s.device) == 1 && s.device[0].size >= bytes {
			continue
		}
		for len(s.device) > 0 {
			last := len(s.device) - 1
			if err := c.b.give(s.device[last].mem.base, s.device[last].size); err != nil {
				return err
			}
			s.device = s.device[:last]
		}
		if err := c.grow(s, bytes); err != nil {
			return fmt.Errorf("memory of steps' arrays: %w", err)
		}
	}
	return nil
}

// Sync waits for all copies.
func (c *Copies) Sync() error {
	if c.stream == 0 {
		return nil
	}
	c.b.count.waits.Add(1)
	return c.b.explain(c.dev.SyncStream(c.stream))
}

// Close waits for all copies and frees the memory.
func (c *Copies) Close() error {
	errs := []error{c.Sync()}
	for i := range c.sets {
		s := &c.sets[i]
		for _, p := range s.device {
			errs = append(errs, c.b.give(p.mem.base, p.size))
		}
		for _, p := range s.host {
			if p.locked {
				errs = append(errs, c.dev.FreeHost(p.at))
			}
		}
		for _, e := range []driver.Event{s.copied, s.read} {
			if e != 0 {
				errs = append(errs, c.dev.DestroyEvent(e))
			}
		}
	}
	if c.stream != 0 {
		errs = append(errs, c.dev.DestroyStream(c.stream))
	}
	*c = Copies{q: c.q, b: c.b, dev: c.dev}
	return errors.Join(errs...)
}

// pins is the page-locked memory of callers, by its first byte. It is page-locked for all devices.
var pins sync.Map

// AllocHost returns page-locked memory, which copies read and write without the driver's staging.
func (b *Backend) AllocHost(bytes int64) ([]byte, error) {
	m, err := b.dev.AllocHost(bytes)
	if err != nil {
		b.count.pageable.Add(bytes)
		return nil, b.explain(err)
	}
	pins.Store(unsafe.SliceData(m), len(m))
	return m, nil
}

// FreeHost takes back what AllocHost returned.
func (b *Backend) FreeHost(m []byte) error {
	pins.Delete(unsafe.SliceData(m))
	return b.explain(b.dev.FreeHost(m))
}

// pinned reports whether memory begins where page-locked memory does that AllocHost returned. What
// begins elsewhere in it is copied once more, which is right as well.
func (b *Backend) pinned(m []byte) bool {
	if b.dry {
		return true // nothing is copied
	}
	size, ok := pins.Load(unsafe.SliceData(m))
	return ok && len(m) <= size.(int)
}
