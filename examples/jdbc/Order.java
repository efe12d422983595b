// An order and its coupon in one transaction, with JDBC: java Order USER CODE REQUEST
import java.sql.*;
import java.util.concurrent.ThreadLocalRandom;

public class Order {
    static String place(Connection db, long userId, String code, String requestId) throws SQLException {
        db.setAutoCommit(false);
        try (Statement setting = db.createStatement()) {
            setting.execute("SET LOCAL lock_timeout = '1s'");
        }
        String status;
        try (PreparedStatement insert = db.prepareStatement(
                "INSERT INTO orders (user_id, request_id) VALUES (?, ?)"
                + " ON CONFLICT (user_id, request_id) DO NOTHING RETURNING id")) {
            insert.setLong(1, userId);
            insert.setString(2, requestId);
            ResultSet order = insert.executeQuery();
            status = order.next()
                ? redeem(db, order.getLong("id"), userId, code, requestId)
                : earlierStatus(db, userId, requestId); // an earlier attempt has been committed, redemption and all
        }
        db.commit();
        return status;
    }

    static String redeem(Connection db, long orderId, long userId, String code, String requestId) throws SQLException {
        try (PreparedStatement call = db.prepareStatement(
                "SELECT status, redemption_id, terms FROM promo.redeem_coupon(CAST(? AS bigint), ?, ?)");
             PreparedStatement update = db.prepareStatement(
                "UPDATE orders SET coupon_status = ?, redemption_id = ?, discount = CAST(? AS jsonb) WHERE id = ?")) {
            call.setLong(1, userId);
            call.setString(2, code);
            call.setString(3, requestId);
            ResultSet answer = call.executeQuery();
            answer.next();
            String status = answer.getString("status");
            boolean redeemed = status.equals("redeemed"); // a refusal is a value: the order goes on without the discount
            update.setString(1, status);
            update.setObject(2, redeemed ? answer.getLong("redemption_id") : null, Types.BIGINT);
            update.setString(3, answer.getString("terms"));
            update.setLong(4, orderId);
            update.executeUpdate();
            return status;
        }
    }

    static String earlierStatus(Connection db, long userId, String requestId) throws SQLException {
        try (PreparedStatement look = db.prepareStatement(
                "SELECT coupon_status FROM orders WHERE user_id = ? AND request_id = ?")) {
            look.setLong(1, userId);
            look.setString(2, requestId);
            ResultSet order = look.executeQuery();
            order.next();
            return order.getString(1);
        }
    }

    static String checkout(long userId, String code, String requestId) throws Exception {
        for (int attempt = 0; ; attempt++) {
            try (Connection db = DriverManager.getConnection(System.getenv("JDBC_URL"))) {
                return place(db, userId, code, requestId);
            } catch (SQLException failure) {
                String state = failure.getSQLState() == null ? "" : failure.getSQLState();
                if (state.equals("55P03"))
                    return "busy"; // an earlier click of this user is still in progress; this one has done nothing
                // A conflict or a lost connection: the same request again. In the end, throw: the outcome is unknown.
                if (attempt == 4 || !state.matches("40001|40P01|57P0.|08..."))
                    throw failure;
            }
            Thread.sleep(ThreadLocalRandom.current().nextLong(100L << attempt));
        }
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println(checkout(Long.parseLong(arguments[0]), arguments[1], arguments[2]));
    }
}
