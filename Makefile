# The extension, by PGXS: make && make install && make installcheck.
# The client has a CMakeLists.txt of its own.

EXTENSION = extension/coupon_guard router/coupon_guard_router
MODULE_big = coupon_guard
EXTVERSION := $(shell sed -n '1,/"version"/s/.*"version": *"\(.*\)".*/\1/p' META.json)
DATA_built = extension/coupon_guard--$(EXTVERSION).sql router/coupon_guard_router--$(EXTVERSION).sql
DATA = $(wildcard extension/update/coupon_guard--*--*.sql)
OBJS = $(patsubst %.cpp,%.o,$(wildcard extension/src/*/*.cpp))
SOURCE_HEADERS = $(wildcard extension/src/*/*.hpp)

# Registered tests; scripts/check-registered proves that none is forgotten.
REGRESS = install dump_marks statuses limits users strict bad_input code_keys keep_redeemed \
	visibility row_triggers shop_columns privileges schemas altered_tables
# Codes beyond ASCII are tested in UTF8 whatever the server's default; other encodings: t/
REGRESS_OPTS = --encoding=UTF8 --no-locale
REGRESS += privilege_matrix hostile_owner hostile_code caps units_ahead voids holds retries stacking looking usage_costs set_based ledger_by_hand quota_privileges change_triggers sold_out_memory
REGRESS += trigger_calls answer_types index_makes column_makes parents moves
REGRESS += for_each in_one_command quota_by_hand how_many_stripes requests user_ids keep_rows amounts holders stacking_amounts
REGRESS += generate check_characters claiming campaign_answers campaign_holds campaign_limits rights rights_by_hand move_user
ISOLATION = same-user isolation-levels limit-n insert-race plain-insert-race several-coupons coupon-changes \
	delete-coupon ledger-changes waiting-ends reindex
ISOLATION += last-unit stripes cap-changes quota-setup void-races expired-holds request-races stacks sold-out-memory
ISOLATION += altered-while-waiting read-after-waiting reindex-while-waiting reindex-quota expired-hold-rivals lock-order \
	triggers-off quota-ended stripes-grow waiting-list own-changes lapsed-holds keep-rows claims budgets campaigns stack-campaigns for-each stack-amounts
ISOLATION += generate-races claim-coupons transfers move-user
# Before any of them, for they print by it.
ifneq ($(strip $(ISOLATION)),)
override ISOLATION := print $(filter-out print,$(ISOLATION))
endif
# What these promise holds under every isolation level. expected/NAME.LEVEL.diff says what differs: where SERIALIZABLE answers with 40001.
ISOLATION_AT_EVERY_LEVEL = same-user isolation-levels limit-n insert-race plain-insert-race several-coupons ledger-changes waiting-ends \
	last-unit stripes cap-changes quota-setup void-races expired-holds request-races stacks sold-out-memory expired-hold-rivals \
	triggers-off own-changes lapsed-holds claims budgets campaigns stack-amounts generate-races claim-coupons transfers
TAP_TESTS = 1

PG_CONFIG ?= pg_config
# The server's headers are system headers: their warnings are not ours. PGXS keeps COPT (-Werror) from C++.
PG_CXXFLAGS = -std=c++17 -fno-exceptions -fno-rtti -fno-threadsafe-statics \
	-Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers \
	-Iextension/src -isystem $(shell $(PG_CONFIG) --includedir-server) \
	-DCOUPON_GUARD_VERSION='"$(EXTVERSION)"' $(COPT)
SHLIB_LINK = -lutf8proc
EXTRA_CLEAN = extension/coupon_guard.control router/coupon_guard_router.control

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

all: extension/coupon_guard.control router/coupon_guard_router.control

# PGXS compiles the LLVM bitcode of C++ without PG_CXXFLAGS.
COMPILE.cxx.bc += $(PG_CXXFLAGS)

$(OBJS) $(OBJS:.o=.bc): $(SOURCE_HEADERS) META.json

%.control: %.control.in META.json
	sed 's/@VERSION@/$(EXTVERSION)/' $< > $@

# The install script, in the order in which one part needs another.
SQL_PARTS = $(addprefix extension/sql/,start.sql keys.sql types.sql tables.sql triggers.sql functions.sql generate.sql views.sql rights.sql shards.sql move_user.sql verify.sql privileges.sql)
extension/coupon_guard--$(EXTVERSION).sql: $(SQL_PARTS) META.json
	awk 'FNR == 1 && NR > 1 { print "" } { print }' $(SQL_PARTS) > $@

# A router's answers are of the types that a shard's are.
ROUTER_PARTS = router/sql/start.sql extension/sql/types.sql \
	$(addprefix router/sql/,types.sql cluster.sql remote.sql gather.sql answers.sql routed.sql catalog.sql generate.sql rebalance.sql verify.sql privileges.sql)
router/coupon_guard_router--$(EXTVERSION).sql: $(ROUTER_PARTS) META.json
	awk 'FNR == 1 && NR > 1 { print "" } { print }' $(ROUTER_PARTS) > $@

# What PGXN takes (https://pgxn.org/spec/): HEAD, in a directory named for the distribution and its version.
.PHONY: dist
dist:
	mkdir -p build
	git archive --format=zip --prefix=coupon_guard-$(EXTVERSION)/ --output=build/coupon_guard-$(EXTVERSION).zip HEAD

# make installcheck runs them under READ COMMITTED; these two under the others.
LEVEL_DIFFS = cat $(wildcard expected/*.$*.diff) | patch --quiet --strip=0
.PHONY: installcheck-repeatable-read installcheck-serializable
installcheck-repeatable-read installcheck-serializable: installcheck-%:
	$(LEVEL_DIFFS)
	status=0; PGOPTIONS="-c default_transaction_isolation=$(subst -,\\ ,$*)" \
	$(MAKE) installcheck REGRESS= TAP_TESTS= ISOLATION="$(ISOLATION_AT_EVERY_LEVEL)" || status=$$?; \
	$(LEVEL_DIFFS) --reverse; exit $$status
