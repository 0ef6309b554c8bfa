package ptx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// program returns PTX of one kernel k(u64 out, u32 n) with the thread's number in %r1 and the
// address of out in %rd1.
func program(body string) string {
	return `.version 8.0
.target sm_75
.address_size 64
.visible .entry k(
	.param .u64 k_param_0,
	.param .u32 k_param_1
)
{
	.reg .b32 %r<99>;
	.shared .align 4 .b8 tile[256];
	ld.param.u64 	%rd1, [k_param_0];
	ld.param.u32 	%r2, [k_param_1];
	mov.u32 	%r1, %tid.x;
` + body + `
	ret;
}
`
}

// store is the end of a body that leaves %r9 in word %r1 of out.
const store = `
	mul.wide.u32 %rd8, %r1, 4;
	add.s64 %rd9, %rd1, %rd8;
	st.global.u32 [%rd9], %r9;`

func compile(t *testing.T, body string) *Kernel {
	t.Helper()
	m, err := Parse(program(body))
	if err != nil {
		t.Fatal(err)
	}
	return m.Kernel("k")
}

// run returns the words that a block of threads leaves in out.
func run(t *testing.T, body string, threads uint32, reverse bool) ([]uint32, error) {
	t.Helper()
	mem := NewMemory(1 << 20)
	out, _ := mem.Alloc(4 * 64)
	k := compile(t, body)
	err := k.Run(mem, Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{threads, 1, 1}, Args: []uint64{out, 7}, Reverse: reverse, Steps: 10000})
	b, _ := mem.Bytes(out, 4*64)
	words := make([]uint32, threads)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return words, err
}

