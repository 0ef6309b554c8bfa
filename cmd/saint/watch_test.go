//go:build unix

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// traceEvent is one of a timeline.
type traceEvent struct {
	Ph, Name string
	Pid, Tid int
	Ts, Dur  float64
	Args     struct {
		Name   string
		Number int64
	}
}

// readTimeline returns the spans of a timeline by "process/lane", after checking that those of a
// lane are nested or apart and in order.
func readTimeline(t *testing.T, path string) map[string][]traceEvent {
	t.Helper()
	var f struct{ TraceEvents []traceEvent }
	if err := json.Unmarshal(readFile(t, path), &f); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	processes, names, lanes := map[int]string{}, map[[2]int]string{}, map[string][]traceEvent{}
	for _, e := range f.TraceEvents {
		switch {
		case e.Name == "process_name":
			processes[e.Pid] = e.Args.Name
		case e.Name == "thread_name":
			names[[2]int{e.Pid, e.Tid}] = processes[e.Pid] + "/" + e.Args.Name
			lanes[processes[e.Pid]+"/"+e.Args.Name] = nil
		case e.Ph == "X":
			lane := names[[2]int{e.Pid, e.Tid}]
			lanes[lane] = append(lanes[lane], e)
		}
	}
	const exact = 1e-4 // µs; times have nanoseconds
	for lane, spans := range lanes {
		var open []traceEvent
		last := math.Inf(-1)
		for _, s := range spans {
			if s.Ts < last || s.Dur < 0 {
				t.Errorf("%s: %s %d at %f after %f, for %f", lane, s.Name, s.Args.Number, s.Ts, last, s.Dur)
			}
			last = s.Ts
			for len(open) > 0 && open[len(open)-1].Ts+open[len(open)-1].Dur <= s.Ts+exact {
				open = open[:len(open)-1]
			}
			if n := len(open); n > 0 && s.Ts+s.Dur > open[n-1].Ts+open[n-1].Dur+exact {
				t.Errorf("%s: %s %d and %s %d overlap", lane, open[n-1].Name, open[n-1].Args.Number, s.Name, s.Args.Number)
			}
			open = append(open, s)
		}
	}
	return lanes
}

// spanNames counts spans by name.
func spanNames(spans []traceEvent) map[string]int {
	n := map[string]int{}
	for _, s := range spans {
		n[s.Name]++
	}
	return n
}

// eventFiles returns the records of the event files of a folder, in order.
func eventFiles(t *testing.T, dir string) (files int, records [][]byte) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		for data := readFile(t, path); len(data) > 0; {
			n := binary.LittleEndian.Uint64(data)
			records, data = append(records, data[12:12+n]), data[16+n:]
		}
	}
	return len(paths), records
}

// mentions counts the records that hold a text.
func mentions(records [][]byte, text string) int {
	n := 0
	for _, r := range records {
		if bytes.Contains(r, []byte(text)) {
			n++
		}
	}
	return n
}

// TestWatched: a run that is watched in every way is the same run, and all of it can be read.
func TestWatched(t *testing.T) {
	config := writeConfig(t, "softmax", "4")
	plain, _ := train(t, config)
	line := filepath.Join(t.TempDir(), "t.json")
	dir, o := train(t, config, "--baseline", "--timeline", line, "--tensorboard", "--metrics_listen", "127.0.0.1:0", "--no_cache")
	if !bytes.Equal(lastOf(t, dir), lastOf(t, plain)) {
		t.Error("the run that was watched has other parameters")
	}
	for _, want := range []string{"metrics at http://127.0.0.1:", "timeline " + line} {
		if !strings.Contains(o.stderr, want) {
			t.Errorf("stderr\n%swant %q in it", o.stderr, want)
		}
	}
	lanes := readTimeline(t, line)
	compute := spanNames(lanes["saint train/compute"])
	steps := compute["step"]
	if steps < 4 || compute["forward"] != steps || compute["backward"] != steps || compute["update"] != steps || compute["wait"] != steps {
		t.Errorf("compute lane = %v, want a step with its parts for each update", compute)
	}
	if run := spanNames(lanes["saint train/run"]); run["epoch"] != 4 || run["normalisation"] != 1 || run["checkpoint"] == 0 {
		t.Errorf("run lane = %v, want 4 epochs, a normalisation and checkpoints", run)
	}
	if n := spanNames(lanes["saint train/copy"])["inputs"]; n != steps {
		t.Errorf("copy lane has %d spans, want %d", n, steps)
	}
	if n := spanNames(lanes["saint train/evaluation"])["validation"]; n != 4 {
		t.Errorf("evaluation lane has %d validations, want 4", n)
	}
	if n := spanNames(lanes["saint/data"])["load"]; n != 1 {
		t.Errorf("data lane has %d spans, want 1", n)
	}
	samples := 0
	for lane, spans := range lanes {
		if strings.HasPrefix(lane, "saint train/sampler ") {
			samples += spanNames(spans)["sample"]
		}
	}
	if samples < steps || len(lanes["saint train baseline/compute"]) == 0 {
		t.Errorf("%d samples for %d steps; lanes %v", samples, steps, len(lanes))
	}
	for _, folder := range []string{dir, filepath.Join(dir, baselineDir)} {
		files, records := eventFiles(t, filepath.Join(folder, "tensorboard"))
		if files != 1 || mentions(records, "train/loss") != 4 || mentions(records, "validation/f1_micro") != 4 {
			t.Errorf("%s: %d event files, %d losses, %d validations; want 1, 4, 4", folder, files, mentions(records, "train/loss"), mentions(records, "validation/f1_micro"))
		}
	}
}

