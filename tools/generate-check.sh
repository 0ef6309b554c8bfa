#!/bin/sh
# Fails if a generated file is not what its generator writes now. Works without git, and
# with uncommitted changes: it compares before with after. The generators need a module that
# the program itself does not; without a network and a cached copy the check is skipped.
set -eu
cd "$(dirname "$0")/.."
if ! (cd internal/kernels/_asm && go mod download) >/dev/null 2>&1; then
	echo "skipped: the modules of the generators cannot be downloaded"
	exit 0
fi
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
files=$(find . -path ./.tools -prune -o \( -name '*_amd64.s' -o -name 'stubs_*.go' \) -print)
for f in $files; do
	mkdir -p "$before/$(dirname "$f")"
	cp "$f" "$before/$f"
done
go generate ./...
stale=0
for f in $files; do
	if ! cmp -s "$f" "$before/$f"; then
		echo "$f was not what its generator writes; it is now"
		stale=1
	fi
done
exit $stale
