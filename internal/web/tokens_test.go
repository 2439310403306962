package web_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
	"rescued/internal/pgtest"
	"rescued/internal/web"
)

// clock is a business clock that only the test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func tokens(t *testing.T) (*web.Tokens, *pgxpool.Pool, *clock) {
	c := &clock{at: time.Date(2016, 2, 24, 8, 0, 0, 0, time.UTC)}
	pool := pgtest.New(t, web.Migrations)
	return web.NewTokens(pool, c.now), pool, c
}

var admin = events.Actor{Role: events.RoleAdmin, Subject: "root"}

func TestTokenLife(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	tok, pool, c := tokens(t)
	crew := events.NewID[events.CrewID]().String()
	text, id, err := tok.Issue(ctx, admin, web.NewToken{Role: events.RoleCrew, Subject: crew, Name: "tablet 7", TTL: time.Hour})
	require.NoError(t, err)
	require.Regexp(t, `^rsc_crew_[a-z2-7]{52}$`, text)

	who, err := tok.Authenticate(ctx, text)
	require.NoError(t, err)
	require.Equal(t, events.Actor{Role: events.RoleCrew, Subject: crew}, who)

	var stored string
	require.NoError(t, pool.QueryRow(ctx, `SELECT tokens::text FROM access.tokens`).Scan(&stored))
	require.NotContains(t, stored, strings.TrimPrefix(text, "rsc_crew_"), "only its hash is kept")

	c.pass(time.Hour - time.Microsecond)
	_, err = tok.Authenticate(ctx, text)
	require.NoError(t, err)
	c.pass(time.Microsecond)
	_, err = tok.Authenticate(ctx, text)
	require.Equal(t, fault.Unauthorized, fault.KindOf(err), "expired to the microsecond, in spite of the cache")

	text, id2, err := tok.Issue(ctx, admin, web.NewToken{Role: events.RoleAdmin, Subject: "li", Name: "laptop"})
	require.NoError(t, err)
	_, err = tok.Authenticate(ctx, text)
	require.NoError(t, err)
	other := web.NewTokens(pool, c.now) // another replica, which knows the token by now
	other.CacheFor(50 * time.Millisecond)
	_, err = other.Authenticate(ctx, text)
	require.NoError(t, err)
	require.NoError(t, tok.Revoke(ctx, admin, id2))
	_, err = tok.Authenticate(ctx, text)
	require.Equal(t, fault.Unauthorized, fault.KindOf(err), "at once where it was revoked")
	require.Eventually(t, func() bool { _, err := other.Authenticate(ctx, text); return err != nil }, time.Minute, 10*time.Millisecond)

	c.pass(time.Hour)
	require.NoError(t, tok.Revoke(ctx, admin, id2), "again changes nothing")
	require.ErrorIs(t, tok.Revoke(ctx, admin, events.NewID[events.TokenID]()), web.ErrNoToken)
	list, err := tok.List(ctx, events.TokenID{}, 10)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, id2, list[0].ID, "newest first")
	require.Equal(t, c.now().Add(-time.Hour), list[0].RevokedAt.UTC())
	list, err = tok.List(ctx, id2, 10)
	require.NoError(t, err)
	require.Equal(t, id, list[0].ID)
	require.Equal(t, "admin:root", list[0].IssuedBy)
}

func TestWrongTokens(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	tok, _, _ := tokens(t)
	text, _, err := tok.Issue(ctx, admin, web.NewToken{Role: events.RoleFinance, Subject: "wang", Name: "n"})
	require.NoError(t, err)
	for _, wrong := range []string{
		"", "x", text[:len(text)-1], text + "a", strings.ToUpper(text), strings.Replace(text, "finance", "admin", 1),
		strings.Replace(text, "finance", "system", 1), text[:20] + "\x00" + text[21:], "' OR 1=1",
	} {
		_, err := tok.Authenticate(ctx, wrong)
		require.Equal(t, fault.Unauthorized, fault.KindOf(err), "%q", wrong)
	}
	cut, cancel := context.WithCancel(ctx)
	cancel()
	_, err = tok.Authenticate(cut, text)
	require.True(t, pg.Transient(err), "a database that does not answer is no verdict on the token: %v", err)
}

