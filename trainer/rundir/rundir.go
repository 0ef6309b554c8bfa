// Package rundir is the folder of one training run: its resolved configuration, what is
// known about it (run.json), the validations so far (metrics.jsonl), normalisations and
// checkpoints. docs/formats/run-folder.md lists the files.
package rundir

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/internal/atomicfile"
	"github.com/saint-gnn/saint/internal/fileop"
)

// States of a run.
const (
	Running     = "running"
	Done        = "done"
	Interrupted = "interrupted"
	Failed      = "failed"
)

// Info is run.json: everything about a run that is not a result, and what resuming needs.
type Info struct {
	Version     string   `json:"version"`
	State       string   `json:"state"`
	Seed        uint64   `json:"seed"`
	Device      string   `json:"device"`
	ISA         string   `json:"isa"`
	Data        string   `json:"data_prefix"`
	DataName    string   `json:"data_name"`
	Fingerprint string   `json:"data_fingerprint"`
	Config      string   `json:"train_config"`
	ConfigHash  string   `json:"config_hash"`
	Epochs      int      `json:"epochs,omitempty"` // cap; 0: none
	EdgeWeight  bool     `json:"edge_weight,omitempty"`
	ScoreEvery  int      `json:"eval_train_every,omitempty"`
	InitFrom    string   `json:"saved_model_path,omitempty"`
	DType       string   `json:"dtype,omitempty"`       // "d": double precision
	Baseline    bool     `json:"baseline,omitempty"`    // a features-only run follows, in a folder inside
	TensorBoard string   `json:"tensorboard,omitempty"` // folder of event files, absolute or below the run's; "": none
	Command     []string `json:"command"`
	Started     string   `json:"started"` // RFC 3339, UTC
	Ended       string   `json:"ended,omitempty"`
	Error       string   `json:"error,omitempty"`
}

// Dir is an open run folder.
type Dir struct {
	Path string
	Info Info

	lock *os.File // nil: not locked
}

// Create makes the folder of a new run with run.json and config.yml in it, all at once: a
// kill leaves either a folder that can be resumed or none. A folder that exists and holds
// anything is refused.
func Create(path string, info Info, config []byte) (*Dir, error) {
	if err := fileop.MkdirAll(filepath.Dir(filepath.Clean(path)), 0o777); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	err := atomicfile.WriteDir(path, func(tmp string) error {
		d := &Dir{Path: tmp, Info: info}
		for _, sub := range []string{"checkpoints", "norm"} {
			if err := fileop.Mkdir(d.file(sub), 0o777); err != nil {
				return err
			}
		}
		if err := writeBytes(d.file("config.yml"), config); err != nil {
			return err
		}
		return d.SetState(info.State, nil)
	})
	if errors.Is(err, fs.ErrExist) {
		return nil, &ExistsError{Path: path}
	}
	if err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	return &Dir{Path: path, Info: info}, nil
}

// ExistsError says that a run folder is in use. The command line maps it to exit code 2.
type ExistsError struct{ Path string }

// Error says what to do.
func (e *ExistsError) Error() string {
	return e.Path + ": the run folder exists and is not empty; continue it with --resume " + e.Path + " or choose another --run_dir"
}

// Open reads the folder of an earlier run.
func Open(path string) (*Dir, error) {
	d := &Dir{Path: path}
	data, err := fileop.ReadFile(d.file("run.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, formats.BadInput(path, "not a run folder: it has no run.json")
	}
	if err != nil {
		return nil, formats.BadInput(d.file("run.json"), "cannot be read: %w", err)
	}
	if err := json.Unmarshal(data, &d.Info); err != nil {
		return nil, formats.BadInput(d.file("run.json"), "damaged: %v", err)
	}
	return d, nil
}

// SetState records how the run stands; cause explains a failure.
func (d *Dir) SetState(state string, cause error) error {
	d.Info.State, d.Info.Error = state, ""
	if cause != nil {
		d.Info.Error = cause.Error()
	}
	data, err := json.MarshalIndent(d.Info, "", "  ")
	if err != nil {
		return fmt.Errorf("run.json: %w", err)
	}
	return writeBytes(d.file("run.json"), append(data, '\n'))
}

func writeBytes(path string, data []byte) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

func (d *Dir) file(name string) string { return filepath.Join(d.Path, name) }

// ConfigPath is the resolved configuration.
func (d *Dir) ConfigPath() string { return d.file("config.yml") }

// NormPath is the normalisation of a phase, counted from 0.
func (d *Dir) NormPath(phase int) string {
	return d.file(filepath.Join("norm", fmt.Sprintf("phase%d.safetensors", phase)))
}

// BestPath holds the parameters of the best validation.
func (d *Dir) BestPath() string { return d.file(filepath.Join("checkpoints", "best.safetensors")) }

// LastPath holds the latest saved parameters.
func (d *Dir) LastPath() string { return d.file(filepath.Join("checkpoints", "last.safetensors")) }

// StatePath holds what resuming needs.
func (d *Dir) StatePath() string {
	return d.file(filepath.Join("checkpoints", "last.state.safetensors"))
}

// AppendMetrics adds v as one line of metrics.jsonl.
func (d *Dir) AppendMetrics(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("metrics.jsonl: %w", err)
	}
	f, err := fileop.OpenFile(d.file("metrics.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// TrimMetrics drops the lines of epochs that a resumed run will train again, and lines that
// a kill has cut.
func (d *Dir) TrimMetrics(epoch int) error {
	data, err := fileop.ReadFile(d.file("metrics.jsonl"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var keep bytes.Buffer
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Type  string
			Epoch *int
		}
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Type == "epoch" && e.Epoch != nil && *e.Epoch < epoch {
			keep.Write(lines.Bytes())
			keep.WriteByte('\n')
		}
	}
	if err := lines.Err(); err != nil {
		return formats.BadInput(d.file("metrics.jsonl"), "%v", err)
	}
	return writeBytes(d.file("metrics.jsonl"), keep.Bytes())
}
