//go:build cuda && linux && (amd64 || arm64)

package driver

import (
	"debug/elf"
	"debug/gosym"
	"os"
	"regexp"
	"testing"
)

// What the binding's README says of functions that it copied is true of none that programs of ours
// contain; NOTICE says so.
func TestCopiedFunctionsAreNotLinked(t *testing.T) {
	f, err := elf.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := f.Section(".gopclntab").Data()
	if err != nil {
		t.Fatal(err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(lines, f.Section(".text").Addr))
	if err != nil {
		t.Fatal(err)
	}
	copied := regexp.MustCompile(`^gorgonia\.org/cu\.(Function\.(c|Launch)|\(\*?Ctx\)\.LaunchKernel|offset|DevicePtr\.\w+|Laun\w*Kernel\w*)$`)
	others := 0
	for _, fn := range table.Funcs {
		if copied.MatchString(fn.Name) {
			t.Errorf("%s is linked, from execution.go or memory.go of the binding", fn.Name)
		}
		if fn.Name == "gorgonia.org/cu.MemAlloc" || fn.Name == "gorgonia.org/cu.MemFree" {
			others++
		}
	}
	if others != 2 {
		t.Errorf("%d of 2 functions of the binding found: not a table of this program", others)
	}
}
