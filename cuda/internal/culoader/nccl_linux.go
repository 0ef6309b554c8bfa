//go:build cuda && linux && (amd64 || arm64)

package culoader

// #include "blas.h"
// #include "nccl.h"
import "C"

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"unsafe"
)

// ncclEntries are the entries of NCCL in the order of saint_nccl.
var ncclEntries = []string{
	"ncclGetVersion", "ncclCommInitAll", "ncclCommDestroy", "ncclCommAbort", "ncclGroupStart", "ncclGroupEnd", "ncclReduce", "ncclBroadcast",
	"ncclCommGetAsyncError", "ncclGetErrorString",
}

// Nccl is NCCL, bound.
type Nccl struct {
	File    string // where it was found
	version int
	calls   C.saint_nccl
}

var nccl struct {
	once sync.Once
	lib  *Nccl
	err  error
}

// LoadNccl loads NCCL, once in a process.
func LoadNccl() (*Nccl, error) {
	nccl.once.Do(func() { nccl.lib, nccl.err = loadNccl() })
	return nccl.lib, nccl.err
}

func loadNccl() (*Nccl, error) {
	file, entries, err := load([]string{"libnccl.so.2"}, nil, ncclEntries)
	if err != nil {
		return nil, err
	}
	l := &Nccl{File: file}
	if size := unsafe.Sizeof(l.calls); size != uintptr(len(entries))*unsafe.Sizeof(entries[0]) {
		panic("culoader: saint_nccl has other entries than ncclEntries")
	}
	copy(unsafe.Slice((*unsafe.Pointer)(unsafe.Pointer(&l.calls)), len(entries)), entries)
	var v C.int
	if err := l.check("ncclGetVersion", C.saint_nccl_version(&l.calls, &v)); err != nil {
		return nil, err
	}
	l.version = int(v)
	return l, nil
}

// Name is the file's name and the version.
func (l *Nccl) Name() string {
	return fmt.Sprintf("%s %d.%d.%d", filepath.Base(l.File), l.version/10000, l.version/100%100, l.version%100)
}

// NoContextError is the driver's error where a context could not be made current.
type NoContextError int

// Error has the driver's words.
func (e NoContextError) Error() string { return "cuCtxSetCurrent: " + ErrorText(int(e)) }

func (l *Nccl) check(call string, result C.int) error {
	switch {
	case result == 0:
		return nil
	case result < C.SAINT_NO_CONTEXT:
		return NoContextError(C.SAINT_NO_CONTEXT - result)
	}
	return fmt.Errorf("%s: %s (result %d)", call, C.GoString(C.saint_nccl_text(&l.calls, result)), int(result))
}

// Ring is the communicators of several devices, all of this process.
type Ring struct {
	lib      *Nccl
	contexts []unsafe.Pointer
	comms    []unsafe.Pointer
	at       []C.uint64_t
	counts   []C.uint64_t
	streams  []C.uint64_t
}

// NewRing joins the devices of those numbers, whose contexts are given.
func (l *Nccl) NewRing(devices []int, contexts []unsafe.Pointer) (*Ring, error) {
	numbers := make([]C.int, len(devices))
	for i, d := range devices {
		numbers[i] = C.int(d)
	}
	r := &Ring{lib: l, contexts: contexts, comms: make([]unsafe.Pointer, len(devices)), streams: make([]C.uint64_t, len(devices))}
	return r, l.check("ncclCommInitAll", C.saint_nccl_init(&l.calls, &r.comms[0], C.int(len(devices)), &numbers[0]))
}

// Exchange queues a reduction to device 0, or a broadcast from there, of counts[k] floats each.
func (r *Ring) Exchange(reduce bool, at func(device, k int) uint64, counts []int, stream func(device int) uint64) error {
	r.at, r.counts = r.at[:0], r.counts[:0]
	for i := range r.comms {
		r.streams[i] = C.uint64_t(stream(i))
		for k := range counts {
			r.at = append(r.at, C.uint64_t(at(i, k)))
		}
	}
	for _, n := range counts {
		r.counts = append(r.counts, C.uint64_t(n))
	}
	if len(counts) == 0 {
		return nil
	}
	call, kind := "ncclBroadcast", C.int(0)
	if reduce {
		call, kind = "ncclReduce", 1
	}
	return r.lib.check(call, C.saint_nccl_exchange(&r.lib.calls, kind, C.int(len(r.comms)), &r.contexts[0], &r.comms[0], &r.streams[0],
		C.int(len(counts)), &r.at[0], &r.counts[0]))
}

// Failed returns the first failure that a communicator has noticed.
func (r *Ring) Failed() error {
	for _, c := range r.comms {
		if err := r.lib.check("ncclCommGetAsyncError", C.saint_nccl_async_error(&r.lib.calls, c)); err != nil {
			return err
		}
	}
	return nil
}

// End frees the communicators; with abort set what they have queued is given up.
func (r *Ring) End(abort bool) error {
	call, kind := "ncclCommDestroy", C.int(0)
	if abort {
		call, kind = "ncclCommAbort", 1
	}
	var errs []error
	for i, c := range r.comms {
		errs = append(errs, r.lib.check(call, C.saint_nccl_end(&r.lib.calls, kind, r.contexts[i], c)))
	}
	r.comms = nil
	return errors.Join(errs...)
}
