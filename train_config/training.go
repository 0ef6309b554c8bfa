package trainconfig

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Optimizer says how weights are updated from gradients.
type Optimizer struct {
	Kind         string // "adam", "adamw", "sgd" or "rmsprop"
	Beta1, Beta2 float64
	Eps          float64
	Momentum     float64
	Nesterov     bool
	Alpha        float64
}

// Schedule says which learning rate an epoch has. Steps are updates, all other lengths epochs.
type Schedule struct {
	Kind        string  // "constant", "step", "cosine" or "plateau"
	WarmupSteps int     // updates over which the rate rises to what the schedule says
	StepSize    int     // step: epochs from one drop to the next
	Gamma       float64 // step, plateau: what the rate is multiplied by
	Length      int     // cosine: epochs down to LRMin; 0: all of the configuration
	LRMin       float64 // cosine, plateau
	Patience    int     // plateau: epochs without a better score that are borne
	Threshold   float64 // plateau: by what share a score must be better
}

// ClassWeights says what classes count in the loss. The zero value: all the same.
type ClassWeights struct {
	Balanced bool      // by their frequency among the training nodes
	List     []float64 // one for each class; nil: no list
}

// Any reports whether classes count differently.
func (w ClassWeights) Any() bool { return w.Balanced || w.List != nil }

// trainingKeys are the keys of params that GraphSAINT does not have. An absent one is nil.
type trainingKeys struct {
	Optimizer *string  `yaml:"optimizer"`
	Beta1     *float64 `yaml:"beta1"`
	Beta2     *float64 `yaml:"beta2"`
	Eps       *float64 `yaml:"eps"`
	Momentum  *float64 `yaml:"momentum"`
	Nesterov  *bool    `yaml:"nesterov"`
	Alpha     *float64 `yaml:"alpha"`

	Schedule         *string  `yaml:"schedule"`
	WarmupSteps      *int     `yaml:"warmup_steps"`
	StepSize         *int     `yaml:"step_size"`
	Gamma            *float64 `yaml:"gamma"`
	ScheduleEpochs   *int     `yaml:"schedule_epochs"`
	LRMin            *float64 `yaml:"lr_min"`
	PlateauPatience  *int     `yaml:"plateau_patience"`
	PlateauThreshold *float64 `yaml:"plateau_threshold"`

	Patience       *int     `yaml:"patience"`
	LabelSmoothing *float64 `yaml:"label_smoothing"`
	Accumulate     *int     `yaml:"accumulate"`
}

// owners names the optimizers or schedules that a key is for; the others refuse it.
var owners = map[string]string{
	"beta1": "adam adamw", "beta2": "adam adamw", "eps": "adam adamw rmsprop", "momentum": "sgd rmsprop", "nesterov": "sgd",
	"alpha": "rmsprop", "step_size": "step", "gamma": "step plateau", "schedule_epochs": "cosine", "lr_min": "cosine plateau",
	"plateau_patience": "plateau", "plateau_threshold": "plateau",
}

// MaxAccumulate bounds the subgraphs of an update.
const MaxAccumulate = 1 << 16

// maxEpochs bounds lengths and phases.
const maxEpochs = 1 << 30

// defaultTraining returns what absent keys mean.
func defaultTraining() (Optimizer, Schedule) {
	return Optimizer{Kind: "adam", Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Alpha: 0.99},
		Schedule{Kind: "constant", StepSize: 0, Gamma: 0.1, Patience: 10, Threshold: 1e-4}
}

