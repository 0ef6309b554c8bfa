//go:build cuda && linux && (amd64 || arm64)

package culoader

// #include <stdlib.h>
// #include "module.h"
import "C"

import (
	"strings"
	"unsafe"
)

// LoadModule compiles PTX in the context that is current on the thread, and returns the module and the
// driver's error number. log is the compiler's own words in one line, where it has some.
func LoadModule(ptx string) (module unsafe.Pointer, log string, code int) {
	text := C.CString(ptx)
	defer C.free(unsafe.Pointer(text))
	var words [2048]C.char
	n := C.saint_cu_load_module(&module, text, &words[0], C.size_t(len(words)))
	return module, strings.Join(strings.Fields(C.GoString(&words[0])), " "), int(n)
}
