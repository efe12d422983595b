<?php
// An order and its coupon in one transaction, with PHP's pgsql functions: order.php USER CODE REQUEST

class QueryFailed extends Exception
{
    public string $sqlstate = ''; // empty: the connection is lost
}

// pg_query_params() returns false for every error alike; the SQLSTATE is with the result that pg_get_result() gives.
function query(PgSql\Connection $db, string $sql, array $values = []): array|false
{
    $result = @pg_send_query_params($db, $sql, $values) ? pg_get_result($db) : false;
    if (!$result || pg_result_error($result) !== '') {
        $failure = new QueryFailed($result ? pg_result_error($result) : pg_last_error($db));
        $failure->sqlstate = $result ? (string) pg_result_error_field($result, PGSQL_DIAG_SQLSTATE) : '';
        throw $failure;
    }
    while (pg_get_result($db)) {
    } // until there is none, the next query cannot be sent
    return pg_fetch_assoc($result);
}

function place_order(PgSql\Connection $db, int $user_id, string $code, string $request_id): string
{
    query($db, 'BEGIN');
    query($db, "SET LOCAL lock_timeout = '1s'");
    $order = query($db,
        'INSERT INTO orders (user_id, request_id) VALUES ($1, $2) ON CONFLICT (user_id, request_id) DO NOTHING RETURNING id',
        [$user_id, $request_id]);
    if (!$order) { // an earlier attempt has been committed, redemption and all
        $answer = query($db,
            'SELECT coupon_status AS status FROM orders WHERE user_id = $1 AND request_id = $2', [$user_id, $request_id]);
    } else {
        $answer = query($db,
            'SELECT status, redemption_id, terms FROM promo.redeem_coupon($1::bigint, $2, $3)', [$user_id, $code, $request_id]);
        $redeemed = $answer['status'] === 'redeemed'; // a refusal is a value: the order goes on without the discount
        query($db, 'UPDATE orders SET coupon_status = $1, redemption_id = $2, discount = $3 WHERE id = $4',
            [$answer['status'], $redeemed ? $answer['redemption_id'] : null, $answer['terms'], $order['id']]);
    }
    query($db, 'COMMIT');
    return $answer['status'];
}

function checkout(int $user_id, string $code, string $request_id): string
{
    for ($attempt = 0; ; $attempt++) {
        $db = @pg_connect('', PGSQL_CONNECT_FORCE_NEW);
        try {
            if (!$db) {
                throw new QueryFailed('no connection');
            }
            return place_order($db, $user_id, $code, $request_id);
        } catch (QueryFailed $failure) {
            if ($failure->sqlstate === '55P03') {
                return 'busy'; // an earlier click of this user is still in progress; this one has done nothing
            }
            // A conflict or a lost connection: the same request again. In the end, throw: the outcome is unknown.
            if ($attempt === 4 || !preg_match('/^(|40001|40P01|57P0.|08...)$/', $failure->sqlstate)) {
                throw $failure;
            }
            usleep(random_int(0, 100000 * 2 ** $attempt));
        } finally {
            if ($db) {
                pg_close($db); // what is open is rolled back
            }
        }
    }
}

echo checkout((int) $argv[1], $argv[2], $argv[3]), "\n";
