package trainer

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/tensor"
)

// team is the devices that share the subgraphs of an update: each has a copy of the model and adds up
// the gradients of its own subgraphs. The first is the run's device; it alone has an optimizer, and its
// weights are the run's. Between updates all copies are equal.
type team struct {
	members []*member
	group   tensor.Group      // nil: sums go through the host
	ahead   bool              // nobody waits for a subgraph before the next is queued
	parts   int               // of sums, which are exchanged during the last backward passes; 0: all is, after them
	values  [][]tensor.Tensor // of every member
	sums    [][]tensor.Tensor // gradients, statistics, and whether something was not finite
	inbox   []tensor.Tensor   // on the first device, one for each of sums
	host    []float32
	before  []tensor.Tensor // of the first device's statistics, when the update began
	wait    sync.WaitGroup
}

// member is one device of a team.
type member struct {
	model   *Model
	arena   tensor.Arena
	stepper *Stepper
	f1      f1Counter
	work    chan task // nil: the caller does it
	done    chan struct{}
	outcome outcome
}

// task is one subgraph of an update.
type task struct {
	batch *loader.Batch
	draw  uint64  // number of the subgraph in the run, from 0
	share float32 // what its loss counts
	score Score   // nil: none
	fly   bool    // its outcome is asked for later, ...
	last  bool    // ... that of the update with it
	final bool    // no gradients are added to its after it
}

// outcome is what became of it.
type outcome struct {
	Step
	err error
	f1  float64
}

// newTeam makes the copies of the model, beside the run's own.
func (r *run) newTeam() (err error) {
	t := &team{members: []*member{{model: r.model, arena: r.arena, stepper: r.stepper}}}
	r.team = t
	n := 1 + len(r.Others)
	if r.accumulate()%uint64(n) != 0 {
		return r.Config.Params.Section.Errorf("accumulate", "accumulate is %d, want a multiple of %d, the devices that train together", r.accumulate(), n)
	}
	r.tasks = make([]task, 0, n)
	for _, b := range r.Others {
		m := &member{work: make(chan task), done: make(chan struct{})}
		t.members = append(t.members, m)
		if err := r.equip(m, b); err != nil {
			return fmt.Errorf("%s: %w", b.Device(), err)
		}
		t.wait.Go(m.serve)
	}
	t.sort()
	if len(r.Others) > 0 {
		return t.join(r)
	}
	if len(r.model.stats) > 0 && r.Config.Params.Accumulate > 1 {
		return t.remember()
	}
	return nil
}

// equip gives a member its model and stepper.
func (r *run) equip(m *member, b tensor.Backend) (err error) {
	d := r.Data
	if m.model, err = NewModel(r.Config, d.Features.Dim(), d.Labels.NumClasses, b, r.Seed); err != nil {
		return err
	}
	if m.arena, err = b.NewArena(); err != nil {
		return err
	}
	resident := inMemory(d.Features)
	m.stepper, err = NewStepper(m.model, nil, m.arena, resident, r.Seed, WithActivations(ActivationStore(r.Config.Params.Activations)), WithLabels(r.Config.Params.Inputs))
	if err != nil {
		return err
	}
	return r.smoothLoss(m.stepper)
}

// sort lists the tensors that devices exchange.
func (t *team) sort() {
	t.ahead = !slices.ContainsFunc(t.members, func(m *member) bool { return !m.stepper.Ahead() })
	for _, m := range t.members {
		sums := slices.Concat(m.model.grads, m.model.stats)
		if t.ahead {
			sums = append(sums, m.stepper.ahead.seen.ColRange(2, 3))
		}
		t.sums, t.values = append(t.sums, sums), append(t.values, m.model.values)
	}
}

// join makes the devices exchange tensors, without the host where they can.
func (t *team) join(r *run) (err error) {
	qs := make([]tensor.Queue, len(t.members))
	for i, m := range t.members {
		qs[i] = m.stepper.q
	}
	if g, ok := r.Backend.(tensor.Grouper); ok {
		if t.group, err = g.NewGroup(qs); err == nil {
			r.Log.Info("gradients are added up between the devices")
			if t.ahead {
				t.split()
			}
			return t.remember()
		}
		t.group = nil
		r.Log.Warn("gradients are added up by the host", "error", err)
	}
	first := t.members[0].model.arena
	size := 0
	for _, g := range t.sums[0] {
		t.inbox = append(t.inbox, first.Alloc(tensor.F32, g.Rows, g.Cols))
		size += g.Rows * g.Cols
	}
	for _, s := range t.values[0] {
		size = max(size, s.Rows*s.Cols)
	}
	t.host = make([]float32, size)
	return errors.Join(first.Err(), t.remember())
}

// split has the devices exchange gradients as soon as they are final.
func (t *team) split() {
	ts := make([][][]tensor.Tensor, len(t.members))
	for i, m := range t.members {
		cuts := m.model.cuts()
		for _, c := range cuts {
			ts[i] = append(ts[i], []tensor.Tensor{c.grads})
		}
		rest := append(m.model.restOf(cuts), t.sums[i][len(m.model.grads):]...)
		ts[i] = append(ts[i], rest)
		m.stepper.tellFinal(cuts, func(k int) { t.group.Final(i, k) })
	}
	t.parts = len(ts[0])
	t.group.Split(ts)
}

// remember makes room for the statistics as they were.
func (t *team) remember() error {
	a := t.members[0].model.arena
	for _, s := range t.members[0].model.stats {
		t.before = append(t.before, a.Alloc(tensor.F32, s.Rows, s.Cols))
	}
	return a.Err()
}

