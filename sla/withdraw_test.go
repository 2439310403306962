package sla_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/sla"
)

// TestEvidenceIsWithdrawnByItself enters one attempt too many: it is taken back
// by itself, and what rests on the others stands.
func TestEvidenceIsWithdrawnByItself(t *testing.T) {
	t.Parallel()
	r, ctx := pausingRig(t), context.Background()
	id := r.opens()
	r.at(opened.Add(10 * time.Minute))
	r.records(operator, id, unreached)
	first := r.records(operator, id, unanswer)
	same := r.records(operator, id, unanswer) // told again at the very same moment
	require.NotEqual(t, first.ID, same.ID)
	require.Equal(t, 2, r.rows(`SELECT count(*) FROM sla.facts WHERE kind = 'evidence'`), "they are two recordings")
	list, err := r.Recordings(ctx, operator, id)
	require.NoError(t, err)
	require.False(t, list[0].Counts, "and one attempt")
	require.Equal(t, "it needs 2 × a call the owner did not answer and there is 1 (those of the same moment count once)", list[0].Against.EN)

	r.at(opened.Add(12 * time.Minute))
	second := r.records(operator2, id, unanswer)
	require.Equal(t, due.Add(20*time.Minute), r.standing(id).Guarantee.Verdict.DueAt)
	_, err = r.WithdrawRecording(ctx, operator, id, same.ID, r.version(id), "entered twice")
	require.NoError(t, err)
	require.Equal(t, due.Add(20*time.Minute), r.standing(id).Guarantee.Verdict.DueAt, "the other one is left")
	_, err = r.WithdrawRecording(ctx, theOwner, id, second.ID, r.version(id), "I was there")
	require.ErrorContains(t, err, "forbidden", "neither its author nor the desk")
	_, err = r.WithdrawRecording(ctx, operator, id, second.ID, r.version(id), "")
	require.ErrorContains(t, err, "reason")
	_, err = r.WithdrawRecording(ctx, operator, id, second.ID, r.version(id)-1, "another car's")
	require.ErrorIs(t, err, sla.ErrStale)
	taken, err := r.WithdrawRecording(ctx, operator, id, second.ID, r.version(id), "another car's")
	require.NoError(t, err)
	require.Equal(t, due, r.standing(id).Guarantee.Verdict.DueAt, "the pause lacks its second attempt again")
	_, err = r.WithdrawRecording(ctx, operator, id, second.ID, r.version(id), "again")
	require.ErrorIs(t, err, sla.ErrWithdrawn)
	_, err = r.WithdrawRecording(ctx, operator, id, taken.ID, r.version(id), "it was ours after all")
	require.ErrorIs(t, err, sla.ErrNoWithdrawal)

	list, err = r.Recordings(ctx, operator, id)
	require.NoError(t, err)
	require.Len(t, list, 6, "nothing is erased")
	for _, rec := range list {
		gone := rec.ID == same.ID || rec.ID == second.ID
		require.Equal(t, gone, rec.Against.EN == "it was withdrawn", rec.ID)
	}
	lines, _ := r.differences()
	require.Empty(t, lines, "the journal says the same")
}
