package main

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"nothing", "saint", "saint --help"},
		{"help", "saint help", "saint --help"},
		{"help of a command", "saint help train", "saint train --help"},
		{"help of a subcommand", "saint help config check", "saint config check --help"},
		{"help flag anywhere", "saint train --seed 3 -h", "saint train --help"},
		{"group", "saint config", "saint config --help"},
		{"version flag", "saint --version", "saint version"},
		{"dashes", "saint train --data-prefix x --num-cpu-core=2", "saint train --data_prefix=x --num_cpu_core=2"},
		{"one dash", "saint train -seed 3", "saint train --seed=3"},
		{"negative value", "saint train --gpu -1", "saint train --gpu=-1"},
		{"flags behind", "saint eval DIR --report", "saint eval --report=true -- DIR"},
		{"flags around", "saint eval --gpu -1 DIR --report=false", "saint eval --gpu=-1 --report=false -- DIR"},
		{"end of flags", "saint eval -- --odd", "saint eval -- --odd"},
		{"common flag first", "saint --json config --quiet list", "saint config list --json=true --quiet=true"},
		{"equals in a value", "saint train --data_prefix=synth:tiny?seed=2", "saint train --data_prefix=synth:tiny?seed=2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := normalize(newApp(&env{}), strings.Fields(tc.in))
			if err != nil || !reflect.DeepEqual(got, strings.Fields(tc.want)) {
				t.Errorf("normalize(%s) = %v, %v, want %s", tc.in, got, err, tc.want)
			}
		})
	}
}

func TestBadCommandLines(t *testing.T) {
	t.Chdir(t.TempDir()) // for what a line leaves that is not refused
	const train = "train --data_prefix synth:tiny --train_config rw.yml "
	for _, tc := range []struct{ line, want string }{
		{"trian", "did you mean train?"},
		{"xyzzy", "there is train, eval, predict, plan, sample, "},
		{"help nothing", `unknown command "nothing"`},
		{"config chek", "did you mean check?"},
		{"--seed 3 train", "stand behind its name"},
		{"train", "--train_config is missing"},
		{"train --train_config rw.yml", "--data_prefix is missing"},
		{"train --data_prefix synth:tiny", "--train_config is missing"},
		{train + "extra", `unexpected argument "extra"`},
		{train + "--tran_config x", "did you mean --train_config?"},
		{train + "--data x", "did you mean --data_prefix?"},
		{train + "--zzz", "'saint train --help'"},
		{train + "--run_dir", "--run_dir needs a value"},
		{train + "--run_dir --quiet", "got the flag --quiet"},
		{train + "--source=", "--source needs a value"},
		{train + "--run-dir=", "--run_dir needs a value"},
		{"serve --token_file=", "--token_file needs a value"},
		{train + "--gpu x", `--gpu is "x", want -1`},
		{train + "--gpu -3", "--gpu is \"-3\""},
		{train + "--seed -1", "not negative"},
		{train + "--seed 18446744073709551616", "a smaller number"},
		{train + "--seed 18446744073709551615 --runs 2", "largest seed"},
		{train + "--epochs 0", "--epochs is 0"},
		{train + "--epochs 1.5", "want a whole number"},
		{train + "--runs 0", "--runs is 0"},
		{train + "--runs 2 --resume x", "exclude each other"},
		{train + "--run_dir y --resume x", "exclude each other"},
		{train + "--saved_model_path y --resume x", "exclude each other"},
		{train + "--num_cpu_core 0", "--num_cpu_core is 0"},
		{train + "--eval_train_every 0", "--eval_train_every is 0"},
		{train + "--checkpoint_every 5", "a duration such as"},
		{train + "--checkpoint_every -5s", "more than 0"},
		{train + "--quiet=maybe", "true or false"},
		{train + "--dtype d --gpu 0", "on the CPU only"},
		{train + "--dtype x", "want s"},
		{train + "--timeline /nowhere/x.json", "no folder /nowhere"},
		{train + "--metrics_listen here", "\"here\" is no address"},
		{train + "--n_bits 2 --kept_frac half", `--kept_frac is "half", want a number`},
		{train + "--grad_norm 1e999", `--grad_norm is "1e999", want a smaller number`},
		{"plan --edges many", `--edges is "many", want a whole number`},
		{"plan --edges 9223372036854775808", `--edges is "9223372036854775808", want a smaller number`},
		{train + "--dualGPU --gpu 1", "--dualGPU stands for --gpu 0,1"},
		{train + "--gpu 0,x", "--gpu is \"0,x\", want -1"},
		{train + "--gpu 0,0", "names a GPU twice"},
		{train + "--gpu 0 --gpu 1", "joined by commas: --gpu 0,1"},
		{train + "--gpu=0 --gpu 0", "joined by commas: --gpu 0,1"},
		{train + "--amp --dtype d", "dtype d: amp is bfloat16"},
		{"bench gemm --gpu 0,1", "only 'saint train' uses several"},
		{train + "--gpu 0,-1", "the CPU does not train together with GPUs"},
		{train + "--matmul fp16", "--matmul is \"fp16\", want fp32, tf32 or bf16"},
		{train + "--graphs yes", "--graphs is \"yes\", want off, on or auto"},
		{train + "--amp --matmul tf32", "--amp stands for --matmul bf16"},
		{train + "--accumulate 0", "--accumulate is 0, want 1 to"},
		{train + "--matmul tf32 --dtype d", "dtype d: matmul tf32"},
		{"train --data_prefix synth:tyni --train_config rw.yml", "did you mean tiny?"},
		{"train --data_prefix synth:tiny?seed=x --train_config rw.yml", `bad seed "x"`},
		{"train --data_prefix synth:tiny --train_config nope.yml", "no such file"},
		{"eval", "nothing to load"},
		{"eval a b", `unexpected argument "b"`},
		{"eval --saved_model_path x", "needs --train_config"},
		{"predict x", "--out is missing"},
		{"predict x --out y.txt", ".npy, .csv or .parquet"},
		{"predict x --out y.npy --nodes some", "want all, train, val or test"},
		{"predict x --out y.npy --probabilities --embeddings", "exclude each other"},
		{"predict x --out no/such/y.npy", "there is no folder no/such"},
		{"sample", "--train_config is missing"},
		{"sample --train_config rw.yml", "--data_prefix is missing"},
		{"sample --data_prefix synth:tiny --train_config rw.yml --count 0", "--count is 0"},
		{"sample --data_prefix synth:tiny --train_config rw.yml --phase 1", "--phase is 1"},
		{"sample --data_prefix synth:tiny --train_config rw.yml --num_cpu_core -1", "--num_cpu_core is -1"},
		{"synth", "needs one name"},
		{"synth tiny", "--out is missing"},
		{"synth tniy --out x", "did you mean tiny?"},
		{"config check", "at least one file"},
		{"config check nope.yml", "nope.yml: no such file"},
		{"config list x", `unexpected argument "x"`},
		{"version x", `unexpected argument "x"`},
		{"samplers x", `unexpected argument "x"`},
	} {
		t.Run(tc.line, func(t *testing.T) {
			saint(t, strings.Fields(tc.line)...).fails(t, exitUsage, tc.want)
		})
	}
}

