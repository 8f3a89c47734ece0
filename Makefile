# The two commands a newcomer needs are ./demo and ./test; the rest is for those who work on Whimbrel.
# Each process that is started would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

LOCK = uv export --quiet --format requirements-txt --no-emit-project --no-annotate --no-header

.PHONY: demo test lint lock schemas bench bench-dns bench-dns-changes bench-dns-evidence bench-dns-kernel bench-flood bench-link bench-rebuild latency soak soak-dns crash fuzz
demo:
	./demo
test:
	./test
lint:
	tools/lint
schemas:
	tools/schemas
lock:
	uv lock --quiet
	$(LOCK) --no-default-groups --group build > requirements.txt
	$(LOCK) --no-default-groups --group build --group test > requirements-test.txt
	$(LOCK) --no-default-groups --group build --group test --group lint > requirements-dev.txt
	$(LOCK) --only-group spark > requirements-spark.txt
	rm -f uv.lock
bench:
	tools/bench
bench-link:
	tools/setup test
	.venv/bin/python bench/link.py --minutes 145
crash:
	tools/setup test
	WHIMBREL_FAULTS=100 .venv/bin/python -m pytest -n 2 tests/faults tests/pipeline/test_ingest.py -k "killed or sync"
bench-rebuild:
	tools/setup test
	.venv/bin/python bench/rebuild.py
latency:
	tools/setup test
	PYTHONPATH=. .venv/bin/python bench/latency.py
soak:
	tools/setup test
	PYTHONPATH=. .venv/bin/python bench/soak.py --minutes $(or $(MINUTES),60) --rate $(or $(RATE),4)
soak-dns:
	tools/setup test
	PYTHONPATH=. .venv/bin/python -m bench.dns.soak --minutes $(or $(MINUTES),60) --entries $(or $(ENTRIES),1000000)
fuzz:
	tools/setup test
	WHIMBREL_FUZZ=1000000 .venv/bin/python -m pytest -n 2 tests/messages/test_fuzz.py tests/nameserver/test_fuzz.py \
		tests/nameserver/fast/test_answer.py tests/nameserver/fast/test_kernel.py
	WHIMBREL_FUZZ=5000000 .venv/bin/python -m pytest -n 2 tests/nameserver/fast/test_safety.py
	WHIMBREL_FUZZ=10000 .venv/bin/python -m pytest -n 2 tests/wire tests/messages tests/sensors tests/analysis tests/listings
bench-dns:
	tools/setup test
	tools/debian bind knot nsd rbldnsd
	PYTHONPATH=. .venv/bin/python -m bench.dns.bench
bench-dns-kernel:
	tools/setup test
	PYTHONPATH=. .venv/bin/python -m bench.dns.kernel
bench-dns-changes:
	tools/setup test
	PYTHONPATH=. .venv/bin/python -m bench.dns.changes
bench-dns-evidence:
	tools/setup test
	PYTHONPATH=. .venv/bin/python -m bench.dns.evidence
bench-flood:
	tools/setup test
	tools/debian knot rbldnsd
	PYTHONPATH=. .venv/bin/python -m bench.dns.flood
