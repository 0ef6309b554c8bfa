package remote

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// attached is the client's end of a ring.
type attached struct {
	control *os.File

	mu    sync.Mutex
	slots []attachedSlot
	gone  bool // detached: slots are unmapped when they are put back
}

type attachedSlot struct {
	file   *os.File
	mapped []byte
	taken  bool
}

// attachRing opens the files of a ring and tells the server.
func attachRing(folder string, n int) (*attached, error) {
	a := &attached{slots: make([]attachedSlot, n)}
	var err error
	open := func(name string, flags int) (f *os.File) {
		if err != nil {
			return nil
		}
		if f, err = os.OpenFile(filepath.Join(folder, name), flags|unix.O_NOFOLLOW, 0); err != nil {
			return nil
		}
		if info, e := f.Stat(); e != nil || !info.Mode().IsRegular() {
			err = errors.Join(e, errNoSharing)
		}
		return f
	}
	a.control = open(controlled, os.O_RDWR)
	for k := range a.slots {
		a.slots[k].file = open(slotName(k), os.O_RDONLY)
	}
	if err == nil {
		_, err = a.control.WriteAt([]byte{1}, 0)
	}
	if err != nil {
		a.detach()
		return nil, err
	}
	return a, nil
}

// take maps a slot that the server has filled. It is valid until put.
func (a *attached) take(k int, n int64) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case k < 0 || k >= len(a.slots) || a.slots[k].taken:
		return nil, fmt.Errorf("slot %d is not free", k)
	case n < 0:
		return nil, fmt.Errorf("slot %d is said to have %d bytes", k, n)
	}
	s := &a.slots[k]
	if int64(len(s.mapped)) < n {
		info, err := s.file.Stat()
		if err != nil {
			return nil, err
		}
		if info.Size() < n {
			return nil, fmt.Errorf("slot %d has %d bytes, want %d", k, info.Size(), n)
		}
		s.unmap()
		if s.mapped, err = unix.Mmap(int(s.file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE); err != nil {
			return nil, err
		}
	}
	s.taken = true
	return s.mapped[:n:n], nil
}

func (s *attachedSlot) unmap() {
	if s.mapped != nil {
		_ = unix.Munmap(s.mapped) // our own mapping
		s.mapped = nil
	}
}

// put gives a slot back to the server.
func (a *attached) put(k int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.slots[k].taken = false
	if a.gone {
		a.slots[k].unmap()
		return
	}
	_, _ = a.control.WriteAt([]byte{0}, int64(1+k)) // a server that is gone needs it no more
}

// detach closes the files. Slots that are taken stay mapped until they are put.
func (a *attached) detach() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gone = true
	for k := range a.slots {
		s := &a.slots[k]
		if s.file != nil {
			_ = s.file.Close() // opened for reading
		}
		if !s.taken {
			s.unmap()
		}
	}
	if a.control != nil {
		_ = a.control.Close() // nobody reads it any more
	}
}
