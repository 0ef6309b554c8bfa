package actmem

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// Bytes returns the bytes of the arena's tensors held now, each once.
func (s *Exact) Bytes() int64 { return s.bytes }

// Reset releases everything and ends what MakesAgain said.
func (s *Exact) Reset() {
	for _, h := range s.held {
		s.drop(h.p)
	}
	for _, p := range s.lent {
		s.drop(p)
	}
	clear(s.held)
	s.held, s.lent = s.held[:0], s.lent[:0]
	s.bytes = 0
	s.source, s.again, s.againRows = tensor.Tensor{}, nil, nil
}

// Held appends a description of everything held to list, in the order of saving.
func (s *Exact) Held(list []Saved) []Saved {
	for i, h := range s.held {
		v := Saved{Key: h.key, Rows: h.p.of.Rows, Cols: h.p.of.Cols, Form: s.describe(h.p), Bytes: h.p.bytes}
		for _, before := range s.held[:i] {
			if before.p == h.p {
				v.Bytes = 0
			}
		}
		list = append(list, v)
	}
	return list
}

func (s *Exact) describe(p *packed) string {
	f := p.form
	switch {
	case f.plain && !s.arena.Owns(p.of):
		return "borrowed"
	case f.plain:
		return "as it is"
	case f.again:
		return "made again"
	}
	text := ""
	if f.projected {
		text = fmt.Sprintf("%d of %d columns", p.width, p.of.Cols)
	}
	if f.codes {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf("%d bits", s.config.Bits)
		if f.signs {
			text += " and signs"
		}
		if f.last > 0 {
			text += fmt.Sprintf(", %d columns as they are", f.last)
		}
	} else if f.signs {
		text = "signs"
	}
	return text
}

func (s *Exact) find(k nn.Key) int {
	for i := len(s.held) - 1; i >= 0; i-- {
		if s.held[i].key == k {
			return i
		}
	}
	return -1
}

// known returns what is kept of the same tensor in the same form, or nil.
func (s *Exact) known(t tensor.Tensor, f form) *packed {
	for i := range s.held {
		if p := s.held[i].p; p.form == f && same(&p.of, &t) {
			return p
		}
	}
	return nil
}

func (s *Exact) take() *packed {
	if n := len(s.unused); n > 0 {
		p := s.unused[n-1]
		s.unused = s.unused[:n-1]
		return p
	}
	return &packed{}
}

// same reports whether two tensors are the same view of the same allocation.
func same(t, u *tensor.Tensor) bool {
	return u.ID == t.ID && u.Off == t.Off && u.Rows == t.Rows && u.Cols == t.Cols && u.Stride == t.Stride && u.Type == t.Type
}
