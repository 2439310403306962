package pages

import (
	"io/fs"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
	"rescued/internal/fault"
	"rescued/sla"
)

// Whatever the pages of finance ask to be said is there, in both languages.
func TestFinanceSaysEverything(t *testing.T) {
	t.Parallel()
	for key, w := range financeWords {
		require.NotEmpty(t, w.zh, key)
		require.NotEmpty(t, w.en, key)
	}
	asked := regexp.MustCompile(`(?:Say|Their \$?\.S\.Of) "([a-z_0-9]+)"`)
	files, err := fs.Glob(templateFiles, "templates/*.html")
	require.NoError(t, err)
	for _, name := range files {
		body, err := fs.ReadFile(templateFiles, name)
		require.NoError(t, err)
		for _, m := range asked.FindAllStringSubmatch(string(body), -1) {
			require.Contains(t, financeWords, m[1], name)
		}
	}
	has := func(prefix string, codes ...string) {
		for _, code := range codes {
			require.Contains(t, financeWords, prefix+code)
		}
	}
	has("state_", names(sla.CompensationStates())...)
	has("state_", names(sla.BatchStates())...)
	has("state_", string(sla.LineOpen), string(sla.LinePaid), string(sla.LineBounced), string(sla.LineReleased), string(sla.Charged), string(sla.Reversed))
	has("state_payout_", string(sla.PayoutWaiting), string(sla.PayoutSending), string(sla.PayoutSent), string(sla.PayoutFailed))
	has("state_item_", string(sla.ItemListed), string(sla.ItemDisputed), string(sla.ItemUpheld), string(sla.ItemOverturned), string(sla.ItemWithdrawn))
	has("statement_", names(sla.StatementStates())...)
	has("cause_", append(names(dispatch.ReleaseCauses()), "none", "own")...)
	has("fact_", append(names(sla.RecordedKinds()), string(sla.FactPaused), string(sla.FactApproved), string(sla.FactWithdrawn))...)
	has("source_", append(names(sla.PauseReasons()), names(sla.EvidenceKinds())...)...)
	has("do_", "withdraw", "approve_recording")
	has("note_", "withdraw", "approve_recording")
	has("day_", string(sla.DayOpen), string(sla.DaySigned), string(sla.DayClosed))
	has("list_", string(sla.ListMatched), string(sla.ListOursOnly), string(sla.ListTheirsOnly), string(sla.ListDiffer))
	has("account_", names(sla.Accounts())...)
	has("kind_", postingKinds...)
	has("statements_of_", names(sla.BearerKinds())...)
	has("rescues_of_", names(sla.BearerKinds())...)
	has("by_", names(sla.ReportKinds())...)
	has("role_", names(events.Roles())...)
	has("task_", string(sla.Accrued), string(sla.Disputed), string(sla.Approved))
	for _, err := range []*fault.Error{
		sla.ErrStale, sla.ErrFourEyes, sla.ErrSecondApprover, sla.ErrPreparer, sla.ErrNoCompensation, sla.ErrNoGuarantee, sla.ErrWaitingDiffers,
		sla.ErrNoBatch, sla.ErrNoTransaction, sla.ErrNoLine, sla.ErrEmptyBatch, sla.ErrSecondPerson, sla.ErrBatchChanged, sla.ErrLinesOpen, sla.ErrLineTaken, sla.ErrTooOften, sla.ErrDiffers, sla.ErrKeyReused,
		sla.ErrNoPayout, sla.ErrNotFailed, sla.ErrNotSent, sla.ErrAmount,
		sla.ErrNoStatement, sla.ErrStatementExists, sla.ErrMonthOpen, sla.ErrNothingToState, sla.ErrNoStatementLine, sla.ErrNotCharged, sla.ErrWindowClosed, sla.ErrInDispute, sla.ErrNotInvoiced, sla.ErrFapiaoUsed,
		sla.ErrDayDiffers, sla.ErrDayNotOver, sla.ErrEarlierOpen, sla.ErrDayClosed, sla.ErrDayAgrees, sla.ErrSecondSigner, errNoDay, errNoSuchStep,
		sla.ErrNoRecording, sla.ErrOwnRecording, sla.ErrApproved, sla.ErrWithdrawn, sla.ErrNoWithdrawal, sla.ErrSettledForAll, sla.ErrPast,
		dispatch.ErrStale, dispatch.ErrNoCrewBound, dispatch.ErrNoRequest, dispatch.ErrForbidden,
	} {
		require.Contains(t, refusalsZH, err.Code)
	}
}

// Amounts are written in one way, whatever their size.
func TestYuan(t *testing.T) {
	t.Parallel()
	for fen, want := range map[int64]string{
		0: "¥0.00", 5: "¥0.05", 99999: "¥999.99", 100000: "¥1,000.00", 123456789012: "¥1,234,567,890.12", -123450: "−¥1,234.50", -1 << 63: "−¥92,233,720,368,547,758.08",
	} {
		require.Equal(t, want, yuan(fen))
	}
	for typed, want := range map[string]string{"": "", "1,234.5": "1234.50", "¥1234": "1234.00", "￥ 20": "20.00", "20.001": "20.001", "twenty": "twenty.00"} {
		require.Equal(t, want, amountText(typed))
	}
}
