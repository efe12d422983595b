// An order and its coupon in one transaction, with database/sql and lib/pq: order USER CODE REQUEST
package main

import (
	"database/sql"
	"errors"
	"fmt"
	"log"
	"math/rand"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/lib/pq"
)

func placeOrder(db *sql.DB, userID int64, code, requestID string) (status string, err error) {
	tx, err := db.Begin()
	if err != nil {
		return "", err
	}
	defer tx.Rollback() // does nothing once it is committed
	if _, err = tx.Exec("SET LOCAL lock_timeout = '1s'"); err != nil {
		return "", err
	}
	var orderID int64
	err = tx.QueryRow("INSERT INTO orders (user_id, request_id) VALUES ($1, $2)"+
		" ON CONFLICT (user_id, request_id) DO NOTHING RETURNING id", userID, requestID).Scan(&orderID)
	if err == sql.ErrNoRows { // an earlier attempt has been committed, redemption and all
		err = tx.QueryRow("SELECT coupon_status FROM orders WHERE user_id = $1 AND request_id = $2", userID, requestID).Scan(&status)
		return status, err
	}
	if err != nil {
		return "", err
	}

	var redemptionID sql.NullInt64
	var terms sql.NullString
	err = tx.QueryRow("SELECT status, redemption_id, terms FROM promo.redeem_coupon($1::bigint, $2, $3)",
		userID, code, requestID).Scan(&status, &redemptionID, &terms)
	if err != nil {
		return "", err
	}
	if status != "redeemed" { // a refusal is a value: the order goes on without the discount
		redemptionID.Valid = false
	}
	_, err = tx.Exec("UPDATE orders SET coupon_status = $1, redemption_id = $2, discount = $3 WHERE id = $4",
		status, redemptionID, terms, orderID)
	if err != nil {
		return "", err
	}
	return status, tx.Commit()
}

var tryAgain = regexp.MustCompile("^(40001|40P01|57P0.|08...)$")

func checkout(db *sql.DB, userID int64, code, requestID string) (string, error) {
	for attempt := 0; ; attempt++ {
		status, err := placeOrder(db, userID, code, requestID)
		if err == nil {
			return status, nil
		}
		var failure *pq.Error // anything else than one comes from the connection
		isFromServer := errors.As(err, &failure)
		if isFromServer && failure.Code == "55P03" {
			return "busy", nil // an earlier click of this user is still in progress; this one has done nothing
		}
		// A conflict or a lost connection: the same request again. In the end, the outcome is unknown.
		if attempt == 4 || isFromServer && !tryAgain.MatchString(string(failure.Code)) {
			return "", err
		}
		time.Sleep(time.Duration(rand.Int63n(int64(100*time.Millisecond) << attempt)))
	}
}

func main() {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	userID, err := strconv.ParseInt(os.Args[1], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	status, err := checkout(db, userID, os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(status)
}
