package remote

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A call that panics ends with an error of its own, and every outcome is counted by its code.
func TestOutcomes(t *testing.T) {
	var o outcomes
	var log strings.Builder
	w := watcher{&o, slog.New(slog.NewTextHandler(&log, nil))}
	for _, step := range []struct {
		call func() error
		want codes.Code
	}{
		{func() error { return nil }, codes.OK},
		{func() error { return status.Error(codes.NotFound, "no data set") }, codes.NotFound},
		{func() error { return status.Error(codes.NotFound, "no phase") }, codes.NotFound},
		{func() error { return io.ErrUnexpectedEOF }, codes.Unknown},
		{func() error { return status.Error(200, "of another protocol") }, 200},
		{func() error { panic("nil map") }, codes.Internal},
	} {
		err := w.stream(nil, nil, &grpc.StreamServerInfo{FullMethod: "/a/b"}, func(any, grpc.ServerStream) error { return step.call() })
		if status.Code(err) != step.want {
			t.Errorf("stream = %v, want code %v", err, step.want)
		}
		_, err = w.unary(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/a/c"}, func(context.Context, any) (any, error) { return nil, step.call() })
		if status.Code(err) != step.want {
			t.Errorf("unary = %v, want code %v", err, step.want)
		}
	}
	want := map[string]uint64{"NotFound": 4, "Unknown": 4, "Internal": 2}
	got := o.errors()
	for code, n := range want {
		if got[code] != n {
			t.Errorf("errors() = %v, want %v", got, want)
		}
	}
	if len(got) != len(want) {
		t.Errorf("errors() = %v, want %v", got, want)
	}
	for _, text := range []string{"/a/b", "/a/c", "nil map", "outcomes_test.go"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("the log\n%swant %q in it", log.String(), text)
		}
	}
	if err := w.stream(nil, nil, &grpc.StreamServerInfo{}, func(any, grpc.ServerStream) error { panic(errors.New("secret")) }); strings.Contains(err.Error(), "secret") {
		t.Errorf("stream = %v, want nothing of the panic told to the client", err)
	}
}
