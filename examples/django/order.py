"""An order and its coupon in one transaction, with Django: order.py USER CODE REQUEST"""
import json
import os
import random
import sys
import time

import django
from django.db import InterfaceError, OperationalError, connection, transaction

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()
from models import Order  # noqa: E402  (only once Django is set up)


@transaction.atomic(durable=True)  # the outermost, or an error: what this block returns is committed
def place_order(user_id, code, request_id):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '1s'")
        order, is_new = Order.objects.get_or_create(user_id=user_id, request_id=request_id)
        if not is_new:  # an earlier attempt has been committed, redemption and all
            return order.coupon_status

        cursor.execute(
            "SELECT status, redemption_id, terms::text FROM promo.redeem_coupon(%s::bigint, %s, %s)",
            [user_id, code, request_id])
        order.coupon_status, redemption_id, terms = cursor.fetchone()
        if order.coupon_status == "redeemed":  # a refusal is a value: the order goes on without the discount
            order.redemption_id, order.discount = redemption_id, terms and json.loads(terms)
        order.save()
        return order.coupon_status


def sqlstate_of(error):  # psycopg 3 names it sqlstate, psycopg2 pgcode
    return getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)


def checkout(user_id, code, request_id):
    for attempt in range(5):
        try:
            return place_order(user_id, code, request_id)
        except (OperationalError, InterfaceError) as error:
            if sqlstate_of(error) == "55P03":
                return "busy"  # an earlier click of this user is still in progress; this one has done nothing
            # 40001, 40P01, or the connection is lost: the same request again.
            if attempt == 4:
                raise  # the outcome is unknown: whoever asks again does so with the same request id
            connection.close()  # Django opens another at the next query
            time.sleep(random.uniform(0, 0.1 * 2 ** attempt))


print(checkout(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
