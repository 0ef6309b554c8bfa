package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/formats/safetensors"
	"github.com/saint-gnn/saint/trainer/nn"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// paramFormat is the version of parameter files; see docs/formats/checkpoint.md.
const paramFormat = "1"

// metadata holds only what the same run reproduces: no time, path, host or device.
func (r *run) metadata(epoch int, step uint64) map[string]string {
	return map[string]string{
		"saint.format": paramFormat, "saint.epoch": strconv.Itoa(epoch), "saint.step": strconv.FormatUint(step, 10),
		"saint.seed": strconv.FormatUint(r.Seed, 10), "saint.config": r.Identity.ConfigHash,
	}
}

// save writes the state, complete in one file so that a kill between two renames cannot
// tear it, and then the parameters for everybody else.
func (r *run) save() error {
	r.saved = time.Now()
	if r.Dir == nil {
		return nil
	}
	defer r.span(LaneRun, "checkpoint", r.Epoch, r.saved)
	st := r.state
	st.Adam = r.opt.Count()
	st.Times = r.times()
	position, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	ts, err := download(r.stepper.q, nil, r.model.Seq.Params(), nil)
	if err != nil {
		return err
	}
	params := len(ts)
	for _, n := range r.opt.State() {
		if ts, err = download(r.stepper.q, ts, nil, &n.Value); err != nil {
			return err
		}
		ts[len(ts)-1].Name = n.Name
	}
	// The epoch of a parameter file is the last one that has at least begun.
	last := r.Epoch - 1
	if r.InStep > 0 {
		last = r.Epoch
	}
	meta := r.metadata(last, r.Step)
	meta["saint.state"] = string(position)
	if err := safetensors.WriteFile(r.Dir.StatePath(), ts, meta); err != nil {
		return err
	}
	return safetensors.WriteFile(r.Dir.LastPath(), ts[:params], r.metadata(last, r.Step))
}

// download appends host copies of parameters, or of one tensor, to ts.
func download(q tensor.Queue, ts []safetensors.Tensor, params []*nn.Param, one *tensor.Tensor) ([]safetensors.Tensor, error) {
	fetch := func(name string, t tensor.Tensor) {
		if t.Type == tensor.F64 {
			host := make([]float64, t.Rows*t.Cols)
			q.Download(t, bytesOf(host))
			ts = append(ts, safetensors.Float64(name, []int{t.Rows, t.Cols}, host))
			return
		}
		host := make([]float32, t.Rows*t.Cols)
		q.Download(t, bytesOf(host))
		ts = append(ts, safetensors.Float32(name, []int{t.Rows, t.Cols}, host))
	}
	for _, p := range params {
		fetch(p.Name, p.Value)
	}
	if one != nil {
		fetch("", *one)
	}
	if err := q.Sync(); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	return ts, nil
}

// restore puts the run where its state checkpoint stands.
func (r *run) restore() error {
	path := r.Dir.StatePath()
	f, err := safetensors.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		r.Log.Warn("the run had not saved anything yet: it starts from the beginning", "path", path)
		return r.initial()
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	var st state
	if err := json.Unmarshal([]byte(f.Metadata()["saint.state"]), &st); err != nil {
		return formats.BadInput(path, "not a training state (its saint.state metadata is missing or damaged); start again without --resume")
	}
	if st.Drawn == 0 {
		st.Drawn = st.Step
	}
	if err := r.sameRun(path, st.Identity); err != nil {
		return err
	}
	if err := r.fits(path, &st); err != nil {
		return err
	}
	if err := upload(f, path, r.stepper.q, r.model.Seq.Params()); err != nil {
		return err
	}
	for _, n := range r.opt.State() {
		if err := uploadOne(f, path, r.stepper.q, n.Name, n.Value); err != nil {
			return err
		}
	}
	st.Identity.Device, st.Until, st.Done = r.Identity.Device, r.Until, false
	r.state = st
	r.opt.SetCount(st.Adam)
	r.before = st.Times
	return r.stepper.q.Sync()
}

