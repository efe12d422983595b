# An order and its coupon in one transaction, with the gem pg: order.rb USER CODE REQUEST
require "pg"

def place_order(db, user_id, code, request_id)
  db.transaction do
    db.exec("SET LOCAL lock_timeout = '1s'")
    order = db.exec_params(
      "INSERT INTO orders (user_id, request_id) VALUES ($1, $2) ON CONFLICT (user_id, request_id) DO NOTHING RETURNING id",
      [user_id, request_id]).first
    if order.nil? # an earlier attempt has been committed, redemption and all
      next db.exec_params(
        "SELECT coupon_status FROM orders WHERE user_id = $1 AND request_id = $2", [user_id, request_id]).getvalue(0, 0)
    end

    answer = db.exec_params(
      "SELECT status, redemption_id, terms FROM promo.redeem_coupon($1::bigint, $2, $3)", [user_id, code, request_id]).first
    redeemed = answer["status"] == "redeemed" # a refusal is a value: the order goes on without the discount
    db.exec_params(
      "UPDATE orders SET coupon_status = $1, redemption_id = $2, discount = $3 WHERE id = $4",
      [answer["status"], (answer["redemption_id"] if redeemed), answer["terms"], order["id"]])
    answer["status"]
  end
end

def checkout(*request)
  (0..4).each do |attempt|
    db = PG.connect
    return place_order(db, *request)
  rescue PG::LockNotAvailable
    return "busy" # an earlier click of this user is still in progress; this one has done nothing
  rescue PG::TransactionRollback, PG::ConnectionBad, PG::UnableToSend, PG::OperatorIntervention
    # 40001, 40P01, or the connection is lost: the same request again. In the end, raise: the outcome is unknown.
    raise if attempt == 4
    sleep(rand * 0.1 * 2**attempt)
  ensure
    db&.close
  end
end

puts checkout(Integer(ARGV[0]), ARGV[1], ARGV[2])
