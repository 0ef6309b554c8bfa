#!/bin/sh
# Runs every fuzz target of the module in turn, each that long, and counts the finds, which it
# leaves in testdata/fuzz beside the target: sh tools/fuzz.sh 1m.
set -eu
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test -list '^Fuzz' ./... >"$log" || { cat "$log"; exit 1; }
# The names come before the line of their package.
targets=$(awk '/^Fuzz/ { names = names " " $1 } /^ok/ { n = split(names, t, " "); for (i = 1; i <= n; i++) print $2 ":" t[i]; names = "" }' "$log")
count=0 finds=
for x in $targets; do
	count=$((count + 1))
	echo "== $x"
	go test -run '^$' -fuzz "^${x##*:}\$" -fuzztime "${1:-1m}" -fuzzminimizetime 10x "${x%:*}" 2>&1 | tee "$log"
	# A deadline without a failing input is that of the whole run, which the engine met late.
	if ! grep -q '^ok' "$log" && { grep -q 'Failing input' "$log" || ! grep -q 'context deadline exceeded' "$log"; }; then
		finds="$finds $x"
	fi
done
set -- $finds
for x; do echo "found: $x"; done
echo "fuzz: $count targets, $# finds"
test $# -eq 0
