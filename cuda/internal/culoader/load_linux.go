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

func open(library string) error {
	name := C.CString(library)
	defer C.free(unsafe.Pointer(name))
	var why [512]C.char
	var missing C.int
	if C.saint_cu_open(name, &why[0], C.int(len(why)), &missing) != 0 {
		reason := C.GoString(&why[0])
		if !strings.Contains(reason, library) {
			reason = library + ": " + reason
		}
		return errors.New(reason)
	}
	return nil
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
