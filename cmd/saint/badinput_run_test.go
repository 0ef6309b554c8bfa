//go:build unix

package main

import (
	"encoding/binary"
	"math"
	"os"
	"strings"
)

var badYAML = []badInput{
	{"no file", "config check IN/none.yml", nil, exitUsage, "IN/none.yml … no such file"},
	{"a folder", "config check IN/data", nil, exitUsage, "IN/data … is a folder"},
	{"empty", "config check IN/small.yml", func(b *spoiler) { b.put("small.yml", "") }, exitUsage, "IN/small.yml: … empty"},
	{"only a comment", "config check IN/small.yml", func(b *spoiler) { b.put("small.yml", "# nothing\n") }, exitUsage, "IN/small.yml: … empty"},
	{"a scalar", "config check IN/small.yml", func(b *spoiler) { b.put("small.yml", "hello\n") }, exitUsage, "IN/small.yml:1:1"},
	{"a list", "config check IN/small.yml", func(b *spoiler) { b.put("small.yml", "- 1\n- 2\n") }, exitUsage, "IN/small.yml:1:1"},
	{"open bracket", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "phase:", "phase: [") }, exitUsage, "IN/small.yml: … YAML"},
	{"tab", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "  - dim", "\t- dim") }, exitUsage, "IN/small.yml:2 … YAML"},
	{"no UTF-8", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "relu", "re\xfflu") }, exitUsage, "IN/small.yml:"},
	{"zero bytes", "config check IN/small.yml", func(b *spoiler) { b.put("small.yml", strings.Repeat("\x00", 100)) }, exitUsage, "IN/small.yml:"},
	{"a picture", "config check IN/small.yml", func(b *spoiler) { b.put("small.yml", "\x89PNG\r\n\x1a\n\x00\x00") }, exitUsage, "IN/small.yml:"},
	{"two documents", "config check IN/small.yml", func(b *spoiler) { b.put("small.yml", string(b.get("small.yml"))+"---\nphase: 1\n") }, exitUsage, "IN/small.yml … more than one"},
	{"key twice", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "    act: relu", "    act: relu\n    dim: 3") }, exitUsage, "IN/small.yml:7:5 … dim … twice"},
	{"unknown key", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "dropout", "dropot") }, exitUsage, "IN/small.yml:10:5 … dropot"},
	{"unknown sampler", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "sampler: rw", "sampler: rwx") }, exitUsage, "IN/small.yml:14:14 … rwx"},
	{"key of another sampler", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "num_root", "size_subgraph") }, exitUsage, "IN/small.yml … size_subgraph"},
	{"word for a number", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "dim: 16", "dim: wide") }, exitUsage, "IN/small.yml:2:10 … wide"},
	{"number too large", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "dim: 16", "dim: 1e400") }, exitUsage, "IN/small.yml:2:10 … 1e400"},
	{"layer beyond memory", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x", func(b *spoiler) { b.swap("small.yml", "dim: 16", "dim: 2000000000") }, exitUsage, "IN/small.yml:2:10 … 2000000000"},
	{"rate nan", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "lr: 0.01", "lr: .nan") }, exitUsage, "IN/small.yml:9:9 … lr"},
	{"rate negative", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "lr: 0.01", "lr: -1") }, exitUsage, "IN/small.yml:9:9 … -1"},
	{"no network", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "network:", "net:") }, exitUsage, "IN/small.yml:1:1 … net"},
	{"architecture", "config check IN/small.yml", func(b *spoiler) { b.swap("small.yml", "1-0", "1-x") }, exitUsage, "IN/small.yml:5:11 … 1-x"},
	{"anchors that multiply", "config check IN/small.yml", func(b *spoiler) {
		var s strings.Builder
		s.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
		for i := range 20 {
			n := string(rune('a' + i))
			prev := "a0"
			if i > 0 {
				prev = string(rune('a' + i - 1))
			}
			s.WriteString(n + ": &" + n + " [" + strings.Repeat("*"+prev+",", 9) + "]\n")
		}
		b.put("small.yml", s.String())
	}, exitUsage, "IN/small.yml:"},
	{"anchor of itself", "config check IN/small.yml", func(b *spoiler) { b.put("small.yml", "network: &a [*a]\nparams: *a\nphase: *a\n") }, exitUsage, "IN/small.yml:"},
	{"nested", "config check IN/small.yml", func(b *spoiler) { b.put("small.yml", "network: "+nested(500000)) }, exitUsage, "IN/small.yml:"},
	{"huge", "config check IN/small.yml", func(b *spoiler) { b.put("small.yml", strings.Repeat("# filler\n", 1<<20)) }, exitUsage, "IN/small.yml: … at most"},
	{"of another data set", "train --data_prefix IN/multi --train_config IN/small.yml --run_dir OUT/x", nil, exitUsage, "softmax"},
}

