//go:build !amd64 || noasm

package cpufeat

func detect() Level { return Generic }
