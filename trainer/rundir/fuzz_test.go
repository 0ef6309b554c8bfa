package rundir

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/saint-gnn/saint/formats"
)

// checkLine wants an InputError of one line.
func checkLine(t *testing.T, err error) {
	t.Helper()
	var bad *formats.InputError
	if !errors.As(err, &bad) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("error %v, want an InputError of one line", err)
	}
}

// FuzzOpen reads any run.json: what is accepted is written and read again as it was.
func FuzzOpen(f *testing.F) {
	good, err := json.Marshal(Info{
		Version: "1", State: Running, Seed: 1<<64 - 1, Device: "cpu", ISA: "avx2", Data: "/data/ppi", DataName: "ppi", Fingerprint: "ab",
		Config: "rw.yml", ConfigHash: "cd", Epochs: 3, EdgeWeight: true, Command: []string{"train", "--json"}, Started: "2024-01-01T00:00:00Z",
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{string(good), "{}", "null", "[]", `{"seed":-1}`, `{"seed":1e3,"command":null}`, `{"state":"\ud800"}`, "{", ""} {
		f.Add([]byte(text))
	}
	dir := f.TempDir()
	path := filepath.Join(dir, "run.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open(dir)
		if err != nil {
			checkLine(t, err)
			return
		}
		if err := d.SetState(d.Info.State, nil); err != nil {
			t.Fatal(err)
		}
		again, err := Open(dir)
		if err != nil || !reflect.DeepEqual(again.Info, d.Info) {
			t.Fatalf("written and read: %+v, %v, want %+v", again, err, d.Info)
		}
	})
}

// FuzzTrimMetrics trims any metrics.jsonl: what stays are whole lines of the file in their
// order, all of earlier epochs, and trimming again changes nothing.
func FuzzTrimMetrics(f *testing.F) {
	f.Add([]byte(`{"type":"epoch","epoch":0,"val":{"f1":0.5}}`+"\n"+`{"type":"epoch","epoch":1}`+"\n"+`{"type":"epo`), 1)
	f.Add([]byte("\r\n{}\n{\"type\":\"epoch\"}\n{\"type\":\"epoch\",\"epoch\":-1}\r\n"), 0)
	dir := f.TempDir()
	path := filepath.Join(dir, "metrics.jsonl")
	f.Fuzz(func(t *testing.T, text []byte, epoch int) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		d := &Dir{Path: dir}
		if err := d.TrimMetrics(epoch); err != nil {
			checkLine(t, err)
			return
		}
		kept, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rest := bytes.Split(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\n"))
		for line := range bytes.Lines(kept) {
			line = bytes.TrimSuffix(line, []byte("\n"))
			for len(rest) > 0 && !bytes.Equal(bytes.TrimSuffix(rest[0], []byte("\r")), line) {
				rest = rest[1:]
			}
			if len(rest) == 0 {
				t.Fatalf("%q is not a line of the file, or in another order", line)
			}
			rest = rest[1:]
			var e struct{ Epoch int }
			if err := json.Unmarshal(line, &e); err != nil || e.Epoch >= epoch {
				t.Fatalf("%q stays, want lines of epochs before %d", line, epoch)
			}
		}
		if err := d.TrimMetrics(epoch); err != nil {
			t.Fatal(err)
		}
		if again, _ := os.ReadFile(path); !bytes.Equal(again, kept) {
			t.Fatalf("trimmed again: %q, want %q", again, kept)
		}
	})
}
