package inspect

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/convert/converttest"
)

// FuzzCompute looks at any data set: there is a report that JSON can hold, its counts are
// those of the data, and the data stay as they were.
func FuzzCompute(f *testing.F) {
	f.Add([]byte{}, false)
	f.Add([]byte{5, 1, 2, 1, 255, 15, 3, 0, 7, 1, 9, 200, 0, 0, 128, 63}, true)
	f.Add([]byte{11, 3, 3, 2, 255, 255, 1, 1, 2, 2, 4, 4}, false)
	f.Fuzz(func(t *testing.T, data []byte, coarse bool) {
		raw := converttest.FromBytes(data, coarse)
		r, err := Compute(t.Context(), raw, Options{})
		if err != nil {
			var bad *formats.InputError
			if !errors.As(err, &bad) || coarse {
				t.Fatal(err)
			}
			return
		}
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatalf("the report has no JSON: %v", err)
		}
		var again Report
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := converttest.Fingerprint(t, raw); got != r.Fingerprint {
			t.Fatalf("fingerprint %s, then %s", r.Fingerprint, got)
		}
	})
}
