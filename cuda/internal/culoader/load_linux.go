//go:build cuda && linux && (amd64 || arm64)

package culoader

// #cgo CFLAGS: -O2 -std=gnu11 -Wall
// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include "load.h"
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"unsafe"
)

// Library is the name that the driver's installer gives it.
const Library = "libcuda.so.1"

var (
	once    sync.Once
	openErr error
)

// Open binds the symbols to the driver and initialises it, once in a process; later calls repeat
// the first result. The error is one line that names the library.
func Open() error {
	once.Do(func() { openErr = open(Library) })
	return openErr
}

// besides are folders that have the driver where containers keep it from the dynamic linker.
var besides = []string{
	"/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/wsl/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
	"/usr/lib64", "/run/opengl-driver/lib",
}

// open binds the library that the linker finds, or one of besides; the error is the linker's.
func open(library string) error {
	err := bind(library)
	if !errors.Is(err, errNoLibrary) {
		return err
	}
	for _, dir := range besides {
		path := filepath.Join(dir, library)
		if _, missing := os.Stat(path); missing == nil {
			if other := bind(path); !errors.Is(other, errNoLibrary) {
				return other
			}
		}
	}
	return err
}

// errNoLibrary is wrapped where a library could not be opened, or is not the driver.
var errNoLibrary = errors.New("")

// Numbers of errors that people can do something about.
const (
	noDevice = 100
	visible  = "CUDA_VISIBLE_DEVICES"
)

func bind(library string) error {
	name := C.CString(library)
	defer C.free(unsafe.Pointer(name))
	var why [512]C.char
	var missing C.int
	code := C.saint_cu_open(name, &why[0], C.int(len(why)), &missing)
	if code == 0 {
		return nil
	}
	reason := strings.ReplaceAll(C.GoString(&why[0]), "\n", " ")
	if !strings.Contains(reason, Library) {
		reason = library + ": " + reason
	}
	if set, ok := os.LookupEnv(visible); ok && code == noDevice {
		reason += fmt.Sprintf("; %s is %q", visible, set)
	}
	if code < 0 {
		return fmt.Errorf("%s%w", reason, errNoLibrary)
	}
	return errors.New(reason)
}

// Symbol returns the address of an entry that the binding does not have. It fails before Open
// and if the driver is too old to know the entry.
func Symbol(name string) (unsafe.Pointer, error) {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	p := C.saint_cu_symbol(s)
	if p == nil {
		return nil, fmt.Errorf("%s: has no %s; install a newer driver", Library, name)
	}
	return p, nil
}
