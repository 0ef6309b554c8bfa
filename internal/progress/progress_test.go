package progress

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func fake(mode Mode) (*Reporter, *bytes.Buffer, *time.Time) {
	var b bytes.Buffer
	now := time.Unix(0, 0)
	r := New(&b, mode, time.Second)
	r.now = func() time.Time { return now }
	return r, &b, &now
}

func TestLines(t *testing.T) {
	r, out, now := fake(Lines)
	task := r.Start("norm", "subgraphs", 400)
	task.Set(0, "")
	*now = now.Add(500 * time.Millisecond)
	task.Set(50, "")
	if out.Len() != 0 {
		t.Fatalf("a line before the interval: %q", out)
	}
	*now = now.Add(500 * time.Millisecond)
	task.Set(100, "wait 2%")
	task.Done()
	if got, want := out.String(), "norm 100/400 subgraphs  100 subgraphs/s  ETA 3s  wait 2%\n"; got != want {
		t.Errorf("progress = %q, want %q", got, want)
	}
}

// TestSetFunc: the detail is made only for a line that is shown.
func TestSetFunc(t *testing.T) {
	r, out, now := fake(Lines)
	task := r.Start("train", "steps", 0)
	made := 0
	detail := func() string {
		made++
		return "loss 2"
	}
	task.SetFunc(0, detail)
	*now = now.Add(time.Second)
	task.SetFunc(7, detail)
	task.SetFunc(8, detail)
	if got, want := out.String(), "train 7 steps  7.00 steps/s  loss 2\n"; got != want || made != 1 {
		t.Errorf("progress = %q after %d details, want %q after 1", got, made, want)
	}
	(*Task)(nil).SetFunc(1, detail)
	if n := testing.AllocsPerRun(10, func() { task.SetFunc(9, detail) }); n != 0 {
		t.Errorf("a call that shows nothing allocates %v times, want 0", n)
	}
}

func TestRateOfResumedWork(t *testing.T) {
	r, out, now := fake(Lines)
	task := r.Start("train", "steps", 200)
	task.Set(100, "")
	*now = now.Add(2 * time.Second)
	task.Set(110, "")
	if got, want := out.String(), "train 110/200 steps  5.00 steps/s  ETA 18s\n"; got != want {
		t.Errorf("progress = %q, want %q", got, want)
	}
}

func TestTerminalKeepsLogsWhole(t *testing.T) {
	r, out, now := fake(Terminal)
	task := r.Start("train", "steps", 0)
	task.Set(0, "")
	*now = now.Add(time.Second)
	task.Set(7, "")
	if _, err := r.Write([]byte("a log line\n")); err != nil {
		t.Fatal(err)
	}
	task.Done()
	got := out.String()
	if !strings.Contains(got, "\r\x1b[Ka log line\ntrain 7 steps") {
		t.Errorf("output = %q, want the log line on a line of its own and the progress after it", got)
	}
	if !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("output = %q, want it to end with a cleared line", got)
	}
}

func TestOffAndNil(t *testing.T) {
	r, out, now := fake(Off)
	task := r.Start("x", "y", 1)
	*now = now.Add(time.Hour)
	task.Set(1, "")
	task.Done()
	var none *Task
	none.Set(1, "")
	none.Done()
	if out.Len() != 0 {
		t.Errorf("output = %q, want none", out)
	}
}

func TestFormats(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Short(59*time.Second + 600*time.Millisecond), "1m00s"},
		{Short(90 * time.Minute), "1h30m"},
		{Bytes(600 << 20), "600.0 MiB"},
		{Bytes(3 << 30), "3.00 GiB"},
		{Bytes(12), "12 B"},
		{Rate(7512), "7512"},
		{Rate(123456), "123k"},
		{Rate(1234567), "1.23M"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