func TestInstructions(t *testing.T) {
	f := func(v float32) string { return fmt.Sprintf("0f%08X", math.Float32bits(v)) }
	bits := math.Float32bits
	tests := []struct {
		body string // leaves the result in %r9
		want uint32
	}{
		{"add.s32 %r9, 5, -7;", 0xfffffffe},
		{"sub.s32 %r9, 5, 7;", 0xfffffffe},
		{"mul.lo.s32 %r9, -3, 5;", 0xfffffff1},
		{"mul.hi.u32 %r9, -1, -1;", 0xfffffffe},
		{"mul.hi.s32 %r9, -2, 3;", 0xffffffff},
		{"mad.lo.s32 %r9, 3, 5, 7;", 22},
		{"div.s32 %r9, -7, 2;", 0xfffffffd},
		{"div.u32 %r9, -7, 2;", 0x7ffffffc},
		{"rem.s32 %r9, -7, 2;", 0xffffffff},
		{"rem.u32 %r9, 7, 4;", 3},
		{"min.s32 %r9, -1, 1;", 0xffffffff},
		{"min.u32 %r9, -1, 1;", 1},
		{"max.s32 %r9, -1, 1;", 1},
		{"shl.b32 %r9, 1, 33;", 0},
		{"shr.s32 %r9, -8, 1;", 0xfffffffc},
		{"shr.u32 %r9, -8, 1;", 0x7ffffffc},
		{"and.b32 %r9, 12, 10;", 8},
		{"or.b32 %r9, 12, 10;", 14},
		{"xor.b32 %r9, 12, 10;", 6},
		{"not.b32 %r9, 0;", 0xffffffff},
		{"neg.s32 %r9, 5;", 0xfffffffb},
		{"bfi.b32 %r9, 5, 0, 8, 4;", 0x500},
		{"bfe.u32 %r9, 1280, 8, 4;", 5},
		{"popc.b32 %r9, 255;", 8},
		{"clz.b32 %r9, 1;", 31},
		{"shf.r.wrap.b32 %r9, 305419896, 305419896, 40;", 0x78123456},
		{"shf.l.wrap.b32 %r9, 305419896, 2, 8;", 0x212},
		{"shf.r.clamp.b32 %r9, 1, 7, 40;", 7},
		{"prmt.b32 %r9, 287454020, 0, 291;", 0x44332211},
		{"mul.wide.s32 %rd3, -2, 3; cvt.u32.u64 %r9, %rd3;", 0xfffffffa},
		{"mul.wide.s32 %rd3, -2, 3; shr.u64 %rd4, %rd3, 32; cvt.u32.u64 %r9, %rd4;", 0xffffffff},
		{"cvt.s64.s32 %rd3, -2; shr.s64 %rd4, %rd3, 40; cvt.u32.u64 %r9, %rd4;", 0xffffffff},
		{"mov.b64 %rd3, {3, 4}; mov.b64 {%r8, %r9}, %rd3;", 4},
		{"setp.lt.s32 %p1, -1, 0; selp.b32 %r9, 3, 4, %p1;", 3},
		{"mov.pred %p1, -1; not.pred %p1, %p1; selp.b32 %r9, 3, 4, %p1;", 4},
		{"setp.lt.u32 %p1, -1, 0; selp.b32 %r9, 3, 4, %p1;", 4},
		{"setp.lt.and.s32 %p1, -1, 0, 0; selp.b32 %r9, 3, 4, %p1;", 4},
		{"setp.eq.s16 %p1, 65535, -1; selp.b32 %r9, 3, 4, %p1;", 3},
		{"setp.nan.f32 %p1, 0f7FC00000, 0f00000000; selp.b32 %r9, 3, 4, %p1;", 3},
		{"setp.gtu.f32 %p1, 0f7FC00000, 0f00000000; selp.b32 %r9, 3, 4, %p1;", 3},
		{"setp.ne.f32 %p1, 0f7FC00000, 0f7FC00000; selp.b32 %r9, 3, 4, %p1;", 4},
		{"setp.leu.f32 %p1, " + f(1) + ", " + f(2) + "; selp.b32 %r9, 3, 4, %p1;", 3},
		{"add.rn.f32 %r9, " + f(1) + ", " + f(0x1p-25) + ";", bits(1)},
		{"add.rz.f32 %r9, " + f(1) + ", " + f(-0x1p-30) + ";", bits(math.Nextafter32(1, 0))},
		{"min.f32 %r9, 0f7FC00000, " + f(2) + ";", bits(2)},
		{"max.f32 %r9, " + f(-1) + ", " + f(2) + ";", bits(2)},
		{"abs.f32 %r9, " + f(-2) + ";", bits(2)},
		{"div.rn.f32 %r9, " + f(1) + ", " + f(3) + ";", bits(float32(1.0) / 3)},
		{"sqrt.rn.f32 %r9, " + f(2) + ";", bits(float32(math.Sqrt2))},
		{"ex2.approx.ftz.f32 %r9, " + f(-140) + ";", 0},
		{"ex2.approx.f32 %r9, " + f(3) + ";", bits(8)},
		// 1+2^-23 squared is 1 + 2^-22 + 2^-46: less 2^-46 and a little it rounds to 1 + 2^-22.
		{"fma.rn.f32 %r9, 0f3F800001, 0f3F800001, 0fB3800000;", bits(1 + 0x1p-22)},
		{"fma.rm.f32 %r9, 0f3F800001, 0f3F800001, 0f00000000;", bits(1 + 0x1p-22)},
		{"cvt.rzi.s32.f32 %r9, " + f(-2.7) + ";", 0xfffffffe},
		{"cvt.rzi.u32.f32 %r9, " + f(-2.7) + ";", 0},
		{"cvt.rni.s32.f32 %r9, " + f(2.5) + ";", 2},
		{"cvt.rzi.s32.f32 %r9, " + f(3e9) + ";", 0x7fffffff},
		{"cvt.rmi.f32.f32 %r9, " + f(-2.5) + ";", bits(-3)},
		{"cvt.sat.f32.f32 %r9, " + f(1.5) + ";", bits(1)},
		{"cvt.rn.f32.s32 %r9, -3;", bits(-3)},
		{"cvt.rn.f32.u32 %r9, -1;", bits(4294967296)},
		{"cvt.f64.f32 %fd1, " + f(1) + "; mul.rn.f64 %fd2, %fd1, 0d4008000000000000; cvt.rn.f32.f64 %r9, %fd2;", bits(3)},
		{"fma.rn.f64 %fd2, 0d4008000000000000, 0d4008000000000000, 0d3FF0000000000000; cvt.rn.f32.f64 %r9, %fd2;", bits(10)},
		{"mov.u32 %r9, %ntid.x;", 1},
		{"mov.u32 %r9, tile;", 0},
		{"st.shared.u32 [tile+8], 5; mov.u32 %r3, tile; ld.shared.u32 %r9, [%r3+8];", 5},
		{"st.global.u8 [%rd1+4], 250; ld.global.s8 %r9, [%rd1+4];", 0xfffffffa},
		{"st.global.u32 [%rd1+16], 5; atom.global.cas.b32 %r8, [%rd1+16], 5, 6; ld.global.u32 %r9, [%rd1+16];", 6},
		{"st.global.u32 [%rd1+16], 5; atom.global.add.u32 %r8, [%rd1+16], 4; ld.global.u32 %r9, [%rd1+16];", 9},
		{"st.global.v4.u32 [%rd1+16], {1, 2, 3, 4}; ld.global.v2.u32 {%r8, %r9}, [%rd1+24];", 4},
	}
	for _, tt := range tests {
		got, err := run(t, tt.body+store, 1, false)
		if err != nil {
			t.Errorf("%s: %v", tt.body, err)
		} else if got[0] != tt.want {
			t.Errorf("%s: %#x, want %#x", tt.body, got[0], tt.want)
		}
	}
}

