//go:build cuda && linux && (amd64 || arm64)

package culoader

// #include <stdlib.h>
// #include "library.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unsafe"
)

// libraryEnv is what package driver documents as LibraryEnv.
const libraryEnv = "SAINT_CUDA_LIBS"

// Where a folder of libraryEnv may have a library, and where toolkits have theirs.
var (
	within   = []string{".", "lib", "lib64", "cublas/lib", "nccl/lib", "cu13/lib", "cu12/lib", "nvidia/cublas/lib", "nvidia/nccl/lib", "nvidia/cu13/lib"}
	toolkits = []string{
		"/usr/local/cuda/lib64", "/usr/local/cuda-1*/lib64", "/usr/local/cuda-1*/targets/*/lib", "/opt/cuda/lib64",
		"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64",
	}
)

// pythons returns the folders in which Python packages with libraries may lie: of the active environment,
// of the python3 on the path, of the system.
func pythons() []string {
	roots := []string{os.Getenv("VIRTUAL_ENV"), os.Getenv("CONDA_PREFIX")}
	if path, err := exec.LookPath("python3"); err == nil {
		roots = append(roots, filepath.Dir(filepath.Dir(path)))
	}
	var found []string
	for _, root := range append(roots, "/usr/local", "/usr") {
		if filepath.IsAbs(root) {
			found = append(found, filepath.Join(root, "lib", "python3*", "site-packages"), filepath.Join(root, "lib", "python3*", "dist-packages"))
		}
	}
	return found
}

// candidates returns where a library of that file name may be: in the folders of libraryEnv, where
// the dynamic linker looks (LD_LIBRARY_PATH, its cache), in those of toolkits, in those of Python.
func candidates(name string) []string {
	var found []string
	add := func(pattern string) {
		paths, _ := filepath.Glob(filepath.Join(pattern, name)) // a folder that is no pattern has nothing
		found = append(found, paths...)
	}
	for _, dir := range filepath.SplitList(os.Getenv(libraryEnv)) {
		for _, below := range within {
			if dir != "" {
				add(filepath.Join(dir, below))
			}
		}
	}
	found = append(found, name)
	for _, home := range []string{os.Getenv("CUDA_HOME"), os.Getenv("CUDA_PATH")} {
		if home != "" {
			add(filepath.Join(home, "lib64"))
		}
	}
	for _, dir := range toolkits {
		add(dir)
	}
	for _, dir := range pythons() {
		for _, below := range within {
			if strings.HasPrefix(below, "nvidia/") {
				add(filepath.Join(dir, below))
			}
		}
	}
	return found
}

// load opens the first of the files that can be opened and has all entries, and returns the file and
// the entries. before, if it lies in the same folder, is opened first: what the library needs itself.
// The error is one line.
func load(names []string, before map[string]string, entries []string) (string, []unsafe.Pointer, error) {
	var first error
	for _, name := range names {
		for _, path := range candidates(name) {
			if b := filepath.Join(filepath.Dir(path), before[name]); before[name] != "" && path != name {
				_, _ = open1(b) // without it the linker looks for it, and says so if it finds none
			}
			found, err := bindAll(path, entries)
			if err == nil {
				return path, found, nil
			}
			// The linker's complaint about a file that is there says more than that there is none.
			if first == nil || path != name && !strings.Contains(err.Error(), "No such file") {
				first = err
			}
		}
	}
	return "", nil, first
}

func open1(path string) (unsafe.Pointer, error) {
	p := C.CString(path)
	defer C.free(unsafe.Pointer(p))
	var why [512]C.char
	lib := C.saint_lib_open(p, &why[0], C.int(len(why)))
	if lib == nil {
		return nil, errors.New(strings.ReplaceAll(C.GoString(&why[0]), "\n", " "))
	}
	return lib, nil
}

// bindAll returns the entries of a library in their order. It is never unloaded.
func bindAll(path string, entries []string) ([]unsafe.Pointer, error) {
	lib, err := open1(path)
	if err != nil {
		return nil, err
	}
	found := make([]unsafe.Pointer, len(entries))
	for i, name := range entries {
		s := C.CString(name)
		found[i] = C.saint_lib_symbol(lib, s)
		C.free(unsafe.Pointer(s))
		if found[i] == nil {
			return nil, fmt.Errorf("%s: has no %s", path, name)
		}
	}
	return found, nil
}
