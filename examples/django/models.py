"""The shop's table, and the extension's, which Django shall neither make nor change (managed = False)."""
from django.db import models


class Order(models.Model):
    user_id = models.BigIntegerField()
    request_id = models.TextField()
    coupon_status = models.TextField(null=True)
    redemption_id = models.BigIntegerField(null=True)
    discount = models.JSONField(null=True)

    class Meta:
        app_label = "shop"
        db_table = "orders"
        unique_together = [["user_id", "request_id"]]


class Coupon(models.Model):
    """Without code_key: that column is generated, and save() writes every column that the model has."""
    code = models.TextField()
    active = models.BooleanField(default=True)
    starts_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    max_redemptions = models.IntegerField(null=True)
    max_per_user = models.IntegerField(null=True, default=1)
    terms = models.JSONField(null=True)

    class Meta:
        app_label = "shop"
        db_table = 'promo"."coupon'  # Django puts quotes around it: "promo"."coupon"
        managed = False
