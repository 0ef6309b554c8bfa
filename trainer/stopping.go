package trainer

// watch follows a score of which more is better.
type watch struct {
	Seen  bool    `json:"seen"`
	Best  float64 `json:"best"`
	Since int     `json:"since"` // epoch of the best, or since when epochs count anew
}

// see takes in the score of an epoch and returns for how many epochs none was better than the
// best by that share of it.
func (w *watch) see(epoch int, score, share float64) int {
	if !w.Seen || score > w.Best*(1+share) {
		*w = watch{Seen: true, Best: score, Since: epoch}
	}
	return epoch - w.Since
}

// observe shows the scores of a validation to the schedule and to early stopping. A validation
// that is there only because training ends counts for neither: a run that is continued later
// must go as if it had never ended.
func (r *run) observe(e *Epoch) {
	p := r.Config.Params
	if (e.Epoch+1)%p.EvalValEvery != 0 || e.Val.Nodes == 0 {
		return
	}
	if r.Plateau.see(&r.schedule, e.Epoch, e.Val.F1Micro) {
		r.Log.Info("the score stands still: the learning rate drops", "epoch", e.Epoch, "lr", r.Plateau.LR)
	}
	if p.Patience == 0 {
		return
	}
	if still := r.Stop.see(e.Epoch, e.Val.F1Micro, 0); still >= p.Patience {
		r.Stopped = true
		r.Log.Info("training ends early: no better validation score", "epoch", e.Epoch, "best", r.Stop.Since, "patience", p.Patience)
	}
}
