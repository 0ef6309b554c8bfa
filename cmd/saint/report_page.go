package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/plot/plotter"

	"github.com/saint-gnn/saint/trainer/rundir"
)

//go:embed report/page.html
var reportHTML string

// reportTemplate escapes everything that comes from a run. Page and data are one file.
var reportTemplate = template.Must(template.New("report").Parse(reportHTML))

// reportPage is what the template shows.
type reportPage struct {
	Title, Version, Made string
	Runs                 []pageRun
	Scores               []scoreLine
	Charts               []*chart
	Times                []timeBar
	Memory               []memoryBar
	Differences          []difference
	Data                 pageData
}

// pageRun is a run in the legend and in the details.
type pageRun struct {
	Name, State, Class, Path, Note string
	Color, Dash                    string
	Facts                          []setting
	Config                         string
}

// scoreLine is a row of the table; cells are text, Best marks the greatest of a column.
type scoreLine struct {
	Name, State, Class string
	Color, Dash        string
	Cells              []scoreCell
}

type scoreCell struct {
	Text string
	Best bool
}

// timeBar is where the time of a run went.
type timeBar struct {
	Name, Total string
	Parts       []timePart
}

type timePart struct {
	Class, Label string
	Width        float64 // percent of the longest run
}

type memoryBar struct {
	Name, Text string
	Width      float64
}

// difference is a key with a value for each run, not all of them equal.
type difference struct {
	Key    string
	Values []string
}

// pageData is what the page's script reads.
type pageData struct {
	Names  []string    `json:"names"`
	Charts []chartData `json:"charts"`
}

type chartData struct {
	Area   chartArea      `json:"area"`
	Series [][][2]float64 `json:"series"`
}

func newReportPage(runs []*reportedRun, now time.Time) (*reportPage, error) {
	p := &reportPage{Title: countOf(len(runs), "run"), Version: version, Made: now.UTC().Format("2006-01-02 15:04 UTC")}
	if len(runs) == 1 {
		p.Title = runs[0].Name
	}
	for i, r := range runs {
		p.Runs = append(p.Runs, newPageRun(r, i))
		p.Data.Names = append(p.Data.Names, r.Name)
	}
	p.Scores = scoreLines(runs, p.Runs)
	if err := p.addCharts(runs); err != nil {
		return nil, err
	}
	p.Times, p.Memory, p.Differences = timeBars(runs), memoryBars(runs), differences(runs)
	return p, nil
}

func newPageRun(r *reportedRun, i int) pageRun {
	info := &r.Info
	p := pageRun{
		Name: r.Name, State: info.State, Class: stateClass(info.State), Path: r.Path, Note: info.Error, Config: r.Config,
		Color: fmt.Sprintf("s%d", i%reportColors),
	}
	var dashes []string
	for _, d := range lineStyles[i%len(lineStyles)].dashes {
		dashes = append(dashes, fmt.Sprintf("%g", d.Points()))
	}
	p.Dash = strings.Join(dashes, " ")
	p.Facts = append(facts(r), setting{"command", strings.Join(quoted(info.Command), " ")}, setting{"started", info.Started}, setting{"ended", info.Ended})
	p.Facts = slices.DeleteFunc(p.Facts, func(s setting) bool { return s.Value == "" })
	return p
}

func quoted(words []string) []string {
	var out []string
	for _, w := range words {
		out = append(out, shellQuote(w))
	}
	return out
}

// stateClass returns the class that colours a state.
func stateClass(state string) string {
	switch state {
	case rundir.Done, rundir.Running, rundir.Failed, rundir.Interrupted:
		return state
	default:
		return "unknown"
	}
}

// facts are what run.json says of how a run was made.
func facts(r *reportedRun) []setting {
	i := &r.Info
	all := []setting{
		{"data", i.DataName},
		{"data_prefix", i.Data},
		{"data_fingerprint", i.Fingerprint},
		{"train_config", i.Config},
		{"seed", fmt.Sprint(i.Seed)},
		{"dtype", i.DType},
		{"saved_model_path", i.InitFrom},
		{"device", i.Device},
		{"isa", i.ISA},
		{"version", i.Version},
	}
	if i.Epochs > 0 {
		all = append(all, setting{"epochs", fmt.Sprint(i.Epochs)})
	}
	if i.EdgeWeight {
		all = append(all, setting{"edge_weight", "true"})
	}
	if i.ScoreEvery > 0 {
		all = append(all, setting{"eval_train_every", fmt.Sprint(i.ScoreEvery)})
	}
	return all
}

// scoreLines makes the rows of the table, a run's baseline below it.
func scoreLines(runs []*reportedRun, shown []pageRun) []scoreLine {
	nan := math.NaN()
	var lines []scoreLine
	var scores [][3]float64
	add := func(l scoreLine, epochs, best int, s [3]float64, total float64) {
		l.Cells = []scoreCell{{Text: dash(epochs)}, {Text: dash(best)}, {Text: score(s[0])}, {Text: score(s[1])}, {Text: score(s[2])}, {Text: "-"}}
		if !math.IsNaN(total) {
			l.Cells[5].Text = seconds(total)
		}
		lines, scores = append(lines, l), append(scores, s)
	}
	for i, r := range runs {
		l := scoreLine{Name: r.Name, State: r.Info.State, Class: shown[i].Class, Color: shown[i].Color, Dash: shown[i].Dash}
		if res := r.Result; res != nil {
			add(l, res.Epochs, res.BestEpoch, [3]float64{res.ValF1Micro, res.TestF1Micro, res.LastTest}, res.Total)
		} else {
			epochs, best, f1 := soFar(r.Epochs)
			add(l, epochs, best, [3]float64{f1, nan, nan}, nan)
		}
		if b := r.Baseline; b != nil {
			add(scoreLine{Name: r.Name + ", features only"}, b.Epochs, b.BestEpoch, [3]float64{b.ValF1Micro, b.TestF1Micro, b.LastTest}, b.Total)
		}
	}
	for k := range 3 {
		best := math.Inf(-1)
		for _, s := range scores {
			if s[k] > best { // never of a NaN
				best = s[k]
			}
		}
		for i, s := range scores {
			lines[i].Cells[2+k].Best = len(scores) > 1 && s[k] == best
		}
	}
	return lines
}

