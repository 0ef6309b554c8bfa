package actmem

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Exact keeps activations in codes of a few bits, after a random projection if that is asked for
// (EXACT: Liu et al., "Extreme Activation Compression for efficient GNN training", ICLR 2022).
// What Get returns has the saved tensor's values as its mean. It is not safe for concurrent use.
//
//   - An Activation becomes codes, a Factor codes of its projection X P, with P's elements ±1/√R
//     for R columns, which Get multiplies by Pᵀ; P is made again rather than kept.
//   - Of an Activated tensor the signs are kept in single bits and, if a norm needs the values,
//     codes of what the activation passes on.
//   - Groups of values that share statistics cross rows in Factors only: a norm divides by the
//     deviation of a row, or of a head, and noise of the size of another would drown a small one.
//   - Exact tensors, those that the arena does not own and those that would not shrink are
//     referred to. A tensor saved twice is kept once. What MakesAgain announced costs nothing.
type Exact struct {
	config Config
	arena  tensor.Arena
	q      tensor.Queue
	ops    tensor.QuantOps
	rows   tensor.RowOps // nil: every matrix has to be written out

	seed, step uint64
	held       []exactHeld
	unused     []*packed
	bytes      int64
	source     tensor.Tensor
	again      func(tensor.Tensor)
	againRows  func(*tensor.Tensor) // nil: its rows cannot be made one by one
	lent       []*packed            // what made matrices are made of
}

type exactHeld struct {
	key nn.Key
	p   *packed
}

// packed is one tensor as it is kept.
type packed struct {
	of    tensor.Tensor // what was saved; only its identity counts, unless plain
	form  form
	uses  int
	bytes int64

	quant               tensor.Quant
	project             tensor.RandKey
	width               int // columns of the projection
	bias                tensor.Tensor
	signs, codes, stats tensor.Tensor
	values              tensor.Tensor // projected or simulated, in single precision
	last                tensor.Tensor // columns that stay as they are
	made                tensor.Tensor // lent: its rows are made by who reads them
}

// form is what is kept of a tensor.
type form struct {
	plain, again     bool
	codes, projected bool
	factor           bool
	signs            bool
	act              tensor.Act
	bias             uint64
	biasAt           int64 // in what bias names
	last             int   // columns that stay as they are
	group            int   // columns of each norm; 0: it is one, or there is none
}

var _ nn.Store = (*Exact)(nil)

// mostMask is the bytes of a dropout mask that may be remembered: beside what a minibatch takes it is
// little and drawing it again is slow; in a step on a large graph memory is what counts.
const mostMask = 1 << 20

// Bits of a slot's number in the names of random streams: layers use the numbers below.
const (
	slotOfCodes      = 1 << 31
	slotOfProjection = 1 << 30
)

// NewExact returns an empty store. The error says if the device cannot do it.
func NewExact(c Config, a tensor.Arena, q tensor.Queue) (*Exact, error) {
	ops, ok := q.(tensor.QuantOps)
	if !ok {
		return nil, errors.New("this device cannot compress activations; leave out n_bits and kept_frac, or use the CPU in single precision")
	}
	ops.ForgetMasks(mostMask)
	s := &Exact{config: c, arena: a, q: q, ops: ops}
	s.rows, _ = q.(tensor.RowOps)
	return s, nil
}

// Begin names the random numbers of a step.
func (s *Exact) Begin(seed, step uint64) { s.seed, s.step = seed, step }

// Lossy reports whether an Activation comes back changed; layers can then make again what must fit
// it rather than save that too.
func (s *Exact) Lossy() bool { return s.config.Bits != 0 }

// MakesAgain says that make writes the contents of t anew, for the rest of the step: a tensor
// that can be made again, such as gathered features, need not be kept. rows, if not nil, gives its
// rows one by one.
func (s *Exact) MakesAgain(t tensor.Tensor, make func(dst tensor.Tensor), rows func(t *tensor.Tensor)) {
	s.source, s.again, s.againRows = t, make, rows
}

