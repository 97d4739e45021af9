PY := .venv/bin/python
MEMBERS := libs/common libs/fleet services/identity services/registry services/billing services/reporting services/csms-gateway deploy/local
OURS := common fleet identity registry billing reporting csms-gateway local-stack
LOCK := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
PYTHON ?= python3.11
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help run lab demo charger token test fuzz lint format bench bench-alerts bench-audit bench-authorize bench-imports bench-lists bench-live bench-month bench-nearby bench-records bench-prices bench-stations load soak lock migration docs clean-data clean

help: ## print these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment is made anew when the lock or a package's declaration changes.
.venv/ready: requirements.lock $(addsuffix /pyproject.toml,$(MEMBERS))
	@echo "making the Python environment (.venv) …"
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check $$(grep -o '^uv==[^ ]*' requirements.lock)
	@.venv/bin/uv pip sync --quiet --compile-bytecode --python $(PY) --require-hashes requirements.lock
	@.venv/bin/uv pip install --quiet --python $(PY) --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $@

run: .venv/ready ## start everything on embedded PostgreSQL and NATS, with demo data
	@$(PY) -m local_stack.up

lab: .venv/ready ## the same, and any charger may connect: it becomes the demo operator's
	@CSMS_LAB=1 $(PY) -m local_stack.up

demo: .venv/ready ## simulated chargers drive sessions against the running stack
	@$(PY) -m local_stack.demo

charger: .venv/ready ## one simulated charger charges once: make charger TAG=04A2B3C4 OCPP=2.0.1
	@$(PY) -m local_stack.charger $(if $(TAG),--tag $(TAG)) $(if $(OCPP),--ocpp $(OCPP)) $(FAULTS)

test: .venv/ready ## run every test, WORKERS (2) at a time on servers of their own
	@$(PY) -m pytest -n $(WORKERS)

FUZZED := services/csms-gateway/tests/test_fuzz.py tests/test_openapi_fuzz.py services/billing/tests/test_ledger_state.py
fuzz: export FUZZ_EXAMPLES ?= 200
fuzz: .venv/ready ## chargers, requests and the ledger at length, then every property with new examples
	@$(PY) -m pytest $(FUZZED)
	@$(PY) -m pytest -n $(WORKERS) -m hypothesis $(addprefix --ignore=,$(FUZZED))

lint: .venv/ready ## ruff and mypy --strict
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

format: .venv/ready ## put the code into its layout
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

token: .venv/ready ## print an access token of the demo login
	@$(PY) -m local_stack.sign_in

bench: .venv/ready ## print what a message, a session and a socket cost, beside a bare ocpp-library server
	@PYTHONPATH=tests $(PY) -m bench

bench-imports: .venv/ready ## 50,000 people with 120,000 cards from one file, beside a bare COPY
	@PYTHONPATH=tests $(PY) -m bench.imports

bench-stations: .venv/ready ## 5,000 stations with 10,000 EVSEs from one file
	@PYTHONPATH=tests $(PY) -m bench.station_imports

bench-authorize: .venv/ready ## 500 decisions a second on 100,000 cards, beside a bare NATS echo
	@PYTHONPATH=tests $(PY) -m bench.authorize

bench-lists: .venv/ready ## a partner's list of 500,000 cards, beside a bare COPY
	@PYTHONPATH=tests $(PY) -m bench.lists

bench-nearby: .venv/ready ## apps ask among 150,000 stations, beside a bare route and a scan in SQL
	@PYTHONPATH=tests $(PY) -m bench.nearby

bench-live: .venv/ready ## from a charger's status to 50 followers, beside a bare NATS echo
	@PYTHONPATH=tests $(PY) -m bench.live

bench-audit: .venv/ready ## print what the audit log costs a change
	@PYTHONPATH=tests $(PY) -m bench.audit

bench-prices: .venv/ready ## what pricing a session costs, and 100,000 records anew
	@PYTHONPATH=tests $(PY) -m bench.prices

bench-month: .venv/ready ## a month of 10,000 sessions of every kind: is the ledger the records?
	@MONTH_SESSIONS=10000 $(PY) -m pytest -q -s services/billing/tests/test_month.py

bench-alerts: .venv/ready ## print what a look for alerts costs at 150,000 stations
	@PYTHONPATH=tests $(PY) -m bench.alerts

bench-records: .venv/ready ## a million business records as CSV and XLSX, beside a bare COPY
	@PYTHONPATH=tests $(PY) -m bench.records

load: .venv/ready ## 19,000 sockets, a reconnect storm of 10,000 stations, 2,000 messages a second; some minutes
	@PYTHONPATH=tests $(PY) -m bench.scale

soak: .venv/ready ## twenty minutes of chargers that come and go: is memory flat?
	@PYTHONPATH=tests $(PY) -m bench.soak

docs: .venv/ready ## write docs/{events,problems,settings}.md and docs/openapi/*.json from the code
	@$(PY) -m local_stack.docs

migration: .venv/ready ## write a service's next migration: make migration SERVICE=billing MESSAGE="what changed"
	@$(PY) -m local_stack.revision $(SERVICE) "$(MESSAGE)"

lock: ## resolve requirements.lock anew
	@.venv/bin/uv pip compile --quiet $(LOCK) $(addprefix --no-emit-package ,$(OURS)) --group dev $(addsuffix /pyproject.toml,$(MEMBERS)) -o requirements.lock

clean-data: ## drop the local stack's database and streams
	@$(PY) -m local_stack.up --drop

clean: ## remove the environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
