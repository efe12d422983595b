# An order and its coupon in one transaction, with Sequel: order.rb USER CODE REQUEST
require "sequel"

DB = Sequel.connect(ENV.fetch("DATABASE_URL"))
DB.extension :pg_json

# 40001, 40P01, or the connection is lost: the same request again. In the end, raise: the outcome is unknown.
RETRY = { retry_on: [Sequel::SerializationFailure, Sequel::DatabaseDisconnectError],
          num_retries: 4, before_retry: ->(attempt, _error) { sleep(rand * 0.1 * 2**attempt) } }.freeze

def place_order(user_id, code, request_id)
  DB.transaction(**RETRY) do
    DB.run("SET LOCAL lock_timeout = '1s'")
    order_id = DB[:orders].insert_conflict(target: [:user_id, :request_id]).insert(user_id: user_id, request_id: request_id)
    if order_id.nil? # an earlier attempt has been committed, redemption and all
      next DB[:orders].where(user_id: user_id, request_id: request_id).get(:coupon_status)
    end

    answer = DB.fetch("SELECT status, redemption_id, terms FROM promo.redeem_coupon(CAST(? AS bigint), ?, ?)",
                      user_id, code, request_id).first
    redeemed = answer[:status] == "redeemed" # a refusal is a value: the order goes on without the discount
    DB[:orders].where(id: order_id).update(
      coupon_status: answer[:status], redemption_id: (answer[:redemption_id] if redeemed), discount: answer[:terms])
    answer[:status]
  end
rescue Sequel::DatabaseLockTimeout
  "busy" # an earlier click of this user is still in progress; this one has done nothing
end

puts place_order(Integer(ARGV[0]), ARGV[1], ARGV[2])
