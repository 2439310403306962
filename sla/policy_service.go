package sla

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"rescued/events"
	"rescued/internal/fault"
	"rescued/internal/pg"
)

// Errors of policies.
var (
	ErrNoPolicy      = fault.New(fault.NotFound, "policy_not_found", "There is no such policy version.")
	ErrPolicyChanged = fault.New(fault.Conflict, "policy_version_exists", "This policy version is stored with another content; a version is never edited, so give the change a new version.")
	ErrPolicyActive  = fault.New(fault.Conflict, "policy_active", "This policy version is activated already.")
	ErrPolicyOwn     = fault.New(fault.Forbidden, "four_eyes", "Whoever added a policy version does not activate it; a second person must.")
	ErrNotInstalled  = fault.New(fault.Busy, "policy_not_installed", "No policy is in force, so nothing can be promised; install the policies (the service does so when it starts).")
)

// PolicyVersion is a stored version of a policy and who answers for it.
type PolicyVersion struct {
	Policy
	Digest       string // SHA-256 of the document as it was given, in hexadecimal
	AddedAt      time.Time
	AddedBy      string    // role:subject
	ActivatedAt  time.Time // zero while nobody has activated it
	ActivatedBy  string
	ActivatedWhy string
}

// policyWriters may add a version and activate another's.
var policyWriters = []events.Role{events.RoleAdmin, events.RoleFinance}

// Install stores and activates the policy the service ships, unless it is
// there. Call it once at start, after the migrations.
func (s *Service) Install(ctx context.Context) error {
	by := events.System("policy")
	v, err := s.AddPolicy(ctx, by, example45)
	if err != nil || !v.ActivatedAt.IsZero() {
		return err
	}
	_, err = s.ActivatePolicy(ctx, by, v.Name, v.Version, "It comes with the service.")
	if fault.KindOf(err) == fault.Conflict { // another replica was sooner
		err = nil
	}
	return err
}

// AddPolicy stores a policy document as a new version, which takes effect once
// a second person has activated it. The same document again changes nothing;
// another one under the same name and version is ErrPolicyChanged. A document
// that cannot be meant is fault.Invalid with every wrong field. Administrators
// and finance may, and the service itself.
func (s *Service) AddPolicy(ctx context.Context, by events.Actor, document []byte) (v PolicyVersion, err error) {
	defer fault.Wrap(&err, "add policy")
	if !by.Is(policyWriters...) && !by.Is(events.RoleSystem) {
		return PolicyVersion{}, forbidden(by)
	}
	p, err := ParsePolicy(document)
	if err != nil {
		return PolicyVersion{}, err
	}
	err = s.inTxIf(ctx, func(tx pgx.Tx) (told bool, err error) {
		now := s.now()
		added, err := insertPolicy(ctx, tx, p, string(document), by, now)
		if err != nil {
			return false, err
		}
		stored, err := findPolicy(ctx, tx, p.Name, p.Version)
		if err != nil {
			return false, err
		}
		if stored.document != string(document) {
			return false, ErrPolicyChanged.With("policy", p.Name).With("version", p.Version)
		}
		if v, err = stored.version(); err != nil || !added {
			return false, err
		}
		return true, events.Append(ctx, tx, by, now, 1, v.changed("added", now))
	})
	return v, err
}

// ActivatePolicy lets a version take effect, from its effective_from on. It is
// for administrators and finance, and needs a reason and another person than
// the one who added it: ErrPolicyOwn. What a policy approves by itself then
// rests on two persons. A version is activated once: ErrPolicyActive.
func (s *Service) ActivatePolicy(ctx context.Context, by events.Actor, name string, version int, why string) (v PolicyVersion, err error) {
	defer fault.Wrap(&err, "activate policy %s version %d", name, version)
	if !by.Is(policyWriters...) && !by.Is(events.RoleSystem) {
		return PolicyVersion{}, forbidden(by)
	}
	if why, err = checkReason(why); err != nil {
		return PolicyVersion{}, err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if v, err = s.policyVersion(ctx, tx, name, version); err != nil {
			return err
		}
		now := s.now()
		v.ActivatedAt, v.ActivatedBy, v.ActivatedWhy = now, by.String(), why
		added, err := insertActivation(ctx, tx, v)
		switch {
		case pg.Violates(err, "activated_by_another"):
			return ErrPolicyOwn.Because(err)
		case err != nil:
			return err
		case !added:
			return ErrPolicyActive
		}
		told := v.changed("activated", now)
		told.Reason = why
		return events.Append(ctx, tx, by, now, 2, told)
	})
	return v, err
}

