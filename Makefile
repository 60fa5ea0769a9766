# stagefs. `make help` lists the targets.
BUILD ?= release
HTTP ?= 1
PREFIX ?= /usr/local
DESTDIR ?=

OUT := build/$(BUILD)$(if $(filter 0,$(HTTP)),-nohttp)
CXX ?= g++
PACKAGES := fuse3 sqlite3 libpq libcrypto libcurl pugixml zlib libzstd $(if $(filter 1,$(HTTP)),libmicrohttpd libjwt libarchive prometheus-cpp-core)

MODE_release := -O2 -DNDEBUG
MODE_debug := -O0 -g
MODE_asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer \
  -Wno-maybe-uninitialized
MODE_tsan := -O1 -g -fsanitize=thread -Wno-tsan
MODE_coverage := -O0 -g --coverage -fprofile-update=atomic  # By `make coverage`.
MODE_fuzz := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined  # By `make fuzz`, with clang.
ifeq ($(MODE_$(BUILD)),)
$(error unknown BUILD=$(BUILD): use release, debug, asan or tsan (others: make fuzz, make coverage))
endif
ifeq ($(filter $(HTTP),0 1),)
$(error unknown HTTP=$(HTTP): use 0 or 1)
endif

VERSION := 0.1.0
CPPFLAGS := -Icore/include -I$(OUT)/gen -D_FILE_OFFSET_BITS=64 -DSTAGEFS_VERSION='"$(VERSION)"' \
  -DSTAGEFS_HTTP=$(HTTP)
CXXFLAGS := -std=c++20 $(MODE_$(BUILD)) -Wall -Wextra -Werror -pthread
LDFLAGS := $(MODE_$(BUILD)) -pthread
# Asked for when first used: `make deps` must run where pkg-config is not installed yet.
PKG_CFLAGS = $(eval PKG_CFLAGS := $$(shell pkg-config --cflags $(PACKAGES)))$(PKG_CFLAGS)
CATCH_LIBS = $(shell pkg-config --silence-errors --libs catch2)  # Version 3 has a library, 2 is headers.
PKG_LIBS = $(eval PKG_LIBS := $$(shell pkg-config --libs $(PACKAGES) spdlog))$(PKG_LIBS)

