#!/bin/sh
# Checks our files and scores against those of NumPy, SciPy, scikit-learn, safetensors, Arrow,
# Polars and NetworkX: sh tools/interop/run.sh [SECTION ...]. The packages are installed once into
# .tools/venv-interop; INTEROP_PYTHON names a Python that has them already.
set -eu
cd "$(dirname "$0")/../.."
venv=.tools/venv-interop
packages=.tools/packages-interop # where there is pip, but no venv
wanted=tools/interop/requirements.txt

fail() {
	echo "interop: $1" >&2
	echo "interop: without a network, on a machine that has one: python3 -m pip download --no-deps -d DIR -r $wanted" >&2
	echo "interop: then here: PIP_NO_INDEX=1 PIP_FIND_LINKS=DIR make interop" >&2
	echo "interop: or name a Python that has the packages: INTEROP_PYTHON=/path/to/python make interop" >&2
	exit 1
}

# install PYTHON [PIP'S OPTIONS]
install() {
	python=$1
	shift
	"$python" -m pip --disable-pip-version-check install --quiet --no-deps --only-binary :all: "$@" -r "$wanted" ||
		fail "the packages in $wanted could not be installed (is the package index reachable? Python 3.10 to 3.13 have them all)"
}

if [ -n "${INTEROP_PYTHON:-}" ]; then
	python=$INTEROP_PYTHON
else
	command -v python3 >/dev/null || fail "there is no python3; install Python 3.10 to 3.13"
	# What is installed belongs to one list, one Python and one place.
	state="$(python3 -c 'import sys; print(sys.version, sys.executable)') $PWD $(cksum <"$wanted")"
	stamp=.tools/venv-interop.stamp
	if [ ! -e "$stamp" ] || [ "$(cat "$stamp")" != "$state" ]; then
		echo "interop: installing $wanted into .tools, once"
		rm -rf "$venv" "$packages" "$stamp"
		mkdir -p .tools
		if python3 -m venv "$venv" >/dev/null 2>&1; then
			install "$venv/bin/python"
		elif rm -rf "$venv" && python3 -m pip --version >/dev/null 2>&1; then
			install python3 --target "$packages"
		else
			fail "python3 has neither venv nor pip; install one, such as with: apt-get install python3-venv"
		fi
		echo "$state" >"$stamp"
	fi
	python=python3
	if [ -d "$venv" ]; then
		python=$venv/bin/python
	else
		PYTHONPATH=$PWD/$packages
		export PYTHONPATH
	fi
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
${GO:-go} build -o "$work/saint" ./cmd/saint
${GO:-go} build -o "$work/interop" ./tools/interop
PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 "$python" tools/interop/check.py "$work" "$@"