func TestFMARoundsOnce(t *testing.T) {
	// In float64 the sum is a tie of float32, which the discarded part decides.
	a, b, c := float32(1+0x1p-12), float32(1+0x1p-12), float32(0x1p-60)
	if got, want := fma32(a, b, c), float32(1+0x1p-11+0x1p-23); got != want {
		t.Errorf("fma32(%g, %g, %g) = %b, want %b", a, b, c, got, want)
	}
	if got, want := fma32(a, b, -c), float32(1+0x1p-11); got != want {
		t.Errorf("fma32(%g, %g, %g) = %b, want %b", a, b, -c, got, want)
	}
	if got := fma32(float32(math.Inf(1)), 1, 5); !math.IsInf(float64(got), 1) {
		t.Errorf("fma32(+Inf, 1, 5) = %g, want +Inf", got)
	}
}

func TestDivergence(t *testing.T) {
	// Odd lanes take another way, and all of them meet again before the shuffle.
	body := `
	and.b32 %r3, %r1, 1;
	setp.eq.s32 %p1, %r3, 0;
	@%p1 bra $even;
	mul.lo.s32 %r4, %r1, 10;
	bra.uni $join;
$even:
	mov.u32 %r4, %r1;
$join:
	shfl.sync.bfly.b32 %r9|%p2, %r4, 1, 31, -1;` + store
	got, err := run(t, body, 32, false)
	if err != nil {
		t.Fatal(err)
	}
	for l, v := range got {
		want := uint32(l ^ 1)
		if want&1 == 1 {
			want *= 10
		}
		if v != want {
			t.Errorf("lane %d got %d, want %d", l, v, want)
		}
	}
}

func TestLoop(t *testing.T) {
	// Every lane adds 1 as often as its number says.
	body := `
	mov.u32 %r9, 0;
	mov.u32 %r3, 0;
$loop:
	setp.ge.s32 %p1, %r3, %r1;
	@%p1 bra $done;
	add.s32 %r9, %r9, 1;
	add.s32 %r3, %r3, 1;
	bra.uni $loop;
$done:` + store
	got, err := run(t, body, 48, false)
	if err != nil {
		t.Fatal(err)
	}
	for l, v := range got {
		if v != uint32(l) {
			t.Errorf("thread %d counted to %d, want %d", l, v, l)
		}
	}
}

func TestVote(t *testing.T) {
	got, err := run(t, "setp.gt.u32 %p1, %r1, 29; vote.sync.ballot.b32 %r9, %p1, -1;"+store, 32, false)
	if err != nil || got[3] != 0xc0000000 {
		t.Errorf("ballot = %#x (%v), want 0xc0000000", got[3], err)
	}
}

// exchange lets the threads of a block read what the last one wrote; %s stands for the barrier.
const exchange = `
	shl.b32 %%r3, %%r1, 2;
	mov.u32 %%r4, tile;
	add.s32 %%r5, %%r4, %%r3;
	st.shared.u32 [%%r5], %%r1;
	%s
	xor.b32 %%r6, %%r3, 252;
	add.s32 %%r7, %%r4, %%r6;
	ld.shared.u32 %%r9, [%%r7];`

