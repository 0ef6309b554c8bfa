package telemetry

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Train holds the metrics of training, all named saint_train_…, saint_sampler_… or
// saint_normalisation_…. Its methods cost some atomic operations and allocate nothing once every
// stage was seen; they may be called from any goroutine.
type Train struct {
	epoch, phase, loss, rate, wait prometheus.Gauge
	trainF1, valF1, valLoss, best  prometheus.Gauge
	steps, nodes, edges            prometheus.Counter
	stepTime, waitTime             prometheus.Counter
	arena                          prometheus.Gauge
	norm, normTotal                prometheus.Gauge
	subgraphs                      prometheus.Counter
	stages                         [numStages]prometheus.Counter
	recent                         window
	waited, stepped                atomic.Uint64 // nanoseconds
}

// The stages of making a batch, in the order of Stages.
const numStages = 5

// Stages are the values of the label stage of saint_sampler_stage_seconds_total.
var Stages = [numStages]string{"sample", "normalise", "transpose", "labels", "features"}

// NewTrain registers the metrics of training.
func NewTrain(reg prometheus.Registerer) *Train {
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		reg.MustRegister(g)
		return g
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	t := &Train{
		epoch: gauge("saint_train_epoch", "The epoch that is trained, from 0."),
		phase: gauge("saint_train_phase", "The phase of the configuration that is trained, from 0."),
		loss:  gauge("saint_train_loss", "Loss of the last step, the weighted mean over its nodes."),
		rate:  gauge("saint_train_learning_rate", "Learning rate of the last step."),
		wait:  gauge("saint_train_wait_ratio", "Share of the time of all steps so far that waited for a subgraph, 0 to 1."),

		trainF1: gauge("saint_train_f1_micro_ratio", "Mean micro F1 of the scored subgraphs of the last epoch."),
		valF1:   gauge("saint_validation_f1_micro_ratio", "Micro F1 of the last validation."),
		valLoss: gauge("saint_validation_loss", "Loss of the last validation, the mean over its nodes."),
		best:    gauge("saint_validation_best_f1_micro_ratio", "Greatest micro F1 of the validations of this process."),

		steps:    counter("saint_train_steps_total", "Weight updates of this process; every one takes one subgraph."),
		nodes:    counter("saint_train_nodes_total", "Nodes of the subgraphs that were trained on."),
		edges:    counter("saint_train_edges_total", "Stored edges of the subgraphs that were trained on."),
		stepTime: counter("saint_train_seconds_total", "Time of all steps, waiting for subgraphs included."),
		waitTime: counter("saint_train_wait_seconds_total", "Time of all steps that waited for a subgraph."),
		arena:    gauge("saint_train_step_peak_bytes", "High-water mark of the memory of the last step's tensors."),

		norm:      gauge("saint_normalisation_nodes", "Nodes drawn so far by the running or last estimate of the normalisation."),
		normTotal: gauge("saint_normalisation_target_nodes", "Nodes that the running or last estimate of the normalisation is to draw."),
		subgraphs: counter("saint_sampler_subgraphs_total", "Subgraphs drawn for training, those in waiting included."),
	}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "saint_train_steps_per_second", Help: "Steps a second over the last seconds; 0 when none was finished for ten.",
	}, t.recent.rate))
	stages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "saint_sampler_stage_seconds_total", Help: "Time that all workers spent in each stage of making subgraphs.",
	}, []string{"stage"})
	reg.MustRegister(stages)
	for i, name := range Stages {
		t.stages[i] = stages.WithLabelValues(name)
	}
	for _, g := range []prometheus.Gauge{t.loss, t.trainF1, t.valF1, t.valLoss, t.best} {
		g.Set(math.NaN()) // not known yet
	}
	return t
}

// Step is what Train.Step is told.
type Step struct {
	Epoch, Phase  int
	Loss          float64 // weighted mean over the nodes
	LearningRate  float64
	Nodes, Edges  int
	PeakBytes     int64         // of the step's tensors
	Took, Waiting time.Duration // Took includes Waiting
}

// Step counts a finished step.
func (t *Train) Step(s Step) {
	t.epoch.Set(float64(s.Epoch))
	t.phase.Set(float64(s.Phase))
	t.loss.Set(s.Loss)
	t.rate.Set(s.LearningRate)
	t.arena.Set(float64(s.PeakBytes))
	t.steps.Inc()
	t.nodes.Add(float64(s.Nodes))
	t.edges.Add(float64(s.Edges))
	t.stepTime.Add(max(0, s.Took.Seconds()))
	t.waitTime.Add(max(0, s.Waiting.Seconds()))
	waited, stepped := t.waited.Add(uint64(max(0, s.Waiting))), t.stepped.Add(uint64(max(0, s.Took)))
	t.wait.Set(float64(waited) / math.Max(1, float64(stepped)))
	t.recent.add(time.Now())
}

// Epoch tells the score of the training subgraphs of a finished epoch.
func (t *Train) Epoch(trainF1 float64) { t.trainF1.Set(trainF1) }

// Validation tells the scores of a validation; best is the greatest F1 so far.
func (t *Train) Validation(f1, loss, best float64) {
	t.valF1.Set(f1)
	t.valLoss.Set(loss)
	t.best.Set(best)
}

// Normalisation tells how far an estimate is.
func (t *Train) Normalisation(drawn, want int64) {
	t.norm.Set(float64(drawn))
	t.normTotal.Set(float64(want))
}

// Stage counts the time that a worker spent in a stage, one of Stages; others are not counted.
func (t *Train) Stage(stage string, took time.Duration) {
	for i, name := range Stages {
		if name == stage {
			t.stages[i].Add(max(0, took.Seconds()))
		}
	}
	if stage == Stages[numStages-1] {
		t.subgraphs.Inc()
	}
}
