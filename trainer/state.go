package trainer

// state is what a run needs, besides tensors, to go on as if it had never stopped. It is
// stored as JSON in the state checkpoint; floats survive JSON bit for bit.
type state struct {
	Identity identity `json:"identity"`

	Until  int    `json:"until"`   // epochs that the run is to have in total
	Epoch  int    `json:"epoch"`   // the next step belongs to this epoch
	InStep uint64 `json:"in_step"` // subgraphs of that epoch already done
	Step   uint64 `json:"step"`    // updates done since the start
	Drawn  uint64 `json:"drawn"`   // subgraphs that these took; 0 in files of before they could differ
	Adam   uint64 `json:"adam"`    // the optimizer's count

	LossSum   float64 `json:"loss_sum"` // over the epoch's steps so far
	WeightSum float64 `json:"weight_sum"`
	F1Sum     float64 `json:"f1_sum"` // over the steps that were scored
	F1Count   int     `json:"f1_count"`

	HasBest  bool   `json:"has_best"`
	Best     int    `json:"best"` // epoch
	BestVal  Scores `json:"best_val"`
	BestTest Scores `json:"best_test"`

	// The scores of the final weights, once they are known.
	HasLast  bool   `json:"has_last"`
	LastTest Scores `json:"last_test"`
	Done     bool   `json:"done"` // all epochs up to Epoch are trained and scored

	Plateau plateau `json:"plateau,omitzero"`
	Stop    watch   `json:"stop,omitzero"`
	Stopped bool    `json:"stopped,omitempty"` // early; nothing is left to train

	Times Times `json:"times"`
}

// identity says what a state belongs to.
type identity struct {
	Version    int    `json:"version"`
	Seed       uint64 `json:"seed"`
	ConfigHash string `json:"config_hash"`
	Data       string `json:"data"` // fingerprint
	Device     string `json:"device"`
}

// stateVersion changes when a field changes its meaning.
const stateVersion = 1

// Times are the seconds a run has spent, all its parts, from one interruption to the next, together.
type Times struct {
	Load       float64 `json:"load_seconds"`
	Norm       float64 `json:"norm_seconds"`
	Train      float64 `json:"train_seconds"`
	SampleWait float64 `json:"sample_wait_seconds"`
	Eval       float64 `json:"eval_seconds"`
	Total      float64 `json:"total_seconds"`
}
