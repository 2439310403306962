package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Migrations builds the schema access: tokens and server keys.
var Migrations = pg.Migrations{Schema: "access", Files: migrationFiles}

// ErrNoToken says that no token has the given identifier.
var ErrNoToken = fault.New(fault.NotFound, "no_such_token", "There is no token with this identifier.")

// errBadToken says no more than this on purpose: whether a token ever
// existed is nobody's business.
var errBadToken = fault.New(fault.Unauthorized, "bad_token", "The token is unknown, expired or revoked; get a new one.")

const (
	tokenPrefix  = "rsc_"
	tokenBytes   = 32 // 256 random bits
	tokenTextLen = 52 // in base32
)

var tokenText = base32.StdEncoding.WithPadding(base32.NoPadding)

// Token is what is kept and shown about a token: everything but itself.
type Token struct {
	ID          events.TokenID `json:"id"`
	Role        events.Role    `json:"role"`
	Subject     string         `json:"subject"`
	Name        string         `json:"name"`
	Development bool           `json:"development"`
	IssuedBy    string         `json:"issued_by"`
	CreatedAt   time.Time      `json:"created_at"`
	ExpiresAt   *time.Time     `json:"expires_at,omitempty"`
	RevokedAt   *time.Time     `json:"revoked_at,omitempty"`
	LastUsedAt  *time.Time     `json:"last_used_at,omitempty"`
}

// NewToken says what a token to be issued is for.
type NewToken struct {
	Role        events.Role
	Subject     string        // as events.Actor has it
	Name        string        // for people: whose device or which system holds it
	TTL         time.Duration // business time; 0 never expires
	Development bool          // made for a developer; production refuses to start with one
}

// Tokens issues and checks opaque tokens. A token is 256 random bits; only
// its SHA-256 is stored, so a copy of the database opens nothing, and the
// lookup by hash leaks nothing through its timing.
type Tokens struct {
	pool  *pgxpool.Pool
	now   func() time.Time
	cache *tokenCache
	used  usedTokens
}

// NewTokens keeps tokens in pool; now is the business clock.
func NewTokens(pool *pgxpool.Pool, now func() time.Time) *Tokens {
	return &Tokens{pool: pool, now: now, cache: newTokenCache(cacheFor, cacheSize)}
}

// Issue makes a token, rsc_<role>_<base32>, and shows it this once.
func (t *Tokens) Issue(ctx context.Context, by events.Actor, in NewToken) (token string, id events.TokenID, err error) {
	defer fault.Wrap(&err, "issue token %q", in.Name)
	if err := in.check(); err != nil {
		return "", events.TokenID{}, err
	}
	secret := make([]byte, tokenBytes)
	_, _ = rand.Read(secret) // never fails: it would end the program
	token = tokenPrefix + string(in.Role) + "_" + strings.ToLower(tokenText.EncodeToString(secret))
	row := Token{
		ID: events.NewID[events.TokenID](), Role: in.Role, Subject: in.Subject, Name: in.Name,
		Development: in.Development, IssuedBy: by.String(), CreatedAt: microseconds(t.now()),
	}
	if in.TTL > 0 {
		end := row.CreatedAt.Add(in.TTL).Truncate(time.Microsecond)
		row.ExpiresAt = &end
	}
	if err := insertToken(ctx, t.pool, hashOf(token), row); err != nil {
		return "", events.TokenID{}, err
	}
	return token, row.ID, nil
}

func (in NewToken) check() error {
	var wrong []fault.Field
	if !(events.Actor{Role: in.Role}).Is(events.Roles()...) {
		wrong = append(wrong, fault.Field{Field: "role", Code: "enum", Detail: "Give one of " + roleNames(events.Roles()) + "."})
	} else if err := checkSubject(in.Role, in.Subject); err != nil {
		wrong = append(wrong, fault.Field{Field: "subject", Code: "subject", Detail: detail("en", faultOf(err))})
	}
	if in.Name == "" || len(in.Name) > 200 || hasControl(in.Name) {
		wrong = append(wrong, fault.Field{Field: "name", Code: "length", Detail: "Give 1 to 200 bytes that say who holds the token, without control characters."})
	}
	if in.TTL < 0 || (in.TTL > 0 && in.TTL < time.Second) {
		wrong = append(wrong, fault.Field{Field: "ttl", Code: "range", Detail: "Give at least a second, or 0 for a token that does not expire."})
	}
	return fault.InvalidFields(wrong)
}

