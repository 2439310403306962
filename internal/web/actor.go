package web

import (
	"context"
	"slices"
	"strings"

	"rescued/events"
	"rescued/internal/fault"
)

// ErrUnauthorized says that the caller is not known. Problem adds the
// WWW-Authenticate header.
var ErrUnauthorized = fault.New(fault.Unauthorized, "unauthorized",
	"Sign in: send Authorization: Bearer with a valid token.")

// ErrForbidden says that the caller's role may not do this.
var ErrForbidden = fault.New(fault.Forbidden, "forbidden", "Your role may not do this.")

type actorKey struct{}

// WithActor says who acts in ctx.
func WithActor(ctx context.Context, a events.Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom says who acts; false when nobody has signed in.
func ActorFrom(ctx context.Context) (events.Actor, bool) {
	a, ok := ctx.Value(actorKey{}).(events.Actor)
	return a, ok
}

// Require gives the actor when it acts in one of the roles; without roles,
// any known actor will do. Otherwise it is ErrUnauthorized or ErrForbidden.
func Require(ctx context.Context, roles ...events.Role) (events.Actor, error) {
	a, ok := ActorFrom(ctx)
	switch {
	case !ok:
		return events.Actor{}, ErrUnauthorized
	case len(roles) > 0 && !a.Is(roles...):
		return events.Actor{}, ErrForbidden.Detailf("The role %s may not do this; it takes: %s.", a.Role, roleNames(roles))
	}
	return a, nil
}

func roleNames(roles []events.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