func (v PolicyVersion) changed(state string, now time.Time) events.PolicyChanged {
	return events.PolicyChanged{
		Policy: v.Name, PolicyVersion: v.Version, State: state, Digest: v.Digest,
		EffectiveFrom: v.EffectiveFrom, EffectiveTo: v.EffectiveTo, ChangedAt: now,
	}
}

// version reads a stored version.
func (v storedPolicy) version() (PolicyVersion, error) {
	p, err := ParsePolicy([]byte(v.document))
	if err != nil {
		return PolicyVersion{}, fmt.Errorf("stored policy: %w", err)
	}
	digest := sha256.Sum256([]byte(v.document))
	return PolicyVersion{
		Policy: p, Digest: hex.EncodeToString(digest[:]), AddedAt: v.addedAt.UTC(), AddedBy: v.addedBy,
		ActivatedAt: utc(v.activatedAt), ActivatedBy: v.activatedBy, ActivatedWhy: v.activatedWhy,
	}, nil
}

func (s *Service) policyVersion(ctx context.Context, db events.Querier, name string, version int) (PolicyVersion, error) {
	stored, err := findPolicy(ctx, db, name, version)
	if pg.NotFound(err) {
		return PolicyVersion{}, ErrNoPolicy.Detailf("There is no policy %s version %d.", name, version)
	}
	if err != nil {
		return PolicyVersion{}, err
	}
	return stored.version()
}

// policy gives a stored version, activated or not. Versions are never edited,
// so each is read once per process.
func (s *Service) policy(ctx context.Context, db events.Querier, name string, version int) (Policy, error) {
	key := policyKey{name, version}
	if p, ok := s.policies.Load(key); ok {
		return p.(Policy), nil
	}
	v, err := s.policyVersion(ctx, db, name, version)
	if err != nil {
		return Policy{}, err
	}
	s.policies.Store(key, v.Policy)
	return v.Policy, nil
}

// Policies lists every stored version, by name and version. Policies are no
// secret: an owner may read what he was promised.
func (s *Service) Policies(ctx context.Context) (_ []PolicyVersion, err error) {
	defer fault.Wrap(&err, "policies")
	stored, err := listPolicies(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	list := make([]PolicyVersion, len(stored))
	for i, v := range stored {
		if list[i], err = v.version(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Policy gives one stored version, or ErrNoPolicy.
func (s *Service) Policy(ctx context.Context, name string, version int) (_ PolicyVersion, err error) {
	defer fault.Wrap(&err, "policy %s version %d", name, version)
	return s.policyVersion(ctx, s.pool, name, version)
}

// Promise says what the owner of a request is promised, by the policy that
// applies to it at f.At. It reads in the opener's transaction and writes
// nothing: the promise exists once the request does, when RequestOpened is
// heard.
func (s *Service) Promise(ctx context.Context, tx pgx.Tx, f events.PromiseFacts) (_ events.Promise, err error) {
	defer fault.Wrap(&err, "promise")
	facts := Facts{
		Area: f.Area, Tier: f.Tier, RoadClass: f.RoadClass,
		Problem: f.Problem, Priority: f.Priority, PartnerID: f.PartnerID, Product: f.Product,
	}
	if facts.Weather, err = s.weatherAt(ctx, tx, f.Area, f.At); err != nil {
		return events.Promise{}, err
	}
	p, err := s.applicable(ctx, tx, f.At, facts)
	if err != nil {
		return events.Promise{}, err
	}
	return p.Promise(f.At, facts), nil
}

// PromiseFor says what a request with those facts would be promised at that
// moment, for whoever looks into policies.
func (s *Service) PromiseFor(ctx context.Context, at time.Time, facts Facts) (_ events.Promise, err error) {
	defer fault.Wrap(&err, "promise for")
	p, err := s.applicable(ctx, s.pool, at, facts)
	if err != nil {
		return events.Promise{}, err
	}
	return p.Promise(at, facts), nil
}

// applicable is the policy under which a request accepted at that moment is
// promised: of those in force that say whom they are for, the first by name
// that is for it, and otherwise the service's own; ErrNotInstalled when that
// is not in force.
func (s *Service) applicable(ctx context.Context, db events.Querier, at time.Time, facts Facts) (Policy, error) {
	keys, err := listInForce(ctx, db, at)
	if err != nil {
		return Policy{}, err
	}
	own, installed := Policy{}, false
	for _, key := range keys {
		p, err := s.policy(ctx, db, key.name, key.version)
		switch {
		case err != nil:
			return Policy{}, err
		case key.name == s.cfg.Policy:
			own, installed = p, true
		case !p.AppliesTo.everything() && p.AppliesTo.holds(micro(at), facts, p.zone()):
			return p, nil
		}
	}
	if !installed {
		return Policy{}, ErrNotInstalled
	}
	return own, nil
}