// checkSubject holds the subject to what events.Actor promises of it.
func checkSubject(role events.Role, subject string) error {
	var err error
	switch role {
	case events.RoleOwner:
		_, err = events.ParseID[events.OwnerID](subject)
	case events.RoleCrew:
		_, err = events.ParseID[events.CrewID](subject)
	case events.RoleProvider:
		_, err = events.ParseID[events.ProviderID](subject)
	case events.RolePartner:
		_, err = events.ParseID[events.PartnerID](subject)
	default:
		if subject == "" || len(subject) > 100 || hasControl(subject) {
			err = fault.New(fault.Invalid, "subject", "Give the user's name: 1 to 100 bytes, without control characters.")
		}
	}
	return err
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar })
}

// Revoke ends a token. This replica refuses it at once, the others within
// seconds, when their caches forget it. Revoking again changes nothing; an
// unknown identifier is ErrNoToken.
func (t *Tokens) Revoke(ctx context.Context, by events.Actor, id events.TokenID) (err error) {
	defer fault.Wrap(&err, "revoke %s", id)
	found, err := revokeToken(ctx, t.pool, id, by.String(), microseconds(t.now()))
	if err == nil && !found {
		return ErrNoToken
	}
	t.cache.forget(id)
	return err
}

// List shows every token ever issued, newest first, at most limit of them
// after the given identifier (zero: from the start).
func (t *Tokens) List(ctx context.Context, after events.TokenID, limit int) ([]Token, error) {
	return listTokens(ctx, t.pool, after, limit)
}

// AnyDevelopment reports whether a development token would be accepted.
// Production refuses to start then.
func (t *Tokens) AnyDevelopment(ctx context.Context) (bool, error) {
	return anyDevelopment(ctx, t.pool, t.now())
}

// Authenticate says as whom the bearer of a token acts, or is
// fault.Unauthorized. A database that is away is a transient error.
func (t *Tokens) Authenticate(ctx context.Context, token string) (events.Actor, error) {
	if !wellFormed(token) {
		return events.Actor{}, errBadToken
	}
	hash := hashOf(token)
	live, ok := t.cache.find(hash)
	if !ok {
		row, err := findToken(ctx, t.pool, hash)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return events.Actor{}, fmt.Errorf("authenticate: %w", err)
		}
		live = row // the zero row of an unknown token is remembered too
		t.cache.put(hash, live)
	}
	if live.ID.IsZero() || live.RevokedAt != nil || (live.ExpiresAt != nil && !t.now().Before(*live.ExpiresAt)) {
		return events.Actor{}, errBadToken
	}
	t.used.note(live.ID)
	return events.Actor{Role: live.Role, Subject: live.Subject}, nil
}

// wellFormed spares the database what cannot be a token.
func wellFormed(token string) bool {
	rest, ok := strings.CutPrefix(token, tokenPrefix)
	role, text, cut := strings.Cut(rest, "_")
	return ok && cut && len(text) == tokenTextLen && (events.Actor{Role: events.Role(role)}).Is(events.Roles()...)
}

func hashOf(token string) [32]byte { return sha256.Sum256([]byte(token)) }

func microseconds(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Secret is the server's key of the given name, 32 random bytes that every
// replica shares and that the first to ask has made.
func (t *Tokens) Secret(ctx context.Context, name string) (key [32]byte, err error) {
	defer fault.Wrap(&err, "secret %q", name)
	var fresh [32]byte
	_, _ = rand.Read(fresh[:]) // never fails: it would end the program
	if err := insertSecret(ctx, t.pool, name, fresh, microseconds(t.now())); err != nil {
		return key, err
	}
	return findSecret(ctx, t.pool, name)
}
