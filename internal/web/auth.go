package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-chi/chi/v5"

	"rescued/events"
	"rescued/internal/fault"
)

// SessionCookie carries the token of a signed-in browser.
const SessionCookie = "rescued_session"

const sessionSeconds = 30 * 24 * 3600

// ErrCrossOrigin says that another site tried to act through a signed-in
// browser.
var ErrCrossOrigin = fault.New(fault.Forbidden, "cross_origin",
	"The call came from another site; open the page here, or send the token as Authorization: Bearer.")

// Authenticator says as whom the bearer of a token acts. *Tokens is one.
type Authenticator interface {
	Authenticate(ctx context.Context, token string) (events.Actor, error)
}

// Authenticate finds out who is asking, from Authorization: Bearer or the
// session cookie, and puts the actor into the context. Without either the
// caller stays anonymous, and operations decide with Require. A bad bearer
// token is 401. A bad cookie is dropped instead, so that an expired session
// never shuts a browser out of the public pages. Unsafe methods by cookie
// must come from our own pages (Sec-Fetch-Site, else Origin): CSRF.
func Authenticate(tokens Authenticator) func(http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, byCookie, err := tokenOf(r)
			if err != nil {
				Problem(w, r, err)
				return
			}
			if token == "" {
				next.ServeHTTP(w, r)
				return
			}
			actor, err := tokens.Authenticate(r.Context(), token)
			switch {
			case err == nil && byCookie && origins.Check(r) != nil:
				Problem(w, r, ErrCrossOrigin)
			case err == nil:
				if e := exchangeOf(r.Context()); e != nil {
					e.actor = actor
				}
				next.ServeHTTP(w, r.WithContext(WithActor(r.Context(), actor)))
			case byCookie && errors.Is(err, errBadToken):
				setSession(w, r, "", -1)
				next.ServeHTTP(w, r)
			default:
				Problem(w, r, err)
			}
		})
	}
}

func tokenOf(r *http.Request) (token string, byCookie bool, err error) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, ok := strings.Cut(header, " ")
		if !ok || !strings.EqualFold(scheme, "Bearer") {
			return "", false, ErrUnauthorized.Detailf("Authorization takes the form: Bearer, a space, and the token.")
		}
		return strings.TrimSpace(token), false, nil
	}
	if cookie, err := r.Cookie(SessionCookie); err == nil && cookie.Value != "" {
		return cookie.Value, true, nil
	}
	return "", false, nil
}

// MountLogin adds GET /login?token=…&next=… , which turns a login link into a
// session cookie, and POST /logout. home says where a role starts when next
// names no place of ours.
func MountLogin(r chi.Router, tokens Authenticator, home func(events.Role) string) {
	r.Get("/login", func(w http.ResponseWriter, r *http.Request) {
		token := r.URL.Query().Get("token")
		actor, err := tokens.Authenticate(r.Context(), token)
		if err != nil {
			Problem(w, r, err)
			return
		}
		setSession(w, r, token, sessionSeconds)
		next := r.URL.Query().Get("next")
		if !ownPath(next) {
			next = home(actor.Role)
		}
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, next, http.StatusSeeOther)
	})
	r.Post("/logout", func(w http.ResponseWriter, r *http.Request) {
		if http.NewCrossOriginProtection().Check(r) != nil {
			Problem(w, r, ErrCrossOrigin)
			return
		}
		setSession(w, r, "", -1)
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
}

// ownPath reports whether next stays on this site: a rooted path and nothing
// that a browser could read as another host.
func ownPath(next string) bool {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return false
	}
	u, err := url.Parse(next)
	return err == nil && u.Host == "" && u.Scheme == ""
}

func setSession(w http.ResponseWriter, r *http.Request, token string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: SessionCookie, Value: token, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: overTLS(r),
	})
}

// overTLS trusts the proxy's word: a client that lies only hurts its own cookie.
func overTLS(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}
