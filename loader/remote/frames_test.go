package remote_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// rawCall is a call as it goes over the wire: headers, and a message of one field of bytes.
func rawCall(method, body string) []byte {
	path := "/arrow.flight.protocol.FlightService/" + method
	headers := []byte{0x83, 0x86, 0x44, byte(len(path))}
	headers = append(headers, path...)
	headers = append(headers, 0x41, 1, 'x', 0x5f, 16)
	headers = append(headers, "application/grpc"...)
	message := append([]byte{1<<3 | 2, byte(len(body))}, body...)
	data := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
	return append(frame(1, 4, 1, headers), frame(0, 1, 1, data)...)
}

// mistakes is a log that notes calls that panicked.
type mistakes struct{ failed *atomic.Bool }

func (m mistakes) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte("call failed")) {
		m.failed.Store(true)
	}
	return len(line), nil
}

// FuzzFrames sends bytes after the beginning of an HTTP/2 connection, and no more. The server
// closes the connection, fails at nothing of its own, keeps nothing, and serves others.
func FuzzFrames(f *testing.F) {
	for _, call := range [][2]string{
		{"DoGet", `{"dataset":"test","to":3}`},
		{"DoGet", `{"dataset":"test","from":3,"to":2}`},
		{"DoGet", "x"},
		{"DoAction", "health"},
		{"DoAction", "norm"},
		{"DoAction", "shm"},
		{"GetFlightInfo", "x"},
		{"GetSchema", ""},
		{"ListFlights", "test"},
		{"ListActions", ""},
		{"Handshake", "x"},
		{"DoPut", "x"},
		{"DoExchange", "x"},
		{"None", ""},
	} {
		f.Add(rawCall(call[0], call[1]))
	}
	f.Add(frame(6, 0, 0, make([]byte, 8)))
	f.Add(frame(8, 0, 0, []byte{0, 0, 0, 0}))
	f.Add(append(rawCall("DoGet", `{"dataset":"test"}`), frame(3, 0, 1, []byte{0, 0, 0, 8})...))
	f.Add([]byte{0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1})
	var failed atomic.Bool
	cfg := serverConfig(many(3))
	cfg.Log = slog.New(slog.NewTextHandler(mistakes{&failed}, nil))
	r := serve(f, cfg)
	good := plain(f, r.host)
	start := append([]byte(preface), frame(4, 0, 0, nil)...)
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Contains(b, []byte("drain")) {
			t.Skip("it may end the server, as it should")
		}
		conn, err := net.Dial("tcp", r.host)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, err = conn.Write(append(bytes.Clone(start), b...))
		if err == nil {
			conn.(*net.TCPConn).CloseWrite()
			if n, err := io.Copy(io.Discard, io.LimitReader(conn, 1<<24)); n == 1<<24 || err != nil && isTimeout(err) {
				t.Fatalf("%d bytes and %v for an answer, want that the server closes the connection", n, err)
			}
		}
		if _, err := act(t, good, "health", ""); err != nil {
			t.Fatalf("another client gets %v", err)
		}
		eventually(t, func() error {
			if st := r.Stats(); st.Connections > 1 || st.Streams != 0 || st.BatchBytes != 0 {
				return fmt.Errorf("%+v, want one connection and no streams", st)
			}
			return nil
		})
		if failed.Load() || r.Stats().StreamsFailed != 0 {
			t.Fatalf("a call failed by a mistake of the server's: %+v", r.Stats())
		}
	})
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
