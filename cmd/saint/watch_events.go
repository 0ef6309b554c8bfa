package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/saint-gnn/saint/internal/fileop"
	"github.com/saint-gnn/saint/internal/telemetry/tfevents"
	"github.com/saint-gnn/saint/internal/telemetry/timeline"
	"github.com/saint-gnn/saint/trainer"
	"github.com/saint-gnn/saint/trainer/rundir"
)

// eventLog writes the event file of one part of a run, from a start or a resumption to its end.
// A nil eventLog writes nothing. Steps are epochs.
type eventLog struct {
	file *fileop.File
	w    *tfevents.Writer
}

// newEventLog begins a file in the folder that run.json names; nil if it names none.
func newEventLog(dir *rundir.Dir, resumed bool) (*eventLog, error) {
	folder := dir.Info.TensorBoard
	if folder == "" {
		return nil, nil
	}
	if !filepath.IsAbs(folder) {
		folder = filepath.Join(dir.Path, folder)
	}
	if err := fileop.MkdirAll(folder, 0o777); err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	now := time.Now()
	for number := 1; ; number++ {
		f, err := fileop.OpenFile(filepath.Join(folder, tfevents.FileName(now, number)), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if errors.Is(err, fs.ErrExist) && number < 10000 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("tensorboard: %w", err)
		}
		w, err := tfevents.NewWriter(f, now)
		if err == nil && !resumed {
			// Whatever a folder that was named holds of another run is none of this one's.
			err = w.Restart(0, now)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("tensorboard: %w", err), f.Close())
		}
		return &eventLog{f, w}, nil
	}
}

// restart says that epochs from epoch on are trained again.
func (l *eventLog) restart(epoch int) error {
	if l == nil {
		return nil
	}
	return l.w.Restart(int64(epoch), time.Now())
}

// trained writes what is known of an epoch before its validation.
func (l *eventLog) trained(ep trainer.Epoch, rate float64) error {
	if l == nil {
		return nil
	}
	return l.w.Scalars(int64(ep.Epoch), time.Now(),
		tfevents.Scalar{Tag: "train/loss", Value: ep.TrainLoss},
		tfevents.Scalar{Tag: "train/f1_micro", Value: ep.TrainF1},
		tfevents.Scalar{Tag: "train/learning_rate", Value: rate},
		tfevents.Scalar{Tag: "time/epoch_seconds", Value: ep.Seconds})
}

// validated writes a validation.
func (l *eventLog) validated(ep trainer.Epoch) error {
	if l == nil || ep.Val.Nodes == 0 {
		return nil
	}
	return l.w.Scalars(int64(ep.Epoch), time.Now(),
		tfevents.Scalar{Tag: "validation/loss", Value: ep.Val.Loss},
		tfevents.Scalar{Tag: "validation/f1_micro", Value: ep.Val.F1Micro},
		tfevents.Scalar{Tag: "validation/f1_macro", Value: ep.Val.F1Macro})
}

// close ends the file.
func (l *eventLog) close() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

// workerLanes are the lanes of samplers, made when a worker first tells something.
type workerLanes struct {
	mu    sync.RWMutex
	lanes []*timeline.Lane
}

// of returns the lane of a worker.
func (l *workerLanes) of(p *timeline.Process, worker int) *timeline.Lane {
	l.mu.RLock()
	if worker < len(l.lanes) {
		defer l.mu.RUnlock()
		return l.lanes[worker]
	}
	l.mu.RUnlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.lanes) <= worker {
		l.lanes = append(l.lanes, p.Lane(fmt.Sprintf("sampler %d", len(l.lanes))))
	}
	return l.lanes[worker]
}
