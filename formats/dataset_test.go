package formats

import (
	"errors"
	"testing"
)

func TestInputErrorIsOnePrintableLine(t *testing.T) {
	cause := errors.New("no column \"größe\"")
	for _, test := range []struct {
		err  InputError
		want string
	}{
		{InputError{Path: "e.csv", Offset: -1, Line: 3, Col: 7, Err: cause}, "e.csv:3:7: no column \"größe\""},
		{InputError{Path: "e.csv", Offset: -1, Line: 3, Err: cause}, "e.csv:3: no column \"größe\""},
		{InputError{Path: "e.csv", Offset: 0, Err: cause}, "e.csv: byte 0: no column \"größe\""},
		{InputError{Path: "a\nb", Offset: -1, Err: errors.New("x\r\n\x1b[2Jy\u2028\xffz\ufffd\u00a0")}, `a\nb: x\r\n\x1b[2Jy\u2028\xffz` + "\ufffd" + `\u00a0`},
	} {
		if got := test.err.Error(); got != test.want {
			t.Errorf("Error() = %q, want %q", got, test.want)
		}
	}
}