func TestBarrier(t *testing.T) {
	for _, reverse := range []bool{false, true} {
		got, err := run(t, fmt.Sprintf(exchange, "bar.sync 0;")+store, 64, reverse)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if v != uint32(i^63) {
				t.Errorf("reverse %t: thread %d read %d, want %d", reverse, i, v, i^63)
			}
		}
	}
}

func TestMissingBarrierShows(t *testing.T) {
	wrong := 0
	for _, reverse := range []bool{false, true} {
		got, err := run(t, fmt.Sprintf(exchange, "")+store, 64, reverse)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if v != uint32(i^63) {
				wrong++
			}
		}
	}
	if wrong == 0 {
		t.Error("a kernel without its barrier gives the right result in both orders, want it to show")
	}
}

func TestFaults(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"past the end", "st.global.u32 [%rd1+256], 1;", "in no allocation"},
		{"before the start", "st.global.u32 [%rd1+-4], 1;", "in no allocation"},
		{"null", "mov.u64 %rd3, 0; ld.global.u32 %r3, [%rd3];", "in no allocation"},
		{"not aligned", "ld.global.u32 %r3, [%rd1+2];", "not a multiple"},
		{"vector not aligned", "ld.global.v4.u32 {%r3,%r4,%r5,%r6}, [%rd1+4];", "not a multiple"},
		{"shared past the end", "ld.shared.u32 %r3, [tile+256];", "256 bytes of shared memory"},
		{"shared negative", "mov.u32 %r3, -4; cvt.s64.s32 %rd3, %r3; ld.shared.u32 %r4, [%rd3];", "256 bytes of shared memory"},
		{"endless", "$l:\n bra.uni $l;", "does not end"},
		{"barrier in a branch", "setp.gt.u32 %p1, %r1, 40;\n @%p1 bra $b;\n bar.sync 0;\n bra.uni $e;\n$b:\n bar.sync 0;\n$e:", "others at that of line"},
		{"predicated barrier", "setp.gt.u32 %p1, %r1, 5;\n @%p1 bar.sync 0;", "skip"},
		{"shuffle without lanes", "setp.gt.u32 %p1, %r1, 5;\n @%p1 shfl.sync.bfly.b32 %r9|%p2, %r1, 1, 31, -1;", "are elsewhere"},
		{"shuffle outside the mask", "shfl.sync.bfly.b32 %r9|%p2, %r1, 1, 31, 1;", "not in its own mask"},
		{"shuffle after an end", "setp.gt.u32 %p1, %r1, 40;\n @%p1 ret;\n shfl.sync.bfly.b32 %r9|%p2, %r1, 1, 31, -1;", "have ended"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := run(t, tt.body, 64, false)
			var f *Fault
			if !errors.As(err, &f) || !strings.Contains(f.Error(), tt.want) {
				t.Errorf("Run = %v, want a fault with %q", err, tt.want)
			}
		})
	}
}

func TestFreedMemory(t *testing.T) {
	mem := NewMemory(1 << 20)
	p, _ := mem.Alloc(64)
	if !mem.Free(p) || mem.Free(p) {
		t.Error("Free does not succeed exactly once")
	}
	k := compile(t, "st.global.u32 [%rd1], 1;")
	err := k.Run(mem, Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}, Args: []uint64{p, 0}})
	if err == nil || !strings.Contains(err.Error(), "in no allocation") {
		t.Errorf("Run on freed memory = %v, want a fault", err)
	}
	if mem.Used() != 0 || mem.Peak() != 64 || mem.Live() != 0 {
		t.Errorf("Used %d, Peak %d, Live %d, want 0, 64, 0", mem.Used(), mem.Peak(), mem.Live())
	}
	if _, ok := mem.Alloc(1<<20 + 1); ok {
		t.Error("Alloc of more than there is succeeds")
	}
}

func TestEndOfAllocation(t *testing.T) {
	mem := NewMemory(1 << 20)
	p, _ := mem.Alloc(6)
	k := compile(t, "st.global.u32 [%rd1+4], 1;")
	err := k.Run(mem, Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{1, 1, 1}, Args: []uint64{p, 0}})
	if err == nil || !strings.Contains(err.Error(), "4 bytes at offset 4 of an allocation of 6") {
		t.Errorf("Run = %v, want a fault", err)
	}
}

