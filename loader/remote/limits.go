package remote

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v15/arrow/memory"
)

// LimitError says that a limit of the server is reached. A client may come back later.
type LimitError struct{ What string }

// Error returns what is exhausted.
func (e *LimitError) Error() string { return e.What }

// budget is an allocator that all streams share. A batch that does not fit in ends its
// stream: Allocate panics with a *LimitError, which the pipeline reports as that batch's
// failure.
type budget struct {
	memory.Allocator
	limit int64 // 0: none
	held  atomic.Int64
}

// Allocate is part of memory.Allocator.
func (b *budget) Allocate(n int) []byte {
	if held := b.held.Add(int64(n)); b.limit > 0 && held > b.limit {
		b.held.Add(int64(-n))
		panic(&LimitError{fmt.Sprintf("the batches of all streams would hold more than the server's %d MiB", b.limit>>20)})
	}
	return b.Allocator.Allocate(n)
}

// Reallocate is part of memory.Allocator.
func (b *budget) Reallocate(n int, old []byte) []byte {
	fresh := b.Allocate(n)
	copy(fresh, old)
	b.Free(old)
	return fresh
}

// Free is part of memory.Allocator.
func (b *budget) Free(old []byte) {
	b.held.Add(-int64(len(old)))
	b.Allocator.Free(old)
}

// connections is a listener that knows its connections, takes only so many, and can cut one.
type connections struct {
	net.Listener
	most int
	mu   sync.Mutex
	open map[string]*connection // by remote address
}

type connection struct {
	net.Conn
	home *connections
	once sync.Once
}

// Accept waits for the next connection. One beyond the limit is closed at once.
func (l *connections) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &connection{Conn: conn, home: l}
		l.mu.Lock()
		full := len(l.open) >= l.most
		if !full {
			l.open[conn.RemoteAddr().String()] = c
		}
		l.mu.Unlock()
		if !full {
			return c, nil
		}
		_ = conn.Close() // there is nobody to tell
	}
}

// Close forgets and closes a connection.
func (c *connection) Close() error {
	c.once.Do(func() {
		c.home.mu.Lock()
		defer c.home.mu.Unlock()
		delete(c.home.open, c.RemoteAddr().String())
	})
	return c.Conn.Close()
}

// cut closes the connection from that address; its streams end.
func (l *connections) cut(remote string) {
	l.mu.Lock()
	c := l.open[remote]
	l.mu.Unlock()
	if c != nil {
		_ = c.Close() // whatever it says, the connection is gone
	}
}

func (l *connections) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}
