// An order and its coupon in one transaction, with pgx: order USER CODE REQUEST
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

func placeOrder(ctx context.Context, tx pgx.Tx, userID int64, code, requestID string) (status string, err error) {
	if _, err = tx.Exec(ctx, "SET LOCAL lock_timeout = '1s'"); err != nil {
		return "", err
	}
	var orderID int64
	err = tx.QueryRow(ctx, "INSERT INTO orders (user_id, request_id) VALUES ($1, $2)"+
		" ON CONFLICT (user_id, request_id) DO NOTHING RETURNING id", userID, requestID).Scan(&orderID)
	if err == pgx.ErrNoRows { // an earlier attempt has been committed, redemption and all
		err = tx.QueryRow(ctx, "SELECT coupon_status FROM orders WHERE user_id = $1 AND request_id = $2",
			userID, requestID).Scan(&status)
		return status, err
	}
	if err != nil {
		return "", err
	}

	var redemptionID *int64
	var terms *string // not a map: pgx stores a nil map as the JSON null
	err = tx.QueryRow(ctx, "SELECT status, redemption_id, terms::text FROM promo.redeem_coupon($1::bigint, $2, $3)",
		userID, code, requestID).Scan(&status, &redemptionID, &terms)
	if err != nil {
		return "", err
	}
	if status != "redeemed" { // a refusal is a value: the order goes on without the discount
		redemptionID = nil
	}
	_, err = tx.Exec(ctx, "UPDATE orders SET coupon_status = $1, redemption_id = $2, discount = $3 WHERE id = $4",
		status, redemptionID, terms, orderID)
	return status, err
}

var tryAgain = regexp.MustCompile("^(40001|40P01|57P0.|08...)$")

func checkout(ctx context.Context, pool *pgxpool.Pool, userID int64, code, requestID string) (status string, err error) {
	for attempt := 0; ; attempt++ {
		err = pool.BeginFunc(ctx, func(tx pgx.Tx) (err error) { // COMMIT after it, ROLLBACK after an error
			status, err = placeOrder(ctx, tx, userID, code, requestID)
			return err
		})
		if err == nil {
			return status, nil
		}
		var failure *pgconn.PgError // anything else than one comes from the connection
		isFromServer := errors.As(err, &failure)
		if isFromServer && failure.Code == "55P03" {
			return "busy", nil // an earlier click of this user is still in progress; this one has done nothing
		}
		// A conflict or a lost connection: the same request again. In the end, the outcome is unknown.
		if attempt == 4 || isFromServer && !tryAgain.MatchString(failure.Code) {
			return "", err
		}
		time.Sleep(time.Duration(rand.Int63n(int64(100*time.Millisecond) << attempt)))
	}
}

func main() {
	ctx := context.Background()
	pool, err := pgxpool.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	userID, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	status, err := checkout(ctx, pool, userID, os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status)
}