// Put keeps t under k. It panics if k is taken: a layer used one slot twice.
func (s *Exact) Put(k nn.Key, t tensor.Tensor, kind nn.SaveKind) {
	f := form{plain: true}
	switch {
	case t.Type != tensor.F32 || !s.arena.Owns(t) || kind == nn.Exact || kind == nn.Mask:
	case s.again != nil && same(&t, &s.source):
		f = form{again: true}
	default:
		f = form{codes: s.config.Bits != 0, factor: kind == nn.Factor}
		f.projected = f.factor && s.config.Width(t.Cols) < t.Cols
		f.plain = !f.codes && !f.projected
		f.factor = f.factor && s.config.Group > 0 && !f.plain // else it makes no difference
	}
	s.put(k, t, f, tensor.Tensor{})
}

// PutActivated keeps the signs of t plus its bias under k, and the values if a norm needs them.
func (s *Exact) PutActivated(k nn.Key, t tensor.Tensor, a nn.Activated) {
	if a.Act == tensor.Identity && (a.Group == 0 || s.config.Bits == 0) || t.Type != tensor.F32 || !s.arena.Owns(t) {
		s.Put(k, t, nn.Activation)
		return
	}
	f := form{signs: a.Act != tensor.Identity, codes: a.Values && s.config.Bits != 0, act: a.Act, bias: a.Bias.ID, biasAt: a.Bias.Off, group: a.Group}
	if f.plain = a.Values && !f.codes; f.plain {
		f = form{plain: true}
	}
	s.put(k, t, f, a.Bias)
}

// PutScored keeps the last columns of t as they are, and of the others the signs where act tells by them
// what it passes.
func (s *Exact) PutScored(k nn.Key, t tensor.Tensor, act tensor.Act, last int) {
	if s.config.Bits == 0 || t.Type != tensor.F32 || !s.arena.Owns(t) {
		s.Put(k, t, nn.Activation)
		return
	}
	s.put(k, t, form{codes: true, last: last, signs: act != tensor.Identity, act: act}, tensor.Tensor{})
}

func (s *Exact) put(k nn.Key, t tensor.Tensor, f form, bias tensor.Tensor) {
	if s.find(k) >= 0 {
		panic(fmt.Sprintf("actmem: layer %d saved slot %d twice", k.Layer, k.Slot))
	}
	if !f.plain && !f.again && s.size(t, f) >= t.Bytes() {
		f = form{plain: true}
	}
	p := s.known(t, f)
	if p == nil {
		p = s.take()
		*p = packed{of: t, form: f, made: p.made}
		s.fill(k, p, bias)
		p.bytes = s.bytesOf(p)
		s.bytes += p.bytes
	}
	p.uses++
	s.held = append(s.held, exactHeld{k, p})
}

// size returns the bytes that t takes in a form.
func (s *Exact) size(t tensor.Tensor, f form) int64 {
	n := int64(0)
	if f.signs {
		n += int64(t.Rows) * int64(tensor.SignBytes(t.Cols-f.last))
	}
	cols := t.Cols - f.last
	n += 4 * int64(t.Rows) * int64(f.last)
	if f.projected {
		cols = s.config.Width(cols)
	}
	switch {
	case f.codes:
		h := s.quantOf(f, cols, tensor.RandKey{})
		groups, _ := h.Groups(t.Rows, cols)
		n += int64(h.CodeBytes(t.Rows, cols)) + int64(groups)*s.statBytes()
	case f.projected:
		n += 4 * int64(t.Rows) * int64(cols)
	}
	return n
}

func (s *Exact) statBytes() int64 {
	switch {
	case s.config.Bits == tensor.BF16Bits:
		return 0
	case s.config.FullStats:
		return 8
	}
	return 4
}

