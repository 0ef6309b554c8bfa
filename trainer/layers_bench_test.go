package trainer

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/saint-gnn/saint/formats"
	"github.com/saint-gnn/saint/loader"
	"github.com/saint-gnn/saint/trainer/optim"
)

// BenchmarkAttention measures weight updates of attention layers and of the plain layer, in
// turn, on subgraphs of Flickr's size.
func BenchmarkAttention(b *testing.B) {
	w := workloads[0]
	d, device := benchData(b, w.data), backend(b, 0)
	names := []string{"plain", "gat", "gaan"}
	batches := benchBatches(b, d, benchConfig(b, w.config), 3)
	steppers := make([]*Stepper, len(names))
	for i, name := range names {
		c := *benchConfig(b, w.config)
		if i > 0 {
			c.Network.Attention, c.Network.GatedAttention = 8, name == "gaan"
		}
		model, err := NewModel(&c, d.Features.Dim(), d.Labels.NumClasses, device, 1)
		if err != nil {
			b.Fatal(err)
		}
		defer model.Close()
		opt, err := optim.NewAdam(optim.DefaultAdam(), model.arena, newQueue(b, device), model.Seq.Params())
		if err != nil {
			b.Fatal(err)
		}
		if steppers[i], err = NewStepper(model, opt, newArena(b, device), d.Features.(formats.Resident), 1); err != nil {
			b.Fatal(err)
		}
		defer steppers[i].Close()
	}
	stepsInTurn(b, names, steppers, batches)
}

// stepsInTurn measures a step of each stepper in each round, so that whatever else the machine
// does hits all of them; who begins changes from round to round. It reports the least time and the
// median of each, the median of its ratio to the first one of the same round and the quartiles of
// that, and the median over the quarter of the rounds that took least in all: the calm ones, on a
// machine that does other things as well. It returns the last steps.
func stepsInTurn(b *testing.B, names []string, steppers []*Stepper, batches []*loader.Batch) []Step {
	b.Helper()
	seconds := make([][]float64, len(steppers))
	last := make([]Step, len(steppers))
	round := 0
	step := func() {
		for k := range steppers {
			i := (round + k) % len(steppers)
			begin := time.Now()
			var err error
			if last[i], err = steppers[i].Step(batches[round%len(batches)], uint64(round), nil); err != nil {
				b.Fatal(err)
			}
			seconds[i] = append(seconds[i], time.Since(begin).Seconds())
		}
		round++
	}
	for range 3 {
		step()
	}
	for i := range seconds {
		seconds[i] = nil
	}
	for b.Loop() {
		step()
	}
	calm := calmRounds(seconds)
	for i, name := range names {
		ratios := make([]float64, len(seconds[i]))
		for j, s := range seconds[i] {
			ratios[j] = s / seconds[0][j]
		}
		quiet := make([]float64, len(calm))
		for k, j := range calm {
			quiet[k] = ratios[j]
		}
		slices.Sort(quiet)
		slices.Sort(ratios)
		if i > 0 {
			b.ReportMetric(quiet[len(quiet)/2], name+"-calm-ratio")
			b.ReportMetric(ratios[len(ratios)/2], name+"-ratio")
			b.ReportMetric(ratios[len(ratios)/4], name+"-ratio-low")
			b.ReportMetric(ratios[len(ratios)*3/4], name+"-ratio-high")
		}
	}
	for i, name := range names {
		ms := make([]float64, len(calm))
		for k, j := range calm {
			ms[k] = 1e3 * seconds[i][j]
		}
		slices.Sort(ms)
		b.ReportMetric(ms[len(ms)/2], name+"-calm-ms")
		slices.Sort(seconds[i])
		b.ReportMetric(1e3*seconds[i][0], name+"-least-ms")
		b.ReportMetric(1e3*seconds[i][len(seconds[i])/2], name+"-ms")
	}
	return last
}

// calmRounds returns the quarter of the rounds that took least, all steppers together.
func calmRounds(seconds [][]float64) []int {
	total := make([]float64, len(seconds[0]))
	list := make([]int, len(total))
	for j := range total {
		list[j] = j
		for _, s := range seconds {
			total[j] += s[j]
		}
	}
	slices.SortFunc(list, func(a, b int) int { return cmp.Compare(total[a], total[b]) })
	return list[:(len(list)+3)/4]
}
