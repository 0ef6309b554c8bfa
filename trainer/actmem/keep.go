package actmem

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Keep holds references: nothing is copied and nothing is lost. A tensor saved twice is held
// once; tensors that the arena does not own (features of the batch) cost nothing. It is not
// safe for concurrent use.
type Keep struct {
	arena tensor.Arena
	// A step saves some ten tensors a layer, and backward asks for the latest first: a
	// search from the end is short, and unlike a map a slice never allocates again.
	held  []held
	bytes int64
}

type held struct {
	key nn.Key
	t   tensor.Tensor
}

var _ nn.Store = (*Keep)(nil)

// NewKeep returns an empty store for tensors of a.
func NewKeep(a tensor.Arena) *Keep { return &Keep{arena: a} }

// Put keeps t under k. It panics if k is taken: a layer used one slot twice.
func (s *Keep) Put(k nn.Key, t tensor.Tensor, _ nn.SaveKind) {
	if s.find(k) >= 0 {
		panic(fmt.Sprintf("actmem: layer %d saved slot %d twice", k.Layer, k.Slot))
	}
	if s.arena.Owns(t) && !s.holds(t) {
		s.bytes += t.Bytes()
	}
	s.arena.Retain(t)
	s.held = append(s.held, held{k, t})
}

// Begin does nothing: Keep draws no random numbers.
func (s *Keep) Begin(uint64, uint64) {}

// PutActivated is Put.
func (s *Keep) PutActivated(k nn.Key, t tensor.Tensor, _ nn.Activated) { s.Put(k, t, nn.Activation) }

// PutScored is Put.
func (s *Keep) PutScored(k nn.Key, t tensor.Tensor, _ tensor.Act, _ int) {
	s.Put(k, t, nn.Activation)
}

// Get returns the tensor kept under k and hands its reference to the caller. It panics if
// there is none.
func (s *Keep) Get(k nn.Key) tensor.Tensor {
	i := s.find(k)
	if i < 0 {
		panic(fmt.Sprintf("actmem: layer %d has nothing saved in slot %d", k.Layer, k.Slot))
	}
	t := s.held[i].t
	s.held = append(s.held[:i], s.held[i+1:]...)
	if s.arena.Owns(t) && !s.holds(t) {
		s.bytes -= t.Bytes()
	}
	return t
}

// Bytes returns the bytes of the arena's tensors held now, each once.
func (s *Keep) Bytes() int64 { return s.bytes }

// Reset releases everything.
func (s *Keep) Reset() {
	for _, h := range s.held {
		s.arena.Release(h.t)
	}
	clear(s.held)
	s.held = s.held[:0]
	s.bytes = 0
}

func (s *Keep) find(k nn.Key) int {
	for i := len(s.held) - 1; i >= 0; i-- {
		if s.held[i].key == k {
			return i
		}
	}
	return -1
}

// holds reports whether the same view of the same allocation is held.
func (s *Keep) holds(t tensor.Tensor) bool {
	for i := range s.held {
		if same(&s.held[i].t, &t) {
			return true
		}
	}
	return false
}

// Held appends a description of everything held to list, in the order of saving.
func (s *Keep) Held(list []Saved) []Saved {
	for i, h := range s.held {
		v := Saved{Key: h.key, Rows: h.t.Rows, Cols: h.t.Cols, Form: "borrowed"}
		if s.arena.Owns(h.t) {
			v.Form, v.Bytes = "as it is", h.t.Bytes()
		}
		for _, before := range s.held[:i] {
			if same(&before.t, &h.t) {
				v.Bytes = 0
			}
		}
		list = append(list, v)
	}
	return list
}
