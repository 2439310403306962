package pages_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rescued/dispatch"
	"rescued/events"
	"rescued/geo"
	"rescued/sla"
)

// asked opens a request here and lets the promises hear of it.
func (d *desk) asked() dispatch.Request {
	d.Helper()
	lat, lng := 30.66, 104.08
	r, err := d.api.OpenAnonymously(d.Context(), dispatch.NewRequest{
		Contact: dispatch.Contact{Name: "王芳", Phone: "13800138000"}, Vehicle: dispatch.Vehicle{Plate: "川A8K777", Energy: "bev", WeightClass: dispatch.WeightLight},
		Problem: "tyre", Location: dispatch.NewLocation{Lat: &lat, Lng: &lng, Datum: geo.WGS84, RoadClass: geo.UrbanRoad}, Key: "k",
	})
	require.NoError(d, err)
	told, err := events.ReadStream(d.Context(), d.pool, r.ID.String(), 10)
	require.NoError(d, err)
	for _, env := range told {
		if ev, err := events.Decode[events.RequestOpened](env); err == nil {
			d.tell(ev)
		}
	}
	return r
}

// provider registers a company that runs crews.
func (d *desk) provider(name string) events.ProviderID {
	d.Helper()
	p, err := d.crews.RegisterProvider(d.Context(), root, dispatch.NewProvider{Name: name, Phone: "13800000000", Key: name})
	require.NoError(d, err)
	return p.ID
}

// taken lets a crew of a registered provider accept a request.
func (d *desk) taken(r dispatch.Request) dispatch.Request {
	d.Helper()
	ctx := d.Context()
	c, err := d.crews.RegisterCrew(ctx, root, dispatch.NewCrew{Provider: d.provider("蓉城救援"), Name: "蓉城 7 号", Phone: "13800000001", Capabilities: dispatch.AllCapabilities(), Key: "c"})
	require.NoError(d, err)
	crew := events.Actor{Role: events.RoleCrew, Subject: c.ID.String()}
	_, err = d.crews.StartShift(ctx, crew, c.ID)
	require.NoError(d, err)
	_, err = d.crews.Reassign(ctx, wei, r.ID, c.ID, "it knows the place", r.Version)
	require.NoError(d, err)
	offers, err := d.crews.Offers(ctx, crew, c.ID)
	require.NoError(d, err)
	r, err = d.crews.Accept(ctx, crew, offers[0].ID)
	require.NoError(d, err)
	return r
}

// An operator takes a crew off and says what for, in the API's own causes;
// finance reads it beside whose lost time it is.
func TestAnOperatorTakesACrewOffAndSaysWhatFor(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	r := d.taken(d.asked())
	path := "/finance/requests/" + r.ID.String()
	page := d.open(wei, path)
	require.Contains(t, page.says(), "蓉城 7 号")
	require.Nil(t, d.open(lin, path).button("release"), "finance does not dispatch")
	for _, c := range dispatch.ReleaseCauses() {
		require.Contains(t, page.says(), "("+string(c)+")")
	}
	blank := page.press("release", "cause", "crew", "reason", " ")
	require.Equal(t, http.StatusUnprocessableEntity, blank.Status)
	forged := page.press("release", "cause", "weather", "reason", "rain")
	require.Equal(t, http.StatusUnprocessableEntity, forged.Status)
	require.Contains(t, forged.says(), "cause")
	stale := page.press("release", "cause", "crew", "reason", "it broke down", "version", "1")
	require.Equal(t, http.StatusPreconditionFailed, stale.Status)
	page = stale.press("release", "cause", "crew", "reason", "it broke down")
	require.Contains(t, page.says(), "The crew is taken off; the request is open again")
	require.Contains(t, page.says(), "it could not go on: a breakdown, an accident, no word from it wei (operator) it broke down")
	require.Nil(t, page.button("release"), "nobody has it now")
	chinese := d.ask(lin, "zh", http.MethodGet, path, "", nil)
	require.Contains(t, chinese.says(), "救援队不能继续：故障、事故或失联 wei（调度员） it broke down")
	none := d.ask(wei, "zh", http.MethodPost, path, "application/x-www-form-urlencoded", []byte("do=release&cause=crew&reason=x&version=0"))
	require.Equal(t, http.StatusConflict, none.Status)
	refused := d.ask(lin, "zh", http.MethodPost, path, "application/x-www-form-urlencoded", []byte("do=release&cause=crew&reason=x&version=0"))
	require.Equal(t, http.StatusForbidden, refused.Status)
	require.Contains(t, refused.says(), "您的角色不能执行这一步")
}

