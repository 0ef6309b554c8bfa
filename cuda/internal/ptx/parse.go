package ptx

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

var (
	reEntry   = regexp.MustCompile(`\.entry\s+([\w$]+)`)
	reParam   = regexp.MustCompile(`\.param\s+(?:\.align\s+\d+\s+)?\.([a-z])(\d+)\s+([\w$]+)(\[\d+\])?`)
	reShared  = regexp.MustCompile(`\.shared\s+\.align\s+(\d+)\s+\.b8\s+([\w$]+)\[(\d*)\]`)
	reThreads = regexp.MustCompile(`\.maxntid\s+(\d+)(?:,\s*(\d+))?(?:,\s*(\d+))?`)
	reInstr   = regexp.MustCompile(`^(?:@(!?)(%p\d+)\s+)?([a-z][\w.]*)\s*(.*)$`)
	reWord    = regexp.MustCompile(`^\.(version|target)\s+([\w.]+)`)
)

// dynamic marks shared memory whose size the launch decides.
const dynamic = -1

type parser struct {
	module *Module
	kernel *Kernel
	// Shared variables: those of the module are the first in every kernel.
	shared map[string]int
	bytes  int
	depth  int
	labels map[string]int32
	line   int
}

// Parse reads PTX. An instruction that the interpreter does not know is an error.
func Parse(source string) (*Module, error) {
	p := &parser{module: &Module{kernels: map[string]*Kernel{}}, shared: map[string]int{}}
	for i, text := range strings.Split(source, "\n") {
		p.line = i + 1
		if err := p.readLine(text); err != nil {
			return nil, fmt.Errorf("ptx: line %d: %w", p.line, err)
		}
	}
	if p.kernel != nil {
		return nil, fmt.Errorf("ptx: %s does not end", p.kernel.Name)
	}
	return p.module, nil
}

func (p *parser) readLine(text string) error {
	text, _, _ = strings.Cut(text, "//")
	text = strings.TrimSpace(text)
	if m := reEntry.FindStringSubmatch(text); m != nil {
		p.begin(m[1])
	}
	switch {
	case text == "":
		return nil
	case p.kernel == nil:
		return p.global(text)
	case p.depth == 0 && text != "{":
		return p.header(text)
	}
	for {
		// Several statements may share a line.
		text = strings.TrimSpace(text)
		switch {
		case text == "":
			return nil
		case text[0] == '{':
			p.depth++
			text = text[1:]
			continue
		case text[0] == '}':
			if p.depth--; p.depth == 0 {
				return p.end()
			}
			text = text[1:]
			continue
		case strings.HasSuffix(text, ":"):
			p.labels[strings.TrimSuffix(text, ":")] = int32(len(p.kernel.code))
			return nil
		}
		one, rest, ok := strings.Cut(text, ";")
		if !ok {
			return fmt.Errorf("no end of the statement %q", text)
		}
		if err := p.statement(strings.TrimSpace(one)); err != nil {
			return err
		}
		text = rest
	}
}

// begin starts a kernel.
func (p *parser) begin(name string) {
	p.kernel = &Kernel{Name: name, params: map[string]int{}, regs: map[string]int{}, constant: map[uint64]int{}}
	p.labels = map[string]int32{}
	p.kernel.Shared = p.bytes
	p.module.kernels[name] = p.kernel
}

// end resolves the branches.
func (p *parser) end() error {
	k := p.kernel
	for i := range k.code {
		if in := &k.code[i]; in.kind == branch {
			t, ok := p.labels[in.label]
			if !ok {
				return fmt.Errorf("%s: no label %s", k.Name, in.label)
			}
			in.target = t
		}
	}
	p.kernel = nil
	return nil
}

// global reads what stands outside kernels.
func (p *parser) global(text string) error {
	if m := reWord.FindStringSubmatch(text); m != nil {
		if m[1] == "version" {
			p.module.Version = m[2]
		} else {
			p.module.Target = m[2]
		}
		return nil
	}
	if strings.HasPrefix(text, ".address_size") {
		return nil
	}
	ok, err := p.readShared(text, &p.bytes)
	if !ok && err == nil {
		err = fmt.Errorf("unknown statement %q", text)
	}
	return err
}

func (p *parser) readShared(text string, bytes *int) (bool, error) {
	m := reShared.FindStringSubmatch(text)
	if m == nil {
		return false, nil
	}
	if m[3] == "" {
		p.shared[m[2]] = dynamic
		return true, nil
	}
	align, err1 := strconv.Atoi(m[1])
	size, err2 := strconv.Atoi(m[3])
	if err1 != nil || err2 != nil || align < 1 || size > 1<<20 {
		return false, fmt.Errorf("bad size in %q", text)
	}
	*bytes = (*bytes + align - 1) / align * align
	p.shared[m[2]] = *bytes
	*bytes += size
	return true, nil
}