// put sets *to from an optional key.
func put[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// readTraining decodes the optimizer, schedule and loss options of params.
func (c *Config) readTraining(s *Section) error {
	var k trainingKeys
	if err := s.Decode(&k); err != nil {
		return err
	}
	p := &c.Params
	p.Section = s
	o, sch := defaultTraining()
	put(&o.Kind, k.Optimizer)
	put(&sch.Kind, k.Schedule)
	if err := oneOf(s, map[string]string{"optimizer": o.Kind, "schedule": sch.Kind},
		map[string]string{"optimizer": "adam adamw sgd rmsprop", "schedule": "constant step cosine plateau"}); err != nil {
		return err
	}
	if err := checkOwners(s, o.Kind, sch.Kind); err != nil {
		return err
	}
	put(&o.Beta1, k.Beta1)
	put(&o.Beta2, k.Beta2)
	put(&o.Eps, k.Eps)
	put(&o.Momentum, k.Momentum)
	put(&o.Nesterov, k.Nesterov)
	put(&o.Alpha, k.Alpha)
	put(&sch.WarmupSteps, k.WarmupSteps)
	put(&sch.StepSize, k.StepSize)
	put(&sch.Gamma, k.Gamma)
	put(&sch.Length, k.ScheduleEpochs)
	put(&sch.LRMin, k.LRMin)
	put(&sch.Patience, k.PlateauPatience)
	put(&sch.Threshold, k.PlateauThreshold)
	put(&p.Patience, k.Patience)
	put(&p.LabelSmoothing, k.LabelSmoothing)
	p.Accumulate = 1
	put(&p.Accumulate, k.Accumulate)
	p.Optimizer, p.Schedule = o, sch
	for _, read := range []func(*Section) error{c.readActivations, c.readInputs} {
		if err := read(s); err != nil {
			return err
		}
	}
	if err := checkOptimizer(s, o); err != nil {
		return err
	}
	if err := checkSchedule(s, sch, p.LR); err != nil {
		return err
	}
	if k.Patience != nil && (p.Patience < 1 || p.Patience > maxEpochs) {
		return s.Errorf("patience", "patience is %d, want the epochs without a better score that are borne, 1 or more", p.Patience)
	}
	if p.Accumulate < 1 || p.Accumulate > MaxAccumulate {
		return s.Errorf("accumulate", "accumulate is %d, want the subgraphs of an update, 1 to %d", p.Accumulate, MaxAccumulate)
	}
	if p.LabelSmoothing < 0 || p.LabelSmoothing >= 1 {
		return s.Errorf("label_smoothing", "label_smoothing is %v, want at least 0 and less than 1", p.LabelSmoothing)
	}
	var err error
	if p.ClassWeights, err = readClassWeights(s); err != nil || c.Network.Loss != "softmax_log" {
		return err
	}
	switch {
	case p.ClassWeights.Any():
		return s.Errorf("class_weights", "class_weights is for loss softmax and sigmoid, but the loss here is softmax_log")
	case p.LabelSmoothing > 0:
		return s.Errorf("label_smoothing", "label_smoothing is for loss softmax and sigmoid, but the loss here is softmax_log")
	}
	return nil
}

// checkOwners refuses keys of an optimizer or schedule that is not the chosen one.
func checkOwners(s *Section, optimizer, schedule string) error {
	for _, kv := range s.Values() {
		of, ok := owners[kv[0]]
		if !ok {
			continue
		}
		if words := strings.Fields(of); !slices.Contains(words, optimizer) && !slices.Contains(words, schedule) {
			kind, now := "optimizer", optimizer
			if slices.Contains([]string{"step", "cosine", "plateau"}, words[0]) {
				kind, now = "schedule", schedule
			}
			return s.Errorf(kv[0], "%s is for %s %s, but the %s here is %s", kv[0], kind, strings.Join(words, " and "), kind, now)
		}
	}
	return nil
}

func checkOptimizer(s *Section, o Optimizer) error {
	for _, share := range []struct {
		key string
		v   float64
	}{{"beta1", o.Beta1}, {"beta2", o.Beta2}, {"momentum", o.Momentum}, {"alpha", o.Alpha}} {
		if share.v < 0 || float32(share.v) >= 1 {
			return s.Errorf(share.key, "%s is %v, want at least 0 and less than 1", share.key, share.v)
		}
	}
	switch {
	case float32(o.Eps) <= 0 || o.Eps > 1:
		return s.Errorf("eps", "eps is %v, want more than 0 and at most 1", o.Eps)
	case o.Nesterov && o.Momentum == 0:
		return s.Errorf("nesterov", "nesterov needs momentum above 0")
	}
	return nil
}

func checkSchedule(s *Section, c Schedule, lr float64) error {
	switch {
	case c.WarmupSteps < 0 || c.WarmupSteps > maxEpochs:
		return s.Errorf("warmup_steps", "warmup_steps is %d, want 0 to 2^30 updates", c.WarmupSteps)
	case c.Kind == "step" && (c.StepSize < 1 || c.StepSize > maxEpochs):
		return s.Errorf("step_size", "schedule step needs step_size, the epochs from one drop to the next, 1 or more; it is %d", c.StepSize)
	case c.Gamma <= 0 || c.Gamma > 1 || c.Kind == "plateau" && c.Gamma == 1:
		return s.Errorf("gamma", "gamma is %v, want more than 0 and less than 1", c.Gamma)
	case c.Length < 0 || c.Length > maxEpochs:
		return s.Errorf("schedule_epochs", "schedule_epochs is %d, want 1 or more (0: all epochs)", c.Length)
	case c.LRMin < 0 || c.LRMin > lr:
		return s.Errorf("lr_min", "lr_min is %v, want 0 to lr (%v)", c.LRMin, lr)
	case c.Patience < 0 || c.Patience > maxEpochs:
		return s.Errorf("plateau_patience", "plateau_patience is %d, want 0 epochs or more", c.Patience)
	case c.Threshold < 0 || c.Threshold >= 1:
		return s.Errorf("plateau_threshold", "plateau_threshold is %v, want at least 0 and less than 1", c.Threshold)
	}
	return nil
}

// maxClassWeight keeps the gradients of the heaviest class finite.
const maxClassWeight = 1e6

// readClassWeights reads "balanced" or a list of numbers.
func readClassWeights(s *Section) (w ClassWeights, err error) {
	const key = "class_weights"
	s.known[key] = true
	n := s.value(key)
	switch {
	case n == nil:
		return w, nil
	case n.Kind == yaml.ScalarNode && n.Value == "balanced":
		return ClassWeights{Balanced: true}, nil
	case n.Kind != yaml.SequenceNode || len(n.Content) == 0:
		return w, errorAt(s.file, n, "class_weights: want balanced or a list of one number for each class, got %s", describe(n))
	}
	sum := 0.0
	for i, item := range n.Content {
		var v float64
		if item.Kind == yaml.AliasNode {
			item = item.Alias
		}
		if err := s.set(reflect.ValueOf(&v).Elem(), fmt.Sprintf("class_weights of class %d", i), item); err != nil {
			return w, err
		}
		if v < 0 || v > maxClassWeight {
			return w, errorAt(s.file, item, "class_weights of class %d is %v, want 0 to %d", i, v, int(maxClassWeight))
		}
		sum += v
		w.List = append(w.List, v)
	}
	if sum == 0 {
		return w, errorAt(s.file, n, "class_weights: at least one must be above 0")
	}
	return w, nil
}

// writeTraining writes the options that are not the default, so that a configuration without
// them reads and hashes as it did before there were any.
func (p *Params) writeTraining(b *bytes.Buffer) {
	o, s := defaultTraining()
	line := func(key string, v, usual any) {
		if v != usual {
			fmt.Fprintf(b, "    %s: %v\n", key, v)
		}
	}
	line("optimizer", p.Optimizer.Kind, o.Kind)
	line("beta1", p.Optimizer.Beta1, o.Beta1)
	line("beta2", p.Optimizer.Beta2, o.Beta2)
	line("eps", p.Optimizer.Eps, o.Eps)
	line("momentum", p.Optimizer.Momentum, o.Momentum)
	line("nesterov", p.Optimizer.Nesterov, o.Nesterov)
	line("alpha", p.Optimizer.Alpha, o.Alpha)
	line("schedule", p.Schedule.Kind, s.Kind)
	line("warmup_steps", p.Schedule.WarmupSteps, s.WarmupSteps)
	line("step_size", p.Schedule.StepSize, s.StepSize)
	line("gamma", p.Schedule.Gamma, s.Gamma)
	line("schedule_epochs", p.Schedule.Length, s.Length)
	line("lr_min", p.Schedule.LRMin, s.LRMin)
	line("plateau_patience", p.Schedule.Patience, s.Patience)
	line("plateau_threshold", p.Schedule.Threshold, s.Threshold)
	line("patience", p.Patience, 0)
	line("label_smoothing", p.LabelSmoothing, 0.0)
	line("accumulate", p.Accumulate, 1)
	p.Activations.write(b)
	p.Inputs.write(b)
	switch {
	case p.ClassWeights.Balanced:
		line("class_weights", "balanced", "")
	case p.ClassWeights.List != nil:
		texts := make([]string, len(p.ClassWeights.List))
		for i, w := range p.ClassWeights.List {
			texts[i] = strconv.FormatFloat(w, 'g', -1, 64)
		}
		line("class_weights", "["+strings.Join(texts, ", ")+"]", "")
	}
}
