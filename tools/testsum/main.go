// Command testsum runs "go test -json" with its arguments and prints what a reader needs:
// one line a package, the output of tests that failed, how many tests were skipped for which
// reasons, and as the last line how many passed, failed and were skipped.
//
//	go run ./tools/testsum -tags invariants ./...
//
// It exits with 1 if a test failed, a package did not build or go test itself failed.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// event is a line of go test -json; see 'go doc test2json'.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64
	Output      string
	FailedBuild string
}

// test names a test of a package; Name is empty for the package itself.
type test struct{ Package, Name string }

// summary gathers a run.
type summary struct {
	w                       io.Writer
	output                  map[test]*strings.Builder // of tests that have not ended yet
	build                   map[string]*strings.Builder
	passed, failed, skipped int
	broken                  int // packages that failed without a failing test
	failedIn                map[string]int
	skips                   map[string]int // by package and reason
	err                     error          // first one of w
}

func newSummary(w io.Writer) *summary {
	return &summary{w: w, output: map[test]*strings.Builder{}, build: map[string]*strings.Builder{}, failedIn: map[string]int{}, skips: map[string]int{}}
}

func (s *summary) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(s.w, format, args...); s.err == nil {
		s.err = err
	}
}

// read takes in a stream of events and prints as packages end. Lines that are not JSON are
// printed as they are: they come from go itself.
func (s *summary) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Action == "" {
			s.printf("%s\n", lines.Text())
			continue
		}
		s.add(&e)
	}
	return lines.Err()
}

func (s *summary) add(e *event) {
	key := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		builder(s.build, e.ImportPath).WriteString(e.Output)
	case "output":
		builder(s.output, key).WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			s.endPackage(e)
		} else {
			s.endTest(key, e.Action)
		}
		delete(s.output, key)
	}
}

func builder[K comparable](m map[K]*strings.Builder, key K) *strings.Builder {
	b := m[key]
	if b == nil {
		b = &strings.Builder{}
		m[key] = b
	}
	return b
}

func (s *summary) endTest(key test, action string) {
	switch action {
	case "pass":
		s.passed++
	case "skip":
		s.skipped++
		s.skips[key.Package+": "+reason(builder(s.output, key).String())]++
	case "fail":
		s.failed++
		s.failedIn[key.Package]++
		s.printf("--- FAIL: %s %s\n%s", key.Package, key.Name, indent(builder(s.output, key).String()))
	}
}

// endPackage prints the package's line, and its output where it failed outside of a test or
// left tests unfinished: a panic or a timeout.
func (s *summary) endPackage(e *event) {
	switch e.Action {
	case "skip":
		return // no test files
	case "pass":
		s.printf("ok    %-60s %.2fs\n", e.Package, e.Elapsed)
		return
	}
	if b := s.build[e.FailedBuild]; b != nil {
		s.printf("%s", indent(b.String()))
	}
	outside := s.failedIn[e.Package] == 0
	if outside {
		s.broken++
	}
	for key, b := range s.output {
		if key.Package == e.Package && (outside || key.Name != "") {
			s.printf("%s", indent(b.String()))
		}
	}
	s.printf("FAIL  %-60s %.2fs\n", e.Package, e.Elapsed)
}

// reason is what a skipped test said last, in one line, without the place.
func reason(output string) string {
	last := "no reason given"
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "===") {
			last = line
		}
	}
	if _, text, found := strings.Cut(last, ".go:"); found {
		if _, text, found = strings.Cut(text, ": "); found {
			return text
		}
	}
	return last
}

func indent(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString("    " + line)
	}
	if out.Len() > 0 && !strings.HasSuffix(out.String(), "\n") {
		out.WriteByte('\n')
	}
	return out.String()
}

// close prints the skips and the last line and reports whether all went well.
func (s *summary) close() bool {
	for _, skip := range slices.Sorted(maps.Keys(s.skips)) {
		s.printf("skip  %d in %s\n", s.skips[skip], skip)
	}
	if s.broken > 0 {
		s.printf("%d packages did not build or ended outside of a test\n", s.broken)
	}
	s.printf("%d passed, %d failed, %d skipped\n", s.passed, s.failed+s.broken, s.skipped)
	return s.failed+s.broken == 0 && s.err == nil
}

func run(args []string, w io.Writer) (ok bool, err error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	s := newSummary(w)
	readErr := s.read(out)
	if readErr != nil {
		_ = cmd.Process.Kill() // nobody reads its output any more
	}
	waitErr := cmd.Wait()
	ok = s.close()
	var exit *exec.ExitError
	if errors.As(waitErr, &exit) && readErr == nil {
		return false, nil // go test has said why
	}
	return ok && waitErr == nil, errors.Join(readErr, waitErr, s.err)
}

func main() {
	ok, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}
