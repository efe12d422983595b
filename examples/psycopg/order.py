"""An order and its coupon in one transaction, with psycopg 3: order.py USER CODE REQUEST"""
import random
import sys
import time

import psycopg


def place_order(connection, user_id, code, request_id):
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '1s'")
        cursor.execute(
            "INSERT INTO orders (user_id, request_id) VALUES (%s, %s)"
            " ON CONFLICT (user_id, request_id) DO NOTHING RETURNING id", [user_id, request_id])
        order = cursor.fetchone()
        if order is None:  # an earlier attempt has been committed, redemption and all
            cursor.execute("SELECT coupon_status FROM orders WHERE user_id = %s AND request_id = %s", [user_id, request_id])
            return cursor.fetchone()[0]

        cursor.execute(
            "SELECT status, redemption_id, terms::text FROM promo.redeem_coupon(%s::bigint, %s, %s)",
            [user_id, code, request_id])
        status, redemption_id, terms = cursor.fetchone()
        redeemed = status == "redeemed"  # a refusal is a value: the order goes on without the discount
        cursor.execute("UPDATE orders SET coupon_status = %s, redemption_id = %s, discount = %s WHERE id = %s",
                       [status, redemption_id if redeemed else None, terms, order[0]])
        return status


def checkout(user_id, code, request_id):
    for attempt in range(5):
        try:
            with psycopg.connect() as connection:
                return place_order(connection, user_id, code, request_id)
        except psycopg.errors.LockNotAvailable:
            return "busy"  # an earlier click of this user is still in progress; this one has done nothing
        except psycopg.OperationalError:  # 40001, 40P01, or the connection is lost: the same request again
            if attempt == 4:
                raise  # the outcome is unknown: whoever asks again does so with the same request id
            time.sleep(random.uniform(0, 0.1 * 2 ** attempt))


print(checkout(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
