package trainconfig

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// withParams returns the good configuration with lines added to params.
func withParams(lines string) string {
	return strings.Replace(good, "    dropout: 0.2\n", "    dropout: 0.2\n    "+strings.ReplaceAll(lines, "; ", "\n    ")+"\n", 1)
}

func TestTraining(t *testing.T) {
	adam, constant := defaultTraining()
	for _, tt := range []struct {
		name, lines string
		change      func(*Params)
	}{
		{"defaults, written", "optimizer: adam; beta1: 0.9; beta2: 0.999; eps: 1e-8; schedule: constant; warmup_steps: 0; label_smoothing: 0", func(*Params) {}},
		{"adamw", "optimizer: adamw; beta1: 0.8; weight_decay: 0.1", func(p *Params) {
			p.Optimizer.Kind, p.Optimizer.Beta1, p.WeightDecay = "adamw", 0.8, 0.1
		}},
		{"sgd", "optimizer: sgd; momentum: 0.9; nesterov: true", func(p *Params) {
			p.Optimizer.Kind, p.Optimizer.Momentum, p.Optimizer.Nesterov = "sgd", 0.9, true
		}},
		{"rmsprop", "optimizer: rmsprop; alpha: 0.9; eps: 1e-6; momentum: 0.5", func(p *Params) {
			p.Optimizer.Kind, p.Optimizer.Alpha, p.Optimizer.Eps, p.Optimizer.Momentum = "rmsprop", 0.9, 1e-6, 0.5
		}},
		{"step", "schedule: step; step_size: 30; gamma: 0.5; warmup_steps: 100", func(p *Params) {
			p.Schedule.Kind, p.Schedule.StepSize, p.Schedule.Gamma, p.Schedule.WarmupSteps = "step", 30, 0.5, 100
		}},
		{"cosine", "schedule: cosine; schedule_epochs: 50; lr_min: 1e-4", func(p *Params) {
			p.Schedule.Kind, p.Schedule.Length, p.Schedule.LRMin = "cosine", 50, 1e-4
		}},
		{"plateau", "schedule: plateau; plateau_patience: 0; plateau_threshold: 0.01; lr_min: 1e-5", func(p *Params) {
			p.Schedule.Kind, p.Schedule.Patience, p.Schedule.Threshold, p.Schedule.LRMin = "plateau", 0, 0.01, 1e-5
		}},
		{"double precision", "dtype: d", func(p *Params) { p.Double = true }},
		{"early stopping", "patience: 20", func(p *Params) { p.Patience = 20 }},
		{"inputs", "transductive: true; use_labels: true", func(p *Params) {
			p.Inputs = Inputs{Transductive: true, UseLabels: true, MaskRate: 0.5}
		}},
		{"loss", "class_weights: [1, 0.25, 0]; label_smoothing: 0.1", func(p *Params) {
			p.ClassWeights.List, p.LabelSmoothing = []float64{1, 0.25, 0}, 0.1
		}},
		{"balanced", "class_weights: balanced", func(p *Params) { p.ClassWeights.Balanced = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse("good.yml", []byte(withParams(tt.lines)))
			if err != nil {
				t.Fatal(err)
			}
			base, err := Parse("good.yml", []byte(good))
			if err != nil {
				t.Fatal(err)
			}
			want := base.Params
			want.Optimizer, want.Schedule = adam, constant
			tt.change(&want)
			got := c.Params
			got.Section, want.Section = nil, nil
			if !reflect.DeepEqual(got, want) {
				t.Errorf("params = %+v, want %+v", got, want)
			}
			again, err := Parse("again.yml", c.Resolved())
			if err != nil {
				t.Fatalf("the resolved text does not parse: %v\n%s", err, c.Resolved())
			}
			again.Params.Section = nil
			if !reflect.DeepEqual(again.Params, want) || again.Hash() != c.Hash() {
				t.Errorf("read again: %+v, want %+v", again.Params, want)
			}
			if plain := tt.name == "defaults, written"; plain != (c.Hash() == base.Hash()) {
				t.Errorf("hash equal to that without options: %v, want %v", !plain, plain)
			}
		})
	}
}

