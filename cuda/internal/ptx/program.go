package ptx

import "fmt"

// Module is parsed PTX.
type Module struct {
	Version string // of the language, for example "8.0"
	Target  string // for example "sm_75"
	kernels map[string]*Kernel
}

// Kernel returns an entry by name, nil if there is none.
func (m *Module) Kernel(name string) *Kernel { return m.kernels[name] }

// Names returns the names of the kernels in no order.
func (m *Module) Names() []string {
	names := make([]string, 0, len(m.kernels))
	for n := range m.kernels {
		names = append(names, n)
	}
	return names
}

// Kernel is an entry function.
type Kernel struct {
	Name       string
	ParamSizes []int // bytes
	Shared     int   // bytes of static shared memory a block
	MaxThreads int   // of a block, where the kernel says so, else 0

	params   map[string]int // offset in the buffer of arguments
	offsets  []int
	bytes    int
	code     []instruction
	regs     map[string]int
	consts   []lanes // operand -1-i is consts[i]
	constant map[uint64]int
	special  []specialReg
}

// lanes is a register of a warp. Narrow values have zeros above them.
type lanes [32]uint64

type specialReg struct {
	reg  int
	name string
}

// kind says how the scheduler treats an instruction.
type kind uint8

const (
	plain kind = iota
	branch
	exit
	barrier
	together // shuffles and votes: the lanes of a mask at once
)

type instruction struct {
	text   string
	line   int
	kind   kind
	pred   int // register, -1 if there is none
	negate bool
	label  string
	target int32
	run    func(w *warp, i *instruction, active uint32)
	dst    []int
	src    []int // registers, or constants if negative
	off    uint64
	mask   int // operand with the lanes of a shuffle or vote
}

// Fault is what a kernel did wrong.
type Fault struct {
	Kernel string
	Line   int    // of the PTX
	Text   string // of the instruction
	Block  [3]uint32
	Thread int // -1 if it is not of one thread
	What   string
}

// Error says what happened where.
func (f *Fault) Error() string {
	who := ""
	if f.Thread >= 0 {
		who = fmt.Sprintf(" thread %d", f.Thread)
	}
	return fmt.Sprintf("ptx: %s: block %v%s: %s (line %d: %s)", f.Kernel, f.Block, who, f.What, f.Line, f.Text)
}
