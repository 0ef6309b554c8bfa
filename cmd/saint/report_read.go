package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/fileop"
	trainconfig "github.com/saint-gnn/saint/train_config"
	"github.com/saint-gnn/saint/trainer/rundir"
)

// reportedRun is a run as its folder tells it.
type reportedRun struct {
	Path, Name string // Name is short, and unique in the report
	Info       rundir.Info
	Config     string // resolved
	Settings   []setting
	Epochs     []epochLine
	Result     *resultLine // nil: the run has not ended
	Baseline   *resultLine
}

// setting is one key of a configuration, with its path.
type setting struct{ Key, Value string }

// runsIn returns the run folders that a folder stands for: itself, or those of --runs in it.
func runsIn(dir string) []string {
	if _, err := fs.Stat(fileop.DirFS(dir), "run.json"); err == nil {
		return []string{dir}
	}
	seeds, err := fs.Glob(fileop.DirFS(dir), "seed-*/run.json")
	if err != nil || len(seeds) == 0 {
		return []string{dir} // whose reading says what is wrong
	}
	for i, s := range seeds {
		seeds[i] = filepath.Join(dir, filepath.Dir(filepath.FromSlash(s)))
	}
	return seeds
}

// readRun reads a run's folder. The last line of the metrics may be cut: the run may be writing.
func readRun(path string) (*reportedRun, error) {
	d, err := rundir.Open(path)
	if err != nil {
		return nil, err
	}
	r := &reportedRun{Path: path, Info: d.Info}
	config, err := trainconfig.Load(d.ConfigPath(), "")
	if err != nil {
		return nil, err
	}
	r.Config = string(config.Resolved())
	r.Settings = flatten(r.Config)
	file := filepath.Join(path, "metrics.jsonl")
	data, err := fileop.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil // before the first validation
	}
	if err != nil {
		return nil, formats.BadInput(file, "cannot be read: %w", err)
	}
	for number := 1; len(data) > 0; number++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if err := r.metric(line); err != nil && whole {
			return nil, &formats.InputError{Path: file, Offset: -1, Line: number, Err: fmt.Errorf("damaged: %w", err)}
		}
		data = rest
	}
	return r, nil
}

// metric takes one line of the metrics.
func (r *reportedRun) metric(line []byte) error {
	var head struct{ Type string }
	if err := json.Unmarshal(line, &head); err != nil {
		return err
	}
	switch head.Type {
	case "epoch":
		var e epochLine
		if err := json.Unmarshal(line, &e); err != nil {
			return err
		}
		r.Epochs = append(r.Epochs, e)
	case "result", "baseline":
		l := &resultLine{}
		if err := json.Unmarshal(line, l); err != nil {
			return err
		}
		if head.Type == "result" {
			r.Result = l
		} else {
			r.Baseline = l
		}
	}
	return nil
}

// nameRuns gives every run the shortest end of its path that tells it from the others; that of
// one of several seeds, or of a baseline, has the folder above in it.
func nameRuns(runs []*reportedRun) {
	for parts := 1; ; parts++ {
		count := map[string]int{}
		for _, r := range runs {
			if r.Name == "" {
				count[tail(r.Path, parts)]++
			}
		}
		left := 0
		for _, r := range runs {
			if name := tail(r.Path, parts); r.Name == "" && (count[name] == 1 || name == tail(r.Path, parts+1)) {
				r.Name = name
			}
			if r.Name == "" {
				left++
			}
		}
		if left == 0 {
			return
		}
	}
}

// tail returns the last elements of a path.
func tail(path string, parts int) string {
	all := strings.Split(filepath.ToSlash(absolute(path)), "/")
	if last := all[len(all)-1]; strings.HasPrefix(last, "seed-") || last == baselineDir {
		parts++
	}
	return strings.Join(all[max(0, len(all)-parts):], "/")
}

// flatten returns the keys of a resolved configuration, whose form is always the same: two
// blanks a level, and "- " before each element of a list.
func flatten(text string) []setting {
	type level struct {
		indent int
		path   string
		items  int
	}
	stack := []*level{{indent: -1}}
	var all []setting
	for _, line := range strings.Split(text, "\n") {
		content := strings.TrimLeft(line, " ")
		if content == "" {
			continue
		}
		indent := len(line) - len(content)
		for stack[len(stack)-1].indent >= indent {
			stack = stack[:len(stack)-1]
		}
		if item, ok := strings.CutPrefix(content, "- "); ok {
			parent := stack[len(stack)-1]
			parent.items++
			stack = append(stack, &level{indent: indent, path: fmt.Sprintf("%s[%d]", parent.path, parent.items-1)})
			content, indent = item, indent+2
		}
		path := stack[len(stack)-1].path
		if !strings.Contains(content, ":") {
			all = append(all, setting{path, content})
			continue
		}
		key, value, ok := strings.Cut(content, ": ")
		if key = strings.TrimSuffix(key, ":"); path != "" {
			key = path + "." + key
		}
		if ok {
			all = append(all, setting{key, value})
		} else {
			stack = append(stack, &level{indent: indent, path: key})
		}
	}
	return all
}