// TestTensorBoardResume: what was asked for at the start holds for a resumed run, which begins a
// file of its own.
func TestTensorBoardResume(t *testing.T) {
	config := writeConfig(t, "softmax", "4")
	events := filepath.Join(t.TempDir(), "new", "events")
	dir := filepath.Join(t.TempDir(), "run")
	must(t, "train", "--data_prefix", "synth:tiny", "--train_config", config, "--run_dir", dir, "--epochs", "2", "--tensorboard_dir", events)
	must(t, "train", "--resume", dir, "--epochs", "4")
	files, records := eventFiles(t, events)
	if files != 2 || mentions(records, "train/loss") != 4 || mentions(records, "validation/loss") != 4 {
		t.Errorf("%d event files, %d epochs, %d validations; want 2, 4, 4", files, mentions(records, "train/loss"), mentions(records, "validation/loss"))
	}
	must(t, "train", "--data_prefix", "synth:tiny", "--train_config", config, "--run_dir", dir+"s", "--epochs", "1", "--runs", "2", "--tensorboard_dir", events)
	for _, seed := range []string{"seed-1", "seed-2"} {
		if files, _ := eventFiles(t, filepath.Join(events, seed)); files != 1 {
			t.Errorf("%s: %d event files, want 1", seed, files)
		}
	}
}

// freePort returns an address that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// scrape returns the value of a metric, NaN if there is none.
func scrape(addr, name string) float64 {
	answer, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return math.NaN()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return math.NaN()
	}
	for _, line := range strings.Split(string(text), "\n") {
		if v, ok := strings.CutPrefix(line, name+" "); ok {
			x, err := strconv.ParseFloat(v, 64)
			if err == nil {
				return x
			}
		}
	}
	return math.NaN()
}

// TestMetricsAndInterrupt: a running training can be scraped, and one that is interrupted
// leaves its timeline.
func TestMetricsAndInterrupt(t *testing.T) {
	config := writeConfig(t, "softmax", longRun)
	addr, dir, line := freePort(t), filepath.Join(t.TempDir(), "run"), filepath.Join(t.TempDir(), "t.json")
	p := start(t, append(trainArgs(config, dir), "--metrics_listen", addr, "--timeline", line)...)
	deadline := time.Now().Add(20 * time.Second)
	for !(scrape(addr, "saint_train_steps_total") > 10 && scrape(addr, "saint_validation_f1_micro_ratio") > 0) {
		if time.Now().After(deadline) {
			t.Fatalf("no metrics of steps; stderr:\n%s", p.stderr.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, name := range []string{"saint_sampler_subgraphs_total", "saint_train_nodes_total", "saint_train_edges_total", "saint_train_steps_per_second", "go_goroutines"} {
		if v := scrape(addr, name); !(v > 0) {
			t.Errorf("%s = %v, want more than 0", name, v)
		}
	}
	answer, err := http.Get("http://" + addr + "/readyz")
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("/readyz of a run in progress: %v, %v", answer, err)
	}
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitInterrupted {
		t.Errorf("exit %d, want 130; stderr:\n%s", code, p.stderr.String())
	}
	if run := spanNames(readTimeline(t, line)["saint train/run"]); run["epoch"] == 0 || run["checkpoint"] == 0 {
		t.Errorf("run lane = %v, want epochs and the last checkpoint", run)
	}
}

func TestWatchErrors(t *testing.T) {
	config := writeConfig(t, "softmax", "1")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	args := []string{"train", "--data_prefix", "synth:tiny", "--train_config", config, "--run_dir"}
	saint(t, append(args, filepath.Join(t.TempDir(), "r"), "--metrics_listen", l.Addr().String())...).fails(t, exitFailure, "--metrics_listen", "in use")
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full here")
	}
	dir := filepath.Join(t.TempDir(), "r")
	o := saint(t, append(args, dir, "--timeline", "/dev/full", "--quiet")...)
	if o.code != exitFailure || !strings.Contains(o.stderr, "no space") || info(t, dir)["state"] != "done" {
		t.Errorf("a timeline on a full disk: exit %d, %s, state %v; want 1 and a run that is done", o.code, o.stderr, info(t, dir)["state"])
	}
	must(t, append(args, filepath.Join(t.TempDir(), "r"), "--metrics_listen", fmt.Sprintf("0.0.0.0:%s", strings.Split(freePort(t), ":")[1]))...)
}
