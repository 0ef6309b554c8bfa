package saintdir

import (
	"math"
	"os"
	"slices"

	"github.com/saint-gnn/saint/formats"
)

const (
	// maxNodeID leaves room for a number of nodes that is an int32, too.
	maxNodeID = math.MaxInt32 - 1
	// maxClasses is the greatest number of classes that Dataset accepts.
	maxClasses = 1 << 20
)

// labelSet is the content of class_map.json or labels.npy before the number of nodes is
// known.
type labelSet struct {
	path string
	// ids names the node of every entry, in the file's order; nil: 0, 1, 2, ….
	ids     []int32
	classes int     // columns of bits; 0: single-label
	class   []int64 // labels of single-label data
	bits    []uint8 // rows of multi-label data
	warning string  // something odd that is not an error
	// where returns an error at the k-th entry of node v, k counting from 0.
	where func(v int32, k int, format string, args ...any) error
}

// readClassMap reads and checks a class_map.json by itself.
func readClassMap(path string) (*labelSet, error) {
	l := &labelSet{path: path}
	size := int64(0)
	if info, err := os.Stat(path); err == nil {
		size = info.Size()
	}
	p := classParser{labelSet: l, size: size}
	if err := scanFile(path, p.parse); err != nil {
		return nil, err
	}
	if l.classes == 0 && slices.Min(l.class) == -1 {
		l.warning = "label -1 counts as a class; leave nodes without a label out"
	}
	l.where = func(v int32, k int, format string, args ...any) error {
		p := classParser{labelSet: &labelSet{}}
		return scanFile(path, func(s *scanner) error {
			p.onKey = func(u int32, at int64) error {
				p.class, p.bits, p.ids = p.class[:0], p.bits[:0], p.ids[:0]
				if u == v {
					if k--; k < 0 {
						return s.errorAt(at, format, args...)
					}
				}
				return nil
			}
			return p.parse(s)
		})
	}
	return l, l.checkIDs()
}

// classParser fills a labelSet from {"id": label, …}.
type classParser struct {
	*labelSet
	size  int64 // bytes of the file, for the first allocation; 0: unknown
	onKey func(v int32, at int64) error
	rows  int
}

func (p *classParser) parse(s *scanner) error {
	if err := s.expect('{', `'{"id": label, …}'`); err != nil {
		return err
	}
	if s.peek() == '}' {
		return s.errorAt(s.offset(), "no labels, want one for every node that has a role")
	}
	for more := true; more; {
		text, at, err := s.key("a node id in quotes")
		if err != nil {
			return err
		}
		v := nodeID(text)
		if v < 0 {
			return s.errorAt(at, "key %q, want a node id (0 to %d)", text, int64(maxNodeID))
		}
		if p.onKey != nil {
			if err := p.onKey(v, at); err != nil {
				return err
			}
		}
		p.ids = append(p.ids, v)
		if err := p.label(s, v); err != nil {
			return err
		}
		if more, err = s.more('}'); err != nil {
			return err
		}
	}
	return s.finish()
}

// label consumes the label of node v and verifies that it is of the first label's kind.
func (p *classParser) label(s *scanner, v int32) error {
	isList := s.peek() == '['
	at := s.offset()
	if p.rows++; p.rows > 1 && isList != (p.classes > 0) {
		if isList {
			return s.errorAt(at, "label of node %d is a list, but earlier ones are integers", v)
		}
		if c := s.peek(); c >= '0' && c <= '9' || c == '-' {
			return s.errorAt(at, "label of node %d is a number, but earlier ones are lists", v)
		}
		return s.unexpected("'[' and a list of 0 and 1")
	}
	if !isList {
		class, err := s.integer("a class number or a list of 0 and 1")
		p.class = append(p.class, class)
		return err
	}
	s.pos++
	before := len(p.bits)
	bits, err := s.bits(p.bits)
	if err != nil {
		return err
	}
	p.bits = bits
	n := len(bits) - before
	if p.rows > 1 {
		if n != p.classes {
			return s.errorAt(at, "label list of node %d has %d entries, but earlier ones have %d", v, n, p.classes)
		}
		return nil
	}
	if n > maxClasses {
		return s.errorAt(at, "label list of node %d has %d entries, want at most %d", v, n, maxClasses)
	}
	p.classes = n
	// An entry takes at least two bytes a class, two quotes, a digit, a colon, a bracket and
	// a comma, so this is enough for the whole file and at most half its size.
	if most := p.size / int64(2*n+6) * int64(n); most > int64(cap(p.bits)) {
		p.bits = append(make([]uint8, 0, most+int64(n)), p.bits...)
	}
	return nil
}