func TestHelpTellsExitCodes(t *testing.T) {
	for _, line := range []string{
		"", "help", "-h", "--help", "train --help", "help train", "eval -h", "predict --help", "sample --help", "synth --help",
		"config", "config --help", "config check --help", "config list --help", "samplers --help", "version --help",
	} {
		o := must(t, strings.Fields(line)...)
		if !strings.Contains(o.stdout, exitHelp) || o.stderr != "" {
			t.Errorf("saint %s: stdout %q, stderr %q, want the exit codes on stdout alone", line, o.stdout, o.stderr)
		}
	}
}

func TestTrainHasTheFlagsOfTheReference(t *testing.T) {
	help := must(t, "train", "--help").stdout
	for _, f := range []string{
		"data_prefix", "train_config", "gpu", "cpu_eval", "num_cpu_core", "dir_log", "eval_train_every", "dtype", "timeline", "tensorboard",
		"dualGPU", "saved_model_path", "log_device_placement",
	} {
		if !strings.Contains(help, "--"+f+" ") {
			t.Errorf("saint train --help has no --%s", f)
		}
	}
	// Those that say what is done anyway are taken in both spellings.
	train(t, writeConfig(t, "softmax", "1"), "--cpu-eval", "--log_device_placement", "--dtype=s", "--num-cpu-core=2", "--eval-train-every", "3", "--tensorboard=false")
}

func TestDeviceUnavailable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	saint(t, "train", "--data_prefix", "synth:tiny", "--train_config", "rw.yml", "--run_dir", dir, "--gpu", "0").fails(t, exitDevice, "--gpu 0", "--gpu -1")
	dir, _ = train(t, writeConfig(t, "softmax", "1"))
	saint(t, "eval", dir, "--gpu", "3").fails(t, exitDevice, "--gpu 3")
}
