"""An order and its coupon in one transaction, with SQLAlchemy: order.py USER CODE REQUEST"""
import os
import random
import sys
import time

from sqlalchemy import create_engine, exc, text

engine = create_engine(os.environ["DATABASE_URL"])


def place_order(user_id, code, request_id):
    with engine.begin() as connection:  # COMMIT at the end of the block, ROLLBACK at an error
        connection.execute(text("SET LOCAL lock_timeout = '1s'"))
        order_id = connection.scalar(
            text("INSERT INTO orders (user_id, request_id) VALUES (:user, :request)"
                 " ON CONFLICT (user_id, request_id) DO NOTHING RETURNING id"), {"user": user_id, "request": request_id})
        if order_id is None:  # an earlier attempt has been committed, redemption and all
            return connection.scalar(
                text("SELECT coupon_status FROM orders WHERE user_id = :user AND request_id = :request"),
                {"user": user_id, "request": request_id})

        answer = connection.execute(
            text("SELECT status, redemption_id, CAST(terms AS text) FROM promo.redeem_coupon(CAST(:user AS bigint), :code, :request)"),
            {"user": user_id, "code": code, "request": request_id}).one()
        redeemed = answer.status == "redeemed"  # a refusal is a value: the order goes on without the discount
        connection.execute(
            text("UPDATE orders SET coupon_status = :status, redemption_id = :redemption, discount = :discount WHERE id = :id"),
            {"status": answer.status, "redemption": answer.redemption_id if redeemed else None,
             "discount": answer.terms, "id": order_id})
        return answer.status


def checkout(user_id, code, request_id):
    for attempt in range(5):
        try:
            return place_order(user_id, code, request_id)
        except (exc.OperationalError, exc.InterfaceError) as error:
            if getattr(error.orig, "pgcode", None) == "55P03":
                return "busy"  # an earlier click of this user is still in progress; this one has done nothing
            # 40001, 40P01, or the connection is lost (the pool then opens another): the same request again.
            if attempt == 4:
                raise  # the outcome is unknown: whoever asks again does so with the same request id
            time.sleep(random.uniform(0, 0.1 * 2 ** attempt))


print(checkout(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
