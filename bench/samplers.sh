#!/bin/sh
# Installs the sampler libraries that the peer benchmark compares with, each into an
# environment of its own below $1, as far as they install here; says why where they do not.
# The arguments for compare.py go to $1/peer/samplers.
set -u
tools=$1
packages=$(echo "$tools"/peer/lib/python3*/site-packages)
: > "$tools/peer/samplers.new"

# environment NAME IMPORT PACKAGES...: the packages beside those of the main environment.
environment() {
	name=$1 check=$2
	shift 2
	env=$tools/peer-$name
	if [ ! -e "$env/tried" ]; then
		python3 -m venv "$env" || return
		(cd "$packages" && pwd) > "$(echo "$env"/lib/python3*/site-packages)/peer.pth"
		echo "installing $*: minutes, once; see $env/log"
		# Their compiled parts have no wheels for every PyTorch and are then built here.
		"$env/bin/pip" install -q setuptools wheel "$@" --no-build-isolation > "$env/log" 2>&1
		touch "$env/tried"
	fi
	if why=$("$env/bin/python" -c "$check" 2>&1); then
		printf -- '--sampler_python %s=%s ' "$env/bin/python" "$name" >> "$tools/peer/samplers.new"
	else
		echo "$name is left out: $(echo "$why" | tail -n 1); see $env/log"
	fi
}

environment pyg 'import torch_geometric, torch_sparse' torch_geometric==2.8.1 torch_scatter==2.1.2 torch_sparse==0.6.18
# DGL 2 needs a module that torchdata no longer has; 1.1.3 is the last without that need.
environment dgl 'import dgl; from dgl.dataloading import SAINTSampler' dgl==1.1.3
mv "$tools/peer/samplers.new" "$tools/peer/samplers"
