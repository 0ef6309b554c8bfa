package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of a server that anybody on its network may talk to.
const (
	headerTime  = 5 * time.Second  // for a request to arrive
	answerTime  = 15 * time.Second // for a request and its answer
	idleTime    = time.Minute      // between two requests of a connection
	closeTime   = 2 * time.Second  // for answers under way when the server ends
	mostHeader  = 16 << 10         // bytes
	mostClients = 64               // connections at once; others wait
)

// Address completes and checks a place to listen at: "9464" and ":9464" mean 127.0.0.1:9464, so
// that nothing is offered to a network that nobody asked for. Port 0 is any free one. outside
// says that the address is not one of the loopback interface; a name other than localhost counts
// as outside.
func Address(listen string) (addr string, outside bool, err error) {
	if _, e := strconv.ParseUint(listen, 10, 16); e == nil {
		listen = ":" + listen
	}
	host, port, err := net.SplitHostPort(listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return "", false, fmt.Errorf("%q is no address to listen at, want host:port or a port, for example 127.0.0.1:9464", listen)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	return net.JoinHostPort(host, port), host != "localhost" && (err != nil || !ip.IsLoopback()), nil
}

// Server is a running HTTP server.
type Server struct {
	http  *http.Server
	where net.Addr
	ended chan error
	once  sync.Once
	err   error
}

// Listen serves h at addr (see [Address]) until Close. Requests, headers and connections are
// bounded in time, size and number.
func Listen(addr string, h http.Handler) (*Server, error) {
	addr, _, err := Address(addr)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{
		http: &http.Server{
			Handler: h, ReadHeaderTimeout: headerTime, ReadTimeout: headerTime, WriteTimeout: answerTime,
			IdleTimeout: idleTime, MaxHeaderBytes: mostHeader,
		},
		where: l.Addr(), ended: make(chan error, 1),
	}
	go func() { s.ended <- s.http.Serve(netutil.LimitListener(l, mostClients)) }()
	return s, nil
}

// Addr is where the server listens, with the port that it got.
func (s *Server) Addr() string { return s.where.String() }

// Close ends the server: answers under way get two seconds. It may be called more than once.
func (s *Server) Close() error {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if s.http.Shutdown(ctx) != nil {
			_ = s.http.Close() // the connections that took too long
		}
		if err := <-s.ended; !errors.Is(err, http.ErrServerClosed) {
			s.err = err
		}
	})
	return s.err
}