// header reads the parameters and limits of a kernel.
func (p *parser) header(text string) error {
	k := p.kernel
	if m := reThreads.FindStringSubmatch(text); m != nil {
		k.MaxThreads = 1
		for _, s := range m[1:] {
			if n, err := strconv.Atoi(s); err == nil {
				k.MaxThreads *= n
			}
		}
	}
	for _, m := range reParam.FindAllStringSubmatch(text, -1) {
		bits, err := strconv.Atoi(m[2])
		if err != nil || m[4] != "" || bits != 32 && bits != 64 && bits != 16 && bits != 8 {
			return fmt.Errorf("parameter %q: want a number of 8 to 64 bits", text)
		}
		size := bits / 8
		k.bytes = (k.bytes + size - 1) / size * size
		k.params[m[3]] = k.bytes
		k.offsets = append(k.offsets, k.bytes)
		k.ParamSizes = append(k.ParamSizes, size)
		k.bytes += size
	}
	return nil
}

// statement reads one of a kernel's body, without its semicolon.
func (p *parser) statement(text string) error {
	switch {
	case text == "" || strings.HasPrefix(text, ".reg") || strings.HasPrefix(text, ".pragma"):
		return nil
	case strings.HasPrefix(text, "."):
		ok, err := p.readShared(text, &p.kernel.Shared)
		if !ok && err == nil {
			err = fmt.Errorf("unknown statement %q", text)
		}
		return err
	}
	m := reInstr.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("unknown statement %q", text)
	}
	in := instruction{text: text, line: p.line, pred: -1, mask: math.MaxInt}
	if m[2] != "" {
		in.pred, in.negate = p.reg(m[2]), m[1] == "!"
	}
	if err := p.decode(&in, m[3], splitOperands(m[4])); err != nil {
		return fmt.Errorf("%w in %q", err, text)
	}
	p.kernel.code = append(p.kernel.code, in)
	return nil
}

// splitOperands cuts at commas outside braces and brackets.
func splitOperands(s string) []string {
	var out []string
	depth, from := 0, 0
	for i, c := range s {
		switch c {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(s[from:i]))
				from = i + 1
			}
		}
	}
	if s = strings.TrimSpace(s[from:]); s != "" {
		out = append(out, s)
	}
	return out
}

// reg returns the number of a register. Special registers are registers that every block sets.
func (p *parser) reg(name string) int {
	k := p.kernel
	r, ok := k.regs[name]
	if !ok {
		r = len(k.regs)
		k.regs[name] = r
		if _, found := specialValue[name]; found {
			k.special = append(k.special, specialReg{r, name})
		}
	}
	return r
}

// operand returns the number of a register or, below 0, of a constant.
func (p *parser) operand(s string) (int, error) {
	if strings.HasPrefix(s, "%") {
		if strings.Contains(s, ".") || s == "%laneid" {
			if _, ok := specialValue[s]; !ok {
				return 0, fmt.Errorf("unknown register %s", s)
			}
		}
		return p.reg(s), nil
	}
	v, err := p.value(s)
	if err != nil {
		return 0, err
	}
	k := p.kernel
	i, ok := k.constant[v]
	if !ok {
		i = len(k.consts)
		var l lanes
		for n := range l {
			l[n] = v
		}
		k.consts = append(k.consts, l)
		k.constant[v] = i
	}
	return -1 - i, nil
}

// value reads a constant: a number, the bits of a float, or the address of shared memory.
func (p *parser) value(s string) (uint64, error) {
	switch {
	case strings.HasPrefix(s, "0f"), strings.HasPrefix(s, "0d"):
		return strconv.ParseUint(s[2:], 16, 64)
	case strings.HasPrefix(s, "0x"):
		return strconv.ParseUint(strings.TrimSuffix(s[2:], "U"), 16, 64)
	}
	if at, ok := p.shared[s]; ok {
		if at == dynamic {
			// Behind the static variables, aligned to the most that a type can ask for.
			at = (p.kernel.Shared + 15) &^ 15
		}
		return uint64(at), nil
	}
	if v, err := strconv.ParseInt(s, 10, 64); err == nil {
		return uint64(v), nil
	}
	return strconv.ParseUint(s, 10, 64)
}
