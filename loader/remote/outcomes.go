package remote

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// outcomes counts calls by the gRPC code that they end with. There are few codes, whatever
// clients do.
type outcomes [codes.Unauthenticated + 1]atomic.Uint64

func (o *outcomes) count(err error) {
	code := status.Code(err)
	if int(code) >= len(o) {
		code = codes.Unknown
	}
	o[code].Add(1)
}

// errors returns the counts of the codes that occurred, but for success.
func (o *outcomes) errors() map[string]uint64 {
	all := map[string]uint64{}
	for code := codes.OK + 1; int(code) < len(o); code++ {
		if n := o[code].Load(); n > 0 {
			all[code.String()] = n
		}
	}
	return all
}

// watcher counts the outcomes of calls. A call that panics ends with an error, as a mistake that
// a client finds must not end the streams of the others.
type watcher struct {
	*outcomes
	log *slog.Logger
}

func (w watcher) ended(method string, p any, err error) error {
	if p != nil {
		w.log.Error("call failed", "method", method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		err = status.Error(codes.Internal, "the server made a mistake; its log tells more")
	}
	w.count(err)
	return err
}

func (w watcher) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (answer any, err error) {
	defer func() { err = w.ended(info.FullMethod, recover(), err) }()
	return next(ctx, req)
}

func (w watcher) stream(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer func() { err = w.ended(info.FullMethod, recover(), err) }()
	return next(srv, s)
}