// quantOf returns the codes of a tensor with that many columns.
func (s *Exact) quantOf(f form, cols int, key tensor.RandKey) tensor.Quant {
	h := tensor.Quant{Bits: s.config.Bits, Group: s.config.Group, Key: key, Act: f.act}
	if h.Group > 0 && !f.factor && cols%h.Group != 0 {
		h.Group = 0
	}
	if f.group > 0 && s.config.Bits != tensor.BF16Bits && (h.Group == 0 || f.group%h.Group != 0) {
		h.Group = f.group
	}
	return h
}

// key names the random numbers of one purpose of a saved tensor.
func (s *Exact) key(k nn.Key, purpose uint32) tensor.RandKey {
	return tensor.RandKey{Seed: s.seed, Step: s.step, Layer: uint32(k.Layer), Slot: uint32(k.Slot) | purpose}
}

// fill makes what is kept of p.of.
func (s *Exact) fill(k nn.Key, p *packed, bias tensor.Tensor) {
	t := p.of
	switch {
	case p.form.plain:
		s.arena.Retain(t)
		return
	case p.form.again:
		return
	}
	x := t
	if p.form.projected {
		p.project, p.width = s.key(k, slotOfProjection), s.config.Width(t.Cols)
		x = s.arena.Alloc(tensor.F32, t.Rows, p.width)
		m := s.projection(p)
		s.q.Gemm(false, false, 1, t, m, 0, x)
		s.arena.Release(m)
		if !p.form.codes {
			p.values = x
			return
		}
	}
	if last := p.form.last; last > 0 {
		p.last = s.arena.Alloc(tensor.F32, x.Rows, last)
		s.q.Axpby(1, x.ColRange(x.Cols-last, x.Cols), 0, p.last)
		x = x.ColRange(0, x.Cols-last)
	}
	p.quant, p.bias = s.quantOf(p.form, x.Cols, s.key(k, slotOfCodes)), bias
	if p.form.signs {
		p.signs = s.arena.Alloc(tensor.U8, x.Rows, tensor.SignBytes(x.Cols))
	}
	if p.form.codes {
		p.codes, p.stats = s.room(p.quant, x)
	}
	s.ops.Quantize(p.quant, p.bias, x, p.signs, p.codes, p.stats)
	if p.form.projected {
		s.arena.Release(x)
	}
	if s.config.Simulate {
		s.simulate(p)
	}
}

// room returns memory for the codes of x and their statistics.
func (s *Exact) room(h tensor.Quant, x tensor.Tensor) (codes, stats tensor.Tensor) {
	groups, _ := h.Groups(x.Rows, x.Cols)
	codes = s.arena.Alloc(tensor.U8, 1, h.CodeBytes(x.Rows, x.Cols))
	switch {
	case s.config.Bits == tensor.BF16Bits:
		return codes, stats
	case s.config.FullStats:
		return codes, s.arena.Alloc(tensor.F32, groups, 2)
	}
	return codes, s.arena.Alloc(tensor.I32, groups, 1)
}

// simulate replaces what is kept of p by the values that it stands for.
func (s *Exact) simulate(p *packed) {
	x := s.unpack(p)
	s.release(p)
	p.values = x
}

// projection returns P.
func (s *Exact) projection(p *packed) tensor.Tensor {
	m := s.arena.Alloc(tensor.F32, p.of.Cols, p.width)
	s.ops.Signs(p.project, float32(1/math.Sqrt(float64(p.width))), m)
	return m
}

// unpack returns the values that p stands for.
func (s *Exact) unpack(p *packed) tensor.Tensor {
	rows, cols := p.of.Rows, p.of.Cols
	if !p.form.projected {
		x := s.arena.Alloc(tensor.F32, rows, cols)
		n := cols - p.form.last
		s.ops.Dequantize(p.quant, p.bias, p.signs, p.codes, p.stats, x.ColRange(0, n))
		if n < cols {
			s.q.Axpby(1, p.last, 0, x.ColRange(n, cols))
		}
		return x
	}
	y := p.values
	if p.form.codes {
		y = s.arena.Alloc(tensor.F32, rows, p.width)
		s.ops.Dequantize(p.quant, tensor.Tensor{}, tensor.Tensor{}, p.codes, p.stats, y)
	}
	m := s.projection(p)
	x := s.arena.Alloc(tensor.F32, rows, cols)
	s.q.Gemm(false, true, 1, y, m, 0, x)
	s.arena.Release(m)
	if p.form.codes {
		s.arena.Release(y)
	}
	return x
}

