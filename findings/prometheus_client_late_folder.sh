#!/usr/bin/env bash
# prometheus-client: metrics are silently lost when PROMETHEUS_MULTIPROC_DIR is set after the import.
#
# Most would expect the variable to be read when a metric is created or collected, or an error.
# Seen: `import prometheus_client` decides, once per process, where values are kept. MultiProcessCollector reads the
# variable later and accepts the folder. So a program that imports the package first and then sets the variable has a
# valid, empty metrics page: no sample, no metric name, no warning.
# The documentation asks for the variable to be set outside Python and gives child processes as the reason. This
# program has one process and no children.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps prometheus-client==0.26.0

cat >"$folder/before.py" <<'PYTHON'
import os
import sys

os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]

import prometheus_client
PYTHON
cat >"$folder/after.py" <<'PYTHON'
import os
import sys

import prometheus_client

os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
PYTHON
cat >"$folder/rest.py" <<'PYTHON'
from prometheus_client.multiprocess import MultiProcessCollector

answers = prometheus_client.Counter("answers", "Answers that were given.")  # created after the variable was set
answers.inc(3)
registry = prometheus_client.CollectorRegistry()
MultiProcessCollector(registry)
page = prometheus_client.generate_latest(registry).decode()
print("answers_total 3.0" if "answers_total 3.0\n" in page else repr(page))
PYTHON

count() {
    mkdir "$folder/$1"
    cat "$folder/$1.py" "$folder/rest.py" >"$folder/program.py"
    env -u PROMETHEUS_MULTIPROC_DIR -u prometheus_multiproc_dir \
        "$folder/venv/bin/python" -W error::UserWarning -W error::RuntimeWarning "$folder/program.py" "$folder/$1"
}

before=$(count before)
after=$(count after)
version=$("$folder/venv/bin/python" -c 'from importlib.metadata import version; print(version("prometheus-client"))')
echo "prometheus-client $version"
echo "set before the import: $before"
echo "set after the import, expected: answers_total 3.0, or an error"
echo "set after the import, seen:     $after (an empty page, and no warning)"
test "$before" = "answers_total 3.0" && test "$after" = "''"
