#include "pg/earlier_commit.hpp"

extern "C" {
#include "access/xlog.h"
#include "access/xloginsert.h"
#include "catalog/pg_control.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
}

namespace coupon_guard {
namespace {

bool has_synchronous_standbys() {
    return SyncRepRequested() && SyncRepStandbyNames != nullptr && SyncRepStandbyNames[0] != '\0';
}

bool waits_anyway() {
    return TransactionIdIsValid(GetTopTransactionIdIfAny()) && XactLastRecEnd != InvalidXLogRecPtr;
}

} // namespace

// The server waits for a transaction that has an id and has written to the log: a record that says
// nothing will do. It has a byte, for the log takes no record without data.
void rest_on_earlier_commit() {
    if (!has_synchronous_standbys() || waits_anyway())
        return;
    GetTopTransactionId();
    char nothing = 0;
    XLogBeginInsert();
    XLogRegisterData(&nothing, sizeof nothing);
    XLogInsert(RM_XLOG_ID, XLOG_NOOP);
}

} // namespace coupon_guard