// keep notes the statistics before an update of several subgraphs.
func (t *team) keep() {
	q := t.members[0].stepper.q
	for i, b := range t.before {
		q.Axpby(1, t.members[0].model.stats[i], 0, b)
	}
}

// undo takes back what subgraphs of an update that is not finished did to the statistics.
func (t *team) undo() {
	q := t.members[0].stepper.q
	for i, b := range t.before {
		q.Axpby(1, b, 0, t.members[0].model.stats[i])
	}
}

// serve works until the channel is closed. Its thread is its own, so that the device's driver finds
// what it keeps for each thread.
func (m *member) serve() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for t := range m.work {
		m.do(t)
		m.done <- struct{}{}
	}
}

// do adds the gradients of a subgraph to the member's, or queues that.
func (m *member) do(t task) {
	m.outcome = outcome{}
	if t.fly {
		if t.batch.NumNodes() > 0 {
			m.outcome.err = m.stepper.start(t.batch, queued{index: t.draw, share: t.share, update: t.last, final: t.final, logits: t.score != nil})
		}
		return
	}
	m.outcome.Step, m.outcome.err = m.stepper.Accumulate(t.batch, t.draw, t.share, t.score)
	m.outcome.f1 = m.f1.last
}

// run does the tasks, the i-th on the i-th device, all at the same time, and returns the first error
// in their order when all have ended.
func (t *team) run(tasks []task) error {
	for i := len(tasks) - 1; i >= 0; i-- {
		if m := t.members[i]; i > 0 {
			m.work <- tasks[i]
		} else {
			m.do(tasks[0])
		}
	}
	var first error
	for i := range tasks {
		if i > 0 {
			<-t.members[i].done
		}
		if err := t.members[i].outcome.err; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// idle readies members that have no subgraph in the last round of an update, of which active have had
// any.
func (t *team) idle(tasks []task, active int) {
	for i, m := range t.members {
		if i >= active {
			for _, s := range m.model.stats {
				m.stepper.q.Fill(0, s)
			}
		}
		if t.parts > 0 && (i >= len(tasks) || tasks[i].batch.NumNodes() == 0) {
			for k := range t.parts {
				t.group.Final(i, k)
			}
		}
	}
}

// sum adds the gradients of all members to the first one's and leaves the others' at 0; statistics
// become the mean of those members that had a subgraph.
func (t *team) sum(active int) error {
	if len(t.members) == 1 {
		return nil
	}
	if err := t.reduce(); err != nil {
		return err
	}
	for _, m := range t.members[1:] {
		for _, g := range m.model.grads {
			m.stepper.q.Fill(0, g)
		}
	}
	for _, s := range t.members[0].model.stats {
		t.members[0].stepper.q.Scale(1/float32(active), s)
	}
	return nil
}

// reduce adds the tensors of every other device to the first one's; the host does so device after
// device.
func (t *team) reduce() error {
	if t.parts > 0 {
		t.group.Join()
		return nil
	}
	if t.group != nil {
		t.group.Reduce(t.sums)
		return t.rest()
	}
	first := t.members[0].stepper.q
	for i, m := range t.members[1:] {
		host := t.host
		for _, g := range t.sums[i+1] {
			n := g.Rows * g.Cols
			m.stepper.q.Download(g, bytesOf(host[:n]))
			host = host[n:]
		}
		if err := m.stepper.q.Sync(); err != nil {
			return err
		}
		host = t.host
		for k, g := range t.sums[0] {
			n := g.Rows * g.Cols
			first.Upload(bytesOf(host[:n]), t.inbox[k])
			first.Axpby(1, t.inbox[k], 1, g)
			host = host[n:]
		}
		if err := first.Sync(); err != nil { // the host's memory is used again
			return err
		}
	}
	return nil
}

// share gives every member the first one's parameters.
func (t *team) share() error {
	if len(t.members) == 1 {
		return nil
	}
	if t.group != nil {
		t.group.Broadcast(t.values)
		return t.rest()
	}
	first := t.members[0].stepper.q
	for k, v := range t.values[0] {
		host := t.host[:v.Rows*v.Cols]
		first.Download(v, bytesOf(host))
		if err := first.Sync(); err != nil {
			return err
		}
		for i, m := range t.members[1:] {
			m.stepper.q.Upload(bytesOf(host), t.values[i+1][k])
			if err := m.stepper.q.Sync(); err != nil {
				return err
			}
		}
	}
	return nil
}

// rest waits for an exchange, unless all that follows it is queued behind it.
func (t *team) rest() error {
	if t.ahead {
		return nil
	}
	return t.group.Wait()
}

// land waits for all exchanges.
func (t *team) land() error {
	if t.group == nil {
		return nil
	}
	return t.group.Wait()
}

// close ends the members' goroutines and frees what the others have; the first is the run's.
func (t *team) close() {
	for _, m := range t.members[1:] {
		close(m.work)
	}
	t.wait.Wait()
	if t.group != nil {
		_ = t.group.Close() // what went wrong with it was told
	}
	for _, m := range t.members[1:] {
		if m.stepper != nil {
			_ = m.stepper.Close() // likewise
		}
		if m.arena != nil {
			_ = m.arena.Close() // likewise
		}
		if m.model != nil {
			_ = m.model.Close() // likewise
		}
	}
}

// DeviceNames names the devices of a run, the first and the others that train beside it, as its
// records have them.
func DeviceNames(first tensor.Backend, others []tensor.Backend) string {
	text := first.Device()
	for _, b := range others {
		text += " + " + b.Device()
	}
	return text
}