func TestTokensThatCannotBe(t *testing.T) {
	t.Parallel()
	tok, _, _ := tokens(t)
	for name, tc := range map[string]struct {
		in     web.NewToken
		fields []string
	}{
		"system":         {web.NewToken{Role: events.RoleSystem, Subject: "sweep", Name: "n"}, []string{"role"}},
		"all at once":    {web.NewToken{Role: events.RoleOwner, Subject: "bob", TTL: -1}, []string{"subject", "name", "ttl"}},
		"other's id":     {web.NewToken{Role: events.RoleProvider, Subject: events.NewID[events.CrewID]().String(), Name: "n"}, []string{"subject"}},
		"other's id too": {web.NewToken{Role: events.RoleCrew, Subject: events.NewID[events.PartnerID]().String(), Name: "n"}, []string{"subject"}},
		"nobody":         {web.NewToken{Role: events.RoleOperator, Name: "n"}, []string{"subject"}},
		"control":        {web.NewToken{Role: events.RoleOperator, Subject: "a\nb", Name: "n\x00"}, []string{"subject", "name"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := tok.Issue(context.Background(), admin, tc.in)
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			var got []string
			for _, field := range f.Fields {
				got = append(got, field.Field)
				require.NotEmpty(t, field.Detail)
			}
			require.Equal(t, tc.fields, got)
		})
	}
}

func TestAnyDevelopmentSeesOnlyLiveTokens(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	tok, _, c := tokens(t)
	is := func(want bool) {
		t.Helper()
		got, err := tok.AnyDevelopment(ctx)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	issue := func(dev bool, ttl time.Duration) events.TokenID {
		_, id, err := tok.Issue(ctx, admin, web.NewToken{Role: events.RoleAdmin, Subject: "dev", Name: "n", Development: dev, TTL: ttl})
		require.NoError(t, err)
		return id
	}
	issue(false, 0)
	is(false)
	id := issue(true, 0)
	is(true)
	require.NoError(t, tok.Revoke(ctx, admin, id))
	is(false)
	issue(true, time.Minute)
	is(true)
	c.pass(time.Minute)
	is(false)
}

func TestLastUseIsWrittenBehind(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	tok, _, c := tokens(t)
	text, _, err := tok.Issue(ctx, admin, web.NewToken{Role: events.RoleAdmin, Subject: "li", Name: "n"})
	require.NoError(t, err)
	done := make(chan error)
	go func() { done <- tok.Run(ctx) }()
	_, err = tok.Authenticate(ctx, text)
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-done)
	list, err := tok.List(context.Background(), events.TokenID{}, 1)
	require.NoError(t, err)
	require.Equal(t, c.now(), list[0].LastUsedAt.UTC())
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	tok, _, _ := tokens(t)
	tok.CacheFor(time.Hour) // 100 tokens
	text, _, err := tok.Issue(context.Background(), admin, web.NewToken{Role: events.RoleAdmin, Subject: "li", Name: "n"})
	require.NoError(t, err)
	for i := range 250 {
		guess := text[:len(text)-3] + string([]byte{'a' + byte(i%26), 'a' + byte(i/26), 'a'})
		_, _ = tok.Authenticate(context.Background(), guess)
		require.LessOrEqual(t, tok.CacheLen(), 100)
	}
	_, err = tok.Authenticate(context.Background(), text)
	require.NoError(t, err)
}

func TestSecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	tok, pool, c := tokens(t)
	var keys [8][32]byte
	g, ctx := errgroup.WithContext(context.Background())
	for i := range keys {
		g.Go(func() (err error) {
			keys[i], err = web.NewTokens(pool, c.now).Secret(ctx, "tracking")
			return err
		})
	}
	require.NoError(t, g.Wait())
	for _, key := range keys {
		require.Equal(t, keys[0], key)
	}
	require.NotEqual(t, [32]byte{}, keys[0])
	other, err := tok.Secret(context.Background(), "other")
	require.NoError(t, err)
	require.NotEqual(t, keys[0], other)
}