CORE := $(wildcard core/*/*.cc core/*/*/*.cc)
FS := $(wildcard fs/*/*.cc fs/*/*/*.cc)
API := $(if $(filter 1,$(HTTP)),$(wildcard api/*/*.cc))
TESTS := $(wildcard tests/*.cc tests/core/*.cc tests/fs/*.cc tests/mount/*.cc) $(if $(filter 1,$(HTTP)),$(wildcard tests/api/*.cc))
TSAN := $(if $(filter tsan,$(BUILD)),tests/tools/tsan_locks.cc)
BENCHES := $(addprefix $(OUT)/,stage_bench fs_bench null_link)
objects = $(patsubst %.cc,$(OUT)/%.o,$(1))

.PHONY: all deps test test-tools test-cluster demo fuzz coverage bench bench-compare install uninstall install-desktop uninstall-desktop clean help check-asan-works
.DELETE_ON_ERROR:

all: $(OUT)/stagefs  ## Build the stagefs binary.

$(OUT)/stagefs: $(call objects,$(CORE) $(FS) $(API) $(TSAN) fs/main.cc)
	@echo "  LD  $@"
	@$(CXX) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(OUT)/unit_tests: $(call objects,$(CORE) $(FS) $(API) $(TSAN) $(TESTS))
	@echo "  LD  $@"
	@$(CXX) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(CATCH_LIBS)

# libFuzzer brings the main function, and looks into everything but its own.
ifeq ($(BUILD),fuzz)
CXX := clang++
CXXFLAGS += -fsanitize=fuzzer-no-link -DSTAGEFS_LIBFUZZER -Wno-unknown-warning-option
$(OUT)/fuzz: LDFLAGS += -fsanitize=fuzzer
endif
$(OUT)/fuzz: $(call objects,$(CORE) $(API) $(TSAN) tests/fuzz/targets.cc)
	@echo "  LD  $@"
	@$(CXX) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

$(OUT)/stage_bench: $(call objects,$(CORE) tests/bench/stage_bench.cc)
$(OUT)/fs_bench: $(call objects,tests/bench/fs_bench.cc)
$(OUT)/null_link: $(call objects,tests/bench/null_link.cc)
$(BENCHES):
	@echo "  LD  $@"
	@$(CXX) $(LDFLAGS) -o $@ $^ $(PKG_LIBS)

# Nothing in core throws: without exceptions the compiler makes no branches for them that would count as not reached.
build/coverage/core/%.o: CXXFLAGS += -fno-exceptions
build/coverage/core/system/daemon_log.o: CXXFLAGS += -fexceptions  # It uses a library that throws.

# A folder's files see the public headers of core and their own folder's: a wrong dependency does not compile.
$(OUT)/core/%.o: CPPFLAGS += -Icore
$(OUT)/fs/%.o: CPPFLAGS += -Ifs
$(OUT)/api/%.o: CPPFLAGS += -Iapi
$(OUT)/fs/main.o: CPPFLAGS += -I.
$(OUT)/core/system/daemon_log.o: CPPFLAGS += $(shell pkg-config --silence-errors --cflags spdlog)
$(OUT)/tests/%.o: CPPFLAGS += -I. -Icore -Ifs -Iapi

$(OUT)/%.o: %.cc
	@mkdir -p $(@D)
	@echo "  CXX $<"
	@$(CXX) $(CPPFLAGS) $(CXXFLAGS) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

# Text that is part of the program, as a string literal.
define embed
@mkdir -p $(@D)
@{ printf 'R"text('; cat $<; printf ')text"\n'; } > $@
endef
$(OUT)/gen/openapi_json.inc: api/server/openapi.json
	$(embed)
$(OUT)/gen/man_page_roff.inc: fs/commands/man_page.roff
	$(embed)
$(OUT)/gen/completion_%.inc: fs/commands/completion.%
	$(embed)
$(OUT)/api/handlers/server_handlers.o: $(OUT)/gen/openapi_json.inc
$(OUT)/fs/commands/man_page.o: $(OUT)/gen/man_page_roff.inc
$(OUT)/fs/commands/completions.o: $(OUT)/gen/completion_bash.inc $(OUT)/gen/completion_fish.inc $(OUT)/gen/completion_zsh.inc

deps:  ## Install what building and testing needs (Debian and Ubuntu), or say what it is.
	@HTTP=$(HTTP) tests/tools/deps.sh

test:  ## Build and run every test, or those named like PATTERN= (tests/README.md).
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$$(nproc) $(OUT)/stagefs $(OUT)/unit_tests $(if $(filter 1,$(HTTP)),$(OUT)/fuzz)
	@HTTP=$(HTTP) BUILD=$(BUILD) tests/run.sh $(OUT) "$(PATTERN)"

test-tools:  ## Run programs, file managers in real windows and POSIX suites on mounts (minutes; PATTERN=).
	@TOOLS=1 $(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$$(nproc) $(OUT)/stagefs
	@TOOLS=1 BUILD=$(BUILD) tests/run.sh $(OUT) "$(PATTERN)"

test-cluster:  ## Run the tests with the index on PostgreSQL, the versions on S3, and both (an hour; PATTERN=, COMBINATION=).
	@CLUSTER=1 $(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$$(nproc) $(OUT)/stagefs $(OUT)/unit_tests $(if $(filter 1,$(HTTP)),$(OUT)/fuzz)
	@HTTP=$(HTTP) BUILD=$(BUILD) tests/cluster/cluster.sh $(OUT) "$(PATTERN)" $(COMBINATION)

demo:  ## Show what stagefs does on real files (DATA=FOLDER, KEEP=1).
	@$(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@KEEP="$(KEEP)" HTTP=$(HTTP) tests/demo.sh $(OUT)/stagefs $(DATA)

fuzz:  ## Fuzz what reads strangers' bytes (TARGETS=…, SECONDS_EACH=600).
	@FUZZ=1 $(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=fuzz build/fuzz/fuzz
	@SECONDS_EACH=$(SECONDS_EACH) tests/fuzz/fuzz.sh build/fuzz $(TARGETS)

coverage:  ## Run the tests and show what of core they reached (PATTERN=unit: some tests).
	@COVERAGE=1 $(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$$(nproc) BUILD=coverage build/coverage/stagefs build/coverage/unit_tests build/coverage/fuzz
	@BUILD=coverage tests/tools/coverage.sh build/coverage $(PATTERN)

bench:  ## Measure beside git, SQLite, bindfs, mergerfs and passthrough_hp (SECTIONS=…); see tests/bench/README.md.
	@BENCH=1 $(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory -j$$(nproc) $(OUT)/stagefs $(BENCHES)
	@tests/bench/bench.py $(OUT) $(SECTIONS)

bench-compare:  ## Measure beside another binary, row by row (OLD=BINARY, ROUNDS=20, ROWS=…); fails where this one is slower.
	@$(MAKE) --no-print-directory -j$$(nproc) $(OUT)/stagefs $(OUT)/fs_bench
	@test -x "$(OLD)" || { echo "OLD=BINARY is missing: a stagefs to compare with"; exit 2; }
	@ROUNDS="$(ROUNDS)" ROWS="$(ROWS)" tests/bench/compare.py $(OUT)/fs_bench "$(OLD)" "$(or $(NEW),$(OUT)/stagefs)"

check-asan-works:  ## Plant a fault and expect AddressSanitizer to tell.
	@tests/checks/asan_works.sh

install: all  ## Install below $(DESTDIR)$(PREFIX).
	@tests/tools/install.sh $(OUT)/stagefs "$(DESTDIR)" "$(PREFIX)"

uninstall:  ## Remove what install put there.
	@tests/tools/install.sh --uninstall "$(DESTDIR)" "$(PREFIX)"

install-desktop:  ## Add actions and an entry to this user's desktop (Thunar, Nautilus, Nemo, Dolphin).
	@mount_scripts/desktop/install.sh

uninstall-desktop:  ## Remove them again.
	@mount_scripts/desktop/install.sh --uninstall

clean:  ## Remove everything built.
	rm -rf build

help:  ## List the targets.
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  BUILD=release|debug|asan|tsan   HTTP=1|0   PREFIX=$(PREFIX)   DESTDIR='

-include $(patsubst %.o,%.d,$(call objects,$(CORE) $(FS) $(API) $(TESTS) fs/main.cc tests/bench/stage_bench.cc tests/bench/fs_bench.cc tests/bench/null_link.cc tests/fuzz/targets.cc))
