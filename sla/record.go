package sla

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"rescued/events"
	"rescued/internal/fault"
)

// NewRecording is a fact that somebody records of a request.
type NewRecording struct {
	Kind   FactKind  `json:"kind"`   // paused, evidence, located, scheduled, handed_over, mislocated, no_coverage or priced
	Source string    `json:"source"` // the PauseReason or EvidenceKind
	At     time.Time `json:"at"`     // when it was so; zero: now
	Until  time.Time `json:"until"`  // of a pause that is over: its end; of a schedule: the agreed time
	About  uuid.UUID `json:"about"`  // of evidence: the pause or condition it bears out; zero: whatever needs it
	Metres int64     `json:"metres"` // of mislocated
	Fen    Fen       `json:"fen"`    // of priced
	Note   string    `json:"note"`   // for people; it is not told to other systems
	Key    string    `json:"-"`      // the Idempotency-Key
}

// Recording is a fact that was recorded, and by whom.
type Recording struct {
	ID         events.RecordID
	RequestID  events.RequestID
	Fact       Fact
	Note       string
	By         string // role:subject
	RecordedAt time.Time
	Approves   events.RecordID // of an approval; zero otherwise
	Replayed   bool            // an earlier call with the same key recorded it
	key        string
	hash       [32]byte
}

// Errors of recordings.
var (
	ErrNoRecording   = fault.New(fault.NotFound, "recording_not_found", "Nothing of that identifier is recorded of this request.")
	ErrNoPauseRule   = fault.New(fault.Unprocessable, "pause_unknown", "The policy of this request knows no pause for that reason.")
	ErrPauseOpen     = fault.New(fault.Conflict, "pause_open", "The clock stands still for this reason already; close that pause first.")
	ErrPauseOver     = fault.New(fault.Conflict, "pause_over", "This pause is over.")
	ErrSettledForAll = fault.New(fault.Conflict, "promise_waived", "The promise was set aside; nothing recorded of it counts any more.")
	ErrOwnRecording  = fault.New(fault.Forbidden, "own_recording", "Whoever recorded it does not approve it; a second person must.")
	ErrApproved      = fault.New(fault.Conflict, "already_approved", "It was approved already.")
	ErrWithdrawn     = fault.New(fault.Conflict, "already_withdrawn", "It was withdrawn; what was withdrawn never counted.")
	ErrNoWithdrawal  = fault.New(fault.Conflict, "not_withdrawable", "The end of a pause, an approval and a withdrawal stand as they were recorded; withdraw the pause or the fact itself.")
)

// recorders says who may record which kind of fact. Of pauses the policy says
// more.
var recorders = map[FactKind][]events.Role{
	FactPaused:     pauseRoles,
	FactEvidence:   {events.RoleOwner, events.RoleCrew, events.RoleProvider, events.RolePartner, events.RoleOperator, events.RoleAdmin, events.RoleSystem},
	FactLocated:    {events.RoleOwner, events.RolePartner, events.RoleOperator, events.RoleSystem},
	FactScheduled:  {events.RoleOwner, events.RolePartner, events.RoleOperator, events.RoleSystem},
	FactHandedOver: {events.RoleCrew, events.RoleProvider, events.RoleOperator, events.RoleSystem},
	FactMislocated: {events.RoleCrew, events.RoleProvider, events.RoleOperator, events.RoleSystem},
	FactNoCoverage: {events.RoleOperator, events.RoleSystem},
	FactPriced:     {events.RoleProvider, events.RolePartner, events.RoleOperator, events.RoleFinance, events.RoleSystem},
}

// provers says whose word each kind of evidence can be.
var provers = map[EvidenceKind][]events.Role{
	CallUnanswered: {events.RoleCrew, events.RoleProvider, events.RoleOperator, events.RoleSystem},
	OwnerConfirmed: {events.RoleOwner, events.RoleOperator},
	Photo:          {events.RoleOwner, events.RoleCrew, events.RoleProvider, events.RolePartner, events.RoleOperator},
	Document:       {events.RoleCrew, events.RoleProvider, events.RolePartner, events.RoleOperator, events.RoleAdmin},
	OfficialNotice: {events.RoleOperator, events.RoleAdmin, events.RoleSystem},
	CrewPosition:   {events.RoleOperator, events.RoleSystem},
	ShownToOwner:   {events.RoleOperator, events.RoleSystem},
}

// RecordedKinds lists the kinds that can be recorded, for documents.
func RecordedKinds() []FactKind {
	return []FactKind{FactEvidence, FactLocated, FactScheduled, FactHandedOver, FactMislocated, FactNoCoverage, FactPriced}
}

