// The server's headers, and everything that differs between server versions.
//
// src/pg/ and src/ include this one; a header that a single file needs is included there.
// How to write C++ around code that longjmps: CONTRIBUTING.md.
#pragma once

extern "C" {
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_relation.h"
#include "port/pg_bitutils.h"
#include "rewrite/rewriteHandler.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"
#include "storage/proc.h"
#include "storage/sinval.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"
#include "utils/wait_event.h"
}

#include <type_traits>

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "coupon_guard is written for PostgreSQL 15 to 18"
#endif

namespace coupon_guard {

// The scan gained an argument for statistics (EXPLAIN) in 18.
inline IndexScanDesc begin_index_scan(Relation table, Relation index, Snapshot snapshot,
                                      int key_count) {
#if PG_VERSION_NUM >= 180000
    return index_beginscan(table, index, snapshot, nullptr, key_count, 0);
#else
    return index_beginscan(table, index, snapshot, key_count, 0);
#endif
}

// Indexes learnt in 16 to be told of updates that change only what they summarize (BRIN).
inline List *insert_index_entries(ResultRelInfo *target, TupleTableSlot *row, EState *estate,
                                  bool *conflict, List *arbiters) {
#if PG_VERSION_NUM >= 160000
    return ExecInsertIndexTuples(target, row, estate, false, true, conflict, arbiters, false);
#else
    return ExecInsertIndexTuples(target, row, estate, false, true, conflict, arbiters);
#endif
}

// Writes another version of the row whose version is at tid, waiting for whoever has it. An update
// that changes no indexed column needs no index entries. 16 tells those updates apart that only
// summarize (BRIN): a B-tree has an entry for the row already then, and a second one would be
// wrong.
inline TM_Result update_heap_row(Relation table, ItemPointer tid, HeapTuple row,
                                 bool &needs_index_entries) {
    TM_FailureData failure;
    LockTupleMode lock;
#if PG_VERSION_NUM >= 160000
    TU_UpdateIndexes updates;
    TM_Result result = heap_update(table, tid, row, GetCurrentCommandId(true), InvalidSnapshot,
                                   true, &failure, &lock, &updates);
    needs_index_entries = updates == TU_All;
#else
    TM_Result result = heap_update(table, tid, row, GetCurrentCommandId(true), InvalidSnapshot,
                                   true, &failure, &lock);
    needs_index_entries = !HeapTupleIsHeapOnly(row);
#endif
    return result;
}

// A small number that no other live backend has, from 0.
inline uint32 backend_number() {
#if PG_VERSION_NUM >= 170000
    return static_cast<uint32>(MyProcNumber);
#else
    return static_cast<uint32>(MyBackendId - 1);
#endif
}

// The number of a wait event of an extension. Such have names since 17. To be called in the
// postmaster, where too many of them (128) keep the server from starting and no call from ending.
inline uint32 wait_event_named([[maybe_unused]] const char *name) {
#if PG_VERSION_NUM >= 170000
    return WaitEventExtensionNew(name);
#else
    return PG_WAIT_EXTENSION;
#endif
}

// A tuple lock, if it can be had at once. 18 can log who has it.
inline bool lock_tuple_at_once(Relation table, ItemPointer tid) {
#if PG_VERSION_NUM >= 180000
    return ConditionalLockTuple(table, tid, ExclusiveLock, false);
#else
    return ConditionalLockTuple(table, tid, ExclusiveLock);
#endif
}

// Whether it is neither infinity, which intervals can be since 17.
inline bool is_finite(const Interval *duration) {
#if PG_VERSION_NUM >= 170000
    return !INTERVAL_NOT_FINITE(duration);
#else
    return true;
#endif
}

// What no other transaction of this backend has had, nor will have before long.
inline LocalTransactionId transaction_number() {
#if PG_VERSION_NUM >= 170000
    return MyProc->vxid.lxid;
#else
    return MyProc->lxid;
#endif
}

// A recheck is told since 16 which tables it is for; none here.
inline void init_recheck(EPQState *recheck, EState *estate) {
#if PG_VERSION_NUM >= 160000
    EvalPlanQualInit(recheck, estate, nullptr, NIL, -1, NIL);
#else
    EvalPlanQualInit(recheck, estate, nullptr, NIL, -1);
#endif
}

// Permissions moved out of the range table in 16, and 18 counts the relations that are not pruned.
inline void init_range_table(EState *estate, Relation table, Bitmapset *updated_columns) {
    RangeTblEntry *entry = makeNode(RangeTblEntry);
    entry->rtekind = RTE_RELATION;
    entry->relid = RelationGetRelid(table);
    entry->relkind = table->rd_rel->relkind;
    entry->rellockmode = RowExclusiveLock;
#if PG_VERSION_NUM >= 160000
    List *permissions = NIL;
    addRTEPermissionInfo(&permissions, entry)->updatedCols = updated_columns;
#if PG_VERSION_NUM >= 180000
    ExecInitRangeTable(estate, list_make1(entry), permissions, bms_make_singleton(1));
#else
    ExecInitRangeTable(estate, list_make1(entry), permissions);
#endif
#else
    entry->updatedCols = updated_columns;
    ExecInitRangeTable(estate, list_make1(entry));
#endif
}

// Whether no row of the table breaks the constraint. It need not be enforced since 18.
inline bool holds_for_all_rows(const ConstrCheck &constraint) {
#if PG_VERSION_NUM >= 180000
    return constraint.ccvalid && constraint.ccenforced;
#else
    return constraint.ccvalid;
#endif
}

// The owner of an identity sequence is found by relation since 17.
inline Oid identity_sequence_of(Relation table, AttrNumber column) {
#if PG_VERSION_NUM >= 170000
    return getIdentitySequence(table, column, true);
#else
    return getIdentitySequence(RelationGetRelid(table), column, true);
#endif
}

} // namespace coupon_guard
