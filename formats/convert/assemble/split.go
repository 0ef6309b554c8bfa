package assemble

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/saint-gnn/saint/internal/rng"
)

// splitPurpose is the random stream of drawn splits.
const splitPurpose rng.Purpose = "convert split"

// Roles are the nodes of a split, ascending and disjoint.
type Roles struct{ Train, Val, Test []int32 }

// Role is the role of one node.
type Role uint8

// The roles of a node.
const (
	NoRole Role = iota
	Train
	Val
	Test
)

// String returns tr, va, te or the empty string, the names that data folders use.
func (r Role) String() string { return [...]string{"", "tr", "va", "te"}[r&3] }

// ParseRole returns the role that a word means, in the spelling of any common tool.
func ParseRole(word string) (Role, bool) {
	switch strings.ToLower(strings.TrimSpace(word)) {
	case "tr", "train", "training":
		return Train, true
	case "va", "val", "valid", "validation", "dev":
		return Val, true
	case "te", "test", "testing":
		return Test, true
	case "", "none", "nan", "null", "unused":
		return NoRole, true
	}
	return NoRole, false
}

// RolesOf collects the nodes of each role.
func RolesOf(role []Role) Roles {
	var r Roles
	for v, x := range role {
		switch x {
		case Train:
			r.Train = append(r.Train, int32(v))
		case Val:
			r.Val = append(r.Val, int32(v))
		case Test:
			r.Test = append(r.Test, int32(v))
		case NoRole:
		}
	}
	return r
}

// Of returns the role of each of n nodes.
func (r *Roles) Of(n int) []Role {
	out := make([]Role, n)
	for i, nodes := range [][]int32{r.Train, r.Val, r.Test} {
		for _, v := range nodes {
			out[v] = Role(i + 1)
		}
	}
	return out
}

// Fractions are the shares of training, validation and test nodes.
type Fractions [3]float64

// ParseFractions reads three shares such as "0.6,0.2,0.2". They are not negative, the first
// is positive and their sum is at most 1; nodes beyond it get no role.
func ParseFractions(text string) (Fractions, error) {
	var f Fractions
	parts := strings.Split(text, ",")
	if len(parts) != len(f) {
		return f, fmt.Errorf("split %q, want three fractions such as 0.6,0.2,0.2", text)
	}
	sum := 0.0
	for i, p := range parts {
		x, err := strconv.ParseFloat(strings.TrimSpace(p), 64)
		if err != nil || !(x >= 0 && x <= 1) {
			return f, fmt.Errorf("split %q: %q is no fraction between 0 and 1", text, p)
		}
		f[i] = x
		sum += x
	}
	const rounding = 1e-9
	if f[0] == 0 || sum > 1+rounding {
		return f, fmt.Errorf("split %q, want a positive training share and a sum of at most 1", text)
	}
	return f, nil
}

// Draw splits the nodes at random: a permutation that depends on seed and the number of
// nodes alone is cut at the rounded sums of the shares. At least one node trains.
func (f Fractions) Draw(nodes []int32, seed uint64) Roles {
	order := rng.New(seed, splitPurpose, 0, uint64(len(nodes))).Perm(len(nodes))
	var parts [3][]int32
	sum, from := 0.0, 0
	for i, share := range f {
		sum += share
		to := min(len(nodes), int(math.Round(sum*float64(len(nodes)))))
		if i == 0 {
			to = max(to, min(1, len(nodes)))
		}
		for _, k := range order[from:max(from, to)] {
			parts[i] = append(parts[i], nodes[k])
		}
		slices.Sort(parts[i])
		from = max(from, to)
	}
	return Roles{parts[0], parts[1], parts[2]}
}
