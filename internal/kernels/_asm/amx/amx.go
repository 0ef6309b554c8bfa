// Package amx emits the instructions on tile registers, which Go's assembler does not know,
// as bytes.
package amx

import (
	"encoding/binary"
	"fmt"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The registers that addresses may hold, by number.
var number = map[reg.Register]byte{
	reg.RAX: 0, reg.RCX: 1, reg.RDX: 2, reg.RBX: 3, reg.RSI: 6, reg.RDI: 7,
	reg.R8: 8, reg.R9: 9, reg.R10: 10, reg.R11: 11, reg.R12: 12, reg.R13: 13, reg.R14: 14,
}

// The prefixes that a VEX field of two bits stands for.
const (
	none = 0
	xF3  = 2
	xF2  = 3
)

// vex returns the first three bytes of an instruction of map 0F38 with 128 bits and W 0.
// x and b are the high bits of the registers in SIB.index and SIB.base.
func vex(x, b byte, vvvv, pp byte) []byte {
	return []byte{0xc4, 1<<7 | (1-x)<<6 | (1-b)<<5 | 2, (15-vvvv)<<3 | pp}
}

// memory returns an instruction on tile t and rows at base+disp, index bytes apart.
func memory(opcode, pp byte, t int, base, index reg.Register, disp int32) []byte {
	b, x := number[base], number[index]
	code := append(vex(x>>3, b>>3, 0, pp), opcode, 0x80|byte(t)<<3|4, x&7<<3|b&7)
	return binary.LittleEndian.AppendUint32(code, uint32(disp))
}

// Zero clears tile t.
func Zero(t int) {
	emit(fmt.Sprintf("tilezero tmm%d", t), append(vex(0, 0, 0, xF2), 0x49, 0xc0|byte(t)<<3))
}

// Load reads the rows of tile t at base+disp, index bytes apart.
func Load(t int, base, index reg.Register, disp int32) {
	emit(fmt.Sprintf("tileloadd tmm%d, [%v+%v+%d]", t, base.Asm(), index.Asm(), disp), memory(0x4b, xF2, t, base, index, disp))
}

// Store writes the rows of tile t.
func Store(t int, base, index reg.Register, disp int32) {
	emit(fmt.Sprintf("tilestored [%v+%v+%d], tmm%d", base.Asm(), index.Asm(), disp, t), memory(0x4b, xF3, t, base, index, disp))
}

// Dot adds the product of the bfloat16 tiles a and b to the float32 tile c.
func Dot(c, a, b int) {
	emit(fmt.Sprintf("tdpbf16ps tmm%d, tmm%d, tmm%d", c, a, b), append(vex(0, 0, byte(b), xF3), 0x5c, 0xc0|byte(c)<<3|byte(a)))
}

// Shape writes the description of eight tiles of 16 rows of 64 bytes.
func Shape() operand.Mem {
	at := build.GLOBL("tileshape", 8|16) // RODATA|NOPTR
	build.DATA(0, operand.U64(1))        // palette 1
	build.DATA(8, operand.U64(0))
	const widths, heights = 64 * 0x0001000100010001, 16 * 0x0101010101010101
	for i, x := range []uint64{widths, widths, 0, 0, heights, 0} {
		build.DATA(16+8*i, operand.U64(x))
	}
	return at
}

// Begin shapes the tiles, which clears them. It changes RAX.
func Begin(at operand.Mem) {
	build.LEAQ(at, reg.RAX)
	emit("ldtilecfg [RAX]", append(vex(0, 0, 0, none), 0x49, 0x00))
}

// End gives the tiles back: a thread that holds none is cheaper to switch.
func End() {
	emit("tilerelease", append(vex(0, 0, 0, none), 0x49, 0xc0))
}

func emit(text string, code []byte) {
	build.Comment(text)
	for len(code) > 0 {
		switch {
		case len(code) >= 4:
			raw("LONG", operand.U32(binary.LittleEndian.Uint32(code)))
			code = code[4:]
		case len(code) >= 2:
			raw("WORD", operand.U16(binary.LittleEndian.Uint16(code)))
			code = code[2:]
		default:
			raw("BYTE", operand.U8(code[0]))
			code = code[1:]
		}
	}
}

func raw(opcode string, x operand.Op) {
	build.Instruction(&ir.Instruction{Opcode: opcode, Operands: []operand.Op{x}})
}
