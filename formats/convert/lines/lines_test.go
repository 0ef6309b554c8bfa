package lines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/saint-gnn/saint/formats"
)

func scan(ctx context.Context, r io.Reader, workers int, bad string, take func([]byte) error) (int64, error) {
	s := &Scanner{
		Path: "f", Workers: workers, Skipped: 3, After: func(int64) {},
		Broken: func(lines int64, err error) error { return fmt.Errorf("after %d lines: %w", lines, err) },
	}
	return Scan(ctx, s, r, func(block []byte) ([]byte, *Mistake) {
		if at := bytes.Index(block, []byte(bad)); at >= 0 && bad != "" {
			return nil, &Mistake{Line: Count(block[:at+1]), Col: 1, Err: errors.New("bad")}
		}
		return slices.Clone(block), nil
	}, take)
}

// TestScan puts random texts together again.
func TestScan(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, count := range []int{0, 1, 2, 70000} {
		var text bytes.Buffer
		for i := range count {
			fmt.Fprintf(&text, "%d %s\n", i, strings.Repeat("x", random.IntN(80)))
		}
		for _, trim := range []int{0, 1} { // without the last newline
			want := text.Bytes()[:max(0, text.Len()-trim)]
			var got []byte
			lines, err := scan(t.Context(), iotest.HalfReader(bytes.NewReader(want)), 3, "", func(b []byte) error {
				got = append(got, b...)
				return nil
			})
			if err != nil || int(lines) != count+3 || !bytes.Equal(got, want) {
				t.Errorf("Scan of %d lines = %d lines, %d of %d bytes, %v", count, lines-3, len(got), len(want), err)
			}
		}
	}
}

func TestScanErrors(t *testing.T) {
	text := strings.Repeat("0123456789012345\n", 200_000) + "bad\n" + strings.Repeat("more\n", 100_000) + "bad\n"
	boom := errors.New("boom")
	ok := func([]byte) error { return nil }
	_, err := scan(t.Context(), strings.NewReader(text), 4, "bad", ok)
	var in *formats.InputError
	if !errors.As(err, &in) || in.Line != 200_001+3 || in.Col != 1 {
		t.Errorf("Scan = %v, want line %d", err, 200_001+3)
	}
	if _, err := scan(t.Context(), strings.NewReader(text), 4, "", func([]byte) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("Scan with a failing take = %v, want %v", err, boom)
	}
	if _, err := scan(t.Context(), io.MultiReader(strings.NewReader("1\n2\n"), iotest.ErrReader(boom)), 4, "", ok); !errors.Is(err, boom) {
		t.Errorf("Scan of a broken text = %v, want %v", err, boom)
	}
	if _, err := scan(t.Context(), strings.NewReader("1\n"+strings.Repeat("x", 3*BlockBytes)), 2, "", ok); !errors.As(err, &in) || in.Line != 5 {
		t.Errorf("Scan of a long line = %v, want an error in line 5", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := scan(ctx, strings.NewReader(text), 4, "", ok); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan after cancel = %v, want %v", err, context.Canceled)
	}
}