// Get returns what is kept under k, with a reference for the caller. It panics if there is
// nothing.
func (s *Exact) Get(k nn.Key) tensor.Tensor {
	i := s.find(k)
	if i < 0 {
		panic(fmt.Sprintf("actmem: layer %d has nothing saved in slot %d", k.Layer, k.Slot))
	}
	p := s.held[i].p
	s.held = append(s.held[:i], s.held[i+1:]...)
	x := s.get(p)
	s.drop(p)
	return x
}

// GetRows is Get for an operand whose rows the operations make themselves, as tensor.RowOps says;
// they take no memory. ok is false where that cannot be, and then nothing has happened. Who has
// used the matrix gives it back with Return.
func (s *Exact) GetRows(k nn.Key) (t tensor.Tensor, ok bool) {
	i := s.find(k)
	if i < 0 || s.rows == nil || s.config.Simulate {
		return t, false
	}
	p := s.held[i].p
	switch f := p.form; {
	case f.plain || f.projected || f.last > 0 || p.quant.Group > 0 && p.of.Cols%p.quant.Group != 0:
		return t, false
	case f.again && s.againRows == nil:
		return t, false
	case slices.Contains(s.lent, p): // under another key
	case f.again:
		s.againRows(&p.made)
	default:
		s.rows.Decoded(p.quant, p.bias, p.signs, p.codes, p.stats, p.of.Rows, p.of.Cols, &p.made)
	}
	s.held = append(s.held[:i], s.held[i+1:]...)
	s.lent = append(s.lent, p)
	return p.made, true
}

// Holds reports whether t itself is kept, so that nobody may write to it.
func (s *Exact) Holds(t tensor.Tensor) bool {
	for i := range s.held {
		if p := s.held[i].p; p.form.plain && p.of.ID == t.ID {
			return true
		}
	}
	return false
}

// Return ends the use of a matrix that GetRows gave.
func (s *Exact) Return(t tensor.Tensor) {
	for i, p := range s.lent {
		if p.made.ID == t.ID {
			s.lent = append(s.lent[:i], s.lent[i+1:]...)
			s.drop(p)
			return
		}
	}
}

// drop ends one use of p.
func (s *Exact) drop(p *packed) {
	if p.uses--; p.uses == 0 {
		s.bytes -= p.bytes
		s.release(p)
		s.unused = append(s.unused, p)
	}
}

func (s *Exact) get(p *packed) tensor.Tensor {
	switch {
	case p.form.plain:
		s.arena.Retain(p.of)
		return p.of
	case p.form.again:
		x := s.arena.Alloc(tensor.F32, p.of.Rows, p.of.Cols)
		s.again(x)
		return x
	case s.config.Simulate && p.values.Present():
		s.arena.Retain(p.values)
		return p.values
	}
	return s.unpack(p)
}

// release drops what is kept of p.
func (s *Exact) release(p *packed) {
	if p.form.plain {
		s.arena.Release(p.of)
		return
	}
	for _, t := range [...]*tensor.Tensor{&p.signs, &p.codes, &p.stats, &p.values, &p.last} {
		s.arena.Release(*t)
		*t = tensor.Tensor{}
	}
}

// bytesOf returns the bytes that p takes of the arena.
func (s *Exact) bytesOf(p *packed) int64 {
	if p.form.plain {
		if s.arena.Owns(p.of) {
			return p.of.Bytes()
		}
		return 0
	}
	n := int64(0)
	for _, t := range [...]tensor.Tensor{p.signs, p.codes, p.stats, p.values, p.last} {
		if t.Present() {
			n += t.Bytes()
		}
	}
	return n
}