// fits refuses a position that the phases do not have. Fewer epochs than before are refused
// even where the run has not come that far: best.safetensors may already hold an epoch that
// would then not be trained again.
func (r *run) fits(path string, st *state) error {
	if st.Until > r.Until {
		return &MismatchError{Path: path, What: "number of epochs", Saved: strconv.Itoa(st.Until), Now: strconv.Itoa(r.Until)}
	}
	steps := uint64(0)
	for _, p := range r.phases {
		if st.Epoch >= p.first && st.Epoch < p.end {
			steps = p.steps
		}
	}
	if st.Epoch < 0 || st.Epoch > r.Until || st.InStep > steps {
		return formats.BadInput(path, "its position, step %d of epoch %d, is not one of this run", st.InStep, st.Epoch)
	}
	return nil
}

// initial loads the parameters to begin with, if the run was given some.
func (r *run) initial() error {
	if r.InitFrom == "" {
		return nil
	}
	return LoadParams(r.InitFrom, r.model)
}

// sameRun refuses to mix runs.
func (r *run) sameRun(path string, id identity) error {
	for _, c := range []struct{ what, saved, now string }{
		{"state format", strconv.Itoa(id.Version), strconv.Itoa(stateVersion)},
		{"seed", strconv.FormatUint(id.Seed, 10), strconv.FormatUint(r.Seed, 10)},
		{"configuration", id.ConfigHash, r.Identity.ConfigHash},
		{"data", id.Data, r.Identity.Data},
	} {
		if c.saved != c.now {
			return &MismatchError{Path: path, What: c.what, Saved: c.saved, Now: c.now}
		}
	}
	if id.Device != r.Identity.Device {
		r.Log.Info("resuming on another device than before", "before", id.Device, "now", r.Identity.Device)
	}
	return nil
}

// MismatchError says that a checkpoint belongs to another run. The command line maps it to
// exit code 2.
type MismatchError struct{ Path, What, Saved, Now string }

// Error names what differs.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("%s: saved with another %s (%.16s, now %.16s); resume with the run's own settings or start a new run folder", e.Path, e.What, e.Saved, e.Now)
}

// LoadParams fills m from a parameter file written by a run. Names and shapes must agree; the
// values may be of either precision, those of the file are widened or rounded to the model's.
func LoadParams(path string, m *Model) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	q, err := m.Backend.NewQueue()
	if err != nil {
		return err
	}
	err = upload(f, path, q, m.Seq.Params())
	return errors.Join(err, q.Sync(), q.Close())
}

func upload(f *safetensors.File, path string, q tensor.Queue, params []*nn.Param) error {
	for _, p := range params {
		if err := uploadOne(f, path, q, p.Name, p.Value); err != nil {
			return err
		}
	}
	return nil
}

func uploadOne(f *safetensors.File, path string, q tensor.Queue, name string, dst tensor.Tensor) error {
	t, err := f.Tensor(name)
	if err != nil {
		return err
	}
	if len(t.Shape) != 2 || t.Shape[0] != dst.Rows || t.Shape[1] != dst.Cols {
		return formats.BadInput(path, "tensor %s has shape %v, the model wants %dx%d; was it saved with another configuration or data set?", name, t.Shape, dst.Rows, dst.Cols)
	}
	if dst.Type == tensor.F64 && t.DType == safetensors.F64 {
		v, err := t.Float64s()
		return uploadValues(v, err, path, q, name, dst)
	}
	v, err := t.Float32s()
	return uploadValues(v, err, path, q, name, dst)
}

// uploadValues puts what was read on the device, unless err says that it could not be.
func uploadValues[T float32 | float64](v []T, err error, path string, q tensor.Queue, name string, dst tensor.Tensor) error {
	if err != nil {
		return err
	}
	if i := firstNotFinite(v); i >= 0 {
		return formats.BadInput(path, "tensor %s has the value %v at row %d, column %d", name, v[i], i/dst.Cols, i%dst.Cols)
	}
	q.Upload(bytesOf(v), dst)
	return q.Sync()
}
