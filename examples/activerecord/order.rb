# An order and its coupon in one transaction, with ActiveRecord: order.rb USER CODE REQUEST
require "active_record"

ActiveRecord::Base.establish_connection(ENV.fetch("DATABASE_URL"))

class Order < ActiveRecord::Base
  # Once, in one query that no query cache answers: exec_query, and not select_one.
  def self.redeem(user_id, code, request_id)
    connection.exec_query(sanitize_sql(
      ["SELECT status, redemption_id, terms FROM promo.redeem_coupon(CAST(? AS bigint), ?, ?)", user_id, code, request_id])).first
  end

  def self.place(user_id, code, request_id)
    transaction do
      connection.execute("SET LOCAL lock_timeout = '1s'")
      order = create_or_find_by!(user_id: user_id, request_id: request_id)
      # Else an earlier attempt has been committed, redemption and all.
      if order.previously_new_record?
        answer = redeem(user_id, code, request_id)
        order.coupon_status = answer["status"]
        if answer["status"] == "redeemed" # a refusal is a value: the order goes on without the discount
          order.redemption_id = answer["redemption_id"]
          order.discount = answer["terms"] && JSON.parse(answer["terms"])
        end
        order.save!
      end
      order.coupon_status
    end
  end
end

def checkout(*request)
  (0..4).each do |attempt|
    return Order.place(*request)
  rescue ActiveRecord::LockWaitTimeout
    return "busy" # an earlier click of this user is still in progress; this one has done nothing
  rescue ActiveRecord::StatementInvalid, ActiveRecord::ConnectionNotEstablished => error
    lost = !Order.connection.active?
    # A conflict (40001, 40P01) or a lost connection: the same request again. In the end, raise: the outcome is unknown.
    raise if attempt == 4 || !(lost || error.is_a?(ActiveRecord::TransactionRollbackError))
    Order.connection.reconnect! if lost
    sleep(rand * 0.1 * 2**attempt)
  end
end

puts checkout(Integer(ARGV[0]), ARGV[1], ARGV[2])
