package ptx

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var errOperands = errors.New("operands that were not expected")

// decode fills in what an instruction does.
func (p *parser) decode(in *instruction, op string, args []string) error {
	parts := strings.Split(op, ".")
	switch parts[0] {
	case "bra":
		if len(args) != 1 {
			return errOperands
		}
		in.kind, in.label = branch, args[0]
		return nil
	case "ret", "exit":
		in.kind = exit
		return nil
	case "bar", "barrier":
		if op != "bar.sync" && op != "barrier.sync" || len(args) != 1 || args[0] != "0" {
			return fmt.Errorf("barriers other than that of the whole block")
		}
		in.kind = barrier
		return nil
	case "ld", "st", "atom", "red":
		return p.decodeMemory(in, parts, args)
	case "shfl", "vote", "bar.warp":
		return p.decodeTogether(in, parts, args)
	case "mov":
		if strings.Contains(strings.Join(args, ""), "{") {
			return p.decodePack(in, parts, args)
		}
	}
	return p.decodePlain(in, op, args)
}

// decodePlain decodes an operation of one result, each lane for itself.
func (p *parser) decodePlain(in *instruction, op string, args []string) error {
	if len(args) < 2 {
		return errOperands
	}
	dst, both, two := strings.Cut(args[0], "|")
	if two {
		return fmt.Errorf("a second result %s", both)
	}
	in.dst = []int{p.reg(dst)}
	if err := p.sources(in, args[1:]); err != nil {
		return err
	}
	f, n := lookup(op)
	if n == 0 {
		return fmt.Errorf("unknown instruction %s", op)
	}
	if n != len(in.src) {
		return errOperands
	}
	in.run = f
	return nil
}

func (p *parser) sources(in *instruction, args []string) error {
	for _, a := range args {
		r, err := p.operand(a)
		if err != nil {
			return err
		}
		in.src = append(in.src, r)
	}
	return nil
}

// decodePack decodes mov between a register and a vector of narrower ones.
func (p *parser) decodePack(in *instruction, parts, args []string) error {
	if len(args) != 2 {
		return errOperands
	}
	bits, err := strconv.Atoi(strings.TrimLeft(parts[len(parts)-1], "busf"))
	if err != nil {
		return err
	}
	dst, dstVector := vector(args[0])
	src, srcVector := vector(args[1])
	for _, d := range dst {
		in.dst = append(in.dst, p.reg(d))
	}
	if err := p.sources(in, src); err != nil {
		return err
	}
	switch n := max(len(dst), len(src)); {
	case dstVector && !srcVector:
		in.run = unpack(bits / n)
	case srcVector && !dstVector:
		in.run = pack(bits / n)
	default:
		return errOperands
	}
	return nil
}

// vector returns the elements of {a,b} or the single operand.
func vector(s string) ([]string, bool) {
	if !strings.HasPrefix(s, "{") {
		return []string{s}, false
	}
	return splitOperands(strings.Trim(s, "{}")), true
}

func unpack(bits int) func(*warp, *instruction, uint32) {
	return func(w *warp, in *instruction, active uint32) {
		src := *w.read(in.src[0])
		for k, d := range in.dst {
			dst := &w.r[d]
			each(active, func(l int) { dst[l] = src[l] >> (k * bits) & (1<<bits - 1) })
		}
	}
}

func pack(bits int) func(*warp, *instruction, uint32) {
	return func(w *warp, in *instruction, active uint32) {
		var all lanes
		for k, s := range in.src {
			src := w.read(s)
			each(active, func(l int) { all[l] |= (src[l] & (1<<bits - 1)) << (k * bits) })
		}
		dst := &w.r[in.dst[0]]
		each(active, func(l int) { dst[l] = all[l] })
	}
}

// address reads [register+offset], [register], [parameter+offset] or [shared+offset].
func (p *parser) address(in *instruction, s string) error {
	s = strings.TrimSpace(strings.Trim(s, "[]"))
	base, off, _ := strings.Cut(s, "+")
	if off != "" {
		v, err := strconv.ParseInt(off, 10, 64)
		if err != nil {
			return err
		}
		in.off = uint64(v)
	}
	if at, ok := p.kernel.params[base]; ok {
		base = strconv.Itoa(at)
	}
	r, err := p.operand(base)
	in.src = append(in.src, r)
	return err
}

// decodeMemory decodes loads, stores and atomic operations.
func (p *parser) decodeMemory(in *instruction, parts, args []string) error {
	a, err := parseAccess(parts)
	if err != nil {
		return err
	}
	load := parts[0] == "ld"
	switch {
	case load && len(args) == 2:
		regs, _ := vector(args[0])
		for _, r := range regs {
			in.dst = append(in.dst, p.reg(r))
		}
		err = p.address(in, args[1])
		if len(regs) != a.count {
			err = errOperands
		}
		in.run = a.load
		if a.count == 1 && a.size == 4 {
			in.run = a.word
		}
	case parts[0] == "st" && len(args) == 2:
		if err = p.address(in, args[0]); err == nil {
			regs, _ := vector(args[1])
			err = p.sources(in, regs)
		}
		if len(in.src) != 1+a.count {
			err = errors.Join(err, errOperands)
		}
		in.run = a.store
	case parts[0] == "red" && len(args) >= 2:
		if err = p.address(in, args[0]); err == nil {
			err = p.sources(in, args[1:])
		}
		in.run = a.atomic
	case parts[0] == "atom" && len(args) >= 3:
		in.dst = []int{p.reg(args[0])}
		if err = p.address(in, args[1]); err == nil {
			err = p.sources(in, args[2:])
		}
		in.run = a.atomic
	default:
		return errOperands
	}
	return err
}

// decodeTogether decodes shuffles and votes.
func (p *parser) decodeTogether(in *instruction, parts, args []string) error {
	if len(parts) < 3 || parts[1] != "sync" || len(args) < 3 {
		return fmt.Errorf("unknown instruction %s", strings.Join(parts, "."))
	}
	in.kind = together
	dst, pred, _ := strings.Cut(args[0], "|")
	in.dst = []int{p.reg(dst)}
	if pred != "" {
		in.dst = append(in.dst, p.reg(pred))
	}
	if parts[0] == "vote" && strings.HasPrefix(args[1], "!") {
		return fmt.Errorf("a negated vote")
	}
	if err := p.sources(in, args[1:]); err != nil {
		return err
	}
	in.mask = in.src[len(in.src)-1]
	switch {
	case parts[0] == "shfl" && len(in.src) == 4:
		in.run = shuffles[parts[2]]
	case parts[0] == "vote" && len(in.src) == 2:
		in.run = votes[parts[2]]
	}
	if in.run == nil {
		return fmt.Errorf("unknown instruction %s", strings.Join(parts, "."))
	}
	return nil
}
