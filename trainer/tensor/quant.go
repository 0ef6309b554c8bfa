package tensor

// Quant says how QuantOps turns values into codes of a few bits.
//
// A group is a run of values with statistics of their own: zero, not above the least of them,
// and step, such that zero + (2^Bits-1) step is not below the largest. A value x becomes the
// code floor((x-zero)/step + u) with u uniform on [0,1), so that zero + code step has mean x and
// a variance of at most step²/4 (stochastic rounding as in EXACT, ICLR 2022, section 3).
type Quant struct {
	Bits  int     // of a code: 1, 2, 4 or 8, or BF16Bits
	Group int     // values of a group, counted row after row; 0: every row is one
	Key   RandKey // of u: every value has a u of its own
	Act   Act     // ReLU: negative values count as 0. Others change nothing
}

// BF16Bits stands for values rounded to bfloat16 in place of codes, without statistics, groups and
// chance, for queues with BF16Ops.
const BF16Bits = 16

// BF16Ops are QuantOps that also take BF16Bits.
type BF16Ops interface {
	QuantOps
	KeepsBF16()
}

// Groups returns how many groups a matrix has, and how many values each but the last.
func (h Quant) Groups(rows, cols int) (groups, width int) {
	if h.Group == 0 || rows == 0 || cols == 0 {
		return rows, cols
	}
	width = min(h.Group, rows*cols)
	return (rows*cols + width - 1) / width, width
}

// CodeBytes returns the bytes of the codes of a matrix. Every group begins at a byte of its own.
func (h Quant) CodeBytes(rows, cols int) int {
	groups, width := h.Groups(rows, cols)
	if groups == 0 {
		return 0
	}
	last := rows*cols - (groups-1)*width
	return (groups-1)*((width*h.Bits+7)/8) + (last*h.Bits+7)/8
}

// Masks counts what a queue remembers of the dropouts of a step, a bit for each element and rows in
// whole words of 16 bits, so that the backward pass need not draw them again. The zero Masks is empty and has no limit.
type Masks struct {
	Limited    bool
	Over       int64 // with Limited: larger masks are not remembered
	seed, step uint64
	names      []maskName
	bytes      int64
}

type maskName struct {
	drop       Drop
	rows, cols int
}

// MostMasks bounds how many are remembered of one step.
const MostMasks = 64

// Fits reports whether the dropout of rows×cols elements from column col on of width is one that
// could be remembered: rows begin where four words of noise do.
func (m *Masks) Fits(col, width, rows, cols int) bool {
	return (col|width)%4 == 0 && rows*cols > 0 && (!m.Limited || maskBytes(rows, cols) <= m.Over)
}

func maskBytes(rows, cols int) int64 { return int64(rows) * int64((cols+15)/16*2) }

// Add counts a dropout, once for a step.
func (m *Masks) Add(d Drop, rows, cols int) {
	if !(d.P > 0 && d.P < 1) || !m.Fits(d.Col, d.Width, rows, cols) {
		return
	}
	if m.seed != d.Key.Seed || m.step != d.Key.Step {
		m.seed, m.step, m.names, m.bytes = d.Key.Seed, d.Key.Step, m.names[:0], 0
	}
	name := maskName{d, rows, cols}
	for _, n := range m.names {
		if n == name {
			return
		}
	}
	if len(m.names) < MostMasks {
		m.names = append(m.names, name)
		m.bytes += maskBytes(rows, cols)
	}
}

// AddGathered is Add for a dropout of gathered rows. They are gathered again where activations are
// compressed, which comes with a limit; else nobody asks for the mask twice.
func (m *Masks) AddGathered(d Drop, rows, cols int) {
	if m.Limited {
		m.Add(d, rows, cols)
	}
}

// Bytes returns what the masks of the last step counted take.
func (m *Masks) Bytes() int64 { return m.bytes }

// MaskKeeper is a Queue that remembers masks.
type MaskKeeper interface {
	// MaskBytes returns the bytes of the masks of the step at hand.
	MaskBytes() int64
}

// SignBytes returns the bytes of a row of signs.
func SignBytes(cols int) int { return (cols + 7) / 8 }

// QuantOps are the operations of compressed activations. A Queue that has them can train with
// a store that compresses.
//
// Codes are U8, 1×CodeBytes. Statistics have a row for each group: 2 columns of F32, zero and
// step, or one of I32, zero as a bfloat16 in the low half and step as one in the high half,
// rounded down and up so that they still bound the group. Signs are U8, a row of SignBytes for
// each row of the matrix; bit j%8 of byte j/8 is that of column j.
//
// The codes of a group stand in blocks of 16 bytes, the last may be shorter: value t of a block
// of n bytes has bits Bits (t/n) and following of byte t%n. Its u is a number of 16 bits: with v
// the block's number times 8/Bits, plus t/n, it is the low half of word 32 g ceil(width/128) +
// 16 (v/4) + t%n of the key's stream, rotated right by 8 (v%4) bits, g being the group's number. So
// four values share a word: the high byte of a u is its own, the low one is another's high byte.
type QuantOps interface {
	// ForgetMasks ends what the queue keeps of dropouts of more than so many bytes to save time: a mask is a function
	// of its key, and a bit for each value is a good part of what codes take.
	ForgetMasks(over int64)
	// Quantize: signs = (x + bias > 0), codes and stats = those of act(x + bias). Signs, or
	// codes with stats, may be absent. Without signs there is no bias and act does not count.
	Quantize(h Quant, bias, x, signs, codes, stats Tensor)
	// Dequantize: x = values of the codes, 0 where those are absent, less bias. Where signs are
	// present x is changed just enough for x + bias to be above 0 or not as they say.
	Dequantize(h Quant, bias, signs, codes, stats, x Tensor)
	// Signs: t = v or -v, with the same probability: element i of t, counted row after row, is
	// -v if bit i%32 of word i/32 of the key's stream is set.
	Signs(key RandKey, v float32, t Tensor)
}

// RowOps are of queues that can make the rows of an operand while they read them, so that what is
// kept in another form need not be written out in full precision. Such a matrix is, whole,
//
//	a of Gemm(true, false, …)
//	x of BiasActNorm and of BiasActNormBackward
//
// and no other operand. What it is made of must stay as it is meanwhile, and so must the queue
// that made it. It belongs to no arena; *t lends its descriptor to the next that is made there.
// Results are the same bits as with the matrix written out.
type RowOps interface {
	// Decoded makes *t what Dequantize would write. Groups must not cross rows.
	Decoded(h Quant, bias, signs, codes, stats Tensor, rows, cols int, t *Tensor)
	// Gathered makes *t what GatherRows would write, for indices that it has seen.
	Gathered(src, idx Tensor, drop Drop, t *Tensor)
}

// UnitRowOps are RowOps whose matrices may also be y of NormalizeRowsBackward.
type UnitRowOps interface {
	RowOps
	MakesUnitRows()
}
