package web

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"rescued/events"
)

// The cache trades seconds of a revoked token's life on other replicas for
// one database read per call. Wall time: it bounds staleness, not business.
const (
	cacheFor   = 3 * time.Second
	cacheSize  = 10_000
	flushEvery = time.Minute
)

type cachedToken struct {
	token Token
	until time.Time
}

// tokenCache remembers looked-up tokens, unknown ones too, so that a flood
// of calls with one wrong token costs one read in a while.
type tokenCache struct {
	keep  time.Duration
	size  int
	mu    sync.Mutex
	items map[[32]byte]cachedToken
}

func newTokenCache(keep time.Duration, size int) *tokenCache {
	return &tokenCache{keep: keep, size: size, items: map[[32]byte]cachedToken{}}
}

func (c *tokenCache) find(hash [32]byte) (Token, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	item, ok := c.items[hash]
	if !ok || time.Now().After(item.until) {
		return Token{}, false
	}
	return item.token, true
}

func (c *tokenCache) put(hash [32]byte, token Token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if len(c.items) >= c.size {
		maps.DeleteFunc(c.items, func(_ [32]byte, item cachedToken) bool { return now.After(item.until) })
	}
	if len(c.items) >= c.size { // all fresh: a flood; start over rather than grow
		clear(c.items)
	}
	c.items[hash] = cachedToken{token, now.Add(c.keep)}
}

func (c *tokenCache) forget(id events.TokenID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.items, func(_ [32]byte, item cachedToken) bool { return item.token.ID == id })
}

// usedTokens gathers which tokens have been used since the last write.
type usedTokens struct {
	mu  sync.Mutex
	ids map[events.TokenID]struct{}
}

func (u *usedTokens) note(id events.TokenID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids == nil {
		u.ids = map[events.TokenID]struct{}{}
	}
	u.ids[id] = struct{}{}
}

func (u *usedTokens) take() []events.TokenID {
	u.mu.Lock()
	defer u.mu.Unlock()
	ids := slices.Collect(maps.Keys(u.ids))
	u.ids = nil
	return ids
}

// Run writes down, about once a minute and once more at the end, which
// tokens have been used. It blocks until ctx ends. A failed write is logged
// and forgotten: the time of last use is a hint.
func (t *Tokens) Run(ctx context.Context) error {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			t.flush(last)
			return nil
		case <-ticker.C:
			t.flush(ctx)
		}
	}
}

func (t *Tokens) flush(ctx context.Context) {
	ids := t.used.take()
	if len(ids) == 0 {
		return
	}
	slices.SortFunc(ids, events.TokenID.Compare) // replicas lock rows in one order
	if err := updateLastUsed(ctx, t.pool, ids, microseconds(t.now())); err != nil {
		logger(ctx).WarnContext(ctx, "last use of tokens not written", "error", err, "tokens", len(ids))
	}
}
