package edgelist

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strconv"
	"sync"

	"github.com/saint-gnn/saint/formats/convert/assemble"
)

// ids numbers names. Until number is called, the number of a name is provisional: a whole
// number below smallIDs in its shortest form stands for itself, every other name has a
// negative number that depends on who came first. intern may be called concurrently.
type ids struct {
	rows   int // names are row numbers below this; 0: they are free
	small  idSet
	shards [shardCount]shard
	names  []string // in order, after number
	final  [shardCount][]int32
}

const (
	// smallIDs bounds the ids that stand for themselves: those of nine digits.
	smallIDs   = 1_000_000_000
	idDigits   = 9
	shardCount = 64
)

// shard is a part of the names that are no small numbers, chosen by a hash.
type shard struct {
	mu    sync.Mutex
	short map[shortName]int32 // a lookup touches no other memory than the map's
	long  map[string]int32
	names []string
}

// shortName is a name of less than 16 bytes, with its length in the last one.
type shortName [16]byte

// find returns the position of a name.
func (s *shard) find(name []byte) (int32, bool) {
	if len(name) < len(shortName{}) {
		i, ok := s.short[short(name)]
		return i, ok
	}
	i, ok := s.long[string(name)]
	return i, ok
}

func short(name []byte) (key shortName) {
	copy(key[:], name)
	key[15] = byte(len(name))
	return key
}

// smallNumber returns the whole number of at most idDigits digits that text begins with, in its
// shortest form, and the number of digits; 0: there is none.
func smallNumber(text []byte) (v int32, n int) {
	for n < len(text) {
		d := text[n] - '0'
		if d > 9 {
			break
		}
		if n == idDigits {
			return 0, 0
		}
		v = v*10 + int32(d)
		n++
	}
	if n > 1 && text[0] == '0' {
		return 0, 0
	}
	return v, n
}

// direct returns the provisional number of a name that needs no table; ok is false for others.
func (t *ids) direct(name []byte) (v int32, ok bool, err error) {
	v, n := smallNumber(name)
	isSmall := n > 0 && n == len(name)
	switch {
	case t.rows > 0 && (!isSmall || int(v) >= t.rows):
		v, err = t.internRow(name)
		return v, true, err
	case len(name) == 0:
		return 0, true, fmt.Errorf("an empty node id")
	}
	return v, isSmall, nil
}

// intern returns the provisional number of a name.
func (t *ids) intern(name []byte) (int32, error) {
	if v, ok, err := t.direct(name); ok {
		return v, err
	}
	k := shardOf(name)
	s := &t.shards[k]
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.insert(name)
	return provisional(i, k), roomFor(ok)
}

func shardOf(name []byte) uint32 {
	hash := uint32(2166136261) // FNV-1a
	for _, b := range name {
		hash = (hash ^ uint32(b)) * 16777619
	}
	return (hash ^ hash>>16) % shardCount
}

// provisional returns the number of name i of shard k.
func provisional(i int32, k uint32) int32 { return -1 - (i*shardCount + int32(k)) }

func roomFor(ok bool) error {
	if !ok {
		return fmt.Errorf("more than %d nodes", assemble.MaxNodes)
	}
	return nil
}

// waiting is a name whose number is wanted at a place.
type waiting struct {
	name  []byte
	to    *int32
	shard uint32
}

// internAll fills in the numbers of many names, shard by shard, so that a shard is locked
// once and stays in the cache meanwhile.
func (t *ids) internAll(names []waiting) error {
	var start [shardCount + 1]int
	for i := range names {
		names[i].shard = shardOf(names[i].name)
		start[names[i].shard+1]++
	}
	for k := range shardCount {
		start[k+1] += start[k]
	}
	order := make([]int32, len(names))
	for i := range names {
		at := &start[names[i].shard]
		order[*at] = int32(i)
		*at++
	}
	first := 0
	for k := range uint32(shardCount) {
		s := &t.shards[k]
		s.mu.Lock()
		for _, j := range order[first:start[k]] { // the start of shard k is its end by now
			i, ok := s.insert(names[j].name)
			if !ok {
				s.mu.Unlock()
				return roomFor(ok)
			}
			*names[j].to = provisional(i, k)
		}
		s.mu.Unlock()
		first = start[k]
	}
	return nil
}

// internRow reads a row number in any form.
func (t *ids) internRow(name []byte) (int32, error) {
	v, err := strconv.ParseInt(string(name), 10, 64)
	if err != nil || v < 0 || v >= int64(t.rows) {
		return 0, fmt.Errorf("node id %.40q, want a row number from 0 to %d", name, t.rows-1)
	}
	return int32(v), nil
}

