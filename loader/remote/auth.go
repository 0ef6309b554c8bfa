package remote

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Bounds of a bearer token, in bytes.
const (
	minToken = 16
	maxToken = 1 << 10
)

const bearer = "Bearer "

// CheckToken says whether a text can be a bearer token: 16 to 1024 printable ASCII characters
// without spaces.
func CheckToken(token string) error {
	if len(token) < minToken || len(token) > maxToken {
		return fmt.Errorf("the token has %d characters, want %d to %d", len(token), minToken, maxToken)
	}
	for _, b := range []byte(token) {
		if b <= ' ' || b > '~' {
			return fmt.Errorf("the token holds byte %#02x, want printable ASCII characters without spaces", b)
		}
	}
	return nil
}

// Loopback reports whether nobody on another machine can reach the address.
func Loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// gate lets calls with the right token through. Digests are compared, so that the time says
// nothing about the token, not even its length.
type gate struct {
	open bool
	want [sha256.Size]byte
}

func newGate(token string) *gate {
	return &gate{open: token == "", want: sha256.Sum256([]byte(token))}
}

func (g *gate) check(ctx context.Context) error {
	if g.open {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("authorization")
	if len(values) != 1 || !strings.HasPrefix(values[0], bearer) {
		return status.Error(codes.Unauthenticated, "this server wants a token: send the header authorization: Bearer TOKEN")
	}
	got := sha256.Sum256([]byte(values[0][len(bearer):]))
	if subtle.ConstantTimeCompare(got[:], g.want[:]) != 1 {
		return status.Error(codes.Unauthenticated, "wrong token")
	}
	return nil
}

func (g *gate) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := g.check(ctx); err != nil {
		return nil, err
	}
	return next(ctx, req)
}

func (g *gate) stream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := g.check(s.Context()); err != nil {
		return err
	}
	return next(srv, s)
}

// credentials sends the token with every call.
type tokenCredentials struct {
	token  string
	secure bool
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (t tokenCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": bearer + t.token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (t tokenCredentials) RequireTransportSecurity() bool { return t.secure }
