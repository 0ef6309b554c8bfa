package culoader

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// headersEnv names folders, separated by colons, that have NVIDIA's headers.
const headersEnv = "SAINT_CUDA_HEADERS"

// headers returns the folders that have headers: those of headersEnv, of a toolkit, and of the Python
// packages that 'make ptx' has installed.
func headers() []string {
	found := filepath.SplitList(os.Getenv(headersEnv))
	for _, pattern := range []string{
		"/usr/local/cuda/include", "/usr/local/cuda-1*/include", "/opt/cuda/include", "/usr/include",
		"../../../.tools/ptx/lib/python3*/site-packages/nvidia/*/include",
	} {
		folders, _ := filepath.Glob(pattern)
		found = append(found, folders...)
	}
	return found
}

// has returns the folders that have a file.
func has(folders []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(folders), func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err != nil
	})
}

// The pointers to entries, and the numbers, that this package has of its own are those of NVIDIA's headers.
func TestHeaders(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("there is no C compiler")
	}
	folders := headers()
	for _, tt := range []struct{ source, needs string }{{"cuda.c", "cuda.h"}, {"libraries.c", "cuda_runtime.h"}} {
		t.Run(tt.source, func(t *testing.T) {
			first := has(folders, tt.needs)
			if len(first) == 0 {
				t.Skipf("no %s: %s can name its folder", tt.needs, headersEnv)
			}
			args := []string{"-std=gnu11", "-fsyntax-only", "-Wall", "-Werror=incompatible-pointer-types"}
			for _, dir := range append(first[:1:1], folders...) {
				args = append(args, "-isystem", dir)
			}
			out, err := exec.Command(gcc, append(args, filepath.Join("testdata", tt.source))...).CombinedOutput()
			if err != nil {
				t.Errorf("with %s of %s: %v\n%s", tt.needs, first[0], err, out)
			}
		})
	}
}
