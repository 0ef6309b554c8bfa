//go:build cuda && linux && (amd64 || arm64)

package driver

import (
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// What the binding's README says of functions that it copied is true of none that programs of ours
// contain; NOTICE says so.
func TestCopiedFunctionsAreNotLinked(t *testing.T) {
	out, err := exec.Command("go", "tool", "nm", os.Args[0]).Output()
	if err != nil {
		t.Skipf("no go tool: %v", err)
	}
	if !regexp.MustCompile(`gorgonia\.org/cu\.MemAlloc`).Match(out) {
		t.Fatal("the binding's functions are not among the symbols")
	}
	copied := regexp.MustCompile(`gorgonia\.org/cu\.(Function\.(c|Launch)|\(\*?Ctx\)\.LaunchKernel|offset|DevicePtr\.\w+|Laun\w*Kernel\w*)\b`)
	if found := copied.FindAll(out, -1); len(found) > 0 {
		t.Errorf("linked from execution.go or memory.go of the binding: %s", found)
	}
}
