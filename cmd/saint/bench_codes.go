package main

import (
	"fmt"

	"github.com/saint-gnn/saint/trainer/tensor"
)

// codesQueue times the operations of compressed activations too.
type codesQueue struct {
	opQueue
	codes tensor.QuantOps
}

// rowsQueue lets operations make rows; their time is that of the operations.
type rowsQueue struct {
	codesQueue
	tensor.RowOps
}

// unitRowsQueue is rowsQueue of a queue that makes rows for more operations.
type unitRowsQueue struct {
	codesQueue
	tensor.UnitRowOps
}

// timedQueue returns q with a clock around the operations that it has.
func timedQueue(q tensor.Queue, b *opBackend) tensor.Queue {
	timed := opQueue{q, b}
	if codes, ok := q.(tensor.QuantOps); ok {
		switch rows := q.(type) {
		case tensor.UnitRowOps:
			return &unitRowsQueue{codesQueue{timed, codes}, rows}
		case tensor.RowOps:
			return &rowsQueue{codesQueue{timed, codes}, rows}
		}
		return &codesQueue{timed, codes}
	}
	return &timed
}

// codesName names an operation by its codes and columns.
func codesName(what string, h tensor.Quant, signs, codes, x tensor.Tensor) string {
	switch {
	case !codes.Present():
		what += " signs"
	case signs.Present():
		what += fmt.Sprintf(" %d bits and signs", h.Bits)
	default:
		what += fmt.Sprintf(" %d bits", h.Bits)
	}
	return fmt.Sprintf("%s %d", what, x.Cols)
}

// ForgetMasks passes on.
func (q *codesQueue) ForgetMasks(over int64) { q.codes.ForgetMasks(over) }

// Quantize times the making of codes.
func (q *codesQueue) Quantize(h tensor.Quant, bias, x, signs, codes, stats tensor.Tensor) {
	q.b.time(codesName("encode", h, signs, codes, x), moved(x, signs, codes, stats), func() {
		q.codes.Quantize(h, bias, x, signs, codes, stats)
	})
}

// Dequantize times going back.
func (q *codesQueue) Dequantize(h tensor.Quant, bias, signs, codes, stats, x tensor.Tensor) {
	q.b.time(codesName("decode", h, signs, codes, x), moved(x, signs, codes, stats), func() {
		q.codes.Dequantize(h, bias, signs, codes, stats, x)
	})
}

// Signs times the making of a projection.
func (q *codesQueue) Signs(key tensor.RandKey, v float32, t tensor.Tensor) {
	q.b.time("projection", moved(t), func() { q.codes.Signs(key, v, t) })
}