// Evidence that was recorded by mistake is withdrawn on the page, a pause that
// was recorded afterwards is approved there by somebody else, and the verdict
// follows both.
func TestEvidenceIsWithdrawnAndAPauseApproved(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.under(func(doc map[string]any) {
		doc["pauses"] = []any{map[string]any{
			"reason": "owner_unreachable", "words": map[string]any{"zh": "联系不上车主", "en": "owner unreachable"}, "longest_s": 1200,
			"retroactive": "needs_approval", "retroactive_after_s": 60, "evidence": []any{map[string]any{"kind": "call_unanswered", "at_least": 1}},
		}}
	})
	d.of = d.provider("蓉城救援")
	c := d.late(5 * time.Minute) // ¥20.00, unless ten minutes stood still
	d.at(opened.Add(2 * time.Hour))
	record := func(by events.Actor, in sla.NewRecording) sla.Recording {
		rec, err := d.RecordFact(t.Context(), by, c.RequestID, in)
		require.NoError(t, err)
		return rec
	}
	record(wei, sla.NewRecording{Kind: sla.FactPaused, Source: "owner_unreachable", At: opened.Add(10 * time.Minute), Until: opened.Add(20 * time.Minute), Key: "a"})
	call := record(wei, sla.NewRecording{Kind: sla.FactEvidence, Source: "call_unanswered", At: opened.Add(10 * time.Minute), Note: "rang for a minute", Key: "b"})

	path := "/finance/requests/" + c.RequestID.String()
	require.Nil(t, d.open(wei, path).button("approve_recording"), "whoever recorded it does not approve it")
	page := d.open(lin, path)
	require.Equal(t, "/finance/compensations/"+c.ID.String(), page.Path, "finance is led to what is owed")
	require.Contains(t, page.says(), "Does not count: it was recorded 1 h 50 min after it began and nobody has approved it")
	require.Contains(t, page.says(), "Evidence: a call the owner did not answer rang for a minute")
	require.Nil(t, page.button("withdraw"), "finance withdraws only its own")
	page = page.press("approve_recording", "reason", "heard the recording")
	require.Contains(t, page.says(), "The pause is approved; the verdict is reckoned anew")
	require.Contains(t, page.says(), "Nothing is owed at present")

	page = d.open(wei, path)
	require.Nil(t, page.button("approve_recording"), "it is")
	blank := page.pressIn("recording", call.ID.String(), "withdraw", "reason", " ")
	require.Equal(t, http.StatusUnprocessableEntity, blank.Status)
	page = page.pressIn("recording", call.ID.String(), "withdraw", "reason", "another owner's call")
	require.Contains(t, page.says(), "It is withdrawn; the verdict is reckoned anew")
	require.Contains(t, page.says(), "Late by 5 min")
	require.Contains(t, page.says(), "Does not count: it was withdrawn")
	require.Contains(t, page.says(), "Withdrawal another owner's call wei (operator)")
	require.Contains(t, d.open(lin, path).says(), "¥20.00 accrued")
	again := d.ask(wei, "zh", http.MethodPost, path, "application/x-www-form-urlencoded", []byte("do=withdraw&reason=x&version=99&recording="+call.ID.String()))
	require.Equal(t, http.StatusPreconditionFailed, again.Status)
	lost := d.ask(wei, "zh", http.MethodPost, path, "application/x-www-form-urlencoded", []byte("do=withdraw&reason=x&version=1&recording=rec_1"))
	require.Equal(t, http.StatusNotFound, lost.Status)
	require.Contains(t, lost.says(), "这个救援没有这条登记")
	refused := d.ask(lin, "zh", http.MethodPost, path, "application/x-www-form-urlencoded", []byte("do=withdraw&reason=x&version=99&recording="+call.ID.String()))
	require.NotEqual(t, http.StatusOK, refused.Status)
}

// Providers are called by their names wherever the service knows them.
func TestProvidersAreCalledByTheirNames(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.under(func(doc map[string]any) {
		doc["bearers"] = map[string]any{"platform_pct": 40, "provider_pct": 60, "partner_pct": 0, "service_fee_fen": 20000}
	})
	d.of = d.provider("蓉城救援")
	named := d.of.String()
	c := d.late(11 * time.Minute)
	d.of = provider // nobody registered it
	d.late(5 * time.Minute)
	d.of = d.provider("never late")
	page := d.open(lin, "/finance/compensations/"+c.ID.String()).press("approve", "reason", "seen")
	require.Contains(t, page.says(), "provider 蓉城救援", "who bears it")
	require.Contains(t, d.open(lin, d.open(lin, "/finance/ledger?kind=chargeback&month=2026-03").href("chargeback")).says(), "蓉城救援")
	report := d.open(lin, "/finance?month=2026-03&by=provider")
	require.Equal(t, "1 1 0 0.00 % 0.00 % ¥50.00 ¥50.00 ¥0.00 ¥50.00 2026-03-02", report.row("蓉城救援"))
	require.NotEmpty(t, report.row(provider.String()), "one without a name keeps its number")
	d.at(time.Date(2026, 4, 2, 1, 0, 0, 0, time.UTC))
	list := d.open(lin, "/finance/statements")
	require.Contains(t, list.says(), "蓉城救援")
	st := list.press("draft", "whose", named)
	require.Contains(t, st.says(), "Provider 蓉城救援 "+named, "the number beside it")
	require.Contains(t, d.open(lin, "/finance/statements").says(), "蓉城救援 draft")
	st.press("issue")
	theirs := events.Actor{Role: events.RoleProvider, Subject: named}
	require.Contains(t, d.open(theirs, st.Path).says(), "蓉城救援", "a provider knows its own")
}
