# Every target of the project. `make` alone lists them.

ENGINE := .engine/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so
GO     := CGO_ENABLED=0 go

# The race detector needs a C compiler; without one the tests run without it.
RACE   := $(shell command -v gcc >/dev/null && echo 'CGO_ENABLED=1 GORACE=atexit_sleep_ms=10 go test -race' || echo 'CGO_ENABLED=0 go test')

.DEFAULT_GOAL := help
.PHONY: help demo test test-zones lint engine build stories bench-ingest bench-night bench-panels bench-cluster fuzz test-cluster torture torture-services snippet docs clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: engine build ## Show the whole of it: service, events, nightly run, results
	@bin/tieback demo

# Days are UTC days wherever the machine stands, so the tests run far east of Greenwich.
ZONE   ?= Pacific/Kiritimati

# Most tests wait for an engine, so two processors take three packages. The whole program is started hundreds of times, for which the
# race detector takes too long: its packages are tested with it, beside.
test: engine build lint ## Run every test, about 10 minutes
	@TZ=$(ZONE) $(GO) test -timeout 14m ./cmd/tieback & program=$$!; \
	TZ=$(ZONE) $(RACE) -p 2 -timeout 14m $$(go list ./... | grep -v '/cmd/tieback$$'); others=$$?; \
	wait $$program && exit $$others

test-zones: engine build ## Run every test in three time zones, about 15 minutes
	@for zone in Europe/Berlin America/New_York Pacific/Kiritimati; do echo "$$zone"; TZ=$$zone $(GO) test -count 1 -timeout 20m ./... || exit 1; done

# The tests of one server with all their databases on three nodes, and those of clusters that take minutes.
test-cluster: engine ## Run the tests of the night and of readers on a cluster of three nodes, about 15 minutes
	TEST_CLUSTER=3 $(GO) test -p 1 -timeout 40m ./jobs ./reports/... ./admin ./dashboards
	TEST_CLUSTER=3 $(GO) test ./cmd/tieback -run OnACluster -kills 40 -v -timeout 20m

lint: ## Check format and vet, with staticcheck
	@test -z "$$(gofmt -l .)" || { echo "gofmt would change:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

engine: $(ENGINE) ## Fetch the pinned ClickHouse engine into .engine/, once

# npm checks the integrity hash in the lock file.
$(ENGINE): package.json package-lock.json
	@command -v npm >/dev/null || { echo "npm is needed to fetch the engine: install Node.js (apt-get install npm), or use a ClickHouse server with --clickhouse URL"; exit 1; }
	@mkdir -p .engine
	@cp package.json package-lock.json .engine/
	@echo "fetching the ClickHouse engine, 178 MB, once"
	@npm ci --prefix .engine --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

build: ## Build bin/tieback
	$(GO) build -trimpath -o bin/tieback ./cmd/tieback

torture: engine ## Kill service and engine 200 times under load, about 2 minutes
	$(GO) test ./cmd/tieback -run 'TestTorture|TestSQLPortUnderAttack' -kills 200 -v -timeout 20m

torture-services: engine ## Have two services on one ClickHouse go through 200 midnights and 200 kills, an hour or more
	$(GO) test ./jobs -run TestServicesTakeTurns -midnights 200 -v -timeout 180m
	$(GO) test ./cmd/tieback -run TestTwoServicesUnderTorture -kills 200 -v -timeout 30m

bench-ingest: engine build ## Measure the HTTP edge beside its baselines, about 4 minutes
	$(GO) build -o bin/bench-ingest ./bench/ingest
	bin/bench-ingest bin/tieback

bench-night: engine ## Measure the night beside a scan of the same rows, about 16 minutes
	$(GO) build -o bin/bench-night ./bench/night
	bin/bench-night

bench-panels: engine ## Time every dashboard panel over 400 days of a busy site, about 10 minutes
	$(GO) test ./dashboards -run TestPanelsOfABusySite -count 1 -v -timeout 30m -days 400

bench-cluster: engine ## Compare the night on three nodes with one server's, about 2 minutes
	$(GO) test ./bench/cluster -count 1 -v -timeout 30m -events 4000000

fuzz: ## Fuzz the decoders of bodies, import lines and the spool, a minute each
	$(GO) test ./ingest -run xxx -fuzz 'FuzzJSON$$' -fuzztime 60s -fuzzminimizetime 100x
	$(GO) test ./ingest/history -run xxx -fuzz FuzzLine -fuzztime 60s -fuzzminimizetime 100x
	$(GO) test ./ingest/spool -run xxx -fuzz FuzzReader -fuzztime 60s -fuzzminimizetime 100x

stories: engine ## Write what the stories of sql/testdata give into their files
	$(GO) test ./jobs -run TestStories -update

snippet: ## Build the browser script, ingest/snippet/snippet.js
	$(GO) test ./ingest/snippet -run TestBuilt -update

docs: engine ## Write docs/settings.md and docs/tables.md from the code
	$(GO) test ./cmd/tieback -run 'TestSettingsPage|TestTablesPage' -update

clean: ## Remove what was built; the engine stays
	rm -rf bin
