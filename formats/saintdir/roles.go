package saintdir

import "slices"

// roleKeys are the keys of role.json and the arrays of role.npz.
var roleKeys = [3]string{"tr", "va", "te"}

// roleSet is the content of role.json or role.npz.
type roleSet struct {
	path  string
	nodes [3][]int32 // ascending
	// where returns an error at the k-th occurrence of node v, k counting from 0 over the
	// file in its own order.
	where func(v int32, k int, format string, args ...any) error
}

// readRolesJSON reads and checks a role.json by itself.
func readRolesJSON(path string) (*roleSet, error) {
	roles := &roleSet{path: path}
	err := scanFile(path, func(s *scanner) error {
		return parseRoles(s, func(role int, v int32, _ int64) error {
			roles.nodes[role] = append(roles.nodes[role], v)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	roles.where = func(v int32, k int, format string, args ...any) error {
		return scanFile(path, func(s *scanner) error {
			return parseRoles(s, func(_ int, u int32, at int64) error {
				if u == v {
					if k--; k < 0 {
						return s.errorAt(at, format, args...)
					}
				}
				return nil
			})
		})
	}
	return roles, roles.sort()
}

// parseRoles calls emit for every node id of a role file, in the file's order.
func parseRoles(s *scanner, emit func(role int, v int32, at int64) error) error {
	if err := s.expect('{', `'{"tr": [ids], "va": [ids], "te": [ids]}'`); err != nil {
		return err
	}
	var seen [3]bool
	more := s.peek() != '}'
	if !more {
		s.pos++
	}
	for more {
		role, at, err := s.roleKey()
		if err != nil {
			return err
		}
		if seen[role] {
			return s.errorAt(at, "key %q comes twice", roleKeys[role])
		}
		seen[role] = true
		if err := s.idList(role, emit); err != nil {
			return err
		}
		if more, err = s.more('}'); err != nil {
			return err
		}
	}
	for role, ok := range seen {
		if !ok {
			return s.errorAt(s.offset(), "key %q is missing; write \"%s\": [] for a role without nodes", roleKeys[role], roleKeys[role])
		}
	}
	return s.finish()
}

// roleKey consumes a role's key and returns its number.
func (s *scanner) roleKey() (role int, at int64, err error) {
	text, at, err := s.key(`"tr", "va" or "te"`)
	if err != nil {
		return 0, at, err
	}
	role = slices.Index(roleKeys[:], string(text))
	if role < 0 {
		return 0, at, s.errorAt(at, "unknown key %q, want \"tr\", \"va\" or \"te\"", text)
	}
	return role, at, nil
}

// idList consumes a list of node ids.
func (s *scanner) idList(role int, emit func(role int, v int32, at int64) error) error {
	if err := s.expect('[', "'[' and a list of node ids"); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for more := true; more; {
		s.peek()
		at := s.offset()
		v, err := s.integer("a node id")
		if err != nil {
			return err
		}
		if v < 0 || v > maxNodeID {
			return s.errorAt(at, "node id %d, want 0 to %d", v, int64(maxNodeID))
		}
		if err := emit(role, int32(v), at); err != nil {
			return err
		}
		if more, err = s.more(']'); err != nil {
			return err
		}
	}
	return nil
}

// sort orders the roles and verifies that no node comes twice and that somebody trains.
func (r *roleSet) sort() error {
	for _, nodes := range r.nodes {
		if !slices.IsSorted(nodes) {
			slices.Sort(nodes)
		}
	}
	for i, nodes := range r.nodes {
		for k := 1; k < len(nodes); k++ {
			if nodes[k] == nodes[k-1] {
				return r.where(nodes[k], 1, "node %d comes twice in role %s", nodes[k], roleKeys[i])
			}
		}
		for j := i + 1; j < len(r.nodes); j++ {
			if v := firstCommon(nodes, r.nodes[j]); v >= 0 {
				return r.where(v, 1, "node %d is in roles %s and %s, want one role at most", v, roleKeys[i], roleKeys[j])
			}
		}
	}
	if len(r.nodes[0]) == 0 {
		return badFile(r.path, "role tr is empty, want at least one training node")
	}
	return nil
}

// firstCommon returns the least id that is in both ascending lists, or -1.
func firstCommon(a, b []int32) int32 {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] == b[0]:
			return a[0]
		case a[0] < b[0]:
			a = a[1:]
		default:
			b = b[1:]
		}
	}
	return -1
}

// checkRange verifies that all ids are nodes of a graph with n nodes.
func (r *roleSet) checkRange(n int) error {
	for i, nodes := range r.nodes {
		if k := len(nodes); k > 0 && int(nodes[k-1]) >= n {
			first, _ := slices.BinarySearch(nodes, int32(n))
			return r.where(nodes[first], 0, "role %s holds node %d, but %s has %d nodes (ids 0 to %d)",
				roleKeys[i], nodes[first], fullFile, n, n-1)
		}
	}
	return nil
}
