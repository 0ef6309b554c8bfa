package ptx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"sync/atomic"
	"unsafe"
)

// access is what a load, store or atomic operation touches.
type access struct {
	space  string // param, global, shared
	size   int    // bytes of an element
	count  int    // elements: 1, 2 or 4
	signed bool
	op     string // of atomics: add, cas, max, …
	typ    string
}

func parseAccess(parts []string) (*access, error) {
	if len(parts) < 3 {
		return nil, errors.New("no address space or type")
	}
	a := &access{count: 1, typ: parts[len(parts)-1]}
	for _, s := range parts[1 : len(parts)-1] {
		switch s {
		case "param", "global", "shared":
			a.space = s
		case "v2":
			a.count = 2
		case "v4":
			a.count = 4
		case "add", "cas", "min", "max", "exch", "and", "or", "xor":
			a.op = s
		case "nc", "volatile", "relaxed", "gpu", "cta", "weak":
		default:
			return nil, fmt.Errorf("unknown part .%s", s)
		}
	}
	width, err := strconv.Atoi(strings.TrimLeft(a.typ, "bsuf"))
	if err != nil || a.space == "" || width != 8 && width != 16 && width != 32 && width != 64 {
		return nil, errors.New("no address space or type")
	}
	a.size, a.signed = width/8, a.typ[0] == 's'
	return a, nil
}

// bytes returns the memory that lane l accesses.
func (a *access) bytes(w *warp, in *instruction, addr uint64, l int) []byte {
	n := uint64(a.size * a.count)
	if addr&(n-1) != 0 {
		w.fault(in, l, fmt.Sprintf("%d bytes at address %#x, which is not a multiple of that", n, addr))
	}
	switch a.space {
	case "global":
		b, err := w.b.mem.at(addr, int64(n))
		if err != nil {
			w.fault(in, l, err.Error())
		}
		return b
	case "shared":
		if size := uint64(len(w.b.shared)); addr > size || n > size-addr {
			w.fault(in, l, fmt.Sprintf("%d bytes at offset %d of %d bytes of shared memory", n, int64(addr), size))
		}
		return w.b.shared[addr : addr+n]
	}
	return w.b.args[addr : addr+n]
}

func get(b []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(*(*uint32)(unsafe.Pointer(unsafe.SliceData(b))))
	}
	return *(*uint64)(unsafe.Pointer(unsafe.SliceData(b)))
}

func put(b []byte, size int, v uint64) {
	switch size {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		*(*uint32)(unsafe.Pointer(unsafe.SliceData(b))) = uint32(v)
	default:
		*(*uint64)(unsafe.Pointer(unsafe.SliceData(b))) = v
	}
}

func (a *access) load(w *warp, in *instruction, active uint32) {
	addr := w.read(in.src[0])
	for m := active; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m) & 31
		b := a.bytes(w, in, addr[l]+in.off, l)
		for k, d := range in.dst {
			v := get(b[k*a.size:], a.size)
			if a.signed && a.size < 4 {
				// The register is 16 or 32 bits wide; the value fills it with its sign.
				shift := 64 - 8*a.size
				v = uint64(int64(v<<shift)>>shift) & 0xffffffff
			}
			w.r[d][l] = v
		}
	}
}

func (a *access) store(w *warp, in *instruction, active uint32) {
	addr := w.read(in.src[0])
	each(active, func(l int) {
		b := a.bytes(w, in, addr[l]+in.off, l)
		for k, s := range in.src[1:] {
			put(b[k*a.size:], a.size, w.read(s)[l])
		}
	})
}

// atomic does 32-bit operations, one lane after the other; blocks may be on other processors.
func (a *access) atomic(w *warp, in *instruction, active uint32) {
	f := atomics[a.op+"."+a.typ]
	if f == nil {
		w.fault(in, -1, "unknown atomic operation")
	}
	addr := w.read(in.src[0])
	each(active, func(l int) {
		p := (*uint32)(unsafe.Pointer(unsafe.SliceData(a.bytes(w, in, addr[l]+in.off, l))))
		x := uint32(w.read(in.src[1])[l])
		var y uint32
		if len(in.src) > 2 {
			y = uint32(w.read(in.src[2])[l])
		}
		for {
			old := atomic.LoadUint32(p)
			if atomic.CompareAndSwapUint32(p, old, f(old, x, y)) {
				if len(in.dst) > 0 {
					w.r[in.dst[0]][l] = uint64(old)
				}
				return
			}
		}
	})
}

// atomics give the new value from the old one and the operands.
var atomics = map[string]func(old, x, y uint32) uint32{
	"add.u32":  func(old, x, _ uint32) uint32 { return old + x },
	"add.s32":  func(old, x, _ uint32) uint32 { return old + x },
	"exch.b32": func(_, x, _ uint32) uint32 { return x },
	"and.b32":  func(old, x, _ uint32) uint32 { return old & x },
	"or.b32":   func(old, x, _ uint32) uint32 { return old | x },
	"min.s32":  func(old, x, _ uint32) uint32 { return uint32(min(int32(old), int32(x))) },
	"max.s32":  func(old, x, _ uint32) uint32 { return uint32(max(int32(old), int32(x))) },
	"min.u32":  func(old, x, _ uint32) uint32 { return min(old, x) },
	"max.u32":  func(old, x, _ uint32) uint32 { return max(old, x) },
	"add.f32": func(old, x, _ uint32) uint32 {
		return math.Float32bits(math.Float32frombits(old) + math.Float32frombits(x))
	},
	"cas.b32": func(old, x, y uint32) uint32 {
		if old == x {
			return y
		}
		return old
	},
}
