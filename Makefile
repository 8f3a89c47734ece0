# The two commands a newcomer needs are ./demo and ./test; the rest is for those who work on Whimbrel.
LOCK = uv export --quiet --format requirements-txt --no-emit-project --no-annotate --no-header

.PHONY: demo test lint lock schemas bench fuzz
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
	rm -f uv.lock
