// Package kernels holds the CUDA kernels as PTX, the text that drivers compile for their GPU. The
// .cu files beside it are the sources, one for each family of operations; 'make ptx' compiles them,
// which needs no GPU, and resources.txt says what the assembler made of each.
package kernels

import (
	"embed"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.ptx
var files embed.FS

// Families returns the names of the files without their endings, sorted.
func Families() []string {
	found, err := fs.Glob(files, "*.ptx")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for i, f := range found {
		found[i] = strings.TrimSuffix(f, path.Ext(f))
	}
	return found
}

// PTX returns the text of a family. It panics if there is none of that name.
func PTX(family string) string {
	text, err := files.ReadFile(family + ".ptx")
	if err != nil {
		panic(err)
	}
	return string(text)
}
