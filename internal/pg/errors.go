package pg

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATE codes this package decides by, from appendix A of the PostgreSQL
// manual.
const (
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
)

// Violated names the constraint err broke (unique, foreign key, check or
// exclusion), or is empty when err is something else.
func Violated(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && strings.HasPrefix(pgErr.Code, "23") {
		return pgErr.ConstraintName
	}
	return ""
}

// Violates reports whether err means that the named constraint or unique
// index was broken.
func Violates(err error, constraint string) bool {
	return constraint != "" && Violated(err) == constraint
}

// NotFound reports whether err means that a query expected a row and there
// was none.
func NotFound(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

// Transient reports whether the same work may succeed later without anyone
// changing it: the connection was lost or could not be made, the server is
// stopping, short of connections or disk, or the transaction lost a race or
// ran into a time limit. A consumer retries such a failure and holds its
// partition; any other failure is the event's own and goes to the dead
// letters. A cancelled context counts as transient, since nothing was
// decided about the work. A wrong password counts too: it is not the
// event's fault.
func Transient(err error) bool {
	if err == nil {
		return false
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return transientCode(pgErr.Code) || isConnectError(err)
	}
	var netErr net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, ErrLockLost),
		errors.As(err, &netErr), isConnectError(err), pgconn.SafeToRetry(err):
		return true
	}
	// pgx and its pool declare these two without an exported value.
	text := err.Error()
	return strings.HasSuffix(text, "conn closed") || strings.HasSuffix(text, "closed pool")
}

func isConnectError(err error) bool {
	var connect *pgconn.ConnectError
	return errors.As(err, &connect)
}

func transientCode(code string) bool {
	switch code {
	case "40002": // a constraint, in spite of its class
		return false
	case codeSerialization, codeDeadlock,
		"55P03",          // lock not available: lock_timeout
		"25006",          // read-only: we reached a standby during a failover
		"25P03", "25P04": // the transaction was idle or open too long
		return true
	}
	for _, class := range []string{
		"08", // connection
		"40", // transaction rollback
		"53", // out of connections, memory or disk
		"57", // cancelled, shutting down, starting up
		"58", // the server's own input or output
	} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}
