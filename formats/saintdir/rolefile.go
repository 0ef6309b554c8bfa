package saintdir

import "path/filepath"

// ReadRoles reads a file in the form of role.json, or of role.npz if it ends in .npz, by
// itself and checks that its ids are below n. The lists are ascending and disjoint.
func ReadRoles(path string, n int) (train, val, test []int32, err error) {
	read := readRolesJSON
	if filepath.Ext(path) == ".npz" {
		read = readRolesNPZ
	}
	r, err := read(path)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := r.checkRange(n); err != nil {
		return nil, nil, nil, err
	}
	return r.nodes[0], r.nodes[1], r.nodes[2], nil
}