// soFar returns what the validations of a run that has no result tell.
func soFar(epochs []epochLine) (trained, best int, f1 float64) {
	best, f1 = -1, math.NaN()
	for _, e := range epochs {
		if trained = e.Epoch + 1; best < 0 || e.ValF1Micro > f1 {
			best, f1 = e.Epoch, e.ValF1Micro
		}
	}
	return trained, best, f1
}

func dash(n int) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// addCharts draws the curves.
func (p *reportPage) addCharts(runs []*reportedRun) error {
	by := func(y func(e *epochLine) float64) func(*reportedRun) plotter.XYs {
		return func(r *reportedRun) plotter.XYs {
			var xy plotter.XYs
			for i := range r.Epochs {
				xy = append(xy, plotter.XY{X: float64(r.Epochs[i].Epoch), Y: y(&r.Epochs[i])})
			}
			return xy
		}
	}
	for _, c := range []struct {
		title, x, y string
		points      func(*reportedRun) plotter.XYs
	}{
		{"Validation F1 micro", epochAxis, "F1 micro", by(func(e *epochLine) float64 { return e.ValF1Micro })},
		{"Validation F1 micro over time", "seconds of training", "F1 micro", overTime},
		{"Training loss", epochAxis, "loss", by(func(e *epochLine) float64 { return e.TrainLoss })},
		{"Validation loss", epochAxis, "loss", by(func(e *epochLine) float64 { return e.ValLoss })},
		{"Training F1 micro", epochAxis, "F1 micro", by(func(e *epochLine) float64 { return e.TrainF1 })},
		{"Time of an epoch", epochAxis, "seconds", by(func(e *epochLine) float64 { return e.Seconds })},
	} {
		drawn, err := newChart(c.title, c.x, c.y, runs, c.points)
		if err != nil {
			return err
		}
		if drawn != nil {
			p.Charts = append(p.Charts, drawn)
			p.Data.Charts = append(p.Data.Charts, chartData{drawn.Area, drawn.Series})
		}
	}
	return nil
}

// overTime is the validation F1 over the seconds of training. Epochs that were not validated, and
// so have no line, count as the next one that has.
func overTime(r *reportedRun) plotter.XYs {
	var xy plotter.XYs
	total, before := 0.0, -1
	for _, e := range r.Epochs {
		total += e.Seconds * float64(max(1, e.Epoch-before))
		before = e.Epoch
		xy = append(xy, plotter.XY{X: total, Y: e.ValF1Micro})
	}
	return xy
}

// timeBars shows where the time of finished runs went.
func timeBars(runs []*reportedRun) []timeBar {
	longest := 0.0
	for _, r := range runs {
		if r.Result != nil {
			longest = max(longest, r.Result.Total)
		}
	}
	var bars []timeBar
	for _, r := range runs {
		if r.Result == nil || longest <= 0 {
			continue
		}
		t := r.Result.Times
		bar := timeBar{Name: r.Name, Total: seconds(t.Total)}
		for _, part := range []struct {
			class, what string
			seconds     float64
		}{
			{"load", "loading", t.Load},
			{"norm", "normalisation", t.Norm},
			{"train", "training", t.Train - t.SampleWait},
			{"wait", "waiting for samples", t.SampleWait},
			{"eval", "evaluation", t.Eval},
			{"other", "other", t.Total - t.Load - t.Norm - t.Train - t.Eval},
		} {
			if part.seconds > 0 {
				bar.Parts = append(bar.Parts, timePart{part.class, fmt.Sprintf("%s %s (%.1f %%)", part.what, seconds(part.seconds), 100*part.seconds/max(t.Total, 1e-9)), 100 * part.seconds / longest})
			}
		}
		bars = append(bars, bar)
	}
	return bars
}

func memoryBars(runs []*reportedRun) []memoryBar {
	most := int64(0)
	for _, r := range runs {
		if r.Result != nil {
			most = max(most, r.Result.PeakRSS)
		}
	}
	var bars []memoryBar
	for _, r := range runs {
		if r.Result != nil && r.Result.PeakRSS > 0 {
			bars = append(bars, memoryBar{r.Name, fmt.Sprintf("%d MB", r.Result.PeakRSS/1e6), 100 * float64(r.Result.PeakRSS) / float64(most)})
		}
	}
	return bars
}

// differences lists what the runs do not have in common, in the order of the configuration.
func differences(runs []*reportedRun) []difference {
	var keys []string
	values := map[string][]string{}
	for i, r := range runs {
		for _, s := range append(facts(r), r.Settings...) {
			if values[s.Key] == nil {
				values[s.Key] = make([]string, len(runs))
				keys = append(keys, s.Key)
			}
			values[s.Key][i] = s.Value
		}
	}
	var all []difference
	for _, key := range keys {
		v := values[key]
		if !slices.ContainsFunc(v, func(s string) bool { return s != v[0] }) {
			continue
		}
		d := difference{Key: key}
		for _, s := range v {
			switch {
			case s == "":
				s = "-"
			case key == "data_fingerprint":
				s = shorten(s, 12)
			}
			d.Values = append(d.Values, s)
		}
		all = append(all, d)
	}
	return all
}
