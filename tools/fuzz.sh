#!/bin/sh
# Runs every fuzz target of the module in turn: sh tools/fuzz.sh 30s.
set -eu
cd "$(dirname "$0")/.."
for pkg in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
		echo "== $pkg $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "${1:-30s}" "$pkg"
	done
done
