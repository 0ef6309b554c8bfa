package nn

import "github.com/saint-gnn/saint/trainer/tensor"

// flatRow is the elements that a parameter's place among the others is a multiple of: memory is
// aligned to 64 bytes.
const flatRow = 16

// Flat is parameters that lie one behind the other, so that one operation goes over all of them. Each
// begins at a multiple of a row; the elements between them are 0, and stay so under whatever makes 0
// of zeros.
type Flat struct {
	Values tensor.Tensor // R×16, those of trained parameters first
	Grads  tensor.Tensor // the rows of Values that are trained, alike in every place; absent: none are

	params, trained int
}

// Trained is the rows of Values that have gradients.
func (f *Flat) Trained() tensor.Tensor { return f.Values.RowRange(0, f.Grads.Rows) }

// Untrained is the other rows of Values, running statistics, and may have none.
func (f *Flat) Untrained() tensor.Tensor { return f.Values.RowRange(f.Grads.Rows, f.Values.Rows) }

// At is the part of a tensor of the shape of Grads that is in the place of p.
func (f *Flat) At(p *Param, t tensor.Tensor) tensor.Tensor {
	return within(t, p.Value.Off-f.Values.Off, p.Value.Rows, p.Value.Cols)
}

// FlatOf returns what params lie in: all its parameters, or at least all that are trained. It is nil
// if they lie anywhere else, or not alone.
func FlatOf(params []*Param) *Flat {
	var f *Flat
	trained := 0
	for _, p := range params {
		if f == nil {
			f = p.flat
		}
		if p.flat == nil || p.flat != f || p.Value.ID != f.Values.ID || p.Trained() && p.Grad.ID != f.Grads.ID {
			return nil
		}
		if p.Trained() {
			trained++
		}
	}
	if f == nil || trained != f.trained {
		return nil
	}
	return f
}

// All reports whether f has no parameter that is not among params, which lie in it.
func (f *Flat) All(params []*Param) bool { return len(params) == f.params }

// within is the rows×cols matrix that begins off elements behind t's beginning.
func within(t tensor.Tensor, off int64, rows, cols int) tensor.Tensor {
	t.Off += off
	t.Rows, t.Cols, t.Stride = rows, cols, cols
	return t
}

// rowsOf is the rows of a Flat that a matrix takes.
func rowsOf(p *Param) int { return (p.Value.Rows*p.Value.Cols + flatRow - 1) / flatRow }

// flatten gives the parameters their places in memory of a, in the order of the list but the trained
// ones first.
func flatten(a tensor.Arena, list []*Param) *Flat {
	f := &Flat{params: len(list)}
	trained, all := 0, 0
	for _, p := range list {
		n := rowsOf(p)
		all += n
		if p.Trained() {
			f.trained++
			trained += n
		}
	}
	f.Values = a.Alloc(tensor.F32, all, flatRow)
	if f.trained > 0 {
		f.Grads = a.Alloc(tensor.F32, trained, flatRow)
	}
	next, other := 0, trained
	for _, p := range list {
		at := &other
		if p.Trained() {
			at = &next
		}
		off := int64(*at) * flatRow
		*at += rowsOf(p)
		rows, cols := p.Value.Rows, p.Value.Cols
		p.Value = within(f.Values, off, rows, cols)
		if p.Trained() {
			p.Grad = within(f.Grads, off, rows, cols)
		}
		p.flat = f
	}
	return f
}