// header64 replaces the length of a safetensors header.
func (b *spoiler) header64(name string, length uint64) {
	data := b.get(name)
	binary.LittleEndian.PutUint64(data, length)
	b.put(name, string(data))
}

const (
	best   = "run/checkpoints/best.safetensors"
	stored = "run/checkpoints/last.state.safetensors"
)

var badRuns = []badInput{
	{"eval: no run", "eval IN/data", nil, exitInput, "IN/data … not a run folder"},
	{"eval: no folder", "eval IN/none", nil, exitInput, "IN/none … not a run folder"},
	{"eval: run.json cut", "eval IN/run", func(b *spoiler) { b.cut("run/run.json", 100) }, exitInput, "IN/run/run.json"},
	{"eval: run.json nested", "eval IN/run", func(b *spoiler) { b.put("run/run.json", `{"command": `+nested(1<<20)) }, exitInput, "IN/run/run.json"},
	{"eval: run.json a folder", "eval IN/run", func(b *spoiler) { b.folder("run/run.json") }, exitInput, "IN/run/run.json … is a directory"},
	{"eval: no data", "eval IN/run --quiet", func(b *spoiler) { b.remove("data") }, exitInput, "IN/data … no such folder"},
	{"eval: other data", "eval IN/run --data_prefix IN/multi --quiet", nil, exitUsage, "softmax"},
	{"eval: configuration gone", "eval IN/run", func(b *spoiler) { b.remove("run/config.yml") }, exitUsage, "IN/run/config.yml … no such file"},
	{"eval: parameters gone", "eval IN/run --quiet", func(b *spoiler) { b.remove(best) }, exitInput, "IN/" + best + " … no such file"},
	{"eval: parameters empty", "eval IN/run", func(b *spoiler) { b.put(best, "") }, exitInput, "IN/" + best},
	{"eval: parameters cut", "eval IN/run", func(b *spoiler) { b.cut(best, -4) }, exitInput, "IN/" + best},
	{"eval: header huge", "eval IN/run", func(b *spoiler) { b.header64(best, 1<<62) }, exitInput, "IN/" + best + " … header"},
	{"eval: header no JSON", "eval IN/run", func(b *spoiler) { b.flip(best, 8) }, exitInput, "IN/" + best},
	{"eval: offsets overlap", "eval IN/run", func(b *spoiler) { b.swap(best, `"data_offsets":[0`, `"data_offsets":[4`) }, exitInput, "IN/" + best},
	{"eval: dtype", "eval IN/run", func(b *spoiler) { b.swap(best, `"F32"`, `"F33"`) }, exitInput, "IN/" + best + " … F33"},
	{"eval: parameter nan", "eval IN/run", func(b *spoiler) {
		data := b.get(best)
		binary.LittleEndian.PutUint32(data[len(data)-4:], math.Float32bits(float32(math.NaN())))
		b.put(best, string(data))
	}, exitInput, "IN/" + best + " … NaN"},
	{"eval: another network", "eval IN/run --train_config IN/small.yml", func(b *spoiler) { b.swap("small.yml", "dim: 16", "dim: 17") }, exitInput, "IN/" + best + " … shape"},
	{"predict: parameters cut", "predict IN/run --out OUT/p.npy", func(b *spoiler) { b.cut(best, 90) }, exitInput, "IN/" + best},
	{"predict: disk full", "predict IN/run --out IN/full.npy", func(b *spoiler) { b.full("full.npy") }, exitFailure, "full.npy … no space left"},
	{"predict: out is a folder", "predict IN/run --out IN/p.npy", func(b *spoiler) { b.folder("p.npy") }, exitUsage, "IN/p.npy is a folder"},
	{"sample: disk full", "sample --data_prefix IN/data --train_config IN/small.yml --out IN/full", func(b *spoiler) { b.full("full") }, exitFailure, "full … no space left"},
	{"sample: no phase", "sample --data_prefix IN/data --train_config IN/small.yml --phase 1", nil, exitUsage, "--phase is 1 … IN/small.yml"},
	{"sample: bad data", "sample --data_prefix IN/data --train_config IN/small.yml --out OUT/x", func(b *spoiler) { b.cut("data/adj_train.npz", 20) }, exitInput, "IN/data/adj_train.npz"},
	{"plot: disk full", "inspect IN/data --plot IN/full.svg", func(b *spoiler) { b.full("full.svg") }, exitFailure, "full.svg … no space left"},
	{"synth: below a file", "synth tiny --out IN/small.yml/x", nil, exitFailure, "IN/small.yml … not a directory"},
	{"synth: folder in use", "synth tiny --out IN/data", nil, exitUsage, "IN/data … not empty"},
	{"train: run folder in use", "train --data_prefix IN/data --train_config IN/small.yml --run_dir IN/run", nil, exitUsage, "IN/run … --resume"},
	{"train: run folder below a file", "train --data_prefix IN/data --train_config IN/small.yml --run_dir IN/small.yml/x", nil, exitFailure, "IN/small.yml … not a directory"},
	{"train: no parameters", "train --data_prefix IN/data --train_config IN/small.yml --saved_model_path IN/small.yml --run_dir OUT/x", nil, exitInput, "IN/small.yml"},
	{"resume: no run", "train --resume IN/data", nil, exitInput, "IN/data … not a run folder"},
	{"resume: run.json damaged", "train --resume IN/run", func(b *spoiler) { b.put("run/run.json", "[]") }, exitInput, "IN/run/run.json"},
	{"resume: another configuration", "train --resume IN/run", func(b *spoiler) { b.swap("run/config.yml", "lr: 0.01", "lr: 0.02") }, exitUsage, "IN/run/config.yml"},
	{"resume: other data", "train --resume IN/run --quiet", func(b *spoiler) { b.swap("data/class_map.json", `"5":2`, `"5":1`) }, exitUsage, "IN/data does not hold the data … IN/run"},
	{"features: no place", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --features gpu", nil, exitUsage, "--features is … device, host or auto"},
	{"resume: fewer epochs", "train --resume IN/run --epochs 1", nil, exitUsage, "--epochs 1 … IN/run"},
	{"resume: other seed", "train --resume IN/run --seed 2", nil, exitUsage, "--seed 2 … IN/run"},

	{"download: no server", "download ogbn-arxiv --dir OUT --base_url http://127.0.0.1:1 --retries 0", nil, exitFailure, "OUT/arxiv.zip … By hand"},
	{"download: another file", "download ogbn-arxiv --dir IN --base_url http://127.0.0.1:1 --sha256 " + strings.Repeat("0", 64), func(b *spoiler) { b.put("arxiv.zip", "x") }, exitFailure, "IN/arxiv.zip … SHA-256"},
	{"download: digest damaged", "download ogbn-arxiv --dir IN --base_url http://127.0.0.1:1 --retries 0", func(b *spoiler) { b.put("arxiv.zip.sha256", "x") }, exitFailure, "IN/arxiv.zip.sha256"},
	{"download: no archive", "download ogbn-arxiv --dir IN --base_url http://127.0.0.1:1 --retries 0", func(b *spoiler) { b.put("arxiv.zip", "<html>") }, exitFailure, "IN/arxiv.zip … zip"},
	{"download: below a file", "download ogbn-arxiv --dir IN/small.yml/x --base_url http://127.0.0.1:1", nil, exitFailure, "IN/small.yml … not a directory"},
}

var badFlags = []badInput{
	{"no such command", "tarin", nil, exitUsage, `"tarin" … train`},
	{"no such flag", "train --epoch 3", nil, exitUsage, "--epoch … --epochs"},
	{"flag without value", "train --seed", nil, exitUsage, "--seed needs a value"},
	{"no number", "train --data_prefix IN/data --train_config IN/small.yml --seed -1", nil, exitUsage, "--seed … not negative"},
	{"number too large", "sample --count 99999999999999999999", nil, exitUsage, "--count … smaller"},
	{"no such data", "train --data_prefix synth:huge --train_config IN/small.yml --run_dir OUT/x", nil, exitUsage, `"huge"`},
	{"no such device", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --gpu 7", nil, exitDevice, "--gpu 7"},
	{"eval: no such device", "eval IN/run --gpu 7", nil, exitDevice, "--gpu 7"},
	{"samplers", "samplers IN/data", nil, exitUsage, "unexpected argument … IN/data"},
	{"version", "version --jason", nil, exitUsage, "--jason"},
	{"config", "config chek IN/small.yml", nil, exitUsage, "chek … check"},
	{"inspect two", "inspect IN/data IN/multi", nil, exitUsage, "one data folder"},
	{"inspect plot", "inspect IN/data --plot OUT/x.pdf", nil, exitUsage, "OUT/x.pdf … .svg or .png"},
	{"predict format", "predict IN/run --out OUT/x.txt", nil, exitUsage, "OUT/x.txt … .npy"},
	{"convert what", "convert from-graphsage --in IN/data --out OUT/x", nil, exitUsage, "from-graphsage"},
	{"ogb both", "convert ogb --in IN/products --out OUT/x --directed --undirected", nil, exitUsage, "exclude each other"},
	{"fractions", "convert shchur --in IN/shchur.npz --out OUT/x --split 0.5,0.6,nan", nil, exitUsage, "--split … 0.5,0.6,nan"},
	{"bench", "bench nothing", nil, exitUsage, "nothing"},
	{"reproduce", "reproduce nothing", nil, exitUsage, "nothing"},
	{"report: nothing", "report", nil, exitUsage, "no run folder"},
	{"report: no run", "report IN/data --out OUT/x.html", nil, exitInput, "IN/data … not a run folder"},
	{"report: no folder", "report IN/none --out OUT/x.html", nil, exitInput, "IN/none … not a run folder"},
	{"report: one of two", "report IN/run IN/none --out OUT/x.html", nil, exitInput, "IN/none … not a run folder"},
	{"report: run.json damaged", "report IN/run --out OUT/x.html", func(b *spoiler) { b.cut("run/run.json", 60) }, exitInput, "IN/run/run.json … damaged"},
	{"report: configuration gone", "report IN/run --out OUT/x.html", func(b *spoiler) { b.remove("run/config.yml") }, exitUsage, "IN/run/config.yml"},
	{"report: metrics damaged", "report IN/run --out OUT/x.html", func(b *spoiler) { b.lines("run/metrics.jsonl", 1, `{"type":"epoch",`) }, exitInput, "IN/run/metrics.jsonl:1: damaged"},
	{"report: metrics of words", "report IN/run --out OUT/x.html", func(b *spoiler) { b.lines("run/metrics.jsonl", 2, `{"type":"epoch","epoch":"two"}`) }, exitInput, "IN/run/metrics.jsonl … damaged"},
	{"report: metrics beyond numbers", "report IN/run --out OUT/x.html", func(b *spoiler) { b.lines("run/metrics.jsonl", 1, `{"type":"epoch","train_loss":1e999}`) }, exitInput, "IN/run/metrics.jsonl … damaged"},
	{"report: metrics nested", "report IN/run --out OUT/x.html", func(b *spoiler) { b.put("run/metrics.jsonl", `{"type": `+nested(1<<20)+"\n") }, exitInput, "IN/run/metrics.jsonl … damaged"},
	{"report: metrics a folder", "report IN/run --out OUT/x.html", func(b *spoiler) { b.folder("run/metrics.jsonl") }, exitInput, "IN/run/metrics.jsonl … is a directory"},
	{"report: no page", "report IN/run --out OUT/x.pdf", nil, exitUsage, "OUT/x.pdf … .html"},
	{"report: out is a folder", "report IN/run --out IN/page.html", func(b *spoiler) { b.check(os.Mkdir(b.path("page.html"), 0o777)) }, exitUsage, "IN/page.html is a folder"},
	{"report: no folder for it", "report IN/run --out OUT/none/x.html", nil, exitUsage, "OUT/none"},
	{"report: disk full", "report IN/run --out IN/full.html", func(b *spoiler) { b.full("full.html") }, exitFailure, "full.html … no space left"},
	{"log format", "eval IN/run --log_format xml", nil, exitUsage, `--log_format … "xml" … text or json`},
	{"metrics: no address", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --metrics_listen here", nil, exitUsage, `--metrics_listen … "here" … host:port`},
	{"metrics: no port", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --metrics_listen 127.0.0.1:99999", nil, exitUsage, `--metrics_listen … 99999`},
	{"metrics: not here", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --metrics_listen 192.0.2.1:9464 --quiet", nil, exitFailure, `--metrics_listen … 192.0.2.1:9464`},
	{"timeline: a folder", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --timeline IN/data", nil, exitUsage, "--timeline … IN/data is a folder"},
	{"timeline: no folder", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --timeline OUT/none/t.json", nil, exitUsage, "--timeline … OUT/none"},
	{"timeline: without a name", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --timeline", nil, exitUsage, "--timeline needs a value"},
	{"tensorboard: a file", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --tensorboard_dir IN/small.yml", nil, exitUsage, "--tensorboard_dir IN/small.yml is a file"},
	{"tensorboard: a word", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --tensorboard=maybe", nil, exitUsage, "--tensorboard … true or false"},
}