func TestTrainingErrors(t *testing.T) {
	for _, tt := range []struct{ lines, want string }{
		{"optimizer: lion", `bad.yml:10:16: optimizer is "lion", want one of adam, adamw, sgd, rmsprop`},
		{"optimiser: sgd", `bad.yml:10:5: unknown key "optimiser" in params; did you mean "optimizer"?`},
		{"schedule: linear", `bad.yml:10:15: schedule is "linear", want one of constant, step, cosine, plateau`},
		{"momentum: 0.9", "bad.yml:10:15: momentum is for optimizer sgd and rmsprop, but the optimizer here is adam"},
		{"optimizer: sgd; beta1: 0.9", "bad.yml:11:12: beta1 is for optimizer adam and adamw, but the optimizer here is sgd"},
		{"optimizer: sgd; nesterov: true", "bad.yml:11:15: nesterov needs momentum above 0"},
		{"optimizer: sgd; momentum: 1", "bad.yml:11:15: momentum is 1, want at least 0 and less than 1"},
		{"beta2: 0.99999999999", "beta2 is 0.99999999999, want at least 0 and less than 1"},
		{"eps: 0", "bad.yml:10:10: eps is 0, want more than 0 and at most 1"},
		{"optimizer: rmsprop; alpha: -0.1", "alpha is -0.1, want at least 0"},
		{"schedule: step", "bad.yml:8:5: schedule step needs step_size"},
		{"schedule: step; step_size: 0", "bad.yml:11:16: schedule step needs step_size"},
		{"step_size: 3", "step_size is for schedule step, but the schedule here is constant"},
		{"schedule: cosine; gamma: 0.1", "gamma is for schedule step and plateau, but the schedule here is cosine"},
		{"schedule: plateau; gamma: 1", "gamma is 1, want more than 0 and less than 1"},
		{"schedule: cosine; lr_min: 0.1", "bad.yml:11:13: lr_min is 0.1, want 0 to lr (0.01)"},
		{"schedule: cosine; schedule_epochs: -1", "schedule_epochs is -1, want 1 or more"},
		{"schedule: plateau; plateau_patience: -1", "plateau_patience is -1, want 0 epochs or more"},
		{"schedule: plateau; plateau_threshold: 1", "plateau_threshold is 1, want at least 0 and less than 1"},
		{"warmup_steps: -1", "warmup_steps is -1, want 0 to 2^30 updates"},
		{"warmup_steps: 1.5", `warmup_steps: want an integer, got "1.5"`},
		{"patience: 0", "bad.yml:10:15: patience is 0, want the epochs without a better score that are borne, 1 or more"},
		{"label_smoothing: 1", "bad.yml:10:22: label_smoothing is 1, want at least 0 and less than 1"},
		{"mask_rate: 0.5", "bad.yml:10:16: mask_rate is about labels as features and needs use_labels: true"},
		{"use_labels: true; mask_rate: 1", "mask_rate is 1, want more than 0 and less than 1"},
		{"transductive: 1", "transductive: want"},
		{"dtype: d; n_bits: 2", "bad.yml:10:12: dtype d: activations are compressed in single precision only"},
		{"class_weights: equal", `bad.yml:10:20: class_weights: want balanced or a list of one number for each class, got "equal"`},
		{"class_weights: []", "class_weights: want balanced or a list"},
		{"class_weights: {a: 1}", "class_weights: want balanced or a list of one number for each class, got a mapping"},
		{"class_weights: [1, x]", `bad.yml:10:24: class_weights of class 1: want a finite number, got "x"`},
		{"class_weights: [1, -2]", "bad.yml:10:24: class_weights of class 1 is -2, want 0 to 1000000"},
		{"class_weights: [1, [2]]", "class_weights of class 1: want a finite number, got a list"},
		{"class_weights: [0, 0]", "bad.yml:10:20: class_weights: at least one must be above 0"},
	} {
		_, err := Parse("bad.yml", []byte(withParams(tt.lines)))
		var e *Error
		if err == nil || !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Parse with %q = %v, want an *Error with %q", tt.lines, err, tt.want)
		}
	}
}
