package web

import "time"

// BadToken is what Tokens.Authenticate answers to a token it does not take.
var BadToken = errBadToken

// CacheFor sets how long t believes its cache.
func (t *Tokens) CacheFor(d time.Duration) { t.cache = newTokenCache(d, 100) }

// CacheLen says how many tokens t remembers.
func (t *Tokens) CacheLen() int { return len(t.cache.items) }