// bits consumes 0/1 values up to and including the closing bracket and appends them.
func (s *scanner) bits(dst []uint8) ([]uint8, error) {
	if s.peek() == ']' {
		return dst, s.errorAt(s.offset(), "label list is empty, want a 0 or 1 for every class")
	}
	for more := true; more; {
		var closed bool
		if dst, closed = s.plainBits(dst); closed {
			return dst, nil
		}
		s.peek()
		at := s.offset()
		v, err := s.integer("0 or 1")
		if err != nil {
			return dst, err
		}
		if v != 0 && v != 1 {
			return dst, s.errorAt(at, "label list holds %d, want 0 or 1", v)
		}
		dst = append(dst, uint8(v))
		if more, err = s.more(']'); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// plainBits consumes as many values as are written as a digit, a comma and at most one
// space. It stops before anything else and says whether it came over the closing bracket.
func (s *scanner) plainBits(dst []uint8) ([]uint8, bool) {
	b := s.buf[s.pos:s.end]
	i := 0
	for i+2 < len(b) {
		bit := b[i] - '0'
		if bit > 1 {
			break
		}
		switch b[i+1] {
		case ',':
			dst = append(dst, bit)
			i += 2
			if b[i] == ' ' {
				i++
			}
			continue
		case ']':
			s.pos += i + 2
			return append(dst, bit), true
		}
		break
	}
	s.pos += i
	return dst, false
}

// checkIDs verifies that no node has two entries and drops ids that say nothing.
func (l *labelSet) checkIDs() error {
	counted := true
	for i, v := range l.ids {
		counted = counted && int(v) == i
	}
	if counted {
		l.ids = nil
		return nil
	}
	if ascending(l.ids) {
		return nil
	}
	sorted := slices.Clone(l.ids)
	slices.Sort(sorted)
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return l.where(sorted[i], 1, "node %d comes twice", sorted[i])
		}
	}
	return nil
}

func ascending(ids []int32) bool {
	for i := 1; i < len(ids); i++ {
		if ids[i] <= ids[i-1] {
			return false
		}
	}
	return true
}

// entries returns the number of entries.
func (l *labelSet) entries() int {
	if l.classes > 0 {
		return len(l.bits) / l.classes
	}
	return len(l.class)
}

// node returns the node of entry i.
func (l *labelSet) node(i int) int32 {
	if l.ids == nil {
		return int32(i)
	}
	return l.ids[i]
}

// place returns the labels of a graph with n nodes. Every node with a role must have one.
// The labelSet must not be used afterwards.
func (l *labelSet) place(n int, roles *roleSet) (formats.Labels, error) {
	labelled := make([]bool, n)
	for i := range l.entries() {
		v := l.node(i)
		if int(v) >= n {
			return formats.Labels{}, l.where(v, 0, "label of node %d, but %s has %d nodes (ids 0 to %d)", v, fullFile, n, n-1)
		}
		labelled[v] = l.classes > 0 || l.class[i] != unlabelled
	}
	for role, nodes := range roles.nodes {
		for _, v := range nodes {
			if !labelled[v] {
				return formats.Labels{}, badFile(l.path, "node %d has no label, but role %s", v, roleKeys[role])
			}
		}
	}
	if l.classes > 0 {
		return l.placeMulti(n), nil
	}
	return l.placeSingle(n)
}

// placeMulti puts the rows where their nodes are.
func (l *labelSet) placeMulti(n int) formats.Labels {
	out := formats.Labels{NumClasses: l.classes, Multi: l.bits}
	c := l.classes
	if l.ids == nil && len(l.bits) == n*c {
		return out
	}
	out.Multi = make([]uint8, n*c)
	for i := range l.entries() {
		v := int(l.node(i))
		copy(out.Multi[v*c:(v+1)*c], l.bits[i*c:])
	}
	return out
}

// unlabelled marks an entry that is none. As a label it would be refused anyway, since it
// is too far from all others; labels.npy writes -1.
const unlabelled = math.MinInt64

// placeSingle counts the classes from the least label to the greatest.
func (l *labelSet) placeSingle(n int) (formats.Labels, error) {
	least, most := int64(math.MaxInt64), int64(math.MinInt64)
	for _, c := range l.class {
		if c != unlabelled {
			least, most = min(least, c), max(most, c)
		}
	}
	if uint64(most)-uint64(least) >= maxClasses {
		return formats.Labels{}, badFile(l.path, "labels from %d to %d are %d classes, want at most %d",
			least, most, uint64(most)-uint64(least)+1, maxClasses)
	}
	out := formats.Labels{NumClasses: int(most-least) + 1, Class: make([]int32, n), Offset: least}
	for v := range out.Class {
		out.Class[v] = -1
	}
	for i, c := range l.class {
		if c != unlabelled {
			out.Class[l.node(i)] = int32(c - least)
		}
	}
	return out, nil
}