// checked fills in what is left out and names every wrong field. opened and
// now bound the times.
func (in NewRecording) checked(opened, now time.Time) (NewRecording, error) {
	var wrong []fault.Field
	add := func(field, code, detail string) {
		wrong = append(wrong, fault.Field{Field: field, Code: code, Detail: detail})
	}
	in.At, in.Until, in.Note = microOrZero(in.At), microOrZero(in.Until), strings.TrimSpace(in.Note)
	if in.At.IsZero() {
		in.At = now
	}
	switch {
	case in.At.After(now):
		add("at", "range", "lies in the future; record it when it has happened")
	case in.At.Before(opened):
		add("at", "range", "is before the request was opened")
	}
	if n := utf8.RuneCountInString(in.Note); n > longestReason || !utf8.ValidString(in.Note) || strings.ContainsRune(in.Note, 0) {
		add("note", "text", "must be plain text of at most 500 characters")
	}
	unused := func(field string, given bool) {
		if given {
			add(field, "unused", "does not belong to "+string(in.Kind)+"; leave it out")
		}
	}
	unused("source", in.Source != "" && in.Kind != FactPaused && in.Kind != FactEvidence)
	unused("until", !in.Until.IsZero() && in.Kind != FactPaused && in.Kind != FactScheduled)
	unused("about", in.About != uuid.Nil && in.Kind != FactEvidence)
	unused("metres", in.Metres != 0 && in.Kind != FactMislocated)
	unused("fen", in.Fen != 0 && in.Kind != FactPriced)
	switch in.Kind {
	case FactPaused:
		if !slices.Contains(wordsOf(PauseReasons()), in.Source) {
			add("reason", "unknown", "must be one of "+strings.Join(wordsOf(PauseReasons()), ", "))
		}
		if !in.Until.IsZero() && (!in.Until.After(in.At) || in.Until.After(now)) {
			add("until", "range", "must be after the beginning and not in the future; leave it out while the pause lasts")
		}
	case FactEvidence:
		if !slices.Contains(wordsOf(EvidenceKinds()), in.Source) {
			add("source", "unknown", "must be one of "+strings.Join(wordsOf(EvidenceKinds()), ", "))
		}
	case FactScheduled:
		if in.Until.IsZero() || in.Until.Before(opened) {
			add("until", "required", "must be the agreed time, after the request was opened")
		}
	case FactMislocated:
		if in.Metres < 1 || in.Metres > 1_000_000 {
			add("metres", "range", "must be between 1 and 1000000: how far the car stood from where the owner had said")
		}
	case FactPriced:
		if in.Fen < 1 || in.Fen > maxFen {
			add("fen", "range", "must be what the rescue costs, in fen")
		}
	case FactLocated, FactHandedOver, FactNoCoverage:
	default:
		add("kind", "unknown", "must be one of "+strings.Join(wordsOf(RecordedKinds()), ", "))
	}
	return in, fault.InvalidFields(wrong)
}

// may says why by may not record it under a policy; nil when he may.
func (in NewRecording) may(by events.Actor, p Policy) error {
	if !by.Is(recorders[in.Kind]...) {
		return forbidden(by)
	}
	switch in.Kind {
	case FactEvidence:
		if !by.Is(provers[EvidenceKind(in.Source)]...) {
			return forbidden(by).With("evidence", in.Source)
		}
	case FactPaused:
		rule := p.pause(PauseReason(in.Source))
		if rule == nil {
			known := make([]string, len(p.Pauses))
			for i, r := range p.Pauses {
				known[i] = string(r.Reason)
			}
			return ErrNoPauseRule.With("reasons", known)
		}
		if len(rule.OpenedBy) > 0 && !by.Is(rule.OpenedBy...) {
			return forbidden(by).With("opened_by", rule.OpenedBy)
		}
	}
	return nil
}

// pauseOf is a pause as it is told: its beginning, and its end if it has one.
func pauseOf(facts []Fact, ref uuid.UUID) (f Fact, found bool) {
	for _, g := range facts {
		if g.Kind != FactPaused || g.Ref != ref {
			continue
		}
		if !found || f.Until.IsZero() {
			f, found = g, true
		}
	}
	return f, found
}

// openPause is a pause for a reason that lasts at now; false when none does.
func (p Policy) openPause(facts []Fact, reason PauseReason, now time.Time) bool {
	rule := p.pause(reason)
	if rule == nil {
		return false
	}
	facts = setOf(facts)
	return slices.ContainsFunc(facts, func(f Fact) bool {
		if f.Kind != FactPaused || f.Source != string(reason) {
			return false
		}
		whole, _ := pauseOf(facts, f.Ref)
		return whole.Until.IsZero() && whole.At.Add(seconds(rule.LongestS)).After(now)
	})
}

// recordedFact is the fact an event tells that somebody recorded.
func recordedFact(ev events.FactRecorded) (Fact, error) {
	f := Fact{
		Kind: FactKind(ev.Kind), At: micro(ev.At), Until: utc(ev.Until), Source: ev.Source, By: events.Role(ev.Role),
		SaidAt: micro(ev.RecordedAt), Level: ev.Level, Metres: ev.Metres, Fen: Fen(ev.Fen),
	}
	if f.Kind == FactEvidence {
		f.Record = ev.RecordID.UUID()
	}
	switch {
	case ev.RefersTo == "":
	case strings.HasPrefix(ev.RefersTo, "cnd_"):
		id, err := events.ParseID[events.ConditionID](ev.RefersTo)
		if err != nil {
			return f, err
		}
		f.Ref = id.UUID()
	default:
		id, err := events.ParseID[events.RecordID](ev.RefersTo)
		if err != nil {
			return f, err
		}
		f.Ref = id.UUID()
	}
	return f, nil
}

// refersTo writes what a fact refers to: a condition, or a recording.
func (f Fact) refersTo(condition bool) string {
	switch {
	case f.Ref == uuid.Nil:
		return ""
	case condition:
		return events.IDFromUUID[events.ConditionID](f.Ref).String()
	}
	return events.IDFromUUID[events.RecordID](f.Ref).String()
}