func TestLaunchLimits(t *testing.T) {
	k := compile(t, "")
	mem := NewMemory(1 << 20)
	one := [3]uint32{1, 1, 1}
	for _, tt := range []struct {
		l    Launch
		want string
	}{
		{Launch{Grid: one, Block: one, Args: []uint64{0}}, "1 arguments, want 2"},
		{Launch{Grid: [3]uint32{0, 1, 1}, Block: one, Args: []uint64{0, 0}}, "is empty"},
		{Launch{Grid: one, Block: [3]uint32{1025, 1, 1}, Args: []uint64{0, 0}}, "too large"},
		{Launch{Grid: [3]uint32{1, 1 << 16, 1}, Block: one, Args: []uint64{0, 0}}, "too large"},
		{Launch{Grid: one, Block: one, Shared: 48 << 10, Args: []uint64{0, 0}}, "shared memory"},
	} {
		if err := k.Run(mem, tt.l); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Run(%+v) = %v, want %q", tt.l, err, tt.want)
		}
	}
}

func TestGridCoversAllBlocks(t *testing.T) {
	body := `
	mov.u32 %r3, %ctaid.x;
	mov.u32 %r4, %nctaid.x;
	mov.u32 %r5, %ctaid.y;
	mad.lo.s32 %r1, %r5, %r4, %r3;
	mov.u32 %r9, %r1;` + store
	k := compile(t, body)
	mem := NewMemory(1 << 20)
	out, _ := mem.Alloc(4 * 15)
	if err := k.Run(mem, Launch{Grid: [3]uint32{5, 3, 1}, Block: [3]uint32{1, 1, 1}, Args: []uint64{out, 0}, Reverse: true}); err != nil {
		t.Fatal(err)
	}
	b, _ := mem.Bytes(out, 60)
	for i := range 15 {
		if v := binary.LittleEndian.Uint32(b[4*i:]); v != uint32(i) {
			t.Errorf("block %d wrote %d", i, v)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct{ body, want string }{
		{"frobnicate.u32 %r3, %r4;", "unknown instruction"},
		{"bra $nowhere;", "no label"},
		{"add.s32 %r3, %r4;", "operands"},
		{"mov.u32 %r3, %clock.x;", "unknown register"},
		{"bar.sync 1;", "barriers other"},
		{"ld.local.u32 %r3, [%rd1];", "unknown part .local"},
		{"add.s32 %r3, %r4, 5", "no end of the statement"},
		{".local .align 4 .b8 depot[8];", "unknown statement"},
		{"mov.u32 %r3, nothing;", "invalid syntax"},
	} {
		_, err := Parse(program(tt.body))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Parse(%q) = %v, want %q", tt.body, err, tt.want)
		}
	}
	if _, err := Parse(".visible .entry k(\n)\n{\n"); err == nil {
		t.Error("Parse of a kernel without end succeeds")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(program("add.s32 %r3, %r4, 5;"))
	f.Add(program("ld.global.v4.f32 {%f1,%f2,%f3,%f4}, [%rd1+16];"))
	f.Add(program("@!%p1 bra $x;\n$x:"))
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text)
		if err == nil && m == nil {
			t.Error("no module and no error")
		}
	})
}

// The fast version of fma has to give what the exact one does, ties and subnormal numbers too.
func TestFastFMA(t *testing.T) {
	values := []uint32{
		0, 1 << 31, 1, 0x007fffff, 0x00800000, 0x3f800000, 0x3f800001, 0x3f7fffff, 0xbf800001, 0x33800000, 0xb3800000,
		0x0d800000, 0x7f7fffff, 0x7f800000, 0xff800000, 0x7fc00000, 0x4b800001, 0x34000000, 0x1f000000, 0x20123456,
	}
	w := &warp{b: &block{k: &Kernel{}}, r: make([]lanes, 4)}
	in := &instruction{dst: []int{3}, src: []int{0, 1, 2}}
	for _, a := range values {
		for _, b := range values {
			for _, c := range values {
				w.r[0][0], w.r[1][0], w.r[2][0] = uint64(a), uint64(b), uint64(c)
				fastFMA(w, in, 1)
				got, want := f32(w.r[3][0]), fma32(f32(uint64(a)), f32(uint64(b)), f32(uint64(c)))
				if math.Float32bits(got) != math.Float32bits(want) && (got == got || want == want) {
					t.Fatalf("fma of %#x, %#x, %#x = %g, want %g", a, b, c, got, want)
				}
			}
		}
	}
}
