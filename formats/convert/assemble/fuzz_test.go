package assemble

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// FuzzFractions reads shares: what is accepted splits any number of nodes into disjoint
// parts of about these sizes, and reads the same when it is written.
func FuzzFractions(f *testing.F) {
	for _, s := range []string{"0.6,0.2,0.2", "1,0,0", " 0.5 , 0.5,0", "0x1p-2,1e-3,.1", "1,1,1", "nan,0,0", "0.5,0.5", ""} {
		f.Add(s, uint8(10), uint64(1))
	}
	f.Fuzz(func(t *testing.T, text string, count uint8, seed uint64) {
		shares, err := ParseFractions(text)
		if err != nil {
			return
		}
		again, err := ParseFractions(strings.Trim(strings.ReplaceAll(fmt.Sprint(shares), " ", ","), "[]"))
		if err != nil || again != shares {
			t.Fatalf("ParseFractions(%q) = %v, read again %v, %v", text, shares, again, err)
		}
		nodes := make([]int32, count)
		for i := range nodes {
			nodes[i] = int32(3 * i)
		}
		r := shares.Draw(nodes, seed)
		all := slices.Concat(r.Train, r.Val, r.Test)
		slices.Sort(all)
		if len(slices.Compact(slices.Clone(all))) != len(all) || len(nodes) > 0 && len(r.Train) == 0 {
			t.Fatalf("%v of %d nodes: %+v, want disjoint roles and somebody who trains", shares, count, r)
		}
		for i, part := range [][]int32{r.Train, r.Val, r.Test} {
			if !slices.IsSorted(part) || slices.ContainsFunc(part, func(v int32) bool { return !slices.Contains(nodes, v) }) {
				t.Fatalf("part %d is %v of %v", i, part, nodes)
			}
			if want := shares[i] * float64(count); float64(len(part)) > want+2 || float64(len(part)) < want-2 {
				t.Fatalf("part %d has %d of %d nodes, want about %v", i, len(part), count, want)
			}
		}
	})
}

// FuzzRole reads the names of roles in any spelling.
func FuzzRole(f *testing.F) {
	for _, s := range []string{"train", " VA", "testing", "", "none", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		role, ok := ParseRole(word)
		if !ok && role != NoRole {
			t.Fatalf("ParseRole(%q) = %v, refused", word, role)
		}
		if same, ok2 := ParseRole(role.String()); ok && (!ok2 || same != role) {
			t.Fatalf("ParseRole(%q) = %v, read again %v", word, role, same)
		}
	})
}
