package web

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/events"
)

const tokenColumns = `id, role, subject, name, development, issued_by, created_at, expires_at, revoked_at, last_used_at`

func scanToken(row pgx.CollectableRow) (t Token, err error) {
	err = row.Scan(&t.ID, &t.Role, &t.Subject, &t.Name, &t.Development, &t.IssuedBy, &t.CreatedAt, &t.ExpiresAt, &t.RevokedAt, &t.LastUsedAt)
	return t, err
}

func insertToken(ctx context.Context, pool *pgxpool.Pool, hash [32]byte, t Token) error {
	_, err := pool.Exec(ctx, `
		INSERT INTO access.tokens (id, hash, role, subject, name, development, issued_by, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		t.ID, hash[:], t.Role, t.Subject, t.Name, t.Development, t.IssuedBy, t.CreatedAt, t.ExpiresAt)
	return err
}

func findToken(ctx context.Context, pool *pgxpool.Pool, hash [32]byte) (Token, error) {
	rows, err := pool.Query(ctx, `SELECT `+tokenColumns+` FROM access.tokens WHERE hash = $1`, hash[:])
	if err != nil {
		return Token{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanToken)
}

// revokeToken reports whether the token exists. The first revocation stays.
func revokeToken(ctx context.Context, pool *pgxpool.Pool, id events.TokenID, by string, at time.Time) (bool, error) {
	tag, err := pool.Exec(ctx, `
		UPDATE access.tokens
		SET revoked_at = coalesce(revoked_at, greatest($3, created_at)), revoked_by = coalesce(revoked_by, $2)
		WHERE id = $1`, id, by, at)
	return tag.RowsAffected() == 1, err
}

// listTokens orders by identifier, which is the order of issue.
func listTokens(ctx context.Context, pool *pgxpool.Pool, after events.TokenID, limit int) ([]Token, error) {
	rows, err := pool.Query(ctx, `
		SELECT `+tokenColumns+` FROM access.tokens
		WHERE $1::uuid IS NULL OR id < $1
		ORDER BY id DESC LIMIT $2`, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanToken)
}

func anyDevelopment(ctx context.Context, pool *pgxpool.Pool, now time.Time) (found bool, err error) {
	err = pool.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM access.tokens
			WHERE development AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1))`, now).Scan(&found)
	return found, err
}

func updateLastUsed(ctx context.Context, pool *pgxpool.Pool, ids []events.TokenID, at time.Time) error {
	_, err := pool.Exec(ctx, `
		UPDATE access.tokens SET last_used_at = greatest(last_used_at, $2) WHERE id = ANY ($1)`, ids, at)
	return err
}

func insertSecret(ctx context.Context, pool *pgxpool.Pool, name string, value [32]byte, at time.Time) error {
	_, err := pool.Exec(ctx, `
		INSERT INTO access.secrets (name, value, created_at) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO NOTHING`, name, value[:], at)
	return err
}

func findSecret(ctx context.Context, pool *pgxpool.Pool, name string) (key [32]byte, err error) {
	var value []byte
	err = pool.QueryRow(ctx, `SELECT value FROM access.secrets WHERE name = $1`, name).Scan(&value)
	copy(key[:], value)
	return key, err
}
