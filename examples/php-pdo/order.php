<?php
// An order and its coupon in one transaction, with PDO: order.php USER CODE REQUEST

function query(PDO $db, string $sql, array $values = []): array|false
{
    $statement = $db->prepare($sql);
    $statement->execute($values);
    return $statement->columnCount() > 0 ? $statement->fetch(PDO::FETCH_ASSOC) : false;
}

function place_order(PDO $db, int $user_id, string $code, string $request_id): string
{
    $db->beginTransaction();
    $db->exec("SET LOCAL lock_timeout = '1s'");
    $order = query($db,
        'INSERT INTO orders (user_id, request_id) VALUES (?, ?) ON CONFLICT (user_id, request_id) DO NOTHING RETURNING id',
        [$user_id, $request_id]);
    if (!$order) { // an earlier attempt has been committed, redemption and all
        $answer = query($db,
            'SELECT coupon_status AS status FROM orders WHERE user_id = ? AND request_id = ?', [$user_id, $request_id]);
    } else {
        $answer = query($db,
            'SELECT status, redemption_id, terms FROM promo.redeem_coupon(CAST(? AS bigint), ?, ?)',
            [$user_id, $code, $request_id]);
        $redeemed = $answer['status'] === 'redeemed'; // a refusal is a value: the order goes on without the discount
        query($db, 'UPDATE orders SET coupon_status = ?, redemption_id = ?, discount = ? WHERE id = ?',
            [$answer['status'], $redeemed ? $answer['redemption_id'] : null, $answer['terms'], $order['id']]);
    }
    $db->commit();
    return $answer['status'];
}

function checkout(int $user_id, string $code, string $request_id): string
{
    for ($attempt = 0; ; $attempt++) {
        try {
            $db = new PDO('pgsql:');
            return place_order($db, $user_id, $code, $request_id);
        } catch (PDOException $failure) {
            $state = $failure->errorInfo[0] ?? $failure->getCode();
            if ($state === '55P03') {
                return 'busy'; // an earlier click of this user is still in progress; this one has done nothing
            }
            // A conflict or a lost connection: the same request again. In the end, throw: the outcome is unknown.
            if ($attempt === 4 || !preg_match('/^(40001|40P01|57P0.|08...|HY000)$/', $state)) {
                throw $failure;
            }
            usleep(random_int(0, 100000 * 2 ** $attempt));
        } finally {
            $db = null; // closes the connection, and rolls back what is open
        }
    }
}

echo checkout((int) $argv[1], $argv[2], $argv[3]), "\n";
