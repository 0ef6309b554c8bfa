//go:build unix

package main

// badServices are mistakes around the sampling service. No row listens: every mistake is found
// before that.
var badServices = []badInput{
	{"serve nothing", "serve --train_config IN/small.yml", nil, exitUsage, "--data_prefix is missing"},
	{"serve without configuration", "serve --data_prefix IN/data", nil, exitUsage, "--train_config is missing"},
	{"serve no folder", "serve --data_prefix IN/none --train_config IN/small.yml", nil, exitInput, "IN/none"},
	{"serve a bad folder", "serve --data_prefix IN/data --train_config IN/small.yml", func(b *spoiler) { b.put("data/role.json", "{") }, exitInput, "IN/data/role.json"},
	{"serve twice the same", "serve --data_prefix IN/data --data_prefix IN/data --train_config IN/small.yml", nil, exitUsage, "two data sets have the name"},
	{"listen nowhere", "serve --data_prefix IN/data --train_config IN/small.yml --listen nowhere", nil, exitUsage, "--listen … nowhere"},
	{"listen at no port", "serve --data_prefix IN/data --train_config IN/small.yml --listen 127.0.0.1:99999", nil, exitUsage, "--listen … 99999"},
	{"listen to all", "serve --data_prefix IN/data --train_config IN/small.yml --listen 0.0.0.0:0", nil, exitUsage, "--listen … --tls_cert … --insecure"},
	{"listen to all, token only", "serve --data_prefix IN/data --train_config IN/small.yml --listen 0.0.0.0:0 --token_file IN/small.yml", nil, exitUsage, "--listen … --tls_cert"},
	{"listen to all IPv6", "serve --data_prefix IN/data --train_config IN/small.yml --listen [::]:0", nil, exitUsage, "--listen … --insecure"},
	{"token file missing", "serve --data_prefix IN/data --train_config IN/small.yml --token_file IN/none", nil, exitUsage, "--token_file … IN/none"},
	{"token short", "serve --data_prefix IN/data --train_config IN/small.yml --token_file IN/small.yml", func(b *spoiler) { b.put("small.yml", "abc\n") }, exitInput, "IN/small.yml … 16 to 1024"},
	{"token of two lines", "serve --data_prefix IN/data --train_config rw.yml --token_file IN/small.yml", nil, exitInput, "IN/small.yml … printable"},
	{"certificate without key", "serve --data_prefix IN/data --train_config IN/small.yml --tls_cert IN/small.yml", nil, exitUsage, "--tls_cert and --tls_key"},
	{"no certificate", "serve --data_prefix IN/data --train_config IN/small.yml --tls_cert IN/small.yml --tls_key IN/small.yml", nil, exitInput, "IN/small.yml … certificate"},
	{"clients' authority without certificate", "serve --data_prefix IN/data --train_config IN/small.yml --tls_client_ca IN/small.yml", nil, exitUsage, "--tls_client_ca needs"},
	{"no streams", "serve --data_prefix IN/data --train_config IN/small.yml --max_streams 0", nil, exitUsage, "--max_streams is 0"},
	{"no memory", "serve --data_prefix IN/data --train_config IN/small.yml --max_memory 0", nil, exitUsage, "--max_memory is 0"},
	{"negative prefetch", "serve --data_prefix IN/data --train_config IN/small.yml --prefetch -1", nil, exitUsage, "--prefetch is -1"},
	{"metrics nowhere", "serve --data_prefix IN/data --train_config IN/small.yml --metrics_listen nowhere", nil, exitUsage, "--metrics_listen … nowhere"},
	{"metrics at no port", "serve --data_prefix IN/data --train_config IN/small.yml --metrics_listen 127.0.0.1:70000", nil, exitUsage, "--metrics_listen … 70000"},
	{"metrics at a foreign address", "serve --data_prefix IN/data --train_config IN/small.yml --metrics_listen 192.0.2.1:0", nil, exitFailure, "--metrics_listen … 192.0.2.1"},
	{"listen at a foreign address", "serve --data_prefix IN/data --train_config IN/small.yml --insecure --listen 192.0.2.1:0", nil, exitUsage, "--listen 192.0.2.1:0"},
	{"no drain time", "serve --data_prefix IN/data --train_config IN/small.yml --drain_timeout -1s", nil, exitUsage, "--drain_timeout"},
	{"no idle time", "serve --data_prefix IN/data --train_config IN/small.yml --idle_timeout 0s", nil, exitUsage, "--idle_timeout"},
	{"source of no scheme", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --source 127.0.0.1:1", nil, exitUsage, "--source … grpc://"},
	{"source without port", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --source grpc://here", nil, exitUsage, "--source … host:port"},
	{"source twice", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --source grpc://a:1,a:1", nil, exitUsage, "--source … twice"},
	{"source that is not there", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --source grpc://127.0.0.1:1", nil, exitFailure, "--source: sampling service 127.0.0.1:1"},
	{"credentials without source", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --source_token_file IN/small.yml", nil, exitUsage, "need --source"},
	{"authority without TLS", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --source grpc://a:1 --source_ca IN/small.yml", nil, exitUsage, "are for grpcs://"},
	{"no authority", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --source grpcs://a:1 --source_ca IN/small.yml", nil, exitInput, "IN/small.yml … certificate"},
	{"source token is missing", "train --data_prefix IN/data --train_config IN/small.yml --run_dir OUT/x --source grpc://a:1 --source_token_file IN/none", nil, exitUsage, "token_file … IN/none"},
}
