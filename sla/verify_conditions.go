package sla

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"rescued/events"
)

// verifyConditions holds what was declared for a region and a time against the
// journal: every revision stands as it was told, by whom and when, and none
// stands that was not told. Its note is for people, and no event tells it.
func (s *Service) verifyConditions(ctx context.Context, r *Report) error {
	return r.snapshot(ctx, func(tx pgx.Tx) error {
		told := map[spreading]bool{}
		types := []string{events.ConditionDeclared{}.EventType()}
		for after := int64(0); ; {
			envs, last, err := events.ReadAfter(ctx, tx, types, after, verifyChunk)
			if err != nil {
				return err
			}
			if len(envs) == 0 {
				break
			}
			after = last
			if err := compareDeclared(ctx, tx, r, envs, told); err != nil {
				return err
			}
			r.did(len(envs), 0)
		}
		for after := (spreading{}); ; {
			list, err := listRevisionsAfter(ctx, tx, after, verifyChunk)
			if err != nil || len(list) == 0 {
				return err
			}
			for _, c := range list {
				after = spreading{c.ID, c.Revision}
				if !told[after] {
					r.differ(c.ID.String(), "revision "+strconv.Itoa(c.Revision), c.line(), "")
				}
			}
		}
	})
}

// compareDeclared compares some declarations of the journal with what is
// stored, and notes them in told.
func compareDeclared(ctx context.Context, tx pgx.Tx, r *Report, envs []events.Envelope, told map[spreading]bool) error {
	wanted, ids := make([]DeclaredCondition, len(envs)), make([]events.ConditionID, len(envs))
	for i, env := range envs {
		ev, err := events.Decode[events.ConditionDeclared](env)
		if err != nil {
			return fmt.Errorf("%s: %w", env.Subject, err)
		}
		wanted[i], ids[i] = declaredAs(ev, env.Actor), ev.ConditionID
	}
	stored, err := findRevisions(ctx, tx, ids)
	if err != nil {
		return err
	}
	for _, w := range wanted {
		at, subject, revision := spreading{w.ID, w.Revision}, w.ID.String(), "revision "+strconv.Itoa(w.Revision)
		told[at] = true
		c, found := stored[at]
		if !found {
			r.differ(subject, revision, "", w.line())
			continue
		}
		for _, f := range []struct{ name, stored, wanted string }{
			{"condition", string(c.Condition), string(w.Condition)}, {"level", c.Level, w.Level},
			{"areas", strings.Join(c.Areas, ", "), strings.Join(w.Areas, ", ")}, {"from", moment(c.From), moment(w.From)}, {"until", moment(c.Until), moment(w.Until)},
			{"evidence", strings.Join(wordsOf(c.Evidence), ", "), strings.Join(wordsOf(w.Evidence), ", ")},
			{"declared by", c.By, w.By}, {"declared_at", moment(c.DeclaredAt), moment(w.DeclaredAt)},
		} {
			if f.stored != f.wanted {
				r.differ(subject, revision+": "+f.name, f.stored, f.wanted)
			}
		}
	}
	return nil
}

// declaredAs is a revision as the journal tells it.
func declaredAs(ev events.ConditionDeclared, by events.Actor) DeclaredCondition {
	return DeclaredCondition{
		ID: ev.ConditionID, Revision: ev.Revision, Condition: Condition(ev.Condition), Level: ev.Level, Areas: ev.Areas,
		From: micro(ev.From), Until: utc(ev.Until), Evidence: mapped(ev.Evidence, func(kind string) EvidenceKind { return EvidenceKind(kind) }),
		By: by.String(), DeclaredAt: micro(ev.DeclaredAt),
	}
}

// line is a revision as one line, for whoever compares two.
func (c DeclaredCondition) line() string {
	words := []string{string(c.Condition)}
	for _, part := range []struct{ name, value string }{
		{"", c.Level}, {"in", strings.Join(c.Areas, ", ")}, {"from", moment(c.From)}, {"until", moment(c.Until)}, {"by", c.By}, {"at", moment(c.DeclaredAt)},
	} {
		if part.value != "" {
			words = append(words, strings.TrimSpace(part.name+" "+part.value))
		}
	}
	return strings.Join(words, " ")
}

// findRevisions gives all that was said of some conditions.
func findRevisions(ctx context.Context, db events.Querier, ids []events.ConditionID) (map[spreading]DeclaredCondition, error) {
	rows, err := db.Query(ctx, `SELECT `+conditionColumns+` FROM sla.conditions c WHERE c.id = ANY($1)`, ids)
	if err != nil {
		return nil, err
	}
	list, err := pgx.CollectRows(rows, scanCondition)
	found := make(map[spreading]DeclaredCondition, len(list))
	for _, c := range list {
		found[spreading{c.ID, c.Revision}] = c
	}
	return found, err
}

// listRevisionsAfter gives the next of all revisions, after one.
func listRevisionsAfter(ctx context.Context, db events.Querier, after spreading, limit int) ([]DeclaredCondition, error) {
	rows, err := db.Query(ctx, `
		SELECT `+conditionColumns+` FROM sla.conditions c
		WHERE (c.id, c.revision) > (coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid), $2::int)
		ORDER BY c.id, c.revision LIMIT $3`, after.id, after.revision, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanCondition)
}