// insert returns the position of a name in its locked shard, false if there is no more room.
func (s *shard) insert(name []byte) (int32, bool) {
	if i, ok := s.find(name); ok {
		return i, true
	}
	if len(s.names) >= math.MaxInt32/shardCount {
		return 0, false
	}
	if s.names == nil {
		s.short, s.long = map[shortName]int32{}, map[string]int32{}
	}
	i := int32(len(s.names))
	s.names = append(s.names, string(name))
	if len(name) < len(shortName{}) {
		s.short[short(name)] = i
	} else {
		s.long[s.names[i]] = i
	}
	return i, true
}

// name returns the name that a provisional number stands for.
func (t *ids) name(v int32) string {
	if v >= 0 {
		return strconv.Itoa(int(v))
	}
	v = -1 - v
	s := &t.shards[v%shardCount]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names[v/shardCount]
}

// note remembers that nodes exist. It is not for concurrent use.
func (t *ids) note(numbers []int32) {
	if t.rows > 0 {
		return
	}
	for _, v := range numbers {
		if v >= 0 {
			t.small.add(v)
		}
	}
}

// count returns the number of nodes.
func (t *ids) count() int {
	if t.rows > 0 {
		return t.rows
	}
	if t.names != nil {
		return len(t.names)
	}
	n := t.small.count
	for i := range t.shards {
		n += len(t.shards[i].names)
	}
	return n
}

// named is a name that is no small number.
type named struct {
	name        string
	value       int64 // the whole number that it spells, or -1
	provisional int32 // position*shardCount+shard
}

// number orders the names: whole numbers by value, then all others by bytes. final is
// known afterwards.
func (t *ids) number() {
	count := t.count()
	t.names = make([]string, 0, count)
	t.small.each(func(v int32) { t.names = append(t.names, strconv.Itoa(int(v))) })
	t.small.rankAll()
	rest := make([]named, 0, count-len(t.names))
	for k := range t.shards {
		s := &t.shards[k]
		for i, name := range s.names {
			rest = append(rest, named{name, wholeNumber(name), int32(i*shardCount + k)})
		}
		t.final[k] = make([]int32, len(s.names))
		s.names, s.short, s.long = nil, nil, nil
	}
	slices.SortFunc(rest, func(a, b named) int {
		switch {
		case a.value >= 0 && b.value >= 0:
			return cmp.Compare(a.value, b.value)
		case a.value >= 0:
			return -1
		case b.value >= 0:
			return 1
		}
		return cmp.Compare(a.name, b.name)
	})
	for _, x := range rest {
		t.final[x.provisional%shardCount][x.provisional/shardCount] = int32(len(t.names))
		t.names = append(t.names, x.name)
	}
}

// renumber replaces provisional numbers by those of the order. It may be called concurrently.
func (t *ids) renumber(numbers []int32) {
	for i, v := range numbers {
		if v >= 0 {
			numbers[i] = t.small.rank(v)
		} else {
			v = -1 - v
			numbers[i] = t.final[v%shardCount][v/shardCount]
		}
	}
}

// wholeNumber returns the number that name spells in the shortest form, or -1.
func wholeNumber(name string) int64 {
	v, err := strconv.ParseInt(name, 10, 64)
	if err != nil || v < 0 || strconv.FormatInt(v, 10) != name {
		return -1
	}
	return v
}

// idSet is a set of numbers below 2^31 whose memory follows from what is in it.
type idSet struct {
	pages []*idPage
	count int
}

const (
	pageBits  = 16
	pageWords = 1 << pageBits / 64
)

// idPage holds 2^pageBits successive numbers.
type idPage struct {
	words  [pageWords]uint64
	before [pageWords]uint16 // members in earlier words
	first  int32             // members in earlier pages
}

// add reports whether v is new.
func (s *idSet) add(v int32) bool {
	page := int(v >> pageBits)
	if page >= len(s.pages) {
		s.pages = append(s.pages, make([]*idPage, page+1-len(s.pages))...)
	}
	p := s.pages[page]
	if p == nil {
		p = new(idPage)
		s.pages[page] = p
	}
	word, bit := &p.words[v>>6&(pageWords-1)], uint64(1)<<(v&63)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	s.count++
	return true
}

// each calls visit for all members, ascending.
func (s *idSet) each(visit func(v int32)) {
	for i, p := range s.pages {
		if p == nil {
			continue
		}
		for w, word := range p.words {
			for ; word != 0; word &= word - 1 {
				visit(int32(i<<pageBits + w<<6 + bits.TrailingZeros64(word)))
			}
		}
	}
}

// rankAll prepares rank.
func (s *idSet) rankAll() {
	first := int32(0)
	for _, p := range s.pages {
		if p == nil {
			continue
		}
		p.first = first
		before := 0
		for w, word := range p.words {
			p.before[w] = uint16(before)
			before += bits.OnesCount64(word)
		}
		first += int32(before)
	}
}

// rank returns how many members are below the member v.
func (s *idSet) rank(v int32) int32 {
	p := s.pages[v>>pageBits]
	w := v >> 6 & (pageWords - 1)
	return p.first + int32(p.before[w]) + int32(bits.OnesCount64(p.words[w]&(uint64(1)<<(v&63)-1)))
}
