package events

import (
	"fmt"
	"strings"

	"rescued/internal/fault"
)

// Role says in what capacity somebody acts.
type Role string

// The roles. RoleSystem is the service itself: sweeps, matching, policy.
const (
	RoleOwner    Role = "owner"
	RoleCrew     Role = "crew"
	RoleProvider Role = "provider"
	RolePartner  Role = "partner"
	RoleOperator Role = "operator"
	RoleFinance  Role = "finance"
	RoleAdmin    Role = "admin"
	RoleSystem   Role = "system"
)

// Roles lists the roles a token may carry: all but RoleSystem.
func Roles() []Role {
	return []Role{RoleOwner, RoleCrew, RoleProvider, RolePartner, RoleOperator, RoleFinance, RoleAdmin}
}

// Actor is who did it: a role and whose hand. Subject is own_…, crw_…, prv_…
// or ptn_… for the first four roles, a user's name for staff, and the part of
// the service (sweep, match, policy) for system.
type Actor struct {
	Role    Role   `json:"role"`
	Subject string `json:"subject"`
}

// System is the actor of one part of the service itself.
func System(part string) Actor { return Actor{RoleSystem, part} }

// String is role:subject, as journal rows and event headers carry it.
func (a Actor) String() string { return string(a.Role) + ":" + a.Subject }

// Is reports whether the actor acts in one of the roles.
func (a Actor) Is(roles ...Role) bool {
	for _, r := range roles {
		if a.Role == r {
			return true
		}
	}
	return false
}

// ParseActor reads role:subject; an unknown role or an empty subject is
// fault.Invalid.
func ParseActor(s string) (Actor, error) {
	role, subject, ok := strings.Cut(s, ":")
	a := Actor{Role(role), subject}
	if ok && subject != "" && (a.Role == RoleSystem || a.Is(Roles()...)) {
		return a, nil
	}
	return Actor{}, &fault.Error{
		Kind:   fault.Invalid,
		Code:   "invalid_actor",
		Detail: fmt.Sprintf("%.60q is not role:subject with a known role.", s),
	}
}
